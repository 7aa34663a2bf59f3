/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a follow in each of its states, and everything that may happen in it: what the
 * fetcher says, the fetcher's death, the client's end, the worker's end. A large blob is answered
 * while it comes, a small one is held until it is verified.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "scene.h"
#include "store/store.h"

#define LARGE    ((size_t)3 * 1024 * 1024)
#define SMALL    ((size_t)100 * 1024)
#define HALF     (LARGE / 2)
#define PATIENCE ((uint64_t)60 * 60 * 1000) /* longer than any fetcher may take */
#define DEADLINE ((uint64_t)60 * 1000)

enum stage {
    ASKED,    /* the fetcher has said nothing */
    HELD,     /* a small blob is coming: waiting */
    READY,    /* half of a large blob is sent */
    SENDING,  /* the same, but the client takes nothing */
    ANSWERED, /* HEAD of a large blob: over */
};

enum event {
    GREW,
    VERIFIED,
    FAILED,
    TAKEN_SAME,  /* a new spool, with all that was sent */
    TAKEN_OTHER, /* a new spool, with nothing of it */
    TAKEN_LOST,  /* its descriptor is missing */
    OTHER_SIZE,
    HERE,       /* the blob is in the store, from elsewhere */
    LEAVES,     /* the client */
    WORKER_END, /* all clients are cut */
    DEATH,      /* the fetcher dies for good */
    TOO_LONG,   /* nothing comes within fetch.deadline */
};

enum fate {
    WAITS,    /* nothing is answered yet */
    FAILS,    /* 5xx */
    GROWS,    /* 200, more is to come */
    COMPLETE, /* 200 with the whole body */
    CUT,      /* 200, and closed before the end */
    ENDED,    /* nobody looks */
};

struct row {
    enum stage stage;
    enum event event;
    enum fate fate;
};

static const struct row rows[] = {
    {ASKED, FAILED, FAILS},      {ASKED, VERIFIED, WAITS},
    {ASKED, GREW, WAITS},        {ASKED, TAKEN_LOST, FAILS},
    {ASKED, LEAVES, ENDED},      {ASKED, WORKER_END, ENDED},
    {ASKED, DEATH, FAILS},       {ASKED, TOO_LONG, FAILS},
    {ASKED, HERE, COMPLETE},     {HELD, GREW, WAITS},
    {HELD, VERIFIED, COMPLETE},  {HELD, FAILED, FAILS},
    {HELD, TAKEN_SAME, WAITS},   {HELD, TAKEN_OTHER, WAITS},
    {HELD, TAKEN_LOST, FAILS},   {HELD, LEAVES, ENDED},
    {HELD, WORKER_END, ENDED},   {HELD, HERE, COMPLETE},
    {READY, GREW, GROWS},        {READY, VERIFIED, COMPLETE},
    {READY, FAILED, CUT},        {READY, TAKEN_SAME, GROWS},
    {READY, TAKEN_OTHER, CUT},   {READY, TAKEN_LOST, CUT},
    {READY, OTHER_SIZE, CUT},    {READY, HERE, CUT},
    {READY, LEAVES, ENDED},      {READY, WORKER_END, ENDED},
    {READY, DEATH, CUT},         {READY, TOO_LONG, GROWS},
    {SENDING, GREW, GROWS},      {SENDING, VERIFIED, COMPLETE},
    {SENDING, FAILED, CUT},      {SENDING, TAKEN_SAME, GROWS},
    {SENDING, TAKEN_OTHER, CUT}, {SENDING, TAKEN_LOST, CUT},
    {SENDING, LEAVES, ENDED},    {SENDING, WORKER_END, ENDED},
    {ANSWERED, GREW, ENDED},     {ANSWERED, VERIFIED, ENDED},
    {ANSWERED, FAILED, ENDED},   {ANSWERED, LEAVES, ENDED},
};

static struct error err;
static struct scene *scene;
static struct guest guest;
static const struct row *row;
static struct digest digest;
static uint64_t request;
static char bytes[LARGE];

static size_t size(void)
{
    return row->stage == HELD || row->stage == ASKED ? SMALL : LARGE;
}

/* A read-only descriptor of a spool with so many of the bytes. */
static int make_spool(unsigned number, size_t length)
{
    char name[STORE_NAME_SIZE];
    int fd = -1;
    int again = -1;

    store_spool_name(&digest, number, name);
    assert_int_equal(store_file_create(scene_store(scene), PLACE_SPOOL, name, &fd, &err), 0);
    assert_int_equal(fd_write_all(fd, bytes, length, &err), 0);
    assert_int_equal(store_file_reopen_readonly(fd, &again, &err), 0);
    fd_close(&fd);
    return again;
}

