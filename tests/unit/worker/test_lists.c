/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists that are as long as the data: they are read and printed in the pool, one long one at a
 * time, and given whole. The measure is virtual: which functions of the ledger are called outside
 * the pool, where the loop would stand still for as long as they take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "base/failpoint.h"
#include "base/pool.h"
#include "scene.h"
#include "store/ledger.h"
#include "worker/worker.h"

#define MANY 200000u

static struct scene *scene;
static struct guest guest;
static bool is_in_pool;
static unsigned pool_walks;
static unsigned loop_walks;

/* ---- the measure: linked in the place of the real functions (see CMakeLists.txt) ---- */

typedef void walk_tags_fn(struct ledger_txn *txn, uint32_t repository, struct slice last,
                          tag_each_fn *each, void *arg);
walk_tags_fn __real_tag_each, __wrap_tag_each;
typedef void walk_repositories_fn(struct ledger_txn *txn, struct slice origin, struct slice last,
                                  repository_each_fn *each, void *arg);
walk_repositories_fn __real_repository_each, __wrap_repository_each;
typedef void walk_referrers_fn(struct ledger_txn *txn, uint32_t repository,
                               const struct digest *subject, const struct digest *after,
                               link_digest_fn *each, void *arg);
walk_referrers_fn __real_referrer_each, __wrap_referrer_each;
void __real_pool_submit(struct pool *pool, struct pool_work *work);
void __wrap_pool_submit(struct pool *pool, struct pool_work *work);

static void count_walk(void)
{
    if (is_in_pool)
        pool_walks++;
    else
        loop_walks++;
}

void __wrap_tag_each(struct ledger_txn *txn, uint32_t repository, struct slice last,
                     tag_each_fn *each, void *arg)
{
    count_walk();
    __real_tag_each(txn, repository, last, each, arg);
}

void __wrap_repository_each(struct ledger_txn *txn, struct slice origin, struct slice last,
                            repository_each_fn *each, void *arg)
{
    count_walk();
    __real_repository_each(txn, origin, last, each, arg);
}

void __wrap_referrer_each(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                          const struct digest *after, link_digest_fn *each, void *arg)
{
    count_walk();
    __real_referrer_each(txn, repository, subject, after, each, arg);
}

/* The fake pool runs work on this thread: what it runs is marked. */
struct marked {
    struct pool_work *work;
    void (*run)(struct pool_work *work);
};
static struct marked marked[64];
static unsigned marked_count;
static unsigned most_marked;

static void run_marked(struct pool_work *work)
{
    for (unsigned i = 0; i < marked_count; i++) {
        if (marked[i].work != work)
            continue;
        work->run = marked[i].run;
        marked[i] = marked[--marked_count];
        is_in_pool = true;
        work->run(work);
        is_in_pool = false;
        return;
    }
    fail();
}

void __wrap_pool_submit(struct pool *pool, struct pool_work *work)
{
    assert_true(marked_count < sizeof(marked) / sizeof(marked[0]));
    marked[marked_count++] = (struct marked){work, work->run};
    if (marked_count > most_marked)
        most_marked = marked_count;
    work->run = run_marked;
    __real_pool_submit(pool, work);
}

static int setup(void **state)
{
    (void)state;
    scene = scene_new("limits: { answer_memory: 3MiB }\nupstreams: { docker.io: {} }\n");
    pool_walks = loop_walks = most_marked = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_free(scene);
    assert_int_equal(loop_walks, 0);
    return 0;
}

static void put_tags(const char *origin, unsigned count)
{
    struct ledger_txn *txn = scene_write(scene);
    struct repository repository;
    struct tag tag = {.changed_ms = 1};
    char name[16];

    scene_put_manifest(txn, origin, "team/app", "t000000", SLICE_LITERAL("{\"a\":1}"), 0);
    assert_true(repository_find(txn, slice_of(origin), SLICE_LITERAL("team/app"), &repository));
    assert_true(tag_find(txn, repository.id, SLICE_LITERAL("t000000"), &tag));
    for (unsigned i = 1; i < count; i++) {
        (void)snprintf(name, sizeof(name), "t%06u", i);
        tag_put(txn, repository.id, slice_of(name), &tag);
    }
    scene_commit(txn);
}

