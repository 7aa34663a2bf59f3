/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes and deletes through a whole worker, the keeper played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "oci/reference_list.h"
#include "scene.h"

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO512                                                                                   \
    "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7ac" \
    "c6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"
#define CONFIG "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define MANIFEST                                                                                   \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","           \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" CONFIG  \
    "\",\"size\":2},\"layers\":[]}"

static struct scene *scene;
static struct guest guest;
static char location[512];

static int set_up(void **state)
{
    (void)state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\nnames: [here.example]\n");
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

#define ask(...)                                                                                   \
    do {                                                                                           \
        guest_forget(&guest);                                                                      \
        guest_send(scene, &guest, __VA_ARGS__);                                                    \
    } while (0)

static void assert_status(int status)
{
    int real = guest_status(scene, &guest);

    if (real != status)
        fail_msg("%d instead of %d: %.500s", real, status, guest_got(scene, &guest));
}

static void assert_has(const char *line)
{
    const char *text = guest_got(scene, &guest);

    if (!strstr(text, line))
        fail_msg("no \"%s\" in \"%.600s\"", line, text);
}

static void keep_location(void)
{
    const char *text = strstr(guest_got(scene, &guest), "Location: ");

    assert_non_null(text);
    text += strlen("Location: ");
    size_t length = strcspn(text, "\r");
    assert_true(length < sizeof(location));
    memcpy(location, text, length);
    location[length] = '\0';
}

static void start(void)
{
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    const union any_message *said = scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN);
    assert_true(slice_is(said->push_begun.repository, "team/app"));
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_done(scene, said->push_begun.head.request);
    assert_status(202);
    assert_has("Range: 0-0\r\n");
    assert_has("Docker-Upload-UUID: ");
    keep_location();
}

static void patch(const char *bytes)
{
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", location, strlen(bytes),
        bytes);
}

static const struct message_blob_stored *put(const char *digest, const char *bytes)
{
    ask("PUT %s&digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", location, digest,
        strlen(bytes), bytes);
    return &scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored;
}

static void blob_in_chunks_is_stored(void **state)
{
    (void)state;
    start();
    patch("hel");
    assert_status(202);
    assert_has("Range: 0-2\r\n");
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 3-4\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\nlo\r\n0\r\n\r\n",
        location);
    assert_status(202);
    assert_has("Range: 0-4\r\n");
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(204);
    assert_has("Range: 0-4\r\n");
    const struct message_blob_stored *stored = put(HELLO, "");
    assert_int_equal(stored->size, 5);
    assert_true(slice_is(stored->repository, "team/app"));
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_done(scene, stored->head.request);
    assert_status(201);
    assert_has("Location: /v2/team/app/blobs/" HELLO);
    assert_has("Docker-Content-Digest: " HELLO);
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(404);
}

static void blob_in_one_put_is_stored(void **state)
{
    (void)state;
    start();
    scene_done(scene, put(HELLO, "hello")->head.request);
    assert_status(201);
}

static void blob_in_one_post_is_stored(void **state)
{
    (void)state;
    ask("POST /v2/team/app/blobs/uploads/?digest=" HELLO
        " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    scene_done(scene,
               scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored.head.request);
    assert_status(201);
}

static size_t files_of_uploads(void)
{
    size_t count = 0;

    scene_each_upload(scene, &count);
    return count;
}

