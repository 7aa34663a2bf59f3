/* SPDX-License-Identifier: Apache-2.0 */
/* The role as a whole: workers and keepers that start and die, draining, limits. */
#include <string.h>

#include "base/failpoint.h"
#include "fetcher/fetcher.h"
#include "oci/media_type.h"
#include "stage.h"

static struct {
    struct slice blob;
    bool needs_password;
    int head_status; /* of HEAD, instead of 200 */
    uint64_t delay_ms;
    uint64_t pause_ms;
} script;

static void answer_hub(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->delay_ms = script.delay_ms;
    answer->pause_ms = script.pause_ms;
    if (strstr(request->url, "/secret/") ||
        (script.needs_password && !strstr(request->headers, "Authorization: Basic"))) {
        answer->status = 401;
        answer->headers = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
        return;
    }
    answer->status = 200;
    if (request->method == TRANSFER_HEAD && script.head_status)
        answer->status = script.head_status;
    if (answer->status == 200)
        answer->body = script.blob;
}

static int open_with(const char *yaml)
{
    memset(&script, 0, sizeof(script));
    stage_open(yaml);
    script.blob = stage_bytes(1, 500000);
    fake_upstream_set(answer_hub, NULL);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return open_with(NULL);
}

static int setup_password(void **state)
{
    (void)state;
    open_with("  docker.io:\n    url: https://hub.test\n    default: true\n    username: me\n"
              "    password: secret\n    expose: true\n");
    script.needs_password = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join(unsigned worker, const char *repository)
{
    struct digest digest = stage_digest(script.blob);

    return stage_join(worker, JOIN_BLOB, repository, "", &digest, script.blob.length);
}

static void fetcher_tells_a_new_keeper_what_was_not_answered(void **state)
{
    (void)state;
    stage_hold_keeper(true);
    uint64_t request = join(0, "library/app");
    stage_until(stage_is_verified, request);
    stage_pass(1000);
    assert_int_equal(stage_commits(), 0);
    stage_hold_keeper(false);
    stage_replace_keeper();
    stage_until(stage_has_commits, 1);
    assert_int_equal(stage_messages(MESSAGE_BARRIER), 2);
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 2);
    assert_true(stage_was_repeated());
}

static void fetcher_forgets_a_worker_that_died(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t first = join(0, "library/app");
    uint64_t second = join(1, "library/app");
    stage_until(stage_is_open, first);
    stage_kill_worker(0);
    stage_until(stage_is_verified, second);
    assert_int_equal(stage_seen(first)->verifieds, 0);
    assert_int_equal(fake_upstream_count(), 1);
}

static void an_old_worker_keeps_what_it_follows_when_its_successor_comes(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t old = join(0, "library/app");
    stage_until(stage_is_open, old);
    stage_succeed_worker(0);
    uint64_t successors = join(0, "library/app");
    stage_until(stage_is_open, successors);
    assert_int_equal(stage_seen(old)->verifieds, 0);
    stage_until(stage_is_verified, old);
    stage_until(stage_is_verified, successors);
    stage_assert_file(stage_seen(old)->fd, script.blob);
    stage_assert_file(stage_seen(successors)->fd, script.blob);
    assert_int_equal(fake_upstream_count(), 1);
}

static void an_old_worker_that_ends_takes_nothing_from_its_successor(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t old = join(0, "library/app");
    stage_until(stage_is_open, old);
    stage_succeed_worker(0);
    uint64_t successors = join(0, "library/app");
    stage_until(stage_is_open, successors);
    stage_end_predecessor(0);
    stage_until(stage_is_verified, successors);
    assert_int_equal(stage_seen(old)->verifieds, 0);
    assert_int_equal(fake_upstream_count(), 1);
}

static void flight_with_credentials_asks_for_a_proof_of_other_repositories(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t first = join(0, "library/app");
    stage_until(stage_is_open, first);
    uint64_t other = join(1, "library/other");
    uint64_t secret = join(1, "secret/app");
    stage_until(stage_is_verified, other);
    stage_until(stage_is_over, secret);
    assert_int_equal(stage_seen(secret)->failure, ERR_UNAUTHORIZED);
    assert_int_equal(stage_seen(secret)->opens, 0);
    stage_until(stage_is_verified, first);
    stage_until(stage_has_commits, 2);
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 1);
    assert_int_equal(stage_messages(MESSAGE_LINK), 1);
}

/* Of a leftover spool, whose second follower asks for a proof while the first one's GET is running.
 * The upstream does not allow HEAD. */
