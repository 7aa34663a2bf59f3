/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/pool.h"
#include "fakes/loop.h"
#include "ipc/channel.h"
#include "keeper/keeper.h"
#include "net/loop.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "support/scratch.h"

#define ANSWERS   4096
#define TURNS_MAX 2000

struct config world_config;
uint64_t world_liar;
struct store *world_store;
struct ledger *world_ledger;
struct upload_table *world_uploads;
struct loop *world_loop;
struct keeper *world_keeper;

static struct pool *pool;
static struct channel *channels[WHO];
static struct ledger_reader *reader;
static struct error err;
static uint64_t last_request;
static uint64_t last_changed;
static unsigned last_file;
static struct answer *answers; /* by request */

static const struct slice hosted = {"", 0};
static const struct actor pusher = {
    .principal = {"alice", 5}, .address = {"127.0.0.1", 9}, .request_id = {"17", 2}};

/* ---- channels ---- */

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    (void)channel;
    (void)fd;
    (void)arg;
    struct answer answer = {.type = type};
    uint64_t request = 0;
    if (type == MESSAGE_CHANGED) {
        struct message_changed changed;

        assert_int_equal(message_decode(type, body, &changed, &err), 0);
        assert_true(changed.number >= last_changed);
        last_changed = changed.number;
        return;
    }
    if (type == MESSAGE_DONE) {
        struct message_done done;

        assert_int_equal(message_decode(type, body, &done, &err), 0);
        request = done.request;
        answer.number = done.number;
    } else {
        struct message_refused refused;

        assert_int_equal(type, MESSAGE_REFUSED);
        assert_int_equal(message_decode(type, body, &refused, &err), 0);
        request = refused.request;
        answer.kind = (enum error_kind)refused.kind;
        (void)snprintf(answer.text, sizeof(answer.text), "%.*s", SLICE_PRINT(refused.text));
        assert_true(refused.digests.length <= sizeof(answer.digests));
        if (refused.digests.length > 0)
            memcpy(answer.digests, refused.digests.data, refused.digests.length);
        answer.digests_length = refused.digests.length;
    }
    assert_true(request < ANSWERS);
    assert_int_equal(answers[request].type, MESSAGE_NONE); /* answered once */
    answers[request] = answer;
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    (void)arg;
}

static const struct channel_handler handler = {.on_message = on_message, .on_closed = on_closed};

static struct channel *connect_peer(enum who who)
{
    int fds[2];

    assert_int_equal(channel_pair(fds, &err), 0);
    enum process_role role = who == FETCHER ? ROLE_FETCHER : ROLE_WORKER;
    keeper_set_peer(world_keeper, role, who == WORKER_1, (uint64_t)who + 1, &fds[1]);
    return channel_new(world_loop, &fds[0], (struct channel_ends){role, ROLE_KEEPER}, &handler,
                       NULL);
}

static void on_ask_master(enum control_kind kind, uint64_t argument, void *arg)
{
    (void)arg;
    assert_int_equal(kind, CONTROL_PEER_LIED);
    world_liar = argument;
}

/* ---- life ---- */

static void on_drained(void *arg)
{
    (void)arg;
}

static void start_keeper(void)
{
    assert_int_equal(ledger_open(store_ledger_folder(world_store), true, &world_ledger, &err), 0);
    struct keeper_options options = {.loop = world_loop,
                                     .pool = pool,
                                     .config = &world_config,
                                     .store = world_store,
                                     .ledger = world_ledger,
                                     .uploads = world_uploads,
                                     .ask_master = on_ask_master,
                                     .on_drained = on_drained};
    world_keeper = keeper_new(&options);
    reader = ledger_reader_new(world_ledger);
    for (unsigned who = 0; who < WHO; who++)
        channels[who] = connect_peer((enum who)who);
}

static void stop_keeper(void)
{
    keeper_free(&world_keeper);
    ledger_reader_free(&reader);
    ledger_close(&world_ledger);
    for (unsigned who = 0; who < WHO; who++)
        channel_free(&channels[who]);
}

