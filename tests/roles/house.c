/* SPDX-License-Identifier: Apache-2.0 */
#include "roles/house.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/text.h"
#include "config/config.h"
#include "fetcher/fetcher.h"
#include "ipc/channel.h"
#include "keeper/keeper.h"
#include "net/loop.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/upload_table.h"
#include "support/scratch.h"
#include "worker/worker.h"

struct house {
    const char *folder;
    struct authorizer authorizer; /* of the workers */
    char *settings;
    struct loop *loop;
    struct pool *pool;
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct worker *workers[HOUSE_WORKERS];
    struct fetcher *fetcher;
    struct keeper *keeper;
    struct list visitors;
};

struct visitor {
    struct list link;
    struct house *house;
    int fd;
    struct buf input;
    struct visit visit;
    size_t head_length; /* bytes of the head of the answer; 0: it has not come whole yet */
    size_t length;      /* bytes of the answer with its body */
    bool is_closed;
    char field[512];
};

static void must(int rc, const struct error *err)
{
    if (rc != 0) {
        fprintf(stderr, "house: %s\n", err->text);
        abort();
    }
}

/* Read all that has come: these tests have no client that reads slowly. */
static void receive(struct visitor *visitor)
{
    ssize_t n;

    do {
        char *room = buf_reserve(&visitor->input, 1 << 16);

        CHECK(room);
        n = recv(visitor->fd, room, 1 << 16, MSG_DONTWAIT);
        if (n > 0)
            buf_added(&visitor->input, (size_t)n);
    } while (n > 0);
    if (n == 0)
        visitor->is_closed = true;
}

static void turn(struct house *house)
{
    LIST_EACH (link, &house->visitors)
        receive(LIST_ITEM(link, struct visitor, link));

    loop_turn(house->loop, 0);
}

/* A configuration of its own for each role, as processes have: a role must not live on a reference
 * that another role holds. The result is the caller's reference. */
static struct config *parse_settings(const struct house *house)
{
    struct config *config = NULL;
    struct buf text;
    struct error err = {0};

    buf_init(&text, 1 << 20);
    buf_printf(&text, "storage: { path: %s }\n%s", house->folder, house->settings);
    must(config_parse(buf_bytes(&text), &config, &err), &err);
    buf_cleanup(&text);
    return config;
}

static void open_disk(struct house *house)
{
    struct error err = {0};

    must(store_prepare(house->folder, &err), &err);
    must(store_open(house->folder, &house->store, &err), &err);
    must(ledger_open(store_ledger_folder(house->store), true, &house->ledger, &err), &err);
    must(upload_table_new(64, &house->uploads, &err), &err);
}

/* A channel between two roles; the caller gives each its end. */
static void new_pair(int ends[2])
{
    struct error err = {0};

    must(channel_pair(ends, &err), &err);
}

static void join_worker_and_fetcher(struct house *house, unsigned slot)
{
    int ends[2];

    if (!house->workers[slot] || !house->fetcher)
        return;
    new_pair(ends);
    worker_set_peer(house->workers[slot], ROLE_FETCHER, &ends[0]);
    fetcher_add_worker(house->fetcher, slot, slot + 1, &ends[1]);
}

static void join_worker_and_keeper(struct house *house, unsigned slot)
{
    int ends[2];

    if (!house->workers[slot] || !house->keeper)
        return;
    new_pair(ends);
    worker_set_peer(house->workers[slot], ROLE_KEEPER, &ends[0]);
    keeper_set_peer(house->keeper, ROLE_WORKER, slot, slot + 1, &ends[1]);
}

static void join_fetcher_and_keeper(struct house *house)
{
    int ends[2];

    if (!house->fetcher || !house->keeper)
        return;
    new_pair(ends);
    fetcher_set_keeper(house->fetcher, &ends[0]);
    keeper_set_peer(house->keeper, ROLE_FETCHER, 0, HOUSE_WORKERS + 1, &ends[1]);
}

static void start_worker(struct house *house, unsigned slot)
{
    struct config *config = parse_settings(house);
    struct worker_options options = {
        .loop = house->loop,
        .pool = house->pool,
        .config = config,
        .store = house->store,
        .ledger = house->ledger,
        .uploads = house->uploads,
        .authorizer = house->authorizer,
        .slot = slot,
        .workers = HOUSE_WORKERS,
    };

    house->workers[slot] = worker_new(&options);
    config_unref(&config);
    join_worker_and_fetcher(house, slot);
    join_worker_and_keeper(house, slot);
}

static void start_fetcher(struct house *house)
{
    struct config *config = parse_settings(house);
    struct fetcher_options options = {
        .loop = house->loop,
        .pool = house->pool,
        .config = config,
        .store = house->store,
        .ledger = house->ledger,
    };

    house->fetcher = fetcher_new(&options);
    config_unref(&config);
    join_fetcher_and_keeper(house);
    for (unsigned slot = 0; slot < HOUSE_WORKERS; slot++)
        join_worker_and_fetcher(house, slot);
}

