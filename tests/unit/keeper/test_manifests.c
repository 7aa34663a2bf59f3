/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, pushed and fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/media_type.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};

static bool is_none(struct digest digest)
{
    return (unsigned)digest.algorithm == 0;
}

static void a_manifest_with_all_it_names_becomes_an_image(void **state)
{
    (void)state;
    struct digest digest = world_push("team/app", "v1 latest", "one", image);
    struct digest v1 = world_tag("", "team/app", "v1");
    struct digest latest = world_tag("", "team/app", "latest");
    assert_true(digest_equal(&v1, &digest));
    assert_true(digest_equal(&latest, &digest));
    struct repository repository = world_repository("", "team/app");
    assert_true(repository.is_hosted);
    assert_int_equal(repository.links, 3);
    struct manifest_record record;
    struct ledger_txn *txn = world_read();
    assert_true(manifest_find(txn, &digest, &record));
    assert_int_equal(record.bytes.length, record.size);
    struct digest layer = world_digest("layer");
    struct digest parent;
    assert_true(referred_find_parent(txn, repository.id, &layer, &parent));
    assert_true(digest_equal(&parent, &digest));
    world_read_end();
    assert_int_equal(world_blob_record(&layer).kept_since_ms, 0);
    assert_int_equal(world_blob_record(&digest).kept_since_ms, 0);
    assert_int_equal(world_blob_record(&digest).size, record.size);
    assert_int_equal(repository.bytes, 6 + 5 + record.size);
}

static void missing_blobs_are_told_and_nothing_is_changed(void **state)
{
    (void)state;
    struct digest config = world_push_blob("team/app", "config");
    (void)world_push_blob("team/other", "layer"); /* here, but not visible */
    static const char *const twice[] = {"config", "layer", "layer", NULL};
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", twice);
    uint64_t number = world_number();
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    assert_int_equal(answer.kind, ERR_NOT_FOUND);
    struct slice told = slice_from(answer.digests, answer.digests_length);
    struct digest missing;
    struct digest layer = world_digest("layer");
    assert_true(digest_decode(&told, &missing));
    assert_true(digest_equal(&missing, &layer));
    assert_int_equal(told.length, 0); /* once, though it is a layer twice */
    assert_true(is_none(world_tag("", "team/app", "v1")));
    assert_int_equal(world_link("", "team/app", &put.digest), 0);
    assert_true(world_blob_record(&config).kept_since_ms != 0);
    assert_int_equal(world_number(), number);
    int fd = -1;
    struct error err;
    assert_int_equal(store_blob_open(world_store, &put.digest, put.size, &fd, NULL, &err),
                     -ERR_NOT_FOUND);
}

/* The client that is told so sends it again, which repairs it. */
static void a_damaged_blob_is_missing(void **state)
{
    (void)state;
    struct error err;
    struct digest layer = world_push_blob("team/app", "layer");
    (void)world_push_blob("team/app", "config");
    assert_int_equal(store_blob_remove(world_store, &layer, &err), 0);
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    assert_int_equal(answer.kind, ERR_NOT_FOUND);
    struct slice told = slice_from(answer.digests, answer.digests_length);
    struct digest missing;
    assert_true(digest_decode(&told, &missing));
    assert_true(digest_equal(&missing, &layer));
    (void)world_push("team/app", "v1", "one", image);
}

/* Its bytes are those of a blob that is here. */
static void a_refused_manifest_takes_nothing_with_it(void **state)
{
    (void)state;
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    AUTO_FREE char *bytes = slice_dup(put.body);
    struct message_blob_stored same = world_blob("team/app", bytes);
    assert_true(digest_equal(&same.digest, &put.digest));
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &same).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_NOT_FOUND);
    int fd = -1;
    struct error err;
    assert_int_equal(store_blob_open(world_store, &put.digest, put.size, &fd, NULL, &err), 0);
    fd_close(&fd);
}

static void assert_type(const char *repository, const struct digest *digest, const char *expected)
{
    struct manifest_record record;
    uint32_t id = world_repository("", repository).id;

    assert_true(manifest_find_in(world_read(), id, digest, &record));
    assert_true(slice_is(record.media_type, expected));
    world_read_end();
}

