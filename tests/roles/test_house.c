/* SPDX-License-Identifier: Apache-2.0 */
/* What worker, fetcher and keeper do together in virtual time; any role may die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fakes/transfer.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "roles/house.h"

#define LAYER_SIZE (3u << 20)
#define HUB        "/v2/library/hello"

static const char settings[] = "upstreams:\n"
                               "  docker.io:\n"
                               "    url: https://hub.test\n"
                               "    default: true\n"
                               "    tags: [{ match: \"*\", ttl: 60s }]\n"
                               "fetch: { head_timeout: 20s }\n"
                               "hosted: { protect: [\"library/*\"] }\n";

/* ---- a Hub with one image ---- */

static struct {
    char *layer;
    char manifest[1024];
    struct digest layer_digest;
    char layer_text[DIGEST_TEXT_SIZE];
    char manifest_text[DIGEST_TEXT_SIZE];
    char manifest_headers[256];
    bool is_down;
    bool lies; /* once */
    uint64_t delay_ms;
    uint64_t pause_ms;
} hub;

static const char config_text[] =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"; /* {} */

static void describe(char *out, size_t size, const char *layer, size_t layer_size)
{
    snprintf(out, size,
             "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":"
             "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":2},"
             "\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
             "\"digest\":\"%s\",\"size\":%zu}]}",
             MEDIA_TYPE_OCI_MANIFEST, config_text, layer, layer_size);
}

static void hub_open(void)
{
    struct digest digest;

    memset(&hub, 0, sizeof(hub));
    hub.layer = mem_alloc(LAYER_SIZE);
    for (size_t i = 0; i < LAYER_SIZE; i++)
        hub.layer[i] = (char)(i * 2654435761u >> 13);
    digest_of(HASH_SHA256, slice_from(hub.layer, LAYER_SIZE), &hub.layer_digest);
    digest_print(&hub.layer_digest, hub.layer_text);
    describe(hub.manifest, sizeof(hub.manifest), hub.layer_text, LAYER_SIZE);
    digest_of(HASH_SHA256, slice_of(hub.manifest), &digest);
    digest_print(&digest, hub.manifest_text);
    snprintf(hub.manifest_headers, sizeof(hub.manifest_headers),
             "Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", MEDIA_TYPE_OCI_MANIFEST,
             hub.manifest_text);
}

static void answer_layer(const struct fake_request *request, struct fake_answer *answer)
{
    static char range[128];

    answer->pause_ms = hub.pause_ms;
    answer->body = slice_from(hub.layer + request->range_start, LAYER_SIZE - request->range_start);
    if (request->range_start) {
        snprintf(range, sizeof(range), "Content-Range: bytes %llu-%u/%u\r\n",
                 (unsigned long long)request->range_start, LAYER_SIZE - 1, LAYER_SIZE);
        answer->status = 206;
        answer->headers = range;
    }
    if (hub.lies) {
        static char wrong[LAYER_SIZE];

        memcpy(wrong, hub.layer, LAYER_SIZE);
        wrong[LAYER_SIZE / 2] ^= 1;
        answer->body.data = wrong + request->range_start;
        hub.lies = false;
    }
}

static void hub_answer(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->delay_ms = hub.delay_ms;
    if (hub.is_down) {
        answer->status = 0;
        answer->failure = ERR_UPSTREAM;
        return;
    }
    answer->status = 200;
    if (strstr(request->url, HUB "/manifests/latest") ||
        (strstr(request->url, HUB "/manifests/") && strstr(request->url, hub.manifest_text))) {
        answer->body = slice_of(hub.manifest);
        answer->headers = hub.manifest_headers;
    } else if (strstr(request->url, HUB "/blobs/") && strstr(request->url, hub.layer_text)) {
        answer_layer(request, answer);
    } else if (strstr(request->url, HUB "/blobs/") && strstr(request->url, config_text)) {
        answer->body = slice_of("{}");
    } else {
        answer->status = 404;
    }
}

static int set_up(void **state)
{
    hub_open();
    fake_upstream_set(hub_answer, NULL);
    *state = house_new(settings);
    return 0;
}

static int tear_down(void **state)
{
    struct house *house = *state;

    house_free(&house);
    mem_free(hub.layer);
    return 0;
}

/* ---- what visitors do ---- */

