/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include "base/alloc.h"

static void alloc_gives_memory_even_for_nothing(void **state)
{
    (void)state;
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0, 8);

    assert_non_null(a);
    assert_non_null(b);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
}

static void zalloc_is_zeroed(void **state)
{
    AUTO_FREE unsigned char *bytes = mem_zalloc(16, 4);

    (void)state;
    for (int i = 0; i < 64; i++)
        assert_int_equal(bytes[i], 0);
}

static void overflow_zalloc(void)
{
    mem_free(mem_zalloc(SIZE_MAX / 2, 4));
}

static void zalloc_aborts_when_the_product_overflows(void **state)
{
    (void)state;
    assert_true(aborts(overflow_zalloc));
}

static void try_alloc_refuses_nonsense_sizes(void **state)
{
    (void)state;
    void *memory = mem_try_alloc(100);

    assert_non_null(memory);
    mem_free(memory);
    assert_null(mem_try_alloc(SIZE_MAX));
    assert_null(mem_try_alloc((size_t)1 << 40));
}

static void strings_are_copied_with_their_end(void **state)
{
    AUTO_FREE char *whole = mem_strdup("hello");
    AUTO_FREE char *part = mem_strndup("hello", 2);
    AUTO_FREE char *none = mem_strndup(NULL, 0);

    (void)state;
    assert_string_equal(whole, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(none, "");
}

static void pages_are_zeroed_and_given_back(void **state)
{
    (void)state;
    char *pages = mem_alloc_pages(10000);
    assert_int_equal(pages[0], 0);
    assert_int_equal(pages[9999], 0);
    pages[9999] = 1;
    mem_free_pages(pages, 10000);
    mem_free_pages(NULL, 10000);
}

static void take_hands_over(void **state)
{
    (void)state;
    char *mine = mem_strdup("x");
    AUTO_FREE char *other = TAKE(mine);

    assert_null(mine);
    assert_string_equal(other, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_gives_memory_even_for_nothing),
        cmocka_unit_test(zalloc_is_zeroed),
        cmocka_unit_test(zalloc_aborts_when_the_product_overflows),
        cmocka_unit_test(try_alloc_refuses_nonsense_sizes),
        cmocka_unit_test(strings_are_copied_with_their_end),
        cmocka_unit_test(pages_are_zeroed_and_given_back),
        cmocka_unit_test(take_hands_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
