/* SPDX-License-Identifier: Apache-2.0 */
/* See stage.h. */
#include "stage.h"
#include "role.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/pool.h"
#include "config/config.h"
#include "fakes/loop.h"
#include "fetcher/fetcher.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "oci/media_type.h"
#include "store/ledger.h"
#include "store/store.h"
#include "support/scratch.h"

#define REQUESTS_MAX 200
#define CONTENTS_MAX 16

struct stage_worker {
    struct channel *channel;
    struct channel *predecessor; /* the channel of an older process of the slot */
};

static struct {
    char root[300];
    struct loop *loop;
    struct pool *pool;
    struct store *store;
    struct ledger *ledger;
    struct config *config;
    struct fetcher *fetcher;
    struct stage_worker workers[STAGE_WORKERS];
    struct channel *keeper;
    bool is_keeper_held;
    bool was_repeated;
    bool is_drained;
    uint64_t commits;
    unsigned messages[MESSAGE_TYPES];
    struct seen seen[REQUESTS_MAX];
    uint64_t last_request;
    char *contents[CONTENTS_MAX];
    unsigned content_count;
    const char *origin; /* of the next JOINs */
    unsigned questions; /* to the master, for newer passwords */
} stage;

static struct error err;

/* ---- the worker's side ---- */

struct seen *stage_seen(uint64_t request)
{
    assert_true(request < REQUESTS_MAX);
    return &stage.seen[request];
}

static void take_fd(struct seen *seen, int *fd)
{
    fd_close(&seen->fd);
    seen->fd = fd_take(fd);
    assert_true(seen->fd >= 0);
}

static void see_answer(const struct message_answer *answer)
{
    struct seen *seen = stage_seen(answer->request);

    seen->answers++;
    seen->state = answer->state;
    seen->digest = answer->digest;
    seen->body_length = answer->body.length;
    digest_of(HASH_SHA256, answer->body, &seen->body_digest);
    seen->body_size = answer->size;
    size_t shown = answer->body.length;
    if (shown > sizeof(seen->body))
        shown = sizeof(seen->body);
    if (shown > 0)
        memcpy(seen->body, answer->body.data, shown);
    (void)snprintf(seen->text, sizeof(seen->text), "%.*s", SLICE_PRINT(answer->warning));
    (void)snprintf(seen->link, sizeof(seen->link), "%.*s", SLICE_PRINT(answer->link));
}

static void see_failed(const struct message_failed *failed)
{
    struct seen *seen = stage_seen(failed->request);

    seen->faileds++;
    seen->failure = (enum error_kind)failed->kind;
    seen->retry_after = failed->retry_after;
    (void)snprintf(seen->text, sizeof(seen->text), "%.*s", SLICE_PRINT(failed->text));
}

static void see_open(const struct message_open *open, int *fd)
{
    struct seen *seen = stage_seen(open->request);

    seen->opens++;
    seen->size = open->size;
    seen->bytes = open->bytes;
    seen->is_strict = open->is_strict;
    take_fd(seen, fd);
}

static void see_taken(const struct message_taken *taken, int *fd)
{
    struct seen *seen = stage_seen(taken->request);

    seen->takens++;
    seen->size = taken->size;
    seen->bytes = taken->bytes;
    seen->same_until = taken->same_until;
    take_fd(seen, fd);
}

