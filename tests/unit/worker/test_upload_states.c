/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state of an upload, and what may happen in it: the client goes, the worker ends, a job of
 * the pool fails, the keeper refuses, the keeper dies. The pool is held, so that the upload stays
 * in the state. At the end all sessions are counted, by their files and by their slots; none may be
 * locked, and no other file may be there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "config/config.h"
#include "fakes/pool.h"
#include "scene.h"
#include "store/store.h"
#include "store/upload_lock.h"

#define HELLO  "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define OTHER  "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define SPOT   "/v2/team/app/blobs/uploads/"
#define IDLE   ((uint64_t)60 * 1000)
#define BLOCK  ((size_t)256 * 1024)
#define MOST   ((size_t)1024 * 1024) /* storage.blob_max */
#define EXPIRE 31000                 /* questions to the keeper */

enum kind {
    POST,
    POST_OVER_LIMIT,
    POST_MOUNT,
    POST_BLOB,
    PATCH,
    PUT,
    GET,
    DELETE
};

enum stage {
    MOUNTING,
    EVICTING,
    MARKING,
    CREATING,
    OPENING,
    LOOKING,
    RECEIVING,       /* 3 bytes of 5 are here */
    RECEIVING_BLOCK, /* a block is with the pool, more is to come */
    RELEASING,
    CLOSING,
    ASKED,
    RESTORING,
    REMOVING, /* the digest was wrong, or it is a DELETE */
};

enum event {
    NOTHING,
    GONE,        /* the client; noticed only while something is read from it */
    ENDS,        /* the worker: all clients are cut, all questions are answered by it */
    REFUSED,     /* by the keeper */
    KEEPER_LOST, /* and no other comes for longer than questions wait */
    KEEPER_BACK, /* another comes at once */
    TOO_MUCH,    /* more than a blob may have */
    FAILS,       /* the next job, by row.failpoint */
};

struct row {
    enum kind kind;
    enum stage stage;
    enum event event;
    const char *failpoint;
    int status;        /* 0: the client has gone */
    unsigned sessions; /* that are left */
    uint64_t bytes;    /* in the last of them */
};

