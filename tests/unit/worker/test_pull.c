/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls through a whole worker: hits, flights and tags. */
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
#include "config/config.h"
#include "oci/media_type.h"
#include "scene.h"

#define UPSTREAMS "upstreams: { docker.io: { default: true } }\n"
#define KIB       ((size_t)1024)
#define MIB       (1024 * KIB)
#define TAIL      (64 * KIB)
#define MANIFEST  "{\"schemaVersion\":2}"

static struct scene *scene;
static struct guest guest;
static struct guest other;

static void begin(const char *settings)
{
    scene = scene_new(settings);
    guest_come(scene, &guest, LISTENER_FULL);
    guest_come(scene, &other, LISTENER_FULL);
}

static int set_up(void **state)
{
    (void)state;
    begin(UPSTREAMS);
    return 0;
}

static int set_up_without_ttl(void **state)
{
    (void)state;
    begin("upstreams: { docker.io: { default: true, tags: [ { match: \"*\", ttl: 0s } ] } }\n");
    return 0;
}

static int set_up_with_few_questions(void **state)
{
    (void)state;
    begin(UPSTREAMS "fetch: { questions: 16 }\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    guest_leave(scene, &other);
    scene_free(scene);
    return 0;
}

static void get(struct guest *who, const char *target)
{
    guest_forget(who);
    guest_send(scene, who, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
}

static void assert_has(struct guest *who, const char *line)
{
    const char *text = guest_got(scene, who);

    if (!strstr(text, line))
        fail_msg("no \"%s\" in \"%.600s\"", line, text);
}

/* ---- hits ---- */

static void base_is_answered(void **state)
{
    (void)state;
    get(&guest, "/v2/");
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "Docker-Distribution-Api-Version: registry/2.0");
}

static void strange_paths_are_404(void **state)
{
    (void)state;
    get(&guest, "/elsewhere");
    assert_int_equal(guest_status(scene, &guest), 404);
    assert_has(&guest, "\"errors\"");
}

static void hosted_tag_is_served_from_the_ledger(void **state)
{
    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "", "team/app", "v1", slice_of(MANIFEST), 0);
    scene_commit(txn);
    get(&guest, "/v2/team/app/manifests/v1");
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "Content-Type: application/vnd.oci.image.manifest.v1+json");
    assert_has(&guest, "Docker-Content-Digest: sha256:");
    assert_has(&guest, MANIFEST);
    get(&guest, "/v2/team/app/manifests/v2");
    assert_int_equal(guest_status(scene, &guest), 404);
    assert_has(&guest, "MANIFEST_UNKNOWN");
    scene_heard_nothing(scene, ROLE_FETCHER);
}

static void blob_is_served_whole_and_by_range(void **state)
{
    (void)state;
    char target[256];
    char text[DIGEST_TEXT_SIZE];
    struct digest digest;
    struct repository repository;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_blob(scene, txn, slice_of("0123456789"), false, &digest);
    scene_put_manifest(txn, "", "team/app", "v1", slice_of(MANIFEST), 0);
    assert_true(repository_find(txn, slice_of(""), slice_of("team/app"), &repository));
    link_put(txn, repository.id, &digest, LINK_BLOB, slice_of(""));
    scene_commit(txn);
    (void)snprintf(target, sizeof(target), "/v2/team/app/blobs/%s", digest_print(&digest, text));
    get(&guest, target);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "\r\n\r\n0123456789");
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=7-\r\n\r\n", target);
    assert_int_equal(guest_status(scene, &guest), 206);
    assert_has(&guest, "Content-Range: bytes 7-9/10");
    assert_has(&guest, "\r\n\r\n789");
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=10-\r\n\r\n", target);
    assert_int_equal(guest_status(scene, &guest), 416);
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"%s\"\r\n\r\n", target,
               text);
    assert_int_equal(guest_status(scene, &guest), 304);
    guest_forget(&guest);
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"%s\"\r\n\r\n",
               target, text);
    assert_int_equal(guest_status(scene, &guest), 304);
    (void)snprintf(target, sizeof(target), "/v2/other/app/blobs/%s", text);
    guest_forget(&guest);
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    assert_int_equal(guest_status(scene, &guest), 404);
}

static void uses_of_many_turns_are_one_message(void **state)
{
    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    for (unsigned i = 0; i < 20; i++) {
        char tag[8];
        char manifest[64];

        (void)snprintf(tag, sizeof(tag), "v%u", i);
        (void)snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"a\":%u}", i);
        scene_put_manifest(txn, "", "team/app", tag, slice_of(manifest), 0);
    }
    scene_commit(txn);
    for (unsigned i = 0; i < 20; i++) {
        guest_forget(&guest);
        guest_send(scene, &guest, "HEAD /v2/team/app/manifests/v%u HTTP/1.1\r\nHost: x\r\n\r\n", i);
        assert_int_equal(guest_status(scene, &guest), 200);
    }
    assert_int_equal(scene_uses(scene), 0);
    scene_pass(scene, 100);
    assert_int_equal(scene_uses(scene), 1);
}