static void the_same_bytes_have_the_type_they_were_pushed_with(void **state)
{
    (void)state;
    const char *oci = "application/vnd.oci.image.manifest.v1+json";
    const char *docker = "application/vnd.docker.distribution.manifest.v2+json";
    struct digest digest = world_push("team/app", "v1", "one", image);
    (void)world_push_blob("evil/app", "config");
    (void)world_push_blob("evil/app", "layer");
    struct message_manifest_put put = world_manifest("evil/app", "v1", "one", image);
    put.media_type = slice_of(docker);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    assert_true(digest_equal(&put.digest, &digest));
    assert_type("team/app", &digest, oci);
    assert_type("evil/app", &digest, docker);
    put = world_manifest("team/app", "v1", "one", image);
    put.media_type = slice_of(docker);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    assert_type("team/app", &digest, docker);
    (void)world_push_blob("team/app", "one"); /* other bytes; a link of another kind */
    assert_type("team/app", &digest, docker);
}

static void a_condition_is_looked_at_in_the_transaction(void **state)
{
    (void)state;
    struct digest one = world_push("team/app", "v1", "one", image);
    struct message_manifest_put put = world_manifest("team/app", "v1", "two", image);
    put.is_conditional = 1; /* and no digest: there must be no such tag */
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_CONFLICT);
    put = world_manifest("team/app", "v1", "two", image);
    put.is_conditional = 1;
    put.expected = one;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    put = world_manifest("team/app", "v1", "three", image);
    put.is_conditional = 1;
    put.expected = one;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_CONFLICT);
    struct message_remove remove = {
        .kind = REMOVE_TAG,
        .repository = SLICE_LITERAL("team/app"),
        .tag = SLICE_LITERAL("v1"),
        .is_conditional = 1,
        .digest = one,
    };
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &remove).kind, ERR_CONFLICT);
    remove.digest = world_tag("", "team/app", "v1");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &remove).type, MESSAGE_DONE);
}

static void foreign_layers_need_not_be_here(void **state)
{
    (void)state;
    static const char *const contents[] = {"config", "foreign layer", NULL};
    (void)world_push_blob("team/app", "config");
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", contents);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
}

