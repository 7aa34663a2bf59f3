/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what is read from a position on, in slices; old records; trimming and readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "journal_table.h"
#include "ledger_table.h"
#include "store/journal.h"
#include "store/ledger.h"
#include "support/scratch.h"

static struct error err;
static struct ledger *ledger;
static struct ledger_txn *txn;
static char all[400]; /* what was read */

static int setup(void **state)
{
    (void)state;
    all[0] = '\0';
    if (ledger_open(scratch_make(), true, &ledger, &err) != 0)
        return -1;
    return ledger_write(ledger, &txn, &err);
}

static int teardown(void **state)
{
    (void)state;
    ledger_abort(&txn);
    ledger_close(&ledger);
    scratch_remove();
    return 0;
}

static void commit(void)
{
    assert_int_equal(ledger_commit(&txn, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
}

static void add(const char *tag, uint64_t when_ms)
{
    struct journal_entry entry = {.kind = JOURNAL_TAG, .when_ms = when_ms, .tag = slice_of(tag)};

    journal_add(txn, &entry);
}

/* Commit 1: a, b. Commit 2: c. */
static void fill(void)
{
    add("a", 100);
    add("b", 100);
    commit();
    add("c", 200);
    commit();
}

static bool collect_entry(const struct journal_entry *entry, void *arg)
{
    const char *last = arg;
    size_t length = strlen(all);

    (void)snprintf(all + length, sizeof(all) - length, "%u.%u:%.*s ",
                   (unsigned)entry->position.number, (unsigned)entry->position.place,
                   SLICE_PRINT(entry->tag));
    return !last || !slice_is(entry->tag, last);
}

static enum journal_progress collect(struct journal_position *position, unsigned limit)
{
    all[0] = '\0';
    return journal_read(txn, position, limit, collect_entry, NULL);
}

static void what_changed_after_a_number_is_read_in_order(void **state)
{
    (void)state;
    fill();
    struct journal_position position = journal_after(0);
    assert_int_equal(collect(&position, 100), JOURNAL_END);
    assert_string_equal(all, "1.0:a 1.1:b 2.0:c ");
    position = journal_after(1);
    assert_int_equal(collect(&position, 100), JOURNAL_END);
    assert_string_equal(all, "2.0:c ");
    assert_int_equal(collect(&position, 100), JOURNAL_END);
    assert_string_equal(all, "");
    position = journal_after(UINT64_MAX);
    assert_int_equal(collect(&position, 100), JOURNAL_END);
    assert_string_equal(all, "");
}

static void slices_continue_within_a_commit(void **state)
{
    (void)state;
    fill();
    struct journal_position position = journal_after(0);
    assert_int_equal(collect(&position, 1), JOURNAL_MORE);
    assert_string_equal(all, "1.0:a ");
    assert_int_equal(collect(&position, 1), JOURNAL_MORE);
    assert_string_equal(all, "1.1:b ");
    assert_int_equal(collect(&position, 1), JOURNAL_END);
    assert_string_equal(all, "2.0:c ");
    position = journal_after(0);
    all[0] = '\0';
    char last[] = "b";
    assert_int_equal(journal_read(txn, &position, 100, collect_entry, last), JOURNAL_MORE);
    assert_string_equal(all, "1.0:a 1.1:b ");
    assert_int_equal(position.place, 1);
}

static void an_empty_journal_has_nothing_and_lacks_nothing(void **state)
{
    (void)state;
    struct journal_position position = journal_after(0);
    assert_int_equal(collect(&position, 100), JOURNAL_END);
    assert_true(journal_is_complete(txn, &position));
}

static bool keep_entry(const struct journal_entry *entry, void *arg)
{
    *(struct journal_entry *)arg = *entry;
    return true;
}

static struct journal_entry newest(void)
{
    struct journal_position position = journal_after(0);
    struct journal_entry entry;

    memset(&entry, 0, sizeof(entry));
    assert_int_equal(journal_read(txn, &position, 100, keep_entry, &entry), JOURNAL_END);
    assert_null(ledger_error(txn));
    return entry;
}

static void entries_say_what_changed_and_who_asked(void **state)
{
    (void)state;
    static char long_name[300];
    memset(long_name, 'p', sizeof(long_name));
    struct journal_entry entry = {
        .kind = JOURNAL_MANIFEST,
        .when_ms = 1700000000000,
        .origin = SLICE_LITERAL("docker.io"),
        .repository = SLICE_LITERAL("library/app"),
        .tag = SLICE_LITERAL("v1"),
        .principal = slice_from(long_name, sizeof(long_name)),
        .address = SLICE_LITERAL("10.0.0.7"),
        .request_id = SLICE_LITERAL("17"),
    };
    digest_of(HASH_SHA256, SLICE_LITERAL("x"), &entry.digest);
    journal_add(txn, &entry);
    struct journal_entry found = newest();
    assert_int_equal(found.kind, JOURNAL_MANIFEST);
    assert_int_equal(found.when_ms, 1700000000000);
    assert_true(slice_is(found.origin, "docker.io"));
    assert_true(slice_is(found.repository, "library/app"));
    assert_true(slice_is(found.tag, "v1"));
    assert_true(digest_equal(&found.digest, &entry.digest));
    assert_int_equal(found.principal.length, 256);
    assert_true(slice_is(found.address, "10.0.0.7"));
    assert_true(slice_is(found.request_id, "17"));
}

/* Written by the program of the first release: the actor is one text. */
static void records_of_version_1_are_read(void **state)
{
    (void)state;
    static const char key[] = "\0\0\0\0\0\0\0\x05"
                              "\0\0\0\x02";
    static const char value[] = "\x01"                     /* version */
                                "\x04"                     /* tag */
                                "\0\0\x01\x8b\xcf\xe5\x68" /* when */
                                "\0"
                                "\0"             /* no digest */
                                "\0\0"           /* hosted */
                                "\0\x08team/app" /* repository */
                                "\0\x02v1"       /* tag */
                                "\0\x15"
                                "anonymous 10.0.0.7 17"; /* actor */
    struct journal_position position = journal_after(4);
    struct journal_entry entry;
    memset(&entry, 0, sizeof(entry));
    ledger_put(txn, TABLE_JOURNAL, slice_from(key, sizeof(key) - 1),
               slice_from(value, sizeof(value) - 1));
    position.number = 5;
    position.place = 1;
    assert_int_equal(journal_read(txn, &position, 100, keep_entry, &entry), JOURNAL_END);
    assert_null(ledger_error(txn));
    assert_int_equal(entry.position.number, 5);
    assert_int_equal(entry.position.place, 2);
    assert_int_equal(entry.kind, JOURNAL_TAG);
    assert_int_equal(entry.when_ms, 1700000000000);
    assert_int_equal(entry.origin.length, 0);
    assert_true(slice_is(entry.repository, "team/app"));
    assert_true(slice_is(entry.tag, "v1"));
    assert_true(slice_is(entry.principal, "anonymous"));
    assert_true(slice_is(entry.address, "10.0.0.7"));
    assert_true(slice_is(entry.request_id, "17"));
}

static void the_fetchers_actor_of_version_1_has_no_address(void **state)
{
    (void)state;
    static const char value[] = "\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x0b"
                                "fetcher - -";
    static const char key[] = "\0\0\0\0\0\0\0\x05\0\0\0\0";
    struct journal_entry entry;
    memset(&entry, 0, sizeof(entry));
    assert_true(journal_decode(slice_from(key, sizeof(key) - 1),
                               slice_from(value, sizeof(value) - 1), &entry));
    assert_true(slice_is(entry.principal, "fetcher"));
    assert_int_equal(entry.address.length, 0);
    assert_int_equal(entry.request_id.length, 0);
}

static void a_record_of_a_later_version_is_an_error(void **state)
{
    (void)state;
    ledger_put(txn, TABLE_JOURNAL, slice_from("\0\0\0\0\0\0\0\x01\0\0\0\0", 12),
               SLICE_LITERAL("\x03zzz"));
    struct journal_position position = journal_after(0);
    (void)collect(&position, 100);
    assert_int_equal(ledger_error(txn)->kind, ERR_CORRUPT);
}

static unsigned trim(uint64_t before_ms, uint64_t held_before_ms, unsigned limit)
{
    struct journal_ages ages = {before_ms, held_before_ms};

    return journal_trim(txn, &ages, limit);
}

static void readers_of_trimmed_entries_are_told(void **state)
{
    (void)state;
    fill();
    struct journal_position start = journal_after(0);
    struct journal_position middle = {1, 0};
    struct journal_position first = journal_after(1);
    assert_int_equal(trim(200, 0, 1), 1);
    assert_false(journal_is_complete(txn, &start));
    assert_int_equal(collect(&start, 100), JOURNAL_TRIMMED);
    assert_string_equal(all, "");
    assert_int_equal(start.number, 0);
    assert_int_equal(collect(&middle, 100), JOURNAL_END); /* it has read what is gone */
    assert_string_equal(all, "1.1:b 2.0:c ");
    assert_int_equal(trim(200, 0, 10), 1);
    middle = (struct journal_position){1, 0};
    assert_int_equal(collect(&middle, 100), JOURNAL_TRIMMED);
    assert_int_equal(collect(&first, 100), JOURNAL_END);
    assert_string_equal(all, "2.0:c ");
    assert_int_equal(trim(1000, 0, 10), 1);
    first = journal_after(1);
    struct journal_position last = journal_after(2);
    assert_int_equal(collect(&first, 100), JOURNAL_TRIMMED);
    assert_int_equal(collect(&last, 100), JOURNAL_END);
}

/* An older program did not note how far it trimmed. */
static void a_ledger_that_does_not_say_how_far_is_not_trusted(void **state)
{
    (void)state;
    struct journal_position position = journal_after(1);
    fill();
    assert_int_equal(trim(200, 0, 10), 2);
    assert_true(ledger_delete(txn, TABLE_META, SLICE_LITERAL("trimmed")));
    assert_true(journal_is_complete(txn, &position));
    position = (struct journal_position){1, 1};
    assert_false(journal_is_complete(txn, &position)); /* there may have been a third */
    assert_int_equal(trim(1000, 0, 10), 1);
    assert_true(ledger_delete(txn, TABLE_META, SLICE_LITERAL("trimmed")));
    position = journal_after(1);
    assert_false(journal_is_complete(txn, &position));
    position = journal_after(2);
    assert_true(journal_is_complete(txn, &position));
}

static void trimming_waits_for_registered_readers_within_a_bound(void **state)
{
    (void)state;
    struct journal_position slow = {1, 0};
    struct journal_position fast = journal_after(2);
    fill();
    journal_reader_put(txn, SLICE_LITERAL("slow"), &slow);
    journal_reader_put(txn, SLICE_LITERAL("fast"), &fast);
    assert_int_equal(trim(1000, 0, 10), 1);
    assert_int_equal(trim(1000, 150, 10), 1); /* the bound */
    assert_int_equal(trim(1000, 150, 10), 0);
    slow = journal_after(2);
    journal_reader_put(txn, SLICE_LITERAL("slow"), &slow);
    assert_int_equal(trim(1000, 150, 10), 1);
}

static void readers_are_registered_by_name(void **state)
{
    (void)state;
    struct journal_position position = {7, 3};
    struct journal_position found;
    assert_false(journal_reader_find(txn, SLICE_LITERAL("hook"), &found));
    journal_reader_put(txn, SLICE_LITERAL("hook"), &position);
    assert_true(journal_reader_find(txn, SLICE_LITERAL("hook"), &found));
    assert_int_equal(found.number, 7);
    assert_int_equal(found.place, 3);
    assert_true(journal_reader_delete(txn, SLICE_LITERAL("hook")));
    assert_false(journal_reader_delete(txn, SLICE_LITERAL("hook")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_changed_after_a_number_is_read_in_order),
        TEST(slices_continue_within_a_commit),
        TEST(an_empty_journal_has_nothing_and_lacks_nothing),
        TEST(entries_say_what_changed_and_who_asked),
        TEST(records_of_version_1_are_read),
        TEST(the_fetchers_actor_of_version_1_has_no_address),
        TEST(a_record_of_a_later_version_is_an_error),
        TEST(readers_of_trimmed_entries_are_told),
        TEST(a_ledger_that_does_not_say_how_far_is_not_trusted),
        TEST(trimming_waits_for_registered_readers_within_a_bound),
        TEST(readers_are_registered_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