/* ---- flights ---- */

#define BLOB   "/v2/library/redis/blobs/" DIGEST
#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static int spool_of(size_t size)
{
    struct error err;
    int fd = -1;
    char *bytes = mem_zalloc(size, 1);

    memset(bytes, 'x', size);
    assert_int_equal(fd_memory_file("spool", slice_from(bytes, size), &fd, &err), 0);
    mem_free(bytes);
    return fd;
}

static void open_flight(uint64_t request, int fd, uint64_t size, uint64_t bytes)
{
    struct message_open open = {.request = request, .size = size, .bytes = bytes};

    scene_say(scene, ROLE_FETCHER, MESSAGE_OPEN, &open, fd);
}

static void grow(uint64_t request, uint64_t bytes)
{
    struct message_grew grew = {.request = request, .bytes = bytes};

    scene_say(scene, ROLE_FETCHER, MESSAGE_GREW, &grew, -1);
}

static void verify(uint64_t request, uint64_t size)
{
    struct message_verified verified = {.request = request, .size = size};

    scene_say(scene, ROLE_FETCHER, MESSAGE_VERIFIED, &verified, -1);
}

static uint64_t join_number(void)
{
    const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);

    assert_int_equal(said->join.kind, JOIN_BLOB);
    assert_true(slice_is(said->join.origin, "docker.io"));
    assert_true(slice_is(said->join.repository, "library/redis"));
    return said->join.request;
}

/* Serves the first MiB of a blob of 2 MiB to the guest; returns the flight's number. */
static uint64_t follow_to_the_half(int fd)
{
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 2 * MIB, MIB);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    return request;
}

static void two_clients_share_one_flight_and_wait_for_the_tail(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    get(&guest, BLOB);
    get(&other, BLOB);
    uint64_t request = join_number();
    scene_heard_nothing(scene, ROLE_FETCHER);
    assert_int_equal(guest_status(scene, &guest), 0);
    open_flight(request, fd, 2 * MIB, MIB);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "OCI-Namespace: docker.io");
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    grow(request, 2 * MIB);
    assert_int_equal(guest_body_length(scene, &guest), 2 * MIB - TAIL);
    assert_int_equal(guest_body_length(scene, &other), 2 * MIB - TAIL);
    verify(request, 2 * MIB);
    assert_int_equal(guest_body_length(scene, &guest), 2 * MIB);
    assert_int_equal(guest_body_length(scene, &other), 2 * MIB);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    fd_close(&fd);
}

static void small_blob_is_answered_when_verified(void **state)
{
    (void)state;
    int fd = spool_of(100);
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 100, 100);
    assert_int_equal(guest_status(scene, &guest), 0);
    verify(request, 100);
    assert_int_equal(guest_body_length(scene, &guest), 100);
    fd_close(&fd);
}

static void slow_small_blob_begins_after_three_seconds(void **state)
{
    (void)state;
    int fd = spool_of(100 * KIB);
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 100 * KIB, 50 * KIB);
    scene_pass(scene, 2900);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_pass(scene, 200);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_int_equal(guest_body_length(scene, &guest), 36 * KIB);
    fd_close(&fd);
}

static void nothing_within_the_deadline_is_504(void **state)
{
    (void)state;
    get(&guest, BLOB);
    uint64_t request = join_number();
    scene_pass(scene, 10100);
    assert_int_equal(guest_status(scene, &guest), 504);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
}

static void failure_before_the_head_is_an_answer(void **state)
{
    (void)state;
    get(&guest, BLOB);
    struct message_failed failed = {
        .request = join_number(), .kind = ERR_NOT_FOUND, .text = SLICE_LITERAL("no such blob")};
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_status(scene, &guest), 404);
    assert_has(&guest, "BLOB_UNKNOWN");
}

static void failure_after_the_head_cuts_the_client(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 2 * MIB, MIB);
    assert_int_equal(guest_status(scene, &guest), 200);
    struct message_failed failed = {.request = request, .kind = ERR_UPSTREAM};
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    assert_true(guest.is_closed);
    fd_close(&fd);
}

static void range_of_a_flight_is_served_when_covered(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-1999\r\n\r\n", BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 2 * MIB, 500);
    assert_int_equal(guest_status(scene, &guest), 206);
    assert_int_equal(guest_body_length(scene, &guest), 0);
    grow(request, 4096);
    assert_int_equal(guest_body_length(scene, &guest), 1000);
    fd_close(&fd);
}

