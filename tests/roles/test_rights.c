/* SPDX-License-Identifier: Apache-2.0 */
/* Rights through worker, fetcher and keeper: what others brought is given on the upstream's word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fakes/transfer.h"
#include "oci/api_error.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "roles/house.h"
#include "rules/authorize.h"
#include "rules/resolve.h"

#define LAYER_SIZE (2u << 20)
#define CLOSED     "/v2/team/closed"
#define OPEN       "/v2/team/open"
#define ALSO       "/v2/team/also"

static const char settings[] = "upstreams:\n"
                               "  docker.io: { url: \"https://hub.test\", default: true }\n"
                               "hosted: { protect: [], reserved: [\"own/*\"] }\n";

/* team/closed and team/also have the layer and the manifest, team/open has nothing. */
static struct {
    char *layer;
    char layer_text[DIGEST_TEXT_SIZE];
    char manifest[512];
    char manifest_text[DIGEST_TEXT_SIZE];
    uint64_t pause_ms;
    unsigned gets; /* of the layer */
} hub;

static const char *allowed[3]; /* names of repositories; the first NULL: all */
static struct house *house;
static struct visitor *visitor;

static int authorize_some(const struct principal *principal, const struct resolved *target,
                          enum action action, struct api_error *error, void *arg)
{
    (void)principal;
    (void)action;
    (void)arg;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (!allowed[0] || (allowed[i] && slice_is(target->name, allowed[i])))
            return 0;
    }
    return api_error_set(error, API_DENIED, "you have no rights here");
}

static void allow(const char *first, const char *second)
{
    allowed[0] = first;
    allowed[1] = second;
}

static void hub_answer(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->status = 404;
    if (strstr(request->url, OPEN))
        return;
    if (strstr(request->url, hub.layer_text)) {
        answer->status = 200;
        answer->body = slice_from(hub.layer, LAYER_SIZE);
        answer->pause_ms = hub.pause_ms;
        hub.gets += request->method == TRANSFER_GET;
    } else if (strstr(request->url, hub.manifest_text) || strstr(request->url, "latest")) {
        answer->status = 200;
        answer->body = slice_of(hub.manifest);
        answer->headers = "Content-Type: " MEDIA_TYPE_OCI_INDEX "\r\n";
    }
}

static int set_up(void **state)
{
    static const struct authorizer authorizer = {.authorize = authorize_some};
    struct digest digest;

    (void)state;
    memset(&hub, 0, sizeof(hub));
    memset(allowed, 0, sizeof(allowed));
    hub.layer = mem_alloc(LAYER_SIZE);
    for (size_t i = 0; i < LAYER_SIZE; i++)
        hub.layer[i] = (char)(i * 2654435761u >> 13);
    digest_of(HASH_SHA256, slice_from(hub.layer, LAYER_SIZE), &digest);
    digest_print(&digest, hub.layer_text);
    snprintf(hub.manifest, sizeof(hub.manifest),
             "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[]}", MEDIA_TYPE_OCI_INDEX);
    digest_of(HASH_SHA256, slice_of(hub.manifest), &digest);
    digest_print(&digest, hub.manifest_text);
    fake_upstream_set(hub_answer, NULL);
    house = house_new_with(settings, &authorizer);
    visitor = visitor_new(house, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    visitor_free(&visitor);
    house_free(&house);
    mem_free(hub.layer);
    return 0;
}

static int get(const char *repository, const char *folder, const char *reference)
{
    char target[512];

    snprintf(target, sizeof(target), "%s/%s/%s", repository, folder, reference);
    return visitor_ask(visitor, "GET", target, "", slice_of(""))->status;
}

static int get_layer(const char *repository)
{
    return get(repository, "blobs", hub.layer_text);
}

/* By somebody who may; stored and public afterwards. */
static void pull_closed(void)
{
    allow(NULL, NULL);
    assert_int_equal(get_layer(CLOSED), 200);
    assert_int_equal(get(CLOSED, "manifests", "latest"), 200);
    house_pass(house, 60000);
}

static void layer_on_disk_is_not_given_to_a_repository_that_lacks_it(void **state)
{
    (void)state;
    pull_closed();
    assert_int_equal(get_layer(OPEN), 200); /* public content, without rights in question */
    allow("team/open", NULL);
    assert_int_equal(get_layer(OPEN), 404);
    assert_int_equal(get_layer(CLOSED), 403);
    assert_int_equal(hub.gets, 1);
}

static void layer_on_disk_is_given_when_the_upstream_says_so(void **state)
{
    (void)state;
    pull_closed();
    allow("team/also", NULL);
    assert_int_equal(get_layer(ALSO), 200);
    assert_int_equal(get_layer(ALSO), 200); /* by its own link now */
    assert_int_equal(hub.gets, 1);
}

static void layer_on_disk_is_shared_by_who_may_pull_both(void **state)
{
    (void)state;
    size_t asked;

    pull_closed();
    asked = fake_upstream_count();
    allow("team/open", "team/closed");
    assert_int_equal(get_layer(OPEN), 200);
    assert_int_equal(fake_upstream_count(), asked);
}

static void manifest_is_not_given_to_a_repository_that_lacks_it(void **state)
{
    (void)state;
    pull_closed();
    allow("team/open", NULL);
    assert_int_equal(get(OPEN, "manifests", hub.manifest_text), 404);
    assert_int_equal(get(OPEN, "manifests", "latest"), 404);
    assert_int_equal(get(CLOSED, "manifests", hub.manifest_text), 403);
    allow("team/also", NULL);
    assert_int_equal(get(ALSO, "manifests", hub.manifest_text), 200);
}

static void download_under_way_is_joined_on_the_upstreams_word_alone(void **state)
{
    const struct visit *visit;
    struct visitor *first = visitor_new(house, 1);

    (void)state;
    hub.pause_ms = 20;
    allow("team/closed", NULL);
    visitor_send(first, "GET " CLOSED "/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n", hub.layer_text);
    house_pass(house, 100);
    allow("team/open", NULL);
    assert_int_equal(get_layer(OPEN), 404);
    allow("team/also", NULL);
    assert_int_equal(get_layer(ALSO), 200);
    visit = visitor_read(first, false, 60000);
    assert_int_equal(visit->status, 200);
    assert_true(visit->is_whole);
    assert_int_equal(hub.gets, 1);
    visitor_free(&first);
}

static int mount_from(const char *from)
{
    char target[512];

    snprintf(target, sizeof(target), "/v2/own/app/blobs/uploads/?mount=%s&from=%s", hub.layer_text,
             from);
    return visitor_ask(visitor, "POST", target, "", slice_of(""))->status;
}

static void mount_wants_rights_to_both_repositories(void **state)
{
    (void)state;
    pull_closed();
    allow("own/app", NULL);
    assert_int_equal(mount_from("team/closed"), 202);
    allow("team/closed", NULL);
    assert_int_equal(mount_from("team/closed"), 403);
    allow("own/app", "team/closed");
    assert_int_equal(mount_from("team/closed"), 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(layer_on_disk_is_not_given_to_a_repository_that_lacks_it),
        TEST(layer_on_disk_is_given_when_the_upstream_says_so),
        TEST(layer_on_disk_is_shared_by_who_may_pull_both),
        TEST(manifest_is_not_given_to_a_repository_that_lacks_it),
        TEST(download_under_way_is_joined_on_the_upstreams_word_alone),
        TEST(mount_wants_rights_to_both_repositories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
