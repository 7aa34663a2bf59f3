/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: opening, transactions, readers, growth. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"
#include "support/scratch.h"

static struct error err;

static const char *path_of_folder;

static int setup(void **state)
{
    (void)state;
    path_of_folder = scratch_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

static const char *folder(void **state)
{
    (void)state;
    return path_of_folder;
}

static void put_use(struct ledger *ledger, const char *what, uint64_t when)
{
    struct ledger_txn *txn;
    struct digest digest;

    digest_of(HASH_SHA256, slice_of(what), &digest);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    use_put(txn, &digest, when);
    (void)ledger_next_number(txn);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    assert_null(txn);
}

static uint64_t get_use(struct ledger *ledger, const char *what)
{
    struct digest digest;

    digest_of(HASH_SHA256, slice_of(what), &digest);
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    uint64_t when = use_find(txn, &digest);
    assert_null(ledger_error(txn));
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return when;
}

static void who_does_not_write_waits_for_the_writer(void **state)
{
    struct ledger *ledger = NULL;

    assert_int_equal(ledger_open(folder(state), false, &ledger, &err), -ERR_NOT_FOUND);
    assert_null(ledger);
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    put_use(ledger, "a", 1);
    ledger_close(&ledger);
    assert_int_equal(ledger_open(folder(state), false, &ledger, &err), 0);
    assert_int_equal(get_use(ledger, "a"), 1);
    ledger_close(&ledger);
}

static void a_newer_ledger_is_refused_and_left_alone(void **state)
{
    struct ledger *ledger = NULL;
    struct ledger_txn *txn;

    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    ledger_put(txn, TABLE_META, SLICE_LITERAL("version"), slice_from("\0\0\0\x04", 4));
    assert_int_equal(ledger_commit(&txn, &err), 0);
    ledger_close(&ledger);
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), -ERR_UNSUPPORTED);
    assert_int_equal(ledger_open(folder(state), false, &ledger, &err), -ERR_UNSUPPORTED);
}

static bool count_named(struct slice tag, void *arg)
{
    (void)tag;
    (*(unsigned *)arg)++;
    return true;
}

#define OLD_TAGS 5000u /* more than are copied between two walks */

/* As version 1 left it. */
static void make_old_ledger(const char *path, const struct digest *digest)
{
    struct ledger *ledger = NULL;
    struct ledger_txn *txn;
    struct tag tag = {.digest = *digest};
    struct slice key;
    struct slice value;

    assert_int_equal(ledger_open(path, true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    for (unsigned i = 0; i < OLD_TAGS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "v%u", i);
        tag_put(txn, 1 + i % 2, slice_of(name), &tag);
    }
    while (ledger_first(txn, TABLE_TAGGED, slice_of(""), &key, &value)) {
        struct record copy;

        record_init(&copy);
        record_add_bytes(&copy, key);
        assert_true(ledger_delete(txn, TABLE_TAGGED, record_bytes(&copy)));
    }
    ledger_put(txn, TABLE_META, SLICE_LITERAL("version"), slice_from("\0\0\0\x01", 4));
    assert_int_equal(ledger_commit(&txn, &err), 0);
    ledger_close(&ledger);
}

static unsigned count_tags_of(struct ledger *ledger, const struct digest *digest, bool *out_survey)
{
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    struct survey survey;
    unsigned count = 0;

    tag_each_of(txn, 1, digest, count_named, &count);
    *out_survey = survey_find(txn, &survey);
    assert_null(ledger_error(txn));
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return count;
}

static void an_older_ledger_is_upgraded_as_a_whole_or_not_at_all(void **state)
{
    struct ledger *ledger = NULL;
    struct digest digest;
    bool has_survey = true;

    digest_of(HASH_SHA256, slice_of("m"), &digest);
    make_old_ledger(folder(state), &digest);
    /* Those who read wait for the keeper, as for a new one. */
    assert_int_equal(ledger_open(folder(state), false, &ledger, &err), -ERR_NOT_FOUND);
    failpoint_arm("ledger.commit", 0, 1);
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), -ERR_IO);
    assert_non_null(strstr(err.text, "version 3"));
    assert_int_equal(ledger_open(folder(state), false, &ledger, &err), -ERR_NOT_FOUND);
    failpoint_clear();
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(count_tags_of(ledger, &digest, &has_survey), OLD_TAGS / 2);
    assert_true(has_survey);
    ledger_close(&ledger);
}