static const struct row rows[] = {
    {POST, MARKING, NOTHING, NULL, 202, 1, 0},
    {POST, MARKING, GONE, NULL, 0, 1, 0},
    {POST, MARKING, ENDS, NULL, 0, 0, 0},
    {POST, MARKING, REFUSED, NULL, 403, 0, 0},
    {POST, MARKING, KEEPER_LOST, NULL, 503, 0, 0},
    {POST, MARKING, KEEPER_BACK, NULL, 202, 1, 0},
    {POST, CREATING, NOTHING, NULL, 202, 1, 0},
    {POST, CREATING, ENDS, NULL, 0, 0, 0},
    {POST, CREATING, FAILS, "store.create", 500, 0, 0},
    {POST, CREATING, FAILS, "upload.lock", 500, 0, 0},
    {POST, CREATING, KEEPER_LOST, NULL, 202, 1, 0},

    {POST_OVER_LIMIT, EVICTING, NOTHING, NULL, 202, 1, 0},
    {POST_OVER_LIMIT, EVICTING, ENDS, NULL, 0, 0, 0},
    /* One search for a session to end fails, and the second finds it. */
    {POST_OVER_LIMIT, EVICTING, FAILS, "store.remove", 202, 1, 0},
    {POST_OVER_LIMIT, EVICTING, FAILS, "store.open", 202, 1, 0},
    {POST_OVER_LIMIT, EVICTING, FAILS, "upload.lock", 202, 1, 0},

    {POST_MOUNT, MOUNTING, NOTHING, NULL, 201, 0, 0},
    {POST_MOUNT, MOUNTING, ENDS, NULL, 0, 0, 0},
    {POST_MOUNT, MOUNTING, REFUSED, NULL, 202, 1, 0},
    {POST_MOUNT, MOUNTING, KEEPER_LOST, NULL, 202, 1, 0},
    {POST_MOUNT, MOUNTING, KEEPER_BACK, NULL, 201, 0, 0},

    {POST_BLOB, MARKING, GONE, NULL, 0, 0, 0},
    {POST_BLOB, MARKING, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, CREATING, GONE, NULL, 0, 0, 0},
    {POST_BLOB, CREATING, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, CREATING, FAILS, "store.create", 500, 0, 0},
    {POST_BLOB, RECEIVING, NOTHING, NULL, 201, 0, 0},
    {POST_BLOB, RECEIVING, GONE, NULL, 0, 0, 0},
    {POST_BLOB, RECEIVING, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, RECEIVING_BLOCK, GONE, NULL, 0, 0, 0},
    {POST_BLOB, RECEIVING_BLOCK, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, RECEIVING_BLOCK, FAILS, "upload.write", 507, 0, 0},
    {POST_BLOB, RECEIVING_BLOCK, TOO_MUCH, NULL, 413, 0, 0},
    {POST_BLOB, CLOSING, GONE, NULL, 0, 0, 0},
    {POST_BLOB, CLOSING, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, CLOSING, FAILS, "upload.write", 507, 0, 0},
    {POST_BLOB, CLOSING, FAILS, "store.sync", 500, 0, 0},
    {POST_BLOB, CLOSING, FAILS, "store.rename", 500, 0, 0},
    {POST_BLOB, REMOVING, NOTHING, NULL, 400, 0, 0},
    {POST_BLOB, REMOVING, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, ASKED, NOTHING, NULL, 201, 0, 0},
    {POST_BLOB, ASKED, GONE, NULL, 0, 0, 0},
    {POST_BLOB, ASKED, ENDS, NULL, 0, 0, 0},
    {POST_BLOB, ASKED, REFUSED, NULL, 403, 0, 0},
    {POST_BLOB, ASKED, KEEPER_LOST, NULL, 503, 0, 0},
    {POST_BLOB, ASKED, KEEPER_BACK, NULL, 201, 0, 0},

    {PATCH, OPENING, NOTHING, NULL, 202, 1, 5},
    {PATCH, OPENING, GONE, NULL, 0, 1, 5},
    {PATCH, OPENING, ENDS, NULL, 0, 1, 0},
    {PATCH, OPENING, FAILS, "store.open", 500, 1, 0},
    {PATCH, OPENING, FAILS, "upload.lock", 500, 1, 0},
    {PATCH, RECEIVING, NOTHING, NULL, 202, 1, 5},
    {PATCH, RECEIVING, GONE, NULL, 0, 1, 3},
    {PATCH, RECEIVING, ENDS, NULL, 0, 1, 0},
    {PATCH, RECEIVING, KEEPER_LOST, NULL, 202, 1, 5},
    {PATCH, RECEIVING_BLOCK, GONE, NULL, 0, 1, BLOCK + 1},
    {PATCH, RECEIVING_BLOCK, ENDS, NULL, 0, 1, BLOCK},
    {PATCH, RECEIVING_BLOCK, FAILS, "upload.write", 507, 0, 0},
    {PATCH, RECEIVING_BLOCK, TOO_MUCH, NULL, 413, 0, 0},
    {PATCH, RELEASING, GONE, NULL, 0, 1, 5},
    {PATCH, RELEASING, ENDS, NULL, 0, 1, 5},
    {PATCH, RELEASING, FAILS, "upload.write", 507, 0, 0},

    {PUT, OPENING, NOTHING, NULL, 201, 0, 0},
    {PUT, OPENING, GONE, NULL, 0, 0, 0},
    {PUT, OPENING, ENDS, NULL, 0, 1, 0},
    {PUT, OPENING, FAILS, "store.open", 500, 1, 0},
    {PUT, RECEIVING, GONE, NULL, 0, 1, 3},
    {PUT, RECEIVING, ENDS, NULL, 0, 1, 0},
    {PUT, RECEIVING_BLOCK, GONE, NULL, 0, 1, BLOCK + 1},
    {PUT, RECEIVING_BLOCK, ENDS, NULL, 0, 1, BLOCK},
    {PUT, RECEIVING_BLOCK, FAILS, "upload.write", 507, 0, 0},
    {PUT, RECEIVING_BLOCK, TOO_MUCH, NULL, 413, 0, 0},
    {PUT, CLOSING, GONE, NULL, 0, 0, 0},
    {PUT, CLOSING, ENDS, NULL, 0, 1, 5},
    {PUT, CLOSING, FAILS, "upload.write", 507, 0, 0},
    {PUT, CLOSING, FAILS, "store.sync", 500, 0, 0},
    {PUT, CLOSING, FAILS, "store.rename", 500, 0, 0},
    {PUT, CLOSING, KEEPER_BACK, NULL, 201, 0, 0},
    {PUT, REMOVING, NOTHING, NULL, 400, 0, 0},
    {PUT, REMOVING, ENDS, NULL, 0, 0, 0},
    {PUT, REMOVING, FAILS, "store.remove", 400, 1, 5},
    {PUT, ASKED, NOTHING, NULL, 201, 0, 0},
    {PUT, ASKED, GONE, NULL, 0, 0, 0},
    {PUT, ASKED, ENDS, NULL, 0, 1, 5},
    {PUT, ASKED, REFUSED, NULL, 403, 1, 5},
    {PUT, ASKED, KEEPER_LOST, NULL, 503, 1, 5},
    {PUT, ASKED, KEEPER_BACK, NULL, 201, 0, 0},
    {PUT, RESTORING, NOTHING, NULL, 403, 1, 5},
    {PUT, RESTORING, GONE, NULL, 0, 1, 5},
    {PUT, RESTORING, ENDS, NULL, 0, 1, 5},

    {GET, LOOKING, NOTHING, NULL, 204, 1, 0},
    {GET, LOOKING, ENDS, NULL, 0, 1, 0},
    {GET, LOOKING, FAILS, "store.open", 500, 1, 0},

    {DELETE, OPENING, NOTHING, NULL, 204, 0, 0},
    {DELETE, OPENING, ENDS, NULL, 0, 1, 0},
    {DELETE, OPENING, FAILS, "store.open", 500, 1, 0},
    {DELETE, REMOVING, NOTHING, NULL, 204, 0, 0},
    {DELETE, REMOVING, ENDS, NULL, 0, 0, 0},
    {DELETE, REMOVING, FAILS, "store.remove", 500, 1, 0},
};

