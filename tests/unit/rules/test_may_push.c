/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a push may take, and when a push is marked. */
#include "rules/may_push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"
#include "rules/resolve.h"
#include "support/scratch.h"

#define GRACE ((uint64_t)3600000)
#define NOW   ((uint64_t)1000000000)

static const char settings[] = "upstreams:\n"
                               "  docker.io: { default: true }\n"
                               "  ghcr.io: {}\n"
                               "hosted:\n"
                               "  reserved: [\"acme/*\"]\n"
                               "  protect: [\"library/*\", nginx, hello]\n"
                               "  allow: [\"library/ours\", hello, cached/ours]\n";

static struct config *config;
static struct ledger *ledger;
static struct ledger_reader *reader;

static void put(struct ledger_txn *txn, const char *origin, const char *name, bool is_hosted)
{
    struct repository repository;

    repository_get(txn, slice_of(origin), slice_of(name), &repository);
    repository.is_hosted = is_hosted;
    repository_put(txn, slice_of(origin), slice_of(name), &repository);
}

static int set_up(void **state)
{
    (void)state;
    struct error err;
    struct ledger_txn *txn;
    assert_int_equal(config_parse(slice_of(settings), &config, &err), 0);
    assert_int_equal(ledger_open(scratch_make(), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    put(txn, "", "team/app", true);
    put(txn, "", "library/old", true);
    put(txn, "", "team/new", false);
    put(txn, "docker.io", "team/app", false);
    put(txn, "docker.io", "bitnami/redis", false);
    put(txn, "docker.io", "library/redis", false);
    put(txn, "docker.io", "cached/ours", false);
    put(txn, "docker.io", "acme/any", false);
    put(txn, "ghcr.io", "org/app", false);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    reader = ledger_reader_new(ledger);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ledger_reader_free(&reader);
    ledger_close(&ledger);
    config_unref(&config);
    scratch_remove();
    return 0;
}

static const struct {
    const char *name;
    bool may_push;
    const char *why;
} names[] = {
    /* hosted already */
    {"team/app", true, "hosted, though the default upstream has one of the name"},
    {"library/old", true, "hosted before it was protected"},
    {"team/new", true, "an upload began; nothing is cached"},
    {"team/other", true, "unknown"},
    /* cached */
    {"bitnami/redis", false, "cached of the default upstream"},
    {"cached/ours", true, "cached, but allowed"},
    {"acme/any", true, "cached, but reserved"},
    {"org/app", true, "cached of another upstream"},
    {"redis", true, "one component: mirror clients say library/redis"},
    /* protected */
    {"library/redis", false, "protected"},
    {"library/other", false, "protected"},
    {"library/ours", true, "protected, but allowed"},
    {"nginx", false, "one component, protected"},
    {"hello", true, "one component, protected, but allowed"},
};

static void push_may_take_names_that_shadow_nobody(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct resolved target;
        struct error err = {.kind = ERR_NONE};
        struct ledger_txn *txn = ledger_read(reader);

        resolve_hosted(txn, slice_of(names[i].name), &target);
        int rc = may_push(config, txn, &target, &err);
        ledger_read_end(reader);
        if ((rc == 0) != names[i].may_push)
            fail_msg("%s (%s): %d", names[i].name, names[i].why, rc);
        assert_int_equal(err.kind, names[i].may_push ? ERR_NONE : ERR_DENIED);
    }
}

static void without_an_upstream_every_name_is_free(void **state)
{
    (void)state;
    static const char *const free[] = {"library/nginx", "bitnami/redis", "nginx"};
    struct config *lone;
    struct error err;
    assert_int_equal(config_parse(slice_of("upstreams: {}\n"), &lone, &err), 0);
    for (size_t i = 0; i < sizeof(free) / sizeof(free[0]); i++) {
        struct resolved target;
        struct ledger_txn *txn = ledger_read(reader);

        resolve_hosted(txn, slice_of(free[i]), &target);
        assert_int_equal(may_push(lone, txn, &target, &err), 0);
        assert_false(push_must_ask(lone, &target));
        ledger_read_end(reader);
    }
    config_unref(&lone);
}

static void refusal_says_what_to_change(void **state)
{
    (void)state;
    static const char *const refused[] = {"bitnami/redis", "library/redis", "nginx"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct resolved target;
        struct error err;
        struct ledger_txn *txn = ledger_read(reader);

        resolve_hosted(txn, slice_of(refused[i]), &target);
        assert_int_equal(may_push(config, txn, &target, &err), -ERR_DENIED);
        ledger_read_end(reader);
        assert_non_null(strstr(err.text, refused[i]));
        assert_non_null(strstr(err.text, "hosted.allow"));
    }
}

static void long_name_leaves_room_for_what_to_change(void **state)
{
    (void)state;
    char name[NAME_MAX_LENGTH + 1] = "library/";
    struct resolved target = {.is_known = false};
    struct error err;
    memset(name + 8, 'a', sizeof(name) - 9);
    target.name = slice_from(name, NAME_MAX_LENGTH);
    struct ledger_txn *txn = ledger_read(reader);
    assert_int_equal(may_push(config, txn, &target, &err), -ERR_DENIED);
    ledger_read_end(reader);
    assert_non_null(strstr(err.text, "add it to `hosted.allow`"));
}

static const struct {
    bool is_known;
    bool is_hosted;
    uint64_t last_post_ms;
    bool is_fresh;
    bool is_due;
} marks[] = {
    {false, false, 0, false, true},
    {true, false, 0, false, true},
    {true, false, NOW, true, false},
    {true, false, NOW - GRACE / 4 + 1, true, false},
    {true, false, NOW - GRACE / 4, true, true},
    {true, false, NOW - GRACE + 1, true, true},
    {true, false, NOW - GRACE, false, true},
    {true, false, NOW + 1, true, true}, /* the clock was set back */
    {true, true, 0, false, false},
    {true, true, NOW - GRACE, false, false},
};

static void mark_is_renewed_while_it_is_fresh(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        struct resolved target = {.is_known = marks[i].is_known};

        target.repository.is_hosted = marks[i].is_hosted;
        target.repository.last_post_ms = marks[i].last_post_ms;
        if (push_mark_is_fresh(config, &target.repository, NOW) != marks[i].is_fresh)
            fail_msg("mark %zu: fresh", i);
        if (push_mark_is_due(config, &target, NOW) != marks[i].is_due)
            fail_msg("mark %zu: due", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_may_take_names_that_shadow_nobody),
        cmocka_unit_test(without_an_upstream_every_name_is_free),
        cmocka_unit_test(refusal_says_what_to_change),
        cmocka_unit_test(long_name_leaves_room_for_what_to_change),
        cmocka_unit_test(mark_is_renewed_while_it_is_fresh),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