static void on_worker_message(struct channel *channel, enum message_type type, struct slice body,
                              int *fd, void *arg)
{
    union {
        struct message_here here;
        struct message_open open;
        struct message_grew grew;
        struct message_taken taken;
        struct message_verified verified;
        struct message_answer answer;
        struct message_failed failed;
    } message;

    (void)channel;
    (void)arg;
    assert_int_equal(message_decode(type, body, &message, &err), 0);
    if (type == MESSAGE_HERE) {
        stage_seen(message.here.request)->heres++;
    } else if (type == MESSAGE_OPEN) {
        see_open(&message.open, fd);
    } else if (type == MESSAGE_GREW) {
        stage_seen(message.grew.request)->grews++;
        stage_seen(message.grew.request)->bytes = message.grew.bytes;
    } else if (type == MESSAGE_TAKEN) {
        see_taken(&message.taken, fd);
    } else if (type == MESSAGE_VERIFIED) {
        stage_seen(message.verified.request)->verifieds++;
        stage_seen(message.verified.request)->size = message.verified.size;
    } else if (type == MESSAGE_ANSWER) {
        see_answer(&message.answer);
    } else {
        assert_int_equal(type, MESSAGE_FAILED);
        see_failed(&message.failed);
    }
}

static void on_worker_closed(struct channel *channel, void *arg)
{
    struct stage_worker *worker = arg;

    channel_free(channel == worker->channel ? &worker->channel : &worker->predecessor);
}

static const struct channel_handler worker_handler = {
    .on_message = on_worker_message,
    .on_closed = on_worker_closed,
};

void stage_damage(const struct digest *digest, uint64_t size)
{
    char text[DIGEST_TEXT_SIZE];
    char path[600];

    (void)digest_print(digest, text);
    (void)snprintf(path, sizeof(path), "%s/blobs/sha256/%.2s/%s", stage.root, text + 7, text + 7);
    assert_int_equal(truncate(path, (off_t)size), 0);
}

void stage_use_origin(const char *origin)
{
    stage.origin = origin;
}

uint64_t stage_join(unsigned worker, enum join_kind kind, const char *repository,
                    const char *reference, const struct digest *digest, uint64_t size)
{
    struct message_join join = {
        .request = ++stage.last_request,
        .kind = kind,
        .origin = slice_of(stage.origin),
        .repository = slice_of(repository),
        .reference = slice_of(reference),
        .size = size,
    };

    if (digest)
        join.digest = *digest;
    channel_send(stage.workers[worker].channel, MESSAGE_JOIN, &join, -1);
    return join.request;
}

uint64_t stage_join_own(unsigned worker, enum join_kind kind, const char *repository,
                        const struct digest *digest)
{
    struct message_join join = {
        .request = ++stage.last_request,
        .kind = kind,
        .origin = slice_of(stage.origin),
        .repository = slice_of(repository),
        .digest = *digest,
        .size = UINT64_MAX,
        .is_check = 1,
    };

    channel_send(stage.workers[worker].channel, MESSAGE_JOIN, &join, -1);
    return join.request;
}

void stage_leave(unsigned worker, uint64_t request)
{
    struct message_leave leave = {.request = request};

    channel_send(stage.workers[worker].channel, MESSAGE_LEAVE, &leave, -1);
}

/* ---- the keeper's side ---- */

static void link_in(struct ledger_txn *txn, struct slice origin, struct slice name,
                    const struct digest *digest, unsigned kinds)
{
    struct repository repository;

    if (name.length == 0)
        return;
    repository_get(txn, origin, name, &repository);
    link_put(txn, repository.id, digest, kinds, slice_of(""));
}

static void put_tag(struct ledger_txn *txn, const struct message_tag_checked *checked)
{
    struct repository repository;
    struct tag tag = {.digest = checked->digest, .checked_ms = checked->checked};

    repository_get(txn, checked->origin, checked->repository, &repository);
    tag_put(txn, repository.id, checked->tag, &tag);
}

static void store_blob(struct ledger_txn *txn, const struct message_blob_stored *stored)
{
    char name[STORE_NAME_SIZE];
    struct blob_record record = {
        .size = stored->size, .is_public = stored->is_public, .where = BLOB_HERE};

    (void)snprintf(name, sizeof(name), "%.*s", SLICE_PRINT(stored->file));
    struct store_file file = {PLACE_SPOOL, name, stored->inode, stored->size};
    assert_int_equal(store_place(stage.store, &file, &stored->digest, &err), 0);
    blob_put(txn, &stored->digest, &record);
    link_in(txn, stored->origin, stored->repository, &stored->digest, LINK_BLOB);
}