static struct error err;
static struct scene *scene;
static struct guest guest;
static const struct row *row;
static char location[200];
static uint64_t question; /* number of the question that the keeper has not answered */
static bool is_sent;      /* the whole request */

/* ---- the keeper ---- */

static bool hear_question(void)
{
    enum message_type type;
    const union any_message *message = scene_heard_any(scene, ROLE_KEEPER, &type);

    if (!message)
        return false;
    if (type == MESSAGE_BLOB_STORED) {
        question = message->blob_stored.head.request;
        assert_int_equal(message->blob_stored.size, 5);
    } else if (type == MESSAGE_PUSH_BEGUN) {
        question = message->push_begun.head.request;
    } else if (type == MESSAGE_LINK) {
        question = message->link.head.request;
    } else {
        fail_msg("the worker said %s", message_name(type));
    }
    return true;
}

/* As the real one: it takes the file of a blob, or finds that it has taken it. */
static void remove_placed(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    (void)size;
    (void)modified_ms;
    (void)arg;
    if (store_name_is_temporary(name))
        assert_int_equal(store_file_remove(scene_store(scene), PLACE_UPLOADS, name, &err), 0);
}

static void answer_done(void)
{
    assert_int_equal(store_file_each(scene_store(scene), PLACE_UPLOADS, remove_placed, NULL, &err),
                     0);
    scene_done(scene, question);
    question = 0;
}

static void answer_refused(void)
{
    struct message_refused refused = {
        .request = question, .kind = ERR_DENIED, .text = SLICE_LITERAL("protected")};

    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    question = 0;
}

/* ---- to the stage ---- */

static void step(void)
{
    assert_true(fake_pool_run(scene_pool(scene), 0));
    assert_true(fake_pool_deliver(scene_pool(scene)));
    scene_settle(scene);
}

