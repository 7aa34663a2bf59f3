/* SPDX-License-Identifier: Apache-2.0 */
/* The typed tables: what is put is found, walks are in order and stay within their prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"
#include "support/scratch.h"

static struct error err;
static struct ledger *ledger;
static struct ledger_txn *txn;
static const struct slice hosted = {"", 0};

static int setup(void **state)
{
    (void)state;
    if (ledger_open(scratch_make(), true, &ledger, &err) != 0)
        return -1;
    return ledger_write(ledger, &txn, &err);
}

static int teardown(void **state)
{
    (void)state;
    ledger_abort(&txn);
    ledger_close(&ledger);
    scratch_remove();
    return 0;
}

static struct digest digest(const char *text)
{
    struct digest out;

    digest_of(HASH_SHA256, slice_of(text), &out);
    return out;
}

static void hosted_and_each_upstream_never_share_a_repository(void **state)
{
    (void)state;
    struct repository a;
    struct repository b;
    struct repository c;
    repository_get(txn, hosted, SLICE_LITERAL("team/app"), &a);
    repository_get(txn, SLICE_LITERAL("docker.io"), SLICE_LITERAL("team/app"), &b);
    assert_int_not_equal(a.id, b.id);
    a.is_hosted = true;
    a.bytes = 77;
    a.last_post_ms = 5;
    a.links = 2;
    repository_put(txn, hosted, SLICE_LITERAL("team/app"), &a);
    assert_true(repository_find(txn, hosted, SLICE_LITERAL("team/app"), &c));
    assert_int_equal(c.id, a.id);
    assert_true(c.is_hosted);
    assert_int_equal(c.bytes, 77);
    assert_int_equal(c.last_post_ms, 5);
    assert_int_equal(c.links, 2);
    assert_true(repository_find(txn, SLICE_LITERAL("docker.io"), SLICE_LITERAL("team/app"), &c));
    assert_false(c.is_hosted);
    struct slice origin;
    struct slice name;
    assert_true(repository_name(txn, b.id, &origin, &name));
    assert_true(slice_is(origin, "docker.io"));
    assert_true(slice_is(name, "team/app"));
}

static void the_longest_names_fit_and_longer_ones_are_refused(void **state)
{
    (void)state;
    char origin[256];
    char name[256];
    memset(origin, 'o', sizeof(origin));
    memset(name, 'n', sizeof(name));
    struct repository repository;
    repository_get(txn, slice_from(origin, 255), slice_from(name, 255), &repository);
    assert_null(ledger_error(txn));
    assert_true(repository_find(txn, slice_from(origin, 255), slice_from(name, 255), &repository));
    repository_get(txn, slice_from(origin, 255), slice_from(name, 256), &repository);
    assert_int_equal(ledger_error(txn)->kind, ERR_INVALID);
}

static bool collect(struct slice name, const struct repository *repository, void *arg)
{
    (void)repository;
    char *all = arg;
    size_t length = strlen(all);
    (void)snprintf(all + length, 200 - length, "%.*s ", SLICE_PRINT(name));
    return true;
}

static void repositories_of_an_origin_come_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"b/x", "a", "b", "c"};
    struct repository repository;
    for (size_t i = 0; i < 4; i++)
        repository_get(txn, hosted, slice_of(names[i]), &repository);
    repository_get(txn, SLICE_LITERAL("docker.io"), SLICE_LITERAL("bb"), &repository);
    char all[200] = "";
    repository_each(txn, hosted, slice_from(NULL, 0), collect, all);
    assert_string_equal(all, "a b b/x c ");
    all[0] = '\0';
    repository_each(txn, hosted, SLICE_LITERAL("b"), collect, all);
    assert_string_equal(all, "b/x c ");
    all[0] = '\0';
    repository_each(txn, SLICE_LITERAL("docker.io"), slice_from(NULL, 0), collect, all);
    assert_string_equal(all, "bb ");
}

static void hosted_below_means_the_name_or_after_a_slash(void **state)
{
    (void)state;
    struct repository repository;
    repository_get(txn, hosted, SLICE_LITERAL("quay.io/app"), &repository);
    assert_false(repository_any_hosted_below(txn, SLICE_LITERAL("quay.io")));
    repository.is_hosted = true;
    repository_put(txn, hosted, SLICE_LITERAL("quay.io/app"), &repository);
    struct digest blob = digest("blob");
    struct digest manifest = digest("manifest");
    link_put(txn, repository.id, &blob, LINK_BLOB, slice_of(""));
    assert_false(repository_any_hosted_below(txn, SLICE_LITERAL("quay.io"))); /* all deleted */
    link_put(txn, repository.id, &manifest, LINK_MANIFEST, slice_of(""));
    assert_true(repository_any_hosted_below(txn, SLICE_LITERAL("quay.io")));
    assert_true(repository_any_hosted_below(txn, SLICE_LITERAL("quay.io/app")));
    assert_false(repository_any_hosted_below(txn, SLICE_LITERAL("quay")));
}

