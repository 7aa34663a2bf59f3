/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is visible where, and to whom. Each digest of the table is in the ledger as its row says, by
 * links of repositories that the rows name.
 */
#include "rules/visible.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "rules/authorize.h"
#include "rules/principal.h"
#include "rules/resolve.h"
#include "support/scratch.h"

#define OWN     (1u << 0) /* the repository that is asked */
#define SISTER  (1u << 1) /* another of the same upstream */
#define OTHER   (1u << 2) /* one of another upstream */
#define PUSHED  (1u << 3) /* a hosted one */
#define NOWHERE 0u

static const char *const places[][2] = {
    {"docker.io", "team/app"}, {"docker.io", "team/sister"}, {"ghcr.io", "team/app"}, {"", "ours"}};

static struct config *config;
static struct ledger *ledger;
static struct ledger_reader *reader;

struct thing {
    bool is_public;
    unsigned blob_in;     /* linked as a blob in these */
    unsigned manifest_in; /* and as a manifest */
    bool is_typed;
    bool is_elsewhere; /* where is not BLOB_HERE */
    enum visible blob; /* as the worker asks; HIDDEN and ABSENT are a miss to it */
    bool manifest;
    enum visible own_blob; /* as the fetcher asks for a principal with rights */
    bool own_manifest;
};

static const struct thing things[] = {
    /* private */
    {.blob_in = OWN, .blob = VISIBLE_HERE, .own_blob = VISIBLE_HERE},
    {.blob_in = SISTER, .blob = VISIBLE_HIDDEN, .own_blob = VISIBLE_HIDDEN},
    {.blob_in = SISTER | OTHER, .blob = VISIBLE_HIDDEN, .own_blob = VISIBLE_HIDDEN},
    {.blob_in = OTHER, .blob = VISIBLE_ABSENT, .own_blob = VISIBLE_ABSENT},
    {.blob_in = PUSHED, .blob = VISIBLE_ABSENT, .own_blob = VISIBLE_ABSENT},
    {.blob_in = NOWHERE, .blob = VISIBLE_ABSENT, .own_blob = VISIBLE_ABSENT},
    /* public */
    {.is_public = true, .blob_in = OWN, .blob = VISIBLE_HERE, .own_blob = VISIBLE_HERE},
    {.is_public = true, .blob_in = SISTER, .blob = VISIBLE_HERE, .own_blob = VISIBLE_HIDDEN},
    {.is_public = true, .blob_in = OTHER, .blob = VISIBLE_HERE, .own_blob = VISIBLE_ABSENT},
    {.is_public = true, .blob_in = PUSHED, .blob = VISIBLE_HERE, .own_blob = VISIBLE_ABSENT},
    {.is_public = true, .blob_in = NOWHERE, .blob = VISIBLE_HERE, .own_blob = VISIBLE_ABSENT},
    /* in no file of ours */
    {.is_elsewhere = true, .blob_in = OWN, .blob = VISIBLE_ABSENT, .own_blob = VISIBLE_ABSENT},
    {.is_elsewhere = true,
     .is_public = true,
     .blob_in = OWN | SISTER,
     .blob = VISIBLE_ABSENT,
     .own_blob = VISIBLE_ABSENT},
    /* manifests: they are no blobs of the repository, and show themselves by their own link */
    {.manifest_in = OWN,
     .manifest = true,
     .own_manifest = true,
     .blob = VISIBLE_ABSENT,
     .own_blob = VISIBLE_ABSENT},
    {.manifest_in = SISTER, .is_typed = true, .blob = VISIBLE_ABSENT, .own_blob = VISIBLE_ABSENT},
    {.manifest_in = OWN,
     .blob_in = OWN,
     .manifest = true,
     .own_manifest = true,
     .blob = VISIBLE_HERE,
     .own_blob = VISIBLE_HERE},
    {.manifest_in = SISTER,
     .is_public = true,
     .is_typed = true,
     .manifest = true,
     .blob = VISIBLE_HERE,
     .own_blob = VISIBLE_ABSENT},
    {.manifest_in = SISTER, .is_public = true, .blob = VISIBLE_HERE, .own_blob = VISIBLE_ABSENT},
    {.manifest_in = OTHER,
     .blob_in = OWN,
     .is_typed = true,
     .blob = VISIBLE_HERE,
     .own_blob = VISIBLE_HERE},
};
#define THINGS (sizeof(things) / sizeof(things[0]))

