/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void error_set_fills_and_returns_the_negated_kind(void **state)
{
    struct error err = {.sys = 5};

    (void)state;
    assert_int_equal(error_set(&err, ERR_TOO_LARGE, "%d bytes", 7), -ERR_TOO_LARGE);
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.text, "7 bytes");
    assert_int_equal(error_set(NULL, ERR_IO, "nobody asks"), -ERR_IO);
}

static void error_set_errno_names_the_reason(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(error_set_errno(&err, ENOENT, "open %s", "x"), -ERR_NOT_FOUND);
    assert_string_equal(err.text, "open x: No such file or directory");
    assert_int_equal(err.sys, ENOENT);
    assert_int_equal(error_set_errno(&err, ENOSPC, "w"), -ERR_NO_SPACE);
    assert_int_equal(error_set_errno(&err, EDQUOT, "w"), -ERR_NO_SPACE);
    assert_int_equal(error_set_errno(&err, ENOMEM, "w"), -ERR_NO_MEMORY);
    assert_int_equal(error_set_errno(&err, EEXIST, "w"), -ERR_CONFLICT);
    assert_int_equal(error_set_errno(&err, EBADF, "w"), -ERR_IO);
}

static void error_wrap_puts_context_in_front(void **state)
{
    struct error err;

    (void)state;
    (void)error_set(&err, ERR_CORRUPT, "short");
    assert_int_equal(error_wrap(&err, "reading %s", "tag"), -ERR_CORRUPT);
    assert_string_equal(err.text, "reading tag: short");
}

static void error_texts_are_cut_not_overrun(void **state)
{
    struct error err;

    (void)state;
    (void)error_set(&err, ERR_IO, "%0400d", 1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)error_wrap(&err, "%0400d", 1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)error_set_errno(&err, EIO, "%0382d", 1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set_fills_and_returns_the_negated_kind),
        cmocka_unit_test(error_set_errno_names_the_reason),
        cmocka_unit_test(error_wrap_puts_context_in_front),
        cmocka_unit_test(error_texts_are_cut_not_overrun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
