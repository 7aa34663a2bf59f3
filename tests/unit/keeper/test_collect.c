/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody needs goes after twice storage.grace, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "fakes/loop.h"
#include "keeper/keeper.h"
#include "world.h"

#define GRACE 5000u

static const char *const image[] = {"config", "layer", NULL};
static const char *const other[] = {"config", "other layer", NULL};
static struct error err;

static int set_up(void **state)
{
    int rc = world_setup(state);

    world_config.storage.grace_ms = GRACE;
    return rc;
}

static int tear_down(void **state)
{
    failpoint_clear();
    return world_teardown(state);
}

static void take(enum remove_kind kind, const char *repository, const char *tag,
                 const struct digest *digest)
{
    struct message_remove message = {
        .kind = kind, .repository = slice_of(repository), .tag = slice_of(tag)};

    if (digest)
        message.digest = *digest;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
}

static bool is_here(const struct digest *digest)
{
    bool has_record = world_blob_record(digest).where == BLOB_HERE;

    assert_int_equal(has_record, world_has_file(digest));
    return has_record;
}

static size_t count_due(void)
{
    struct due due[100];
    size_t count = due_first(world_read(), due, 100);

    world_read_end();
    return count;
}

static void a_deleted_image_goes_after_twice_the_grace(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    (void)world_push("team/app", "v2", "two", other);
    struct digest layer = world_digest("layer");
    struct digest config = world_digest("config");
    assert_int_equal(count_due(), 0);
    take(REMOVE_MANIFEST, "team/app", "", &one);
    world_pass(2 * GRACE - 1000);
    assert_true(is_here(&one) && is_here(&layer));
    assert_int_equal(world_link("", "team/app", &layer), LINK_BLOB);
    world_pass(3000);
    assert_false(is_here(&one) || is_here(&layer));
    assert_int_equal(world_link("", "team/app", &layer), 0);
    assert_true(is_here(&config)); /* of two */
    assert_int_equal(world_repository("", "team/app").links, 3);
    assert_int_equal(count_due(), 0);
}

static void what_was_never_named_goes_too(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    world_pass(2 * GRACE - 1000);
    assert_true(is_here(&blob));
    world_pass(3000);
    assert_false(is_here(&blob));
    assert_int_equal(world_repository("", "team/app").bytes, 0);
}

static void a_push_in_between_keeps_what_it_needs(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct digest layer = world_digest("layer");
    take(REMOVE_MANIFEST, "team/app", "", &one);
    world_pass(2 * GRACE - 1000);
    (void)world_push("team/app", "v1", "one", image);
    world_pass(4 * GRACE);
    assert_true(is_here(&one) && is_here(&layer));
    assert_int_equal(world_link("", "team/app", &layer), LINK_BLOB);
    assert_int_equal(count_due(), 0);
}

/* A pusher that was told that a blob is here renews it by pushing or mounting it. */
static void bytes_that_come_again_have_their_time_again(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    world_pass(2 * GRACE - 1000);
    struct message_link link = {.repository = SLICE_LITERAL("team/app"), .digest = blob};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    world_pass(2 * GRACE - 1000);
    assert_true(is_here(&blob));
    assert_int_equal(world_link("", "team/app", &blob), LINK_BLOB);
    world_pass(3000);
    assert_false(is_here(&blob));
}

static void a_link_goes_although_another_repository_needs_the_blob(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    (void)world_push("team/copy", "v1", "one", image);
    struct digest layer = world_digest("layer");
    take(REMOVE_MANIFEST, "team/app", "", &one);
    world_pass(2 * GRACE + 2000);
    assert_int_equal(world_link("", "team/app", &layer), 0);
    assert_int_equal(world_link("", "team/copy", &layer), LINK_BLOB);
    assert_true(is_here(&layer) && is_here(&one));
    assert_int_equal(world_repository("", "team/app").bytes, 0);
}

static void a_link_of_one_lives_as_long_as_the_blob_of_another(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    world_pass(GRACE);
    struct message_link link = {.repository = SLICE_LITERAL("team/copy"), .digest = blob};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    world_pass(GRACE + 2000);
    assert_int_equal(world_link("", "team/app", &blob), 0);
    assert_int_equal(world_link("", "team/copy", &blob), LINK_BLOB);
    assert_true(is_here(&blob));
    world_pass(GRACE);
    assert_false(is_here(&blob));
    assert_int_equal(world_link("", "team/copy", &blob), 0);
}

