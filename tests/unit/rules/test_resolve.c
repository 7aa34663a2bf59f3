/* SPDX-License-Identifier: Apache-2.0 */
/* The three ways of addressing, and when a bare name is hosted (docs/architecture.md, "Names"). */
#include "rules/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "oci/api_error.h"
#include "oci/operation.h"
#include "support/scratch.h"

#define NOW   1000000000u
#define GRACE 3600000u

static const struct operation_limits limits = {.parameters = 100, .tags = OPERATION_TAGS_MAX};
static const char settings[] = "names: [registry.lab.example]\n"
                               "listen: [\"192.0.2.7:32000\"]\n"
                               "upstreams:\n"
                               "  docker.io:\n"
                               "    default: true\n"
                               "  ghcr.io: {}\n"
                               "hosted:\n"
                               "  reserved: [\"acme/*\"]\n"
                               "  protect: [\"library/*\"]\n"
                               "  allow: [\"library/ours\"]\n";

static struct config *config;
static struct ledger *ledger;
static struct ledger_reader *reader;

static void put(struct ledger_txn *txn, const char *origin, const char *name, bool is_hosted,
                uint64_t last_post_ms)
{
    struct repository repository;

    repository_get(txn, slice_of(origin), slice_of(name), &repository);
    repository.is_hosted = is_hosted;
    repository.last_post_ms = last_post_ms;
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
    put(txn, "", "team/app", true, 0);
    put(txn, "", "quay.io/ours", true, 0);
    put(txn, "", "team/new", false, NOW - GRACE + 1);
    put(txn, "", "team/old", false, NOW - GRACE - 1);
    put(txn, "docker.io", "bitnami/redis", false, 0);
    put(txn, "docker.io", "library/nginx", false, 0);
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

struct row {
    const char *method;
    const char *target;
    const char *origin; /* NULL: an error of this status */
    const char *name;
    int status;
    bool is_mirror;
};

#define DIGEST "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static const struct row rows[] = {
    /* ns */
    {"GET", "/v2/nginx/manifests/1?ns=docker.io", "docker.io", "library/nginx", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=index.docker.io", "docker.io", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=ghcr.io", "ghcr.io", "a/b", 0, false},
    {"GET", "/v2/ghcr.io/a/b/manifests/1?ns=ghcr.io", "ghcr.io", "a/b", 0, false},
    {"GET", "/v2/docker.io/a/manifests/1?ns=registry-1.docker.io", "docker.io", "library/a", 0,
     false},
    {"GET", "/v2/docker.io/a/manifests/1?ns=ghcr.io", "ghcr.io", "docker.io/a", 0, false},
    {"GET", "/v2/app/manifests/1?ns=ghcr.io", "ghcr.io", "app", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=registry.lab.example", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=127.0.0.1", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=localhost:5001", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=%5B::1%5D:5001", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=192.0.2.7:32000", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=192.0.2.8:5000", "", "a/b", 0, false},
    {"GET", "/v2/a/b/manifests/1?ns=192.0.2.8:5001", NULL, NULL, 404, false},
    {"GET", "/v2/a/b/manifests/1?ns=127.evil.example", NULL, NULL, 404, false},
    {"GET", "/v2/a/b/manifests/1?ns=unknown.example", NULL, NULL, 404, false},
    {"GET", "/v2/team/app/manifests/1?ns=unknown.example", NULL, NULL, 404, false},
    {"POST", "/v2/a/b/blobs/uploads/?ns=unknown.example", NULL, NULL, 404, false},
    {"GET", "/v2/team/app/manifests/1?ns=a@b:1", NULL, NULL, 404, false},
    {"GET", "/v2/team/app/manifests/1?ns=k3d-registry", "", "team/app", 0, false},
    {"GET", "/v2/team/app/manifests/1?ns=unknown.example:5000", "", "team/app", 0, false},
    {"HEAD", "/v2/team/new/blobs/" DIGEST "?ns=unknown.example:5000", "", "team/new", 0, false},
    {"POST", "/v2/a/b/blobs/uploads/?ns=unknown.example:5000", "", "a/b", 0, false},
    {"GET", "/v2/team/app/manifests/1?ns=unknown.example:5000", NULL, NULL, 404, true},
    {"PUT", "/v2/a/b/manifests/1?ns=ghcr.io", NULL, NULL, 405, false},
    /* our own name, and then an upstream's: nobody could pull it without ns */
    {"PUT", "/v2/a/b/manifests/1?ns=registry.lab.example", "", "a/b", 0, false},
    {"PUT", "/v2/ghcr.io/a/manifests/1?ns=registry.lab.example", NULL, NULL, 400, false},
    {"POST", "/v2/index.docker.io/a/blobs/uploads/?ns=registry.lab.example", NULL, NULL, 400,
     false},
    {"POST", "/v2/ghcr.io/blobs/uploads/", NULL, NULL, 400, false},
    {"PUT", "/v2/quay.io/a/manifests/1?ns=registry.lab.example", "", "quay.io/a", 0, false},
    {"PUT", "/v2/a/ghcr.io/manifests/1?ns=registry.lab.example", "", "a/ghcr.io", 0, false},
    {"GET", "/v2/ghcr.io/a/manifests/1?ns=registry.lab.example", "", "ghcr.io/a", 0, false},
    /* prefix */
    {"GET", "/v2/ghcr.io/a/b/manifests/1", "ghcr.io", "a/b", 0, false},
    {"GET", "/v2/docker.io/nginx/manifests/1", "docker.io", "library/nginx", 0, false},
    {"HEAD", "/v2/ghcr.io/a/blobs/" DIGEST, "ghcr.io", "a", 0, false},
    {"POST", "/v2/ghcr.io/a/b/blobs/uploads/", NULL, NULL, 405, false},
    {"DELETE", "/v2/ghcr.io/a/manifests/1", NULL, NULL, 405, false},
    /* bare: upstream */
    {"GET", "/v2/nginx/manifests/1", "docker.io", "library/nginx", 0, false},
    {"GET", "/v2/a/b/manifests/1", "docker.io", "a/b", 0, false},
    {"GET", "/v2/a/b/blobs/" DIGEST, "docker.io", "a/b", 0, false},
    {"GET", "/v2/quay.io/b/manifests/1", NULL, NULL, 404, false},
    {"HEAD", "/v2/quay.io/b/c/manifests/1", NULL, NULL, 404, false},
    {"GET", "/v2/localhost/b/blobs/" DIGEST, NULL, NULL, 404, false},
    {"GET", "/v2/quay.io/b/tags/list", NULL, NULL, 404, true},
    {"GET", "/v2/quay.io/manifests/1", "docker.io", "library/quay.io", 0, false},
    {"GET", "/v2/quay.io/ours/manifests/1", "", "quay.io/ours", 0, false},
    {"HEAD", "/v2/quay.io/b/blobs/" DIGEST, "", "quay.io/b", 0, false},
    {"POST", "/v2/quay.io/b/blobs/uploads/", "", "quay.io/b", 0, false},
    {"GET", "/v2/a/b/tags/list", "docker.io", "a/b", 0, false},
    /* bare: hosted, reserved */
    {"GET", "/v2/team/app/manifests/1", "", "team/app", 0, false},
    {"GET", "/v2/team/app/blobs/" DIGEST, "", "team/app", 0, false},
    {"GET", "/v2/acme/any/manifests/1", "", "acme/any", 0, false},
    {"GET", "/v2/acme/any/blobs/" DIGEST, "", "acme/any", 0, false},
    /* pushers */
    {"HEAD", "/v2/nginx/blobs/" DIGEST, "", "nginx", 0, false},
    {"HEAD", "/v2/team/new/manifests/1", "", "team/new", 0, false},
    {"HEAD", "/v2/team/new/blobs/" DIGEST, "", "team/new", 0, false},
    {"HEAD", "/v2/team/old/blobs/" DIGEST, "docker.io", "team/old", 0, false},
    {"HEAD", "/v2/a/b/blobs/" DIGEST, "docker.io", "a/b", 0, false},
    {"HEAD", "/v2/acme/any/blobs/" DIGEST, "", "acme/any", 0, false},
    {"HEAD", "/v2/library/ours/blobs/" DIGEST, "", "library/ours", 0, false},
    {"HEAD", "/v2/nginx/manifests/" DIGEST, "", "nginx", 0, false},
    {"HEAD", "/v2/nginx/manifests/1", "docker.io", "library/nginx", 0, false},
    {"HEAD", "/v2/a/b/manifests/" DIGEST, "docker.io", "a/b", 0, false},
    {"GET", "/v2/team/new/manifests/1", "docker.io", "team/new", 0, false},
    {"HEAD", "/v2/team/old/manifests/1", "docker.io", "team/old", 0, false},
    {"POST", "/v2/nginx/blobs/uploads/", "", "nginx", 0, false},
    {"PUT", "/v2/nginx/manifests/1", "", "nginx", 0, false},
    {"DELETE", "/v2/team/app/manifests/1", "", "team/app", 0, false},
    {"DELETE", "/v2/nginx/manifests/1", "", "nginx", 0, false},
    /* a mirror */
    {"GET", "/v2/team/app/manifests/1", "docker.io", "team/app", 0, true},
    {"HEAD", "/v2/nginx/blobs/" DIGEST, "docker.io", "library/nginx", 0, true},
    {"HEAD", "/v2/nginx/manifests/" DIGEST, "docker.io", "library/nginx", 0, true},
    {"GET", "/v2/a/manifests/1?ns=registry.lab.example", "", "a", 0, true},
    {"POST", "/v2/nginx/blobs/uploads/", NULL, NULL, 405, true},
    {"DELETE", "/v2/team/app/manifests/1", NULL, NULL, 405, true},
};

