/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that runs somebody else's code: what each of its messages can and cannot change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "keeper/keeper.h"
#include "net/loop.h"
#include "oci/manifest.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};
static struct error err;

static void assert_content(const struct digest *digest, const char *content)
{
    AUTO_CLOSE int fd = -1;
    char bytes[64];
    size_t length = strlen(content);

    assert_int_equal(store_blob_open(world_store, digest, length, &fd, NULL, &err), 0);
    assert_int_equal(fd_pread_all(fd, bytes, length, 0, &err), 0);
    assert_memory_equal(bytes, content, length);
}

/* Says that the content is "layer". */
static struct message_blob_stored wrong_layer(const char *repository)
{
    struct message_blob_stored stored = world_blob(repository, "wrong");

    stored.digest = world_digest("layer");
    return stored;
}

static struct digest fetch_layer(void)
{
    struct message_blob_stored fetched = world_blob("library/nginx", "layer");

    fetched.origin = SLICE_LITERAL("docker.io");
    fetched.is_public = 1;
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &fetched).type, MESSAGE_DONE);
    return fetched.digest;
}

static void assert_is_lie(const struct answer *answer)
{
    assert_int_equal(answer->type, MESSAGE_REFUSED);
    assert_int_equal(answer->kind, ERR_DIGEST_MISMATCH);
    assert_int_equal(world_liar, WORKER_0 + 1);
    world_liar = 0;
}

/* ---- BLOB_STORED ---- */

static void a_wrong_file_does_not_replace_what_an_upstream_gave(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    struct message_blob_stored wrong = wrong_layer("team/app");
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong);
    assert_is_lie(&answer);
    assert_content(&layer, "layer");
    assert_int_equal(world_link("", "team/app", &layer), 0);
    struct message_blob_stored longer = world_blob("team/app", "longer than it was");
    longer.digest = layer;
    answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &longer);
    assert_is_lie(&answer);
    assert_int_equal(world_blob_record(&layer).size, 5);
}

static void a_wrong_file_does_not_replace_a_pushed_one(void **state)
{
    (void)state;
    struct digest layer = world_push_blob("team/app", "layer");
    struct message_blob_stored wrong = wrong_layer("team/other");
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong);
    assert_is_lie(&answer);
    assert_content(&layer, "layer");
}

/* The record says that the bytes are public: whoever brings them back is read. */
static void a_wrong_file_does_not_heal_a_lost_one(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    assert_int_equal(store_blob_remove(world_store, &layer, &err), 0);
    struct message_blob_stored wrong = wrong_layer("team/app");
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong);
    assert_is_lie(&answer);
    assert_false(world_has_file(&layer));
    (void)world_push_blob("team/app", "layer");
    assert_content(&layer, "layer");
    assert_true(world_blob_record(&layer).is_public);
}

/* The ledger does not know the digest yet when the batch begins. */
static void a_wrong_file_does_not_replace_one_of_its_own_batch(void **state)
{
    (void)state;
    struct message_blob_stored right = world_blob("team/app", "layer");
    struct message_blob_stored wrong = wrong_layer("team/other");
    uint64_t first = world_post(WORKER_0, MESSAGE_BLOB_STORED, &right);
    uint64_t lie = world_post(WORKER_0, MESSAGE_BLOB_STORED, &wrong);
    assert_int_equal(world_await(first).type, MESSAGE_DONE);
    struct answer answer = world_await(lie);
    assert_content(&right.digest, "layer");
    assert_is_lie(&answer);
}

/* What a lie about new bytes comes to: it is as bad as any wrong push into that repository, and
 * ends where somebody brings the right ones. */
static void a_wrong_file_of_a_new_digest_is_gone_when_the_right_one_comes(void **state)
{
    (void)state;
    struct message_blob_stored wrong = wrong_layer("team/app");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong).type, MESSAGE_DONE);
    assert_content(&wrong.digest, "wrong");
    assert_false(world_blob_record(&wrong.digest).is_public);
    (void)world_push_blob("team/other", "layer");
    assert_content(&wrong.digest, "layer");
}

static void an_upstreams_bytes_take_the_place_of_a_lie(void **state)
{
    (void)state;
    struct message_blob_stored wrong = wrong_layer("team/app");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong).type, MESSAGE_DONE);
    struct digest layer = fetch_layer();
    assert_content(&layer, "layer");
}

/* Sent again after the keeper's death, with a file that was placed and replaced since. */
static void a_repeat_is_no_way_around(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    struct message_blob_stored wrong = wrong_layer("team/app");
    wrong.head.repeated = 1;
    wrong.head.seen = world_number();
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong);
    assert_is_lie(&answer);
    assert_content(&layer, "layer");
}

