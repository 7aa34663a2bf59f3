/* SPDX-License-Identifier: Apache-2.0 */
/* Takes: what is done in the pool, and how much a memory file accepts. */
#include <fcntl.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/map.h"
#include "block_pool.h"
#include "fakes/pool.h"
#include "role.h"
#include "spool_index.h"
#include "stage.h"
#include "take.h"

static struct error err;

static void on_written(void *arg)
{
    (void)arg;
}

static void on_failed(const struct error *failure, void *arg)
{
    (void)arg;
    fail_msg("%s", failure->text);
}

static const struct take_handler handler = {.on_written = on_written, .on_failed = on_failed};

static int setup(void **state)
{
    (void)state;
    stage_open(NULL);
    stage_pass(10); /* the scan of leftover spools is over */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    failpoint_clear();
    stage_close();
    return 0;
}

static struct take *make_take(uint64_t memory)
{
    struct digest digest = stage_digest(SLICE_LITERAL("a blob"));
    struct take_options options = {
        .digest = &digest, .number = 1, .memory = memory, .handler = &handler};
    struct take *take = NULL;

    assert_int_equal(take_create(stage_fetcher(), &options, &take, &err), 0);
    return take;
}

static bool is_on_disk(const char *name)
{
    AUTO_CLOSE int fd = -1;

    return store_file_open(stage_fetcher()->options.store, PLACE_SPOOL, name, &fd, &err) == 0;
}

static void a_dropped_take_is_removed_and_closed_in_the_pool(void **state)
{
    (void)state;
    struct take *take = make_take(0);
    int fd = take->fd;
    char name[STORE_NAME_SIZE];
    memcpy(name, take->name, sizeof(name));
    take_drop(&take, false);
    assert_true(is_on_disk(name));
    assert_true(fcntl(fd, F_GETFD) >= 0);
    stage_pass(1);
    assert_false(is_on_disk(name));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_kept_take_is_closed_in_the_pool(void **state)
{
    (void)state;
    struct take *take = make_take(0);
    int fd = take->fd;
    char name[STORE_NAME_SIZE];
    memcpy(name, take->name, sizeof(name));
    take_drop(&take, true);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    stage_pass(1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_true(is_on_disk(name));
}

static void a_take_that_cannot_be_read_leaves_no_file(void **state)
{
    (void)state;
    struct digest digest = stage_digest(SLICE_LITERAL("a blob"));
    struct take_options options = {.digest = &digest, .number = 1, .handler = &handler};
    struct take *take = NULL;
    char name[STORE_NAME_SIZE];
    store_spool_name(&digest, 1, name);
    failpoint_arm("store.reopen", 0, 1);
    assert_int_equal(take_create(stage_fetcher(), &options, &take, &err), -ERR_IO);
    assert_null(take);
    assert_false(is_on_disk(name));
}

static void an_older_spool_is_removed_in_the_pool(void **state)
{
    (void)state;
    struct digest digest = stage_digest(SLICE_LITERAL("a blob"));
    struct take *take = make_take(0);
    char name[STORE_NAME_SIZE];
    memcpy(name, take->name, sizeof(name));
    take_drop(&take, true);
    stage_pass(1);
    spool_index_add(stage_fetcher()->spools, &digest, 1, 1);
    spool_index_add(stage_fetcher()->spools, &digest, 2, 1);
    assert_true(is_on_disk(name));
    stage_pass(1);
    assert_false(is_on_disk(name));
}

static void a_memory_take_takes_what_is_reserved_for_it(void **state)
{
    (void)state;
    struct take *take = make_take(1000);
    struct slice bytes = stage_bytes(1, 1000);
    assert_int_equal(take_write(take, slice_from(bytes.data, 600)), TAKE_WRITTEN);
    assert_int_equal(take_write(take, slice_from(bytes.data, 401)), TAKE_FULL);
    assert_int_equal(take_write(take, slice_from(bytes.data, 400)), TAKE_WRITTEN);
    assert_int_equal(take_write(take, slice_from(bytes.data, 1)), TAKE_FULL);
    take_drop(&take, false);
}

static struct slice blob;

static void answer_without_length(const struct fake_request *request, struct fake_answer *answer,
                                  void *arg)
{
    (void)request;
    (void)arg;
    answer->status = 200;
    answer->has_no_length = true;
    answer->body = blob;
}

/* The disk is full, and the upstream sends more than the size that a manifest says. */
static void a_blob_larger_than_its_memory_is_refused(void **state)
{
    (void)state;
    blob = stage_bytes(1, 100000);
    struct digest digest = stage_digest(blob);
    fake_upstream_set(answer_without_length, NULL);
    failpoint_arm("store.space", 0, 0);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, 50000);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_NO_SPACE);
    stage_pass(1);
    assert_int_equal(stage_fetcher()->memory_used, 0);
    uint64_t right = stage_join(0, JOIN_BLOB, "library/app", "", &digest, blob.length);
    stage_until(stage_is_verified, right);
    stage_assert_file(stage_seen(right)->fd, blob);
}

