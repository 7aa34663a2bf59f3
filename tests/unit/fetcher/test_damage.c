/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged files: what the ledger names is fetched again, once for all followers. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "oci/media_type.h"
#include "stage.h"

#define MIB (1024ul * 1024)

static struct {
    struct slice body;
    const char *type;
    enum error_kind failure;
    bool needs_password;
    uint64_t head_delay_ms; /* of a HEAD */
    unsigned given;
} script;

static void answer_hub(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->failure = script.failure;
    if (script.failure)
        return;
    if (script.needs_password && !strstr(request->headers, "Authorization: Basic")) {
        answer->status = 401;
        answer->headers = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
        return;
    }
    if (request->method == TRANSFER_HEAD)
        answer->delay_ms = script.head_delay_ms;
    script.given += request->method == TRANSFER_GET;
    answer->status = 200;
    answer->headers = script.type;
    answer->body = script.body;
}

static int open_with(const char *yaml)
{
    memset(&script, 0, sizeof(script));
    script.type = "";
    stage_open(yaml);
    fake_upstream_set(answer_hub, NULL);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return open_with(NULL);
}

static int setup_password(void **state)
{
    (void)state;
    open_with("  docker.io:\n    url: https://hub.test\n    default: true\n    username: me\n"
              "    password: secret\n    expose: true\n");
    script.needs_password = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join_blob(unsigned worker, const char *repository)
{
    struct digest digest = stage_digest(script.body);

    return stage_join(worker, JOIN_BLOB, repository, "", &digest, script.body.length);
}

/* The blob is stored, and its flight still offers the file. */
static struct digest bring_blob(void)
{
    script.body = stage_bytes(1, 2 * MIB);
    stage_until(stage_is_verified, join_blob(0, "library/app"));
    stage_until(stage_has_commits, 1);
    stage_pass(10);
    return stage_digest(script.body);
}

static void a_damaged_blob_is_brought_again_with_one_download(void **state)
{
    (void)state;
    struct digest digest = bring_blob();
    stage_damage(&digest, 1000);
    uint64_t first = join_blob(0, "library/app");
    uint64_t second = join_blob(1, "library/app");
    stage_until(stage_is_verified, first);
    stage_until(stage_is_verified, second);
    stage_assert_file(stage_seen(first)->fd, script.body);
    stage_assert_file(stage_seen(second)->fd, script.body);
    assert_int_equal(script.given, 2);
    stage_until(stage_has_commits, 2);
    stage_pass(10);
    uint64_t late = join_blob(1, "library/app");
    stage_until(stage_is_over, late);
    assert_int_equal(stage_seen(late)->heres, 1);
}

static void a_damaged_blob_is_brought_again_by_a_new_fetcher(void **state)
{
    (void)state;
    struct digest digest = bring_blob();
    stage_restart_fetcher();
    stage_damage(&digest, 3 * MIB);
    uint64_t request = join_blob(0, "library/app");
    stage_until(stage_is_verified, request);
    stage_assert_file(stage_seen(request)->fd, script.body);
}

static void a_damaged_blob_without_its_upstream_is_the_upstreams_failure(void **state)
{
    (void)state;
    struct digest digest = bring_blob();
    stage_damage(&digest, 0);
    script.failure = ERR_UPSTREAM;
    uint64_t request = join_blob(0, "library/app");
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_UPSTREAM);
}

/* The file is found damaged while another repository waits for its proof: it must not get the file.
 */
static void who_waits_for_a_proof_gets_the_new_bytes(void **state)
{
    (void)state;
    struct digest digest;
    script.head_delay_ms = 3000;
    script.body = stage_bytes(1, 2 * MIB);
    digest = stage_digest(script.body);
    uint64_t owner = join_blob(0, "library/app");
    stage_until(stage_is_open, owner);
    uint64_t waiting = join_blob(1, "library/other");
    stage_until(stage_is_verified, owner);
    stage_until(stage_has_commits, 1);
    stage_pass(10);
    stage_damage(&digest, 1000);
    uint64_t again = join_blob(0, "library/app");
    stage_until(stage_is_verified, again);
    stage_until(stage_is_verified, waiting);
    stage_assert_file(stage_seen(again)->fd, script.body);
    stage_assert_file(stage_seen(waiting)->fd, script.body);
}

/* The repository may not see the blob yet. A proof alone would show it a file that is damaged. */
static void a_damaged_blob_is_not_proven_but_brought(void **state)
{
    (void)state;
    struct digest digest = bring_blob();
    stage_damage(&digest, 1000);
    uint64_t request = join_blob(0, "library/other");
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->heres, 0);
    assert_int_equal(stage_seen(request)->verifieds, 1);
    stage_assert_file(stage_seen(request)->fd, script.body);
}

static struct digest bring_manifest(struct buf *body)
{
    struct slice small = stage_manifest();

    buf_init(body, (size_t)1024 * 1024);
    buf_append_slice(body, slice_from(small.data, small.length - 1));
    buf_append_text(body, ",\"annotations\":{\"a\":\"");
    while (body->length < 100000)
        buf_append_text(body, "0123456789");
    buf_append_text(body, "\"}}");
    script.body = buf_bytes(body);
    script.type = STAGE_MANIFEST_TYPE;
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    stage_until(stage_has_commits, 1);
    stage_pass(10);
    return stage_digest(script.body);
}

static void assert_brought(uint64_t request)
{
    struct digest digest = stage_digest(script.body);

    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->answers, 1);
    assert_true(digest_equal(&stage_seen(request)->body_digest, &digest));
}

static void a_damaged_manifest_is_brought_again_by_digest(void **state)
{
    (void)state;
    AUTO_BUF struct buf body;
    struct digest digest = bring_manifest(&body);
    stage_damage(&digest, 0);
    assert_brought(stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX));
    stage_until(stage_has_commits, 2);
    stage_pass(10);
    uint64_t request = stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->heres, 1);
}

static void a_damaged_manifest_is_brought_again_by_tag(void **state)
{
    (void)state;
    AUTO_BUF struct buf body;
    struct digest digest = bring_manifest(&body);
    stage_damage(&digest, 0);
    assert_brought(stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX));
}

static void a_damaged_manifest_is_not_served_stale(void **state)
{
    (void)state;
    AUTO_BUF struct buf body;
    struct digest digest = bring_manifest(&body);
    stage_damage(&digest, 0);
    script.failure = ERR_UPSTREAM;
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_UPSTREAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_damaged_blob_is_brought_again_with_one_download, setup),
        TEST(a_damaged_blob_is_brought_again_with_one_download, setup_password),
        TEST(a_damaged_blob_is_brought_again_by_a_new_fetcher, setup),
        TEST(a_damaged_blob_without_its_upstream_is_the_upstreams_failure, setup),
        TEST(who_waits_for_a_proof_gets_the_new_bytes, setup_password),
        TEST(a_damaged_blob_is_not_proven_but_brought, setup_password),
        TEST(a_damaged_manifest_is_brought_again_by_digest, setup),
        TEST(a_damaged_manifest_is_brought_again_by_tag, setup),
        TEST(a_damaged_manifest_is_not_served_stale, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
