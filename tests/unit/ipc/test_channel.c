/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over a real socket pair, on the loop in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "ipc/channel.h"
#include "net/loop.h"

#define SEEN_MAX 4096
#define TURNS    2000

/* One end: what it was told, and what it does then. */
struct end {
    struct channel *channel;
    enum message_type types[SEEN_MAX];
    uint64_t numbers[SEEN_MAX]; /* of PING and GREW, and of ANSWER when one is expected */
    struct slice expected;      /* what an ANSWER brings */
    size_t count;
    size_t largest; /* body */
    int fd;         /* of the last, taken */
    int closed;
    int failed;
    int lied;        /* closed too */
    bool is_freeing; /* frees the channel from inside */
    bool is_taking;  /* takes descriptors */
};

static struct loop *loop;
static struct end left;
static struct end right;
static const struct channel_ends left_ends = {ROLE_FETCHER, ROLE_WORKER};
static const struct channel_ends right_ends = {ROLE_WORKER, ROLE_FETCHER};

static uint64_t number_of(enum message_type type, struct slice body)
{
    struct message_here here;
    struct message_grew grew;
    struct error err;

    if (type == MESSAGE_HERE || type == MESSAGE_LEAVE) { /* they are alike */
        assert_int_equal(message_decode(type, body, &here, &err), 0);
        return here.request;
    }
    if (type == MESSAGE_CHANGED) {
        struct message_changed changed;

        assert_int_equal(message_decode(type, body, &changed, &err), 0);
        return changed.number;
    }
    if (type == MESSAGE_GREW) {
        assert_int_equal(message_decode(type, body, &grew, &err), 0);
        return grew.bytes;
    }
    return 0;
}

static uint64_t read_answer(struct slice body, struct slice expected)
{
    struct message_answer answer;
    struct error err;

    assert_int_equal(message_decode(MESSAGE_ANSWER, body, &answer, &err), 0);
    assert_int_equal(answer.state, ANSWER_STALE);
    assert_true(slice_equal(answer.body, expected));
    return answer.request;
}

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    struct end *end = arg;

    assert_true(end->count < SEEN_MAX);
    assert_ptr_equal(channel, end->channel);
    end->types[end->count] = type;
    end->numbers[end->count] = number_of(type, body);
    if (type == MESSAGE_ANSWER && end->expected.length > 0)
        end->numbers[end->count] = read_answer(body, end->expected);
    end->count++;
    end->largest = body.length > end->largest ? body.length : end->largest;
    if (end->is_taking)
        end->fd = fd_take(fd);
    if (end->is_freeing)
        channel_free(&end->channel);
}

static void on_closed(struct channel *channel, void *arg)
{
    struct end *end = arg;

    assert_ptr_equal(channel, end->channel);
    end->closed++;
    if (end->is_freeing)
        channel_free(&end->channel);
}

static void on_failed(struct channel *channel, void *arg)
{
    struct end *end = arg;

    assert_ptr_equal(channel, end->channel);
    end->failed++;
    channel_end_process(channel, arg);
}

static void on_lied(struct channel *channel, void *arg)
{
    struct end *end = arg;

    end->lied++;
    on_closed(channel, arg);
}

static const struct channel_handler handler = {
    .on_message = on_message, .on_closed = on_closed, .on_failed = on_failed, .on_lied = on_lied};