static void start_keeper(struct house *house)
{
    struct config *config = parse_settings(house);
    struct keeper_options options = {
        .loop = house->loop,
        .pool = house->pool,
        .config = config,
        .store = house->store,
        .ledger = house->ledger,
        .uploads = house->uploads,
    };

    house->keeper = keeper_new(&options);
    config_unref(&config);
    join_fetcher_and_keeper(house);
    for (unsigned slot = 0; slot < HOUSE_WORKERS; slot++)
        join_worker_and_keeper(house, slot);
}

void house_start(struct house *house, enum process_role role, unsigned slot)
{
    if (role == ROLE_KEEPER)
        start_keeper(house);
    else if (role == ROLE_FETCHER)
        start_fetcher(house);
    else
        start_worker(house, slot);
}

/* The role's references are the only ones: what it still uses of the old configuration, it holds.
 */
void house_configure(struct house *house, const char *settings)
{
    mem_free(house->settings);
    house->settings = mem_strdup(settings);
    for (unsigned slot = 0; slot < HOUSE_WORKERS; slot++) {
        struct config *config = parse_settings(house);

        if (house->workers[slot])
            worker_set_config(house->workers[slot], config);
        config_unref(&config);
    }
    struct config *for_fetcher = parse_settings(house);
    struct config *for_keeper = parse_settings(house);
    if (house->fetcher)
        fetcher_set_config(house->fetcher, for_fetcher);
    if (house->keeper)
        keeper_set_config(house->keeper, for_keeper);
    config_unref(&for_fetcher);
    config_unref(&for_keeper);
}

void house_kill(struct house *house, enum process_role role, unsigned slot)
{
    if (role == ROLE_KEEPER)
        keeper_free(&house->keeper);
    else if (role == ROLE_FETCHER)
        fetcher_free(&house->fetcher);
    else
        worker_free(&house->workers[slot]);
    house_pass(house, 0);
}

struct house *house_new(const char *settings)
{
    static const struct authorizer allow_all;

    return house_new_with(settings, &allow_all);
}

struct house *house_new_with(const char *settings, const struct authorizer *authorizer)
{
    struct house *house = NEW(struct house);

    house->authorizer = *authorizer;
    list_init(&house->visitors);
    (void)signal(SIGPIPE, SIG_IGN);
    clock_freeze((struct monotime){1000000}, (struct walltime){1700000000000});
    house->folder = scratch_make();
    house->settings = mem_strdup(settings);
    open_disk(house);
    house->loop = loop_new();
    house->pool = pool_new(4);
    loop_add_pool(house->loop, house->pool);
    start_keeper(house);
    start_fetcher(house);
    for (unsigned slot = 0; slot < HOUSE_WORKERS; slot++)
        start_worker(house, slot);
    house_pass(house, 10);
    return house;
}

void house_free(struct house **house)
{
    struct house *h = *house;

    for (unsigned slot = 0; slot < HOUSE_WORKERS; slot++) {
        if (h->workers[slot])
            worker_free(&h->workers[slot]);
    }
    if (h->fetcher)
        fetcher_free(&h->fetcher);
    if (h->keeper)
        keeper_free(&h->keeper);
    for (int i = 0; i < 3; i++)
        loop_turn(h->loop, 0);
    pool_free(&h->pool);
    loop_free(&h->loop);
    upload_table_detach(&h->uploads);
    ledger_close(&h->ledger);
    store_close(&h->store);
    mem_free(h->settings);
    scratch_remove();
    clock_thaw();
    mem_free(h);
    *house = NULL;
}

struct loop *house_loop(struct house *house)
{
    return house->loop;
}

static void stop_waiting(void *arg)
{
    *(bool *)arg = true;
}

void house_pass(struct house *house, uint64_t ms)
{
    bool is_over = false;
    struct timer *timer = timer_new(house->loop, stop_waiting, &is_over);

    timer_start(timer, ms);
    while (!is_over)
        turn(house);
    timer_free(&timer);
}

struct visitor *visitor_new(struct house *house, unsigned slot)
{
    struct visitor *visitor = NEW(struct visitor);
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    worker_adopt(house->workers[slot], &ends[1], LISTENER_FULL, "192.0.2.1:1000");
    visitor->house = house;
    list_append(&house->visitors, &visitor->link);
    visitor->fd = ends[0];
    buf_init(&visitor->input, 64u << 20);
    buf_init(&visitor->visit.head, 1 << 16);
    buf_init(&visitor->visit.body, 64u << 20);
    return visitor;
}

