/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/pool.h"
#include "config/config.h"
#include "fakes/loop.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "store/store.h"
#include "support/scratch.h"
#include "worker/worker.h"

#define INPUT_MAX (64u * 1024 * 1024)

struct heard {
    struct list link;
    enum message_type type;
    struct buf body;
};

struct peer {
    struct channel *channel;
    struct list heard;
    struct heard *current;
    unsigned uses;
    union any_message message;
};

struct scene {
    struct loop *loop;
    struct pool *pool;
    struct config *config;
    struct store *store;
    struct ledger *ledger;
    struct upload_table *uploads;
    struct worker *worker;
    struct peer peers[ROLES];
};

static struct error err;

struct scene *scene_new(const char *settings)
{
    static const struct worker_options nothing;

    return scene_new_with(settings, &nothing);
}

struct scene *scene_new_with(const char *settings, const struct worker_options *extra)
{
    struct scene *scene = NEW(struct scene);
    const char *root = scratch_make();
    struct buf text;

    buf_init(&text, 65536);
    buf_printf(&text, "storage: { path: %s }\nlog: { access: false }\n%s", root, settings);
    (void)signal(SIGPIPE, SIG_IGN);
    clock_freeze((struct monotime){1000000}, (struct walltime){1700000000000});
    assert_int_equal(config_parse(buf_bytes(&text), &scene->config, &err), 0);
    if (!strstr(settings, "shadow_check"))
        scene->config->hosted.shadow_check = SHADOW_CHECK_OFF;
    buf_cleanup(&text);
    assert_int_equal(store_prepare(root, &err), 0);
    assert_int_equal(store_open(root, &scene->store, &err), 0);
    assert_int_equal(ledger_open(store_ledger_folder(scene->store), true, &scene->ledger, &err), 0);
    assert_int_equal(upload_table_new(16, &scene->uploads, &err), 0);
    scene->loop = loop_new();
    scene->pool = pool_new(1);
    loop_add_pool(scene->loop, scene->pool);
    for (unsigned i = 0; i < ROLES; i++)
        list_init(&scene->peers[i].heard);
    struct worker_options options = {
        .loop = scene->loop,
        .pool = scene->pool,
        .config = scene->config,
        .store = scene->store,
        .ledger = scene->ledger,
        .uploads = scene->uploads,
        .authenticator = extra->authenticator,
        .authorizer = extra->authorizer,
        .endpoints = extra->endpoints,
        .endpoint_count = extra->endpoint_count,
        .workers = 1,
    };
    scene->worker = worker_new(&options);
    scene_connect(scene, ROLE_FETCHER);
    scene_connect(scene, ROLE_KEEPER);
    return scene;
}

static void heard_free(struct heard *heard)
{
    if (!heard)
        return;
    buf_cleanup(&heard->body);
    mem_free(heard);
}

static void peer_clean(struct peer *peer)
{
    channel_free(&peer->channel);
    heard_free(TAKE(peer->current));
    while (!list_is_empty(&peer->heard)) {
        struct heard *heard = LIST_ITEM(peer->heard.next, struct heard, link);

        list_remove(&heard->link);
        heard_free(heard);
    }
}

void scene_end_worker(struct scene *scene)
{
    worker_free(&scene->worker);
}

void scene_free(struct scene *scene)
{
    scene_end_worker(scene);
    for (unsigned i = 0; i < ROLES; i++)
        peer_clean(&scene->peers[i]);
    pool_free(&scene->pool);
    loop_free(&scene->loop);
    upload_table_detach(&scene->uploads);
    ledger_close(&scene->ledger);
    store_close(&scene->store);
    config_unref(&scene->config);
    mem_free(scene);
    clock_thaw();
    scratch_remove();
}

void scene_settle(struct scene *scene)
{
    fake_loop_hold_clock(scene->loop, 0);
    fake_loop_settle(scene->loop);
}

void scene_pass(struct scene *scene, uint64_t ms)
{
    uint64_t until = clock_mono().ms + ms;

    scene_settle(scene);
    while (clock_mono().ms < until) {
        uint64_t before = clock_mono().ms;

        fake_loop_hold_clock(scene->loop, until - before);
        fake_loop_settle(scene->loop);
        if (clock_mono().ms == before)
            clock_advance(until - before);
    }
    scene_settle(scene);
}

struct ledger_txn *scene_write(struct scene *scene)
{
    struct ledger_txn *txn;

    assert_int_equal(ledger_write(scene->ledger, &txn, &err), 0);
    ledger_next_number(txn);
    return txn;
}

void scene_commit(struct ledger_txn *txn)
{
    assert_int_equal(ledger_commit(&txn, &err), 0);
}

void scene_put_blob(struct scene *scene, struct ledger_txn *txn, struct slice bytes, bool is_public,
                    struct digest *out_digest)
{
    char name[STORE_NAME_SIZE];
    uint64_t inode;
    int fd;

