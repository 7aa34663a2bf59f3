/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for worker/trust: who is the client when proxies name one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "net/forwarded.h"
#include "net/http_parser.h"
#include "trust.h"

#define PROXY "10.0.0.1:4711"

static const struct http_limits limits = {
    .line_max = 8192, .head_max = 32768, .value_max = 16384, .fields_max = 100};
static struct trust trust;

static void believe(char **entries, size_t count)
{
    const struct config_list list = {entries, count};

    trust_fill(&trust, &list);
}

static int set_up(void **state)
{
    static char v4[] = "10.0.0.0/24";
    static char v6[] = "fd00::/8";
    static char local[] = "unix";
    char *entries[] = {v4, v6, local};

    (void)state;
    believe(entries, 3);
    return 0;
}

/* `client`: NULL when it is the peer. */
static void check(const char *peer, const char *fields, const char *client)
{
    char text[8192];
    struct http_head head;
    struct http_refusal refusal;
    size_t length = 0;

    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);
    assert_int_equal(http_parse_head(slice_of(text), &limits, &head, &length, &refusal), HTTP_HEAD);
    AUTO_FREE char *found = trust_find_client(&trust, &head, peer);
    if (strcmp(found ? found : "peer", client ? client : "peer") != 0)
        fail_msg("%s instead of %s: %s", found ? found : "peer", client ? client : "peer", fields);
}

static void client_is_the_nearest_that_is_no_proxy(void **state)
{
    (void)state;
    check(PROXY, "", NULL);
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    check("unix", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    check("[fd00::1]:80", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1");
    check(PROXY, "X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1:4711");
    check(PROXY, "X-Forwarded-For: [2001:db8::1]:4711\r\n", "[2001:db8::1]:4711");
    /* what the client has put before it is not believed */
    check(PROXY, "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n", "192.0.2.1");
    check(PROXY, "X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.2 , fd00::7\r\n", "192.0.2.1");
    check(PROXY, "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    check(PROXY, "X-Forwarded-For: junk, 192.0.2.1\r\n", "192.0.2.1");
    /* all are proxies: a client in their network */
    check(PROXY, "X-Forwarded-For: 10.0.0.9, 10.0.0.2\r\n", "10.0.0.9");
    /* Forwarded */
    check(PROXY, "Forwarded: for=192.0.2.1\r\n", "192.0.2.1");
    check(PROXY,
          "Forwarded: for=203.0.113.9, For=\"[2001:db8::1]:4711\";proto=http, for=10.0.0.2\r\n",
          "[2001:db8::1]:4711");
    check(PROXY, "Forwarded: for=203.0.113.9\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1");
}

static void nobody_else_is_believed(void **state)
{
    (void)state;
    check("192.0.2.7:80", "X-Forwarded-For: 203.0.113.9\r\n", NULL);
    check("192.0.2.7:80", "Forwarded: for=203.0.113.9\r\n", NULL);
    check(PROXY, "X-Real-IP: 203.0.113.9\r\n", NULL);
    /* the last proxy names nobody */
    check(PROXY, "X-Forwarded-For: 203.0.113.9, unknown\r\n", NULL);
    check(PROXY, "X-Forwarded-For: 203.0.113.9,\r\n", NULL);
    check(PROXY, "X-Forwarded-For: 192.0.2.1:99999\r\n", NULL);
    check(PROXY, "X-Forwarded-For: [192.0.2.1\r\n", NULL);
    check(PROXY, "Forwarded: for=_hidden\r\n", NULL);
    check(PROXY, "Forwarded: for=203.0.113.9, proto=http\r\n", NULL);
    check(PROXY, "Forwarded: for=203.0.113.9, for=\r\n", NULL);
    /* a middle one is unknown: the proxy behind it is as near as one gets */
    check(PROXY, "X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2\r\n", "10.0.0.2");
}

static void two_fields_must_agree(void **state)
{
    (void)state;
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1");
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=203.0.113.9\r\n", NULL);
    check(PROXY, "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 203.0.113.9\r\n", NULL);
    /* they write one address in two ways */
    check(PROXY, "X-Forwarded-For: 2001:db8::1\r\nForwarded: for=\"[2001:DB8:0::1]:4711\"\r\n",
          "2001:db8::1");
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=\"192.0.2.1:80\"\r\n", "192.0.2.1");
    check(PROXY, "X-Forwarded-For: unknown\r\nForwarded: for=192.0.2.1\r\n", NULL);
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=unknown\r\n", NULL);
    check(PROXY, "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2;for=192.0.2.1\r\n",
          "192.0.2.1");
}

static void only_the_last_hops_count(void **state)
{
    char fields[1024] = "X-Forwarded-For: 192.0.2.1";

    (void)state;
    for (unsigned i = 0; i < FORWARDED_HOPS_MAX - 1; i++)
        strcat(fields, ", 10.0.0.2");
    strcat(fields, "\r\n");
    check(PROXY, fields, "192.0.2.1");
    (void)snprintf(fields, sizeof(fields), "X-Forwarded-For: 192.0.2.1, 10.0.0.3");
    for (unsigned i = 0; i < FORWARDED_HOPS_MAX - 1; i++)
        strcat(fields, ", 10.0.0.2");
    strcat(fields, "\r\n");
    check(PROXY, fields, "10.0.0.3");
}

static void without_the_setting_nobody_is(void **state)
{
    (void)state;
    believe(NULL, 0);
    assert_false(trust_is_set(&trust));
    check(PROXY, "X-Forwarded-For: 203.0.113.9\r\n", NULL);
    check("unix", "X-Forwarded-For: 203.0.113.9\r\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(client_is_the_nearest_that_is_no_proxy, set_up),
        cmocka_unit_test_setup(nobody_else_is_believed, set_up),
        cmocka_unit_test_setup(two_fields_must_agree, set_up),
        cmocka_unit_test_setup(only_the_last_hops_count, set_up),
        cmocka_unit_test_setup(without_the_setting_nobody_is, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
