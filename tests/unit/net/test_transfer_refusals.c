/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl refuses ends the transfer, and is named; nothing goes on without it. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "fakes/names.h"
#include "net/loop.h"
#include "net/transfer.h"
#include "transfer_fixture.h"

#ifdef ENTREPOT_FAILPOINTS

static int setup(void **state)
{
    failpoint_clear();
    return fixture_setup(state);
}

static int teardown(void **state)
{
    failpoint_clear();
    return fixture_teardown(state);
}

/* Starts a PUT whose call number `skip` at the failpoint fails. True: it ended with an error, and
 * nothing was sent. */
static bool is_refused(const char *failpoint, unsigned skip, struct error *out)
{
    const struct transfer_body body = {.bytes = SLICE_LITERAL("{}")};

    *out = (struct error){0};
    client_next();
    client.body = &body;
    fake_name_set("registry.test", "127.0.0.1", 0);
    client.host = "registry.test";
    failpoint_arm(failpoint, skip, 1);
    int rc = client_try(TRANSFER_PUT, EMPTY_ANSWER, 0, out);
    if (rc == 0) {
        client_run();
        *out = client.err;
    }
    failpoint_clear();
    if (out->kind == ERR_NONE)
        return false;
    assert_int_equal(out->kind, ERR_INTERNAL);
    assert_string_equal(server.head, "");
    return true;
}

static void every_option_that_is_refused_ends_the_transfer(void **state)
{
    char seen[8000] = "";
    struct error err;
    unsigned refused = 0;

    (void)state;
    while (is_refused("transfer.option", refused, &err)) {
        const char *name = strstr(err.text, "CURLOPT_");

        assert_non_null(name);
        (void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s\n", name);
        refused++;
    }
    assert_in_range(refused, 25, 100);
    static const char *const wanted[] = {
        "CURLOPT_PROTOCOLS_STR:",      "CURLOPT_PROXY:",        "CURLOPT_SSL_VERIFYPEER:",
        "CURLOPT_OPENSOCKETFUNCTION:", "CURLOPT_HTTPHEADER:",   "CURLOPT_RESOLVE:",
        "CURLOPT_INFILESIZE_LARGE:",   "CURLOPT_CUSTOMREQUEST:"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!strstr(seen, wanted[i]))
            fail_msg("%s is not checked", wanted[i]);
    }
    client_check();
}

static void lists_that_have_no_memory_end_the_transfer(void **state)
{
    struct error err;

    (void)state;
    assert_true(is_refused("transfer.list", 0, &err)); /* of headers: Expect */
    assert_true(is_refused("transfer.list", 1, &err)); /* ours */
    assert_true(is_refused("transfer.list", 2, &err)); /* of addresses */
    assert_false(is_refused("transfer.list", 3, &err));
}

static void handles_that_are_not_taken_end_the_transfer(void **state)
{
    struct error err;

    (void)state;
    assert_true(is_refused("transfer.multi", 0, &err));
    assert_true(is_refused("transfer.add", 0, &err));
    assert_non_null(strstr(err.text, "curl_multi_add_handle"));
    assert_false(is_refused("transfer.add", 1, &err));
}

static void a_multi_handle_that_fails_is_made_again(void **state)
{
    static const char *const failpoints[] = {"transfer.drive", "transfer.watch"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(failpoints) / sizeof(failpoints[0]); i++) {
        assert_true(is_refused(failpoints[i], 0, &err));
        assert_non_null(strstr(err.text, "curl_multi_socket_action"));
        client_next();
        client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
        client_check();
    }
}

static void a_transfer_that_cannot_be_resumed_ends(void **state)
{
    (void)state;
    client.pauses_wanted = 1;
    failpoint_arm("transfer.unpause", 0, 1);
    client_start(TRANSFER_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n", BLOB_SIZE);
    client_run();
    assert_int_equal(client.err.kind, ERR_UPSTREAM);
    assert_int_equal(client.pauses, 1);
}

#endif

static void header_lines_with_breaks_are_refused(void **state)
{
    static const char *const bad[] = {"X: 1\r\nY: 2", "X: 1\n", "X", ": 1", "", "X: \r"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *const headers[] = {"A: 1", bad[i], NULL};
        struct transfer_request request = {.url = "http://127.0.0.1/", .headers = headers};
        struct transfer *transfer = NULL;

        if (transfer_start(server.set, &request, NULL, NULL, &transfer, &err) != -ERR_INVALID)
            fail_msg("header %zu is taken", i);
    }
    client_start(TRANSFER_GET, EMPTY_ANSWER, 0);
    client_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef ENTREPOT_FAILPOINTS
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(every_option_that_is_refused_ends_the_transfer),
        TEST(lists_that_have_no_memory_end_the_transfer),
        TEST(handles_that_are_not_taken_end_the_transfer),
        TEST(a_multi_handle_that_fails_is_made_again),
        TEST(a_transfer_that_cannot_be_resumed_ends),
#endif
        cmocka_unit_test_setup_teardown(header_lines_with_breaks_are_refused, fixture_setup,
                                        fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
