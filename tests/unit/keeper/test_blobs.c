/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: stored, healed, linked; names and pushers. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "fakes/loop.h"
#include "net/loop.h"
#include "world.h"

static struct error err;

static void assert_content(const struct digest *digest, const char *content)
{
    int fd = -1;
    char bytes[64];
    size_t length = strlen(content);

    assert_int_equal(store_blob_open(world_store, digest, length, &fd, NULL, &err), 0);
    assert_int_equal(fd_pread_all(fd, bytes, length, 0, &err), 0);
    assert_memory_equal(bytes, content, length);
    fd_close(&fd);
}

static void a_stored_blob_is_placed_linked_and_counted(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored);
    assert_int_equal(answer.type, MESSAGE_DONE);
    assert_int_equal(answer.number, 1);
    assert_int_equal(world_number(), 1);
    assert_content(&stored.digest, "hello");
    assert_int_equal(world_link("", "team/app", &stored.digest), LINK_BLOB);
    struct repository repository = world_repository("", "team/app");
    assert_int_equal(repository.bytes, 5);
    assert_int_equal(repository.links, 1);
    assert_false(repository.is_hosted);
    struct blob_record blob = world_blob_record(&stored.digest);
    assert_int_equal(blob.size, 5);
    assert_false(blob.is_public);
    assert_int_equal(blob.kept_since_ms, clock_wall().ms);
}

static void the_same_blob_again_is_counted_once(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "hello");
    (void)world_push_blob("team/app", "hello");
    struct repository repository = world_repository("", "team/app");
    assert_int_equal(repository.bytes, 5);
    assert_int_equal(repository.links, 1);
    (void)world_push_blob("team/other", "hello");
    assert_int_equal(world_repository("", "team/other").bytes, 5);
}

static void a_push_heals_a_damaged_file(void **state)
{
    (void)state;
    struct message_blob_stored bad = world_blob("team/app", "XXXXX");
    bad.digest = world_digest("hello"); /* as a disk would do it */
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &bad).type, MESSAGE_DONE);
    assert_content(&bad.digest, "XXXXX");
    (void)world_push_blob("team/app", "hello");
    assert_content(&bad.digest, "hello");
}

static struct file_identity identity_of(const struct digest *digest)
{
    struct store_blob found = {.size = 0};

    assert_int_equal(store_blob_check(world_store, digest, UINT64_MAX, &found, &err), 0);
    return found.identity;
}

/* Another descriptor of the stored file, to write with. */
static int open_to_write(const struct digest *digest)
{
    AUTO_CLOSE int fd = -1;
    char path[64];

    assert_int_equal(store_blob_open(world_store, digest, UINT64_MAX, &fd, NULL, &err), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int out = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(out >= 0);
    return out;
}

/* As a restore does: the same bytes, of another time. */
static void touch(const struct digest *digest, long when)
{
    AUTO_CLOSE int fd = open_to_write(digest);
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};

    assert_int_equal(futimens(fd, times), 0);
}

static void overwrite(const struct digest *digest, const char *content)
{
    AUTO_CLOSE int fd = open_to_write(digest);

    assert_int_equal(fd_pwrite_all(fd, content, strlen(content), 0, &err), 0);
}

static struct answer suspect(enum who who, const struct digest *digest)
{
    struct message_blob_suspected suspected = {.digest = *digest, .size = 5, .is_wrong = 1};

    return world_ask(who, MESSAGE_BLOB_SUSPECTED, &suspected);
}

static void a_record_knows_the_file_that_was_placed(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    struct file_identity first = identity_of(&digest);
    struct blob_record blob = world_blob_record(&digest);
    assert_true(first.inode != 0 && file_identity_equal(&blob.file, &first));
    (void)world_push_blob("team/app", "hello");
    struct file_identity second = identity_of(&digest);
    blob = world_blob_record(&digest);
    assert_false(file_identity_equal(&first, &second));
    assert_true(file_identity_equal(&blob.file, &second));
}