static void send_zeros(size_t count)
{
    static char block[BLOCK];

    memset(block, '0', sizeof(block));
    while (count > 0) {
        size_t length = count < sizeof(block) ? count : sizeof(block);

        guest_send(scene, &guest, "%zx\r\n%.*s\r\n", length, (int)length, block);
        count -= length;
    }
}

static const char *method(void)
{
    return row->kind == PATCH ? "PATCH" : row->kind == PUT ? "PUT" : "POST";
}

/* A request with a body of 5 bytes, or with an endless one. */
static void send_body_request(void)
{
    const char *digest = row->stage == REMOVING ? OTHER : HELLO;
    bool is_endless = row->stage == RECEIVING_BLOCK;

    is_sent = row->stage != RECEIVING;
    guest_send(scene, &guest, "%s %s%s%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s", method(),
               row->kind == POST_BLOB ? SPOT : location,
               row->kind == PATCH       ? ""
               : row->kind == POST_BLOB ? "?digest="
                                        : "&digest=",
               row->kind == PATCH ? "" : digest,
               is_endless ? "Transfer-Encoding: chunked" : "Content-Length: 5",
               is_endless ? ""
               : is_sent  ? "hello"
                          : "hel");
}

static void send_request(void)
{
    is_sent = true;
    if (row->kind == POST || row->kind == POST_OVER_LIMIT) {
        guest_send(scene, &guest, "POST " SPOT " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    } else if (row->kind == POST_MOUNT) {
        guest_send(scene, &guest,
                   "POST " SPOT "?mount=" HELLO "&from=team/base HTTP/1.1\r\nHost: "
                   "x\r\nContent-Length: 0\r\n\r\n");
    } else if (row->kind == GET || row->kind == DELETE) {
        guest_send(scene, &guest, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n",
                   row->kind == GET ? "GET" : "DELETE", location);
    } else {
        send_body_request();
    }
}

/* From the state that the request begins in, by jobs that go well and a keeper that agrees. */
static void reach_stage(void)
{
    send_request();
    if (row->kind == POST_BLOB || row->kind == POST) {
        assert_true(hear_question());
        if (row->stage == MARKING)
            return;
        answer_done();
    }
    if (row->kind == POST_MOUNT)
        assert_true(hear_question());
    if (row->stage <= LOOKING)
        return;
    step(); /* OPENING, CREATING */
    if (row->stage == RECEIVING_BLOCK)
        send_zeros(BLOCK + 1);
    if (row->stage <= CLOSING || row->kind == DELETE)
        return;
    step(); /* CLOSING */
    if (row->stage == REMOVING)
        return;
    assert_true(hear_question());
    if (row->stage == RESTORING)
        answer_refused();
}

/* ---- the event ---- */

static void lose_keeper(void)
{
    scene_disconnect(scene, ROLE_KEEPER);
    question = 0; /* of a keeper that is dead */
    if (row->event == KEEPER_LOST)
        scene_pass(scene, EXPIRE);
    scene_connect(scene, ROLE_KEEPER);
}

static void make_happen(void)
{
    if (row->event == GONE) {
        guest_leave(scene, &guest);
    } else if (row->event == ENDS) {
        fake_pool_hold(scene_pool(scene), false);
        scene_end_worker(scene);
        question = 0;
    } else if (row->event == REFUSED) {
        answer_refused();
    } else if (row->event == KEEPER_LOST || row->event == KEEPER_BACK) {
        lose_keeper();
    } else if (row->event == TOO_MUCH) {
        fake_pool_hold(scene_pool(scene), false);
        send_zeros(MOST - 1); /* so that the block after the last that may come is full */
    } else if (row->event == FAILS) {
        failpoint_arm(row->failpoint, 0, 1);
    }
    if (!is_sent && row->event != GONE && row->event != ENDS)
        guest_send(scene, &guest, "lo");
}

/* ---- the end ---- */

static void finish(void)
{
    if (row->event == ENDS)
        return;
    fake_pool_hold(scene_pool(scene), false);
    do {
        scene_settle(scene);
        if (question)
            answer_done();
    } while (hear_question());
}

struct found {
    unsigned sessions;
    uint64_t bytes;
};

static void check_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    (void)modified_ms;
    struct found *found = arg;
    struct upload_id id;
    uint64_t key;
    int fd = -1;
    if (!store_upload_parse(name, &id, &key))
        fail_msg("file %s stayed", name);
    found->sessions++;
    found->bytes = size;
    assert_int_equal(store_file_open(scene_store(scene), PLACE_UPLOADS, name, &fd, &err), 0);
    if (upload_lock(fd, &err) != 0)
        fail_msg("%s: %s", name, err.text);
    fd_close(&fd);
    struct upload_progress progress;
    if (!upload_table_get(scene_uploads(scene), &id, &progress))
        fail_msg("%s has no slot", name);
    assert_true(progress.offset <= size);
}

