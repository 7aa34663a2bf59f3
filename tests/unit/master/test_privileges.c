/* SPDX-License-Identifier: Apache-2.0 */
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "master/master.h"
#include "support/need.h"

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

static void numbers_are_users(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        unsigned uid;
        unsigned gid;
        bool is_user;
    } rows[] = {
        {"0", 0, 0, true},           {"54321", 54321, 54321, true}, {"54321:12", 54321, 12, true},
        {"0:12", 0, 12, true},       {"root", 0, 0, true},          {"54321:", 0, 0, false},
        {":12", 0, 0, false},        {"1:2:3", 0, 0, false},        {"-1", 0, 0, false},
        {"4294967295", 0, 0, false},
    };
    NEED(geteuid() == 0, "root");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity identity = {0};
        struct error err;
        int rc = identity_resolve(rows[i].user, &identity, &err);

        assert_int_equal(rc, rows[i].is_user ? 0 : -ERR_NOT_FOUND);
        if (!rows[i].is_user)
            continue;
        assert_int_equal(identity.uid, rows[i].uid);
        assert_int_equal(identity.gid, rows[i].gid);
    }
}

/* As in a container. This machine of tests may have the user. */
static void without_the_usual_user_root_stays_root(void **state)
{
    (void)state;
    struct identity identity = {0};
    struct error err;
    NEED(geteuid() == 0, "root");
    NEED(!getpwnam("entrepot"), "a machine without the user entrepot");
    assert_int_equal(identity_resolve(NULL, &identity, &err), 0);
    assert_false(identity.is_other);
    assert_string_equal(identity.name, "root");
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
        cmocka_unit_test(numbers_are_users),
        cmocka_unit_test(without_the_usual_user_root_stays_root),
        cmocka_unit_test(another_user_needs_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