static const char *layer_target(void)
{
    static char target[256];

    snprintf(target, sizeof(target), "%s/blobs/%s", HUB, hub.layer_text);
    return target;
}

static void ask_layer(struct visitor *visitor)
{
    visitor_send(visitor, "GET %s HTTP/1.1\r\nHost: entrepot.test\r\n\r\n", layer_target());
}

static void assert_layer(const struct visit *visit)
{
    assert_int_equal(visit->status, 200);
    assert_true(visit->is_whole);
    assert_int_equal(buf_bytes(&visit->body).length, LAYER_SIZE);
    assert_memory_equal(buf_bytes(&visit->body).data, hub.layer, LAYER_SIZE);
}

static void push_blob(struct visitor *visitor, const char *repository, struct slice bytes)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    char target[512];

    digest_of(HASH_SHA256, bytes, &digest);
    snprintf(target, sizeof(target), "/v2/%s/blobs/uploads/", repository);
    assert_int_equal(visitor_ask(visitor, "POST", target, NULL, slice_of(""))->status, 202);
    snprintf(target, sizeof(target), "%s&digest=%s", visit_field(visitor, "Location"),
             digest_print(&digest, text));
    assert_int_equal(visitor_ask(visitor, "PUT", target, NULL, bytes)->status, 201);
}

static int push_manifest(struct visitor *visitor, const char *repository, const char *tag,
                         const char *manifest)
{
    char target[512];

    snprintf(target, sizeof(target), "/v2/%s/manifests/%s", repository, tag);
    return visitor_ask(visitor, "PUT", target, "Content-Type: " MEDIA_TYPE_OCI_MANIFEST "\r\n",
                       slice_of(manifest))
        ->status;
}

static void push_image(struct visitor *visitor, const char *repository, const char *tag)
{
    char manifest[1024];
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    push_blob(visitor, repository, slice_of("{}"));
    push_blob(visitor, repository, slice_of("a layer"));
    digest_of(HASH_SHA256, slice_of("a layer"), &digest);
    describe(manifest, sizeof(manifest), digest_print(&digest, text), 7);
    assert_int_equal(push_manifest(visitor, repository, tag, manifest), 201);
}

static int status_of(struct visitor *visitor, const char *method, const char *target)
{
    return visitor_ask(visitor, method, target, NULL, slice_of(""))->status;
}

/* ---- misses ---- */

static void clients_of_both_workers_share_one_download(void **state)
{
    struct house *house = *state;
    struct visitor *visitors[20];

    hub.pause_ms = 5;
    for (unsigned i = 0; i < 20; i++) {
        visitors[i] = visitor_new(house, i % HOUSE_WORKERS);
        ask_layer(visitors[i]);
        house_pass(house, 7);
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_layer(visitor_read(visitors[i], false, 60000));
        visitor_free(&visitors[i]);
    }
    assert_int_equal(fake_upstream_count_of("/blobs/"), 1);
}

static void who_comes_after_the_end_is_served_from_disk(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    ask_layer(visitor);
    assert_layer(visitor_read(visitor, false, 60000));
    for (int i = 0; i < 3; i++) {
        house_pass(house, 5000);
        ask_layer(visitor);
        assert_layer(visitor_read(visitor, false, 60000));
    }
    assert_int_equal(fake_upstream_count_of("/blobs/"), 1);
    visitor_free(&visitor);
}

static void
an_upstream_that_hangs_is_an_error_after_ten_seconds_and_its_bytes_are_kept(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);
    const struct visit *visit;

    hub.delay_ms = 15000;
    ask_layer(visitor);
    visit = visitor_read(visitor, false, 9900);
    assert_int_equal(visit->status, 0);
    visit = visitor_read(visitor, false, 200);
    assert_int_equal(visit->status, 504);
    house_pass(house, 10000);
    hub.is_down = true;
    ask_layer(visitor);
    assert_layer(visitor_read(visitor, false, 60000));
    assert_int_equal(fake_upstream_count_of("/blobs/"), 1);
    visitor_free(&visitor);
}

static void a_lie_is_never_a_whole_answer(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);
    const struct visit *visit;

    hub.lies = true;
    hub.pause_ms = 5;
    ask_layer(visitor);
    visit = visitor_read(visitor, false, 60000);
    if (visit->is_whole)
        assert_layer(visit); /* the download started over before anything wrong was sent */
    visitor_free(&visitor);
    visitor = visitor_new(house, 1);
    ask_layer(visitor);
    assert_layer(visitor_read(visitor, false, 60000));
    visitor_free(&visitor);
}

