/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <stdio.h>

#include "base/map.h"

static void map_finds_replaces_and_removes(void **state)
{
    struct map *map = map_new();
    int one;
    int two;

    (void)state;
    assert_null(map_find(map, SLICE_LITERAL("a")));
    assert_null(map_remove(map, SLICE_LITERAL("a")));
    assert_null(map_set(map, SLICE_LITERAL("a"), &one));
    assert_ptr_equal(map_set(map, SLICE_LITERAL("a"), &two), &one);
    assert_ptr_equal(map_find(map, SLICE_LITERAL("a")), &two);
    assert_int_equal(map_count(map), 1);
    assert_ptr_equal(map_remove(map, SLICE_LITERAL("a")), &two);
    assert_int_equal(map_count(map), 0);
    assert_null(map_set(map, SLICE_LITERAL("a"), &one));
    map_free(&map);
    assert_null(map);
    map_free(&map);
}

static void map_keys_are_bytes_copied(void **state)
{
    struct map *map = map_new();
    char key[3] = {'a', '\0', 'b'};
    int one;
    int two;

    (void)state;
    map_set(map, slice_from(key, 3), &one);
    map_set(map, slice_from(key, 1), &two);
    map_set(map, slice_from(NULL, 0), &one);
    key[0] = 'z';
    assert_ptr_equal(map_find(map, slice_from("a\0b", 3)), &one);
    assert_ptr_equal(map_find(map, SLICE_LITERAL("a")), &two);
    assert_ptr_equal(map_find(map, SLICE_LITERAL("")), &one);
    assert_null(map_find(map, slice_from(key, 3)));
    map_free(&map);
}

struct visit {
    struct map *map;
    int next;
};

static void check_and_remove_even(struct slice key, void *value, void *arg)
{
    struct visit *visit = arg;
    int *number = value;

    assert_int_equal(*number, visit->next++);
    if (*number % 2 == 0)
        assert_ptr_equal(map_remove(visit->map, key), number);
}

static void map_each_is_in_order_and_may_remove_its_own(void **state)
{
    static int numbers[1000];
    struct visit visit = {.map = map_new()};
    char key[16];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i;
        (void)snprintf(key, sizeof(key), "key %d", i);
        map_set(visit.map, slice_of(key), &numbers[i]);
    }
    map_each(visit.map, check_and_remove_even, &visit);
    assert_int_equal(visit.next, 1000);
    assert_int_equal(map_count(visit.map), 500);
    assert_null(map_find(visit.map, SLICE_LITERAL("key 2")));
    assert_ptr_equal(map_find(visit.map, SLICE_LITERAL("key 999")), &numbers[999]);
    map_free(&visit.map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_finds_replaces_and_removes),
        cmocka_unit_test(map_keys_are_bytes_copied),
        cmocka_unit_test(map_each_is_in_order_and_may_remove_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
