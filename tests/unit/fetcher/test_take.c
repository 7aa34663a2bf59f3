/* SPDX-License-Identifier: Apache-2.0 */
/* Takes: what is done in the pool, and how much a memory file accepts. */
#include <fcntl.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fd.h"
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
    spool_index_add(stage_fetcher()->spools, &digest, 1);
    spool_index_add(stage_fetcher()->spools, &digest, 2);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