static struct digest digest_of_thing(size_t i)
{
    struct digest digest;
    const char name[] = {(char)('a' + (int)i), '\0'};

    digest_of(HASH_SHA256, slice_of(name), &digest);
    return digest;
}

static void put_thing(struct ledger_txn *txn, size_t i)
{
    const struct thing *thing = &things[i];
    struct digest digest = digest_of_thing(i);
    struct blob_record blob = {
        .size = 1,
        .is_public = thing->is_public,
        .where = thing->is_elsewhere ? (enum blob_where)2 : BLOB_HERE,
    };
    struct manifest_record manifest = {
        .size = 1, .media_type = SLICE_LITERAL("a/b"), .is_typed = thing->is_typed};

    blob_put(txn, &digest, &blob);
    if (thing->manifest_in != 0)
        manifest_put(txn, &digest, &manifest);
    for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
        struct repository repository;
        unsigned kinds = ((thing->blob_in >> place) & 1u) * LINK_BLOB +
                         ((thing->manifest_in >> place) & 1u) * LINK_MANIFEST;

        repository_get(txn, slice_of(places[place][0]), slice_of(places[place][1]), &repository);
        if (kinds != 0)
            link_put(txn, repository.id, &digest, kinds, manifest.media_type);
    }
}

static int set_up(void **state)
{
    (void)state;
    struct error err;
    struct ledger_txn *txn;
    static const char settings[] = "upstreams: { docker.io: { default: true }, ghcr.io: {} }\n";
    assert_int_equal(config_parse(slice_of(settings), &config, &err), 0);
    assert_int_equal(ledger_open(scratch_make(), true, &ledger, &err), 0);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    for (size_t i = 0; i < THINGS; i++)
        put_thing(txn, i);
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

static struct ledger_txn *resolve_own(struct resolved *out)
{
    struct ledger_txn *txn = ledger_read(reader);

    resolve_cached(config_upstream_find(config, slice_of("docker.io")), txn, slice_of("team/app"),
                   out);
    return txn;
}

static void check(size_t i, const struct permit *permit, struct ledger_txn *txn, enum visible blob,
                  bool manifest)
{
    struct digest digest = digest_of_thing(i);
    struct blob_record blob_record;
    struct manifest_record manifest_record;

    if (visible_blob(permit, txn, &digest, &blob_record) != blob)
        fail_msg("thing %zu: blob", i);
    if (visible_manifest(permit, txn, &digest, &manifest_record) != manifest)
        fail_msg("thing %zu: manifest", i);
    bool is_own = (things[i].manifest_in & OWN) != 0;
    assert_int_equal(visible_own_manifest(permit, txn, &digest, &manifest_record), is_own);
}

static void cached_repository_shows_its_links_and_what_is_public(void **state)
{
    (void)state;
    static const struct authorizer allow_all;
    struct principal principal = principal_anonymous();
    struct resolved own;
    struct permit permit;
    struct api_error error;
    struct ledger_txn *txn = resolve_own(&own);
    assert_int_equal(authorize(&allow_all, &principal, &own, ACTION_PULL, &permit, &error), 0);
    assert_false(permit_is_own_only(&permit));
    for (size_t i = 0; i < THINGS; i++)
        check(i, &permit, txn, things[i].blob, things[i].manifest);
    ledger_read_end(reader);
}

static void fetcher_looks_at_the_repository_alone_when_it_is_told_to(void **state)
{
    (void)state;
    struct resolved own;
    struct permit permit;
    struct ledger_txn *txn = resolve_own(&own);
    permit_for_worker(&own, true, &permit);
    assert_true(permit_is_own_only(&permit));
    for (size_t i = 0; i < THINGS; i++)
        check(i, &permit, txn, things[i].own_blob, things[i].own_manifest);
    permit_for_worker(&own, false, &permit);
    for (size_t i = 0; i < THINGS; i++)
        check(i, &permit, txn, things[i].blob, things[i].manifest);
    ledger_read_end(reader);
}

static void hosted_repository_shows_its_links_alone(void **state)
{
    (void)state;
    struct resolved ours;
    struct permit permit;
    struct ledger_txn *txn = ledger_read(reader);
    resolve_hosted(txn, slice_of("ours"), &ours);
    permit_for_worker(&ours, false, &permit);
    for (size_t i = 0; i < THINGS; i++) {
        bool is_pushed = (things[i].blob_in & PUSHED) != 0;
        struct digest digest = digest_of_thing(i);
        struct blob_record record;
        struct manifest_record manifest;

        assert_int_equal(visible_blob(&permit, txn, &digest, &record),
                         is_pushed ? VISIBLE_HERE : VISIBLE_ABSENT);
        assert_false(visible_manifest(&permit, txn, &digest, &manifest));
    }
    ledger_read_end(reader);
}

static void unknown_repository_shows_public_content_alone(void **state)
{
    (void)state;
    struct resolved nobody;
    struct permit permit;
    struct ledger_txn *txn = ledger_read(reader);
    struct tag tag;
    resolve_cached(config_upstream_find(config, slice_of("quay.io")), txn, slice_of("no/body"),
                   &nobody);
    nobody.truth = TRUTH_UPSTREAM;
    permit_for_worker(&nobody, false, &permit);
    assert_false(visible_tag(&permit, txn, slice_of("latest"), &tag));
    for (size_t i = 0; i < THINGS; i++) {
        struct digest digest = digest_of_thing(i);
        struct blob_record record;
        bool is_here = things[i].is_public && !things[i].is_elsewhere;

        assert_int_equal(visible_links(&permit, txn, &digest), 0);
        assert_int_equal(visible_blob(&permit, txn, &digest, &record) == VISIBLE_HERE, is_here);
    }
    ledger_read_end(reader);
}

/* ---- rights ---- */

static unsigned questions;

/* Pulls are allowed from the places of a mask. */
static int allow_places(const struct principal *principal, const struct resolved *target,
                        enum action action, struct api_error *error, void *arg)
{
    const unsigned *allowed = arg;

    assert_true(slice_is(principal->name, "anonymous"));
    questions++;
    for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
        if (((*allowed >> place) & 1u) != 0 && action == ACTION_PULL &&
            slice_is(target->origin, places[place][0]) && slice_is(target->name, places[place][1]))
            return 0;
    }
    return api_error_set(error, API_DENIED, "no");
}