static void new_take_moves_who_is_within_and_cuts_the_others(void **state)
{
    (void)state;
    int first = spool_of(2 * MIB);
    int second = spool_of(2 * MIB);
    get(&guest, BLOB);
    guest_send(scene, &other, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-1499999\r\n\r\n",
               BLOB);
    uint64_t request = join_number();
    open_flight(request, first, 2 * MIB, MIB / 2);
    assert_int_equal(guest_body_length(scene, &other), MIB / 2 - 1000);
    struct message_taken taken = {
        .request = request, .same_until = MIB / 2, .size = 2 * MIB, .bytes = MIB};
    scene_say(scene, ROLE_FETCHER, MESSAGE_TAKEN, &taken, second);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    taken.same_until = MIB - 1;
    taken.bytes = 2 * MIB;
    scene_say(scene, ROLE_FETCHER, MESSAGE_TAKEN, &taken, first);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    assert_true(guest.is_closed);
    fd_close(&first);
    fd_close(&second);
}

/* The levels of a take without its descriptor are of bytes that we do not have: nobody may be sent
 * the old spool's bytes up to them. */
static void spool_without_its_descriptor_ends_the_flight(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, -1, 2 * MIB, MIB);
    assert_int_equal(guest_status(scene, &guest), 503);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    get(&guest, BLOB);
    request = join_number();
    open_flight(request, fd, 2 * MIB, MIB);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    struct message_taken taken = {
        .request = request, .same_until = MIB, .size = 2 * MIB, .bytes = 2 * MIB};
    scene_say(scene, ROLE_FETCHER, MESSAGE_TAKEN, &taken, -1);
    verify(request, 2 * MIB);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    assert_true(guest.is_closed);
    fd_close(&fd);
}

static void new_fetcher_is_asked_again_and_carries_on(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    uint64_t request = follow_to_the_half(fd);
    scene_disconnect(scene, ROLE_FETCHER);
    scene_connect(scene, ROLE_FETCHER);
    assert_int_equal(join_number(), request);
    open_flight(request, fd, 2 * MIB, 2 * MIB);
    verify(request, 2 * MIB);
    assert_int_equal(guest_body_length(scene, &guest), 2 * MIB);
    fd_close(&fd);
}

/* Even when fetchers come and go without an answer. */
static void no_fetcher_that_carries_on_cuts_who_waits(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    uint64_t request = follow_to_the_half(fd);
    for (unsigned i = 0; i < 12; i++) {
        scene_disconnect(scene, ROLE_FETCHER);
        scene_pass(scene, 5000);
        scene_connect(scene, ROLE_FETCHER);
        assert_int_equal(join_number(), request);
        scene_pass(scene, 5000);
    }
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    assert_false(guest.is_closed);
    scene_pass(scene, 10100);
    assert_int_equal(guest_body_length(scene, &guest), MIB);
    assert_true(guest.is_closed);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    fd_close(&fd);
}

/* The new fetcher may hash a long spool, or fetch again what an upstream without ranges sent
 * before. */
static void silence_of_a_living_fetcher_cuts_nobody(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    uint64_t request = follow_to_the_half(fd);
    scene_disconnect(scene, ROLE_FETCHER);
    scene_connect(scene, ROLE_FETCHER);
    assert_int_equal(join_number(), request);
    open_flight(request, fd, 2 * MIB, MIB);
    scene_pass(scene, 600000);
    verify(request, 2 * MIB);
    assert_int_equal(guest_body_length(scene, &guest), 2 * MIB);
    fd_close(&fd);
}

static void here_is_read_from_the_store(void **state)
{
    (void)state;
    struct digest digest;
    char target[256];
    char text[DIGEST_TEXT_SIZE];
    digest_of(HASH_SHA256, slice_of("abc"), &digest);
    (void)snprintf(target, sizeof(target), "/v2/library/redis/blobs/%s",
                   digest_print(&digest, text));
    get(&guest, target);
    struct message_here here = {.request = join_number()};
    struct ledger_txn *txn = scene_write(scene);
    scene_put_blob(scene, txn, slice_of("abc"), true, &digest);
    scene_commit(txn);
    scene_say(scene, ROLE_FETCHER, MESSAGE_HERE, &here, -1);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "\r\n\r\nabc");
}

static void here_that_is_not_true_ends_in_502(void **state)
{
    (void)state;
    get(&guest, BLOB);
    struct message_here here = {.request = join_number()};
    scene_say(scene, ROLE_FETCHER, MESSAGE_HERE, &here, -1);
    here.request = join_number();
    scene_say(scene, ROLE_FETCHER, MESSAGE_HERE, &here, -1);
    assert_int_equal(guest_status(scene, &guest), 502);
}

