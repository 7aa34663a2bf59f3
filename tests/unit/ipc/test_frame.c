/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: what is taken and what is nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "frame.h"
#include "ipc/channel.h"

static char buffer[FRAME_BUFFER_SIZE];
static int ends[2];

static int setup(void **state)
{
    struct error err;

    (void)state;

    return channel_pair(ends, &err);
}

static int teardown(void **state)
{
    (void)state;
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return 0;
}

/* A packet by hand; at most one descriptor. */
static void send_raw(const void *bytes, size_t length, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char copy[64];

    assert_true(length <= sizeof(copy));
    memcpy(copy, bytes, length);
    struct iovec part = {.iov_base = copy, .iov_len = length};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};

    memset(&control, 0, sizeof(control));
    if (fd >= 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(ends[0], &packet, 0), (ssize_t)length);
}

static enum frame_result receive(struct frame *out)
{
    return frame_receive(ends[1], buffer, out);
}

static void frame_receive_gets_what_was_sent(void **state)
{
    struct frame sent = {
        .type = MESSAGE_PING, .body = SLICE_LITERAL("\x07"), .fd = -1, .payload_fd = -1};
    struct frame got;

    (void)state;

    assert_int_equal(receive(&got), FRAME_LATER);
    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    assert_int_equal(receive(&got), FRAME_DONE);
    assert_int_equal(got.type, MESSAGE_PING);
    assert_true(slice_equal(got.body, sent.body));
    assert_int_equal(got.fd, -1);
    frame_cleanup(&got);
}

static void frame_receive_maps_a_large_body_and_passes_the_descriptor(void **state)
{
    size_t length = FRAME_INLINE_MAX + 1;
    char *body = mem_zalloc(1, length);
    AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct frame sent = {
        .type = MESSAGE_START, .body = slice_from(body, length), .fd = null, .payload_fd = -1};
    struct frame got;

    (void)state;

    body[length - 1] = 'x';
    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    assert_true(sent.payload_fd >= 0);
    fd_close(&sent.payload_fd);
    assert_int_equal(receive(&got), FRAME_DONE);
    assert_non_null(got.mapping);
    assert_true(slice_equal(got.body, sent.body));
    assert_true(got.fd >= 0 && got.fd != null);
    assert_true((fcntl(got.fd, F_GETFD) & FD_CLOEXEC) != 0);
    frame_cleanup(&got);
    mem_free(body);
}

static void frame_receive_refuses_nonsense(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\x10", 1},             /* no type */
        {"\x20\x01\x00", 3},     /* another version */
        {"\x10\x00\x00", 3},     /* MESSAGE_NONE */
        {"\x10\xff\xff", 3},     /* unknown */
        {"\x10\x08\x00\x80", 4}, /* PING with a cut number */
        {"\x11\x01\x00", 3},     /* a payload, but no file */
        {"\x11\x01\x00x", 4},    /* a payload and a body */
    };
    struct frame got;

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        send_raw(bad[i].bytes, bad[i].length, -1);
        assert_int_equal(receive(&got), FRAME_BROKEN);
    }
}