    digest_of(HASH_SHA256, bytes, out_digest);
    store_spool_name(out_digest, 1, name);
    assert_int_equal(store_file_create(scene->store, PLACE_SPOOL, name, &fd, &err), 0);
    assert_int_equal(fd_write_all(fd, bytes.data, bytes.length, &err), 0);
    assert_int_equal(store_file_inode(fd, &inode, &err), 0);
    struct store_file file = {PLACE_SPOOL, name, inode, bytes.length};
    assert_int_equal(store_place(scene->store, &file, out_digest, &err), 0);
    fd_close(&fd);
    struct blob_record record = {
        .size = bytes.length, .is_public = is_public, .stored_ms = 1, .where = BLOB_HERE};
    blob_put(txn, out_digest, &record);
}

void scene_put_manifest(struct ledger_txn *txn, const char *origin, const char *name,
                        const char *tag, struct slice bytes, uint64_t checked_ms)
{
    struct repository repository;
    struct digest digest;

    digest_of(HASH_SHA256, bytes, &digest);
    repository_get(txn, slice_of(origin), slice_of(name), &repository);
    repository.is_hosted = origin[0] == '\0';
    repository.links++;
    repository_put(txn, slice_of(origin), slice_of(name), &repository);
    struct manifest_record record = {
        .size = bytes.length,
        .media_type = SLICE_LITERAL("application/vnd.oci.image.manifest.v1+json"),
        .bytes = bytes,
    };
    manifest_put(txn, &digest, &record);
    link_put(txn, repository.id, &digest, LINK_MANIFEST, record.media_type);
    struct tag tagged = {.digest = digest, .changed_ms = 1, .checked_ms = checked_ms};
    tag_put(txn, repository.id, slice_of(tag), &tagged);
}

struct pool *scene_pool(struct scene *scene)
{
    return scene->pool;
}

struct worker *scene_worker(struct scene *scene)
{
    return scene->worker;
}

struct store *scene_store(struct scene *scene)
{
    return scene->store;
}

struct config *scene_config(struct scene *scene)
{
    return scene->config;
}

struct upload_table *scene_uploads(struct scene *scene)
{
    return scene->uploads;
}

int scene_open_upload(struct scene *scene, const char *repository, const char *id)
{
    struct upload_id parsed;
    struct slice name = slice_of(repository);
    char file[STORE_NAME_SIZE];
    int fd = -1;

    assert_true(upload_id_parse(slice_of(id), &parsed));
    store_upload_name(&parsed, upload_repository_key(&name), file);
    assert_int_equal(store_file_open(scene->store, PLACE_UPLOADS, file, &fd, &err), 0);
    return fd;
}

bool scene_find_upload(struct scene *scene, const char *id, struct upload_progress *out)
{
    struct upload_id parsed;

    assert_true(upload_id_parse(slice_of(id), &parsed));
    return upload_table_get(scene->uploads, &parsed, out);
}

static void count_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    (void)name;
    (void)size;
    (void)modified_ms;
    ++*(size_t *)arg;
}

void scene_each_upload(struct scene *scene, size_t *count)
{
    assert_int_equal(store_file_each(scene->store, PLACE_UPLOADS, count_file, count, &err), 0);
}

static void remove_upload(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    struct scene *scene = arg;

    (void)size;
    (void)modified_ms;
    assert_int_equal(store_file_remove(scene->store, PLACE_UPLOADS, name, &err), 0);
}

void scene_remove_uploads(struct scene *scene)
{
    assert_int_equal(store_file_each(scene->store, PLACE_UPLOADS, remove_upload, scene, &err), 0);
}

/* ---- peers ---- */

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    (void)fd;
    struct peer *peer = arg;
    struct heard *heard = NEW(struct heard);
    peer->uses += type == MESSAGE_USED;
    heard->type = type;
    buf_init(&heard->body, INPUT_MAX);
    buf_append_slice(&heard->body, body);
    list_init(&heard->link);
    list_append(&peer->heard, &heard->link);
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    struct peer *peer = arg;
    channel_free(&peer->channel);
}

static const struct channel_handler handler = {.on_message = on_message, .on_closed = on_closed};

void scene_connect(struct scene *scene, enum process_role role)
{
    int fds[2];

    assert_int_equal(channel_pair(fds, &err), 0);
    struct peer *peer = &scene->peers[role];
    channel_free(&peer->channel);
    peer->channel =
        channel_new(scene->loop, &fds[1], (struct channel_ends){role, ROLE_WORKER}, &handler, peer);
    worker_set_peer(scene->worker, role, &fds[0]);
    scene_settle(scene);
}

void scene_disconnect(struct scene *scene, enum process_role role)
{
    channel_free(&scene->peers[role].channel);
    scene_settle(scene);
}

static struct heard *next_heard(struct scene *scene, enum process_role role)
{
    struct peer *peer = &scene->peers[role];