static void open_spool(size_t length)
{
    struct message_open open = {.request = request, .size = size(), .bytes = length};

    scene_say(scene, ROLE_FETCHER, MESSAGE_OPEN, &open, make_spool(2, size()));
}

static void take(uint64_t same_until, bool is_lost)
{
    struct message_taken taken = {
        .request = request, .size = size(), .bytes = same_until, .same_until = same_until};

    scene_say(scene, ROLE_FETCHER, MESSAGE_TAKEN, &taken, is_lost ? -1 : make_spool(3, size()));
}

static void reach_stage(void)
{
    char text[DIGEST_TEXT_SIZE];

    digest_of(HASH_SHA256, slice_from(bytes, size()), &digest);
    guest_send(scene, &guest,
               "%s /v2/library/app/blobs/%s?ns=docker.io HTTP/1.1\r\nHost: x\r\n\r\n",
               row->stage == ANSWERED ? "HEAD" : "GET", digest_print(&digest, text));
    request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    if (row->stage == HELD)
        open_spool(SMALL / 2);
    else if (row->stage != ASKED)
        open_spool(HALF);
    if (row->stage == READY)
        (void)guest_got(scene, &guest);
}

static void make_happen(void)
{
    struct message_grew grew = {.request = request, .bytes = size() / 2 + 1};
    struct message_verified verified = {.request = request, .size = size()};
    struct message_failed failed = {
        .request = request, .kind = ERR_UPSTREAM, .text = SLICE_LITERAL("no")};
    struct message_here here = {.request = request};
    struct message_taken other = {.request = request, .size = size() + 1, .same_until = HALF};
    struct ledger_txn *txn;

    switch (row->event) {
    case GREW:
        scene_say(scene, ROLE_FETCHER, MESSAGE_GREW, &grew, -1);
        break;
    case VERIFIED:
        scene_say(scene, ROLE_FETCHER, MESSAGE_VERIFIED, &verified, -1);
        break;
    case FAILED:
        scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        break;
    case TAKEN_SAME:
        take(row->stage == HELD ? SMALL / 2 : HALF, false);
        break;
    case TAKEN_OTHER:
        take(0, false);
        break;
    case TAKEN_LOST:
        take(0, true);
        break;
    case OTHER_SIZE:
        scene_say(scene, ROLE_FETCHER, MESSAGE_TAKEN, &other, make_spool(3, size()));
        break;
    case HERE:
        txn = scene_write(scene);
        scene_put_blob(scene, txn, slice_from(bytes, size()), true, &digest);
        scene_commit(txn);
        scene_say(scene, ROLE_FETCHER, MESSAGE_HERE, &here, -1);
        break;
    case LEAVES:
        guest_leave(scene, &guest);
        scene_pass(scene, DEADLINE);
        break;
    case WORKER_END:
        scene_end_worker(scene);
        break;
    case DEATH:
        scene_disconnect(scene, ROLE_FETCHER);
        scene_pass(scene, PATIENCE);
        break;
    case TOO_LONG:
        scene_pass(scene, DEADLINE);
        break;
    }
}

static void check_fate(void)
{
    if (row->fate == ENDED)
        return;
    int status = guest_status(scene, &guest);
    bool has_head = strstr(guest_got(scene, &guest), "\r\n\r\n");
    size_t length = has_head && status == 200 ? guest_body_length(scene, &guest) : 0;
    if (row->fate == CUT && !has_head) { /* a stream may be so slow */
        assert_true(guest.is_closed);
    } else if (row->fate == WAITS) {
        assert_int_equal(status, 0);
        assert_false(guest.is_closed);
    } else if (row->fate == FAILS) {
        assert_in_range(status, 500, 599);
    } else {
        assert_int_equal(status, 200);
        assert_int_equal(guest.is_closed, row->fate == CUT);
        assert_int_equal(length == size(), row->fate == COMPLETE);
    }
}

static int set_up(void **state)
{
    row = *state;
    memset(bytes, 'x', sizeof(bytes));
    scene = scene_new("upstreams: { docker.io: { default: true } }\n"
                      "limits: { send_timeout: 1h, keep_alive_timeout: 1h }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    scene_free(scene);
    return 0;
}

static void row_is_as_written(void **state)
{
    (void)state;
    reach_stage();
    make_happen();
    check_fate();
}

static const char *const stages[] = {"asked", "held", "ready", "sending", "answered"};
static const char *const events[] = {"grew",          "verified",    "failed",       "taken, same",
                                     "taken, other",  "taken, lost", "other size",   "here",
                                     "client leaves", "worker ends", "fetcher dies", "too long"};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    static struct CMUnitTest tests[ROWS];
    static char names[ROWS][60];

    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s: %s", stages[rows[i].stage],
                       events[rows[i].event]);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = row_is_as_written,
                                       .setup_func = set_up,
                                       .teardown_func = tear_down,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