static void check_sessions(void)
{
    struct found found = {0, 0};

    assert_int_equal(store_file_each(scene_store(scene), PLACE_UPLOADS, check_file, &found, &err),
                     0);
    assert_int_equal(upload_table_count(scene_uploads(scene)), found.sessions);
    assert_int_equal(found.sessions, row->sessions);
    assert_int_equal(found.bytes, row->bytes);
}

/* ---- */

static void keep_location(void)
{
    const char *text = strstr(guest_got(scene, &guest), "Location: ");

    assert_non_null(text);
    text += strlen("Location: ");
    (void)snprintf(location, sizeof(location), "%.*s", (int)strcspn(text, "\r"), text);
}

static void begin_session(void)
{
    guest_send(scene, &guest, "POST " SPOT " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(hear_question());
    answer_done();
    keep_location();
    guest_forget(&guest);
}

static void put_base(void)
{
    struct digest digest;
    struct repository base;
    struct ledger_txn *txn = scene_write(scene);

    scene_put_blob(scene, txn, slice_of("hello"), false, &digest);
    repository_get(txn, slice_of(""), slice_of("team/base"), &base);
    base.is_hosted = true;
    base.links++;
    repository_put(txn, slice_of(""), slice_of("team/base"), &base);
    link_put(txn, base.id, &digest, LINK_BLOB, slice_of(""));
    scene_commit(txn);
}

static int set_up(void **state)
{
    row = *state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\n"
                      "limits: { uploads_per_repository: 1 }\n");
    scene_config(scene)->storage.blob_max = MOST;
    guest_come(scene, &guest, LISTENER_FULL);
    question = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    failpoint_clear();
    guest_leave(scene, &guest);
    scene_free(scene);
    return 0;
}

static void row_is_as_written(void **state)
{
    (void)state;
    if (row->kind == POST_MOUNT)
        put_base();
    if (row->kind == POST_OVER_LIMIT || row->kind >= PATCH)
        begin_session();
    if (row->kind == POST_OVER_LIMIT) {
        guest_leave(scene, &guest);
        scene_pass(scene, IDLE + 1);
        guest_come(scene, &guest, LISTENER_FULL);
    }
    fake_pool_hold(scene_pool(scene), true);
    reach_stage();
    make_happen();
    finish();
    if (row->event != GONE && row->event != ENDS)
        assert_int_equal(guest_status(scene, &guest), row->status);
    check_sessions();
}

/* ---- */

static const char *const kinds[] = {
    "POST",  "POST over the limit", "POST with mount", "POST with blob", "PATCH", "PUT", "GET",
    "DELETE"};
static const char *const stages[] = {
    "mounting",        "evicting",  "marking", "creating", "opening",   "looking", "receiving",
    "receiving block", "releasing", "closing", "asked",    "restoring", "removing"};
static const char *const events[] = {"nothing",     "client gone",    "worker ends", "refused",
                                     "keeper lost", "keeper is back", "too much",    "fails"};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    static struct CMUnitTest tests[ROWS];
    static char names[ROWS][100];

    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s, %s: %s %s", kinds[rows[i].kind],
                       stages[rows[i].stage], events[rows[i].event],
                       rows[i].failpoint ? rows[i].failpoint : "");
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = row_is_as_written,
                                       .setup_func = set_up,
                                       .teardown_func = tear_down,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