static void a_sparse_repository_takes_an_image_without_its_blobs(void **state)
{
    (void)state;
    static char pattern[] = "sparse/*";
    static char *patterns[] = {pattern};
    world_config.hosted.sparse = (struct config_list){patterns, 1};
    struct digest hidden = world_push_blob("team/other", "layer"); /* here, but not visible */
    struct message_manifest_put put = world_manifest("sparse/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    struct digest tag = world_tag("", "sparse/app", "v1");
    assert_true(digest_equal(&tag, &put.digest));
    assert_int_equal(world_link("", "sparse/app", &hidden), 0);
    put = world_manifest("team/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_NOT_FOUND);
}

static void a_blob_that_a_sparse_image_waits_for_is_needed_when_it_comes(void **state)
{
    (void)state;
    static char pattern[] = "sparse/*";
    static char *patterns[] = {pattern};
    world_config.hosted.sparse = (struct config_list){patterns, 1};
    struct message_manifest_put put = world_manifest("sparse/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    struct digest layer = world_push_blob("sparse/app", "layer");
    assert_int_equal(world_blob_record(&layer).kept_since_ms, 0);
    assert_int_equal(world_link("", "sparse/app", &layer), LINK_BLOB);
}

static void a_wrong_size_in_a_descriptor_is_invalid(void **state)
{
    (void)state;
    char larger[100] = {0};
    memset(larger, 'x', 99);
    struct message_blob_stored stored = world_blob("team/app", larger);
    stored.digest = world_digest("layer");
    (void)world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored);
    (void)world_push_blob("team/app", "config");
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    struct answer answer = world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    assert_int_equal(answer.kind, ERR_INVALID);
    assert_non_null(strstr(answer.text, "99"));
}

static void a_subject_finds_its_referrers(void **state)
{
    (void)state;
    struct digest subject = world_digest("subject that is not here");
    char text[DIGEST_TEXT_SIZE];
    char label[512];
    (void)snprintf(label, sizeof(label),
                   "\",\"subject\":{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST
                   "\",\"digest\":\"%s\",\"size\":7},\"other\":\"",
                   digest_print(&subject, text));
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    struct message_manifest_put put = world_manifest("team/app", "", label, image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).type, MESSAGE_DONE);
    struct repository repository = world_repository("", "team/app");
    struct manifest_record record;
    assert_true(manifest_find(world_read(), &put.digest, &record));
    assert_true(digest_equal(&record.subject, &subject));
    world_read_end();
    assert_int_equal(repository.links, 3);
}

static void a_tag_that_moves_gets_a_new_date(void **state)
{
    (void)state;
    (void)world_push("team/app", "v1", "one", image);
    clock_advance(1000);
    (void)world_push("team/app", "v1", "one", image);
    uint32_t id = world_repository("", "team/app").id;
    struct tag tag;
    assert_true(tag_find(world_read(), id, SLICE_LITERAL("v1"), &tag));
    world_read_end();
    assert_int_equal(tag.changed_ms, clock_wall().ms - 1000);
    struct digest two = world_push("team/app", "v1", "two", image);
    assert_true(tag_find(world_read(), id, SLICE_LITERAL("v1"), &tag));
    world_read_end();
    assert_int_equal(tag.changed_ms, clock_wall().ms);
    assert_true(digest_equal(&tag.digest, &two));
}

static void a_fetched_manifest_is_stored_before_its_blobs(void **state)
{
    (void)state;
    uint64_t checked = clock_wall().ms - 10;
    struct message_manifest_stored stored =
        world_fetched("library/nginx", "latest", checked, "one", image);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    struct digest tag = world_tag("docker.io", "library/nginx", "latest");
    assert_true(digest_equal(&tag, &stored.digest));
    assert_false(world_repository("docker.io", "library/nginx").is_hosted);
    assert_int_equal(world_repository("", "library/nginx").id, 0);
    assert_true(world_blob_record(&stored.digest).is_public);

    struct message_blob_stored layer = world_blob("library/nginx", "layer");
    layer.origin = SLICE_LITERAL("docker.io");
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &layer).type, MESSAGE_DONE);
    assert_int_equal(world_blob_record(&layer.digest).kept_since_ms, 0);
}

static void an_older_answer_does_not_move_the_tag_back(void **state)
{
    (void)state;
    struct message_manifest_stored two =
        world_fetched("library/nginx", "latest", 200, "two", image);
    struct message_manifest_stored one =
        world_fetched("library/nginx", "latest", 100, "one", image);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &two).type, MESSAGE_DONE);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &one).type, MESSAGE_DONE);
    struct digest tag = world_tag("docker.io", "library/nginx", "latest");
    assert_true(digest_equal(&tag, &two.digest));
    assert_int_equal(world_link("docker.io", "library/nginx", &one.digest), LINK_MANIFEST);
}

static void a_large_manifest_is_a_file_only(void **state)
{
    (void)state;
    static char label[LEDGER_INLINE_MAX + 1];
    memset(label, 'x', sizeof(label) - 1);
    struct digest digest = world_push("team/app", "v1", label, image);
    struct manifest_record record;
    assert_true(manifest_find(world_read(), &digest, &record));
    assert_int_equal(record.bytes.length, 0);
    world_read_end();
    assert_true(world_blob_record(&digest).size > LEDGER_INLINE_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_manifest_with_all_it_names_becomes_an_image),
        TEST(missing_blobs_are_told_and_nothing_is_changed),
        TEST(a_damaged_blob_is_missing),
        TEST(a_refused_manifest_takes_nothing_with_it),
        TEST(the_same_bytes_have_the_type_they_were_pushed_with),
        TEST(a_condition_is_looked_at_in_the_transaction),
        TEST(foreign_layers_need_not_be_here),
        TEST(a_sparse_repository_takes_an_image_without_its_blobs),
        TEST(a_blob_that_a_sparse_image_waits_for_is_needed_when_it_comes),
        TEST(a_wrong_size_in_a_descriptor_is_invalid),
        TEST(a_subject_finds_its_referrers),
        TEST(a_tag_that_moves_gets_a_new_date),
        TEST(a_fetched_manifest_is_stored_before_its_blobs),
        TEST(an_older_answer_does_not_move_the_tag_back),
        TEST(a_large_manifest_is_a_file_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
