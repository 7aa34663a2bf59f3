/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions in shared memory, from one process and from several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "store/upload_table.h"

static struct error err;

static struct upload_id id(uint8_t number)
{
    struct upload_id out = {.version = 1};

    out.random[0] = number;
    out.random[15] = number;
    return out;
}

static void hash_zeros(struct hash *hash, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        hash_update(hash, "", 1);
}

static struct upload_progress session(uint64_t offset, uint64_t repository, uint64_t used)
{
    struct upload_progress out;

    memset(&out, 0, sizeof(out));
    hash_init(&out.hash, HASH_SHA256);
    hash_zeros(&out.hash, offset);
    out.offset = offset;
    out.repository_key = repository;
    out.used_ms = used;
    return out;
}

static void what_is_set_is_got_by_another_mapping(void **state)
{
    (void)state;
    int fd = -1;
    struct upload_table *one = NULL;
    struct upload_table *two = NULL;
    struct upload_id a = id(1);
    struct upload_progress in = session(0, 5, 6);
    struct upload_progress out;
    assert_int_equal(upload_table_create(8, &fd, &err), 0);
    assert_int_equal(upload_table_attach(fd, &one, &err), 0);
    assert_int_equal(upload_table_attach(fd, &two, &err), 0);
    fd_close(&fd);
    assert_false(upload_table_get(two, &a, &out));
    assert_int_equal(upload_table_add(one, &a, &in, &err), 0);
    hash_update(&in.hash, "hello", 5);
    in.offset = 5;
    assert_int_equal(upload_table_set(one, &a, &in, &err), 0);
    assert_true(upload_table_get(two, &a, &out));
    assert_int_equal(out.offset, 5);
    uint8_t left[HASH_SIZE_MAX];
    uint8_t right[HASH_SIZE_MAX];
    hash_final(&in.hash, left);
    hash_final(&out.hash, right);
    assert_memory_equal(left, right, 32);
    upload_table_detach(&one);
    upload_table_detach(&two);
}

static void a_full_table_is_busy_until_one_leaves(void **state)
{
    (void)state;
    struct upload_table *table = NULL;
    struct upload_progress in = session(1, 2, 3);
    assert_int_equal(upload_table_new(3, &table, &err), 0);
    for (uint8_t i = 1; i <= 3; i++) {
        struct upload_id one = id(i);

        assert_int_equal(upload_table_add(table, &one, &in, &err), 0);
    }
    struct upload_id four = id(4);
    struct upload_id two = id(2);
    struct upload_progress out;
    assert_int_equal(upload_table_add(table, &four, &in, &err), -ERR_BUSY);
    assert_int_equal(upload_table_count(table), 3);
    upload_table_remove(table, &two);
    upload_table_remove(table, &two);
    assert_int_equal(upload_table_count(table), 2);
    assert_false(upload_table_get(table, &two, &out));
    assert_int_equal(upload_table_add(table, &four, &in, &err), 0);
    assert_true(upload_table_get(table, &four, &out));
    upload_table_detach(&table);
}

static void an_id_with_the_same_first_half_is_another(void **state)
{
    (void)state;
    struct upload_table *table = NULL;
    struct upload_progress in = session(1, 2, 3);
    struct upload_id a = id(1);
    struct upload_id b = id(1);
    struct upload_progress out;
    b.random[15] = 99;
    assert_int_equal(upload_table_new(3, &table, &err), 0);
    assert_int_equal(upload_table_add(table, &a, &in, &err), 0);
    assert_false(upload_table_get(table, &b, &out));
    upload_table_detach(&table);
}

static void sessions_are_counted_by_repository(void **state)
{
    (void)state;
    struct upload_table *table = NULL;
    assert_int_equal(upload_table_new(8, &table, &err), 0);
    for (uint8_t i = 1; i <= 4; i++) {
        struct upload_id one = id(i);
        struct upload_progress in = session(0, i % 2, 100u - i);

        assert_int_equal(upload_table_add(table, &one, &in, &err), 0);
    }
    assert_int_equal(upload_table_count_of(table, 1), 2);
    assert_int_equal(upload_table_count_of(table, 7), 0);
    struct slice name = SLICE_LITERAL("team/app");
    struct slice other = SLICE_LITERAL("team/apq");
    assert_true(upload_repository_key(&name) != upload_repository_key(&other));
    upload_table_detach(&table);
}

static void assert_idlest(const struct upload_table *table, const uint64_t *repository_key,
                          uint64_t before_ms, unsigned max, const char *numbers)
{
    struct upload_idle idle[8];
    struct upload_choice choice = {.repository_key = repository_key, .before_ms = before_ms};
    unsigned count = upload_table_idlest(table, &choice, idle, max);

    assert_int_equal(count, strlen(numbers));
    for (unsigned i = 0; i < count; i++) {
        struct upload_id expected = id((uint8_t)(numbers[i] - '0'));

        assert_true(upload_id_equal(&idle[i].id, &expected));
        assert_int_equal(idle[i].repository_key, (numbers[i] - '0') % 2);
    }
}