void world_restart(void)
{
    stop_keeper();
    start_keeper();
}

int world_setup(void **state)
{
    static char pattern[] = "library/*";
    static char name[] = "docker.io";
    static char *protect[] = {pattern};
    static struct config_upstream upstream = {.name = name, .is_default = true};

    (void)state;
    const char *root = scratch_make();
    clock_freeze((struct monotime){1000}, (struct walltime){1700000000000});
    answers = mem_zalloc(ANSWERS, sizeof(struct answer));
    last_request = 0;
    last_changed = 0;
    memset(&world_config, 0, sizeof(world_config));
    world_liar = 0;
    world_config.references = 1;
    world_config.upstreams = &upstream;
    world_config.upstream_count = 1;
    world_config.hosted.protect = (struct config_list){protect, 1};
    world_config.storage.grace_ms = 3600000;
    world_config.limits.uploads = WORLD_UPLOADS;
    world_config.limits.upload_expiry = 24 * 3600000;
    world_loop = loop_new();
    fake_loop_hold_clock(world_loop, 0);
    pool = pool_new(16);
    loop_add_pool(world_loop, pool);
    if (store_prepare(root, &err) != 0 || store_open(root, &world_store, &err) != 0 ||
        upload_table_new(WORLD_UPLOADS, &world_uploads, &err) != 0)
        return -1;
    start_keeper();
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    stop_keeper();
    upload_table_detach(&world_uploads);
    store_close(&world_store);
    pool_free(&pool);
    loop_free(&world_loop);
    mem_free(answers);
    clock_thaw();
    scratch_remove();
    return 0;
}

void world_kill(enum who who)
{
    channel_free(&channels[who]);
    channels[who] = connect_peer(who);
}

struct channel *world_replace(enum who who)
{
    struct channel *old = channels[who];

    channels[who] = connect_peer(who);
    return old;
}

void world_end(struct channel **channel)
{
    channel_free(channel);
}

/* ---- asking ---- */

uint64_t world_post_on(struct channel *channel, enum message_type type, void *message)
{
    struct message_head *head = message_head_of(type, message);

    if (head)
        head->request = ++last_request;
    if (type == MESSAGE_BARRIER)
        ((struct message_barrier *)message)->request = ++last_request;
    channel_send(channel, type, message, -1);
    return last_request;
}

uint64_t world_post(enum who who, enum message_type type, void *message)
{
    return world_post_on(channels[who], type, message);
}

void world_turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        loop_turn(world_loop, 0);
}

void world_pass(uint64_t ms)
{
    uint64_t end = clock_mono().ms + ms;

    fake_loop_hold_clock(world_loop, ms);
    world_turns(50 + (unsigned)ms / 50);
    clock_advance(end - clock_mono().ms);
    world_turns(20);
}

void world_keep_house(void)
{
    fake_loop_hold_clock(world_loop, 40000);
    world_turns(1000);
}

uint64_t world_changed(void)
{
    return last_changed;
}

struct answer world_answer(uint64_t request)
{
    return answers[request];
}

struct answer world_await(uint64_t request)
{
    for (unsigned i = 0; i < TURNS_MAX && answers[request].type == MESSAGE_NONE; i++)
        loop_turn(world_loop, 10);
    return answers[request];
}

struct answer world_ask(enum who who, enum message_type type, void *message)
{
    return world_await(world_post(who, type, message));
}

/* ---- content ---- */

struct digest world_digest(const char *content)
{
    struct digest digest;

    digest_of(HASH_SHA256, slice_of(content), &digest);
    return digest;
}

void world_file(enum store_place place, const char *name, struct slice bytes, uint64_t *out_inode)
{
    int fd = -1;

    assert_int_equal(store_file_create(world_store, place, name, &fd, &err), 0);
    assert_int_equal(fd_write_all(fd, bytes.data, bytes.length, &err), 0);
    assert_int_equal(store_file_sync(world_store, place, fd, true, &err), 0);
    assert_int_equal(store_file_inode(fd, out_inode, &err), 0);
    fd_close(&fd);
}

