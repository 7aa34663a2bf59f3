/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads under random schedules: three clients, any order of the pool's works that threads could
 * have, a keeper that agrees, refuses, dies or loses its answer, and, with odd seeds, disks that
 * fail. Whatever happens, only right files are offered to the keeper, an answer never promises more
 * than the file has, and at the end no session is locked, and each has one slot with the hash of
 * its file.
 *
 * With an argument, that many seeds are tried; a seed that fails is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "fakes/pool.h"
#include "oci/digest.h"
#include "scene.h"
#include "store/store.h"
#include "store/upload_lock.h"

#define CLIENTS   3
#define SESSIONS  8
#define STEPS     160
#define QUESTIONS 16
#define SPOT      "/v2/team/app/blobs/uploads/"
#define IDLE_MS   ((uint64_t)60 * 1000)
#define EXPIRE_MS 31000
#define BODY_MAX  ((size_t)300 * 1024)
#define HEAD_MAX  512
#define NAME_SPOT 80

struct client {
    struct guest guest;
    struct buf rest; /* of its request, not sent yet */
    bool is_asking;
    bool is_post;
};

struct question {
    uint64_t request;           /* 0: free */
    char file[STORE_NAME_SIZE]; /* of a BLOB_STORED */
};

static unsigned seeds = 60;
static unsigned seed;
static uint64_t dice;
static struct error err;
static struct scene *scene;
static struct client clients[CLIENTS];
static char sessions[SESSIONS][NAME_SPOT]; /* locations; "": none */
static unsigned session_count;
static struct question questions[QUESTIONS];
static char letters[BODY_MAX];

static unsigned below(unsigned limit)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((dice >> 33) % limit);
}

static bool one_in(unsigned count)
{
    return below(count) == 0;
}

/* ---- files ---- */

static bool open_session(const char *location, int *out_fd)
{
    struct upload_id id;
    struct slice name = SLICE_LITERAL("team/app");
    char file[STORE_NAME_SIZE];

    if (!upload_id_parse(slice_of(location + strlen(SPOT)), &id))
        return false;
    store_upload_name(&id, upload_repository_key(&name), file);
    return store_file_open(scene_store(scene), PLACE_UPLOADS, file, out_fd, &err) == 0;
}

static void hash_file(int fd, uint64_t size, struct hash *hash)
{
    static char block[BODY_MAX];

    for (uint64_t at = 0; at < size;) {
        size_t length = size - at < sizeof(block) ? (size_t)(size - at) : sizeof(block);

        assert_int_equal(fd_pread_all(fd, block, length, at, &err), 0);
        hash_update(hash, block, length);
        at += length;
    }
}

/* ---- the keeper ---- */

static void check_stored(const struct message_blob_stored *stored, struct question *question)
{
    struct hash hash;
    struct digest real;
    uint64_t size;
    int fd = -1;

    (void)snprintf(question->file, sizeof(question->file), "%.*s", SLICE_PRINT(stored->file));
    if (store_file_open(scene_store(scene), PLACE_UPLOADS, question->file, &fd, &err) != 0)
        return; /* placed before: this is the repeat */
    assert_int_equal(fd_size(fd, &size, &err), 0);
    assert_int_equal(size, stored->size);
    hash_init(&hash, stored->digest.algorithm);
    hash_file(fd, size, &hash);
    digest_from_hash(&hash, &real);
    assert_true(digest_equal(&real, &stored->digest));
    fd_close(&fd);
}

static bool hear(void)
{
    enum message_type type;
    const union any_message *message = scene_heard_any(scene, ROLE_KEEPER, &type);

    if (!message)
        return false;
    struct question *question = questions;
    while (question->request)
        question++;
    assert_true(question < questions + QUESTIONS);
    *question = (struct question){.request = message->push_begun.head.request};
    if (type == MESSAGE_BLOB_STORED)
        check_stored(&message->blob_stored, question);
    return true;
}

static void place(const struct question *question)
{
    if (question->file[0])
        store_file_remove(scene_store(scene), PLACE_UPLOADS, question->file, &err);
}

static void answer(struct question *question, bool is_done)
{
    struct message_refused refused = {
        .request = question->request, .kind = ERR_DENIED, .text = SLICE_LITERAL("protected")};
    uint64_t request = question->request;

    if (is_done)
        place(question);
    question->request = 0;
    if (is_done)
        scene_done(scene, request);
    else
        scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
}

/* False: there was none. */
static bool answer_one(void)
{
    unsigned start = below(QUESTIONS);

    while (hear())
        ;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct question *question = &questions[(start + i) % QUESTIONS];

        if (question->request) {
            answer(question, !one_in(4));
            return true;
        }
    }
    return false;
}