/* A hash under way is given up; the sender asks the next keeper. */
static void a_drain_leaves_what_must_be_hashed_to_the_next(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "layer");
    struct message_blob_stored again = world_blob("team/other", "layer");
    uint64_t request = world_post(WORKER_0, MESSAGE_BLOB_STORED, &again);
    world_turns(1);
    keeper_drain(world_keeper, 1000);
    world_turns(100);
    assert_int_equal(world_answer(request).type, MESSAGE_NONE);
    world_restart();
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &again).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/other", &again.digest), LINK_BLOB);
}

static void a_file_that_cannot_be_read_is_no_lie(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "layer");
    struct message_blob_stored again = world_blob("team/other", "layer");
    failpoint_arm("store.open", 0, 1);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &again).kind, ERR_IO);
    failpoint_clear();
    assert_int_equal(world_liar, 0);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &again).type, MESSAGE_DONE);
}

/* ---- BLOB_SUSPECTED ---- */

static struct message_blob_suspected suspicion_of(const struct digest *digest)
{
    return (struct message_blob_suspected){.digest = *digest, .size = 5, .is_wrong = 1};
}

/* Our own workers may suspect what is right, too: it is no lie. */
static void a_suspicion_does_not_make_a_right_file_damaged(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    struct message_blob_suspected suspected = suspicion_of(&layer);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    assert_false(world_blob_record(&layer).is_damaged);
    assert_int_equal(world_liar, 0);
}

static void a_suspicion_does_not_make_a_wrong_file_right(void **state)
{
    (void)state;
    struct message_blob_stored wrong = wrong_layer("team/app");
    struct message_blob_suspected suspected = suspicion_of(&wrong.digest);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &wrong).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    assert_true(world_blob_record(&wrong.digest).is_damaged);
    assert_int_equal(world_ask(WORKER_1, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    assert_true(world_blob_record(&wrong.digest).is_damaged);
}

/* Or the disk would be busy with what one worker says. */
static void a_large_file_that_the_record_knows_is_not_read_again(void **state)
{
    (void)state;
    size_t length = MANIFEST_MAX_SIZE + 1;
    AUTO_FREE char *content = mem_zalloc(length + 1, 1);
    memset(content, 'x', length);
    struct digest large = world_push_blob("team/app", content);
    struct message_blob_suspected suspected = suspicion_of(&large);
    failpoint_arm("verify.suspect", 0, 1); /* a reading would fail */
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    failpoint_clear();
}

static void a_drain_leaves_a_suspicion_to_the_next(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    struct message_blob_suspected suspected = suspicion_of(&layer);
    uint64_t first = world_post(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected);
    uint64_t second = world_post(WORKER_1, MESSAGE_BLOB_SUSPECTED, &suspected);
    world_turns(1);
    keeper_drain(world_keeper, 1000);
    world_turns(100);
    assert_int_equal(world_answer(first).type, MESSAGE_NONE);
    assert_int_equal(world_answer(second).type, MESSAGE_NONE);
    world_restart();
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
}

/* ---- MANIFEST_PUT ---- */

static struct message_manifest_put ready_manifest(const char *label)
{
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    return world_manifest("team/app", "v1", label, image);
}

static void assert_is_refused(struct message_manifest_put *put)
{
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, put);

    assert_is_lie(&answer);
    assert_int_equal(world_link("", "team/app", &put->digest), 0);
    assert_int_equal((unsigned)world_tag("", "team/app", "v1").algorithm, 0);
}

static void the_body_of_a_manifest_is_that_of_its_digest(void **state)
{
    (void)state;
    struct message_manifest_put put = ready_manifest("one");
    struct message_manifest_put other = world_manifest("team/app", "v1", "two", image);
    put.body = other.body; /* the same length */
    assert_int_equal(put.size, other.size);
    assert_is_refused(&put);
}

static void the_file_of_a_manifest_is_that_of_its_digest(void **state)
{
    (void)state;
    struct message_manifest_put put = ready_manifest("one");
    struct message_manifest_put other = world_manifest("team/app", "v1", "two", image);
    put.file = other.file;
    put.inode = other.inode;
    assert_is_refused(&put);
    put.body = slice_from("", 0);
    put.file = other.file;
    assert_is_refused(&put);
}

static void a_manifest_is_what_its_bytes_say(void **state)
{
    (void)state;
    static const char *const other[] = {"config", "other", NULL};
    struct message_manifest_put put = ready_manifest("one");
    (void)world_push_blob("team/app", "other");
    put.references = world_manifest("team/app", "v1", "two", other).references;
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    put.references.length--;
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    put.subject = world_digest("layer");
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    put.artifact_type = SLICE_LITERAL("application/x-other");
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    put.is_typed = 1;
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    put.media_type = SLICE_LITERAL(MEDIA_TYPE_DOCKER_MANIFEST "; charset=utf-8");
    assert_is_refused(&put);
    put = world_manifest("team/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
}

/* Under a small limit of memory a whole document looks broken. */
static void a_manifest_that_cannot_be_parsed_is_no_lie(void **state)
{
    (void)state;
    struct message_manifest_put put = ready_manifest("one");
    put.media_type = SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_BUSY);
    put = world_manifest("team/app", "v1", "one", image);
    failpoint_arm("verify.parse", 0, 1);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_BUSY);
    failpoint_clear();
    assert_int_equal(world_liar, 0);
    put = world_manifest("team/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
}