/* Names live as long as the messages that hold them: one of many, in turn. */
static struct slice fresh_name(void)
{
    static char names[256][32];
    char *name = names[last_file % 256];

    (void)snprintf(name, sizeof(names[0]), "file-%u", last_file++);
    return slice_of(name);
}

struct message_blob_stored world_blob(const char *repository, const char *content)
{
    struct message_blob_stored stored = {
        .head.actor = pusher,
        .place = PLACE_UPLOADS,
        .file = fresh_name(),
        .digest = world_digest(content),
        .size = strlen(content),
        .repository = slice_of(repository),
    };

    world_file(PLACE_UPLOADS, stored.file.data, slice_of(content), &stored.inode);
    return stored;
}

struct digest world_push_blob(const char *repository, const char *content)
{
    struct message_blob_stored stored = world_blob(repository, content);

    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    return stored.digest;
}

/* A document and what a worker says about it; all of it lives on for 64 manifests. */
struct made {
    struct slice body;
    struct slice references;
    struct slice artifact_type;
    struct digest subject;
};

static void put_descriptor(struct buf *body, const char *content, bool is_config)
{
    bool is_foreign = strncmp(content, "foreign", 7) == 0;
    struct digest digest = world_digest(content);
    char text[DIGEST_TEXT_SIZE];
    const char *type = is_config    ? "application/vnd.oci.image.config.v1+json"
                       : is_foreign ? "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
                                    : "application/vnd.oci.image.layer.v1.tar";

    buf_printf(body, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", type,
               digest_print(&digest, text), strlen(content));
}

static void put_image(struct buf *body, const char *const *contents)
{
    buf_append_text(body, "\"config\":");
    put_descriptor(body, contents[0], true);
    buf_append_text(body, ",\"layers\":[");
    for (size_t i = 1; contents[i]; i++) {
        buf_append_text(body, i > 1 ? "," : "");
        put_descriptor(body, contents[i], false);
    }
}

static void put_index(struct buf *body, const struct digest *children, size_t count)
{
    buf_append_text(body, "\"manifests\":[");
    for (size_t i = 0; i < count; i++) {
        struct blob_record blob = world_blob_record(&children[i]);
        char text[DIGEST_TEXT_SIZE];

        buf_printf(body, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu}",
                   i > 0 ? "," : "", MEDIA_TYPE_OCI_MANIFEST, digest_print(&children[i], text),
                   (unsigned long long)blob.size);
    }
}

static struct made make_document(const char *label, const char *const *contents,
                                 const struct digest *children, size_t count)
{
    static struct buf bodies[64];
    static struct buf lists[64];
    static struct manifest *manifests[64];
    static unsigned next;
    unsigned at = next++ % 64;
    struct buf *body = &bodies[at];

    buf_cleanup(body);
    buf_cleanup(&lists[at]);
    manifest_free(&manifests[at]);
    buf_init(body, MANIFEST_MAX_SIZE);
    buf_init(&lists[at], 65536);
    buf_printf(body, "{\"schemaVersion\":2,\"label\":\"%s\",", label);
    if (contents)
        put_image(body, contents);
    else
        put_index(body, children, count);
    buf_append_text(body, "]}");
    assert_int_equal(
        manifest_parse(buf_bytes(body),
                       slice_of(contents ? MEDIA_TYPE_OCI_MANIFEST : MEDIA_TYPE_OCI_INDEX),
                       &manifests[at], &err),
        0);
    reference_list_encode(manifests[at], &lists[at]);
    return (struct made){buf_bytes(body), buf_bytes(&lists[at]),
                         slice_of(manifests[at]->artifact_type), manifests[at]->subject};
}

static struct made make_manifest(const char *label, const char *const *contents)
{
    return make_document(label, contents, NULL, 0);
}