static void a_refused_head_does_not_undo_what_the_download_has_proved(void **state)
{
    (void)state;
    script.pause_ms = 10;
    stage_until(stage_is_open, join(0, "library/app"));
    stage_pass(60);
    stage_restart_fetcher();
    script.head_status = 405;
    script.delay_ms = 1000;
    uint64_t first = join(0, "library/app");
    stage_pass(100);
    uint64_t second = join(1, "library/app");
    stage_until(stage_is_over, first);
    stage_until(stage_is_over, second);
    assert_int_equal(stage_seen(first)->failure, ERR_NONE);
    assert_int_equal(stage_seen(second)->failure, ERR_NONE);
    assert_int_equal(stage_seen(second)->verifieds, 1);
}

static void fetcher_refuses_joins_while_it_drains_and_then_says_so(void **state)
{
    (void)state;
    stage_hold_keeper(true);
    uint64_t request = join(0, "library/app");
    stage_until(stage_is_verified, request);
    fetcher_drain(stage_fetcher(), 60000);
    uint64_t late = join(0, "library/late");
    stage_until(stage_is_over, late);
    assert_int_equal(stage_seen(late)->failure, ERR_BUSY);
    assert_false(stage_is_drained(0));
    stage_hold_keeper(false);
    stage_replace_keeper();
    stage_until(stage_is_drained, 0);
}

static void fetcher_drains_within_the_time_given(void **state)
{
    (void)state;
    stage_hold_keeper(true);
    uint64_t request = join(0, "library/app");
    stage_until(stage_is_verified, request);
    fetcher_drain(stage_fetcher(), 3000);
    stage_pass(2000);
    assert_false(stage_is_drained(0));
    stage_pass(2000);
    assert_true(stage_is_drained(0));
}

/* With the number 0, a repeat would be compared with the whole journal. */
static void fetcher_tells_the_keeper_nothing_without_the_newest_number(void **state)
{
    (void)state;
    failpoint_arm("ledger.number", 0, 1);
    uint64_t request = join(0, "library/app");
    stage_until(stage_is_verified, request);
    stage_pass(1000);
    failpoint_clear();
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 0);
    fetcher_drain(stage_fetcher(), 60000);
    stage_until(stage_is_drained, 0);
}

/* The upstream has proved it; only the link is missing. */
static void join_that_waits_for_a_hanging_keeper_fails(void **state)
{
    (void)state;
    uint64_t first = join(0, "library/app");
    stage_until(stage_is_verified, first);
    stage_until(stage_has_commits, 1);
    stage_pass(20000);
    stage_hold_keeper(true);
    uint64_t second = join(1, "library/other");
    stage_pass(59000);
    assert_false(stage_is_over(second));
    stage_pass(2000);
    assert_true(stage_is_over(second));
    assert_int_equal(stage_seen(second)->failure, ERR_BUSY);
    stage_hold_keeper(false);
}

static void exchanges_are_at_most_so_many_an_upstream(void **state)
{
    (void)state;
    uint64_t last = 0;
    script.delay_ms = 1000;
    for (unsigned i = 0; i < 100; i++) {
        struct digest digest = stage_digest(slice_from(&i, sizeof(i)));

        last = stage_join(0, JOIN_BLOB_SIZE, "library/app", "", &digest, UINT64_MAX);
    }
    stage_pass(500);
    assert_true(fake_upstream_count() > 10 && fake_upstream_count() < 100);
    stage_until(stage_is_over, last);
    assert_int_equal(fake_upstream_count(), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(fetcher_tells_a_new_keeper_what_was_not_answered, setup),
        TEST(fetcher_forgets_a_worker_that_died, setup),
        TEST(an_old_worker_keeps_what_it_follows_when_its_successor_comes, setup),
        TEST(an_old_worker_that_ends_takes_nothing_from_its_successor, setup),
        TEST(flight_with_credentials_asks_for_a_proof_of_other_repositories, setup_password),
        TEST(a_refused_head_does_not_undo_what_the_download_has_proved, setup_password),
        TEST(fetcher_refuses_joins_while_it_drains_and_then_says_so, setup),
        TEST(fetcher_drains_within_the_time_given, setup),
        TEST(fetcher_tells_the_keeper_nothing_without_the_newest_number, setup),
        TEST(join_that_waits_for_a_hanging_keeper_fails, setup_password),
        TEST(exchanges_are_at_most_so_many_an_upstream, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
