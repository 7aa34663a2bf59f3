/* SPDX-License-Identifier: Apache-2.0 */
/* Removing tags, manifests and blobs of hosted repositories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        TEST(nothing_is_removed_from_a_repository_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