static void one_post_that_is_cut_leaves_nothing(void **state)
{
    (void)state;
    ask("POST /v2/team/app/blobs/uploads/?digest=" HELLO
        " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    scene_settle(scene);
    assert_int_equal(files_of_uploads(), 1);
    guest_leave(scene, &guest);
    scene_settle(scene);
    assert_int_equal(files_of_uploads(), 0);
    guest_come(scene, &guest, LISTENER_FULL);
}

static void one_post_that_the_keeper_refuses_leaves_nothing(void **state)
{
    (void)state;
    ask("POST /v2/team/app/blobs/uploads/?digest=" HELLO
        " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    struct message_refused refused = {
        .request = scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored.head.request,
        .kind = ERR_NO_SPACE,
        .text = SLICE_LITERAL("the disk is full"),
    };
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    assert_status(507);
    scene_settle(scene);
    assert_int_equal(files_of_uploads(), 0);
}

/* Else the bytes would keep the disk full for everybody else. */
static void blob_for_whose_record_is_no_space_ends_its_session(void **state)
{
    (void)state;
    start();
    struct message_refused refused = {
        .request = put(HELLO, "hello")->head.request,
        .kind = ERR_NO_SPACE,
        .text = SLICE_LITERAL("the disk is full"),
    };
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    assert_status(507);
    scene_settle(scene);
    assert_int_equal(files_of_uploads(), 0);
}

/* The disk is full for one write: there is room when the session that nobody uses has gone. */
static void push_ends_a_session_with_bytes_before_it_is_507(void **state)
{
    (void)state;
    start();
    patch("left alone");
    assert_status(202);
    start();
    failpoint_arm("upload.write", 0, 1);
    patch("hello");
    assert_status(202);
    scene_settle(scene);
    assert_int_equal(files_of_uploads(), 1);
    scene_done(scene, put(HELLO, "")->head.request);
    assert_status(201);
    failpoint_clear();
}

static void manifest_ends_a_session_with_bytes_before_it_is_507(void **state)
{
    (void)state;
    start();
    patch("left alone");
    assert_status(202);
    failpoint_arm("push.write", 0, 1);
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(MANIFEST), MANIFEST);
    scene_done(scene,
               scene_heard(scene, ROLE_KEEPER, MESSAGE_MANIFEST_PUT)->manifest_put.head.request);
    assert_status(201);
    failpoint_clear();
    failpoint_arm("push.write", 0, 9);
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(MANIFEST), MANIFEST);
    assert_status(507);
    failpoint_clear();
}

static void blob_by_sha512_is_hashed_from_its_file(void **state)
{
    (void)state;
    start();
    patch("hello");
    assert_status(202);
    scene_done(scene, put(HELLO512, "")->head.request);
    assert_status(201);
}

static void wrong_digest_ends_the_session(void **state)
{
    (void)state;
    start();
    ask("PUT %s&digest=" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhell", location);
    assert_status(400);
    assert_has("DIGEST_INVALID");
    scene_heard_nothing(scene, ROLE_KEEPER);
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(404);
}

static void put_without_a_digest_keeps_the_session(void **state)
{
    (void)state;
    start();
    ask("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", location);
    assert_status(400);
    assert_has("DIGEST_INVALID");
    patch("hello");
    assert_status(202);
}

static void chunk_out_of_order_is_416_and_the_session_intact(void **state)
{
    (void)state;
    start();
    patch("hel");
    assert_status(202);
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 4-5\r\nContent-Length: 2\r\n\r\nlo",
        location);
    assert_status(416);
    assert_has("Range: 0-2\r\n");
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_FULL);
    patch("lo");
    assert_has("Range: 0-4\r\n");
}

/* Some clients write the offset after the last byte. */
static void chunk_with_an_exclusive_end_is_taken(void **state)
{
    (void)state;
    start();
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 0-3\r\nContent-Length: 3\r\n\r\nhel",
        location);
    assert_status(202);
    assert_has("Range: 0-2\r\n");
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: bytes 3-5/5\r\nContent-Length: "
        "2\r\n\r\nlo",
        location);
    assert_status(202);
    scene_done(scene, put(HELLO, "")->head.request);
    assert_status(201);
}

static void small_body_of_a_post_is_ignored(void **state)
{
    (void)state;
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    assert_status(202);
    guest_leave(scene, &guest); /* the body was not read */
    guest_come(scene, &guest, LISTENER_FULL);
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n\r\n");
    assert_status(400);
}

static void chunk_of_another_length_than_said_is_400(void **state)
{
    (void)state;
    start();
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 0-5\r\nContent-Length: 2\r\n\r\nlo",
        location);
    assert_status(400);
    assert_has("SIZE_INVALID");
}

static void patch_cut_by_the_client_keeps_what_came(void **state)
{
    (void)state;
    start();
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhel", location);
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_FULL);
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(204);
    assert_has("Range: 0-2\r\n");
    scene_done(scene, put(HELLO, "lo")->head.request);
    assert_status(201);
}

static void session_in_use_is_409(void **state)
{
    (void)state;
    struct guest slow;
    start();
    guest_come(scene, &slow, LISTENER_FULL);
    guest_send(scene, &slow, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
               location);
    patch("xxx");
    assert_status(409);
    guest_send(scene, &slow, "lo");
    assert_int_equal(guest_status(scene, &slow), 202);
    guest_leave(scene, &slow);
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_FULL);
    scene_done(scene, put(HELLO, "")->head.request);
    assert_status(201);
}