static void a_new_ledger_needs_no_survey(void **state)
{
    struct ledger *ledger = NULL;
    struct digest digest;
    bool has_survey = true;

    digest_of(HASH_SHA256, slice_of("m"), &digest);
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(count_tags_of(ledger, &digest, &has_survey), 0);
    assert_false(has_survey);
    ledger_close(&ledger);
}

static uint64_t number_of(struct ledger_txn *txn)
{
    uint64_t number = 0;

    assert_int_equal(ledger_commit_number(txn, &number, &err), 0);
    return number;
}

static void numbers_count_commits(void **state)
{
    struct ledger *ledger = NULL;
    struct ledger_txn *txn;

    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    assert_int_equal(number_of(txn), 0);
    assert_int_equal(ledger_next_number(txn), 1);
    assert_int_equal(ledger_next_number(txn), 1);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    assert_int_equal(ledger_next_number(txn), 2);
    ledger_abort(&txn);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    assert_int_equal(ledger_next_number(txn), 2);
    ledger_abort(&txn);
    ledger_close(&ledger);
}

static void an_error_sticks_until_the_commit_says_it(void **state)
{
    struct ledger *ledger = NULL;
    struct ledger_txn *txn;

    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    ledger_put(txn, TABLE_META, slice_from(NULL, 0),
               SLICE_LITERAL("x")); /* LMDB has no empty keys */
    assert_non_null(ledger_error(txn));
    ledger_put(txn, TABLE_META, SLICE_LITERAL("k"), SLICE_LITERAL("v"));
    struct slice value;
    assert_false(ledger_get(txn, TABLE_META, SLICE_LITERAL("k"), &value));
    assert_int_equal(ledger_commit(&txn, &err), -ERR_INVALID);
    assert_null(txn);
    ledger_close(&ledger);
}

static void a_bad_record_is_an_error_and_not_found(void **state)
{
    struct ledger *ledger = NULL;
    struct ledger_txn *txn;
    struct tag tag;

    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    ledger_put(txn, TABLE_TAG, slice_from("\0\0\0\x01v1", 6), SLICE_LITERAL("\x01\x01zz"));
    assert_false(tag_find(txn, 1, SLICE_LITERAL("v1"), &tag));
    assert_int_equal(ledger_error(txn)->kind, ERR_CORRUPT);
    ledger_abort(&txn);
    ledger_close(&ledger);
}

static void a_full_map_grows_before_the_next_write(void **state)
{
    struct ledger *ledger = NULL;

    assert_int_equal(ledger_open_sized(folder(state), true, 256 * 1024, &ledger, &err), 0);
    static char block[32 * 1024];
    struct ledger_reader *reader = ledger_reader_new(ledger);
    (void)ledger_read(reader);
    ledger_read_end(reader); /* kept, and renewed in the larger map below */
    unsigned failures = 0;
    for (uint32_t i = 0; i < 64;) {
        struct ledger_txn *txn;
        struct record key;

        record_init(&key);
        record_add_u32(&key, i);
        assert_int_equal(ledger_write(ledger, &txn, &err), 0);
        ledger_put(txn, TABLE_META, record_bytes(&key), slice_from(block, sizeof(block)));
        int rc = ledger_commit(&txn, &err);
        if (rc == 0)
            i++;
        else
            failures++;
        assert_true(rc == 0 || rc == -ERR_NO_SPACE);
        assert_true(failures < 16);
    }
    assert_true(failures > 0);
    assert_true(ledger_map_size(ledger) > 256 * 1024);
    struct ledger_txn *txn = ledger_read(reader);
    for (uint32_t i = 0; i < 64; i++) {
        struct record key;
        struct slice value;

        record_init(&key);
        record_add_u32(&key, i);
        assert_true(ledger_get(txn, TABLE_META, record_bytes(&key), &value));
        assert_int_equal(value.length, sizeof(block));
        assert_int_equal(value.data[value.length - 1], 0);
    }
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    ledger_close(&ledger);
    /* Opened again with the small size, it has room for what is there. */
    assert_int_equal(ledger_open_sized(folder(state), true, 256 * 1024, &ledger, &err), 0);
    put_use(ledger, "a", 9);
    ledger_close(&ledger);
}