static void frame_receive_refuses_payloads_that_could_change(void **state)
{
    AUTO_CLOSE int open_file = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE int large = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct frame got;

    (void)state;

    assert_int_equal(ftruncate(open_file, 100), 0);
    send_raw("\x11\x06\x00", 3, open_file);
    assert_int_equal(receive(&got), FRAME_BROKEN);
    send_raw("\x11\x06\x00", 3, null);
    assert_int_equal(receive(&got), FRAME_BROKEN);
    assert_int_equal(ftruncate(large, (off_t)FRAME_BODY_MAX + 1), 0);
    assert_int_equal(fcntl(large, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
    send_raw("\x11\x06\x00", 3, large);
    assert_int_equal(receive(&got), FRAME_BROKEN);
}

static void frame_receive_puts_the_packets_bytes_before_the_file(void **state)
{
    AUTO_CLOSE int file = -1;
    struct error err;
    struct frame got;

    (void)state;

    assert_int_equal(fd_memory_file("x", SLICE_LITERAL("\x01tail"), &file, &err), 0);
    send_raw("\x11\x08\x00\xff", 4, file);
    assert_int_equal(receive(&got), FRAME_DONE);
    assert_true(slice_equal(got.body, SLICE_LITERAL("\xff\x01tail")));
    frame_cleanup(&got);
    send_raw("\x11\x08\x00\xff\x80", 5, file); /* valid only as one number over both */
    assert_int_equal(receive(&got), FRAME_DONE);
    frame_cleanup(&got);
}

static void frame_receive_refuses_a_long_front(void **state)
{
    char body[FRAME_FRONT_MAX + 1] = {0};
    AUTO_CLOSE int file = -1;
    struct frame sent = {
        .type = MESSAGE_START, .body = slice_from(body, sizeof(body)), .fd = -1, .is_split = true};
    struct error err;
    struct frame got;

    (void)state;

    assert_int_equal(fd_memory_file("x", SLICE_LITERAL("tail"), &file, &err), 0);
    sent.payload_fd = file;
    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    assert_int_equal(receive(&got), FRAME_BROKEN);
    sent.body.length--;
    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    assert_int_equal(receive(&got), FRAME_DONE);
    assert_int_equal(got.body.length, FRAME_FRONT_MAX + 4);
    frame_cleanup(&got);
}

static void frame_receive_closes_descriptors_nobody_announced(void **state)
{
    int pipe_ends[2];
    char byte;
    struct frame got;

    (void)state;

    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    send_raw("\x10\x06\x00", 3, pipe_ends[1]);
    assert_int_equal(receive(&got), FRAME_BROKEN);
    fd_close(&pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* no writer is left */
    fd_close(&pipe_ends[0]);
}

static void frame_receive_gives_minus_one_for_a_lost_descriptor(void **state)
{
    struct frame got;

    (void)state;

    send_raw("\x12\x06\x00", 3, -1);
    assert_int_equal(receive(&got), FRAME_DONE);
    assert_int_equal(got.fd, -1);
    frame_cleanup(&got);
}

/* No descriptor beyond those open now. */
static void exhaust_descriptors(struct rlimit *before)
{
    AUTO_CLOSE int next = dup(0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void frame_receive_tells_a_lost_payload_from_nonsense_and_the_end(void **state)
{
    size_t length = FRAME_INLINE_MAX + 1;
    char *body = mem_zalloc(1, length);
    struct frame sent = {
        .type = MESSAGE_START, .body = slice_from(body, length), .fd = -1, .payload_fd = -1};
    struct frame got;
    struct rlimit before;

    (void)state;

    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    exhaust_descriptors(&before);
    enum frame_result result = receive(&got);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, FRAME_LOST);
    assert_int_equal(frame_send(ends[0], &sent), FRAME_DONE);
    assert_int_equal(receive(&got), FRAME_DONE);
    frame_cleanup(&got);
    fd_close(&sent.payload_fd);
    fd_close(&ends[0]);
    assert_int_equal(receive(&got), FRAME_END);
    mem_free(body);
}

static void frame_send_tells_a_full_socket_from_a_dead_one(void **state)
{
    char body[1000] = {0};
    struct frame frame = {
        .type = MESSAGE_START, .body = slice_from(body, sizeof(body)), .fd = -1, .payload_fd = -1};
    enum frame_result result = FRAME_DONE;
    struct frame got;

    (void)state;

    for (int i = 0; i < 100000 && result == FRAME_DONE; i++)
        result = frame_send(ends[0], &frame);
    assert_int_equal(result, FRAME_LATER);
    fd_close(&ends[1]);
    assert_int_equal(frame_send(ends[0], &frame), FRAME_BROKEN);
    assert_int_equal(frame_receive(ends[0], buffer, &got), FRAME_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frame_receive_gets_what_was_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(frame_receive_maps_a_large_body_and_passes_the_descriptor,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(frame_receive_refuses_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(frame_receive_refuses_payloads_that_could_change, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frame_receive_puts_the_packets_bytes_before_the_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frame_receive_refuses_a_long_front, setup, teardown),
        cmocka_unit_test_setup_teardown(frame_receive_closes_descriptors_nobody_announced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(frame_receive_gives_minus_one_for_a_lost_descriptor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            frame_receive_tells_a_lost_payload_from_nonsense_and_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(frame_send_tells_a_full_socket_from_a_dead_one, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
