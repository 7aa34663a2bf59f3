/* SPDX-License-Identifier: Apache-2.0 */
/* One bad upstream among the sources of a flight must not hold up the followers of the others. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stage.h"

#define MIB  (1024ul * 1024)
#define SIZE (2 * MIB)

/* What evil.test does; good.test answers rightly. */
static struct {
    struct slice blob;
    struct slice body;
    uint64_t delay_ms; /* before the head */
    uint64_t pause_ms; /* between pieces */
    bool has_no_length;
    bool good_fails;
    char range[100];
} script;

static void answer_evil(struct fake_answer *answer)
{
    answer->status = 200;
    answer->body = script.body;
    answer->delay_ms = script.delay_ms;
    answer->pause_ms = script.pause_ms;
    answer->has_no_length = script.has_no_length;
}

static void answer_both(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    struct slice body = script.blob;

    if (strstr(request->url, "evil")) {
        answer_evil(answer);
        body = script.body;
    }
    answer->status = 200;
    answer->body = body;
    if (strstr(request->url, "good") && script.good_fails)
        answer->status = 500;
    if (request->range_start == 0)
        return;
    answer->status = 206;
    answer->body = slice_skip(body, (size_t)request->range_start);
    (void)snprintf(script.range, sizeof(script.range), "Content-Range: bytes %llu-%lu/%lu\r\n",
                   (unsigned long long)request->range_start, SIZE - 1, SIZE);
    answer->headers = script.range;
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  evil.test:\n    url: https://evil.test\n"
               "  good.test:\n    url: https://good.test\n");
    fake_upstream_set(answer_both, NULL);
    script.blob = stage_bytes(1, SIZE);
    script.body = script.blob;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join(unsigned worker, const char *origin)
{
    struct digest digest = stage_digest(script.blob);

    stage_use_origin(origin);
    return stage_join(worker, JOIN_BLOB, "a/x", "", &digest, SIZE);
}

/* The followers of both get the blob within so many milliseconds. */
static void assert_served(uint64_t evil, uint64_t good, uint64_t within_ms)
{
    struct monotime start = clock_mono();

    stage_until(stage_is_over, good);
    stage_until(stage_is_over, evil);
    assert_true(monotime_since(clock_mono(), start) <= within_ms);
    assert_string_equal(stage_seen(good)->text, "");
    assert_int_equal(stage_seen(good)->verifieds, 1);
    assert_int_equal(stage_seen(evil)->verifieds, 1);
    stage_assert_file(stage_seen(good)->fd, script.blob);
}

static void upstream_that_gives_no_head_is_left(void **state)
{
    (void)state;
    script.delay_ms = 9000;
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    assert_served(evil, good, 3000);
}

static void upstream_that_is_late_already_is_left_at_once(void **state)
{
    (void)state;
    script.delay_ms = 9000;
    uint64_t evil = join(0, "evil.test");
    stage_pass(4000);
    assert_served(evil, join(1, "good.test"), 500);
}

static void upstream_that_drips_is_left_by_range(void **state)
{
    (void)state;
    script.pause_ms = 1000;
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    assert_served(evil, good, 5000);
    assert_true(fake_upstream_at(1)->range_start > 0);
}

static void upstream_that_drips_a_lie_does_not_make_another_a_liar(void **state)
{
    (void)state;
    script.pause_ms = 1000;
    script.body = stage_bytes(2, SIZE);
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    assert_served(evil, good, 6000);
    assert_int_equal(fake_upstream_count_of("good"), 2);
    assert_int_equal(fake_upstream_count_of("evil"), 1);
}

static void upstream_that_lies_is_left_for_another(void **state)
{
    (void)state;
    script.body = stage_bytes(2, SIZE);
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    assert_served(evil, good, 1000);
    assert_int_equal(fake_upstream_count_of("evil"), 1);
}

static void slow_upstream_is_better_than_none(void **state)
{
    (void)state;
    script.pause_ms = 100;
    script.delay_ms = 2500;
    script.good_fails = true;
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    assert_served(evil, good, 60000);
}

static void upstream_that_says_no_size_and_takes_its_time_is_left(void **state)
{
    (void)state;
    script.has_no_length = true;
    script.pause_ms = 100;
    script.body = stage_bytes(2, 16 * MIB);
    struct digest digest = stage_digest(script.blob);
    stage_use_origin("evil.test");
    uint64_t evil = stage_join(0, JOIN_BLOB, "a/x", "", &digest, UINT64_MAX);
    stage_use_origin("good.test");
    uint64_t good = stage_join(1, JOIN_BLOB, "a/x", "", &digest, UINT64_MAX);
    assert_served(evil, good, 5000);
}

static void upstream_alone_has_its_time(void **state)
{
    (void)state;
    script.delay_ms = 4000;
    script.pause_ms = 1000;
    uint64_t request = join(0, "evil.test");
    stage_until(stage_is_verified, request);
    assert_int_equal(fake_upstream_count(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(upstream_that_gives_no_head_is_left),
        TEST(upstream_that_is_late_already_is_left_at_once),
        TEST(upstream_that_drips_is_left_by_range),
        TEST(upstream_that_drips_a_lie_does_not_make_another_a_liar),
        TEST(upstream_that_lies_is_left_for_another),
        TEST(slow_upstream_is_better_than_none),
        TEST(upstream_that_says_no_size_and_takes_its_time_is_left),
        TEST(upstream_alone_has_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