static void a_running_push_keeps_the_layers_that_came_first(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    struct digest stranger = world_push_blob("team/other", "other");
    struct slice name = SLICE_LITERAL("team/app");
    struct upload_id id = {.version = 1};
    struct upload_progress progress = {.repository_key = upload_repository_key(&name)};

    hash_init(&progress.hash, HASH_SHA256);
    for (unsigned i = 0; i < 10; i++) { /* its last layer still comes */
        progress.used_ms = clock_wall().ms;
        assert_int_equal(upload_table_set(world_uploads, &id, &progress, &err), 0);
        world_pass(GRACE / 2);
    }
    assert_true(is_here(&blob));
    assert_false(is_here(&stranger));
    upload_table_remove(world_uploads, &id);
    world_pass(3 * GRACE + 2000);
    assert_false(is_here(&blob));
}

static void a_shorter_grace_counts_at_once(void **state)
{
    (void)state;
    world_config.storage.grace_ms = 3600000;
    struct digest blob = world_push_blob("team/app", "hello");
    world_pass(60000);
    assert_true(is_here(&blob));
    world_config.storage.grace_ms = 1000;
    world_pass(2000);
    assert_false(is_here(&blob));
}

/* A clock that is set forward takes nobody's time away. */
static void a_clock_that_jumps_collects_nothing_early(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    clock_freeze(clock_mono(), (struct walltime){clock_wall().ms + 86400000});
    world_pass(2 * GRACE - 2000);
    assert_true(is_here(&blob));
    world_pass(4000);
    assert_false(is_here(&blob));
}

static void much_goes_in_slices_and_orders_between_them(void **state)
{
    (void)state;
    enum {
        BLOBS = 2500
    };
    struct ledger_txn *txn = NULL;
    struct repository repository;
    char content[16];

    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    repository_get(txn, slice_of(""), slice_of("team/many"), &repository);
    for (unsigned i = 0; i < BLOBS; i++) {
        struct blob_record blob = {.size = 5, .where = BLOB_HERE, .kept_since_ms = clock_wall().ms};

        (void)snprintf(content, sizeof(content), "%u", i);
        struct digest digest = world_digest(content);
        blob_put(txn, &digest, &blob);
        link_put(txn, repository.id, &digest, LINK_BLOB, slice_of(""));
        link_release(txn, repository.id, &digest, clock_wall().ms);
    }
    repository.links = BLOBS;
    repository.bytes = 5ull * BLOBS;
    repository_put(txn, slice_of(""), slice_of("team/many"), &repository);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    failpoint_arm("chores.collect", 1000000, 0); /* counts */
    world_pass(2 * GRACE + 2000);
    assert_int_equal(count_due(), 0);
    assert_int_equal(world_repository("", "team/many").links, 0);
    assert_int_equal(world_repository("", "team/many").bytes, 0);
    assert_in_range(failpoint_hits("chores.collect"), 2 * BLOBS / 1000 + 5, 1000);
}

/* The file is removed after the commit: until the keeper has done it, nobody may place it again. */
static void a_commit_that_fails_leaves_everything(void **state)
{
    (void)state;
    struct digest blob = world_push_blob("team/app", "hello");
    world_pass(2 * GRACE - 2000);
    failpoint_arm("ledger.commit", 0, 1);
    while (failpoint_hits("ledger.commit") == 0)
        world_pass(500);
    assert_true(is_here(&blob));
    failpoint_clear();
    world_pass(4000);
    assert_false(is_here(&blob));
}

static void pushed_again_at_any_moment(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 40; turns++) {
        struct digest one = world_push("team/app", "v1", "one", image);
        struct digest layer = world_digest("layer");

        take(REMOVE_MANIFEST, "team/app", "", &one);
        world_pass(2 * GRACE - 500);
        fake_loop_hold_clock(world_loop, 2000);
        world_turns(turns);
        struct digest again = world_push("team/app", "v1", "one", image);
        assert_true(digest_equal(&one, &again));
        world_pass(2000);
        assert_true(is_here(&one) && is_here(&layer));
        assert_int_equal(world_link("", "team/app", &layer), LINK_BLOB);
        take(REMOVE_MANIFEST, "team/app", "", &one);
        world_pass(3 * GRACE);
        assert_false(is_here(&one) || is_here(&layer));
    }
}

