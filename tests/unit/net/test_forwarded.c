/* SPDX-License-Identifier: Apache-2.0 */
/* Tests for net/forwarded: what proxies say of the client, and what is not believed of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/forwarded.h"
#include "net/http_parser.h"

static const struct http_limits limits = {
    .line_max = 8192, .head_max = 32768, .value_max = 16384, .fields_max = 100};
static struct http_head head;
static char text[4096];

static void parse(const char *fields)
{
    struct http_refusal refusal;
    size_t length = 0;

    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: inner:5000\r\n%s\r\n", fields);
    assert_int_equal(http_parse_head(slice_of(text), &limits, &head, &length, &refusal), HTTP_HEAD);
}

/* "" for `url`: they say nothing. */
static void check_origin(const char *fields, const char *url)
{
    struct forwarded_origin origin;
    char found[512] = "";

    parse(fields);
    if (forwarded_find_origin(&head, &origin)) {
        (void)snprintf(found, sizeof(found), "%s://%.*s", origin.is_https ? "https" : "http",
                       SLICE_PRINT(origin.host));
    }
    if (strcmp(found, url) != 0)
        fail_msg("\"%s\" instead of \"%s\": %s", found, url, fields);
}

static void origins_are_found(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"X-Forwarded-Proto: https\r\n", "https://inner:5000"},
        {"x-forwarded-proto: HTTP\r\n", "http://inner:5000"},
        {"X-Forwarded-Host: a.example\r\n", ""},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example:8443\r\n",
         "https://a.example:8443"},
        {"X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a.example , b\r\n",
         "https://a.example"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "https://inner:5000"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: [::1]:8443\r\n", "https://[::1]:8443"},
        {"Forwarded: proto=https;host=a.example\r\n", "https://a.example"},
        {"Forwarded: for=1.2.3.4;Proto=HTTPS;Host=\"a.example:8443\"\r\n",
         "https://a.example:8443"},
        {"Forwarded: for=\"[2001:db8::1]:4711\" ; host=a.example ; proto=http, for=b;host=c\r\n",
         "http://a.example"},
        {"Forwarded: proto=https\r\n", "https://inner:5000"},
        {"Forwarded: ;;proto=https;;host=a;\r\n", "https://a"},
        {"Forwarded: by=b\r\nX-Forwarded-Proto: https\r\n", "https://inner:5000"},
        {"Forwarded: proto=http;host=a\r\nX-Forwarded-Proto: https\r\n", "http://a"},
        /* the port is said elsewhere */
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 443\r\n",
         "https://a"},
        {"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\n", "http://a"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 8443\r\n", ""},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: a:8443\r\nX-Forwarded-Port: 8443, 80\r\n",
         "https://a:8443"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: [::1]\r\nX-Forwarded-Port: 443\r\n",
         "https://[::1]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_origin(rows[i][0], rows[i][1]);
}

static void nothing_else_gets_through(void **state)
{
    static const char *const bad[] = {
        "X-Forwarded-Proto: ftp\r\n",
        "X-Forwarded-Proto: javascript\r\n",
        "X-Forwarded-Proto: https://\r\n",
        "X-Forwarded-Proto: \r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example/evil\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: user@a.example\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example?x\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example#x\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a b\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: <a>\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\\b\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a%0d%0ab\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a:99999\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a:b\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: [::1\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\xc3\xa9\r\n",
        "Forwarded: proto=https;host=\"a\\b\"\r\n",
        "Forwarded: proto=https;host=\"a\r\n",
        "Forwarded: proto=https;host=a;host=b\r\n",
        "Forwarded: proto=http;proto=https;host=b\r\n",
        "Forwarded: proto=https;host=\"a/b\"\r\n",
        "Forwarded: proto = https;host=a\r\n",
        "Forwarded: proto=https host=a\r\n",
        "Forwarded: proto\r\n",
        "Forwarded: =https\r\n",
        "Forwarded: proto=\r\n",
        /* a malformed one is not replaced by the older fields */
        "Forwarded: proto\r\nX-Forwarded-Proto: https\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_origin(bad[i], "");
}

static void host_has_a_limit(void **state)
{
    char host[FORWARDED_HOST_MAX + 2];
    char fields[512];
    char url[512];

    (void)state;
    memset(host, 'a', sizeof(host));
    host[FORWARDED_HOST_MAX] = '\0';
    (void)snprintf(fields, sizeof(fields), "X-Forwarded-Proto: https\r\nX-Forwarded-Host: %s\r\n",
                   host);
    (void)snprintf(url, sizeof(url), "https://%s", host);
    check_origin(fields, url);
    (void)snprintf(fields, sizeof(fields), "X-Forwarded-Proto: https\r\nX-Forwarded-Host: %sa\r\n",
                   host);
    check_origin(fields, "");
}

static void traces_are_seen(void **state)
{
    static const char *const fields[] = {
        "Via: 1.1 x\r\n",           "forwarded: for=x\r\n",      "X-Forwarded-For: x\r\n",
        "X-Forwarded-Proto: x\r\n", "x-forwarded-server: x\r\n", "X-Real-Ip: x\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        parse(fields[i]);
        assert_true(forwarded_has_trace(&head));
    }
    parse("User-Agent: x\r\nX-Forwarded-: x\r\nViaduct: x\r\n");
    assert_false(forwarded_has_trace(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_are_found),
        cmocka_unit_test(nothing_else_gets_through),
        cmocka_unit_test(host_has_a_limit),
        cmocka_unit_test(traces_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
