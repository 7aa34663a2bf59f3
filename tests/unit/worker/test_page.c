/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "oci/operation.h"

static unsigned fill(struct page *page, unsigned names)
{
    char name[16];
    unsigned taken = 0;

    jsonio_put_array(&page->json, NULL);
    for (; taken < names; taken++) {
        (void)snprintf(name, sizeof(name), "t%04u", taken);
        if (!page_add(page, slice_of(name)))
            break;
    }
    return taken;
}

static void check_link(const struct page *page, const char *expected)
{
    struct buf link;

    buf_init(&link, 1024);
    page_link(page, "/v2/a/tags/list", "", &link);
    assert_string_equal(buf_text(&link), expected);
    buf_cleanup(&link);
}

static void whole_list_without_n(void **state)
{
    (void)state;
    struct operation operation = {.has_n = false};
    struct page page;
    page_init(&page, &operation, 1000);
    assert_int_equal(fill(&page, 3000), 3000);
    check_link(&page, "");
    page_cleanup(&page);
}

static void page_stops_at_n_and_links_to_the_next(void **state)
{
    (void)state;
    struct operation operation = {.has_n = true, .n = 2};
    struct page page;
    page_init(&page, &operation, 1000);
    assert_int_equal(fill(&page, 3), 2);
    assert_string_equal(buf_text(&page.body), "[\"t0000\",\"t0001\"");
    check_link(&page, "</v2/a/tags/list?n=2&last=t0001>; rel=\"next\"");
    page_cleanup(&page);
}

static void last_page_has_no_link(void **state)
{
    (void)state;
    struct operation operation = {.has_n = true, .n = 3};
    struct page page;
    page_init(&page, &operation, 1000);
    assert_int_equal(fill(&page, 3), 3);
    check_link(&page, "");
    page_cleanup(&page);
}

static void n_of_nothing_is_an_empty_list_without_a_link(void **state)
{
    (void)state;
    struct operation operation = {.has_n = true, .n = 0};
    struct page page;
    page_init(&page, &operation, 1000);
    assert_int_equal(fill(&page, 3), 0);
    assert_string_equal(buf_text(&page.body), "[");
    check_link(&page, "");
    page_cleanup(&page);
}

static void huge_n_is_cut_to_a_thousand(void **state)
{
    (void)state;
    struct operation operation = {.has_n = true, .n = UINT32_MAX};
    struct page page;
    page_init(&page, &operation, 1000);
    assert_int_equal(fill(&page, 3000), 1000);
    check_link(&page, "</v2/a/tags/list?n=1000&last=t0999>; rel=\"next\"");
    page_cleanup(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_list_without_n),
        cmocka_unit_test(page_stops_at_n_and_links_to_the_next),
        cmocka_unit_test(last_page_has_no_link),
        cmocka_unit_test(n_of_nothing_is_an_empty_list_without_a_link),
        cmocka_unit_test(huge_n_is_cut_to_a_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