/* Without a file the manifest must be here, and what is said of it is compared with that. */
static void a_manifest_without_a_file_is_compared_too(void **state)
{
    (void)state;
    struct digest digest = world_push("team/app", "v2", "one", image);
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    put.file = slice_from("", 0);
    put.subject = world_digest("layer");
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    assert_is_lie(&answer);
    put.subject = (struct digest){0};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    struct digest tag = world_tag("", "team/app", "v1");
    assert_true(digest_equal(&tag, &digest));
}

static void a_manifest_larger_than_any_is_refused(void **state)
{
    (void)state;
    struct message_manifest_put put = ready_manifest("one");
    put.body = slice_from("", 0);
    put.size = MANIFEST_MAX_SIZE + 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_INVALID);
}

/* ---- the others ---- */

static void a_use_in_the_future_is_one_of_now(void **state)
{
    (void)state;
    struct digest layer = fetch_layer();
    uint8_t binary[DIGEST_BINARY_MAX];
    struct message_used used = {
        .digests = slice_from(binary, digest_encode(&layer, binary)),
        .when = UINT64_MAX,
    };
    (void)world_post(WORKER_0, MESSAGE_USED, &used);
    (void)world_push_blob("team/app", "next");
    assert_int_equal(use_find(world_read(), &layer), clock_wall().ms);
    world_read_end();
}

static void a_remove_leaves_cached_repositories_alone(void **state)
{
    (void)state;
    struct message_manifest_stored stored = world_fetched("library/nginx", "1", 10, "one", image);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    struct message_remove remove = {
        .kind = REMOVE_TAG,
        .repository = SLICE_LITERAL("library/nginx"),
        .tag = SLICE_LITERAL("1"),
    };
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &remove).kind, ERR_NOT_FOUND);
    remove.kind = REMOVE_MANIFEST;
    remove.digest = stored.digest;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &remove).kind, ERR_NOT_FOUND);
    struct digest tag = world_tag("docker.io", "library/nginx", "1");
    assert_true(digest_equal(&tag, &stored.digest));
}

/* A link shows to a hosted repository what is here. It changes no bytes, and not who else may. */
static void a_link_makes_nothing_public(void **state)
{
    (void)state;
    struct message_blob_stored fetched = world_blob("library/nginx", "layer");
    fetched.origin = SLICE_LITERAL("docker.io");
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &fetched).type, MESSAGE_DONE);
    struct message_link link = {.digest = fetched.digest, .repository = SLICE_LITERAL("team/app")};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    assert_false(world_blob_record(&fetched.digest).is_public);
    assert_content(&fetched.digest, "layer");
}

static void a_mark_does_not_take_a_protected_name(void **state)
{
    (void)state;
    struct message_push_begun begun = {.repository = SLICE_LITERAL("library/nginx")};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_PUSH_BEGUN, &begun).kind, ERR_DENIED);
    assert_int_equal(world_repository("", "library/nginx").id, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_file_does_not_replace_what_an_upstream_gave),
        TEST(a_wrong_file_does_not_replace_a_pushed_one),
        TEST(a_wrong_file_does_not_heal_a_lost_one),
        TEST(a_wrong_file_does_not_replace_one_of_its_own_batch),
        TEST(a_wrong_file_of_a_new_digest_is_gone_when_the_right_one_comes),
        TEST(an_upstreams_bytes_take_the_place_of_a_lie),
        TEST(a_repeat_is_no_way_around),
        TEST(a_drain_leaves_what_must_be_hashed_to_the_next),
        TEST(a_file_that_cannot_be_read_is_no_lie),
        TEST(a_suspicion_does_not_make_a_right_file_damaged),
        TEST(a_suspicion_does_not_make_a_wrong_file_right),
        TEST(a_large_file_that_the_record_knows_is_not_read_again),
        TEST(a_drain_leaves_a_suspicion_to_the_next),
        TEST(the_body_of_a_manifest_is_that_of_its_digest),
        TEST(the_file_of_a_manifest_is_that_of_its_digest),
        TEST(a_manifest_is_what_its_bytes_say),
        TEST(a_manifest_that_cannot_be_parsed_is_no_lie),
        TEST(a_manifest_without_a_file_is_compared_too),
        TEST(a_manifest_larger_than_any_is_refused),
        TEST(a_use_in_the_future_is_one_of_now),
        TEST(a_remove_leaves_cached_repositories_alone),
        TEST(a_link_makes_nothing_public),
        TEST(a_mark_does_not_take_a_protected_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