static bool collect_tag(struct slice tag, const struct tag *record, void *arg)
{
    (void)record;
    char *all = arg;
    size_t length = strlen(all);
    (void)snprintf(all + length, 200 - length, "%.*s ", SLICE_PRINT(tag));
    return strlen(all) < 8;
}

static void tags_are_of_one_repository_and_walks_go_on_after_the_last(void **state)
{
    (void)state;
    struct tag tag = {digest("m"), 10, 20};
    static const char *const names[] = {"v2", "latest", "v1", "v10"};
    for (size_t i = 0; i < 4; i++)
        tag_put(txn, 7, slice_of(names[i]), &tag);
    tag_put(txn, 8, SLICE_LITERAL("other"), &tag);
    char all[200] = "";
    tag_each(txn, 7, slice_from(NULL, 0), collect_tag, all);
    assert_string_equal(all, "latest v1 "); /* `each` stopped it */
    all[0] = '\0';
    tag_each(txn, 7, SLICE_LITERAL("v1"), collect_tag, all);
    assert_string_equal(all, "v10 v2 ");
    struct tag back;
    assert_true(tag_find(txn, 7, SLICE_LITERAL("v10"), &back));
    assert_true(digest_equal(&back.digest, &tag.digest));
    assert_int_equal(back.changed_ms, 10);
    assert_int_equal(back.checked_ms, 20);
    assert_true(tag_delete(txn, 7, SLICE_LITERAL("v10")));
    assert_false(tag_delete(txn, 7, SLICE_LITERAL("v10")));
    assert_false(tag_find(txn, 7, SLICE_LITERAL("v10"), &back));
}

static bool count_tag(struct slice tag, const struct tag *record, void *arg)
{
    (void)tag;
    (void)record;
    (*(unsigned *)arg)++;
    return true;
}

static bool count_repository(struct slice name, const struct repository *repository, void *arg)
{
    (void)name;
    (void)repository;
    (*(unsigned *)arg)++;
    return true;
}

/* Longer than a key can be: what comes after it in order is still found. */
static void walks_go_on_after_a_last_that_is_too_long(void **state)
{
    (void)state;
    static char text[3003];
    static const size_t lasts[] = {508, 511, 1000, 2048, 3000};
    struct tag tag = {digest("m"), 10, 20};
    struct repository repository;
    memset(text, 'm', sizeof(text));
    tag_put(txn, 7, SLICE_LITERAL("a"), &tag);
    tag_put(txn, 7, slice_from(text, 474), &tag); /* the longest: a prefix of `last` */
    tag_put(txn, 7, SLICE_LITERAL("mn"), &tag);
    tag_put(txn, 7, SLICE_LITERAL("z"), &tag);
    repository_get(txn, hosted, SLICE_LITERAL("a"), &repository);
    repository_get(txn, hosted, slice_from(text, 510), &repository);
    repository_get(txn, hosted, SLICE_LITERAL("z"), &repository);
    for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
        unsigned tags = 0;
        unsigned repositories = 0;

        tag_each(txn, 7, slice_from(text, lasts[i]), count_tag, &tags);
        assert_int_equal(tags, 2);
        repository_each(txn, hosted, slice_from(text, lasts[i] + 3), count_repository,
                        &repositories);
        assert_int_equal(repositories, 1);
    }
    assert_null(ledger_error(txn));
}