static int parse(struct operation *operation, const char *method, const char *target,
                 struct api_error *error)
{
    if (operation_parse_address(operation, http_method_parse(slice_of(method)), slice_of(target),
                                error) != 0)
        return -1;
    return operation_parse_rest(operation, &limits, error);
}

static enum action action_of(const struct operation *operation)
{
    if (operation->method == METHOD_DELETE)
        return ACTION_DELETE;
    return operation->method == METHOD_GET || operation->method == METHOD_HEAD ? ACTION_PULL
                                                                               : ACTION_PUSH;
}

static void check_row(const struct row *row)
{
    struct operation operation;
    struct api_error error = {.status = 0};
    struct resolved resolved = {.is_bare = false};

    assert_int_equal(parse(&operation, row->method, row->target, &error), 0);
    struct resolve_question question = {.config = config,
                                        .operation = &operation,
                                        .action = action_of(&operation),
                                        .local = SLICE_LITERAL("192.0.2.8:5000"),
                                        .is_mirror = row->is_mirror,
                                        .now_ms = NOW};
    int rc = resolve(&question, ledger_read(reader), &resolved, &error);
    ledger_read_end(reader);
    if (!row->origin) {
        assert_int_equal(rc, -1);
        assert_int_equal(error.status, row->status);
    } else {
        assert_int_equal(rc, 0);
        if (!slice_is(resolved.origin, row->origin) || !slice_is(resolved.name, row->name)) {
            fail_msg("%s %s is %.*s of \"%.*s\"", row->method, row->target,
                     SLICE_PRINT(resolved.name), SLICE_PRINT(resolved.origin));
        }
        assert_int_equal(!resolved.upstream, row->origin[0] == '\0');
    }
    operation_cleanup(&operation);
}