static void idlest_come_in_the_order_of_their_last_use(void **state)
{
    (void)state;
    struct upload_table *table = NULL;
    const uint64_t used_ms[] = {30, 10, 50, 20, 40};
    const uint64_t odd = 1;
    assert_int_equal(upload_table_new(8, &table, &err), 0);
    assert_idlest(table, NULL, UINT64_MAX, 8, "");
    for (uint8_t i = 1; i <= 5; i++) {
        struct upload_id one = id(i);
        struct upload_progress in = session(0, i % 2, used_ms[i - 1]);

        assert_int_equal(upload_table_add(table, &one, &in, &err), 0);
    }
    assert_idlest(table, NULL, UINT64_MAX, 8, "24153");
    assert_idlest(table, NULL, UINT64_MAX, 3, "241");
    assert_idlest(table, NULL, UINT64_MAX, 1, "2");
    assert_idlest(table, NULL, 30, 8, "24");
    assert_idlest(table, &odd, UINT64_MAX, 8, "153");
    assert_idlest(table, &odd, UINT64_MAX, 2, "15");
    upload_table_detach(&table);
}

/* A child writes the same slot over and over; every copy we get is whole. */
static void a_copy_is_never_half_old_and_half_new(void **state)
{
    (void)state;
    int fd = -1;
    struct upload_table *table = NULL;
    struct upload_id a = id(1);
    struct upload_progress in = session(0, 0, 0);
    assert_int_equal(upload_table_create(4, &fd, &err), 0);
    assert_int_equal(upload_table_attach(fd, &table, &err), 0);
    fd_close(&fd);
    assert_int_equal(upload_table_add(table, &a, &in, &err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (uint64_t i = 1; i <= 200000; i++) {
            in.offset = in.repository_key = in.used_ms = i;
            hash_update(&in.hash, "", 1);
            if (upload_table_set(table, &a, &in, &err) != 0)
                _exit(1);
        }
        _exit(0);
    }
    uint64_t last = 0;
    while (last < 200000) {
        struct upload_progress out;

        if (!upload_table_get(table, &a, &out))
            continue;
        assert_true(out.offset == out.repository_key && out.offset == out.used_ms);
        assert_true(out.offset >= last);
        last = out.offset;
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    upload_table_detach(&table);
}

/* Another process wrote it: what a hash says of itself is not believed. */
static void damaged_hash_is_not_handed_out(void **state)
{
    (void)state;
    struct upload_table *table = NULL;
    struct upload_id a = id(1);
    struct upload_progress out;
    assert_int_equal(upload_table_new(3, &table, &err), 0);
    for (size_t at = 0; at < sizeof(out.hash.state); at++) {
        struct upload_progress in = session(70, 0, 0);
        uint8_t block[64] = {0};
        uint8_t digest[HASH_SIZE_MAX];

        in.hash.state[at] ^= 0x55;
        assert_int_equal(upload_table_set(table, &a, &in, &err), 0);
        if (upload_table_get(table, &a, &out)) { /* the sanitizers watch */
            hash_update(&out.hash, block, sizeof(block));
            hash_final(&out.hash, digest);
        }
    }
    struct upload_progress in = session(70, 0, 0);
    in.offset = 69;
    assert_int_equal(upload_table_set(table, &a, &in, &err), 0);
    assert_false(upload_table_get(table, &a, &out));
    in.offset = 70;
    in.hash.algorithm = HASH_SHA512;
    assert_int_equal(upload_table_set(table, &a, &in, &err), 0);
    assert_false(upload_table_get(table, &a, &out));
    upload_table_detach(&table);
}

static void a_foreign_table_is_refused(void **state)
{
    (void)state;
    int fd = -1;
    struct upload_table *table = NULL;
    assert_int_equal(upload_table_create(4, &fd, &err), 0);
    assert_int_equal(fd_pwrite_all(fd, "x", 1, 0, &err), 0);
    assert_int_equal(upload_table_attach(fd, &table, &err), -ERR_CORRUPT);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_is_got_by_another_mapping),
        cmocka_unit_test(a_full_table_is_busy_until_one_leaves),
        cmocka_unit_test(an_id_with_the_same_first_half_is_another),
        cmocka_unit_test(sessions_are_counted_by_repository),
        cmocka_unit_test(idlest_come_in_the_order_of_their_last_use),
        cmocka_unit_test(a_copy_is_never_half_old_and_half_new),
        cmocka_unit_test(damaged_hash_is_not_handed_out),
        cmocka_unit_test(a_foreign_table_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
