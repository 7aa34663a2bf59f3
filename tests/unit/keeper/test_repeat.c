/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests sent again after a keeper's death. To see these fail: let repeat_is_overtaken return
 * false always (first group), or store_place not look at the inode of the target (second).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};
static struct error err;

static void assert_tag(const char *tag, const struct digest *digest)
{
    struct digest found = world_tag("", "team/app", tag);

    if (!digest)
        assert_int_equal(found.algorithm, 0);
    else
        assert_true(digest_equal(&found, digest));
}

static void push_blobs(void)
{
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
}

/* ---- done or overtaken: not done again ---- */

static void a_tag_set_twice_is_not_set_back(void **state)
{
    (void)state;
    push_blobs();
    struct message_manifest_put one = world_manifest("team/app", "latest", "one", image);
    one.head.seen = world_number();
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &one).type, MESSAGE_DONE);
    world_restart(); /* the worker of `one` never heard that */
    struct message_manifest_put two = world_manifest("team/app", "latest", "two", image);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_MANIFEST_PUT, &two).type, MESSAGE_DONE);
    one.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &one).type, MESSAGE_DONE);
    assert_tag("latest", &two.digest);
}

static void a_repeat_that_was_never_done_is_done(void **state)
{
    (void)state;
    push_blobs();
    struct message_manifest_put one = world_manifest("team/app", "latest", "one", image);
    one.head.seen = world_number();
    one.head.repeated = 1;
    struct message_manifest_put two = world_manifest("team/app", "v2", "two", image);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_MANIFEST_PUT, &two).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &one).type, MESSAGE_DONE);
    assert_tag("latest", &one.digest);
}

static void a_manifest_never_put_is_there_though_its_tag_was_overtaken(void **state)
{
    (void)state;
    push_blobs();
    struct message_manifest_put one = world_manifest("team/app", "latest v1", "one", image);
    one.head.seen = world_number();
    one.head.repeated = 1;
    struct message_manifest_put two = world_manifest("team/app", "latest", "two", image);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_MANIFEST_PUT, &two).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &one).type, MESSAGE_DONE);
    assert_tag("latest", &two.digest);
    assert_tag("v1", &one.digest);
    assert_int_equal(world_link("", "team/app", &one.digest), LINK_MANIFEST);
}

static void the_same_manifest_of_another_pusher_is_not_our_tag(void **state)
{
    (void)state;
    push_blobs();
    struct message_manifest_put mine = world_manifest("team/app", "v1", "one", image);
    mine.head.seen = world_number();
    mine.head.repeated = 1;
    struct message_manifest_put theirs = world_manifest("team/app", "v2", "one", image);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_MANIFEST_PUT, &theirs).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &mine).type, MESSAGE_DONE);
    assert_tag("v1", &mine.digest);
}

static struct message_remove removal(enum remove_kind kind, const char *tag,
                                     const struct digest *digest)
{
    struct message_remove message = {.head.seen = world_number(),
                                     .kind = kind,
                                     .repository = SLICE_LITERAL("team/app"),
                                     .tag = slice_of(tag),
                                     .digest = *digest};

    return message;
}

static void a_removal_that_worked_is_answered_as_done(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct message_remove message = removal(REMOVE_MANIFEST, "", &one);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    world_restart();
    message.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    message.head.repeated = 0;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).kind, ERR_NOT_FOUND);
}

static void a_removal_does_not_take_what_was_pushed_since(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct message_remove message = removal(REMOVE_TAG, "v1", &one);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    world_restart();
    (void)world_push("team/app", "v1", "one", image);
    message.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    assert_tag("v1", &one);
}

static void a_link_does_not_come_back_after_its_removal(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/lib", "hello");
    struct message_link link = {
        .head.seen = world_number(), .digest = blob, .repository = SLICE_LITERAL("team/app")};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    struct message_remove message = removal(REMOVE_BLOB, "", &blob);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    link.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/app", &blob), 0);
}

/* ---- files of repeats ---- */

static void place(const struct message_blob_stored *stored)
{
    struct store_file file = {PLACE_UPLOADS, stored->file.data, stored->inode, stored->size};

    assert_int_equal(store_place(world_store, &file, &stored->digest, &err), 0);
}

static void a_blob_placed_but_not_committed_is_committed_by_the_repeat(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    place(&stored);
    stored.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/app", &stored.digest), LINK_BLOB);
}

static void a_blob_committed_is_answered_though_its_file_was_replaced(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    stored.head.seen = world_number();
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    world_restart();
    (void)world_push_blob("team/other", "hello"); /* another inode under the same name */
    stored.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
}

static void a_blob_placed_then_replaced_before_its_commit_is_linked(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    place(&stored);
    (void)world_push_blob("team/other", "hello");
    stored.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/app", &stored.digest), LINK_BLOB);
}

/* What happened since it was first sent can no longer be known. */
static void a_repeat_older_than_the_journal_is_refused(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct message_remove message = removal(REMOVE_TAG, "v1", &one);
    (void)world_push("team/app", "v2", "two", image);
    clock_advance(8ull * 24 * 3600 * 1000);
    world_keep_house();
    message.head.repeated = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).kind, ERR_BUSY);
    assert_tag("v1", &one);
    message.head.repeated = 0;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tag_set_twice_is_not_set_back),
        TEST(a_repeat_that_was_never_done_is_done),
        TEST(a_manifest_never_put_is_there_though_its_tag_was_overtaken),
        TEST(the_same_manifest_of_another_pusher_is_not_our_tag),
        TEST(a_removal_that_worked_is_answered_as_done),
        TEST(a_removal_does_not_take_what_was_pushed_since),
        TEST(a_link_does_not_come_back_after_its_removal),
        TEST(a_blob_placed_but_not_committed_is_committed_by_the_repeat),
        TEST(a_blob_committed_is_answered_though_its_file_was_replaced),
        TEST(a_blob_placed_then_replaced_before_its_commit_is_linked),
        TEST(a_repeat_older_than_the_journal_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
