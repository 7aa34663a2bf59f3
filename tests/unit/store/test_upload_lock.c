/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of upload sessions, and what only their holder may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "store/store.h"
#include "store/upload_lock.h"
#include "store/upload_table.h"
#include "support/scratch.h"

#define NOW_MS ((uint64_t)3600 * 1000)

static struct error err;
static struct store *store;
static struct upload_table *table;

static int set_up(void **state)
{
    (void)state;
    const char *root = scratch_make();
    clock_freeze((struct monotime){1000}, (struct walltime){NOW_MS});
    return store_prepare(root, &err) != 0 || store_open(root, &store, &err) != 0 ||
           upload_table_new(64, &table, &err) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    upload_table_detach(&table);
    store_close(&store);
    clock_thaw();
    scratch_remove();
    return 0;
}

static void lock_is_for_one(void **state)
{
    (void)state;
    int one = -1;
    int two = -1;
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u", &one, &err), 0);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u", &two, &err), 0);
    assert_int_equal(upload_lock(one, &err), 0);
    assert_int_equal(upload_lock(two, &err), -ERR_BUSY);
    fd_close(&one);
    assert_int_equal(upload_lock(two, &err), 0);
    fd_close(&two);
}

static void claim_of_a_removed_file_is_refused(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u", &fd, &err), 0);
    assert_int_equal(store_file_remove(store, PLACE_UPLOADS, "u", &err), 0);
    assert_int_equal(upload_claim(store, "u", fd, &err), -ERR_NOT_FOUND);
    fd_close(&fd);
}

/* ---- the end of idle sessions ---- */

#define TEAM  7 /* key of a repository */
#define OTHER 8

static struct upload_id id(uint8_t number)
{
    struct upload_id out = {.version = 1};

    out.random[0] = number;
    return out;
}

static void add_slot(uint8_t number, uint64_t repository_key, uint64_t used_ms)
{
    struct upload_id one = id(number);
    struct upload_progress progress = {.repository_key = repository_key, .used_ms = used_ms};

    hash_init(&progress.hash, HASH_SHA256);
    assert_int_equal(upload_table_set(table, &one, &progress, &err), 0);
}

static int open_session(uint8_t number, uint64_t repository_key)
{
    struct upload_id one = id(number);
    char name[STORE_NAME_SIZE];
    int fd = -1;

    store_upload_name(&one, repository_key, name);
    return store_file_open(store, PLACE_UPLOADS, name, &fd, &err) == 0 ? fd : -1;
}

static void add_session(uint8_t number, uint64_t repository_key, uint64_t used_ms)
{
    struct upload_id one = id(number);
    char name[STORE_NAME_SIZE];
    int fd = -1;

    store_upload_name(&one, repository_key, name);
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, name, &fd, &err), 0);
    fd_close(&fd);
    add_slot(number, repository_key, used_ms);
}

static bool has_slot(uint8_t number)
{
    struct upload_id one = id(number);
    struct upload_progress progress;

    return upload_table_get(table, &one, &progress);
}

static bool has_file(uint8_t number, uint64_t repository_key)
{
    AUTO_CLOSE int fd = open_session(number, repository_key);

    return fd >= 0;
}

static void assert_whole(uint8_t number, uint64_t repository_key)
{
    assert_true(has_slot(number));
    assert_true(has_file(number, repository_key));
}

static void assert_ended(uint8_t number, uint64_t repository_key)
{
    assert_false(has_slot(number));
    assert_false(has_file(number, repository_key));
}

static int end_idlest(const uint64_t *repository_key, uint64_t before_ms)
{
    struct upload_choice choice = {.repository_key = repository_key, .before_ms = before_ms};

    return upload_end_idlest(store, table, &choice, &err);
}

static void idlest_is_ended(void **state)
{
    (void)state;
    const uint64_t team = TEAM;
    add_session(1, TEAM, 20);
    add_session(2, TEAM, 10);
    add_session(3, OTHER, 5);
    assert_int_equal(end_idlest(&team, NOW_MS), 0);
    assert_ended(2, TEAM);
    assert_int_equal(end_idlest(NULL, NOW_MS), 0);
    assert_ended(3, OTHER);
    assert_whole(1, TEAM);
    assert_int_equal(end_idlest(NULL, 20), -ERR_BUSY);
    assert_whole(1, TEAM);
}