static void client_that_leaves_leaves_the_flight(void **state)
{
    (void)state;
    int fd = spool_of(2 * MIB);
    get(&guest, BLOB);
    uint64_t request = join_number();
    open_flight(request, fd, 2 * MIB, MIB);
    guest_leave(scene, &guest);
    grow(request, MIB + 4096);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    guest_come(scene, &guest, LISTENER_FULL);
    fd_close(&fd);
}

/* ---- tags ---- */

#define TAG "/v2/library/redis/manifests/7"

static void put_tag(uint64_t age_ms)
{
    struct ledger_txn *txn = scene_write(scene);

    scene_put_manifest(txn, "docker.io", "library/redis", "7", slice_of(MANIFEST),
                       clock_wall().ms - age_ms);
    scene_commit(txn);
}

static void fresh_tag_asks_nobody(void **state)
{
    (void)state;
    put_tag(1000);
    get(&guest, TAG);
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

static void tag_without_ttl_is_asked_in_the_millisecond_of_its_check(void **state)
{
    (void)state;
    put_tag(0);
    get(&guest, TAG);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.kind, JOIN_TAG);
}

static void tag_that_is_not_here_is_answered_by_the_upstream_once_for_all(void **state)
{
    (void)state;
    get(&guest, TAG);
    get(&other, TAG);
    const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    assert_int_equal(said->join.kind, JOIN_TAG);
    assert_int_equal(said->join.is_check, 0);
    assert_true(slice_is(said->join.reference, "7"));
    struct message_answer answer = {
        .request = said->join.request,
        .state = ANSWER_FRESH,
        .media_type = SLICE_LITERAL("application/json"),
        .body = SLICE_LITERAL(MANIFEST),
    };
    digest_of(HASH_SHA256, answer.body, &answer.digest);
    scene_heard_nothing(scene, ROLE_FETCHER);
    scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, MANIFEST);
    assert_int_equal(guest_status(scene, &other), 200);
}

static void ask_tag(struct guest *who, unsigned number)
{
    guest_forget(who);
    guest_send(scene, who, "GET /v2/library/redis/manifests/t%u HTTP/1.1\r\nHost: x\r\n\r\n",
               number);
}

static void question_is_withdrawn_when_the_last_client_leaves(void **state)
{
    (void)state;
    get(&guest, TAG);
    get(&other, TAG);
    uint64_t request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    guest_leave(scene, &guest);
    scene_pass(scene, 1100);
    scene_heard_nothing(scene, ROLE_FETCHER);
    guest_leave(scene, &other);
    scene_pass(scene, 1100);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    guest_come(scene, &guest, LISTENER_FULL);
    guest_come(scene, &other, LISTENER_FULL);
    get(&guest, TAG);
    assert_int_not_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request, request);
}

static void check_of_a_tag_that_is_here_goes_on_without_its_client(void **state)
{
    (void)state;
    put_tag(120000);
    get(&guest, TAG);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.is_check, 1);
    guest_leave(scene, &guest);
    scene_pass(scene, 1100);
    scene_heard_nothing(scene, ROLE_FETCHER);
    guest_come(scene, &guest, LISTENER_FULL);
}

static void question_that_took_too_long_goes_on_for_who_asks_again(void **state)
{
    (void)state;
    get(&guest, TAG);
    (void)scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    scene_pass(scene, 10100);
    assert_int_equal(guest_status(scene, &guest), 504);
    get(&other, TAG);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

/* A question that is open already counts once, and a settled one not at all. */
static void one_question_too_many_is_503(void **state)
{
    (void)state;
    struct guest guests[16];
    int fd = spool_of(100);
    get(&guest, BLOB);
    uint64_t request = join_number();
    for (unsigned i = 0; i < 15; i++) {
        guest_come(scene, &guests[i], LISTENER_FULL);
        ask_tag(&guests[i], i);
        (void)scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    }
    ask_tag(&other, 15);
    assert_int_equal(guest_status(scene, &other), 503);
    assert_has(&other, "Retry-After: ");
    assert_has(&other, "UNAVAILABLE");
    get(&other, "/v2/library/alpine/blobs/" DIGEST);
    assert_int_equal(guest_status(scene, &other), 503);
    assert_has(&other, "Retry-After: ");
    put_tag(120000);
    get(&other, TAG);
    assert_int_equal(guest_status(scene, &other), 200);
    assert_has(&other, "Warning: 299 - \"too many requests");
    scene_heard_nothing(scene, ROLE_FETCHER);
    guest_come(scene, &guests[15], LISTENER_FULL);
    ask_tag(&guests[15], 0);
    assert_int_equal(guest_status(scene, &guests[15]), 0);
    open_flight(request, fd, 100, 100);
    verify(request, 100);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_LEAVE)->leave.request, request);
    ask_tag(&other, 15);
    (void)scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    for (unsigned i = 0; i < 16; i++)
        guest_leave(scene, &guests[i]);
    fd_close(&fd);
}

