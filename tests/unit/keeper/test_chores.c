/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's own work between clients' orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "fakes/loop.h"
#include "keeper/keeper.h"
#include "net/loop.h"
#include "store/journal.h"
#include "world.h"

#define ENTRIES 4500
#define SLICES  5 /* of 1000 */

static struct error err;

static int set_up(void **state)
{
    int rc = world_setup(state);
    struct ledger_txn *txn = NULL;
    struct journal_entry entry = {.kind = JOURNAL_TAG, .when_ms = clock_wall().ms};

    if (rc != 0)
        return rc;
    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    for (unsigned i = 0; i < ENTRIES; i++)
        journal_add(txn, &entry);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    clock_advance(7ull * 24 * 3600 * 1000 + 1);
    failpoint_arm("chores.trim", 1000000, 0); /* counts */
    return 0;
}

static int tear_down(void **state)
{
    failpoint_clear();
    return world_teardown(state);
}

static void a_chore_is_done_in_slices(void **state)
{
    (void)state;
    struct journal_position start = journal_after(0);
    world_turns(100);
    assert_int_equal(failpoint_hits("chores.trim"), SLICES);
    assert_false(journal_is_complete(world_read(), &start));
    world_read_end();
    assert_int_equal(world_number(), 1); /* nothing that anybody has to know */
    world_keep_house();
    assert_int_equal(failpoint_hits("chores.trim"), SLICES + 1);
}

static void an_order_waits_for_one_slice_at_most(void **state)
{
    (void)state;
    unsigned waited = 0;
    while (failpoint_hits("chores.trim") == 0)
        loop_turn(world_loop, 0);
    for (unsigned i = 0; i < SLICES - 1; i++) {
        static const char *const contents[SLICES] = {"1", "2", "3", "4", "5"};
        struct message_blob_stored stored = world_blob("team/app", contents[i]);
        unsigned before = failpoint_hits("chores.trim");

        (void)world_post(WORKER_0, MESSAGE_BLOB_STORED, &stored);
        while (world_link("", "team/app", &stored.digest) == 0)
            loop_turn(world_loop, 0);
        unsigned slices = failpoint_hits("chores.trim") - before;
        waited = slices > waited ? slices : waited;
    }
    assert_in_range(waited, 0, 2); /* one from before it was read, one after its batch */
    assert_true(failpoint_hits("chores.trim") > 1); /* nor does it wait for ever */
}

static void a_chore_that_fails_hurts_no_order_and_is_tried_again(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    failpoint_clear();
    failpoint_arm("ledger.commit", 0, 1);
    world_turns(50);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    struct journal_position start = journal_after(0);
    assert_true(journal_is_complete(world_read(), &start));
    world_read_end();
    world_keep_house();
    assert_false(journal_is_complete(world_read(), &start));
    world_read_end();
}

static void a_draining_keeper_starts_no_chore(void **state)
{
    (void)state;
    keeper_drain(world_keeper, 100000);
    world_keep_house();
    assert_int_equal(failpoint_hits("chores.trim"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chore_is_done_in_slices),
        TEST(an_order_waits_for_one_slice_at_most),
        TEST(a_chore_that_fails_hurts_no_order_and_is_tried_again),
        TEST(a_draining_keeper_starts_no_chore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