/* ---- deaths ---- */

static void a_download_survives_the_fetcher(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    hub.pause_ms = 10;
    ask_layer(visitor);
    (void)visitor_read(visitor, false, 1000); /* 16 KiB every 10 ms: half of the blob has come */
    house_kill(house, ROLE_FETCHER, 0);
    house_pass(house, 300);
    house_start(house, ROLE_FETCHER, 0);
    assert_layer(visitor_read(visitor, false, 60000));
    assert_int_equal(fake_upstream_count_of("/blobs/"), 2);
    assert_true(fake_upstream_at(fake_upstream_count() - 1)->range_start > 0);
    visitor_free(&visitor);
}

static void a_push_waits_for_the_keeper_and_is_kept(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);
    struct visitor *other = visitor_new(house, 1);

    push_image(visitor, "app", "1");
    house_kill(house, ROLE_KEEPER, 0);
    assert_int_equal(status_of(other, "GET", "/v2/app/manifests/1"), 200);
    visitor_send(visitor,
                 "PUT /v2/app/manifests/2 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 MEDIA_TYPE_OCI_INDEX,
                 sizeof("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                        "\",\"manifests\":[]}") -
                     1,
                 "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                 "\",\"manifests\":[]}");
    assert_int_equal(visitor_read(visitor, false, 1000)->status, 0);
    house_start(house, ROLE_KEEPER, 0);
    assert_int_equal(visitor_read(visitor, false, 1000)->status, 201);
    assert_int_equal(status_of(other, "GET", "/v2/app/manifests/2"), 200);
    assert_int_equal(status_of(other, "GET", "/v2/app/manifests/1"), 200);
    visitor_free(&visitor);
    visitor_free(&other);
}

static void an_upload_is_carried_on_by_another_worker(void **state)
{
    struct house *house = *state;
    struct visitor *first = visitor_new(house, 0);
    struct visitor *second = visitor_new(house, 1);
    char location[256];
    char target[512];
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    digest_of(HASH_SHA256, slice_of("one two"), &digest);
    assert_int_equal(status_of(first, "POST", "/v2/app/blobs/uploads/"), 202);
    snprintf(location, sizeof(location), "%s", visit_field(first, "Location"));
    assert_int_equal(visitor_ask(first, "PATCH", location, NULL, slice_of("one"))->status, 202);
    house_kill(house, ROLE_WORKER, 0);
    assert_int_equal(visitor_ask(second, "PATCH", location, NULL, slice_of(" two"))->status, 202);
    assert_string_equal(visit_field(second, "Range"), "0-6");
    snprintf(target, sizeof(target), "%s&digest=%s", location, digest_print(&digest, text));
    assert_int_equal(visitor_ask(second, "PUT", target, NULL, slice_of(""))->status, 201);
    house_start(house, ROLE_WORKER, 0);
    visitor_free(&first);
    visitor_free(&second);
}

/* ---- tags ---- */

static void a_tag_is_served_stale_after_a_day_and_says_so(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    assert_null(visit_field(visitor, "Warning"));
    house_pass(house, 30000);
    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    assert_int_equal(fake_upstream_count_of("/manifests/"), 1); /* fresh: not asked */
    hub.is_down = true;
    visitor_free(&visitor);
    house_pass(house, (uint64_t)24 * 3600 * 1000);
    visitor = visitor_new(house, 1);
    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    assert_non_null(visit_field(visitor, "Warning"));
    assert_non_null(visit_field(visitor, "Age"));
    assert_string_equal(visit_field(visitor, "Docker-Content-Digest"), hub.manifest_text);
    visitor_free(&visitor);
}

static void a_stale_tag_is_checked_by_head_alone(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    house_pass(house, 61000);
    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    assert_null(visit_field(visitor, "Warning"));
    assert_int_equal(fake_upstream_at(fake_upstream_count() - 1)->method, TRANSFER_HEAD);
    assert_int_equal(fake_upstream_count(), 2);
    visitor_free(&visitor);
}

