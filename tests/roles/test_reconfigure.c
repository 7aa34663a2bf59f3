/* SPDX-License-Identifier: Apache-2.0 */
/* A new configuration while requests run: they end with the one that they began with, and the next
 * requests use the new one. */
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

#define LAYER_SIZE (1u << 20)
#define BLOBS      "/v2/library/hello/blobs/"
#define OTHER      "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define UPSTREAM(url, more)                                                                        \
    "upstreams: { docker.io: { url: " url ", default: true" more " } }\n"                          \
    "log: { access: false }\n"

static struct house *house;
static struct visitor *visitor;
static char layer[LAYER_SIZE];
static char target[256];

static void answer(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->status = strstr(request->url, target) ? 200 : 404;
    answer->body = slice_from(layer, answer->status == 200 ? sizeof(layer) : 0);
    answer->pause_ms = 20;
}

static int set_up(void **state)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(layer); i++)
        layer[i] = (char)(i * 2654435761u >> 13);
    digest_of(HASH_SHA256, slice_from(layer, sizeof(layer)), &digest);
    (void)snprintf(target, sizeof(target), BLOBS "%s", digest_print(&digest, text));
    fake_upstream_set(answer, NULL);
    house = house_new(UPSTREAM("https://hub.test", ""));
    visitor = visitor_new(house, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    visitor_free(&visitor);
    house_free(&house);
    return 0;
}

static int status_of(const char *method, const char *path, const char *body)
{
    return visitor_ask(visitor, method, path, NULL, slice_of(body))->status;
}

static void begin_download(void)
{
    visitor_send(visitor, "GET %s HTTP/1.1\r\nHost: entrepot.test\r\n\r\n", target);
    house_pass(house, 200);
    assert_int_equal(fake_upstream_count_of("https://hub.test" BLOBS), 1);
}

static void assert_downloaded(void)
{
    const struct visit *visit = visitor_read(visitor, false, 60000);

    assert_int_equal(visit->status, 200);
    assert_true(visit->is_whole);
    assert_int_equal(buf_bytes(&visit->body).length, LAYER_SIZE);
    assert_memory_equal(buf_bytes(&visit->body).data, layer, LAYER_SIZE);
}

static void download_outlives_the_address_and_the_upstream_it_began_with(void **state)
{
    (void)state;
    begin_download();
    house_configure(house, UPSTREAM("https://other.test", ""));
    house_pass(house, 50);
    house_configure(house, "upstreams: {}\nlog: { access: false }\n");
    assert_downloaded();
    assert_int_equal(fake_upstream_count_of("https://other.test"), 0);
    assert_int_equal(status_of("GET", BLOBS OTHER, ""), 404);
    assert_int_equal(fake_upstream_count_of(OTHER), 0);
}

static void next_miss_asks_the_new_address(void **state)
{
    (void)state;
    begin_download();
    house_configure(house, UPSTREAM("https://other.test", ""));
    struct visitor *next = visitor_new(house, 1);
    assert_int_equal(visitor_ask(next, "GET", BLOBS OTHER, NULL, slice_of(""))->status, 404);
    assert_int_equal(fake_upstream_count_of("https://other.test" BLOBS OTHER), 1);
    visitor_free(&next);
    assert_downloaded();
    assert_int_equal(fake_upstream_count_of("https://hub.test"), 1);
}

static void answer_429(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)request;
    (void)arg;
    answer->status = 429;
    answer->headers = "Retry-After: 60\r\n";
}

/* A change of the tag rules, or of other addresses, must not forget what is known of this one. */
static void busy_upstream_stays_busy(void **state)
{
    (void)state;
    fake_upstream_set(answer_429, NULL);
    assert_int_equal(status_of("GET", "/v2/library/hello/manifests/a", ""), 429);
    size_t asked = fake_upstream_count();
    house_configure(house, UPSTREAM("https://hub.test", ", tags: [{ match: \"*\", ttl: 5s }]"));
    assert_int_equal(status_of("GET", "/v2/library/hello/manifests/b", ""), 429);
    house_configure(house, UPSTREAM("https://hub.test", ", proxy: \"http://proxy.test:3128\""));
    assert_int_equal(status_of("GET", "/v2/library/hello/manifests/c", ""), 429);
    assert_int_equal(fake_upstream_count(), asked);
}