static int setup(void **state)
{
    int fds[2];
    struct error err;

    (void)state;

    clock_freeze((struct monotime){1000}, (struct walltime){1000});
    memset(&left, 0, sizeof(left));
    memset(&right, 0, sizeof(right));
    left.fd = -1;
    right.fd = -1;
    loop = loop_new();
    assert_int_equal(channel_pair(fds, &err), 0);
    left.channel = channel_new(loop, &fds[0], left_ends, &handler, &left);
    right.channel = channel_new(loop, &fds[1], right_ends, &handler, &right);
    assert_int_equal(fds[0], -1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    channel_free(&left.channel);
    channel_free(&right.channel);
    fd_close(&left.fd);
    fd_close(&right.fd);
    loop_free(&loop);
    clock_thaw();
    return 0;
}

static void ping(struct end *from, uint64_t number)
{
    struct message_here here = {.request = number};
    struct message_leave leave = {.request = number};

    if (from == &left)
        channel_send(from->channel, MESSAGE_HERE, &here, -1);
    else
        channel_send(from->channel, MESSAGE_LEAVE, &leave, -1);
}

static void grew(uint64_t request, uint64_t bytes)
{
    struct message_grew message = {.request = request, .bytes = bytes};

    channel_send(left.channel, MESSAGE_GREW, &message, -1);
}

/* Until `end` has seen so many messages. */
static void run_until_seen(const struct end *end, size_t count)
{
    for (int i = 0; i < TURNS && end->count < count; i++)
        loop_turn(loop, 10);
    assert_int_equal(end->count, count);
}

static void run_until_closed(const struct end *end)
{
    for (int i = 0; i < TURNS && end->closed == 0; i++)
        loop_turn(loop, 10);
    assert_int_equal(end->closed, 1);
}

/* Large messages until one has to wait; how many went out or wait. */
static size_t fill_socket(void)
{
    char *text = mem_zalloc(1, 30000);
    struct message_failed message = {.text = slice_from(text, 30000)};
    size_t count = 0;

    while (channel_queued(left.channel) == 0) {
        channel_send(left.channel, MESSAGE_FAILED, &message, -1);
        count++;
        assert_true(count < 1000);
    }
    mem_free(text);
    return count;
}

static void messages_go_both_ways_in_order(void **state)
{
    (void)state;

    for (uint64_t i = 0; i < 200; i++) {
        ping(&left, i);
        ping(&right, 1000 + i);
    }
    run_until_seen(&right, 200);
    run_until_seen(&left, 200);
    for (uint64_t i = 0; i < 200; i++) {
        assert_true(right.numbers[i] == i);
        assert_true(left.numbers[i] == 1000 + i);
    }
}

static void nothing_is_lost_when_the_socket_is_full(void **state)
{
    size_t count = fill_socket();

    (void)state;

    for (uint64_t i = 0; i < 500; i++)
        ping(&left, i);
    assert_int_equal(channel_queued(left.channel), 501);
    run_until_seen(&right, count + 500);
    for (uint64_t i = 0; i < 500; i++)
        assert_true(right.numbers[count + i] == i);
    assert_int_equal(channel_queued(left.channel), 0);
}

static void one_turn_reads_a_bounded_number(void **state)
{
    (void)state;

    for (uint64_t i = 0; i < 100; i++)
        ping(&left, i);
    loop_turn(loop, 10);
    assert_int_equal(right.count, 64);
    run_until_seen(&right, 100);
}

static void a_descriptor_arrives_and_is_closed_unless_taken(void **state)
{
    int pipe_ends[2];
    struct message_open message = {0};
    char byte = 'x';

    (void)state;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    right.is_taking = true;
    channel_send(left.channel, MESSAGE_OPEN, &message, pipe_ends[1]);
    run_until_seen(&right, 1);
    assert_int_equal(write(right.fd, &byte, 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    fd_close(&right.fd);
    right.is_taking = false;
    channel_send(left.channel, MESSAGE_OPEN, &message, pipe_ends[1]);
    fd_close(&pipe_ends[1]);
    run_until_seen(&right, 2);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* no writer is left */
    fd_close(&pipe_ends[0]);
}

static void a_queued_descriptor_is_the_channels_own(void **state)
{
    int pipe_ends[2];
    struct message_open message = {0};
    char byte = 'x';
    size_t count = fill_socket();

    (void)state;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    channel_send(left.channel, MESSAGE_OPEN, &message, pipe_ends[1]);
    fd_close(&pipe_ends[1]);
    right.is_taking = true;
    run_until_seen(&right, count + 1);
    assert_int_equal(write(right.fd, &byte, 1), 1);
    fd_close(&pipe_ends[0]);
}

static void a_large_message_arrives_whole(void **state)
{
    size_t length = (size_t)4 * 1024 * 1024;
    char *body = mem_zalloc(1, length);
    struct message_answer message = {.request = 1, .body = slice_from(body, length)};

    (void)state;

    channel_send(left.channel, MESSAGE_ANSWER, &message, -1);
    ping(&left, 5);
    run_until_seen(&right, 2);
    assert_true(right.largest > length);
    assert_true(right.numbers[1] == 5);
    right.largest = 0;
    size_t count = 2 + fill_socket();
    channel_send(left.channel, MESSAGE_ANSWER, &message, -1);
    mem_free(body);
    run_until_seen(&right, count + 1);
    assert_true(right.largest > length);
}

static void a_payload_is_shared_by_messages_of_other_numbers(void **state)
{
    size_t length = (size_t)4 * 1024 * 1024;
    char *bytes = mem_zalloc(1, length);
    struct message_answer message = {
        .request = 9, .state = ANSWER_STALE, .body = slice_from(bytes, length)};
    AUTO_CLOSE int payload_fd = -1;
    struct error err;

    (void)state;

    memset(bytes, 'x', length);
    right.expected = message.body;
    assert_int_equal(channel_payload_new(MESSAGE_ANSWER, &message, &payload_fd, &err), 0);
    channel_send_payload(left.channel, MESSAGE_ANSWER, 1, payload_fd);
    channel_send_payload(left.channel, MESSAGE_ANSWER, UINT64_MAX, payload_fd);
    run_until_seen(&right, 2);
    assert_true(right.numbers[0] == 1);
    assert_true(right.numbers[1] == UINT64_MAX);
    size_t count = 2 + fill_socket();
    channel_send_payload(left.channel, MESSAGE_ANSWER, 300, payload_fd);
    fd_close(&payload_fd);
    run_until_seen(&right, count + 1);
    assert_true(right.numbers[count] == 300);
    mem_free(bytes);
}

static void queued_levels_of_a_request_collapse(void **state)
{
    size_t count = fill_socket();

    (void)state;

    grew(7, 100);
    grew(8, 1);
    ping(&left, 55);
    for (uint64_t bytes = 101; bytes <= 1000; bytes++)
        grew(7, bytes);
    assert_int_equal(channel_queued(left.channel), 4);
    run_until_seen(&right, count + 3);
    assert_true(right.numbers[count] == 1000); /* in the place of the first */
    assert_true(right.numbers[count + 1] == 1);
    assert_true(right.numbers[count + 2] == 55);
}

static void a_level_never_moves_before_a_new_spool(void **state)
{
    struct message_taken taken = {.request = 7};
    size_t count = fill_socket();

    (void)state;

    grew(7, 100);
    channel_send(left.channel, MESSAGE_TAKEN, &taken, -1);
    grew(7, 60);
    grew(7, 70);
    run_until_seen(&right, count + 3);
    assert_true(right.numbers[count] == 100);
    assert_int_equal(right.types[count + 1], MESSAGE_TAKEN);
    assert_true(right.numbers[count + 2] == 70);
}

static void what_was_sent_before_death_is_still_read(void **state)
{
    (void)state;

    ping(&right, 1); /* stays unread: the kernel reports a reset then */
    for (uint64_t i = 0; i < 100; i++)
        ping(&left, i);
    channel_free(&left.channel);
    run_until_closed(&right);
    assert_int_equal(right.count, 100);
    loop_turn(loop, 0);
    assert_int_equal(right.closed, 1);
}

static void sending_to_the_dead_ends_in_on_closed(void **state)
{
    (void)state;

    channel_free(&right.channel);
    ping(&left, 1);
    ping(&left, 2);
    assert_int_equal(left.closed, 0); /* never from inside channel_send */
    assert_int_equal(channel_queued(left.channel), 0);
    run_until_closed(&left);
    ping(&left, 3);
}

static void a_queue_dies_with_the_other_side(void **state)
{
    (void)state;

    (void)fill_socket();
    ping(&left, 1);
    channel_free(&right.channel);
    run_until_closed(&left);
    assert_int_equal(channel_queued(left.channel), 0);
}

static void a_channel_may_be_freed_inside_on_message(void **state)
{
    (void)state;

    right.is_freeing = true;
    ping(&left, 1);
    ping(&left, 2);
    run_until_seen(&right, 1);
    assert_null(right.channel);
    run_until_closed(&left);
    assert_int_equal(right.count, 1);
    assert_int_equal(right.closed, 0);
}

static void a_channel_may_be_freed_inside_on_closed(void **state)
{
    (void)state;

    right.is_freeing = true;
    channel_free(&left.channel);
    run_until_closed(&right);
    assert_null(right.channel);
}

/* From the keeper, however slowly it is read. */
static void a_queued_change_is_overwritten_by_the_next(void **state)
{
    int fds[2];
    struct error err;
    static char text[30000];
    struct message_refused refused = {.text = slice_from(text, sizeof(text))};
    size_t count = 0;

    (void)state;

    channel_free(&left.channel);
    channel_free(&right.channel);
    assert_int_equal(channel_pair(fds, &err), 0);
    left.channel = channel_new(loop, &fds[0], (struct channel_ends){ROLE_KEEPER, ROLE_WORKER},
                               &handler, &left);
    right.channel = channel_new(loop, &fds[1], (struct channel_ends){ROLE_WORKER, ROLE_KEEPER},
                                &handler, &right);
    for (; channel_queued(left.channel) == 0; count++)
        channel_send(left.channel, MESSAGE_REFUSED, &refused, -1);
    for (uint64_t i = 1; i <= 10; i++) {
        struct message_changed changed = {.number = i};

        channel_send(left.channel, MESSAGE_CHANGED, &changed, -1);
    }
    assert_int_equal(channel_queued(left.channel), 2);
    run_until_seen(&right, count + 1);
    assert_int_equal(right.types[count], MESSAGE_CHANGED);
    assert_int_equal(right.numbers[count], 10);
}

static void nonsense_closes_the_channel(void **state)
{
    int fds[2];
    struct error err;

    (void)state;

    channel_free(&left.channel);
    channel_free(&right.channel);
    assert_int_equal(channel_pair(fds, &err), 0);
    right.channel = channel_new(loop, &fds[0], right_ends, &handler, &right);
    assert_int_equal(send(fds[1], "\x10\xff\x7f", 3, 0), 3);
    run_until_closed(&right);
    assert_int_equal(right.count, 0);
    assert_int_equal(right.lied, 1);
    fd_close(&fds[1]);
}

/* A worker that was taken over by a client must not speak as a fetcher. */
static void a_message_that_the_sender_may_not_send_closes_the_channel(void **state)
{
    int fds[2];
    struct error err;
    struct message_here here = {.request = 1};

    (void)state;

    channel_free(&left.channel);
    channel_free(&right.channel);
    assert_int_equal(channel_pair(fds, &err), 0);
    left.channel = channel_new(loop, &fds[0], left_ends, &handler, &left);
    right.channel = channel_new(loop, &fds[1], (struct channel_ends){ROLE_WORKER, ROLE_KEEPER},
                                &handler, &right);
    channel_send(left.channel, MESSAGE_HERE, &here, -1);
    run_until_closed(&right);
    assert_int_equal(right.count, 0);
    assert_int_equal(right.lied, 1);
    channel_free(&right.channel);
    run_until_closed(&left); /* which only sees an end */
    assert_int_equal(left.lied, 0);
}

/* The other side lives, so no new channel will come: it is a failure, not a death. */
static void an_owner_that_cannot_report_a_liar_is_told_that_the_channel_failed(void **state)
{
    static const struct channel_handler no_report = {
        .on_message = on_message, .on_closed = on_closed, .on_failed = on_failed};
    int fds[2];
    struct error err;

    (void)state;

    channel_free(&right.channel);
    assert_int_equal(channel_pair(fds, &err), 0);
    right.channel = channel_new(loop, &fds[0], right_ends, &no_report, &right);
    assert_int_equal(send(fds[1], "\x10\xff\x7f", 3, 0), 3);
    for (int i = 0; i < TURNS && right.failed == 0; i++)
        loop_turn(loop, 1);
    assert_int_equal(right.failed, 1);
    assert_int_equal(right.closed, 0);
    fd_close(&fds[1]);
}

/* No descriptor beyond those open now. */
static void exhaust_descriptors(struct rlimit *before)
{
    AUTO_CLOSE int next = dup(0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* The other side is not dead, and sees us die. */
static void a_message_that_cannot_be_taken_ends_the_process(void **state)
{
    size_t length = 100000;
    char *body = mem_zalloc(1, length);
    struct message_answer message = {.request = 1, .body = slice_from(body, length)};
    struct rlimit before;

    (void)state;

    channel_send(left.channel, MESSAGE_ANSWER, &message, -1);
    exhaust_descriptors(&before);
    loop_run(loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(right.failed, 1);
    assert_int_equal(right.closed, 0);
    assert_int_equal(left.closed, 0);
    channel_free(&right.channel);
    run_until_closed(&left);
    assert_int_equal(left.failed, 0);
    mem_free(body);
}

static void a_message_that_cannot_be_queued_ends_the_process(void **state)
{
    struct message_open message = {0};
    struct rlimit before;

    (void)state;

    (void)fill_socket();
    exhaust_descriptors(&before);
    channel_send(left.channel, MESSAGE_OPEN, &message, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    loop_run(loop);
    assert_int_equal(left.failed, 1);
    assert_int_equal(left.closed, 0);
}

static void a_payload_that_cannot_be_sent_ends_the_channel_as_a_failure(void **state)
{
    struct message_answer message = {.state = ANSWER_STALE, .body = SLICE_LITERAL("a body")};
    AUTO_CLOSE int payload_fd = -1;
    struct rlimit before;
    struct error err;

    (void)state;

    assert_int_equal(channel_payload_new(MESSAGE_ANSWER, &message, &payload_fd, &err), 0);
    exhaust_descriptors(&before);
    channel_send_payload(left.channel, MESSAGE_ANSWER, 1, payload_fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    run_until_closed(&right);
    for (int i = 0; i < TURNS && left.failed + left.closed == 0; i++)
        loop_turn(loop, 1);
    assert_int_equal(left.failed, 1);
    assert_int_equal(left.closed, 0);
}

static void channel_flush_waits_for_the_reader_no_longer_than_it_may(void **state)
{
    int fds[2];
    char buffer[65536];
    struct error err;

    (void)state;

    channel_free(&left.channel);
    assert_int_equal(channel_pair(fds, &err), 0);
    left.channel = channel_new(loop, &fds[0], left_ends, &handler, &left);
    (void)fill_socket();
    ping(&left, 7);
    channel_flush(left.channel, 1);
    assert_int_equal(channel_queued(left.channel), 2);
    while (recv(fds[1], buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
    channel_flush(left.channel, 1000);
    assert_int_equal(channel_queued(left.channel), 0);
    fd_close(&fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_go_both_ways_in_order),
        TEST(nothing_is_lost_when_the_socket_is_full),
        TEST(one_turn_reads_a_bounded_number),
        TEST(a_descriptor_arrives_and_is_closed_unless_taken),
        TEST(a_queued_descriptor_is_the_channels_own),
        TEST(a_large_message_arrives_whole),
        TEST(an_owner_that_cannot_report_a_liar_is_told_that_the_channel_failed),
        TEST(a_payload_that_cannot_be_sent_ends_the_channel_as_a_failure),
        TEST(a_payload_is_shared_by_messages_of_other_numbers),
        TEST(queued_levels_of_a_request_collapse),
        TEST(a_level_never_moves_before_a_new_spool),
        TEST(what_was_sent_before_death_is_still_read),
        TEST(sending_to_the_dead_ends_in_on_closed),
        TEST(a_queue_dies_with_the_other_side),
        TEST(a_channel_may_be_freed_inside_on_message),
        TEST(a_channel_may_be_freed_inside_on_closed),
        TEST(nonsense_closes_the_channel),
        TEST(a_queued_change_is_overwritten_by_the_next),
        TEST(a_message_that_the_sender_may_not_send_closes_the_channel),
        TEST(a_message_that_cannot_be_taken_ends_the_process),
        TEST(a_message_that_cannot_be_queued_ends_the_process),
        TEST(channel_flush_waits_for_the_reader_no_longer_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
