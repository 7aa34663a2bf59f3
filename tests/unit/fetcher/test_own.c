/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JOINs for principals with rights. Public bytes that another repository brought, on disk or in a
 * flight, are given only when the upstream confirms that the repository has them.
 */
#include <string.h>

#include "stage.h"

#define MIB (1024ul * 1024)

static struct {
    struct slice blob;
    bool sister_has_it; /* hub.test has it in a/sister too */
    bool other_has_it;  /* and other.test in a/own */
    uint64_t pause_ms;
    unsigned gets;
} script;

static void answer(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    bool is_sister = strstr(request->url, "a/sister");
    bool is_other = strstr(request->url, "other.test");

    (void)arg;
    answer->status = 404;
    if ((is_sister && !script.sister_has_it) || (is_other && !script.other_has_it))
        return;
    answer->status = 200;
    answer->body = script.blob;
    answer->pause_ms = script.pause_ms;
    script.gets += request->method == TRANSFER_GET;
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  hub.test:\n    url: https://hub.test\n"
               "  other.test:\n    url: https://other.test\n");
    fake_upstream_set(answer, NULL);
    stage_use_origin("hub.test");
    script.blob = stage_bytes(1, 2 * MIB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join(const char *origin, const char *repository)
{
    struct digest digest = stage_digest(script.blob);

    stage_use_origin(origin);
    return stage_join_own(0, JOIN_BLOB, repository, &digest);
}

static void assert_refused(uint64_t request)
{
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_NOT_FOUND);
    assert_int_equal(stage_seen(request)->opens + stage_seen(request)->heres, 0);
}

static void flight_of_another_repository_is_not_joined_without_proof(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t own = join("hub.test", "a/own");
    stage_until(stage_is_open, own);
    assert_refused(join("hub.test", "a/sister"));
    stage_until(stage_is_verified, own);
}

static void flight_that_another_repository_began_for_all_is_not_joined(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.blob);
    script.pause_ms = 10;
    uint64_t own = stage_join(1, JOIN_BLOB, "a/own", "", &digest, UINT64_MAX);
    stage_until(stage_is_open, own);
    assert_refused(join("hub.test", "a/sister"));
    assert_refused(join("other.test", "a/own"));
    stage_until(stage_is_verified, own);
}

static void flight_of_another_repository_is_joined_with_proof(void **state)
{
    (void)state;
    script.pause_ms = 10;
    script.sister_has_it = true;
    uint64_t own = join("hub.test", "a/own");
    stage_until(stage_is_open, own);
    uint64_t sister = join("hub.test", "a/sister");
    stage_until(stage_is_verified, sister);
    assert_int_equal(script.gets, 1);
    stage_assert_file(stage_seen(sister)->fd, script.blob);
    stage_until(stage_has_commits, 2);
    assert_int_equal(stage_messages(MESSAGE_LINK), 1);
}

static void word_of_one_upstream_opens_no_flight_of_another(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t own = join("hub.test", "a/own");
    stage_until(stage_is_open, own);
    assert_refused(join("other.test", "a/own"));
    script.other_has_it = true;
    uint64_t other = join("other.test", "a/own");
    stage_until(stage_is_verified, other);
    assert_int_equal(script.gets, 2);
    stage_until(stage_is_verified, own);
}

static void file_of_another_repository_is_not_here_without_proof(void **state)
{
    (void)state;
    uint64_t own = join("hub.test", "a/own");
    stage_until(stage_is_verified, own);
    stage_until(stage_has_commits, 1);
    stage_pass(60000);
    assert_refused(join("hub.test", "a/sister"));
    assert_refused(join("other.test", "a/own"));
    own = join("hub.test", "a/own");
    stage_until(stage_is_over, own);
    assert_int_equal(stage_seen(own)->heres, 1);
    script.sister_has_it = true;
    uint64_t sister = join("hub.test", "a/sister");
    stage_until(stage_is_over, sister);
    assert_int_equal(stage_seen(sister)->heres, 1);
    assert_int_equal(script.gets, 1);
}

static void what_came_without_credentials_stays_public(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.blob);
    uint64_t own = join("hub.test", "a/own");
    stage_until(stage_is_verified, own);
    stage_until(stage_has_commits, 1);
    stage_pass(60000);
    uint64_t sister = stage_join(0, JOIN_BLOB, "a/sister", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, sister);
    assert_int_equal(stage_seen(sister)->heres, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(flight_of_another_repository_is_not_joined_without_proof),
        TEST(flight_that_another_repository_began_for_all_is_not_joined),
        TEST(flight_of_another_repository_is_joined_with_proof),
        TEST(word_of_one_upstream_opens_no_flight_of_another),
        TEST(file_of_another_repository_is_not_here_without_proof),
        TEST(what_came_without_credentials_stays_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
