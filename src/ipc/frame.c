/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet:
 *
 *   version (4 bits) + flags (4 bits) | type (2 bytes, little-endian) | body
 *
 * FLAG_PAYLOAD: the first descriptor is a sealed memory file with the body. If the packet has a few
 * bytes of the body itself, the file has the rest, so that several receivers can share it.
 * FLAG_FD: the message's own descriptor follows. A receiver that is out of descriptors gets the
 * message without it, and its handler sees -1. If the payload cannot be received, the message is
 * lost, and the channel with it.
 */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define VERSION      0x10u
#define VERSION_MASK 0xf0u
#define FLAG_PAYLOAD 0x01u
#define FLAG_FD      0x02u
#define HEAD_SIZE    3
#define FDS_MAX      2

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

void frame_cleanup(struct frame *frame)
{
    fd_close(&frame->fd);
    fd_close(&frame->payload_fd);
    if (frame->mapping) {
        (void)munmap(frame->mapping, frame->mapping_length);
        frame->mapping = NULL;
    }
}

/* Takes the descriptors out of the control data, in order, and closes those beyond two. */
static size_t take_descriptors(struct msghdr *packet, int out[FDS_MAX])
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c; c = CMSG_NXTHDR(packet, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd = -1;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count < FDS_MAX)
                out[count++] = fd;
            else
                fd_close(&fd);
        }
    }
    return count;
}

/* Whether the file can neither change nor shrink under our mapping. */
static bool is_sealed(int fd)
{
    const int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & needed) == needed;
}

/* Maps the file, and puts the packet's own bytes of the body right in front of it. */
static enum frame_result map_payload(struct frame *frame, int fd)
{
    struct slice front = frame->body;
    size_t gap = front.length > 0 ? (size_t)sysconf(_SC_PAGESIZE) : 0;
    struct error err;
    uint64_t size = 0;