static void stale_tag_waits_a_second_for_its_check(void **state)
{
    (void)state;
    put_tag(120000);
    get(&guest, TAG);
    assert_int_equal(scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.is_check, 1);
    scene_pass(scene, 900);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_pass(scene, 200);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "Warning: 299 - \"");
    assert_has(&guest, "Age: 121");
}

static void stale_tag_that_is_still_right_is_served_unmarked(void **state)
{
    (void)state;
    put_tag(120000);
    get(&guest, TAG);
    struct message_answer answer = {
        .request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request,
        .state = ANSWER_FRESH,
    };
    digest_of(HASH_SHA256, slice_of(MANIFEST), &answer.digest);
    scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_null(strstr(guest_got(scene, &guest), "Warning"));
}

static void upstreams_no_is_believed_and_its_failure_is_not(void **state)
{
    (void)state;
    put_tag(120000);
    get(&guest, TAG);
    struct message_failed failed = {
        .request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request,
        .kind = ERR_NOT_FOUND,
    };
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_status(scene, &guest), 404);
    get(&guest, TAG);
    failed.request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    failed.kind = ERR_UPSTREAM;
    failed.text = SLICE_LITERAL("it is down");
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_has(&guest, "Warning: 299 - \"it is down\"");
}

static void pushers_question_turns_failure_into_404(void **state)
{
    (void)state;
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", TAG);
    struct message_failed failed = {
        .request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request,
        .kind = ERR_UPSTREAM,
    };
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_status(scene, &guest), 404);
}

/* Public content is served to everybody; but a client that hears from HEAD that it is here does not
 * push it. */
static void pusher_is_told_of_a_manifest_only_where_the_repository_has_it(void **state)
{
    (void)state;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    char target[300];
    put_tag(1000);
    digest_of(HASH_SHA256, slice_of(MANIFEST), &digest);
    digest_print(&digest, text);

    (void)snprintf(target, sizeof(target), "/v2/library/redis/manifests/%s", text);
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_heard_nothing(scene, ROLE_FETCHER);

    (void)snprintf(target, sizeof(target), "/v2/team/new/manifests/%s", text);
    guest_forget(&guest);
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    assert_int_equal(said->join.kind, JOIN_MANIFEST);
    assert_int_equal(said->join.is_check, 1);
    struct message_failed failed = {.request = said->join.request, .kind = ERR_NOT_FOUND};
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    assert_int_equal(guest_status(scene, &guest), 404);

    (void)snprintf(target, sizeof(target), "/v2/redis/manifests/%s", text);
    guest_forget(&guest);
    guest_send(scene, &guest, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    assert_int_equal(guest_status(scene, &guest), 404);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

/* Some clients ask by GET before they push. */
static void get_and_head_of_a_manifest_agree(void **state)
{
    (void)state;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    static const char *const names[] = {"team/new", "redis"};
    put_tag(1000);
    digest_of(HASH_SHA256, slice_of("{\"public\":true}"), &digest);
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "docker.io", "library/other", "v1", slice_of("{\"public\":true}"), 0);
    scene_commit(txn);
    digest_print(&digest, text);
    for (size_t i = 0; i < 2; i++) {
        guest_forget(&guest);
        guest_send(scene, &guest, "GET /v2/%s/manifests/%s HTTP/1.1\r\nHost: x\r\n\r\n", names[i],
                   text);
        const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
        assert_int_equal(said->join.is_check, 1);
        struct message_failed failed = {.request = said->join.request, .kind = ERR_NOT_FOUND};
        scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        assert_int_equal(guest_status(scene, &guest), 404);
    }
}

static void ask_head_of_blob(const char *name, const char *digest)
{
    guest_forget(&guest);
    guest_send(scene, &guest, "HEAD /v2/%s/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n", name, digest);
}

/* A push of what the upstream has would be refused: a registry that pulls through us by bare names
 * may be told. Bytes that other repositories have made public say nothing about this one. */
static void head_of_a_blob_is_the_upstreams_word_where_no_push_is_accepted(void **state)
{
    (void)state;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    struct ledger_txn *txn = scene_write(scene);
    scene_put_blob(scene, txn, slice_of("hello"), true, &digest);
    scene_commit(txn);
    digest_print(&digest, text);
    scene_config(scene)->hosted.shadow_check = SHADOW_CHECK_ASK;
    ask_head_of_blob("team/new", text);
    const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    assert_int_equal(said->join.kind, JOIN_BLOB_SIZE);
    struct message_answer answer = {
        .request = said->join.request, .state = ANSWER_FRESH, .size = 5, .digest = digest};
    scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
    assert_int_equal(guest_status(scene, &guest), 200);
    static const enum error_kind kinds[] = {ERR_NOT_FOUND, ERR_UPSTREAM, ERR_BUSY, ERR_DENIED};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        ask_head_of_blob("team/new", text);
        struct message_failed failed = {
            .request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request,
            .kind = kinds[i]};
        scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        assert_int_equal(guest_status(scene, &guest), 404);
    }
    scene_config(scene)->hosted.shadow_check = SHADOW_CHECK_OFF;
    ask_head_of_blob("team/new", text);
    assert_int_equal(guest_status(scene, &guest), 404);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

/* ---- what nothing needs any more ---- */

static struct digest put_unneeded(uint64_t age_ms)
{
    struct ledger_txn *txn = scene_write(scene);
    uint64_t since_ms = clock_wall().ms - age_ms;
    struct repository repository;
    struct digest digest;
    struct blob_record blob;

    scene_put_blob(scene, txn, slice_of("hello"), false, &digest);
    repository_get(txn, slice_of(""), slice_of("team/app"), &repository);
    link_put(txn, repository.id, &digest, LINK_BLOB, slice_of(""));
    link_release(txn, repository.id, &digest, since_ms);
    assert_true(blob_find(txn, &digest, &blob));
    blob.kept_since_ms = since_ms;
    blob_put(txn, &digest, &blob);
    scene_commit(txn);
    return digest;
}

static void ask_of_blob(const char *method, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];

    guest_forget(&guest);
    guest_send(scene, &guest, "%s /v2/team/app/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n", method,
               digest_print(digest, text));
}