static struct message_manifest_put put_of(const struct made *made, const char *repository,
                                          const char *tags, const char *media_type)
{
    struct message_manifest_put put = {
        .head.actor = pusher,
        .repository = slice_of(repository),
        .tags = slice_of(tags),
        .file = fresh_name(),
        .media_type = slice_of(media_type),
        .size = made->body.length,
        .body = ledger_inline(made->body),
        .references = made->references,
        .artifact_type = made->artifact_type,
        .subject = made->subject,
    };

    digest_of(HASH_SHA256, made->body, &put.digest);
    world_file(PLACE_UPLOADS, put.file.data, made->body, &put.inode);
    return put;
}

struct digest world_push_index(const char *repository, const char *tags, const char *label,
                               const struct digest *children, size_t count)
{
    struct made made = make_document(label, NULL, children, count);
    struct message_manifest_put put = put_of(&made, repository, tags, MEDIA_TYPE_OCI_INDEX);

    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    return put.digest;
}

struct message_manifest_put world_manifest(const char *repository, const char *tags,
                                           const char *label, const char *const *contents)
{
    struct made made = make_manifest(label, contents);

    return put_of(&made, repository, tags, MEDIA_TYPE_OCI_MANIFEST);
}

struct message_manifest_stored world_fetched(const char *repository, const char *tag,
                                             uint64_t checked, const char *label,
                                             const char *const *contents)
{
    struct made made = make_manifest(label, contents);
    struct message_manifest_stored stored = {
        .origin = SLICE_LITERAL("docker.io"),
        .repository = slice_of(repository),
        .tag = slice_of(tag),
        .checked = checked,
        .is_public = 1,
        .file = fresh_name(),
        .media_type = SLICE_LITERAL("application/vnd.oci.image.manifest.v1+json"),
        .size = made.body.length,
        .body = ledger_inline(made.body),
        .references = made.references,
        .artifact_type = made.artifact_type,
        .subject = made.subject,
    };

    digest_of(HASH_SHA256, made.body, &stored.digest);
    world_file(PLACE_SPOOL, stored.file.data, made.body, &stored.inode);
    return stored;
}

struct digest world_push(const char *repository, const char *tags, const char *label,
                         const char *const *contents)
{
    for (size_t i = 0; contents[i]; i++)
        (void)world_push_blob(repository, contents[i]);
    struct message_manifest_put put = world_manifest(repository, tags, label, contents);
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    assert_string_equal(answer.text, "");
    assert_int_equal(answer.type, MESSAGE_DONE);
    return put.digest;
}

/* ---- looking ---- */

struct ledger_txn *world_read(void)
{
    return ledger_read(reader);
}

void world_read_end(void)
{
    ledger_read_end(reader);
}

uint64_t world_number(void)
{
    uint64_t number = 0;

    assert_int_equal(ledger_commit_number(world_read(), &number, &err), 0);
    world_read_end();
    return number;
}

struct repository world_repository(const char *origin, const char *name)
{
    struct repository repository;

    memset(&repository, 0, sizeof(repository));
    struct slice from = origin[0] == '\0' ? hosted : slice_of(origin);
    (void)repository_find(world_read(), from, slice_of(name), &repository);
    world_read_end();
    return repository;
}

struct digest world_tag(const char *origin, const char *repository, const char *tag)
{
    struct tag record;

    memset(&record, 0, sizeof(record));
    uint32_t id = world_repository(origin, repository).id;
    (void)tag_find(world_read(), id, slice_of(tag), &record);
    world_read_end();
    return record.digest;
}

unsigned world_link(const char *origin, const char *repository, const struct digest *digest)
{
    uint32_t id = world_repository(origin, repository).id;
    unsigned kinds = link_find(world_read(), id, digest);

    world_read_end();
    return kinds;
}

struct blob_record world_blob_record(const struct digest *digest)
{
    struct blob_record blob;

    memset(&blob, 0, sizeof(blob));
    (void)blob_find(world_read(), digest, &blob);
    world_read_end();
    return blob;
}

bool world_has_file(const struct digest *digest)
{
    AUTO_CLOSE int fd = -1;

    return store_blob_open(world_store, digest, UINT64_MAX, &fd, NULL, &err) == 0;
}
