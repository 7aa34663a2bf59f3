/* SPDX-License-Identifier: Apache-2.0 */
/* Flights: sharing, resuming, starting over, lies, late joins, a new fetcher, credentials. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "ipc/metrics.h"
#include "oci/media_type.h"
#include "stage.h"

#define MIB (1024ul * 1024)

/* How the upstream behaves in this test. */
static struct {
    struct slice blob;
    struct slice other; /* what it sends on the first try instead */
    uint64_t cut_at;    /* of the first answer */
    unsigned answers;
    bool has_no_range;
    bool has_no_length;
    const char *wrong_range;
    uint64_t pause_ms;
    char range[100];
} script;

static void answer_blob(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    unsigned number = script.answers++;
    struct slice body = number == 0 && script.other.data ? script.other : script.blob;

    answer->status = 200;
    answer->body = body;
    answer->pause_ms = script.pause_ms;
    answer->has_no_length = script.has_no_length;
    if (number == 0 && script.cut_at > 0) {
        answer->is_cut = true;
        answer->cut_at = script.cut_at;
    }
    if (request->range_start == 0 || script.has_no_range)
        return;
    answer->status = 206;
    answer->body = slice_skip(body, (size_t)request->range_start);
    (void)snprintf(script.range, sizeof(script.range), "Content-Range: bytes %llu-%llu/%llu\r\n",
                   (unsigned long long)request->range_start, (unsigned long long)body.length - 1,
                   (unsigned long long)body.length);
    answer->headers = script.wrong_range ? script.wrong_range : script.range;
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open(NULL);
    fake_upstream_set(answer_blob, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join(unsigned worker, const struct digest *digest)
{
    return stage_join(worker, JOIN_BLOB, "library/app", "", digest, script.blob.length);
}

static void flight_serves_many_joins_with_one_download(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 3 * MIB + 77);
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    uint64_t second = join(1, &digest);
    stage_until(stage_is_open, first);
    uint64_t third = join(0, &digest);

    stage_until(stage_is_verified, first);
    stage_until(stage_is_verified, second);
    stage_until(stage_is_verified, third);
    stage_until(stage_has_commits, 1);
    assert_int_equal(fake_upstream_count(), 1);
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 1);
    assert_int_equal(stage_seen(first)->size, script.blob.length);
    assert_true(stage_seen(first)->grews > 0);
    stage_assert_file(stage_seen(first)->fd, script.blob);
    stage_assert_file(stage_seen(third)->fd, script.blob);
}

static void flight_of_an_empty_blob_is_verified(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 0);
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(stage_seen(request)->size, 0);
}

static void flight_without_known_size_ends_with_it(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, MIB);
    struct digest digest = stage_digest(script.blob);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_verified, request);
    assert_int_equal(stage_seen(request)->size, MIB);
}

static void flight_answers_here_what_the_ledger_has(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 1000);
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_verified, first);
    stage_until(stage_has_commits, 1);
    uint64_t late = join(1, &digest);
    stage_until(stage_is_over, late);
    assert_int_equal(stage_seen(late)->heres, 1);
    assert_int_equal(fake_upstream_count(), 1);
}

static void flight_answers_a_join_between_verified_and_stored(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    struct digest digest = stage_digest(script.blob);
    stage_hold_keeper(true);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_verified, first);
    stage_pass(60000);
    uint64_t late = join(1, &digest);
    stage_until(stage_is_verified, late);
    assert_int_equal(fake_upstream_count(), 1);
    stage_assert_file(stage_seen(late)->fd, script.blob);
}

static void flight_resumes_with_range_after_a_cut(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.cut_at = MIB + 5;
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(fake_upstream_count(), 2);
    assert_int_equal(fake_upstream_at(1)->range_start, MIB + 5);
    assert_int_equal(stage_seen(request)->opens, 1);
    assert_int_equal(stage_seen(request)->takens, 0);
    stage_assert_file(stage_seen(request)->fd, script.blob);
}

static void flight_moves_followers_when_the_upstream_starts_over(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.cut_at = MIB;
    script.has_no_range = true;
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(stage_seen(request)->takens, 1);
    assert_true(stage_seen(request)->same_until > 0 && stage_seen(request)->same_until <= MIB);
    stage_assert_file(stage_seen(request)->fd, script.blob);
}

/* The second take answers the cut with that header: the third begins at the start. */
static void assert_starts_over_after(const char *wrong_range)
{
    script.blob = stage_bytes(1, 2 * MIB);
    script.cut_at = MIB;
    script.wrong_range = wrong_range;
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(fake_upstream_count(), 3);
    assert_int_equal(fake_upstream_at(2)->range_start, 0);
    stage_assert_file(stage_seen(request)->fd, script.blob);
}

static void flight_starts_over_after_a_wrong_range(void **state)
{
    (void)state;
    assert_starts_over_after("Content-Range: bytes 0-2097151/2097152\r\n");
}

static void flight_starts_over_after_a_range_beyond_numbers(void **state)
{
    (void)state;
    assert_starts_over_after("Content-Range: bytes 1048576-18446744073709551615/0\r\n");
}