static void small_manifests_are_kept_inline_and_large_ones_not(void **state)
{
    (void)state;
    static char bytes[LEDGER_INLINE_MAX + 1];
    memset(bytes, 'j', sizeof(bytes));
    struct manifest_record record = {
        .size = LEDGER_INLINE_MAX,
        .media_type = SLICE_LITERAL("application/vnd.oci.image.manifest.v1+json"),
        .subject = digest("subject"),
        .references = SLICE_LITERAL("refs"),
        .bytes = slice_from(bytes, LEDGER_INLINE_MAX),
    };
    struct digest small = digest("small");
    struct digest large = digest("large");
    manifest_put(txn, &small, &record);
    record.bytes = slice_from(bytes, sizeof(bytes));
    record.size = sizeof(bytes);
    manifest_put(txn, &large, &record);
    struct manifest_record back;
    assert_true(manifest_find(txn, &small, &back));
    assert_int_equal(back.bytes.length, LEDGER_INLINE_MAX);
    assert_true(slice_is(back.references, "refs"));
    assert_int_equal(back.artifact_type.length, 0);
    assert_true(digest_equal(&back.subject, &record.subject));
    assert_true(manifest_find(txn, &large, &back));
    assert_int_equal(back.bytes.length, 0);
    assert_int_equal(back.size, sizeof(bytes));
    assert_true(manifest_delete(txn, &small));
    assert_false(manifest_find(txn, &small, &back));
}

static void media_type_that_is_too_long_fails_the_transaction(void **state)
{
    (void)state;
    static char type[4096];
    struct digest a = digest("a");
    memset(type, 't', sizeof(type));
    link_put(txn, 1, &a, LINK_MANIFEST, slice_from(type, sizeof(type)));
    assert_non_null(ledger_error(txn));
    assert_int_equal(ledger_error(txn)->kind, ERR_INVALID);
}

static void blobs_keep_their_state(void **state)
{
    (void)state;
    struct blob_record record = {123, true, 5, 6, BLOB_HERE, {7, 8}, true};
    struct digest a = digest("a");
    struct blob_record back;
    assert_false(blob_find(txn, &a, &back));
    blob_put(txn, &a, &record);
    assert_true(blob_find(txn, &a, &back));
    assert_int_equal(back.size, 123);
    assert_true(back.is_public);
    assert_int_equal(back.kept_since_ms, 5);
    assert_int_equal(back.stored_ms, 6);
    assert_int_equal(back.where, BLOB_HERE);
    assert_true(file_identity_equal(&back.file, &record.file));
    assert_true(back.is_damaged);
    record.is_public = false;
    blob_put(txn, &a, &record);
    assert_true(blob_find(txn, &a, &back));
    assert_true(back.is_damaged && !back.is_public);
}

static void a_record_says_what_it_knows_of_a_file(void **state)
{
    (void)state;
    struct blob_record record = {.file = {7, 8}};
    const struct file_identity same = {7, 8};
    const struct file_identity touched = {7, 9};
    const struct file_identity replaced = {6, 8};
    assert_int_equal(blob_trust(&record, &same), BLOB_TRUSTED);
    assert_int_equal(blob_trust(&record, &touched), BLOB_CHANGED);
    assert_int_equal(blob_trust(&record, &replaced), BLOB_CHANGED);
    record.is_damaged = true;
    assert_int_equal(blob_trust(&record, &same), BLOB_DAMAGED);
    assert_int_equal(blob_trust(&record, &replaced), BLOB_CHANGED);
}

/* As programs wrote it that did not know a blob's file. */
static void an_old_record_of_a_blob_trusts_its_file(void **state)
{
    (void)state;
    struct digest a = digest("a");
    struct blob_record back = {.file = {1, 1}, .is_damaged = true};
    const struct file_identity any = {7, 8};
    struct record key;
    struct record value;
    record_init(&key);
    record_add_digest(&key, &a);
    record_init_value(&value);
    record_add_u64(&value, 123);
    record_add_u8(&value, BLOB_HERE);
    record_add_u8(&value, 1);
    record_add_u64(&value, 5);
    record_add_u64(&value, 6);
    ledger_put(txn, TABLE_BLOB, record_bytes(&key), record_bytes(&value));
    assert_true(blob_find(txn, &a, &back));
    assert_int_equal(back.size, 123);
    assert_true(back.is_public);
    assert_int_equal(back.stored_ms, 6);
    assert_int_equal(back.file.inode, 0);
    assert_false(back.is_damaged);
    assert_int_equal(blob_trust(&back, &any), BLOB_TRUSTED);
}

