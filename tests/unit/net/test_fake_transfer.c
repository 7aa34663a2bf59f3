/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted server takes bodies as the real one does. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "fakes/transfer.h"
#include "net/loop.h"

static struct loop *loop;
static struct transfer_set *set;
static struct transfer *transfer;
static int file;
static bool is_done;
static int status;
static struct error end;

static void script(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    answer->status = request->is_body_whole ? 201 : 413;
}

static int setup(void **state)
{
    struct error err;

    (void)state;
    clock_freeze((struct monotime){1000000}, (struct walltime){0});
    loop = loop_new();
    set = transfer_set_new(loop, NULL, NULL);
    fake_upstream_set(script, NULL);
    is_done = false;
    end = (struct error){0};
    return fd_memory_file("body", SLICE_LITERAL("0123456789"), &file, &err);
}

static int teardown(void **state)
{
    (void)state;
    transfer_set_free(&set);
    loop_free(&loop);
    fd_close(&file);
    clock_thaw();
    return 0;
}

static bool on_head(struct transfer *one, const struct transfer_response *response, void *arg)
{
    (void)one;
    (void)arg;
    status = response->status;
    return true;
}

static enum transfer_want on_data(struct transfer *one, struct slice bytes, void *arg)
{
    (void)one;
    (void)bytes;
    (void)arg;
    return TRANSFER_CONTINUE;
}

static void on_done(struct transfer *one, const struct error *err, void *arg)
{
    (void)one;
    (void)arg;
    is_done = true;
    if (err)
        end = *err;
}

static void start(const struct transfer_body *body)
{
    static const struct transfer_handler handler = {on_head, on_data, on_done};
    const struct transfer_request request = {
        .method = TRANSFER_PUT, .url = "http://a.test/", .body = body, .head_timeout_ms = 1000};
    struct error err;

    assert_int_equal(transfer_start(set, &request, &handler, NULL, &transfer, &err), 0);
}

static void turn(void)
{
    for (unsigned i = 0; i < 5; i++)
        loop_turn(loop, 0);
}

static void body_of_memory_is_noted(void **state)
{
    (void)state;
    start(&(struct transfer_body){.bytes = SLICE_LITERAL("abc")});
    turn();
    assert_true(is_done && status == 201);
    assert_true(slice_is(fake_upstream_at(0)->body, "abc"));
}

static void growing_file_is_answered_when_it_is_whole(void **state)
{
    (void)state;
    start(&(struct transfer_body){
        .is_file = true, .fd = file, .offset = 2, .length = UINT64_MAX, .available = 3});
    turn();
    transfer_body_grew(transfer, 8);
    turn();
    assert_false(is_done);
    transfer_body_end(transfer);
    turn();
    assert_true(is_done && status == 201);
    assert_true(slice_is(fake_upstream_at(0)->body, "23456789"));
}

static void answer_may_come_early(void **state)
{
    (void)state;
    fake_upstream_answer_after(4);
    start(&(struct transfer_body){.is_file = true, .fd = file, .length = 10, .available = 3});
    turn();
    assert_false(is_done);
    transfer_body_grew(transfer, 5);
    turn();
    assert_true(is_done && status == 413);
    assert_true(slice_is(fake_upstream_at(0)->body, "01234"));
}

static void body_that_is_too_short_fails(void **state)
{
    (void)state;
    start(&(struct transfer_body){.is_file = true, .fd = file, .length = 10, .available = 3});
    transfer_body_end(transfer);
    turn();
    assert_true(is_done);
    assert_int_equal(end.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(body_of_memory_is_noted),
        TEST(growing_file_is_answered_when_it_is_whole),
        TEST(answer_may_come_early),
        TEST(body_that_is_too_short_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