    scene_settle(scene);
    while (!list_is_empty(&peer->heard)) {
        struct heard *heard = LIST_ITEM(peer->heard.next, struct heard, link);

        list_remove(&heard->link);
        if (heard->type != MESSAGE_USED)
            return heard;
        heard_free(heard);
    }
    return NULL;
}

const union any_message *scene_heard(struct scene *scene, enum process_role role,
                                     enum message_type type)
{
    struct peer *peer = &scene->peers[role];

    heard_free(peer->current);
    peer->current = next_heard(scene, role);
    if (!peer->current) {
        fail_msg("the worker said nothing instead of %s", message_name(type));
    } else if (peer->current->type != type) {
        fail_msg("the worker said %s instead of %s", message_name(peer->current->type),
                 message_name(type));
    } else {
        assert_int_equal(
            message_decode(type, buf_bytes(&peer->current->body), &peer->message, &err), 0);
    }
    return &peer->message;
}

const union any_message *scene_heard_any(struct scene *scene, enum process_role role,
                                         enum message_type *out_type)
{
    struct peer *peer = &scene->peers[role];

    heard_free(peer->current);
    peer->current = next_heard(scene, role);
    if (!peer->current)
        return NULL;
    *out_type = peer->current->type;
    assert_int_equal(
        message_decode(*out_type, buf_bytes(&peer->current->body), &peer->message, &err), 0);
    return &peer->message;
}

void scene_heard_nothing(struct scene *scene, enum process_role role)
{
    struct heard *heard = next_heard(scene, role);

    if (heard)
        fail_msg("the worker said %s", message_name(heard->type));
}

unsigned scene_uses(struct scene *scene)
{
    scene_settle(scene);
    return scene->peers[ROLE_KEEPER].uses;
}

void scene_say(struct scene *scene, enum process_role role, enum message_type type,
               const void *message, int fd)
{
    channel_send(scene->peers[role].channel, type, message, fd);
    scene_settle(scene);
}

void scene_done(struct scene *scene, uint64_t request)
{
    struct message_done done = {.request = request, .number = 1};

    scene_say(scene, ROLE_KEEPER, MESSAGE_DONE, &done, -1);
}

/* ---- clients ---- */

void guest_come(struct scene *scene, struct guest *guest, enum listener_kind kind)
{
    int fds[2];

    *guest = (struct guest){.fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    guest->fd = fds[0];
    buf_init(&guest->input, INPUT_MAX);
    worker_adopt(scene->worker, &fds[1], kind, "test");
    scene_settle(scene);
}

void guest_connect(struct scene *scene, struct guest *guest, enum listener_kind kind)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(sa_family_t); /* the kernel gives it a name */

    *guest = (struct guest){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    buf_init(&guest->input, INPUT_MAX);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listening, 1), 0);
    length = sizeof(address);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(guest->fd, (struct sockaddr *)&address, length), 0);
    worker_listen(scene->worker, &listening, kind, "test", false);
    scene_settle(scene);
}

void guest_leave(struct scene *scene, struct guest *guest)
{
    fd_close(&guest->fd);
    buf_cleanup(&guest->input);
    scene_settle(scene);
}

void guest_send(struct scene *scene, struct guest *guest, const char *fmt, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, INPUT_MAX);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    while (buf_bytes(&text).length > 0) {
        struct slice rest = buf_bytes(&text);
        ssize_t sent = send(guest->fd, rest.data, rest.length, MSG_NOSIGNAL);

        if (sent > 0)
            buf_consume(&text, (size_t)sent);
        else
            assert_int_equal(errno, EAGAIN);
        scene_settle(scene);
    }
    buf_cleanup(&text);
}

static bool receive(struct guest *guest)
{
    char *room = buf_reserve(&guest->input, 65536);

    assert_non_null(room);
    ssize_t got = recv(guest->fd, room, 65536, 0);
    if (got > 0)
        buf_added(&guest->input, (size_t)got);
    else if (got == 0 || errno != EAGAIN)
        guest->is_closed = true;
    return got > 0;
}

const char *guest_got(struct scene *scene, struct guest *guest)
{
    do
        scene_settle(scene);
    while (!guest->is_closed && receive(guest));
    return buf_text(&guest->input);
}

size_t guest_body_length(struct scene *scene, struct guest *guest)
{
    const char *text = guest_got(scene, guest);
    const char *end = strstr(text, "\r\n\r\n");

    assert_non_null(end);
    return buf_bytes(&guest->input).length - (size_t)(end + 4 - text);
}

int guest_status(struct scene *scene, struct guest *guest)
{
    const char *text = guest_got(scene, guest);

    if (strncmp(text, "HTTP/1.1 ", 9) != 0)
        return 0;
    return (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
}

void guest_forget(struct guest *guest)
{
    buf_clear(&guest->input);
}