static int put_block(struct ledger *ledger, uint32_t number)
{
    static char block[32 * 1024];
    struct ledger_txn *txn;
    struct record key;

    record_init(&key);
    record_add_u32(&key, number);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    ledger_put(txn, TABLE_META, record_bytes(&key), slice_from(block, sizeof(block)));
    return ledger_commit(&txn, &err);
}

/* The address space is used up: what is there is read, and what needs no room is written. */
static void a_map_that_cannot_grow_says_why_and_stays(void **state)
{
    struct ledger *ledger = NULL;
    struct record key;
    struct slice value;
    uint32_t count = 0;

    assert_int_equal(ledger_open_sized(folder(state), true, 256 * 1024, &ledger, &err), 0);
    failpoint_arm("ledger.map", 0, 0);
    while (put_block(ledger, count) == 0)
        assert_true(++count < 64);
    assert_int_equal(put_block(ledger, count), -ERR_NO_SPACE); /* it has tried to grow */
    assert_non_null(strstr(err.text, "ulimit -v"));
    assert_int_equal(ledger_map_size(ledger), 256 * 1024);
    struct ledger_reader *reader = ledger_reader_new(ledger);
    record_init(&key);
    record_add_u32(&key, 0);
    assert_true(ledger_get(ledger_read(reader), TABLE_META, record_bytes(&key), &value));
    ledger_read_end(reader);
    put_use(ledger, "a", 9);
    failpoint_clear();
    (void)put_block(ledger, count);
    assert_int_equal(put_block(ledger, count), 0);
    assert_true(ledger_map_size(ledger) > 256 * 1024);
    ledger_reader_free(&reader);
    ledger_close(&ledger);
}

/* In a child: reads, is told by a byte that the writer grew the map, reads again. */
static _Noreturn void run_reader(const char *path, int tell, int listen)
{
    struct ledger *ledger = NULL;
    struct error problem;
    char byte = 'r';

    if (ledger_open_sized(path, false, 256 * 1024, &ledger, &problem) != 0)
        _exit(1);
    struct ledger_reader *reader = ledger_reader_new(ledger);
    (void)ledger_read(reader);
    ledger_read_end(reader);
    if (write(tell, &byte, 1) != 1 || read(listen, &byte, 1) != 1)
        _exit(2);
    struct ledger_txn *txn = ledger_read(reader);
    struct slice value;
    bool is_there = ledger_get(txn, TABLE_META, SLICE_LITERAL("big"), &value);
    if (ledger_error(txn) || !is_there || value.data[value.length - 1] != 'x')
        _exit(3);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    ledger_close(&ledger);
    _exit(0);
}

/* A thread that reads without an end: it walks again and again in one transaction. */
struct endless {
    pthread_t thread;
    struct ledger *ledger;
    int tell;
    atomic_bool is_enough;
    bool is_late; /* nobody stopped it */
    unsigned walks;
};

static bool on_endless_key(struct slice key, struct slice value, void *arg)
{
    struct endless *endless = arg;

    (void)key;
    (void)value;
    if (endless->walks == 0)
        (void)!write(endless->tell, "w", 1);
    endless->walks++;
    return true;
}

