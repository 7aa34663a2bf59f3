/* SPDX-License-Identifier: Apache-2.0 */
/* Files under uploads/ that no client continues, and sessions that a former server left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "fakes/loop.h"
#include "store/upload_lock.h"
#include "world.h"

#define HOUR_MS 3600000ull
#define KEY     0xfedcba9876543210ull

static struct error err;

static struct upload_id id(uint8_t number)
{
    struct upload_id out = {.version = 1};

    memset(out.random, number, sizeof(out.random));
    out.random[6] = 0x40; /* of a UUID */
    out.random[8] = 0x80;
    return out;
}

/* A file that was written so long ago. */
static void make_file(const char *name, uint64_t age_ms)
{
    uint64_t inode;
    int fd = -1;
    uint64_t when = clock_wall().ms - age_ms;
    struct timespec times[2] = {{.tv_sec = (time_t)(when / 1000)},
                                {.tv_sec = (time_t)(when / 1000)}};

    world_file(PLACE_UPLOADS, name, SLICE_LITERAL("hello"), &inode);
    assert_int_equal(store_file_open(world_store, PLACE_UPLOADS, name, &fd, &err), 0);
    assert_int_equal(futimens(fd, times), 0);
    fd_close(&fd);
}

static const char *name_of(struct upload_id session)
{
    static char name[STORE_NAME_SIZE];

    store_upload_name(&session, KEY, name);
    return name;
}

static void make_session(uint8_t number, uint64_t age_ms)
{
    make_file(name_of(id(number)), age_ms);
}

static bool is_there(const char *name)
{
    int fd = -1;
    bool is_open = store_file_open(world_store, PLACE_UPLOADS, name, &fd, &err) == 0;

    fd_close(&fd);
    return is_open;
}

static bool has_slot(uint8_t number)
{
    struct upload_id session = id(number);
    struct upload_progress state;

    return upload_table_get(world_uploads, &session, &state);
}

static void set_slot(uint8_t number, uint64_t age_ms, uint64_t offset)
{
    struct upload_id session = id(number);
    struct upload_progress state = {
        .offset = offset, .repository_key = KEY, .used_ms = clock_wall().ms - age_ms};

    hash_init(&state.hash, HASH_SHA256);
    hash_update(&state.hash, "hello", offset);
    assert_int_equal(upload_table_set(world_uploads, &session, &state, &err), 0);
}

static void keep_house(void)
{
    fake_loop_hold_clock(world_loop, 40000);
    world_turns(1000);
}

static void sessions_of_a_former_server_get_slots(void **state)
{
    (void)state;
    struct upload_id session = id(1);
    struct upload_progress found;
    make_session(1, 5000);
    make_session(2, 0);
    set_slot(2, 0, 3);
    make_file("t-00112233445566778899aabbccddeeff", 0);
    make_file("other", 0);
    world_restart();
    assert_int_equal(upload_table_count(world_uploads), 2);
    assert_true(upload_table_get(world_uploads, &session, &found));
    assert_int_equal(found.offset, 0);
    assert_int_equal(found.repository_key, KEY);
    assert_int_equal(found.used_ms, clock_wall().ms - 5000);
    session = id(2);
    assert_true(upload_table_get(world_uploads, &session, &found));
    assert_int_equal(found.offset, 3);
}

/* Their clients may be sending: a request that finds the file locked is answered 409. */
static void sessions_that_have_slots_are_not_locked(void **state)
{
    (void)state;
    make_session(1, 0);
    set_slot(1, 0, 3);
    make_session(2, 48 * HOUR_MS);
    set_slot(2, HOUR_MS, 3);
    failpoint_arm("janitor.take", 1000, 0);
    world_restart();
    assert_int_equal(failpoint_hits("janitor.take"), 0);
    keep_house();
    assert_int_equal(failpoint_hits("janitor.take"), 0);
    failpoint_clear();
}

static void as_many_sessions_as_may_be_are_found(void **state)
{
    (void)state;
    for (uint8_t i = 1; i <= WORLD_UPLOADS + 2; i++)
        make_session(i, 0);
    world_restart();
    assert_int_equal(upload_table_count(world_uploads), WORLD_UPLOADS);
}

static void a_session_in_use_is_left_to_its_user(void **state)
{
    (void)state;
    int fd = -1;
    make_session(1, 48 * HOUR_MS);
    assert_int_equal(store_file_open(world_store, PLACE_UPLOADS, name_of(id(1)), &fd, &err), 0);
    assert_int_equal(upload_lock(fd, &err), 0);
    world_restart();
    assert_false(has_slot(1));
    keep_house();
    assert_true(is_there(name_of(id(1))));
    fd_close(&fd);
    keep_house();
    assert_false(is_there(name_of(id(1))));
}

static void what_got_nothing_for_a_day_is_removed(void **state)
{
    (void)state;
    static const char *const old = "t-00112233445566778899aabbccddeeff";
    static const char *const fresh = "t-ff112233445566778899aabbccddeeff";
    make_session(1, 25 * HOUR_MS);
    set_slot(1, 25 * HOUR_MS, 5);
    make_session(2, 25 * HOUR_MS); /* asked about since */
    set_slot(2, HOUR_MS, 5);
    make_session(3, HOUR_MS);
    make_session(4, 25 * HOUR_MS); /* no slot */
    set_slot(5, 25 * HOUR_MS, 0);  /* no file */
    set_slot(6, UPLOAD_FILELESS_MS / 2, 0);
    make_file(old, 25 * HOUR_MS);
    make_file(fresh, HOUR_MS);
    make_file("other", 25 * HOUR_MS);
    keep_house();
    assert_false(is_there(name_of(id(1))) || has_slot(1));
    assert_true(is_there(name_of(id(2))) && has_slot(2));
    assert_true(is_there(name_of(id(3))));
    assert_false(is_there(name_of(id(4))));
    assert_false(has_slot(5));
    assert_true(has_slot(6));
    assert_false(is_there(old));
    assert_true(is_there(fresh) && is_there("other"));
}

static void a_file_the_keeper_may_be_asked_about_stays(void **state)
{
    (void)state;
    static const char *const manifest = "t-00112233445566778899aabbccddeeff";
    static const char *const blob = "t-ff112233445566778899aabbccddeeff";
    int fd = -1;
    world_config.limits.upload_expiry = 1000;
    make_file(manifest, HOUR_MS / 2);
    make_file(blob, 25 * HOUR_MS);
    assert_int_equal(store_file_open(world_store, PLACE_UPLOADS, blob, &fd, &err), 0);
    assert_int_equal(upload_lock(fd, &err), 0);
    keep_house();
    assert_true(is_there(manifest) && is_there(blob));
    fd_close(&fd);
    keep_house();
    assert_false(is_there(blob));
}

/* A POST takes a slot, asks the keeper, and makes the file after that. */
static void slot_whose_file_may_be_about_to_be_made_stays(void **state)
{
    (void)state;
    world_config.limits.upload_expiry = 1000;
    set_slot(1, UPLOAD_FILELESS_MS / 2, 0);
    set_slot(2, UPLOAD_FILELESS_MS + 1, 0);
    keep_house();
    assert_true(has_slot(1));
    assert_false(has_slot(2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_of_a_former_server_get_slots),
        TEST(sessions_that_have_slots_are_not_locked),
        TEST(as_many_sessions_as_may_be_are_found),
        TEST(a_session_in_use_is_left_to_its_user),
        TEST(what_got_nothing_for_a_day_is_removed),
        TEST(a_file_the_keeper_may_be_asked_about_stays),
        TEST(slot_whose_file_may_be_about_to_be_made_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
