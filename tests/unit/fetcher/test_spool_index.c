/* SPDX-License-Identifier: Apache-2.0 */
/* What ended early is kept within limits of bytes and of number, and for a day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "role.h"
#include "spool_index.h"
#include "stage.h"
#include "store/store.h"

#define MIB (1024ul * 1024)

static struct error err;

static const char yaml[] = "  docker.io:\n    url: https://hub.test\n    default: true\n"
                           "fetch:\n  partial_limit: 1MiB\n";

static int setup(void **state)
{
    (void)state;
    stage_open(yaml);
    stage_pass(10); /* the scan of leftover spools is over */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static struct spool_index *index_of_stage(void)
{
    return stage_fetcher()->spools;
}

static struct store *store_of_stage(void)
{
    return stage_fetcher()->options.store;
}

/* A sparse file of so many bytes, last written `age_s` ago. */
static void make_file(const char *name, uint64_t size, time_t age_s)
{
    AUTO_CLOSE int fd = -1;
    struct timespec times[2] = {{.tv_sec = 1700000000 - age_s}, {.tv_sec = 1700000000 - age_s}};

    assert_int_equal(store_file_create(store_of_stage(), PLACE_SPOOL, name, &fd, &err), 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(futimens(fd, times), 0);
}

static struct digest make_spool(const char *content, uint64_t size, time_t age_s)
{
    struct digest digest = stage_digest(slice_of(content));
    char name[STORE_NAME_SIZE];

    store_spool_name(&digest, 1, name);
    make_file(name, size, age_s);
    return digest;
}

static bool has_file(const char *name)
{
    AUTO_CLOSE int fd = -1;

    return store_file_open(store_of_stage(), PLACE_SPOOL, name, &fd, &err) == 0;
}

/* In the index and on disk. */
static bool is_kept(const struct digest *digest)
{
    char name[STORE_NAME_SIZE];
    unsigned take;
    bool is_known = spool_index_find(index_of_stage(), digest, &take);

    stage_pass(1); /* the removal, in the pool */
    store_spool_name(digest, 1, name);
    assert_int_equal(has_file(name), is_known);
    return is_known;
}

static void the_oldest_go_when_there_are_too_many_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"one", "two", "three"};
    struct digest digests[3];
    for (unsigned i = 0; i < 3; i++) {
        digests[i] = make_spool(names[i], MIB / 2, 0);
        spool_index_add(index_of_stage(), &digests[i], 1, MIB / 2);
    }
    assert_false(is_kept(&digests[0]));
    assert_true(is_kept(&digests[1]));
    assert_true(is_kept(&digests[2]));
}

static void one_that_is_larger_than_all_may_be_is_not_kept(void **state)
{
    (void)state;
    struct digest digest = make_spool("large", MIB + 1, 0);
    spool_index_add(index_of_stage(), &digest, 1, MIB + 1);
    assert_false(is_kept(&digest));
}

/* A flight has taken it: it is in use, and does not count. */
static void a_spool_in_use_is_not_removed(void **state)
{
    (void)state;
    char name[STORE_NAME_SIZE];
    struct digest used = make_spool("used", MIB, 0);
    struct digest other = make_spool("other", MIB, 0);
    spool_index_add(index_of_stage(), &used, 1, MIB);
    spool_index_take(index_of_stage(), &used);
    spool_index_add(index_of_stage(), &other, 1, MIB);
    assert_true(is_kept(&other));
    store_spool_name(&used, 1, name);
    assert_true(has_file(name));
}

static void no_more_than_ten_thousand_are_kept(void **state)
{
    (void)state;
    struct digest first;
    struct digest digest;
    unsigned take;
    for (unsigned i = 0; i <= 10000; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "spool %u", i);
        digest = stage_digest(slice_of(text));
        if (i == 0)
            first = digest;
        spool_index_add(index_of_stage(), &digest, 1, 1);
        if (i == 9999)
            assert_true(spool_index_find(index_of_stage(), &first, &take));
    }
    assert_false(spool_index_find(index_of_stage(), &first, &take));
    assert_true(spool_index_find(index_of_stage(), &digest, &take));
}

static void a_full_disk_takes_the_oldest(void **state)
{
    (void)state;
    struct digest one = make_spool("one", 1000, 0);
    struct digest two = make_spool("two", 1000, 0);
    spool_index_add(index_of_stage(), &one, 1, 1000);
    spool_index_add(index_of_stage(), &two, 1, 1000);
    spool_index_shrink(index_of_stage(), 500);
    assert_false(is_kept(&one));
    assert_true(is_kept(&two));
    spool_index_shrink(index_of_stage(), UINT64_MAX);
    assert_false(is_kept(&two));
}

/* By the time of their last byte, whatever the order of the folder is. */
static void a_new_fetcher_keeps_the_youngest(void **state)
{
    (void)state;
    struct digest digests[4];
    static const time_t ages[4] = {200, 400, 100, 300};
    static const char *const names[4] = {"a", "b", "c", "d"};
    for (unsigned i = 0; i < 4; i++)
        digests[i] = make_spool(names[i], MIB / 2, ages[i]);
    stage_stop_fetcher();
    stage_start_fetcher(true);
    stage_pass(10);
    assert_true(is_kept(&digests[0]));
    assert_false(is_kept(&digests[1]));
    assert_true(is_kept(&digests[2]));
    assert_false(is_kept(&digests[3]));
}

/* The keeper refused it, and nobody will ask for it again. */
static void old_files_of_manifests_go_while_the_fetcher_runs(void **state)
{
    (void)state;
    make_file("t-0123456789abcdef0123456789abcdef", 100, 3 * 3600);
    make_file("t-00000000000000000000000000000000", 100, 0);
    stage_pass(3600ul * 1000 - 1000);
    assert_true(has_file("t-0123456789abcdef0123456789abcdef"));
    stage_pass(2000);
    assert_false(has_file("t-0123456789abcdef0123456789abcdef"));
    assert_true(has_file("t-00000000000000000000000000000000"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_go_when_there_are_too_many_bytes),
        TEST(one_that_is_larger_than_all_may_be_is_not_kept),
        TEST(a_spool_in_use_is_not_removed),
        TEST(no_more_than_ten_thousand_are_kept),
        TEST(a_full_disk_takes_the_oldest),
        TEST(a_new_fetcher_keeps_the_youngest),
        TEST(old_files_of_manifests_go_while_the_fetcher_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
