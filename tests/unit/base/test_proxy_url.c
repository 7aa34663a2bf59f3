/* SPDX-License-Identifier: Apache-2.0 */
/* The URLs of proxies: what is one, and how they are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/proxy_url.h"

static void urls_are_read_and_printed(void **state)
{
    static const struct url_case {
        const char *text;
        const char *whole;
        const char *shown;
    } cases[] = {
        {"proxy.test", "http://proxy.test:1080", "http://proxy.test:1080"},
        {"proxy.test:3128", "http://proxy.test:3128", "http://proxy.test:3128"},
        {"HTTP://Proxy.Test:80/", "http://Proxy.Test:80", "http://Proxy.Test:80"},
        {"https://p", "https://p:443", "https://p:443"},
        {"socks5://p", "socks5://p:1080", "socks5://p:1080"},
        {"socks5h://[::1]:9", "socks5h://[::1]:9", "socks5h://[::1]:9"},
        {"http://me:a%40b:c@p:1", "http://me:a%40b:c@p:1", "http://me@p:1"},
        {"me:x@y@p", "http://me:x@y@p:1080", "http://me@p:1080"},
        {"http://me@p", "http://me@p:1080", "http://me@p:1080"},
        {"http://me:@p", "http://me@p:1080", "http://me@p:1080"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_url url;
        AUTO_BUF struct buf whole;
        AUTO_BUF struct buf shown;

        buf_init(&whole, 200);
        buf_init(&shown, 200);
        assert_true(proxy_url_parse(slice_of(cases[i].text), &url));
        proxy_url_print(&url, true, &whole);
        proxy_url_print(&url, false, &shown);
        assert_string_equal(buf_text(&whole), cases[i].whole);
        assert_string_equal(buf_text(&shown), cases[i].shown);
    }
}

static void other_texts_are_none(void **state)
{
    static const char *const texts[] = {"",
                                        "http://",
                                        "ftp://p",
                                        "socks4://p",
                                        "://p",
                                        "http://p/x",
                                        "http://p?x",
                                        "http://p#x",
                                        "http://p:",
                                        "http://p:0",
                                        "http://p:65536",
                                        "http://p:1x",
                                        "http://:1",
                                        "http://@p",
                                        "http://:x@p",
                                        "http://a b@p",
                                        "http://a\"b@p",
                                        "http://a\\b@p",
                                        "http://[::1",
                                        "http://[]:1",
                                        "http://[p]:1",
                                        "http://[::1]x",
                                        "http://p\n",
                                        "http://p\x7f",
                                        "none or not"};
    char longest[1026];
    struct proxy_url url;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (proxy_url_parse(slice_of(texts[i]), &url))
            fail_msg("\"%s\" was taken", texts[i]);
    }
    memset(longest, 'x', sizeof(longest));
    memcpy(longest + 1000, "@p", 2);
    assert_true(proxy_url_parse(slice_from(longest, 1002), &url));
    longest[1000] = 'x';
    memcpy(longest + 1023, "@p", 2);
    assert_false(proxy_url_parse(slice_from(longest, 1025), &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read_and_printed),
        cmocka_unit_test(other_texts_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
