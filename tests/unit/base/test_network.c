/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for base/network: what is an address, what is a network, and what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/network.h"

static bool has(const char *text, const char *address_text)
{
    struct network network;
    struct ip_address address;
    struct error err;

    assert_int_equal(network_parse(slice_of(text), &network, &err), 0);
    assert_true(ip_address_parse(slice_of(address_text), &address));
    return network_has(&network, &address);
}

static void networks_have_addresses(void **state)
{
    (void)state;
    assert_true(has("10.0.0.7", "10.0.0.7"));
    assert_false(has("10.0.0.7", "10.0.0.8"));
    assert_true(has("10.0.0.7/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.0"));
    assert_true(has("192.168.16.0/20", "192.168.31.255"));
    assert_false(has("192.168.16.0/20", "192.168.32.0"));
    assert_true(has("0.0.0.0/0", "255.1.2.3"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("::/0", "10.0.0.1"));
    assert_true(has("fd00::/8", "fd12::1"));
    assert_false(has("fd00::/8", "fc00::1"));
    assert_true(has("2001:db8::1", "2001:DB8:0::1"));
    assert_true(has("10.0.0.0/31", "::ffff:10.0.0.1"));
    assert_false(has("10.0.0.0/31", "10.0.0.2"));
}

static void nothing_else_is_one(void **state)
{
    static const char *const bad[] = {
        "",        "10.0.0",      "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1", "10.0.0.0/8/8",
        "::1/129", "[::1]",       "host",        "10.0.0.1:80", " 10.0.0.1",   "10.0.0.256",
        "/8",      "fe80::1%eth0"};
    struct network network;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(network_parse(slice_of(bad[i]), &network, &err), -ERR_INVALID);
        assert_non_null(strstr(err.text, "10.0.0.0/8"));
    }
    struct ip_address address;
    assert_false(ip_address_parse(slice_from("10.0.0.1\0", 9), &address));
    assert_false(ip_address_parse(slice_of(NULL), &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_addresses),
        cmocka_unit_test(nothing_else_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