static void check_as(unsigned allowed)
{
    const struct authorizer authorizer = {.authorize = allow_places, .arg = &allowed};
    struct principal principal = principal_anonymous();
    struct resolved own;
    struct permit permit;
    struct api_error error;
    struct ledger_txn *txn = resolve_own(&own);

    assert_int_equal(authorize(&authorizer, &principal, &own, ACTION_PULL, &permit, &error), 0);
    assert_true(permit_is_own_only(&permit));
    for (size_t i = 0; i < THINGS; i++) {
        const struct thing *thing = &things[i];
        bool is_blob_shared = thing->is_public && (thing->blob_in & allowed) != 0;
        bool is_manifest_shared =
            thing->is_public && thing->is_typed && (thing->manifest_in & allowed) != 0;

        check(i, &permit, txn,
              is_blob_shared && !thing->is_elsewhere ? VISIBLE_HERE : thing->own_blob,
              is_manifest_shared || thing->own_manifest);
    }
    ledger_read_end(reader);
}

static void public_content_is_shared_by_repositories_that_the_principal_may_pull(void **state)
{
    (void)state;
    check_as(OWN);
    check_as(OWN | SISTER);
    check_as(OWN | OTHER);
    check_as(OWN | PUSHED);
    check_as(OWN | SISTER | OTHER | PUSHED);
}

static void denied_repository_gives_no_permit(void **state)
{
    (void)state;
    unsigned allowed = SISTER;
    const struct authorizer authorizer = {.authorize = allow_places, .arg = &allowed};
    struct principal principal = principal_anonymous();
    struct resolved own;
    struct permit permit = {.target = NULL};
    struct api_error error;
    (void)resolve_own(&own);
    assert_int_equal(authorize(&authorizer, &principal, &own, ACTION_PULL, &permit, &error), -1);
    assert_int_equal(error.status, 403);
    assert_null(permit.target);
    ledger_read_end(reader);
}