/* ---- files that no record names ---- */

static struct digest leave_file(const char *content)
{
    struct digest digest = world_digest(content);
    struct store_file file = {.place = PLACE_UPLOADS, .name = "t-left", .size = strlen(content)};

    world_file(file.place, file.name, slice_of(content), &file.inode);
    assert_int_equal(store_place(world_store, &file, &digest, &err), 0);
    return digest;
}

/* Inodes have the time of the machine. */
static void set_clock_of_files(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    clock_freeze(clock_mono(), (struct walltime){(uint64_t)now.tv_sec * 1000 + 1000});
}

static void files_of_a_crash_are_found_and_removed_after_their_time(void **state)
{
    (void)state;
    set_clock_of_files();
    struct digest left = leave_file("left");
    struct digest named = world_push("team/app", "v1", "one", image);
    world_pass(2 * GRACE - 2000);
    assert_true(world_has_file(&left));
    world_pass(2 * GRACE + 8000); /* it is looked for now and then */
    assert_false(world_has_file(&left));
    assert_true(is_here(&named));
}

/* Its sender asks again, and the record comes when the file was found already. */
static void a_found_file_is_judged_again_when_nothing_can_be_placed(void **state)
{
    (void)state;
    set_clock_of_files();
    struct digest left = leave_file("left");
    fake_loop_hold_clock(world_loop, 60000);
    failpoint_arm("chores.sweep", 1000000, 0); /* counts */
    world_pass(2 * GRACE - 2000);
    (void)world_push_blob("team/app", "left");
    world_pass(2 * GRACE - 2000);
    assert_true(is_here(&left));
    assert_true(failpoint_hits("chores.sweep") > 0);
}

/* ---- what programs before the tables have stored ---- */

static void unneeded_things_of_an_older_ledger_are_found(void **state)
{
    (void)state;
    struct ledger_txn *txn = NULL;
    struct survey survey = {.is_in_links = false};
    struct due due[100];
    struct digest one = world_push("team/app", "v1", "one", image);
    struct digest blob = world_push_blob("team/app", "hello");
    struct digest lost = world_push_blob("team/copy", "config");
    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    size_t count = due_first(txn, due, 100);
    assert_int_equal(count, 3); /* hello and its link, the link of config in the other repository */
    for (size_t i = 0; i < count; i++) {
        if (due[i].kind == DUE_LINK)
            link_release(txn, due[i].repository, &due[i].digest, 0);
        else
            due_drop(txn, &due[i]);
    }
    survey_put(txn, &survey);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    assert_int_equal(count_due(), 0);
    world_pass(5000 + 4 * GRACE);
    assert_false(is_here(&blob));
    assert_int_equal(world_link("", "team/copy", &lost), 0);
    struct digest layer = world_digest("layer");
    assert_true(is_here(&one) && is_here(&layer) && is_here(&lost));
    assert_int_equal(count_due(), 0);
    assert_false(survey_find(world_read(), &survey));
    world_read_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_deleted_image_goes_after_twice_the_grace),
        TEST(what_was_never_named_goes_too),
        TEST(a_push_in_between_keeps_what_it_needs),
        TEST(bytes_that_come_again_have_their_time_again),
        TEST(a_link_goes_although_another_repository_needs_the_blob),
        TEST(a_link_of_one_lives_as_long_as_the_blob_of_another),
        TEST(a_running_push_keeps_the_layers_that_came_first),
        TEST(a_shorter_grace_counts_at_once),
        TEST(a_clock_that_jumps_collects_nothing_early),
        TEST(much_goes_in_slices_and_orders_between_them),
        TEST(a_commit_that_fails_leaves_everything),
        TEST(pushed_again_at_any_moment),
        TEST(files_of_a_crash_are_found_and_removed_after_their_time),
        TEST(a_found_file_is_judged_again_when_nothing_can_be_placed),
        TEST(unneeded_things_of_an_older_ledger_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
