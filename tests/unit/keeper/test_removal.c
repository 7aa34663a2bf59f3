/* SPDX-License-Identifier: Apache-2.0 */
/* Removing tags, manifests and blobs of hosted repositories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};
static const char *const other[] = {"config", "other layer", NULL};

static struct answer take(enum remove_kind kind, const char *tag, const struct digest *digest)
{
    struct message_remove message = {
        .kind = kind, .repository = SLICE_LITERAL("team/app"), .tag = slice_of(tag)};

    if (digest)
        message.digest = *digest;
    return world_ask(WORKER_0, MESSAGE_REMOVE, &message);
}

static void a_tag_goes_alone(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    assert_int_equal(take(REMOVE_TAG, "v1", NULL).type, MESSAGE_DONE);
    assert_int_equal(world_tag("", "team/app", "v1").algorithm, 0);
    assert_int_equal(world_link("", "team/app", &one), LINK_MANIFEST);
    assert_int_equal(take(REMOVE_TAG, "v1", NULL).kind, ERR_NOT_FOUND);
}

static void a_manifest_takes_its_tags_along(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1 v2", "one", image);
    struct digest two = world_push("team/app", "v3", "two", other);
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).type, MESSAGE_DONE);
    assert_int_equal(world_tag("", "team/app", "v1").algorithm, 0);
    assert_int_equal(world_tag("", "team/app", "v2").algorithm, 0);
    struct digest v3 = world_tag("", "team/app", "v3");
    assert_true(digest_equal(&v3, &two));
    assert_int_equal(world_link("", "team/app", &one), 0);
    struct digest config = world_digest("config");
    struct digest layer = world_digest("layer");
    assert_int_equal(world_blob_record(&config).kept_since_ms, 0); /* two names it */
    assert_int_equal(world_blob_record(&layer).kept_since_ms, clock_wall().ms);
    assert_int_equal(world_blob_record(&one).kept_since_ms, clock_wall().ms);
    struct manifest_record record;
    assert_false(manifest_find(world_read(), &one, &record));
    world_read_end();
    assert_true(world_repository("", "team/app").is_hosted);
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).kind, ERR_NOT_FOUND);
}

static void a_manifest_shown_elsewhere_keeps_its_record(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    (void)world_push("team/copy", "v1", "one", image);
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).type, MESSAGE_DONE);
    struct manifest_record record;
    assert_true(manifest_find(world_read(), &one, &record));
    world_read_end();
    struct digest layer = world_digest("layer");
    assert_int_equal(world_blob_record(&layer).kept_since_ms, 0);
    assert_int_equal(world_blob_record(&one).kept_since_ms, 0);
}

static void a_blob_that_a_manifest_names_stays(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct digest layer = world_digest("layer");
    assert_int_equal(take(REMOVE_BLOB, "", &layer).kind, ERR_DENIED);
    (void)take(REMOVE_MANIFEST, "", &one);
    assert_int_equal(take(REMOVE_BLOB, "", &layer).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/app", &layer), 0);
    assert_int_equal(take(REMOVE_BLOB, "", &layer).kind, ERR_NOT_FOUND);
}

static void counters_end_where_they_began(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct digest layer = world_digest("layer");
    struct digest config = world_digest("config");
    (void)take(REMOVE_MANIFEST, "", &one);
    (void)take(REMOVE_BLOB, "", &layer);
    (void)take(REMOVE_BLOB, "", &config);
    struct repository repository = world_repository("", "team/app");
    assert_int_equal(repository.bytes, 0);
    assert_int_equal(repository.links, 0);
}

static void what_was_removed_can_be_pushed_again(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    (void)take(REMOVE_MANIFEST, "", &one);
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    struct digest v1 = world_tag("", "team/app", "v1");
    struct digest layer = world_digest("layer");
    assert_true(digest_equal(&v1, &one));
    assert_int_equal(world_blob_record(&layer).kept_since_ms, 0);
    assert_int_equal(world_blob_record(&one).kept_since_ms, 0);
}

static void nothing_is_removed_from_a_repository_that_is_not_there(void **state)
{
    (void)state;
    struct digest layer = world_digest("layer");
    assert_int_equal(take(REMOVE_BLOB, "", &layer).kind, ERR_NOT_FOUND);
    assert_int_equal(take((enum remove_kind)9, "", &layer).kind, ERR_INVALID);
}

/* ---- what is there for the sake of another ---- */

static bool is_shown(const struct digest *digest)
{
    return (world_link("", "team/app", digest) & LINK_MANIFEST) != 0;
}

static struct digest push_child(const char *label)
{
    return world_push("team/app", "", label, image);
}

/* An image manifest that refers to another: a signature. */
static struct digest push_referrer(const char *tags, const char *label,
                                   const struct digest *subject)
{
    struct blob_record blob = world_blob_record(subject);
    char text[DIGEST_TEXT_SIZE];
    char member[400];

    (void)snprintf(
        member, sizeof(member),
        "%s\",\"subject\":{\"mediaType\":\"application/x\",\"digest\":\"%s\",\"size\":%llu},"
        "\"end\":\"",
        label, digest_print(subject, text), (unsigned long long)blob.size);
    return world_push("team/app", tags, member, other);
}

static void an_index_takes_its_children_along(void **state)
{
    (void)state;
    struct digest children[3] = {push_child("a"), push_child("b"), push_child("c")};
    struct digest tagged = world_push("team/app", "keep", "c", image);
    struct digest one = world_push_index("team/app", "v1", "one", children, 3);
    struct digest two = world_push_index("team/app", "v2", "two", &children[1], 1);
    assert_true(digest_equal(&tagged, &children[2]));
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).type, MESSAGE_DONE);
    assert_false(is_shown(&one) || is_shown(&children[0]));
    assert_true(is_shown(&children[1]) && is_shown(&children[2])); /* another index; a tag */
    assert_int_equal(take(REMOVE_MANIFEST, "", &two).type, MESSAGE_DONE);
    assert_false(is_shown(&children[1]));
    assert_true(is_shown(&children[2]));
    assert_int_equal(take(REMOVE_MANIFEST, "", &children[2]).type, MESSAGE_DONE);
    assert_int_equal(world_repository("", "team/app").links, 2); /* config and layer, for a while */
}

