/* SPDX-License-Identifier: Apache-2.0 */
/* What upstreams say of their tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};

static struct digest fetch(const char *repository, const char *tag, const char *label,
                           bool is_public)
{
    struct message_manifest_stored stored = world_fetched(repository, tag, 100, label, image);

    stored.is_public = is_public;
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    return stored.digest;
}

static void check(const char *repository, const struct digest *digest, uint64_t checked)
{
    struct message_tag_checked message = {.origin = SLICE_LITERAL("docker.io"),
                                          .repository = slice_of(repository),
                                          .tag = SLICE_LITERAL("latest"),
                                          .digest = *digest,
                                          .checked = checked};

    assert_int_equal(world_ask(FETCHER, MESSAGE_TAG_CHECKED, &message).type, MESSAGE_DONE);
}

static struct tag find(const char *repository)
{
    struct tag tag;

    memset(&tag, 0, sizeof(tag));
    uint32_t id = world_repository("docker.io", repository).id;
    (void)tag_find(world_read(), id, SLICE_LITERAL("latest"), &tag);
    world_read_end();
    return tag;
}

static void the_same_digest_renews_the_check_without_a_number(void **state)
{
    (void)state;
    struct digest one = fetch("library/nginx", "latest", "one", true);
    uint64_t number = world_number();
    check("library/nginx", &one, 500);
    assert_int_equal(find("library/nginx").checked_ms, 500);
    assert_int_equal(world_number(), number);
    check("library/nginx", &one, 400);
    assert_int_equal(find("library/nginx").checked_ms, 500);
}

static void a_tag_moves_to_a_manifest_that_is_here(void **state)
{
    (void)state;
    (void)fetch("library/nginx", "latest", "one", false);
    struct digest two = fetch("library/nginx", "", "two", false);
    check("library/nginx", &two, 500);
    struct tag tag = find("library/nginx");
    assert_true(digest_equal(&tag.digest, &two));
    struct digest absent = world_digest("absent");
    check("library/nginx", &absent, 600);
    tag = find("library/nginx");
    assert_true(digest_equal(&tag.digest, &two));
    assert_int_equal(tag.checked_ms, 500);
}

static void only_public_manifests_are_shown_by_another_repository(void **state)
{
    (void)state;
    struct digest open = fetch("library/nginx", "latest", "open", true);
    struct digest secret = fetch("private/app", "latest", "secret", false);
    check("library/copy", &secret, 500);
    assert_int_equal(world_repository("docker.io", "library/copy").id, 0);
    check("library/copy", &open, 500);
    struct tag tag = find("library/copy");
    assert_true(digest_equal(&tag.digest, &open));
    assert_int_equal(world_link("docker.io", "library/copy", &open), LINK_MANIFEST);
    struct digest layer = world_digest("layer");
    uint32_t id = world_repository("docker.io", "library/copy").id;
    assert_true(referred_any(world_read(), id, &layer));
    world_read_end();
}

static void a_check_without_a_digest_takes_no_tag_away(void **state)
{
    (void)state;
    struct digest one = fetch("library/nginx", "latest", "one", true);
    struct message_tag_checked message = {.origin = SLICE_LITERAL("docker.io"),
                                          .repository = SLICE_LITERAL("library/nginx"),
                                          .tag = SLICE_LITERAL("latest"),
                                          .checked = 500};
    assert_int_equal(world_ask(FETCHER, MESSAGE_TAG_CHECKED, &message).kind, ERR_INVALID);
    struct tag tag = find("library/nginx");
    assert_true(digest_equal(&tag.digest, &one));
    assert_int_equal(tag.checked_ms, 100);
}

static void hosted_tags_are_not_an_upstreams(void **state)
{
    (void)state;
    struct message_tag_checked message = {
        .repository = SLICE_LITERAL("team/app"), .tag = SLICE_LITERAL("latest"), .checked = 1};
    assert_int_equal(world_ask(FETCHER, MESSAGE_TAG_CHECKED, &message).kind, ERR_INVALID);
}

static void a_fetched_link_shows_a_known_manifest_with_all_it_names(void **state)
{
    (void)state;
    struct digest one = fetch("library/nginx", "latest", "one", true);
    struct message_link link = {.digest = one,
                                .origin = SLICE_LITERAL("docker.io"),
                                .repository = SLICE_LITERAL("library/copy")};
    assert_int_equal(world_ask(FETCHER, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    assert_int_equal(world_link("docker.io", "library/copy", &one), LINK_BLOB | LINK_MANIFEST);
    struct digest layer = world_digest("layer");
    uint32_t id = world_repository("docker.io", "library/copy").id;
    assert_true(referred_any(world_read(), id, &layer));
    world_read_end();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_digest_renews_the_check_without_a_number),
        TEST(a_tag_moves_to_a_manifest_that_is_here),
        TEST(only_public_manifests_are_shown_by_another_repository),
        TEST(a_check_without_a_digest_takes_no_tag_away),
        TEST(hosted_tags_are_not_an_upstreams),
        TEST(a_fetched_link_shows_a_known_manifest_with_all_it_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
