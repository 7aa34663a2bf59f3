/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that one upstream's credentials brought must not reach another upstream's repositories. */
#include <stdio.h>
#include <string.h>

#include "stage.h"

#define MIB (1024ul * 1024)

/* good.test wants a password for the blob; evil.test wants none, and does what the test says. */
static struct {
    struct slice blob;
    struct slice lie;     /* the body that evil.test sends */
    uint64_t cut_at;      /* offset in that body */
    bool evil_has_blob;   /* evil.test answers HEAD with 200 */
    bool evil_gives_blob; /* from its second answer on, it sends the whole blob */
    uint64_t pause_ms;    /* between pieces of good.test's body */
    uint64_t delay_ms;    /* before evil.test's head */
    unsigned evil_answers;
    char range[100];
} script;

static void answer_good(const struct fake_request *request, struct fake_answer *answer)
{
    if (!strstr(request->headers, "Authorization: Basic")) {
        answer->status = 401;
        answer->headers = "WWW-Authenticate: Basic realm=\"good\"\r\n";
        return;
    }
    answer->status = 200;
    answer->body = script.blob;
    answer->pause_ms = script.pause_ms;
    if (request->range_start == 0)
        return;
    answer->status = 206;
    answer->body = slice_skip(script.blob, (size_t)request->range_start);
    (void)snprintf(script.range, sizeof(script.range), "Content-Range: bytes %llu-%lu/%lu\r\n",
                   (unsigned long long)request->range_start, 2 * MIB - 1, 2 * MIB);
    answer->headers = script.range;
}

static void answer_evil(const struct fake_request *request, struct fake_answer *answer)
{
    if (request->method == TRANSFER_HEAD) {
        answer->status = script.evil_has_blob ? 200 : 404;
        answer->body = script.blob;
        return;
    }
    bool is_first = script.evil_answers++ == 0;
    answer->status = script.lie.data ? 200 : 404;
    answer->body = script.lie;
    answer->is_cut = true;
    answer->cut_at = script.cut_at;
    answer->delay_ms = script.delay_ms;
    if (!is_first && script.evil_gives_blob) {
        answer->status = 200;
        answer->body = script.blob;
        answer->is_cut = false;
        answer->delay_ms = 0;
    } else if (request->range_start > 0) {
        answer->status = 500;
    }
}

static void answer_both(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    if (strstr(request->url, "good.test"))
        answer_good(request, answer);
    else
        answer_evil(request, answer);
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  evil.test:\n    url: https://evil.test\n"
               "  good.test:\n    url: https://good.test\n    username: me\n"
               "    password: secret\n    expose: true\n");
    fake_upstream_set(answer_both, NULL);
    script.blob = stage_bytes(1, 2 * MIB);
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
    return stage_join(worker, JOIN_BLOB, "a/x", "", &digest, UINT64_MAX);
}

static void assert_got_nothing_private(uint64_t request)
{
    const struct seen *seen = stage_seen(request);

    assert_int_equal(seen->verifieds + seen->takens + seen->heres, 0);
    assert_int_equal(seen->faileds, 1);
    assert_true(seen->bytes <= script.cut_at);
}

static void private_bytes_go_into_no_take_that_was_opened_for_all(void **state)
{
    (void)state;
    script.lie = script.blob; /* the head comes, but no byte */
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_verified, good);
    stage_until(stage_is_over, evil);
    assert_got_nothing_private(evil);
    stage_until(stage_has_commits, 1);
    uint64_t late = join(0, "evil.test");
    stage_until(stage_is_over, late);
    assert_got_nothing_private(late);
}

static void private_bytes_go_to_no_follower_of_the_base_without_proof(void **state)
{
    (void)state;
    script.lie = stage_bytes(2, 2 * MIB);
    script.cut_at = 100;
    uint64_t evil = join(0, "evil.test");
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_verified, good);
    stage_until(stage_is_over, evil);
    assert_got_nothing_private(evil);
}

static void head_of_another_upstream_proves_nothing_while_it_flies(void **state)
{
    (void)state;
    script.evil_has_blob = true;
    script.pause_ms = 10;
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_open, good);
    uint64_t evil = join(0, "evil.test");
    stage_until(stage_is_over, evil);
    assert_int_equal(stage_seen(evil)->failure, ERR_NOT_FOUND);
    assert_int_equal(stage_seen(evil)->opens, 0);
    stage_until(stage_is_verified, good);
}

static void head_of_another_upstream_proves_nothing_of_what_is_here(void **state)
{
    (void)state;
    script.evil_has_blob = true;
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_verified, good);
    stage_until(stage_has_commits, 1);
    stage_pass(60000);
    uint64_t evil = join(0, "evil.test");
    stage_until(stage_is_over, evil);
    assert_int_equal(stage_seen(evil)->failure, ERR_NOT_FOUND);
    assert_int_equal(stage_messages(MESSAGE_LINK), 0);
}

static void upstream_that_gives_the_bytes_itself_is_believed(void **state)
{
    (void)state;
    script.lie = stage_bytes(2, 2 * MIB);
    script.evil_gives_blob = true;
    script.delay_ms = 1000;
    script.pause_ms = 10;
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_open, good);
    uint64_t evil = join(0, "evil.test");
    stage_until(stage_is_verified, evil);
    stage_until(stage_is_verified, good);
    stage_assert_file(stage_seen(good)->fd, script.blob);
    stage_assert_file(stage_seen(evil)->fd, script.blob);
    assert_int_equal(stage_messages(MESSAGE_LINK), 0);
    stage_until(stage_has_commits, 2);
    assert_int_equal(stage_messages(MESSAGE_BLOB_STORED), 2);
}

static void spool_of_another_upstream_is_not_carried_on(void **state)
{
    (void)state;
    script.evil_has_blob = true;
    script.pause_ms = 10;
    uint64_t good = join(1, "good.test");
    stage_until(stage_is_open, good);
    stage_pass(500);
    stage_restart_fetcher();
    uint64_t evil = join(0, "evil.test");
    stage_until(stage_is_over, evil);
    assert_int_equal(stage_seen(evil)->failure, ERR_NOT_FOUND);
    good = join(1, "good.test");
    stage_until(stage_is_verified, good);
    size_t last = fake_upstream_count() - 1;
    assert_true(fake_upstream_at(last)->range_start > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(private_bytes_go_into_no_take_that_was_opened_for_all),
        TEST(private_bytes_go_to_no_follower_of_the_base_without_proof),
        TEST(head_of_another_upstream_proves_nothing_while_it_flies),
        TEST(head_of_another_upstream_proves_nothing_of_what_is_here),
        TEST(upstream_that_gives_the_bytes_itself_is_believed),
        TEST(spool_of_another_upstream_is_not_carried_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