static void answer_whole(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    const struct slice *blobs = arg;
    char text[DIGEST_TEXT_SIZE];

    answer->status = 200;
    for (unsigned i = 0; i < 3; i++) {
        struct digest digest = stage_digest(blobs[i]);

        if (strstr(request->url, digest_print(&digest, text)))
            answer->body = blobs[i];
    }
}

/* One block is all the memory there is, and the disk takes a minute for it: the other downloads
 * wait, which is no stall of their upstream. */
static void downloads_wait_for_memory(void **state)
{
    (void)state;
    struct slice blobs[3];
    uint64_t requests[3];
    struct pool *pool = stage_fetcher()->options.pool;
    block_pool_resize(stage_fetcher()->blocks, BLOCK_SIZE);
    fake_upstream_set(answer_whole, blobs);
    fake_pool_hold(pool, true);
    for (unsigned i = 0; i < 3; i++) {
        blobs[i] = stage_bytes(i + 1, 700000);
        struct digest digest = stage_digest(blobs[i]);
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    }
    stage_pass(60000);
    assert_int_equal(block_pool_used(stage_fetcher()->blocks), 1);
    fake_pool_hold(pool, false);
    for (unsigned i = 0; i < 3; i++) {
        stage_until(stage_is_verified, requests[i]);
        stage_assert_file(stage_seen(requests[i])->fd, blobs[i]);
        assert_int_equal(stage_seen(requests[i])->faileds, 0);
    }
    assert_int_equal(block_pool_used(stage_fetcher()->blocks), 0);
}

/* A client that goes while its download waits for memory leaves nothing in the line. */
static void a_download_that_ends_waits_no_more(void **state)
{
    (void)state;
    struct slice blobs[3];
    uint64_t requests[3];
    struct pool *pool = stage_fetcher()->options.pool;
    block_pool_resize(stage_fetcher()->blocks, BLOCK_SIZE);
    fake_upstream_set(answer_whole, blobs);
    fake_pool_hold(pool, true);
    for (unsigned i = 0; i < 3; i++) {
        blobs[i] = stage_bytes(i + 1, 100 * 1024 * 1024);
        struct digest digest = stage_digest(blobs[i]);
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    }
    stage_pass(100);
    stage_leave(0, requests[0]);
    stage_leave(0, requests[1]);
    stage_pass(100);
    fake_pool_hold(pool, false);
    stage_until(stage_is_verified, requests[2]);
    assert_int_equal(block_pool_used(stage_fetcher()->blocks), 0);
}

static void answer_slowly(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    answer_whole(request, answer, arg);
    if (answer->body.length > 1000000) {
        answer->piece = 1;
        answer->pause_ms = 1000;
    }
}

static void a_download_that_crawls_is_given_up(void **state)
{
    (void)state;
    struct slice blobs[3] = {stage_bytes(1, 2000000), stage_bytes(2, 10), stage_bytes(3, 10)};
    struct digest digest = stage_digest(blobs[0]);
    fake_upstream_set(answer_slowly, blobs);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_pass(29000);
    assert_int_equal(fake_upstream_count(), 1);
    stage_pass(300000);
    assert_true(fake_upstream_count() > 1);
    assert_int_equal(stage_seen(request)->failure, ERR_TIMEOUT);
}