static void a_suspected_file_is_read_and_the_finding_recorded(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    touch(&digest, 7);
    assert_int_equal(suspect(WORKER_0, &digest).type, MESSAGE_DONE);
    struct blob_record blob = world_blob_record(&digest);
    struct file_identity file = identity_of(&digest);
    assert_true(!blob.is_damaged && file_identity_equal(&blob.file, &file));
    overwrite(&digest, "hellO");
    touch(&digest, 8);
    file = identity_of(&digest);
    assert_int_equal(suspect(WORKER_1, &digest).type, MESSAGE_DONE);
    blob = world_blob_record(&digest);
    assert_true(blob.is_damaged && file_identity_equal(&blob.file, &file));
    overwrite(&digest, "hello");
    touch(&digest, 9);
    assert_int_equal(suspect(WORKER_0, &digest).type, MESSAGE_DONE);
    assert_false(world_blob_record(&digest).is_damaged);
}

static void what_is_not_here_is_not_suspected(void **state)
{
    (void)state;
    struct digest absent = world_digest("absent");
    struct digest digest = world_push_blob("team/app", "hello");
    struct digest none = {0};
    assert_int_equal(suspect(WORKER_0, &absent).kind, ERR_NOT_FOUND);
    assert_int_equal(suspect(WORKER_0, &none).kind, ERR_INVALID);
    assert_int_equal(store_blob_remove(world_store, &digest, &err), 0);
    assert_int_equal(suspect(WORKER_0, &digest).kind, ERR_NOT_FOUND);
    assert_false(world_blob_record(&digest).is_damaged);
}

/* After a restore each worker finds the same file changed. */
static void a_file_that_many_suspect_is_read_once(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    struct message_blob_suspected suspected = {.digest = digest, .size = 5};
    uint64_t requests[20];
    touch(&digest, 7);
    failpoint_arm("verify.suspect", 1, 1); /* the second reading would fail */
    for (unsigned i = 0; i < 20; i++) {
        requests[i] =
            world_post(i % 2 == 0 ? WORKER_0 : WORKER_1, MESSAGE_BLOB_SUSPECTED, &suspected);
    }
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(world_await(requests[i]).type, MESSAGE_DONE);
    failpoint_clear();
}

static void a_file_that_was_judged_is_not_read_for_the_next(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    struct message_blob_suspected suspected = {.digest = digest, .size = 5};
    touch(&digest, 7);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    failpoint_arm("verify.suspect", 0, 1); /* a reading would fail */
    assert_int_equal(world_ask(WORKER_1, MESSAGE_BLOB_SUSPECTED, &suspected).type, MESSAGE_DONE);
    failpoint_clear();
}

static void a_suspected_file_that_cannot_be_read_is_not_damaged(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    touch(&digest, 7);
    failpoint_arm("verify.suspect", 0, 1);
    assert_int_equal(suspect(WORKER_0, &digest).kind, ERR_IO);
    failpoint_clear();
    assert_false(world_blob_record(&digest).is_damaged);
    assert_int_equal(suspect(WORKER_0, &digest).type, MESSAGE_DONE);
}

static void a_blob_that_was_found_wrong_is_not_linked_until_it_is_pushed(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    struct message_link link = {.repository = SLICE_LITERAL("team/other"), .digest = digest};
    overwrite(&digest, "hellO");
    assert_int_equal(suspect(WORKER_0, &digest).type, MESSAGE_DONE);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).kind, ERR_NOT_FOUND);
    assert_int_equal(world_link("", "team/other", &digest), 0);
    (void)world_push_blob("team/app", "hello");
    assert_false(world_blob_record(&digest).is_damaged);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
}

/* No credit limits them. What is too much is dropped, and nobody else pays for it. */
static void many_uses_stand_in_nobodys_way(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    uint8_t binary[DIGEST_BINARY_MAX];
    struct message_used used = {
        .digests = slice_from(binary, digest_encode(&stored.digest, binary)), .when = 7};
    for (unsigned i = 0; i < 9000; i++)
        (void)world_post(WORKER_0, MESSAGE_USED, &used);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    for (unsigned i = 0; i < 300; i++)
        (void)world_post(WORKER_0, MESSAGE_USED, &used);
    (void)world_push_blob("team/app", "next");
    assert_int_equal(use_find(world_read(), &stored.digest), 7);
    world_read_end();
}

static void a_vanished_file_is_refused(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    assert_int_equal(store_file_remove(world_store, PLACE_UPLOADS, stored.file.data, &err), 0);
    struct answer answer = world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored);
    assert_int_equal(answer.type, MESSAGE_REFUSED);
    assert_int_equal(answer.kind, ERR_NOT_FOUND);
    assert_int_equal(world_link("", "team/app", &stored.digest), 0);
    assert_int_equal(world_blob_record(&stored.digest).where, 0);
}

