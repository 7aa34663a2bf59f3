/* SPDX-License-Identifier: Apache-2.0 */
/* The size of a blob that is not here: its manifests say it, when they agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "scene.h"

#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BLOB   "/v2/library/redis/blobs/" DIGEST "?ns=docker.io"

static struct scene *scene;
static struct guest guest;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    scene_free(scene);
    return 0;
}

/* Stores a manifest of library/redis that names the blob with this size. */
static void name_blob(const char *manifest, uint64_t size)
{
    AUTO_BUF struct buf list;
    struct ledger_txn *txn = scene_write(scene);
    struct repository redis;
    struct descriptor layer = {.role = DESCRIPTOR_LAYER, .size = size};
    struct manifest parsed = {.descriptors = &layer, .descriptor_count = 1};
    struct digest digest;

    assert_int_equal(digest_parse(slice_of(DIGEST), &layer.digest, &err), 0);
    digest_of(HASH_SHA256, slice_of(manifest), &digest);
    repository_get(txn, slice_of("docker.io"), slice_of("library/redis"), &redis);
    buf_init(&list, 1024);
    reference_list_encode(&parsed, &list);
    struct manifest_record record = {.references = buf_bytes(&list), .bytes = slice_of(manifest)};
    manifest_put(txn, &digest, &record);
    link_put(txn, redis.id, &digest, LINK_MANIFEST, slice_of("application/json"));
    referred_put(txn, redis.id, &layer.digest, &digest);
    scene_commit(txn);
}

static const struct message_join *ask(const char *method)
{
    guest_forget(&guest);
    guest_send(scene, &guest, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, BLOB);
    return &scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join;
}

static void size_is_what_the_manifests_say(void **state)
{
    (void)state;
    name_blob("{\"a\":1}", 77);
    name_blob("{\"a\":2}", 77);
    assert_int_equal(ask("GET")->size, 77);
}

static void size_that_manifests_dispute_is_asked_of_the_upstream(void **state)
{
    (void)state;
    name_blob("{\"a\":1}", 77);
    name_blob("{\"a\":2}", 200000);
    assert_int_equal(ask("HEAD")->kind, JOIN_BLOB_SIZE);
}

static void size_that_manifests_dispute_is_no_hint(void **state)
{
    (void)state;
    name_blob("{\"a\":1}", 77);
    name_blob("{\"a\":2}", 200000);
    const struct message_join *join = ask("GET");
    assert_int_equal(join->kind, JOIN_BLOB);
    assert_true(join->size == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(size_is_what_the_manifests_say),
        TEST(size_that_manifests_dispute_is_asked_of_the_upstream),
        TEST(size_that_manifests_dispute_is_no_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