static void head_of_an_unneeded_blob_has_the_keepers_word(void **state)
{
    (void)state;
    uint64_t grace = scene_config(scene)->storage.grace_ms;
    struct digest digest = put_unneeded(grace - 1000);
    ask_of_blob("HEAD", &digest);
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_heard_nothing(scene, ROLE_KEEPER);

    digest = put_unneeded(grace);
    ask_of_blob("GET", &digest); /* takes the bytes along */
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_heard_nothing(scene, ROLE_KEEPER);
    ask_of_blob("HEAD", &digest);
    const union any_message *said = scene_heard(scene, ROLE_KEEPER, MESSAGE_LINK);
    assert_true(slice_is(said->link.repository, "team/app"));
    assert_true(digest_equal(&said->link.digest, &digest));
    assert_string_equal(guest_got(scene, &guest), ""); /* nothing is said before */
    uint64_t number = said->link.head.request;
    (void)put_unneeded(0);
    scene_done(scene, number);
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_heard_nothing(scene, ROLE_KEEPER);
}

static void a_blob_that_was_collected_meanwhile_is_404(void **state)
{
    (void)state;
    struct digest digest = put_unneeded(scene_config(scene)->storage.grace_ms);
    ask_of_blob("HEAD", &digest);
    struct message_refused refused = {
        .request = scene_heard(scene, ROLE_KEEPER, MESSAGE_LINK)->link.head.request,
        .kind = ERR_NOT_FOUND,
        .text = SLICE_LITERAL("the blob is not here")};
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    assert_int_equal(guest_status(scene, &guest), 404);
    /* The client may be gone before the keeper has answered. */
    ask_of_blob("HEAD", &digest);
    refused.request = scene_heard(scene, ROLE_KEEPER, MESSAGE_LINK)->link.head.request;
    guest_leave(scene, &guest);
    scene_settle(scene);
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    scene_settle(scene);
    guest_come(scene, &guest, LISTENER_FULL);
}

static struct digest digest_of_text(const char *text)
{
    struct digest digest;

    digest_of(HASH_SHA256, slice_of(text), &digest);
    return digest;
}

/* The upstream cannot be asked for the referrers of a cached manifest. */
static int referrers_after(const char *subject, enum error_kind kind)
{
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    char target[300];

    digest_of(HASH_SHA256, slice_of(subject), &digest);
    (void)snprintf(target, sizeof(target), "/v2/library/redis/referrers/%s",
                   digest_print(&digest, text));
    get(&guest, target);
    const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    assert_int_equal(said->join.kind, JOIN_REFERRERS);
    struct message_failed failed = {
        .request = said->join.request, .kind = kind, .text = SLICE_LITERAL("it is down")};
    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
    return guest_status(scene, &guest);
}