static bool join_names(struct slice tag, void *arg)
{
    (void)strncat(arg, tag.data, tag.length);
    return true;
}

static const char *names_of(uint32_t repository, const struct digest *digest)
{
    static char names[100];

    names[0] = '\0';
    tag_each_of(txn, repository, digest, join_names, names);
    return names;
}

static void tags_are_found_by_what_they_name(void **state)
{
    (void)state;
    struct tag a = {digest("a"), 1, 1};
    struct tag b = {digest("b"), 1, 1};
    tag_put(txn, 7, SLICE_LITERAL("1"), &a);
    tag_put(txn, 7, SLICE_LITERAL("2"), &a);
    tag_put(txn, 7, SLICE_LITERAL("2"), &a);
    tag_put(txn, 8, SLICE_LITERAL("3"), &a);
    assert_string_equal(names_of(7, &a.digest), "12");
    tag_put(txn, 7, SLICE_LITERAL("1"), &b);
    assert_string_equal(names_of(7, &a.digest), "2");
    assert_string_equal(names_of(7, &b.digest), "1");
    assert_true(tag_delete(txn, 7, SLICE_LITERAL("2")));
    assert_false(tag_delete(txn, 7, SLICE_LITERAL("2")));
    assert_string_equal(names_of(7, &a.digest), "");
    assert_string_equal(names_of(8, &a.digest), "3");
    assert_null(ledger_error(txn));
}

static void expect_due(const struct due *wanted, size_t count)
{
    struct due found[8];

    assert_int_equal(due_first(txn, found, 8), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].since_ms, wanted[i].since_ms);
        assert_int_equal(found[i].kind, wanted[i].kind);
        assert_int_equal(found[i].repository, wanted[i].repository);
        assert_true(digest_equal(&found[i].digest, &wanted[i].digest));
    }
}

static void links_and_blobs_enter_what_is_due(void **state)
{
    (void)state;
    struct digest a = digest("a");
    struct blob_record blob = {.size = 5, .where = BLOB_HERE, .kept_since_ms = 100};
    struct digest b = digest("b");
    link_put(txn, 1, &a, LINK_MANIFEST, SLICE_LITERAL("application/x"));
    link_release(txn, 1, &a, 100);
    link_release(txn, 9, &a, 100); /* there is none */
    link_put(txn, 2, &a, LINK_BLOB, slice_of(""));
    link_release(txn, 2, &a, 70);
    blob_put(txn, &a, &blob);
    blob.kept_since_ms = 0;
    blob_put(txn, &b, &blob);
    expect_due(
        (const struct due[]){{70, DUE_LINK, 2, a}, {100, DUE_LINK, 1, a}, {100, DUE_BLOB, 0, a}},
        3);
    assert_int_equal(link_released_ms(txn, 1, &a), 100);
    link_put(txn, 1, &a, LINK_MANIFEST | LINK_BLOB, slice_from(NULL, 0));
    assert_int_equal(link_released_ms(txn, 1, &a), 100); /* as the media type */
    struct slice media_type;
    assert_int_equal(link_find_typed(txn, 1, &a, &media_type), LINK_MANIFEST | LINK_BLOB);
    assert_true(slice_is(media_type, "application/x"));
    link_release(txn, 1, &a, 0);
    assert_true(link_delete(txn, 2, &a));
    blob.kept_since_ms = 300;
    blob_put(txn, &a, &blob);
    blob_put(txn, &a, &blob);
    expect_due((const struct due[]){{300, DUE_BLOB, 0, a}}, 1);
    use_put(txn, &a, 7);
    blob_delete(txn, &a);
    blob_delete(txn, &a);
    expect_due(NULL, 0);
    assert_false(blob_find(txn, &a, &blob));
    assert_int_equal(use_find(txn, &a), 0);
    assert_null(ledger_error(txn));
}