static int setup_few_connections(void **state)
{
    (void)state;
    stage_open("  docker.io:\n    url: https://hub.test\n    default: true\n"
               "fetch:\n  connections: 4\n");
    stage_pass(10);
    return 0;
}

/* Three downloads may run, and their clients have gone before they end. */
static void a_download_without_clients_gives_way(void **state)
{
    (void)state;
    struct slice crawling[3];
    struct slice blobs[3] = {stage_bytes(4, 10), stage_bytes(5, 10), stage_bytes(6, 10)};
    uint64_t requests[3];
    fake_upstream_set(answer_slowly, crawling);
    for (unsigned i = 0; i < 3; i++) {
        crawling[i] = stage_bytes(i + 1, 2000000);
        struct digest digest = stage_digest(crawling[i]);
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    }
    stage_pass(4000);
    for (unsigned i = 1; i < 3; i++)
        stage_leave(0, requests[i]);
    stage_pass(1000);
    fake_upstream_set(answer_whole, blobs);
    for (unsigned i = 0; i < 2; i++) {
        struct digest digest = stage_digest(blobs[i]);
        uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);

        stage_pass(100);
        assert_int_equal(stage_seen(request)->verifieds, 1);
    }
    assert_int_equal(stage_seen(requests[0])->faileds, 0);
}

/* All three have clients: the fourth waits until the first client goes. */
static void a_download_whose_client_goes_gives_way(void **state)
{
    (void)state;
    struct slice crawling[3];
    struct slice blobs[3] = {stage_bytes(4, 10), stage_bytes(5, 10), stage_bytes(6, 10)};
    uint64_t requests[3];
    fake_upstream_set(answer_slowly, crawling);
    for (unsigned i = 0; i < 3; i++) {
        crawling[i] = stage_bytes(i + 1, 2000000);
        struct digest digest = stage_digest(crawling[i]);
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    }
    stage_pass(4000);
    fake_upstream_set(answer_whole, blobs);
    struct digest digest = stage_digest(blobs[0]);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_pass(1000);
    assert_int_equal(stage_seen(request)->verifieds, 0);
    stage_leave(0, requests[1]);
    stage_pass(100);
    assert_int_equal(stage_seen(request)->verifieds, 1);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_stored_blob_holds_no_memory_and_no_descriptor(void **state)
{
    (void)state;
    struct slice blobs[3] = {stage_bytes(1, 300000), stage_bytes(2, 300000), stage_bytes(3, 1)};
    fake_upstream_set(answer_whole, blobs);
    unsigned before = count_descriptors();
    for (unsigned i = 0; i < 3; i++) {
        struct digest digest = stage_digest(blobs[i]);
        uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);

        stage_until(stage_is_verified, request);
        stage_until(stage_has_commits, i + 1);
        stage_pass(10);
        fd_close(&stage_seen(request)->fd);
    }
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(map_count(stage_fetcher()->flights), 0);
    assert_int_equal(block_pool_used(stage_fetcher()->blocks), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_dropped_take_is_removed_and_closed_in_the_pool),
        TEST(a_kept_take_is_closed_in_the_pool),
        TEST(a_take_that_cannot_be_read_leaves_no_file),
        TEST(an_older_spool_is_removed_in_the_pool),
        TEST(a_memory_take_takes_what_is_reserved_for_it),
        TEST(a_blob_larger_than_its_memory_is_refused),
        TEST(downloads_wait_for_memory),
        TEST(a_download_that_ends_waits_no_more),
        TEST(a_download_that_crawls_is_given_up),
        cmocka_unit_test_setup_teardown(a_download_without_clients_gives_way, setup_few_connections,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_download_whose_client_goes_gives_way,
                                        setup_few_connections, teardown),
        TEST(a_stored_blob_holds_no_memory_and_no_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
