/* SPDX-License-Identifier: Apache-2.0 */
/* Locations of redirects: absolute, relative in every way, and with what clients escape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "location.h"
#include "net/transfer.h"

static void locations_are_resolved_as_clients_do(void **state)
{
    static const struct {
        const char *base;
        const char *location;
        const char *meant;
    } rows[] = {
        {"https://a.example:5000/v2/x/blobs/1?q=/y", "https://cdn.example/d?e=f#g",
         "https://cdn.example/d?e=f"},
        {"https://a.example:5000/v2/x/blobs/1?q=/y", "//cdn.example/d", "https://cdn.example/d"},
        {"http://a.example/v2/", "//cdn.example", "http://cdn.example"},
        {"https://a.example:5000/v2/x", "/data/1?a=b", "https://a.example:5000/data/1?a=b"},
        {"https://a.example/v2/x/blobs/1?q=/y", "2", "https://a.example/v2/x/blobs/2"},
        {"https://a.example/v2/x/blobs/1", "2/3/?a:b", "https://a.example/v2/x/blobs/2/3/?a:b"},
        {"https://a.example/v2/x/blobs/1", "./2", "https://a.example/v2/x/blobs/2"},
        {"https://a.example/v2/x/blobs/1", "../2/./3", "https://a.example/v2/x/2/3"},
        {"https://a.example/v2/x/blobs/1", "..", "https://a.example/v2/x/"},
        {"https://a.example/v2/1", "../../../../2", "https://a.example/2"},
        {"https://a.example/v2/1", "a/../b", "https://a.example/v2/b"},
        {"https://a.example", "x", "https://a.example/x"},
        {"https://a.example/v2/x?a=b", "?c=d/e", "https://a.example/v2/x?c=d/e"},
        {"https://a.example/v2/x", "/y?a=b c\\d\xc3\xa9", "https://a.example/y?a=b%20c%5Cd%C3%A9"},
        {"https://a.example/v2/x", "/y?a=%41[1]|{2}^\"<>", "https://a.example/y?a=%41[1]|{2}^\"<>"},
        {"https://a.example/v2/x", "data:text/plain,x", "data:text/plain,x"},
        {"https://a.example/v2/x", "#a", ""},
        {"https://a.example/v2/x", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO_BUF struct buf out;
        struct url_parts base;

        buf_init(&out, 8192);
        assert_true(url_split(slice_of(rows[i].base), &base));
        location_resolve(&base, slice_of(rows[i].location), &out);
        assert_string_equal(buf_text(&out), rows[i].meant);
    }
}

static void a_location_over_8192_bytes_is_none(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        AUTO_BUF struct buf location;
        AUTO_BUF struct buf out;
        struct url_parts base;

        buf_init(&location, 8193);
        buf_init(&out, 8192);
        assert_true(url_split(SLICE_LITERAL("https://a.example/v2/x"), &base));
        buf_append_text(&location, "https://a.example/");
        while (buf_bytes(&location).length < 8192 + over)
            buf_append_byte(&location, 'x');
        location_resolve(&base, buf_bytes(&location), &out);
        assert_int_equal(buf_bytes(&out).length, over ? 0 : 8192);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locations_are_resolved_as_clients_do),
        cmocka_unit_test(a_location_over_8192_bytes_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