static void flight_tells_where_a_new_take_differs(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.other = stage_bytes(1, 2 * MIB);
    char *lie = NULL;
    memcpy(&lie, &script.other.data, sizeof(lie));
    lie[300000] ^= 1;
    script.cut_at = MIB;
    script.has_no_range = true;
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(stage_seen(request)->takens, 1);
    assert_int_equal(stage_seen(request)->same_until, 300000);
    assert_true(stage_seen(request)->is_strict);
}

static void flight_never_verifies_a_lie(void **state)
{
    (void)state;
    struct slice truth = stage_bytes(1, MIB);
    script.blob = stage_bytes(2, MIB);
    struct digest digest = stage_digest(truth);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->verifieds, 0);
    assert_int_equal(stage_seen(request)->failure, ERR_DIGEST_MISMATCH);
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 0);
}

static void flight_is_strict_after_a_lie_and_gets_the_truth(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, MIB);
    script.other = stage_bytes(2, MIB);
    struct digest digest = stage_digest(script.blob);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_verified, request);
    assert_int_equal(stage_seen(request)->takens, 1);
    assert_int_equal(stage_seen(request)->same_until, 0);
    stage_assert_file(stage_seen(request)->fd, script.blob);
}

static void answer_404(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)request;
    (void)arg;
    answer->status = 404;
}

static void flight_believes_404(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 100);
    struct digest digest = stage_digest(script.blob);
    fake_upstream_set(answer_404, NULL);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_NOT_FOUND);
    assert_int_equal(fake_upstream_count(), 1);
}

static void answer_one_repository(const struct fake_request *request, struct fake_answer *answer,
                                  void *arg)
{
    if (strstr(request->url, "/library/absent/"))
        answer->status = 404;
    else
        answer_blob(request, answer, arg);
}

static void flight_fails_only_followers_of_the_source_that_refuses(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, MIB);
    struct digest digest = stage_digest(script.blob);
    fake_upstream_set(answer_one_repository, NULL);
    uint64_t bad = stage_join(0, JOIN_BLOB, "library/absent", "", &digest, MIB);
    uint64_t good = join(1, &digest);
    stage_until(stage_is_verified, good);
    assert_int_equal(stage_seen(bad)->failure, ERR_NOT_FOUND);
    assert_int_equal(stage_seen(good)->faileds, 0);
}

static void answer_refused(const struct fake_request *request, struct fake_answer *answer,
                           void *arg)
{
    (void)request;
    (void)arg;
    answer->failure = ERR_UPSTREAM;
}

static void flight_gives_up_after_the_retries(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 100);
    struct digest digest = stage_digest(script.blob);
    fake_upstream_set(answer_refused, NULL);
    uint64_t request = join(0, &digest);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_UPSTREAM);
    assert_int_equal(fake_upstream_count(), 4);
}

/* All downloads break off, and for a moment connections are refused. */
static struct {
    struct slice blobs[8];
    char paths[8][100];
    uint64_t until_ms;
    uint64_t lasts_ms;
    char range[100];
} blip;

static void answer_blip(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    size_t index = 0;

    (void)arg;
    while (!strstr(request->url, blip.paths[index]))
        index++;
    answer->status = 200;
    answer->body = blip.blobs[index];
    if (request->range_start == 0) {
        answer->is_cut = true;
        answer->cut_at = MIB / 2;
        blip.until_ms = clock_mono().ms + blip.lasts_ms;
        return;
    }
    if (clock_mono().ms < blip.until_ms) {
        answer->status = 0;
        answer->failure = ERR_UPSTREAM;
        return;
    }
    answer->status = 206;
    answer->body = slice_skip(answer->body, (size_t)request->range_start);
    (void)snprintf(blip.range, sizeof(blip.range), "Content-Range: bytes %llu-%lu/%lu\r\n",
                   (unsigned long long)request->range_start, MIB - 1, MIB);
    answer->headers = blip.range;
}

static void start_blip(uint64_t lasts_ms, uint64_t requests[8])
{
    fake_upstream_set(answer_blip, NULL);
    blip.lasts_ms = lasts_ms;
    for (unsigned i = 0; i < 8; i++) {
        blip.blobs[i] = stage_bytes(i, MIB);
        struct digest digest = stage_digest(blip.blobs[i]);
        digest_print(&digest, blip.paths[i]);
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digest, MIB);
    }
}

static void flights_survive_a_short_outage(void **state)
{
    uint64_t requests[8];

    (void)state;
    start_blip(400, requests);
    for (unsigned i = 0; i < 8; i++)
        stage_until(stage_is_verified, requests[i]);
}

static void flights_of_an_upstream_that_stays_down_end(void **state)
{
    uint64_t requests[8];

    (void)state;
    start_blip(3600000, requests);
    for (unsigned i = 0; i < 12; i++)
        stage_pass(10000);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(stage_seen(requests[i])->failure, ERR_UPSTREAM);
}