    if (front.length > FRAME_FRONT_MAX || !is_sealed(fd) || fd_size(fd, &size, &err) != 0 ||
        size == 0 || size > FRAME_BODY_MAX)
        return FRAME_BROKEN;
    size_t length = gap + (size_t)size;
    void *mapping = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return FRAME_LOST;
    frame->mapping = mapping;
    frame->mapping_length = length;
    char *start = (char *)mapping + gap;
    if (mmap(start, (size_t)size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
        return FRAME_LOST;
    if (front.length > 0)
        memcpy(start - front.length, front.data, front.length);
    frame->body = slice_from(start - front.length, front.length + (size_t)size);
    return FRAME_DONE;
}

/* Decodes a packet and takes its descriptors over. `is_cut`: not all of them could be received. */
static enum frame_result read_packet(struct slice packet, int fds[FDS_MAX], size_t fd_count,
                                     bool is_cut, struct frame *out)
{
    size_t next = 0;
    enum frame_result payload = FRAME_DONE;
    bool is_good = packet.length >= HEAD_SIZE;
    unsigned head = is_good ? (unsigned char)packet.data[0] : 0;

    is_good = is_good && (head & VERSION_MASK) == VERSION;
    if (is_good) {
        out->type = (enum message_type)((unsigned char)packet.data[1] |
                                        (unsigned)(unsigned char)packet.data[2] << 8);
        out->body = slice_skip(packet, HEAD_SIZE);
    }
    if (is_good && (head & FLAG_PAYLOAD) != 0) {
        payload = is_cut && fd_count == 0 ? FRAME_LOST : FRAME_BROKEN;
        if (next < fd_count) {
            payload = map_payload(out, fds[next]);
            fd_close(&fds[next++]);
        }
    }
    if (is_good && (head & FLAG_FD) != 0 && next < fd_count)
        out->fd = fd_take(&fds[next++]);
    for (size_t i = 0; i < fd_count; i++)
        fd_close(&fds[i]);
    if (!is_good || next != fd_count)
        return FRAME_BROKEN;
    if (payload != FRAME_DONE)
        return payload;
    return message_is_valid(out->type, out->body) ? FRAME_DONE : FRAME_BROKEN;
}

static enum frame_result result_of_receive(int sys)
{
    if (sys == EAGAIN)
        return FRAME_LATER;
    return sys == ENOMEM || sys == ENOBUFS ? FRAME_LOST : FRAME_END;
}

static ssize_t receive_packet(int socket, struct msghdr *packet)
{
    ssize_t length = -1;

    /* ECONNRESET: the other side closed without reading all of ours; what it sent can still be read
     */
    do {
        length = recvmsg(socket, packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    return length;
}

enum frame_result frame_receive(int socket, char buffer[FRAME_BUFFER_SIZE], struct frame *out)
{
    struct frame frame = {.fd = -1, .payload_fd = -1};
    union control control;
    int fds[FDS_MAX] = {-1, -1};
    struct iovec part = {.iov_base = buffer, .iov_len = FRAME_BUFFER_SIZE};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};

    ssize_t length = receive_packet(socket, &packet);
    if (length < 0)
        return result_of_receive(errno);
    if (length == 0)
        return FRAME_END;
    size_t fd_count = take_descriptors(&packet, fds);
    bool is_whole = (packet.msg_flags & MSG_TRUNC) == 0;
    bool is_cut = (packet.msg_flags & MSG_CTRUNC) != 0;
    struct slice bytes = slice_from(buffer, is_whole ? (size_t)length : 0);
    enum frame_result result = read_packet(bytes, fds, fd_count, is_cut, &frame);
    if (result != FRAME_DONE) {
        frame_cleanup(&frame);
        return result;
    }
    *out = frame;
    return FRAME_DONE;
}

static void add_descriptors(struct msghdr *packet, union control *control, const int *fds,
                            size_t count)
{
    if (count == 0)
        return;
    memset(control, 0, sizeof(*control));
    packet->msg_control = control->bytes;
    packet->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(packet);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
}

static enum frame_result result_of_send(int sys)
{
    if (sys == EAGAIN)
        return FRAME_LATER;
    if (sys == ENOBUFS || sys == ENOMEM || sys == ETOOMANYREFS || sys == EMFILE || sys == ENFILE)
        return FRAME_RETRY;
    return FRAME_BROKEN;
}

enum frame_result frame_send(int socket, struct frame *frame)
{
    bool is_large = !frame->is_split && frame->body.length > FRAME_INLINE_MAX;
    int fds[FDS_MAX];
    size_t count = 0;
    unsigned flags = 0;

    if (is_large || frame->is_split) {
        struct error err;

        if (frame->payload_fd < 0 &&
            fd_memory_file("entrepot-message", frame->body, &frame->payload_fd, &err) != 0)
            return FRAME_RETRY;
        flags |= FLAG_PAYLOAD;
        fds[count++] = frame->payload_fd;
    }
    if (frame->fd >= 0) {
        flags |= FLAG_FD;
        fds[count++] = frame->fd;
    }
    unsigned char head[HEAD_SIZE] = {(unsigned char)(VERSION | flags),
                                     (unsigned char)((unsigned)frame->type & 0xff),
                                     (unsigned char)((unsigned)frame->type >> 8)};
    union control control;
    struct iovec parts[2] = {{.iov_base = head, .iov_len = sizeof(head)}, {.iov_base = NULL}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 1};
    if (!is_large && frame->body.length > 0) {
        /* sendmsg only reads, but its struct is not const */
        memcpy(&parts[1].iov_base, &frame->body.data, sizeof(void *));
        parts[1].iov_len = frame->body.length;
        packet.msg_iovlen = 2;
    }
    add_descriptors(&packet, &control, fds, count);
    ssize_t sent = -1;
    do {
        sent = sendmsg(socket, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? result_of_send(errno) : FRAME_DONE;
}