static void session_of_another_repository_is_unknown(void **state)
{
    (void)state;
    start();
    const char *id = strrchr(location, '/');
    ask("PATCH /v2/team/other/blobs/uploads%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        id);
    assert_status(404);
    assert_has("BLOB_UPLOAD_UNKNOWN");
}

static void cancelled_session_is_gone(void **state)
{
    (void)state;
    start();
    ask("DELETE %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(204);
    patch("x");
    assert_status(404);
}

static void blob_over_the_limit_is_413(void **state)
{
    (void)state;
    start();
    ask("PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000\r\n\r\n", location);
    assert_status(413);
}

static void name_with_a_cached_image_is_denied(void **state)
{
    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "docker.io", "bitnami/redis", "7", slice_of("{}"), 1);
    scene_commit(txn);
    ask("POST /v2/bitnami/redis/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_status(403);
    assert_has("hosted.allow");
    scene_heard_nothing(scene, ROLE_KEEPER);
}

static void manifest_is_put_with_all_that_it_names(void **state)
{
    (void)state;
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/vnd.oci.image.manifest.v1+json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(MANIFEST), MANIFEST);
    const struct message_manifest_put *said =
        &scene_heard(scene, ROLE_KEEPER, MESSAGE_MANIFEST_PUT)->manifest_put;
    struct slice references = said->references;
    struct reference reference;
    char text[DIGEST_TEXT_SIZE];
    assert_true(slice_is(said->tags, "v1"));
    assert_true(slice_is(said->body, MANIFEST));
    assert_true(reference_list_next(&references, &reference));
    assert_string_equal(digest_print(&reference.digest, text), CONFIG);
    scene_done(scene, said->head.request);
    assert_status(201);
    assert_has("Location: /v2/team/app/manifests/sha256:");
    assert_has("Docker-Content-Digest: sha256:");
}

static void manifest_that_names_what_is_not_here_says_what(void **state)
{
    (void)state;
    uint8_t binary[DIGEST_BINARY_MAX];
    struct digest missing;
    struct error err;
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/vnd.oci.image.manifest.v1+json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(MANIFEST), MANIFEST);
    assert_int_equal(digest_parse(slice_of(CONFIG), &missing, &err), 0);
    struct message_refused refused = {
        .request = scene_heard(scene, ROLE_KEEPER, MESSAGE_MANIFEST_PUT)->manifest_put.head.request,
        .kind = ERR_NOT_FOUND,
        .digests = slice_from(binary, digest_encode(&missing, binary)),
    };
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    assert_status(400);
    assert_has("MANIFEST_BLOB_UNKNOWN");
    assert_has(CONFIG);
}

static void bad_manifest_is_400(void **state)
{
    (void)state;
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{");
    assert_status(400);
    assert_has("MANIFEST_INVALID");
}

static void manifest_with_two_types_or_a_long_one_is_400(void **state)
{
    (void)state;
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\n{}");
    assert_status(400);
    assert_has("MANIFEST_INVALID");
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_FULL);
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: %0256d\r\n"
        "Content-Length: 2\r\n\r\n{}",
        0);
    assert_status(400);
    assert_has("one Content-Type");
}

static void manifest_too_large_is_413_before_it_is_read(void **state)
{
    (void)state;
    ask("PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4194305\r\n\r\n");
    assert_status(413);
    assert_has("MANIFEST_INVALID");
}

static void manifest_by_another_digest_is_400(void **state)
{
    (void)state;
    ask("PUT /v2/team/app/manifests/" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(MANIFEST), MANIFEST);
    assert_status(400);
    assert_has("DIGEST_INVALID");
}

static void new_keeper_is_asked_again(void **state)
{
    (void)state;
    start();
    struct message_blob_stored first = *put(HELLO, "hello");
    assert_int_equal(first.head.repeated, 0);
    scene_disconnect(scene, ROLE_KEEPER);
    scene_pass(scene, 10000);
    scene_connect(scene, ROLE_KEEPER);
    const struct message_blob_stored *again =
        &scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored;
    assert_int_equal(again->head.request, first.head.request);
    assert_int_equal(again->head.repeated, 1);
    assert_int_equal(again->head.seen, first.head.seen);
    scene_done(scene, again->head.request);
    assert_status(201);
}

static void without_a_keeper_for_long_it_is_503(void **state)
{
    (void)state;
    scene_disconnect(scene, ROLE_KEEPER);
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    scene_pass(scene, 29000);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_pass(scene, 2000);
    assert_status(503);
    assert_has("Retry-After: ");
}