static void limit_of_connections_counts_what_the_old_address_still_has(void **state)
{
    (void)state;
    house_configure(house, UPSTREAM("https://hub.test", "") "fetch: { connections: 1 }\n");
    begin_download();
    house_configure(house, UPSTREAM("https://other.test", "") "fetch: { connections: 1 }\n");
    struct visitor *next = visitor_new(house, 1);
    visitor_send(next, "GET " BLOBS OTHER " HTTP/1.1\r\nHost: entrepot.test\r\n\r\n");
    house_pass(house, 200);
    assert_int_equal(fake_upstream_count_of("https://other.test"), 0);
    assert_downloaded();
    assert_int_equal(visitor_read(next, false, 60000)->status, 404);
    assert_int_equal(fake_upstream_count_of("https://other.test"), 1);
    visitor_free(&next);
}

/* ---- what ends after its upstream has gone ---- */

static const char *const misses[] = {"GET " BLOBS OTHER, "GET /v2/library/hello/manifests/none",
                                     "GET /v2/library/hello/manifests/" OTHER,
                                     "GET /v2/library/hello/tags/list"};

static void answer_late(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)request;
    answer->status = *(const int *)arg;
    answer->failure = ERR_UPSTREAM;
    answer->delay_ms = 1000;
}

/* The end of the transfer drops the last reference to a retired upstream, whose transfer it is. */
static void failing_end_may_be_the_last_use_of_an_upstream(void **state)
{
    static const int statuses[] = {404, 503, 0};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        for (size_t k = 0; k < sizeof(misses) / sizeof(misses[0]); k++) {
            int status = statuses[i];

            house_configure(house, UPSTREAM("https://hub.test", "") "fetch: { retries: 0 }\n");
            fake_upstream_set(answer_late, &status);
            visitor_send(visitor, "%s HTTP/1.1\r\nHost: entrepot.test\r\n\r\n", misses[k]);
            house_pass(house, 200);
            assert_int_equal(fake_upstream_count_of("https://hub.test"), 1);
            house_configure(house, "upstreams: {}\nlog: { access: false }\n");
            assert_true(visitor_read(visitor, false, 60000)->status >= 400);
            house_pass(house, 2000);
            tear_down(NULL); /* what is known of these failures goes */
            set_up(NULL);
        }
    }
}

static void answer_challenge(const struct fake_request *request, struct fake_answer *answer,
                             void *arg)
{
    answer->status = 401;
    answer->headers = "WWW-Authenticate: Bearer realm=\"https://hub.test/token\"\r\n";
    if (!strstr(request->url, "/token"))
        return;
    answer->status = *(const int *)arg;
    answer->headers = NULL;
    answer->body = slice_of("{\"token\": \"t\"}");
    answer->failure = ERR_UPSTREAM;
    answer->delay_ms = 1000;
}

/* Nobody waits for the token: the client has left. The fetch goes on and holds the upstream. */
static void begin_token(const int *status)
{
    house_configure(house, UPSTREAM("https://hub.test", ""));
    fake_upstream_set(answer_challenge, (void *)(uintptr_t)status);
    visitor_send(visitor, "GET " BLOBS OTHER " HTTP/1.1\r\nHost: entrepot.test\r\n\r\n");
    house_pass(house, 200);
    assert_int_equal(fake_upstream_count_of("/token"), 1);
    visitor_free(&visitor);
    visitor = visitor_new(house, 0);
    house_configure(house, UPSTREAM("https://other.test", ""));
    house_pass(house, 200);
}

static void token_may_be_the_last_use_of_an_upstream(void **state)
{
    static const int statuses[] = {200, 403, 0};

    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        begin_token(&statuses[i]);
        house_pass(house, 5000);
    }
}