static void *run_endless(void *arg)
{
    struct endless *endless = arg;
    uint64_t until_us = clock_mono_us() + 5000000;
    struct ledger_reader *reader = ledger_reader_new(endless->ledger);
    struct ledger_txn *txn = ledger_read_long(reader);

    while (!atomic_load(&endless->is_enough) && !ledger_error(txn)) {
        ledger_walk(txn, TABLE_META, SLICE_LITERAL("version"), slice_from(NULL, 0), on_endless_key,
                    endless);
        if (clock_mono_us() > until_us) {
            endless->is_late = true;
            break;
        }
    }
    endless->is_late = endless->is_late || ledger_error(txn);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return NULL;
}

/* In a child: a long read runs on a thread while the writer grows the map; this thread, the loop in
 * its place, reads again. */
static _Noreturn void run_readers(const char *path, int tell, int listen)
{
    struct endless endless = {.tell = tell};
    struct error problem;
    char byte;

    if (ledger_open_sized(path, false, 256 * 1024, &endless.ledger, &problem) != 0)
        _exit(1);
    if (pthread_create(&endless.thread, NULL, run_endless, &endless) != 0)
        _exit(1);
    if (read(listen, &byte, 1) != 1)
        _exit(2);
    struct ledger_reader *reader = ledger_reader_new(endless.ledger);
    struct ledger_txn *txn = ledger_read(reader);
    struct slice value;
    bool is_there = ledger_get(txn, TABLE_META, SLICE_LITERAL("big"), &value);
    ledger_read_end(reader);
    atomic_store(&endless.is_enough, true);
    (void)pthread_join(endless.thread, NULL);
    if (!is_there)
        _exit(3);
    if (endless.is_late)
        _exit(4);
    ledger_reader_free(&reader);
    ledger_close(&endless.ledger);
    _exit(0);
}

#define CROWD 8

struct crowd_reader {
    pthread_t thread;
    struct ledger *ledger;
    atomic_int id;
    bool is_right;
};

static void *run_crowd_reader(void *arg)
{
    struct crowd_reader *one = arg;
    struct ledger_reader *reader = ledger_reader_new(one->ledger);
    struct slice value;

    atomic_store(&one->id, gettid());
    struct ledger_txn *txn = ledger_read(reader);
    one->is_right = ledger_get(txn, TABLE_META, SLICE_LITERAL("big"), &value);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return NULL;
}

/* Does the thread wait for something? */
static bool is_asleep(int id)
{
    char path[64];
    char state = 'R';

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
    FILE *file = id != 0 ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
    (void)fclose(file);
    return state == 'S';
}

/* In a child: many threads find at once that the map is too small, and wait for a snapshot that was
 * begun before to end. One of them makes it as large as it must be. */
static _Noreturn void run_crowd(const char *path, int tell, int listen)
{
    static struct crowd_reader crowd[CROWD];
    struct ledger *ledger = NULL;
    struct error problem;
    uint64_t until_us = clock_mono_us() + 5000000;
    char byte = 'r';

    if (ledger_open_sized(path, false, 256 * 1024, &ledger, &problem) != 0)
        _exit(1);
    struct ledger_reader *reader = ledger_reader_new(ledger);
    (void)ledger_read(reader);
    if (write(tell, &byte, 1) != 1 || read(listen, &byte, 1) != 1)
        _exit(2);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i].ledger = ledger;
        if (pthread_create(&crowd[i].thread, NULL, run_crowd_reader, &crowd[i]) != 0)
            _exit(2);
    }
    for (unsigned i = 0; i < CROWD && clock_mono_us() < until_us;)
        i += is_asleep(atomic_load(&crowd[i].id));
    ledger_read_end(reader);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)pthread_join(crowd[i].thread, NULL);
        if (!crowd[i].is_right)
            _exit(3);
    }
    if (ledger_map_size(ledger) > 8 * 1024 * 1024) /* for 2 MiB and a little */
        _exit(4);
    ledger_reader_free(&reader);
    ledger_close(&ledger);
    _exit(0);
}

typedef void readers_fn(const char *path, int tell, int listen);