static void session_in_use_is_passed_over(void **state)
{
    (void)state;
    add_session(1, TEAM, 10);
    add_session(2, TEAM, 20);
    int fd = open_session(1, TEAM);
    assert_int_equal(upload_lock(fd, &err), 0);
    assert_int_equal(end_idlest(NULL, NOW_MS), 0);
    assert_whole(1, TEAM);
    assert_ended(2, TEAM);
    assert_int_equal(end_idlest(NULL, NOW_MS), -ERR_BUSY);
    assert_whole(1, TEAM);
    fd_close(&fd);
}

/* Their makers may live, and there are more of them than are looked at together. */
static void slots_without_a_file_are_passed_over(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 40; i++)
        add_slot(i, TEAM, NOW_MS - UPLOAD_FILELESS_MS);
    add_session(50, TEAM, NOW_MS - 1);
    assert_int_equal(end_idlest(NULL, NOW_MS), 0);
    assert_true(has_slot(1));
    assert_ended(50, TEAM);
    assert_int_equal(end_idlest(NULL, NOW_MS), -ERR_BUSY);
}

/* The worker died before it made the file, or while the keeper was asked to take it. */
static void slot_that_was_left_without_a_file_is_freed(void **state)
{
    (void)state;
    add_slot(1, TEAM, NOW_MS - UPLOAD_FILELESS_MS - 1);
    add_session(2, TEAM, NOW_MS - UPLOAD_FILELESS_MS);
    assert_int_equal(end_idlest(NULL, NOW_MS), 0);
    assert_false(has_slot(1));
    assert_whole(2, TEAM);
}

static void add_bytes(uint8_t number, uint64_t repository_key, uint64_t used_ms, uint64_t unhashed)
{
    struct upload_id one = id(number);
    struct upload_progress progress = {.repository_key = repository_key, .used_ms = used_ms};

    hash_init(&progress.hash, HASH_SHA256);
    if (unhashed == 0)
        hash_update(&progress.hash, "hello", 5);
    progress.offset = unhashed == 0 ? 5 : 0;
    progress.unhashed = unhashed;
    assert_int_equal(upload_table_set(table, &one, &progress, &err), 0);
}

/* Of these the idlest goes first, also one that a former run left; a session without a byte gives
 * nothing back, and one that is in use is somebody's push. */
static void sessions_with_bytes_make_space(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= 4; i++)
        add_session(i, TEAM, i);
    add_bytes(2, TEAM, 20, 0);
    add_bytes(3, TEAM, 10, 0);
    add_bytes(4, TEAM, 15, 7);
    int fd = open_session(3, TEAM);
    assert_int_equal(upload_lock(fd, &err), 0);
    assert_true(upload_make_space(store, table));
    assert_ended(4, TEAM);
    assert_true(upload_make_space(store, table));
    assert_ended(2, TEAM);
    assert_false(upload_make_space(store, table));
    assert_whole(1, TEAM);
    assert_whole(3, TEAM);
    fd_close(&fd);
}

static void session_whose_file_stays_keeps_its_slot(void **state)
{
    (void)state;
    struct upload_id one = id(1);
    add_slot(1, TEAM, 10);
    assert_int_equal(upload_end(store, table, &one, "../u", &err), -ERR_INVALID);
    assert_true(has_slot(1));
    assert_int_equal(upload_end(store, table, &one, "gone", &err), 0);
    assert_false(has_slot(1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lock_is_for_one),
        TEST(claim_of_a_removed_file_is_refused),
        TEST(idlest_is_ended),
        TEST(session_in_use_is_passed_over),
        TEST(slots_without_a_file_are_passed_over),
        TEST(slot_that_was_left_without_a_file_is_freed),
        TEST(sessions_with_bytes_make_space),
        TEST(session_whose_file_stays_keeps_its_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