static void a_tag_that_is_here_waits_one_second_for_its_check(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    house_pass(house, 61000);
    hub.delay_ms = 8000;
    visitor_send(visitor, "GET " HUB "/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(visitor_read(visitor, false, 900)->status, 0);
    assert_int_equal(visitor_read(visitor, false, 200)->status, 200);
    assert_non_null(visit_field(visitor, "Warning"));
    house_pass(house, 8000);
    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    assert_null(visit_field(visitor, "Warning")); /* the check went on without its client */
    visitor_free(&visitor);
}

/* ---- names ---- */

static void a_pushed_name_never_goes_upstream(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    push_image(visitor, "team/app", "1");
    size_t asked = fake_upstream_count(); /* whether it has this name; from now on never */
    assert_int_equal(status_of(visitor, "GET", "/v2/team/app/manifests/1"), 200);
    assert_int_equal(status_of(visitor, "GET", "/v2/team/app/manifests/2"), 404);
    assert_int_equal(status_of(visitor, "DELETE", "/v2/team/app/manifests/1"), 202);
    assert_int_equal(status_of(visitor, "GET", "/v2/team/app/manifests/1"), 404);
    assert_int_equal(fake_upstream_count(), asked);
    visitor_free(&visitor);
}

static void an_image_of_the_hub_is_really_pushed_under_a_name_of_ours(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);
    char target[512];

    assert_int_equal(status_of(visitor, "GET", HUB "/manifests/latest"), 200);
    ask_layer(visitor);
    assert_layer(visitor_read(visitor, false, 60000));
    /* The pusher asks for the layer under the new name: it must not be told that it is there. */
    snprintf(target, sizeof(target), "/v2/hello/blobs/%s", hub.layer_text);
    assert_int_equal(status_of(visitor, "HEAD", target), 404);
    push_blob(visitor, "hello", slice_of("{}"));
    assert_int_equal(push_manifest(visitor, "hello", "latest", hub.manifest), 400);
    push_blob(visitor, "hello", slice_from(hub.layer, LAYER_SIZE));
    assert_int_equal(status_of(visitor, "HEAD", "/v2/hello/manifests/latest"), 404);
    assert_int_equal(push_manifest(visitor, "hello", "latest", hub.manifest), 201);
    hub.is_down = true;
    assert_int_equal(status_of(visitor, "GET", target), 200);
    visitor_free(&visitor);
}

static void a_push_may_not_hide_an_image_of_the_hub(void **state)
{
    struct house *house = *state;
    struct visitor *visitor = visitor_new(house, 0);

    assert_int_equal(status_of(visitor, "POST", "/v2/library/other/blobs/uploads/"), 403);
    assert_int_equal(status_of(visitor, "POST", "/v2/docker.io/library/x/blobs/uploads/"), 405);
    assert_int_equal(status_of(visitor, "GET", "/v2/hello/manifests/latest?ns=nobody.test"), 404);
    assert_int_equal(fake_upstream_count(), 0);
    assert_int_equal(status_of(visitor, "GET", "/v2/hello/manifests/latest?ns=docker.io"), 200);
    assert_int_equal(status_of(visitor, "GET", "/v2/docker.io/library/hello/manifests/latest"),
                     200);
    assert_int_equal(fake_upstream_count(), 1);
    visitor_free(&visitor);
}

int main(void)
{
#define HOUSE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(clients_of_both_workers_share_one_download),
        HOUSE_TEST(who_comes_after_the_end_is_served_from_disk),
        HOUSE_TEST(an_upstream_that_hangs_is_an_error_after_ten_seconds_and_its_bytes_are_kept),
        HOUSE_TEST(a_lie_is_never_a_whole_answer),
        HOUSE_TEST(a_download_survives_the_fetcher),
        HOUSE_TEST(a_push_waits_for_the_keeper_and_is_kept),
        HOUSE_TEST(an_upload_is_carried_on_by_another_worker),
        HOUSE_TEST(a_tag_is_served_stale_after_a_day_and_says_so),
        HOUSE_TEST(a_stale_tag_is_checked_by_head_alone),
        HOUSE_TEST(a_tag_that_is_here_waits_one_second_for_its_check),
        HOUSE_TEST(a_pushed_name_never_goes_upstream),
        HOUSE_TEST(an_image_of_the_hub_is_really_pushed_under_a_name_of_ours),
        HOUSE_TEST(a_push_may_not_hide_an_image_of_the_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
