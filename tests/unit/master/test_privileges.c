/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "master/master.h"

static void an_unknown_user_is_refused_with_what_to_do(void **state)
{
    (void)state;
    struct identity identity = {0};
    struct error err;
    assert_int_equal(identity_resolve("nobody-of-this-name", &identity, &err), -ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "useradd --system"));
}

static void ourselves_is_nobody_else(void **state)
{
    (void)state;
    struct identity identity = {0};
    struct error err;
    const char *user = geteuid() == 0 ? "root" : NULL;
    assert_int_equal(identity_resolve(user, &identity, &err), 0);
    assert_false(identity.is_other);
    assert_int_equal(identity.uid, geteuid());
}

static void another_user_needs_root(void **state)
{
    (void)state;
    struct identity identity = {0};
    struct error err;
    bool is_root = geteuid() == 0;
    int rc = identity_resolve("daemon", &identity, &err);
    assert_int_equal(rc, is_root ? 0 : -ERR_DENIED);
    assert_int_equal(identity.is_other, is_root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_user_is_refused_with_what_to_do),
        cmocka_unit_test(ourselves_is_nobody_else),
        cmocka_unit_test(another_user_needs_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