/* `run` runs in a child: it tells when it has read, and listens for the growth. */
static void grow_under(const char *path, readers_fn *run)
{
    struct ledger *ledger = NULL;
    int up[2];
    int down[2];
    char byte;

    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    assert_int_equal(ledger_open_sized(path, true, 256 * 1024, &ledger, &err), 0);
    put_use(ledger, "a", 1);
    ledger_close(&ledger); /* no environment is open across the fork */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run(path, up[1], down[0]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(ledger_open_sized(path, true, 256 * 1024, &ledger, &err), 0);
    static char block[2 * 1024 * 1024];
    memset(block, 'x', sizeof(block));
    int rc = -1;
    for (int i = 0; i < 16 && rc != 0; i++) {
        struct ledger_txn *txn;

        assert_int_equal(ledger_write(ledger, &txn, &err), 0);
        ledger_put(txn, TABLE_META, SLICE_LITERAL("big"), slice_from(block, sizeof(block)));
        rc = ledger_commit(&txn, &err);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(write(down[1], "g", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 2; i++) {
        (void)close(up[i]);
        (void)close(down[i]);
    }
    ledger_close(&ledger);
}

static void a_reader_in_another_process_follows_the_growth(void **state)
{
    grow_under(folder(state), run_reader);
}

static void a_long_read_keeps_no_thread_from_the_growth(void **state)
{
    grow_under(folder(state), run_readers);
}

static void many_threads_make_the_map_larger_once(void **state)
{
    grow_under(folder(state), run_crowd);
}

/* In a child that dies with a transaction open. */
static _Noreturn void die_reading(const char *path)
{
    struct ledger *ledger = NULL;
    struct error problem;

    if (ledger_open(path, false, &ledger, &problem) != 0)
        _exit(1);
    (void)ledger_read(ledger_reader_new(ledger));
    _exit(0);
}

/* Blobs cannot take it, and deletes find it when they have taken everything else. */
static void writer_keeps_room_on_the_disk(void **state)
{
    struct ledger *ledger;
    char path[4096];
    struct stat status;

    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    put_use(ledger, "a", 1);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", path_of_folder);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size < 1 << 20);
    assert_true((uint64_t)status.st_blocks * 512 >= (uint64_t)status.st_size + (4u << 20));
    ledger_close(&ledger);
}

static void readers_of_dead_processes_are_forgotten(void **state)
{
    const char *path = folder(state);
    struct ledger *ledger = NULL;

    assert_int_equal(ledger_open(path, true, &ledger, &err), 0);
    ledger_close(&ledger);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        die_reading(path);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(ledger_open(path, true, &ledger, &err), 0);
    ledger_check_readers(ledger);
    put_use(ledger, "a", 1);
    assert_int_equal(get_use(ledger, "a"), 1);
    ledger_close(&ledger);
}

static void a_reader_keeps_its_snapshot_until_its_end(void **state)
{
    struct ledger *ledger = NULL;
    struct digest a;

    digest_of(HASH_SHA256, SLICE_LITERAL("a"), &a);
    assert_int_equal(ledger_open(folder(state), true, &ledger, &err), 0);
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    put_use(ledger, "a", 1);
    assert_int_equal(use_find(txn, &a), 0);
    ledger_read_end(reader);
    txn = ledger_read(reader);
    assert_int_equal(use_find(txn, &a), 1);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    ledger_close(&ledger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_does_not_write_waits_for_the_writer),
        TEST(a_newer_ledger_is_refused_and_left_alone),
        TEST(an_older_ledger_is_upgraded_as_a_whole_or_not_at_all),
        TEST(a_new_ledger_needs_no_survey),
        TEST(numbers_count_commits),
        TEST(an_error_sticks_until_the_commit_says_it),
        TEST(a_bad_record_is_an_error_and_not_found),
        TEST(a_full_map_grows_before_the_next_write),
        TEST(a_map_that_cannot_grow_says_why_and_stays),
        TEST(a_reader_in_another_process_follows_the_growth),
        TEST(a_long_read_keeps_no_thread_from_the_growth),
        TEST(many_threads_make_the_map_larger_once),
        TEST(writer_keeps_room_on_the_disk),
        TEST(readers_of_dead_processes_are_forgotten),
        TEST(a_reader_keeps_its_snapshot_until_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