static void public_is_what_an_upstream_gave_and_stays_so(void **state)
{
    (void)state;
    struct message_blob_stored fetched = world_blob("library/nginx", "layer");
    fetched.origin = SLICE_LITERAL("docker.io");
    fetched.is_public = 1;
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &fetched).type, MESSAGE_DONE);
    assert_true(world_blob_record(&fetched.digest).is_public);
    (void)world_push_blob("team/app", "layer");
    assert_true(world_blob_record(&fetched.digest).is_public);
    struct message_blob_stored pushed = world_blob("team/app", "own");
    pushed.is_public = 1; /* no upstream, not public */
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &pushed).type, MESSAGE_DONE);
    assert_false(world_blob_record(&pushed.digest).is_public);
}

static void a_blob_without_repository_is_linked_nowhere(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("", "hello");
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(world_blob_record(&stored.digest).size, 5);
    assert_int_equal(world_repository("", "").id, 0);
}

static void link_shows_what_is_here_and_renews_its_time(void **state)
{
    (void)state;
    struct message_link link = {.digest = world_digest("hello"),
                                .repository = SLICE_LITERAL("team/other")};
    struct answer answer = world_ask(WORKER_0, MESSAGE_LINK, &link);
    assert_int_equal(answer.kind, ERR_NOT_FOUND);
    (void)world_push_blob("team/app", "hello");
    clock_advance(5000);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    assert_int_equal(world_link("", "team/other", &link.digest), LINK_BLOB);
    assert_int_equal(world_repository("", "team/other").bytes, 5);
    assert_int_equal(world_blob_record(&link.digest).kept_since_ms, clock_wall().ms);
}

static void a_damaged_blob_is_not_linked(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    assert_int_equal(store_blob_remove(world_store, &digest, &err), 0);
    struct message_link link = {.digest = digest, .repository = SLICE_LITERAL("team/other")};
    struct answer answer = world_ask(WORKER_0, MESSAGE_LINK, &link);
    assert_int_equal(answer.kind, ERR_NOT_FOUND);
    assert_int_equal(world_link("", "team/other", &link.digest), 0);
    (void)world_push_blob("team/app", "hello");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
}

static void uses_are_written_within_a_second_and_not_answered(void **state)
{
    (void)state;
    struct digest digest = world_push_blob("team/app", "hello");
    uint8_t binary[DIGEST_BINARY_MAX];
    struct message_used used = {.digests = slice_from(binary, digest_encode(&digest, binary)),
                                .when = 77};
    uint64_t number = world_number();
    (void)world_post(WORKER_0, MESSAGE_USED, &used);
    world_turns(20);
    assert_int_equal(use_find(world_read(), &digest), 0);
    world_read_end();
    fake_loop_hold_clock(world_loop, 1001);
    world_turns(20);
    assert_int_equal(use_find(world_read(), &digest), 77);
    world_read_end();
    assert_int_equal(world_number(), number);
    used.when = 5; /* older */
    (void)world_post(WORKER_0, MESSAGE_USED, &used);
    (void)world_push_blob("team/app", "more");
    assert_int_equal(use_find(world_read(), &digest), 77);
    world_read_end();
}

/* ---- names and pushers ---- */

static struct answer begin_push(const char *name)
{
    struct message_push_begun begun = {.repository = slice_of(name)};

    return world_ask(WORKER_0, MESSAGE_PUSH_BEGUN, &begun);
}

static void the_first_post_leaves_a_dated_mark(void **state)
{
    (void)state;
    assert_int_equal(begin_push("team/app").type, MESSAGE_DONE);
    struct repository repository = world_repository("", "team/app");
    assert_int_equal(repository.last_post_ms, clock_wall().ms);
    assert_false(repository.is_hosted);
    clock_advance(world_config.storage.grace_ms / 4);
    assert_int_equal(begin_push("team/app").type, MESSAGE_DONE);
    assert_int_equal(world_repository("", "team/app").last_post_ms, clock_wall().ms);
}

