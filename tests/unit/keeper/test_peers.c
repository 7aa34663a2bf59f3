/* SPDX-License-Identifier: Apache-2.0 */
/* One incarnation after the other: what the first sent is applied first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "fakes/loop.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "store/journal.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};

static void a_barrier_waits_for_all_of_the_predecessor(void **state)
{
    (void)state;
    struct message_manifest_stored stored = world_fetched("library/nginx", "latest", 5, "a", image);
    struct channel *old = world_replace(FETCHER);
    (void)world_post_on(old, MESSAGE_MANIFEST_STORED, &stored);
    struct message_barrier barrier = {0};
    uint64_t request = world_post(FETCHER, MESSAGE_BARRIER, &barrier);
    world_turns(50);
    assert_int_equal(world_answer(request).type, MESSAGE_NONE); /* it may still send */
    world_end(&old);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    assert_int_equal(world_link("docker.io", "library/nginx", &stored.digest), LINK_MANIFEST);
}

static void a_dead_workers_request_comes_before_its_successors(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    struct message_manifest_put one = world_manifest("team/app", "v1", "one", image);
    struct message_manifest_put two = world_manifest("team/app", "v1", "two", image);
    (void)world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &one);
    world_kill(WORKER_0);
    uint64_t request = world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &two);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    struct digest tag = world_tag("", "team/app", "v1");
    assert_true(digest_equal(&tag, &two.digest));
}

static void a_draining_worker_does_not_hold_up_its_successor(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    struct message_blob_stored late = world_blob("team/app", "late");
    struct channel *old = world_replace(WORKER_0);
    uint64_t request = world_post(WORKER_0, MESSAGE_BLOB_STORED, &stored);
    world_turns(50); /* the clock stands still */
    assert_int_equal(world_answer(request).type, MESSAGE_DONE);
    request = world_post_on(old, MESSAGE_BLOB_STORED, &late);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    world_end(&old);
}

/* Several generations at once, and one of them dies. */
static void only_dead_workers_are_waited_for(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    struct message_manifest_put one = world_manifest("team/app", "v1", "one", image);
    struct message_manifest_put two = world_manifest("team/app", "v1", "two", image);
    struct message_blob_stored late = world_blob("team/app", "late");
    struct channel *first = world_replace(WORKER_0);
    (void)world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &one);
    world_kill(WORKER_0);
    uint64_t request = world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &two);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    struct digest tag = world_tag("", "team/app", "v1");
    assert_true(digest_equal(&tag, &two.digest));
    request = world_post_on(first, MESSAGE_BLOB_STORED, &late);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    world_end(&first);
}

static void who_watches_is_told_of_each_change(void **state)
{
    (void)state;
    struct message_watch watch = {0};
    (void)world_push_blob("team/app", "one");
    world_turns(20);
    assert_int_equal(world_changed(), 0); /* nobody asked */
    (void)world_post(FETCHER, MESSAGE_WATCH, &watch);
    world_turns(20);
    assert_int_equal(world_changed(), 1);
    (void)world_push_blob("team/app", "two");
    world_turns(20);
    assert_int_equal(world_changed(), 2);
    struct message_used used = {.when = 1}; /* no change */
    (void)world_post(WORKER_0, MESSAGE_USED, &used);
    world_keep_house();
    assert_int_equal(world_changed(), 2);
}

static void readers_of_the_journal_are_registered(void **state)
{
    (void)state;
    struct message_reader reader = {.name = SLICE_LITERAL("hook"), .number = 7, .place = 1};
    struct journal_position position;
    assert_int_equal(world_ask(FETCHER, MESSAGE_READER, &reader).type, MESSAGE_DONE);
    assert_true(journal_reader_find(world_read(), reader.name, &position));
    world_read_end();
    assert_int_equal(position.number, 7);
    reader.is_gone = 1;
    assert_int_equal(world_ask(FETCHER, MESSAGE_READER, &reader).type, MESSAGE_DONE);
    assert_false(journal_reader_find(world_read(), reader.name, &position));
    world_read_end();
    reader.name = SLICE_LITERAL("");
    assert_int_equal(world_ask(FETCHER, MESSAGE_READER, &reader).kind, ERR_INVALID);
}

static void successors_of_successors_keep_their_order(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    struct channel *first = world_replace(FETCHER);
    struct channel *second = world_replace(FETCHER);
    uint64_t request = world_post(FETCHER, MESSAGE_BLOB_STORED, &stored);
    world_end(&second);
    world_turns(50);
    assert_int_equal(world_answer(request).type, MESSAGE_NONE);
    world_end(&first);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
}

static void an_answer_to_a_closed_line_is_dropped(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    struct channel *old = world_replace(WORKER_0);
    (void)world_post_on(old, MESSAGE_BLOB_STORED, &stored);
    world_end(&old);
    world_turns(50);
    assert_int_equal(world_link("", "team/app", &stored.digest), LINK_BLOB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_barrier_waits_for_all_of_the_predecessor),
        TEST(a_dead_workers_request_comes_before_its_successors),
        TEST(a_draining_worker_does_not_hold_up_its_successor),
        TEST(only_dead_workers_are_waited_for),
        TEST(who_watches_is_told_of_each_change),
        TEST(readers_of_the_journal_are_registered),
        TEST(successors_of_successors_keep_their_order),
        TEST(an_answer_to_a_closed_line_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
