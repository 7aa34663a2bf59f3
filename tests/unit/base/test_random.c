/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/error.h"
#include "base/random.h"

static void random_bytes_differ(void **state)
{
    unsigned char a[32] = {0};
    unsigned char b[32] = {0};
    struct error err;

    (void)state;
    assert_int_equal(random_bytes(a, sizeof(a), &err), 0);
    assert_int_equal(random_bytes(b, sizeof(b), &err), 0);
    assert_true(memcmp(a, b, sizeof(a)) != 0);
    assert_int_equal(random_bytes(a, 0, &err), 0);
}

static void random_below_stays_below_and_reaches_all(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint32_t number = random_below(8);

        assert_true(number < 8);
        seen |= 1u << number;
    }
    assert_int_equal(seen, 0xff);
    assert_int_equal(random_below(1), 0);
    assert_int_equal(random_below(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(random_below_stays_below_and_reaches_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