static void a_child_of_an_index_with_a_tag_is_in_use(void **state)
{
    (void)state;
    struct digest child = push_child("a");
    struct digest one = world_push_index("team/app", "v1", "one", &child, 1);
    char text[DIGEST_TEXT_SIZE];
    struct answer answer = take(REMOVE_MANIFEST, "", &child);
    assert_int_equal(answer.kind, ERR_DENIED);
    assert_non_null(strstr(answer.text, digest_print(&one, text)));
    assert_true(is_shown(&child));
    assert_int_equal(take(REMOVE_TAG, "v1", NULL).type, MESSAGE_DONE);
    assert_int_equal(take(REMOVE_MANIFEST, "", &child).type, MESSAGE_DONE);
    assert_true(is_shown(&one));
}

static void signatures_go_with_what_they_sign(void **state)
{
    (void)state;
    struct digest signed_one = world_push("team/app", "v1", "one", image);
    struct digest signature = push_referrer("", "s", &signed_one);
    struct digest countersigned = push_referrer("", "t", &signature);
    struct digest tagged = push_referrer("report", "r", &signed_one);
    assert_int_equal(take(REMOVE_MANIFEST, "", &signed_one).type, MESSAGE_DONE);
    assert_false(is_shown(&signature) || is_shown(&countersigned));
    assert_true(is_shown(&tagged));
}

static void tags_made_from_the_digest_go_with_it(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    char text[DIGEST_TEXT_SIZE];
    char tags[500];
    (void)digest_print(&one, text);
    const char *hex = text + strlen("sha256:");
    (void)snprintf(tags, sizeof(tags), "sha256-%s sha256-%s.sig", hex, hex);
    struct digest signature = world_push("team/app", tags, "signature", other);
    (void)snprintf(tags, sizeof(tags), "sha256-%s.att mine", hex);
    struct digest kept = world_push("team/app", tags, "attestation", other);
    (void)snprintf(tags, sizeof(tags), "sha256-%s-other", hex);
    struct digest stranger = world_push("team/app", tags, "stranger", other);
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).type, MESSAGE_DONE);
    assert_false(is_shown(&signature));
    (void)snprintf(tags, sizeof(tags), "sha256-%s.att", hex);
    assert_int_equal(world_tag("", "team/app", tags).algorithm, 0);
    assert_true(is_shown(&kept) && is_shown(&stranger));
}

static void a_child_that_refers_to_an_image_that_stays_is_kept(void **state)
{
    (void)state;
    struct digest signed_one = world_push("team/app", "v1", "one", image);
    struct digest signature = push_referrer("", "s", &signed_one);
    struct digest index = world_push_index("team/app", "all", "index", &signature, 1);
    assert_int_equal(take(REMOVE_MANIFEST, "", &index).type, MESSAGE_DONE);
    assert_true(is_shown(&signature));
}

static size_t count_shown(const struct digest *children, size_t count)
{
    size_t shown = 0;

    for (size_t i = 0; i < count; i++)
        shown += is_shown(&children[i]);
    return shown;
}

static void many_children_go_in_slices(void **state)
{
    (void)state;
    enum {
        CHILDREN = 250
    };
    static struct digest children[CHILDREN];
    char label[16];
    for (unsigned i = 0; i < CHILDREN; i++) {
        (void)snprintf(label, sizeof(label), "%u", i);
        children[i] = push_child(label);
    }
    struct digest one = world_push_index("team/app", "v1", "one", children, CHILDREN);
    assert_int_equal(take(REMOVE_MANIFEST, "", &one).type, MESSAGE_DONE);
    assert_int_equal(count_shown(children, CHILDREN), CHILDREN - 99); /* the index was one of 100 */
    world_push("team/app", "keep", "200", image); /* in between, one gets a tag */
    world_keep_house();
    assert_int_equal(count_shown(children, CHILDREN), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tag_goes_alone),
        TEST(a_manifest_takes_its_tags_along),
        TEST(a_manifest_shown_elsewhere_keeps_its_record),
        TEST(a_blob_that_a_manifest_names_stays),
        TEST(counters_end_where_they_began),
        TEST(what_was_removed_can_be_pushed_again),
        TEST(an_index_takes_its_children_along),
        TEST(a_child_of_an_index_with_a_tag_is_in_use),
        TEST(signatures_go_with_what_they_sign),
        TEST(tags_made_from_the_digest_go_with_it),
        TEST(a_child_that_refers_to_an_image_that_stays_is_kept),
        TEST(many_children_go_in_slices),
        TEST(nothing_is_removed_from_a_repository_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
