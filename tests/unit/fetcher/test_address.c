/* SPDX-License-Identifier: Apache-2.0 */
/* The pure rules: classes of addresses, breakers, retries. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "address.h"
#include "base/clock.h"
#include "breaker.h"
#include "retry.h"

static void address_classes_follow_where_it_leads(void **state)
{
    static const struct {
        const char *text;
        enum address_class class;
    } cases[] = {
        {"93.184.216.34", ADDRESS_PUBLIC},
        {"2606:2800:220:1::1", ADDRESS_PUBLIC},
        {"10.1.2.3", ADDRESS_PRIVATE},
        {"172.16.0.1", ADDRESS_PRIVATE},
        {"172.32.0.1", ADDRESS_PUBLIC},
        {"192.168.1.1", ADDRESS_PRIVATE},
        {"100.64.0.1", ADDRESS_PRIVATE},
        {"fd00::1", ADDRESS_PRIVATE},
        {"127.0.0.1", ADDRESS_LOOPBACK},
        {"127.1", ADDRESS_LOOPBACK},
        {"0x7f000001", ADDRESS_LOOPBACK},
        {"2130706433", ADDRESS_LOOPBACK},
        {"0.0.0.0", ADDRESS_LOOPBACK},
        {"::", ADDRESS_LOOPBACK},
        {"::1", ADDRESS_LOOPBACK},
        {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
        {"64:ff9b::a9fe:a9fe", ADDRESS_LINK_LOCAL},
        {"169.254.169.254", ADDRESS_LINK_LOCAL},
        {"fe80::1", ADDRESS_LINK_LOCAL},
        {"224.0.0.1", ADDRESS_OTHER},
        {"255.255.255.255", ADDRESS_OTHER},
        {"ff02::1", ADDRESS_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum address_class class = ADDRESS_PUBLIC;

        assert_true(address_of_literal(slice_of(cases[i].text), &class));
        if (class != cases[i].class)
            fail_msg("%s", cases[i].text);
    }
}

static void address_of_a_name_is_none(void **state)
{
    enum address_class class = ADDRESS_PUBLIC;

    (void)state;
    assert_false(address_of_literal(SLICE_LITERAL("registry.example"), &class));
    assert_false(address_of_literal(SLICE_LITERAL(""), &class));
}

static void address_is_allowed_where_the_upstream_is(void **state)
{
    (void)state;
    assert_true(address_is_allowed(ADDRESS_PUBLIC, 0));
    assert_false(address_is_allowed(ADDRESS_PRIVATE, ADDRESS_PUBLIC));
    assert_true(address_is_allowed(ADDRESS_PRIVATE, ADDRESS_PRIVATE));
    assert_false(address_is_allowed(ADDRESS_LOOPBACK, ADDRESS_PRIVATE));
    assert_false(address_is_allowed(ADDRESS_OTHER, ~0u));
}

static int freeze(void **state)
{
    (void)state;
    clock_freeze((struct monotime){1000000}, (struct walltime){1700000000000});
    return 0;
}

static int thaw(void **state)
{
    (void)state;
    clock_thaw();
    return 0;
}

static void breaker_opens_after_five_failures_in_ten_seconds(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
        assert_true(breaker_allows(&breaker));
        assert_int_equal(breaker_failed(&breaker, clock_mono()), i + 1 == BREAKER_FAILURES);
        clock_advance(1000);
    }
    assert_false(breaker_allows(&breaker));
    clock_advance(1000);
    assert_true(breaker_allows(&breaker)); /* the probe */
    assert_false(breaker_allows(&breaker));
    breaker_failed(&breaker, clock_mono());
    clock_advance(3999);
    assert_false(breaker_allows(&breaker));
    clock_advance(1);
    assert_true(breaker_allows(&breaker));
    assert_true(breaker_worked(&breaker));
    assert_false(breaker_worked(&breaker));
    assert_true(breaker_allows(&breaker));
    assert_true(breaker_allows(&breaker));
}

static void breaker_counts_only_probes_while_it_is_open(void **state)
{
    struct breaker breaker = {0};
    struct monotime began = clock_mono();

    (void)state;
    clock_advance(10);
    for (unsigned i = 0; i < 40; i++) {
        breaker_failed(&breaker, began);
        clock_advance(10);
    }
    clock_advance(1639); /* 1999 since the fifth */
    assert_false(breaker_allows(&breaker));
    clock_advance(1);
    assert_true(breaker_allows(&breaker));
    breaker_failed(&breaker, began);
    clock_advance(2000);
    assert_true(breaker_allows(&breaker));
    breaker_failed(&breaker, clock_mono());
    clock_advance(3999);
    assert_false(breaker_allows(&breaker));
}

static void breaker_stays_closed_when_failures_are_rare(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        breaker_failed(&breaker, clock_mono());
        clock_advance(2600);
        assert_true(breaker_allows(&breaker));
    }
}

static void retry_asks_every_address_before_it_waits(void **state)
{
    struct retry retry;
    size_t url = 0;
    uint64_t delay_ms = 0;

    (void)state;
    retry_init(&retry, 3, 2);
    assert_true(retry_next(&retry, &url, &delay_ms));
    assert_true(url == 1 && delay_ms == 0);
    assert_true(retry_next(&retry, &url, &delay_ms));
    assert_true(url == 0 && delay_ms >= 100);
    assert_true(retry_next(&retry, &url, &delay_ms));
    assert_false(retry_next(&retry, &url, &delay_ms));
}

static void retry_starts_again_after_progress_but_not_for_ever(void **state)
{
    struct retry retry;
    size_t url = 0;
    uint64_t delay_ms = 0;
    unsigned tries = 0;

    (void)state;
    retry_init(&retry, 3, 1);
    while (tries < 1000 && retry_next(&retry, &url, &delay_ms)) {
        retry_progress(&retry);
        tries++;
    }
    assert_int_equal(tries, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_classes_follow_where_it_leads),
        cmocka_unit_test(address_of_a_name_is_none),
        cmocka_unit_test(address_is_allowed_where_the_upstream_is),
        cmocka_unit_test_setup_teardown(breaker_opens_after_five_failures_in_ten_seconds, freeze,
                                        thaw),
        cmocka_unit_test_setup_teardown(breaker_counts_only_probes_while_it_is_open, freeze, thaw),
        cmocka_unit_test_setup_teardown(breaker_stays_closed_when_failures_are_rare, freeze, thaw),
        cmocka_unit_test(retry_asks_every_address_before_it_waits),
        cmocka_unit_test(retry_starts_again_after_progress_but_not_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