static void a_mark_of_just_now_costs_no_commit(void **state)
{
    (void)state;
    (void)begin_push("team/app");
    uint64_t number = world_number();
    clock_advance(world_config.storage.grace_ms / 4 - 1);
    assert_int_equal(begin_push("team/app").number, number);
    assert_int_equal(world_number(), number);
}

static void a_protected_name_is_denied_with_the_setting(void **state)
{
    (void)state;
    static char pattern[] = "library/mine";
    static char *allow[] = {pattern};
    struct answer answer = begin_push("library/nginx");
    assert_int_equal(answer.kind, ERR_DENIED);
    assert_non_null(strstr(answer.text, "hosted.allow"));
    assert_int_equal(world_repository("", "library/nginx").id, 0);
    world_config.hosted.allow = (struct config_list){allow, 1};
    assert_int_equal(begin_push("library/mine").type, MESSAGE_DONE);
    assert_int_equal(begin_push("library/nginx").kind, ERR_DENIED);
}

static void one_component_may_be_protected_too(void **state)
{
    (void)state;
    static char pattern[] = "nginx";
    static char *protect[] = {pattern};
    world_config.hosted.protect = (struct config_list){protect, 1};
    assert_int_equal(begin_push("nginx").kind, ERR_DENIED);
    assert_int_equal(begin_push("redis").type, MESSAGE_DONE);
}

static void a_name_of_the_default_upstream_is_not_taken_over(void **state)
{
    (void)state;
    static const char *const contents[] = {"config", NULL};
    struct message_manifest_stored stored =
        world_fetched("bitnami/redis", "latest", 5, "upstream", contents);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(begin_push("bitnami/redis").kind, ERR_DENIED);
    struct message_manifest_put put = world_manifest("bitnami/redis", "v1", "own", contents);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &put).kind, ERR_DENIED);
    /* Reserved names are asked of no upstream: there is nothing to take over. */
    static char pattern[] = "bitnami/*";
    static char *reserved[] = {pattern};
    world_config.hosted.reserved = (struct config_list){reserved, 1};
    assert_int_equal(begin_push("bitnami/redis").type, MESSAGE_DONE);
}

static void one_component_shadows_nobody(void **state)
{
    (void)state;
    static const char *const contents[] = {"config", NULL};
    struct message_manifest_stored stored =
        world_fetched("nginx", "latest", 5, "upstream", contents);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(begin_push("nginx").type, MESSAGE_DONE);
}

static void a_hosted_name_stays_pushable_whatever_the_upstream_has(void **state)
{
    (void)state;
    static const char *const contents[] = {"config", NULL};
    (void)world_push("team/app", "v1", "own", contents);
    struct message_manifest_stored stored =
        world_fetched("team/app", "latest", 5, "upstream", contents);
    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &stored).type, MESSAGE_DONE);
    assert_int_equal(begin_push("team/app").type, MESSAGE_DONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stored_blob_is_placed_linked_and_counted),
        TEST(the_same_blob_again_is_counted_once),
        TEST(a_push_heals_a_damaged_file),
        TEST(a_record_knows_the_file_that_was_placed),
        TEST(a_suspected_file_is_read_and_the_finding_recorded),
        TEST(what_is_not_here_is_not_suspected),
        TEST(a_file_that_many_suspect_is_read_once),
        TEST(a_file_that_was_judged_is_not_read_for_the_next),
        TEST(a_suspected_file_that_cannot_be_read_is_not_damaged),
        TEST(a_blob_that_was_found_wrong_is_not_linked_until_it_is_pushed),
        TEST(many_uses_stand_in_nobodys_way),
        TEST(a_vanished_file_is_refused),
        TEST(public_is_what_an_upstream_gave_and_stays_so),
        TEST(a_blob_without_repository_is_linked_nowhere),
        TEST(link_shows_what_is_here_and_renews_its_time),
        TEST(a_damaged_blob_is_not_linked),
        TEST(uses_are_written_within_a_second_and_not_answered),
        TEST(the_first_post_leaves_a_dated_mark),
        TEST(a_mark_of_just_now_costs_no_commit),
        TEST(a_protected_name_is_denied_with_the_setting),
        TEST(one_component_may_be_protected_too),
        TEST(a_name_of_the_default_upstream_is_not_taken_over),
        TEST(one_component_shadows_nobody),
        TEST(a_hosted_name_stays_pushable_whatever_the_upstream_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