/* What it was doing is done or not; the answers are lost. */
static void replace_keeper(void)
{
    while (hear())
        ;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        if (questions[i].request && one_in(2))
            place(&questions[i]);
        questions[i].request = 0;
    }
    scene_disconnect(scene, ROLE_KEEPER);
    if (one_in(3))
        scene_pass(scene, EXPIRE_MS);
    scene_connect(scene, ROLE_KEEPER);
}

/* ---- the clients ---- */

static void send_rest(struct client *client, size_t max)
{
    struct slice rest = buf_bytes(&client->rest);

    if (rest.length > max)
        rest.length = max;
    ssize_t sent =
        rest.length == 0 ? 0 : send(client->guest.fd, rest.data, rest.length, MSG_NOSIGNAL);
    if (sent > 0)
        buf_consume(&client->rest, (size_t)sent);
    scene_settle(scene);
}

static const char *pick_session(void)
{
    return session_count == 0
               ? SPOT "none"
               : sessions[below(session_count < SESSIONS ? session_count : SESSIONS)];
}

/* Right, if nobody else writes meanwhile, but for one in four. */
static void print_digest(const char *location, size_t length, char out[DIGEST_TEXT_SIZE])
{
    struct hash hash;
    struct digest digest;
    uint64_t size;
    int fd = -1;

    hash_init(&hash, one_in(4) ? HASH_SHA512 : HASH_SHA256);
    if (location && open_session(location, &fd)) {
        assert_int_equal(fd_size(fd, &size, &err), 0);
        hash_file(fd, size, &hash);
    }
    hash_update(&hash, letters, one_in(4) ? length / 2 : length);
    digest_from_hash(&hash, &digest);
    digest_print(&digest, out);
    fd_close(&fd);
}

static void add_body(struct client *client, size_t length)
{
    if (one_in(2)) {
        buf_printf(&client->rest, "Content-Length: %zu\r\n\r\n", length);
        buf_append(&client->rest, letters, length);
    } else {
        buf_append_text(&client->rest, "Transfer-Encoding: chunked\r\n\r\n");
        if (length > 0) {
            buf_printf(&client->rest, "%zx\r\n", length);
            buf_append(&client->rest, letters, length);
            buf_append_text(&client->rest, "\r\n");
        }
        buf_append_text(&client->rest, "0\r\n\r\n");
    }
}