static void resolve_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i]);
}

static int resolve_without_upstreams(const char *target, struct resolved *out,
                                     struct api_error *error)
{
    struct config *lone;
    struct error err;
    struct operation operation;

    *out = (struct resolved){.is_bare = false};
    assert_int_equal(config_parse(slice_of("upstreams: {}\n"), &lone, &err), 0);
    assert_int_equal(parse(&operation, "GET", target, error), 0);
    struct resolve_question question = {.config = lone, .operation = &operation, .now_ms = NOW};
    int rc = resolve(&question, ledger_read(reader), out, error);
    ledger_read_end(reader);
    operation_cleanup(&operation);
    config_unref(&lone);
    return rc;
}

static void bare_name_without_an_upstream_is_unknown(void **state)
{
    (void)state;
    struct api_error error;
    struct resolved resolved;
    assert_int_equal(resolve_without_upstreams("/v2/a/manifests/1", &resolved, &error), -1);
    assert_int_equal(error.status, 404);
    assert_int_equal(error.code, API_NAME_UNKNOWN);
}

static void referrers_below_a_name_without_content_can_be_listed(void **state)
{
    (void)state;
    struct api_error error;
    struct resolved resolved;
    assert_int_equal(resolve_without_upstreams("/v2/a/b/referrers/" DIGEST, &resolved, &error), 0);
    assert_int_equal(resolved.origin.length, 0);
    assert_null(resolved.upstream);
    assert_false(resolved.is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve_follows_the_table),
        cmocka_unit_test(bare_name_without_an_upstream_is_unknown),
        cmocka_unit_test(referrers_below_a_name_without_content_can_be_listed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