static void fetcher_ends_while_a_retired_upstream_fetches_a_token(void **state)
{
    static const int status = 200;

    (void)state;
    begin_token(&status);
    house_kill(house, ROLE_FETCHER, 0);
    house_pass(house, 5000);
}

static void answer_tag(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"config\":{"
        "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" OTHER
        "\",\"size\":2},\"layers\":[]}";
    static char headers[256];
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];

    (void)request;
    digest_of(HASH_SHA256, slice_of(manifest), &digest);
    (void)snprintf(headers, sizeof(headers), "Content-Type: %s\r\nDocker-Content-Digest: %s\r\n",
                   MEDIA_TYPE_OCI_MANIFEST, digest_print(&digest, text));
    answer->status = 200;
    answer->headers = headers;
    answer->body = slice_of(manifest);
    answer->delay_ms = *(const uint64_t *)arg;
}

/* The upstream is reached as before, so it is not retired but gets the new settings. */
static void tag_check_outlives_the_settings_it_began_with(void **state)
{
    static const char settings[] =
        UPSTREAM("https://hub.test", ", tags: [{ match: \"*\", ttl: 0s }]");
    static const char place[] = "/v2/library/hello/manifests/v1";
    uint64_t delay_ms = 0;

    (void)state;
    fake_upstream_set(answer_tag, &delay_ms);
    house_configure(house, settings);
    assert_int_equal(status_of("GET", place, ""), 200);
    house_pass(house, 1000);
    size_t asked = fake_upstream_count();
    delay_ms = 1000;
    visitor_send(visitor, "GET %s HTTP/1.1\r\nHost: entrepot.test\r\n\r\n", place);
    house_pass(house, 200);
    assert_int_equal(fake_upstream_count(), asked + 1);
    for (int i = 0; i < 3; i++)
        house_configure(house, settings);
    assert_int_equal(visitor_read(visitor, false, 60000)->status, 200);
    house_pass(house, 2000);
}

static void push_ends_with_the_limit_it_began_with(void **state)
{
    static const char *const place = "/v2/team/app/manifests/v1";
    static char body[100001];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    visitor_send(visitor, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n{", place,
                 sizeof(body));
    house_pass(house, 10);
    house_configure(house, UPSTREAM("https://hub.test", "") "limits: { manifest_size: 64KiB }\n");
    visitor_send(visitor, "%s", body);
    assert_int_equal(visitor_read(visitor, false, 1000)->status, 400);
    assert_int_equal(status_of("PUT", place, body), 413);
}

static void keeper_takes_what_the_new_rules_allow(void **state)
{
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"config\":{"
        "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" OTHER
        "\",\"size\":2},\"layers\":[]}";
    const char *fields = "Content-Type: " MEDIA_TYPE_OCI_MANIFEST "\r\n";
    const char *place = "/v2/team/app/manifests/v1";

    (void)state;
    assert_int_equal(visitor_ask(visitor, "PUT", place, fields, slice_of(manifest))->status, 400);
    house_configure(house, UPSTREAM("https://hub.test", "") "hosted: { sparse: [\"team/*\"] }\n");
    assert_int_equal(visitor_ask(visitor, "PUT", place, fields, slice_of(manifest))->status, 201);
    house_configure(house, UPSTREAM("https://hub.test", "") "hosted: { delete: false }\n");
    assert_int_equal(status_of("DELETE", place, ""), 405);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(download_outlives_the_address_and_the_upstream_it_began_with),
        TEST(next_miss_asks_the_new_address),
        TEST(busy_upstream_stays_busy),
        TEST(limit_of_connections_counts_what_the_old_address_still_has),
        TEST(failing_end_may_be_the_last_use_of_an_upstream),
        TEST(token_may_be_the_last_use_of_an_upstream),
        TEST(fetcher_ends_while_a_retired_upstream_fetches_a_token),
        TEST(tag_check_outlives_the_settings_it_began_with),
        TEST(push_ends_with_the_limit_it_began_with),
        TEST(keeper_takes_what_the_new_rules_allow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