/* None may be cached of an image that is signed: that is no empty list. */
static void no_cached_referrers_are_no_empty_list(void **state)
{
    (void)state;
    put_tag(1000);
    assert_int_equal(referrers_after(MANIFEST, ERR_UPSTREAM), 502);
    assert_int_equal(referrers_after(MANIFEST, ERR_TIMEOUT), 504);
    assert_int_equal(referrers_after(MANIFEST, ERR_DENIED), 403);
}

#define LAYERS(types) "{\"schemaVersion\":2,\"config\":{},\"layers\":[" types "]}"
#define IN_TOTO       "{\"mediaType\":\"application/vnd.in-toto+json\"}"

static void cached_attestation_has_no_referrers_while_the_upstream_is_down(void **state)
{
    static const char *const attestation = LAYERS(IN_TOTO "," IN_TOTO);
    static const char *const image = LAYERS(IN_TOTO ",{\"mediaType\":\"application/x\"}");

    (void)state;
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "docker.io", "library/redis", "8", slice_of(attestation), 0);
    scene_put_manifest(txn, "docker.io", "library/redis", "9", slice_of(image), 0);
    scene_commit(txn);
    assert_int_equal(referrers_after(attestation, ERR_UPSTREAM), 200);
    assert_has(&guest, "Warning: 299 - \"it is down\"");
    assert_has(&guest, "\"manifests\":[]");
    assert_int_equal(referrers_after(attestation, ERR_DENIED), 403);
    assert_int_equal(referrers_after(image, ERR_UPSTREAM), 502);
    /* Nor has a signature, for ORAS asks for those of each referrer. */
    struct digest digest = digest_of_text(image);
    struct manifest_record record;
    txn = scene_write(scene);
    assert_true(manifest_find(txn, &digest, &record));
    record.bytes = slice_of(image);
    record.media_type = SLICE_LITERAL(MEDIA_TYPE_OCI_MANIFEST);
    record.subject = digest_of_text("what it signs");
    manifest_put(txn, &digest, &record);
    scene_commit(txn);
    assert_int_equal(referrers_after(image, ERR_UPSTREAM), 200);
    assert_int_equal(referrers_after(LAYERS(""), ERR_UPSTREAM), 502); /* not here */
}

static void referrers_while_the_upstream_is_down_are_those_under_the_cached_tag(void **state)
{
    static const char *const list = "{\"schemaVersion\":2,\"manifests\":[1]}";
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    char tag[DIGEST_TEXT_SIZE];
    struct repository repository;
    struct manifest_record record;

    (void)state;
    put_tag(1000);
    digest_of(HASH_SHA256, slice_of(MANIFEST), &digest);
    (void)snprintf(tag, sizeof(tag), "sha256-%s", digest_print(&digest, text) + strlen("sha256:"));
    digest_of(HASH_SHA256, slice_of(list), &digest);
    struct ledger_txn *txn = scene_write(scene);
    scene_put_manifest(txn, "docker.io", "library/redis", tag, slice_of(list), 0);
    assert_true(
        repository_find(txn, slice_of("docker.io"), slice_of("library/redis"), &repository));
    assert_true(manifest_find(txn, &digest, &record));
    record.bytes = slice_of(list);
    record.media_type = SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX);
    manifest_put(txn, &digest, &record);
    link_put(txn, repository.id, &digest, LINK_MANIFEST, record.media_type);
    scene_commit(txn);
    assert_int_equal(referrers_after(MANIFEST, ERR_UPSTREAM), 200);
    assert_has(&guest, "Warning: 299 - \"it is down\"");
    assert_has(&guest, "\"manifests\":[1]");
}