static void ask(struct client *client)
{
    const char *location = pick_session();
    size_t length = one_in(4) ? below((unsigned)BODY_MAX) : below(20);
    unsigned what = session_count == 0 ? below(2) : below(10);
    char digest[DIGEST_TEXT_SIZE];
    struct buf *out = &client->rest;

    client->is_asking = true;
    client->is_post = what == 0;
    if (what == 0) {
        buf_append_text(out, "POST " SPOT " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    } else if (what == 1) {
        print_digest(NULL, length, digest);
        buf_printf(out, "POST " SPOT "?digest=%s HTTP/1.1\r\nHost: x\r\n", digest);
        add_body(client, length);
    } else if (what <= 5) {
        buf_printf(out, "PATCH %s HTTP/1.1\r\nHost: x\r\n", location);
        add_body(client, length);
    } else if (what <= 7) {
        print_digest(location, length, digest);
        buf_printf(out, "PUT %s&digest=%s HTTP/1.1\r\nHost: x\r\n", location, digest);
        add_body(client, length);
    } else {
        buf_printf(out, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", what == 8 ? "GET" : "DELETE",
                   location);
    }
}

/* What was answered is in the file, unless the session has ended since. */
static void check_range(const char *text, const char *location)
{
    const char *range = strstr(text, "\r\nRange: 0-");
    uint64_t size;
    int fd = -1;

    if (!range || !open_session(location, &fd))
        return;
    assert_int_equal(fd_size(fd, &size, &err), 0);
    uint64_t last = strtoull(range + strlen("\r\nRange: 0-"), NULL, 10);
    assert_true(last == 0 || last < size);
    fd_close(&fd);
}

static void look(struct client *client)
{
    const char *text = guest_got(scene, &client->guest);
    const char *location = strstr(text, "Location: " SPOT);
    char found[NAME_SPOT];

    if (!strstr(text, "\r\n\r\n"))
        return;
    if (location) {
        location += strlen("Location: ");
        (void)snprintf(found, sizeof(found), "%.*s", (int)strcspn(location, "\r"), location);
        check_range(text, found);
        if (client->is_post && guest_status(scene, &client->guest) == 202)
            memcpy(sessions[session_count++ % SESSIONS], found, sizeof(found));
    }
    guest_forget(&client->guest);
    client->is_asking = false;
}

static void leave(struct client *client)
{
    guest_leave(scene, &client->guest);
    buf_clear(&client->rest);
    client->is_asking = false;
    guest_come(scene, &client->guest, LISTENER_FULL);
}

static void move_client(struct client *client)
{
    bool has_rest = buf_bytes(&client->rest).length > 0;

    look(client);
    if (client->guest.is_closed || one_in(15))
        leave(client);
    else if (!client->is_asking && !has_rest)
        ask(client);
    else
        send_rest(client, one_in(3) ? 100 : BODY_MAX);
}

/* ---- schedules ---- */

static void let_time_pass(void)
{
    scene_pass(scene, IDLE_MS + 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        leave(&clients[i]);
}

static void fail_something(void)
{
    static const char *const names[] = {"store.create", "store.open",  "store.remove", "store.sync",
                                        "store.rename", "upload.lock", "upload.write"};

    failpoint_clear();
    failpoint_arm(names[below(sizeof(names) / sizeof(names[0]))], below(2), 1);
}

static void make_step(void)
{
    unsigned what = below(20);

    if (what < 9) {
        move_client(&clients[below(CLIENTS)]);
    } else if (what < 13) {
        fake_pool_run(scene_pool(scene), below(3));
    } else if (what < 16) {
        fake_pool_deliver(scene_pool(scene));
        scene_settle(scene);
    } else if (what < 19) {
        answer_one();
    } else if (one_in(4)) {
        let_time_pass();
    } else if (one_in(2)) {
        replace_keeper();
    } else if (seed % 2 == 1) {
        fail_something();
    }
}

static void finish(void)
{
    failpoint_clear();
    fake_pool_hold(scene_pool(scene), false);
    for (unsigned i = 0; i < CLIENTS; i++)
        guest_leave(scene, &clients[i].guest);
    if (one_in(2)) {
        scene_end_worker(scene);
    } else {
        while (answer_one())
            ;
    }
}

static void check_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    (void)modified_ms;
    unsigned *count = arg;
    struct upload_id id;
    struct upload_progress progress;
    struct hash hash;
    uint8_t real[HASH_SIZE_MAX];
    uint8_t saved[HASH_SIZE_MAX];
    uint64_t key;
    int fd = -1;
    if (!store_upload_parse(name, &id, &key)) {
        assert_int_equal(seed % 2, 1); /* it could not be removed or renamed */
        return;
    }
    assert_int_equal(store_file_open(scene_store(scene), PLACE_UPLOADS, name, &fd, &err), 0);
    assert_int_equal(upload_lock(fd, &err), 0);
    if (!upload_table_get(scene_uploads(scene), &id, &progress)) {
        assert_int_equal(seed % 2, 1); /* of a blob in one POST; it could not be removed */
        fd_close(&fd);
        return;
    }
    ++*count;
    assert_true(progress.offset <= size);
    hash_init(&hash, HASH_SHA256);
    hash_file(fd, progress.offset, &hash);
    hash_final(&hash, real);
    hash_final(&progress.hash, saved);
    assert_memory_equal(real, saved, 32);
    fd_close(&fd);
}

static void run_schedule(void)
{
    unsigned count = 0;

    dice = seed;
    session_count = 0;
    memset(questions, 0, sizeof(questions));
    scene = scene_new("upstreams: { docker.io: { default: true } }\n"
                      "limits: { uploads_per_repository: 3 }\n");
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.is_asking = false};
        buf_init(&clients[i].rest, BODY_MAX + HEAD_MAX);
        guest_come(scene, &clients[i].guest, LISTENER_FULL);
    }
    fake_pool_hold(scene_pool(scene), true);
    for (unsigned i = 0; i < STEPS; i++)
        make_step();
    finish();
    assert_int_equal(store_file_each(scene_store(scene), PLACE_UPLOADS, check_file, &count, &err),
                     0);
    assert_int_equal(upload_table_count(scene_uploads(scene)), count);
    for (unsigned i = 0; i < CLIENTS; i++)
        buf_cleanup(&clients[i].rest);
    scene_free(scene);
}

static void any_schedule_keeps_files_and_slots_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(letters); i++)
        letters[i] = (char)('a' + i % 23);
    for (seed = 1; seed <= seeds; seed++) {
        print_message("seed %u\n", seed);
        run_schedule();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_schedule_keeps_files_and_slots_right)};

    if (argc > 1)
        seeds = (unsigned)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