static bool count_links(uint32_t repository, unsigned kinds, void *arg)
{
    unsigned *sum = arg;

    *sum += repository * 10 + kinds;
    return true;
}

static bool count_digests(const struct digest *found, unsigned kinds, void *arg)
{
    (void)found;
    unsigned *sum = arg;
    *sum += 10 + kinds;
    return true;
}

static void links_are_found_from_both_sides(void **state)
{
    (void)state;
    struct digest a = digest("a");
    struct digest b = digest("b");
    link_put(txn, 1, &a, LINK_BLOB, slice_of(""));
    link_put(txn, 2, &a, LINK_MANIFEST, slice_of(""));
    link_put(txn, 2, &b, LINK_BLOB, slice_of(""));
    assert_int_equal(link_find(txn, 1, &a), LINK_BLOB);
    assert_int_equal(link_find(txn, 1, &b), 0);
    unsigned sum = 0;
    link_each(txn, &a, count_links, &sum);
    assert_int_equal(sum, 11 + 22);
    sum = 0;
    link_each_in(txn, 2, count_digests, &sum);
    assert_int_equal(sum, 12 + 11);
    assert_true(link_delete(txn, 1, &a));
    assert_false(link_delete(txn, 1, &a));
    sum = 0;
    link_each(txn, &a, count_links, &sum);
    assert_int_equal(sum, 22);
}

static void referred_is_asked_by_repository_or_anywhere(void **state)
{
    (void)state;
    struct digest blob = digest("blob");
    struct digest one = digest("one");
    struct digest two = digest("two");
    struct digest parent;
    referred_put(txn, 1, &blob, &one);
    referred_put(txn, 1, &blob, &two);
    assert_true(referred_any(txn, 1, &blob));
    assert_false(referred_any(txn, 2, &blob));
    assert_true(referred_anywhere(txn, &blob));
    assert_true(referred_find_parent(txn, 1, &blob, &parent));
    assert_true(digest_equal(&parent, &one) || digest_equal(&parent, &two));
    referred_delete(txn, 1, &blob, &one);
    assert_true(referred_any(txn, 1, &blob));
    referred_delete(txn, 1, &blob, &two);
    assert_false(referred_anywhere(txn, &blob));
}

static void referrers_are_of_one_subject(void **state)
{
    (void)state;
    struct digest subject = digest("subject");
    struct digest other = digest("other");
    struct digest one = digest("one");
    struct digest two = digest("two");
    referrer_put(txn, 1, &subject, &one);
    referrer_put(txn, 1, &subject, &two);
    referrer_put(txn, 1, &other, &one);
    unsigned sum = 0;
    referrer_each(txn, 1, &subject, NULL, count_digests, &sum);
    assert_int_equal(sum, 24);
    referrer_delete(txn, 1, &subject, &one);
    sum = 0;
    referrer_each(txn, 1, &subject, NULL, count_digests, &sum);
    assert_int_equal(sum, 12);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosted_and_each_upstream_never_share_a_repository),
        TEST(the_longest_names_fit_and_longer_ones_are_refused),
        TEST(repositories_of_an_origin_come_in_order),
        TEST(hosted_below_means_the_name_or_after_a_slash),
        TEST(tags_are_of_one_repository_and_walks_go_on_after_the_last),
        TEST(walks_go_on_after_a_last_that_is_too_long),
        TEST(small_manifests_are_kept_inline_and_large_ones_not),
        TEST(media_type_that_is_too_long_fails_the_transaction),
        TEST(blobs_keep_their_state),
        TEST(a_record_says_what_it_knows_of_a_file),
        TEST(an_old_record_of_a_blob_trusts_its_file),
        TEST(tags_are_found_by_what_they_name),
        TEST(links_and_blobs_enter_what_is_due),
        TEST(links_are_found_from_both_sides),
        TEST(referred_is_asked_by_repository_or_anywhere),
        TEST(referrers_are_of_one_subject),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