static void get(struct guest *by, const char *target)
{
    guest_send(scene, by, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;

    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        count++;
    return count;
}

static void lists_give_all_tags_without_n_and_walk_in_the_pool(void **state)
{
    (void)state;

    put_tags("", MANY);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/team/app/tags/list");
    assert_int_equal(guest_status(scene, &guest), 200);
    const char *text = guest_got(scene, &guest);
    assert_non_null(strstr(text, "{\"name\":\"team/app\",\"tags\":[\"t000000\",\"t000001\""));
    assert_non_null(strstr(text, "\"t199999\"]}"));
    assert_null(strstr(text, "Link:"));
    assert_int_equal(guest_body_length(scene, &guest), 2000028);
    assert_int_equal(pool_walks, 1);
    guest_leave(scene, &guest);
}

static void lists_give_pages_with_n_and_last(void **state)
{
    (void)state;

    put_tags("", 3000);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/team/app/tags/list?n=2&last=t000009");
    const char *text = guest_got(scene, &guest);
    assert_non_null(strstr(text, "\"tags\":[\"t000010\",\"t000011\"]}"));
    assert_non_null(strstr(text, "Link: </v2/team/app/tags/list?n=2&last=t000011>; rel=\"next\""));
    guest_leave(scene, &guest);
}

static void lists_of_repositories_walk_in_the_pool(void **state)
{
    (void)state;

    put_tags("", 1);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/_catalog");
    assert_non_null(strstr(guest_got(scene, &guest), "\r\n\r\n{\"repositories\":[\"team/app\"]}"));
    guest_forget(&guest);
    get(&guest, "/v2/_catalog?ns=docker.io");
    assert_non_null(strstr(guest_got(scene, &guest), "\r\n\r\n{\"repositories\":[]}"));
    assert_int_equal(pool_walks, 2);
    guest_leave(scene, &guest);
}

static void lists_of_referrers_walk_in_the_pool(void **state)
{
    (void)state;

    put_tags("", 1);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/team/app/referrers/sha256:"
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_non_null(strstr(guest_got(scene, &guest), "\"manifests\":[]}"));
    assert_int_equal(pool_walks, 1);
    guest_leave(scene, &guest);
}

/* Nobody can be asked: what of the upstream's tags is here. */
static void lists_of_what_is_cached_walk_in_the_pool(void **state)
{
    (void)state;

    put_tags("docker.io", 3000);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/docker.io/team/app/tags/list?n=3");
    uint64_t number = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    struct message_failed failed = {
        .request = number, .kind = ERR_UPSTREAM, .text = SLICE_LITERAL("it is down")};
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    const char *text = guest_got(scene, &guest);
    assert_non_null(strstr(text, "Warning: 299 - \"it is down\"\r\n"));
    assert_non_null(strstr(text, "\"tags\":[\"t000000\",\"t000001\",\"t000002\"]}"));
    assert_int_equal(pool_walks, 1);
    guest_leave(scene, &guest);
}

/* One copy for all clients, and not one copy each in the turn in which the answer comes. */
static void lists_of_an_upstream_are_copied_once(void **state)
{
    struct guest guests[8];
    struct message_answer answer = {.state = ANSWER_FRESH};
    AUTO_BUF struct buf body;

    (void)state;

    buf_init(&body, 1024 * 1024);
    for (unsigned i = 0; i < 100000; i++)
        buf_append_text(&body, "\"t\",  ");
    for (unsigned i = 0; i < 8; i++) {
        guest_come(scene, &guests[i], LISTENER_FULL);
        get(&guests[i], "/v2/docker.io/team/app/tags/list");
    }
    answer.request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    answer.body = buf_bytes(&body);
    scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
    scene_heard_nothing(scene, ROLE_FETCHER);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(guest_status(scene, &guests[i]), 200);
        assert_int_equal(guest_body_length(scene, &guests[i]), buf_bytes(&body).length);
        guest_leave(scene, &guests[i]);
    }
}

/* The memory of a list is not counted before it is made: so only one is made at a time. */
static void long_lists_are_made_one_after_the_other(void **state)
{
    struct guest guests[8];

    (void)state;

    put_tags("", MANY / 10);
    for (unsigned i = 0; i < 8; i++) {
        guest_come(scene, &guests[i], LISTENER_FULL);
        guest_send(scene, &guests[i], "%s", "GET /v2/team/app/tags/list HTTP/1.1\r\n");
    }
    /* All of them in one turn of the loop. */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(send(guests[i].fd, "Host: h\r\n\r\n", 11, MSG_NOSIGNAL), 11);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(guest_status(scene, &guests[i]), 200);
        assert_int_equal(count_of(guest_got(scene, &guests[i]), "\"t0"), MANY / 10);
        guest_leave(scene, &guests[i]);
    }
    assert_int_equal(pool_walks, 8);
    assert_int_equal(most_marked, 1);
}

/* The request's own read succeeds, and that of the pool does not. */
static void lists_that_cannot_be_read_are_503(void **state)
{
    static const struct {
        const char *target;
        unsigned own_reads;
    } rows[] = {
        {"/v2/team/app/tags/list", 1},
        {"/v2/_catalog?n=1", 0},
        {"/v2/team/app/referrers/sha256:"
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         1},
    };

    (void)state;

    put_tags("", 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        guest_come(scene, &guest, LISTENER_FULL);
        failpoint_arm("ledger.read", rows[i].own_reads, 1);
        get(&guest, rows[i].target);
        failpoint_clear();
        assert_int_equal(guest_status(scene, &guest), 503);
        assert_non_null(strstr(guest_got(scene, &guest), "the ledger cannot be read"));
        guest_leave(scene, &guest);
    }
}

static void lists_are_forgotten_with_their_client(void **state)
{
    struct guest other;

    (void)state;

    put_tags("", 1000);
    guest_come(scene, &guest, LISTENER_FULL);
    get(&guest, "/v2/team/app/tags/list");
    guest_leave(scene, &guest);
    guest_come(scene, &other, LISTENER_FULL);
    get(&other, "/v2/team/app/tags/list");
    assert_int_equal(guest_status(scene, &other), 200);
    guest_leave(scene, &other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lists_give_all_tags_without_n_and_walk_in_the_pool),
        TEST(lists_give_pages_with_n_and_last),
        TEST(lists_of_repositories_walk_in_the_pool),
        TEST(lists_of_referrers_walk_in_the_pool),
        TEST(lists_of_what_is_cached_walk_in_the_pool),
        TEST(lists_of_an_upstream_are_copied_once),
        TEST(long_lists_are_made_one_after_the_other),
        TEST(lists_that_cannot_be_read_are_503),
        TEST(lists_are_forgotten_with_their_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