static void store_manifest(struct ledger_txn *txn, const struct message_manifest_stored *stored)
{
    char name[STORE_NAME_SIZE];
    struct blob_record blob = {
        .size = stored->size, .is_public = stored->is_public, .where = BLOB_HERE};
    struct manifest_record record = {
        .size = stored->size,
        .media_type = stored->media_type,
        .is_typed = stored->is_typed != 0,
        .references = stored->references,
        .bytes = stored->body,
    };
    struct message_tag_checked checked = {
        .origin = stored->origin,
        .repository = stored->repository,
        .tag = stored->tag,
        .digest = stored->digest,
        .checked = stored->checked,
    };

    (void)snprintf(name, sizeof(name), "%.*s", SLICE_PRINT(stored->file));
    struct store_file file = {PLACE_SPOOL, name, stored->inode, stored->size};
    assert_int_equal(store_place(stage.store, &file, &stored->digest, &err), 0);
    manifest_put(txn, &stored->digest, &record);
    blob_put(txn, &stored->digest, &blob);
    link_in(txn, stored->origin, stored->repository, &stored->digest, LINK_MANIFEST);
    if (stored->tag.length > 0)
        put_tag(txn, &checked);
}

static void answer_keeper(struct channel *channel, uint64_t request, uint64_t number)
{
    struct message_done done = {.request = request, .number = number};

    channel_send(channel, MESSAGE_DONE, &done, -1);
}

static void on_keeper_message(struct channel *channel, enum message_type type, struct slice body,
                              int *fd, void *arg)
{
    union {
        struct message_barrier barrier;
        struct message_blob_stored blob;
        struct message_link link;
        struct message_manifest_stored manifest;
        struct message_tag_checked tag;
    } message;
    struct ledger_txn *txn = NULL;
    uint64_t request = 0;

    fd_close(fd);
    (void)arg;
    assert_int_equal(message_decode(type, body, &message, &err), 0);
    stage.messages[type]++;
    if (type == MESSAGE_BARRIER) {
        answer_keeper(channel, message.barrier.request, 0);
        return;
    }
    if (stage.is_keeper_held)
        return;
    assert_int_equal(ledger_write(stage.ledger, &txn, &err), 0);
    if (type == MESSAGE_BLOB_STORED) {
        request = message.blob.head.request;
        stage.was_repeated = message.blob.head.repeated;
        store_blob(txn, &message.blob);
    } else if (type == MESSAGE_LINK) {
        request = message.link.head.request;
        link_in(txn, message.link.origin, message.link.repository, &message.link.digest, LINK_BLOB);
    } else if (type == MESSAGE_MANIFEST_STORED) {
        request = message.manifest.head.request;
        store_manifest(txn, &message.manifest);
    } else {
        assert_int_equal(type, MESSAGE_TAG_CHECKED);
        request = message.tag.head.request;
        put_tag(txn, &message.tag);
    }
    uint64_t number = ledger_next_number(txn);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    stage.commits++;
    answer_keeper(channel, request, number);
}

static void on_keeper_closed(struct channel *channel, void *arg)
{
    (void)channel;
    (void)arg;
    channel_free(&stage.keeper);
}

static const struct channel_handler keeper_handler = {
    .on_message = on_keeper_message,
    .on_closed = on_keeper_closed,
};

void stage_hold_keeper(bool is_held)
{
    stage.is_keeper_held = is_held;
}

uint64_t stage_commits(void)
{
    return stage.commits;
}

unsigned stage_messages(enum message_type type)
{
    return stage.messages[type];
}

/* ---- time ---- */

void stage_until(bool (*holds)(uint64_t number), uint64_t number)
{
    for (unsigned turn = 0; turn < 100000; turn++) {
        if (holds(number))
            return;
        loop_turn(stage.loop, 1000);
    }
    fail_msg("what was waited for did not come");
}