void visitor_free(struct visitor **visitor)
{
    struct visitor *v = *visitor;

    list_remove(&v->link);
    fd_close(&v->fd);
    buf_cleanup(&v->input);
    buf_cleanup(&v->visit.head);
    buf_cleanup(&v->visit.body);
    mem_free(v);
    *visitor = NULL;
}

/* Send everything, and let the house read in between. */
static void send_all(struct visitor *visitor, struct slice bytes)
{
    while (bytes.length) {
        ssize_t n = send(visitor->fd, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);

        CHECK(n > 0 ||
              errno == EAGAIN); /* a visitor that was idle for too long must be a new one */
        if (n > 0)
            bytes = slice_skip(bytes, (size_t)n);
        else
            turn(visitor->house);
    }
}

void visitor_send(struct visitor *visitor, const char *fmt, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, 64u << 20);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    send_all(visitor, buf_bytes(&text));
    buf_cleanup(&text);
}

/* Parse the head of an answer, once it is whole: its status and its length with the body. */
static void take_head(struct visitor *visitor, bool is_head)
{
    struct slice all = buf_bytes(&visitor->input);
    const char *end = all.data ? memmem(all.data, all.length, "\r\n\r\n", 4) : NULL;
    struct visit *visit = &visitor->visit;
    uint64_t number = 0;
    const char *text;
    struct error err;

    if (!end)
        return;
    visitor->head_length = (size_t)(end - all.data) + 4;
    buf_append(&visit->head, all.data, visitor->head_length);
    (void)text_parse_u64(slice_from(all.data + 9, 3), &number, &err);
    visit->status = (int)number;
    number = 0;
    text = visit_field(visitor, "Content-Length");
    if (text && !is_head && visit->status != 204 && visit->status != 304)
        (void)text_parse_u64(slice_of(text), &number, &err);
    visitor->length = visitor->head_length + (size_t)number;
}

/* Move what belongs to the answer from the input to the visit. */
static void take_body(struct visitor *visitor)
{
    struct slice all = buf_bytes(&visitor->input);
    size_t have = all.length < visitor->length ? all.length : visitor->length;

    buf_append(&visitor->visit.body, all.data + visitor->head_length, have - visitor->head_length);
    visitor->visit.is_whole = have == visitor->length;
    buf_consume(&visitor->input, visitor->visit.is_whole ? have : 0);
}

static bool has_all(const struct visitor *visitor)
{
    return visitor->head_length && buf_bytes(&visitor->input).length >= visitor->length;
}

const struct visit *visitor_read(struct visitor *visitor, bool is_head, uint64_t within_ms)
{
    struct timer *timer;
    bool is_over = false;
    struct visit *visit = &visitor->visit;

    timer = timer_new(visitor->house->loop, stop_waiting, &is_over);
    timer_start(timer, within_ms);
    visit->status = 0;
    visit->is_whole = false;
    visit->is_closed = false;
    visitor->head_length = 0;
    buf_clear(&visit->head);
    buf_clear(&visit->body);
    for (;;) {
        receive(visitor);
        visit->is_closed = visitor->is_closed;
        if (!visitor->head_length)
            take_head(visitor, is_head);
        if (has_all(visitor) || visit->is_closed || is_over)
            break;
        turn(visitor->house);
    }
    if (visitor->head_length)
        take_body(visitor);
    timer_free(&timer);
    return visit;
}

const struct visit *visitor_ask(struct visitor *visitor, const char *method, const char *target,
                                const char *fields, struct slice body)
{
    struct buf text;

    buf_init(&text, 64u << 20);
    buf_printf(&text, "%s %s HTTP/1.1\r\nHost: entrepot.test\r\n%s", method, target,
               fields ? fields : "");
    if (body.length || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 ||
        strcmp(method, "PATCH") == 0)
        buf_printf(&text, "Content-Length: %zu\r\n", body.length);
    buf_append_text(&text, "\r\n");
    buf_append_slice(&text, body);
    send_all(visitor, buf_bytes(&text));
    buf_cleanup(&text);
    return visitor_read(visitor, strcmp(method, "HEAD") == 0, 60000);
}

const char *visit_field(struct visitor *visitor, const char *name)
{
    struct slice rest = buf_bytes(&visitor->visit.head);
    struct slice line;

    while (slice_split(&rest, '\n', &line)) {
        ptrdiff_t colon = slice_find(line, ':');

        if (colon < 0 || !slice_is_nocase(slice_from(line.data, (size_t)colon), name))
            continue;
        line = slice_skip(line, (size_t)colon + 1);
        if (slice_ends_with(line, "\r"))
            line.length--;
        line = slice_trim(line);
        snprintf(visitor->field, sizeof(visitor->field), "%.*s", SLICE_PRINT(line));
        return visitor->field;
    }
    return NULL;
}