/* Links `digest`, in this kind, in 1500 repositories of another upstream. */
static void link_often(struct ledger_txn *txn, const struct digest *digest, enum link_kind kind)
{
    for (unsigned i = 0; i < 1500; i++) {
        struct repository repository;
        char name[] = "popular/aaa";

        name[8] = (char)('a' + i % 26);
        name[9] = (char)('a' + i / 26 % 26);
        name[10] = (char)('a' + i / 676);
        repository_get(txn, slice_of("ghcr.io"), slice_of(name), &repository);
        link_put(txn, repository.id, digest, kind, slice_of(""));
    }
}

/* What is public and linked by very many is not searched through for one request. */
static void search_for_a_repository_that_may_be_pulled_has_an_end(void **state)
{
    (void)state;
    unsigned allowed = OWN;
    const struct authorizer authorizer = {.authorize = allow_places, .arg = &allowed};
    struct principal principal = principal_anonymous();
    struct resolved own;
    struct permit permit;
    struct api_error error;
    struct error err;
    struct ledger_txn *txn;
    struct digest digest;
    struct blob_record record = {.size = 1, .is_public = true, .where = BLOB_HERE};
    digest_of(HASH_SHA256, slice_of("popular"), &digest);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    blob_put(txn, &digest, &record);
    link_often(txn, &digest, LINK_BLOB);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    txn = resolve_own(&own);
    assert_int_equal(authorize(&authorizer, &principal, &own, ACTION_PULL, &permit, &error), 0);
    questions = 0;
    assert_int_equal(visible_blob(&permit, txn, &digest, &record), VISIBLE_ABSENT);
    assert_int_equal(questions, 1000);
    ledger_read_end(reader);
}

static int allow_late(const struct principal *principal, const struct resolved *target,
                      enum action action, struct api_error *error, void *arg)
{
    (void)principal;
    (void)action;
    (void)arg;
    if (slice_is(target->name, "late") || slice_is(target->name, "team/app"))
        return 0;
    return api_error_set(error, API_DENIED, "denied");
}

/* Links as a manifest do not show a blob, but looking at them takes as long. */
static void search_counts_links_of_the_other_kind(void **state)
{
    (void)state;
    const struct authorizer authorizer = {.authorize = allow_late};
    struct principal principal = principal_anonymous();
    struct resolved own;
    struct permit permit;
    struct repository late;
    struct api_error error;
    struct error err;
    struct ledger_txn *txn;
    struct digest digest;
    struct blob_record record = {.size = 1, .is_public = true, .where = BLOB_HERE};
    digest_of(HASH_SHA256, slice_of("index"), &digest);
    assert_int_equal(ledger_write(ledger, &txn, &err), 0);
    blob_put(txn, &digest, &record);
    link_often(txn, &digest, LINK_MANIFEST);
    repository_get(txn, slice_of("ghcr.io"), slice_of("late"), &late);
    link_put(txn, late.id, &digest, LINK_BLOB, slice_of(""));
    assert_int_equal(ledger_commit(&txn, &err), 0);
    txn = resolve_own(&own);
    assert_int_equal(authorize(&authorizer, &principal, &own, ACTION_PULL, &permit, &error), 0);
    assert_int_equal(visible_blob(&permit, txn, &digest, &record), VISIBLE_ABSENT);
    ledger_read_end(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_repository_shows_its_links_and_what_is_public),
        cmocka_unit_test(fetcher_looks_at_the_repository_alone_when_it_is_told_to),
        cmocka_unit_test(hosted_repository_shows_its_links_alone),
        cmocka_unit_test(unknown_repository_shows_public_content_alone),
        cmocka_unit_test(public_content_is_shared_by_repositories_that_the_principal_may_pull),
        cmocka_unit_test(denied_repository_gives_no_permit),
        cmocka_unit_test(search_for_a_repository_that_may_be_pulled_has_an_end),
        cmocka_unit_test(search_counts_links_of_the_other_kind),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