static void keepers_that_die_before_they_answer_are_503(void **state)
{
    (void)state;
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(guest_status(scene, &guest), 0);
        (void)scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN);
        scene_pass(scene, 5000);
        scene_disconnect(scene, ROLE_KEEPER);
        scene_pass(scene, 10);
        scene_connect(scene, ROLE_KEEPER);
    }
    assert_status(503);
}

static void questions_that_come_without_a_keeper_hold_up_no_answer(void **state)
{
    (void)state;
    struct guest others[4];
    scene_disconnect(scene, ROLE_KEEPER);
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    scene_pass(scene, 29500);
    for (unsigned i = 0; i < 4; i++) {
        guest_come(scene, &others[i], LISTENER_FULL);
        guest_send(scene, &others[i],
                   "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n"
                   "Content-Length: 0\r\n\r\n");
        scene_pass(scene, 250);
    }
    assert_status(503);
    for (unsigned i = 0; i < 4; i++)
        guest_leave(scene, &others[i]);
}

static void delete_of_a_tag_is_202(void **state)
{
    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "", "team/app", "v1", slice_of("{}"), 1);
    scene_commit(txn);
    ask("DELETE /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
    const union any_message *said = scene_heard(scene, ROLE_KEEPER, MESSAGE_REMOVE);
    assert_int_equal(said->remove.kind, REMOVE_TAG);
    assert_true(slice_is(said->remove.tag, "v1"));
    scene_done(scene, said->remove.head.request);
    assert_status(202);
    ask("DELETE /v2/team/none/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(404);
}

static void mirror_takes_nothing_and_says_what_it_allows(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_MIRROR);
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(405);
    assert_has("Allow: \r\n");
    ask("DELETE /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(405);
    assert_has("Allow: GET, HEAD\r\n");
}

static void tags_are_listed_in_pages(void **state)
{
    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "", "team/app", "a", slice_of("{}"), 1);
    scene_put_manifest(txn, "", "team/app", "b", slice_of("{}"), 1);
    scene_commit(txn);
    ask("GET /v2/team/app/tags/list HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("{\"name\":\"team/app\",\"tags\":[\"a\",\"b\"]}");
    ask("GET /v2/team/app/tags/list?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("\"tags\":[\"a\"]");
    assert_has("Link: </v2/team/app/tags/list?n=1&last=a>; rel=\"next\"");
    ask("GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("{\"repositories\":[\"team/app\"]}");
    ask("GET /v2/_catalog?ns=here.example HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has("{\"repositories\":[\"team/app\"]}");
    ask("GET /v2/_catalog?ns=nowhere.example HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_status(404);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blob_in_chunks_is_stored),
        TEST(blob_in_one_put_is_stored),
        TEST(blob_in_one_post_is_stored),
        TEST(one_post_that_is_cut_leaves_nothing),
        TEST(one_post_that_the_keeper_refuses_leaves_nothing),
        TEST(blob_for_whose_record_is_no_space_ends_its_session),
        TEST(push_ends_a_session_with_bytes_before_it_is_507),
        TEST(manifest_ends_a_session_with_bytes_before_it_is_507),
        TEST(blob_by_sha512_is_hashed_from_its_file),
        TEST(wrong_digest_ends_the_session),
        TEST(put_without_a_digest_keeps_the_session),
        TEST(chunk_out_of_order_is_416_and_the_session_intact),
        TEST(chunk_with_an_exclusive_end_is_taken),
        TEST(small_body_of_a_post_is_ignored),
        TEST(chunk_of_another_length_than_said_is_400),
        TEST(patch_cut_by_the_client_keeps_what_came),
        TEST(session_in_use_is_409),
        TEST(session_of_another_repository_is_unknown),
        TEST(cancelled_session_is_gone),
        TEST(blob_over_the_limit_is_413),
        TEST(name_with_a_cached_image_is_denied),
        TEST(manifest_is_put_with_all_that_it_names),
        TEST(manifest_that_names_what_is_not_here_says_what),
        TEST(bad_manifest_is_400),
        TEST(manifest_with_two_types_or_a_long_one_is_400),
        TEST(manifest_too_large_is_413_before_it_is_read),
        TEST(manifest_by_another_digest_is_400),
        TEST(new_keeper_is_asked_again),
        TEST(without_a_keeper_for_long_it_is_503),
        TEST(keepers_that_die_before_they_answer_are_503),
        TEST(questions_that_come_without_a_keeper_hold_up_no_answer),
        TEST(delete_of_a_tag_is_202),
        TEST(mirror_takes_nothing_and_says_what_it_allows),
        TEST(tags_are_listed_in_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