static void flight_resumes_after_all_failed_and_somebody_asks_again(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.cut_at = MIB;
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_open, first);
    fake_upstream_set(answer_refused, NULL);
    stage_until(stage_is_over, first);
    assert_int_equal(stage_seen(first)->faileds, 1);
    stage_pass(60000);
    fake_upstream_set(answer_blob, NULL);
    uint64_t second = join(0, &digest);
    stage_until(stage_is_verified, second);
    assert_true(fake_upstream_at(0)->range_start > 0);
}

static void flight_of_a_new_fetcher_carries_on_the_spool(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.pause_ms = 10;
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_open, first);
    stage_pass(500);
    assert_true(stage_seen(first)->bytes > 0);
    stage_restart_fetcher();
    script.pause_ms = 0;
    uint64_t second = join(0, &digest);
    stage_until(stage_is_verified, second);
    assert_int_equal(fake_upstream_count(), 2);
    assert_true(fake_upstream_at(1)->range_start > 0);
    stage_assert_file(stage_seen(second)->fd, script.blob);
}

static void flight_of_a_new_fetcher_needs_no_download_for_a_whole_spool(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    struct digest digest = stage_digest(script.blob);
    stage_hold_keeper(true);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_verified, first);
    stage_restart_fetcher();
    stage_hold_keeper(false);
    uint64_t second = join(0, &digest);
    stage_until(stage_is_over, second);
    assert_int_equal(stage_seen(second)->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 1);
}

static void fetcher_answers_nothing_before_the_barrier(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 1000);
    struct digest digest = stage_digest(script.blob);
    stage_stop_fetcher();
    stage_start_fetcher(false);
    uint64_t request = join(0, &digest);
    stage_pass(4000);
    assert_false(stage_is_over(request));
    stage_pass(2000);
    stage_until(stage_is_verified, request);
}

static void flight_is_paused_when_nobody_follows_and_goes_on_by_range(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 80 * MIB);
    script.pause_ms = 5;
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_open, first);
    stage_pass(1000);
    stage_leave(0, first);
    stage_pass(5000);
    script.pause_ms = 0;
    uint64_t second = join(1, &digest);
    stage_until(stage_is_verified, second);
    assert_int_equal(fake_upstream_count(), 2);
    assert_true(fake_upstream_at(1)->range_start > 0);
}

static bool is_later(uint64_t ms)
{
    return clock_mono().ms >= ms;
}

static void flight_without_known_size_ends_when_nobody_follows(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 40 * MIB);
    script.has_no_length = true;
    script.pause_ms = 1;
    struct digest digest = stage_digest(script.blob);
    uint64_t first = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_open, first);
    stage_leave(0, first);
    stage_until(is_later, clock_mono().ms + 2500); /* more than 16 MiB, and not at the end */
    script.pause_ms = 0;
    uint64_t second = stage_join(1, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_verified, second);
    assert_int_equal(fake_upstream_count(), 2);
    assert_int_equal(fake_upstream_at(1)->range_start, 0);
}

static void spool_of_what_the_upstream_refuses_is_not_kept(void **state)
{
    (void)state;
    script.blob = stage_bytes(1, 2 * MIB);
    script.cut_at = MIB;
    struct digest digest = stage_digest(script.blob);
    uint64_t first = join(0, &digest);
    stage_until(stage_is_open, first);
    fake_upstream_set(answer_404, NULL);
    stage_until(stage_is_over, first);
    fake_upstream_set(answer_blob, NULL);
    uint64_t second = join(0, &digest);
    stage_until(stage_is_verified, second);
    assert_int_equal(fake_upstream_at(0)->range_start, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(flight_serves_many_joins_with_one_download),
        TEST(flight_of_an_empty_blob_is_verified),
        TEST(flight_without_known_size_ends_with_it),
        TEST(flight_answers_here_what_the_ledger_has),
        TEST(flight_answers_a_join_between_verified_and_stored),
        TEST(flight_resumes_with_range_after_a_cut),
        TEST(flight_moves_followers_when_the_upstream_starts_over),
        TEST(flight_starts_over_after_a_wrong_range),
        TEST(flight_starts_over_after_a_range_beyond_numbers),
        TEST(flight_tells_where_a_new_take_differs),
        TEST(flight_never_verifies_a_lie),
        TEST(flight_is_strict_after_a_lie_and_gets_the_truth),
        TEST(flight_believes_404),
        TEST(flight_fails_only_followers_of_the_source_that_refuses),
        TEST(flight_gives_up_after_the_retries),
        TEST(flights_survive_a_short_outage),
        TEST(flights_of_an_upstream_that_stays_down_end),
        TEST(flight_resumes_after_all_failed_and_somebody_asks_again),
        TEST(flight_of_a_new_fetcher_carries_on_the_spool),
        TEST(flight_of_a_new_fetcher_needs_no_download_for_a_whole_spool),
        TEST(fetcher_answers_nothing_before_the_barrier),
        TEST(flight_is_paused_when_nobody_follows_and_goes_on_by_range),
        TEST(flight_without_known_size_ends_when_nobody_follows),
        TEST(spool_of_what_the_upstream_refuses_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
