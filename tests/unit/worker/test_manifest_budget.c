/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "fakes/loop.h"
#include "net/loop.h"

#define TOTAL ((size_t)32 * 1024 * 1024)
#define LARGE (TOTAL / 2)

struct guest {
    struct manifest_claim claim;
    unsigned held;
    unsigned late;
};

static struct loop *loop;
static struct manifest_budget *budget;
static struct guest guests[4];

static void on_held(struct manifest_claim *claim)
{
    LIST_ITEM(claim, struct guest, claim)->held++;
}

static void on_late(struct manifest_claim *claim)
{
    LIST_ITEM(claim, struct guest, claim)->late++;
}

static int set_up(void **state)
{
    (void)state;
    clock_freeze((struct monotime){1000}, (struct walltime){1700000000000});
    loop = loop_new();
    budget = manifest_budget_new(loop, TOTAL);
    for (unsigned i = 0; i < 4; i++)
        guests[i] = (struct guest){.claim = {.on_held = on_held, .on_late = on_late}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        manifest_budget_release(&guests[i].claim);
    manifest_budget_free(&budget);
    loop_free(&loop);
    clock_thaw();
    return 0;
}

static void pass(uint64_t ms)
{
    uint64_t end = clock_mono().ms + ms;

    fake_loop_hold_clock(loop, ms);
    for (uint64_t before = 0; before != clock_mono().ms;) {
        before = clock_mono().ms;
        loop_turn(loop, 0);
    }
    fake_loop_hold_clock(loop, 0);
    clock_advance(end - clock_mono().ms);
}

static void claim(unsigned guest, size_t bytes)
{
    manifest_budget_claim(budget, &guests[guest].claim, bytes);
}

static void room_is_given_until_it_is_full(void **state)
{
    (void)state;
    claim(0, LARGE);
    claim(1, LARGE);
    claim(2, LARGE);
    assert_int_equal(guests[0].held + guests[1].held, 2);
    assert_int_equal(guests[2].held, 0);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[2].held, 1);
}

static void small_ones_never_wait(void **state)
{
    (void)state;
    claim(0, TOTAL);
    claim(1, MANIFEST_BUDGET_FREE);
    assert_int_equal(guests[1].held, 1);
}

static void nobody_overtakes(void **state)
{
    (void)state;
    claim(0, LARGE + 1);
    claim(1, LARGE);
    claim(2, MANIFEST_BUDGET_FREE + 1);
    assert_int_equal(guests[1].held + guests[2].held, 0);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[1].held + guests[2].held, 2);
}

static void one_alone_may_be_larger_than_the_room(void **state)
{
    (void)state;
    claim(0, 2 * TOTAL);
    claim(1, LARGE);
    assert_int_equal(guests[0].held, 1);
    assert_int_equal(guests[1].held, 0);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[1].held, 1);
}

static void who_waits_for_long_is_told(void **state)
{
    (void)state;
    claim(0, TOTAL);
    claim(1, LARGE);
    pass(9000);
    assert_int_equal(guests[1].late, 0);
    pass(2000);
    assert_int_equal(guests[1].late, 1);
    assert_null(guests[1].claim.budget);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[1].held, 0);
}

static void who_is_slow_is_told_only_while_others_wait(void **state)
{
    (void)state;
    claim(0, TOTAL);
    pass(29000);
    assert_int_equal(guests[0].late, 0);
    claim(1, LARGE);
    pass(1000);
    assert_int_equal(guests[0].late, 1);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[1].held, 1);
}

static void who_is_told_is_told_once(void **state)
{
    (void)state;
    claim(0, TOTAL);
    claim(1, LARGE);
    pass(4000);
    assert_int_equal(guests[0].late, 0);
    pass(60000);
    assert_int_equal(guests[0].late, 1);
}

static void who_comes_fast_enough_is_left_alone(void **state)
{
    (void)state;
    claim(0, TOTAL);
    claim(1, LARGE);
    for (unsigned i = 0; i < 18; i++) {
        pass(500);
        guests[0].claim.received += (size_t)500 * 128;
    }
    assert_int_equal(guests[0].late, 0);
}

static void who_leaves_while_waiting_takes_nothing(void **state)
{
    (void)state;
    claim(0, TOTAL);
    claim(1, LARGE);
    claim(2, LARGE);
    manifest_budget_release(&guests[1].claim);
    manifest_budget_release(&guests[0].claim);
    assert_int_equal(guests[1].held, 0);
    assert_int_equal(guests[2].held, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(room_is_given_until_it_is_full),
        TEST(small_ones_never_wait),
        TEST(nobody_overtakes),
        TEST(one_alone_may_be_larger_than_the_room),
        TEST(who_waits_for_long_is_told),
        TEST(who_is_slow_is_told_only_while_others_wait),
        TEST(who_is_told_is_told_once),
        TEST(who_comes_fast_enough_is_left_alone),
        TEST(who_leaves_while_waiting_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