/* The upstream has no such address; what becomes of the tag that clients keep the list under? */
static void referrers_under_a_tag_are_none_only_by_the_upstreams_word(void **state)
{
    static const char *const nothing = "\"manifests\":[]";
    static const struct {
        enum error_kind kind;
        const char *type; /* of what the tag names; NULL: it fails with `kind` */
        bool is_stale;
        int status;
    } rows[] = {
        {ERR_NOT_FOUND, NULL, false, 200},
        {ERR_UPSTREAM, NULL, false, 502},
        {ERR_UNAUTHORIZED, NULL, false, 403},
        {ERR_DENIED, NULL, false, 403},
        {ERR_BUSY, NULL, false, 429},
        {ERR_TIMEOUT, NULL, false, 504},
        {ERR_NONE, MEDIA_TYPE_OCI_MANIFEST, false, 502},
        {ERR_NONE, MEDIA_TYPE_OCI_INDEX, false, 200},
        {ERR_NONE, MEDIA_TYPE_OCI_INDEX, true, 200},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        get(&guest, "/v2/docker.io/library/redis/referrers/sha256:"
                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        struct message_failed failed = {
            .request = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request,
            .kind = ERR_NOT_FOUND};
        scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        const union any_message *said = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
        assert_int_equal(said->join.kind, JOIN_TAG);
        failed.request = said->join.request;
        failed.kind = rows[i].kind;
        struct message_answer answer = {
            .request = failed.request,
            .state = rows[i].is_stale ? ANSWER_STALE : ANSWER_FRESH,
            .warning = rows[i].is_stale ? SLICE_LITERAL("an old list") : slice_of(""),
            .media_type = slice_of(rows[i].type ? rows[i].type : ""),
            .body = SLICE_LITERAL("{\"manifests\":[1]}"),
        };
        if (rows[i].type)
            scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
        else
            scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        assert_int_equal(guest_status(scene, &guest), rows[i].status);
        const char *text = guest_got(scene, &guest);
        bool is_empty = strstr(text, nothing);
        bool is_marked = strstr(text, "Warning: 299 - \"an old list\"");
        assert_int_equal(is_empty, rows[i].kind == ERR_NOT_FOUND);
        assert_int_equal(is_marked, rows[i].is_stale);
    }
}

static void ready_says_who_is_down(void **state)
{
    (void)state;
    struct guest admin;
    guest_come(scene, &admin, LISTENER_ADMIN);
    get(&admin, "/readyz");
    assert_int_equal(guest_status(scene, &admin), 200);
    scene_disconnect(scene, ROLE_KEEPER);
    get(&admin, "/readyz");
    assert_int_equal(guest_status(scene, &admin), 503);
    assert_has(&admin, "keeper is down");
    get(&admin, "/metrics");
    assert_int_equal(guest_status(scene, &admin), 200);
    guest_leave(scene, &admin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base_is_answered),
        TEST(strange_paths_are_404),
        TEST(hosted_tag_is_served_from_the_ledger),
        TEST(blob_is_served_whole_and_by_range),
        TEST(uses_of_many_turns_are_one_message),
        TEST(two_clients_share_one_flight_and_wait_for_the_tail),
        TEST(small_blob_is_answered_when_verified),
        TEST(slow_small_blob_begins_after_three_seconds),
        TEST(nothing_within_the_deadline_is_504),
        TEST(failure_before_the_head_is_an_answer),
        TEST(failure_after_the_head_cuts_the_client),
        TEST(range_of_a_flight_is_served_when_covered),
        TEST(new_take_moves_who_is_within_and_cuts_the_others),
        TEST(spool_without_its_descriptor_ends_the_flight),
        TEST(new_fetcher_is_asked_again_and_carries_on),
        TEST(no_fetcher_that_carries_on_cuts_who_waits),
        TEST(silence_of_a_living_fetcher_cuts_nobody),
        TEST(here_is_read_from_the_store),
        TEST(here_that_is_not_true_ends_in_502),
        TEST(client_that_leaves_leaves_the_flight),
        TEST(fresh_tag_asks_nobody),
        TEST(tag_that_is_not_here_is_answered_by_the_upstream_once_for_all),
        TEST(question_is_withdrawn_when_the_last_client_leaves),
        TEST(check_of_a_tag_that_is_here_goes_on_without_its_client),
        TEST(question_that_took_too_long_goes_on_for_who_asks_again),
        TEST(stale_tag_waits_a_second_for_its_check),
        TEST(stale_tag_that_is_still_right_is_served_unmarked),
        TEST(upstreams_no_is_believed_and_its_failure_is_not),
        TEST(pushers_question_turns_failure_into_404),
        TEST(pusher_is_told_of_a_manifest_only_where_the_repository_has_it),
        TEST(get_and_head_of_a_manifest_agree),
        TEST(head_of_a_blob_is_the_upstreams_word_where_no_push_is_accepted),
        TEST(referrers_under_a_tag_are_none_only_by_the_upstreams_word),
        TEST(head_of_an_unneeded_blob_has_the_keepers_word),
        TEST(a_blob_that_was_collected_meanwhile_is_404),
        TEST(no_cached_referrers_are_no_empty_list),
        TEST(cached_attestation_has_no_referrers_while_the_upstream_is_down),
        TEST(referrers_while_the_upstream_is_down_are_those_under_the_cached_tag),
        TEST(ready_says_who_is_down),
        cmocka_unit_test_setup_teardown(tag_without_ttl_is_asked_in_the_millisecond_of_its_check,
                                        set_up_without_ttl, tear_down),
        cmocka_unit_test_setup_teardown(one_question_too_many_is_503, set_up_with_few_questions,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