void stage_pass(uint64_t ms)
{
    uint64_t end = clock_mono().ms + ms;

    fake_loop_hold_clock(stage.loop, ms);
    fake_loop_settle(stage.loop);
    if (clock_mono().ms < end) /* no timer is left before the end */
        clock_advance(end - clock_mono().ms);
    fake_loop_hold_clock(stage.loop, 0);
    fake_loop_settle(stage.loop);
    fake_loop_hold_clock(stage.loop, UINT64_MAX);
}

bool stage_is_over(uint64_t request)
{
    const struct seen *seen = stage_seen(request);

    return seen->verifieds + seen->heres + seen->faileds + seen->answers > 0;
}

bool stage_is_verified(uint64_t request)
{
    return stage_seen(request)->verifieds > 0;
}

bool stage_is_open(uint64_t request)
{
    return stage_seen(request)->opens > 0;
}

bool stage_has_taken(uint64_t request)
{
    return stage_seen(request)->takens > 0;
}

bool stage_has_commits(uint64_t count)
{
    return stage.commits >= count;
}

/* ---- content ---- */

struct slice stage_bytes(unsigned number, size_t length)
{
    assert_true(stage.content_count < CONTENTS_MAX);
    char *bytes = mem_alloc(length + 1);
    uint32_t value = number * 2654435761u + 1;

    for (size_t i = 0; i < length; i++) {
        value = value * 1664525u + 1013904223u;
        bytes[i] = (char)(value >> 24);
    }
    stage.contents[stage.content_count++] = bytes;
    return slice_from(bytes, length);
}

struct digest stage_digest(struct slice bytes)
{
    struct digest digest;

    digest_of(HASH_SHA256, bytes, &digest);
    return digest;
}

void stage_assert_file(int fd, struct slice bytes)
{
    uint64_t size = 0;
    char *read = mem_alloc(bytes.length + 1);

    assert_int_equal(fd_size(fd, &size, &err), 0);
    assert_int_equal(size, bytes.length);
    assert_int_equal(fd_pread_all(fd, read, bytes.length, 0, &err), 0);
    assert_memory_equal(read, bytes.data, bytes.length);
    mem_free(read);
}

struct slice stage_manifest(void)
{
    return SLICE_LITERAL(
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST
        "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"
        "\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},"
        "\"layers\":[]}");
}

/* ---- life ---- */

static void on_drained(void *arg)
{
    (void)arg;
    stage.is_drained = true;
}

/* The master's answer: the newest configuration. */
static void answer_question(void *arg)
{
    (void)arg;
    fetcher_set_config(stage.fetcher, stage.fetcher->config);
}

static void ask_master(enum control_kind kind, uint64_t argument, void *arg)
{
    (void)argument;
    (void)arg;
    if (kind != CONTROL_READ_FILES)
        return;
    stage.questions++;
    loop_defer(stage.loop, answer_question, &stage.questions);
}

unsigned stage_questions(void)
{
    return stage.questions;
}

void stage_start_fetcher(bool with_keeper)
{
    struct fetcher_options options = {
        .loop = stage.loop,
        .pool = stage.pool,
        .config = stage.config,
        .store = stage.store,
        .ledger = stage.ledger,
        .on_drained = on_drained,
        .ask_master = ask_master,
    };
    int pair[2];

    stage.fetcher = fetcher_new(&options);
    for (unsigned i = 0; i < STAGE_WORKERS; i++) {
        channel_free(&stage.workers[i].channel);
        assert_int_equal(channel_pair(pair, &err), 0);
        stage.workers[i].channel =
            channel_new(stage.loop, &pair[0], (struct channel_ends){ROLE_WORKER, ROLE_FETCHER},
                        &worker_handler, &stage.workers[i]);
        fetcher_add_worker(stage.fetcher, i, i + 1, &pair[1]);
    }
    channel_free(&stage.keeper);
    if (!with_keeper)
        return;
    assert_int_equal(channel_pair(pair, &err), 0);
    stage.keeper =
        channel_new(stage.loop, &pair[0], (struct channel_ends){ROLE_KEEPER, ROLE_FETCHER},
                    &keeper_handler, NULL);
    fetcher_set_keeper(stage.fetcher, &pair[1]);
}

