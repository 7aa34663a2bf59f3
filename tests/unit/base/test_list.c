/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include "base/list.h"

struct item {
    int number;
    struct list link;
};

static void list_keeps_the_order_of_appending(void **state)
{
    struct list head;
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    int expected = 0;

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    for (int i = 0; i < 3; i++)
        list_append(&head, &items[i].link);
    assert_int_equal(list_length(&head), 3);
    LIST_EACH (link, &head)
        assert_int_equal(LIST_ITEM(link, struct item, link)->number, expected++);
    assert_int_equal(expected, 3);
}

static void list_remove_inside_the_loop_and_twice_is_harmless(void **state)
{
    struct list head;
    struct item items[4];
    int seen = 0;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_append(&head, &items[i].link);
    LIST_EACH (link, &head) {
        list_remove(link);
        list_remove(link);
        seen++;
    }
    assert_int_equal(seen, 4);
    assert_true(list_is_empty(&head));
    assert_int_equal(list_length(&head), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_the_order_of_appending),
        cmocka_unit_test(list_remove_inside_the_loop_and_twice_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