void stage_stop_fetcher(void)
{
    fetcher_free(&stage.fetcher);
}

void stage_restart_fetcher(void)
{
    stage_stop_fetcher();
    stage_start_fetcher(true);
}

void stage_kill_worker(unsigned worker)
{
    channel_free(&stage.workers[worker].channel);
}

void stage_succeed_worker(unsigned worker)
{
    struct stage_worker *slot = &stage.workers[worker];
    int pair[2];

    assert_null(slot->predecessor);
    slot->predecessor = slot->channel;
    assert_int_equal(channel_pair(pair, &err), 0);
    slot->channel =
        channel_new(stage.loop, &pair[0], (struct channel_ends){ROLE_WORKER, ROLE_FETCHER},
                    &worker_handler, slot);
    fetcher_add_worker(stage.fetcher, worker, STAGE_WORKERS + 1, &pair[1]);
}

void stage_end_predecessor(unsigned worker)
{
    channel_free(&stage.workers[worker].predecessor);
}

void stage_replace_keeper(void)
{
    int pair[2];

    channel_free(&stage.keeper);
    assert_int_equal(channel_pair(pair, &err), 0);
    stage.keeper =
        channel_new(stage.loop, &pair[0], (struct channel_ends){ROLE_KEEPER, ROLE_FETCHER},
                    &keeper_handler, NULL);
    fetcher_set_keeper(stage.fetcher, &pair[1]);
}

bool stage_was_repeated(void)
{
    return stage.was_repeated;
}

bool stage_is_drained(uint64_t unused)
{
    (void)unused;
    return stage.is_drained;
}

struct fetcher *stage_fetcher(void)
{
    return stage.fetcher;
}

void stage_open(const char *yaml)
{
    char text[4096];

    memset(&stage, 0, sizeof(stage));
    stage.origin = "docker.io";
    for (unsigned i = 0; i < REQUESTS_MAX; i++)
        stage.seen[i].fd = -1;
    clock_freeze((struct monotime){1000000}, (struct walltime){1700000000000});
    (void)snprintf(stage.root, sizeof(stage.root), "%s/root", scratch_make());
    (void)snprintf(text, sizeof(text), "storage:\n  path: %s\nupstreams:\n%s", stage.root,
                   yaml ? yaml : "  docker.io:\n    url: https://hub.test\n    default: true\n");
    if (config_parse(slice_of(text), &stage.config, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(store_prepare(stage.root, &err), 0);
    assert_int_equal(store_open(stage.root, &stage.store, &err), 0);
    if (ledger_open(store_ledger_folder(stage.store), true, &stage.ledger, &err) != 0)
        fail_msg("%s", err.text);
    stage.loop = loop_new();
    stage.pool = pool_new(1);
    loop_add_pool(stage.loop, stage.pool);
    stage_start_fetcher(true);
}

void stage_close(void)
{
    fetcher_free(&stage.fetcher);
    for (unsigned i = 0; i < STAGE_WORKERS; i++) {
        channel_free(&stage.workers[i].channel);
        channel_free(&stage.workers[i].predecessor);
    }
    channel_free(&stage.keeper);
    loop_free(&stage.loop);
    pool_free(&stage.pool);
    ledger_close(&stage.ledger);
    store_close(&stage.store);
    config_unref(&stage.config);
    for (unsigned i = 0; i < REQUESTS_MAX; i++)
        fd_close(&stage.seen[i].fd);
    for (unsigned i = 0; i < stage.content_count; i++)
        mem_free(stage.contents[i]);
    clock_thaw();
    scratch_remove();
}
