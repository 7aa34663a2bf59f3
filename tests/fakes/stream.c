/* SPDX-License-Identifier: Apache-2.0 */
#include "fakes/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/list.h"
#include "fakes/loop.h"
#include "net/loop.h"
#include "net/stream.h"

#define RECORD       ((size_t)16 * 1024)
#define SINGLE_BYTES 200
#define SEND_AWKWARD 5 /* each 5th send wants to read first */
#define RECV_AWKWARD 7 /* each 7th receive wants to write first */
#define OFFER_KEPT   16

/* One direction. */
struct way {
    size_t moved;
    unsigned calls;
    unsigned owed; /* this event must be reported before it goes on */
};

struct fake_stream {
    struct list link;
    struct fake_stream_plan plan;
    int fd;
    struct way in;
    struct way out;
    unsigned steps;
    char record[RECORD]; /* taken from the socket, not yet received */
    size_t record_at;
    size_t record_length;
    bool has_ended;
    int broken; /* errno */
    bool is_end_asked;
    char offer[OFFER_KEPT]; /* the first bytes of a send that was put off */
    size_t offer_length;
};

struct fake_stream_plan fake_stream_plan = {.handshake = FAKE_HANDSHAKE_WORKS, .steps = 4};

static struct list streams = {&streams, &streams};

unsigned fake_streams_open(void)
{
    unsigned count = 0;

    LIST_EACH (link, &streams)
        count++;
    return count;
}

static struct fake_stream *stream_of(int fd)
{
    LIST_EACH (link, &streams) {
        struct fake_stream *fake = LIST_ITEM(link, struct fake_stream, link);

        if (fake->fd == fd)
            return fake;
    }
    return NULL;
}

/* What a stream waits for comes at once when somebody watches for it. The kernel's WRITE is real.
 */
static unsigned deliver_owed(int fd, unsigned events, unsigned ready)
{
    struct fake_stream *fake = stream_of(fd);

    if (!fake)
        return ready;
    ready |= events & WATCH_READ & (fake->in.owed | fake->out.owed);
    fake->in.owed &= ~ready;
    fake->out.owed &= ~ready;
    return ready;
}

/* -EAGAIN, and the loop owes the event. */
static int put_off(struct way *way, unsigned char *wants, unsigned event)
{
    way->owed = event;
    *wants = (unsigned char)event;
    return -EAGAIN;
}

static size_t portion(const struct way *way, size_t offered)
{
    if (way->moved < SINGLE_BYTES || way->calls % 2 == 0)
        return offered > 0 ? 1 : 0;
    return offered < RECORD ? offered : RECORD;
}

static int fake_open(struct stream *stream, const void *context, struct error *err)
{
    struct fake_stream *fake = NEW(struct fake_stream);

    (void)context;
    (void)err;
    fake->plan = fake_stream_plan;
    fake->fd = stream->fd;
    list_append(&streams, &fake->link);
    fake_loop_set_filter(deliver_owed);
    stream->own = fake;
    return 0;
}

static void fake_close(struct stream *stream)
{
    struct fake_stream *fake = stream->own;

    list_remove(&fake->link);
    mem_free(fake);
    stream->own = NULL;
}

/* Take a record from the socket when none is left. */
static void fill_record(struct fake_stream *fake)
{
    if (fake->record_at < fake->record_length || fake->has_ended || fake->broken)
        return;
    ssize_t got = recv(fake->fd, fake->record, RECORD, MSG_DONTWAIT);
    fake->record_at = 0;
    fake->record_length = got > 0 ? (size_t)got : 0;
    fake->has_ended = got == 0;
    if (got < 0 && errno != EAGAIN)
        fake->broken = errno;
}

static int fake_handshake(struct stream *stream, struct error *err)
{
    struct fake_stream *fake = stream->own;

    if (fake->in.owed)
        return -EAGAIN;
    stream->recv_wants = WATCH_READ;
    if (fake->steps < fake->plan.steps) {
        return put_off(&fake->in, &stream->recv_wants,
                       fake->steps++ % 2 ? WATCH_READ : WATCH_WRITE);
    }
    if (fake->plan.handshake == FAKE_HANDSHAKE_HANGS) {
        fill_record(fake);
        fake->record_at = fake->record_length;
        return fake->has_ended ? -EPROTO : -EAGAIN;
    }
    if (fake->plan.handshake == FAKE_HANDSHAKE_FAILS) {
        (void)error_set(err, ERR_IO, "the client speaks another tongue");
        return -EPROTO;
    }
    return 0;
}

static ssize_t fake_recv(struct stream *stream, void *buffer, size_t capacity)
{
    struct fake_stream *fake = stream->own;

    if (fake->in.owed)
        return -EAGAIN;
    stream->recv_wants = WATCH_READ;
    if (++fake->in.calls % RECV_AWKWARD == 0)
        return put_off(&fake->in, &stream->recv_wants, WATCH_WRITE);
    fill_record(fake);
    if (fake->broken)
        return -fake->broken;
    if (fake->record_at == fake->record_length)
        return fake->has_ended ? 0 : -EAGAIN;
    size_t given = portion(&fake->in, fake->record_length - fake->record_at);
    if (given > capacity)
        given = capacity;
    memcpy(buffer, fake->record + fake->record_at, given);
    fake->record_at += given;
    fake->in.moved += given;
    return (ssize_t)given;
}

static void check_offer(struct fake_stream *fake, const char *bytes, size_t length)
{
    CHECK(length >= fake->offer_length && memcmp(bytes, fake->offer, fake->offer_length) == 0);
    fake->offer_length = 0;
}

static ssize_t send_bytes(struct stream *stream, const char *bytes, size_t length)
{
    struct fake_stream *fake = stream->own;
    ssize_t rc = -EAGAIN;

    check_offer(fake, bytes, length);
    if (!fake->out.owed) {
        stream->send_wants = WATCH_WRITE;
        if (++fake->out.calls % SEND_AWKWARD == 0) {
            rc = put_off(&fake->out, &stream->send_wants, WATCH_READ);
        } else {
            rc = send(fake->fd, bytes, portion(&fake->out, length), MSG_DONTWAIT | MSG_NOSIGNAL);
            rc = rc < 0 ? -errno : rc;
        }
    }
    if (rc > 0)
        fake->out.moved += (size_t)rc;
    if (rc == -EAGAIN) {
        fake->offer_length = length < OFFER_KEPT ? length : OFFER_KEPT;
        memcpy(fake->offer, bytes, fake->offer_length);
    }
    return rc;
}

static ssize_t fake_writev(struct stream *stream, struct iovec *pieces, size_t count, bool more)
{
    char record[RECORD];
    size_t length = 0;

    (void)more;
    for (size_t i = 0; i < count && length < RECORD; i++) {
        size_t room = RECORD - length;
        size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;

        memcpy(record + length, pieces[i].iov_base, taken);
        length += taken;
    }
    return send_bytes(stream, record, length);
}

static ssize_t fake_send_file(struct stream *stream, int fd, uint64_t offset, size_t length)
{
    char record[RECORD];
    ssize_t got = pread(fd, record, length < RECORD ? length : RECORD, (off_t)offset);

    if (got <= 0)
        return got < 0 ? -errno : 0;
    return send_bytes(stream, record, (size_t)got);
}

static enum stream_peer fake_look(struct stream *stream)
{
    struct fake_stream *fake = stream->own;

    fill_record(fake);
    if (fake->record_at < fake->record_length)
        return STREAM_PEER_SENT;
    if (fake->broken)
        return STREAM_PEER_BROKEN;
    return fake->has_ended ? STREAM_PEER_ENDED : STREAM_PEER_QUIET;
}

static bool fake_has_pending(const struct stream *stream)
{
    const struct fake_stream *fake = stream->own;

    return !fake->in.owed && (fake->record_at < fake->record_length || fake->has_ended);
}

static int fake_end(struct stream *stream)
{
    struct fake_stream *fake = stream->own;

    if (fake->out.owed)
        return -EAGAIN;
    stream->send_wants = WATCH_WRITE;
    if (fake->is_end_asked)
        return 0;
    fake->is_end_asked = true;
    return put_off(&fake->out, &stream->send_wants, WATCH_READ);
}

static const struct stream_ops fake_ops = {
    .recv = fake_recv,
    .writev = fake_writev,
    .send_file = fake_send_file,
    .look = fake_look,
    .has_pending = fake_has_pending,
    .open = fake_open,
    .handshake = fake_handshake,
    .end = fake_end,
    .close = fake_close,
};

const struct stream_kind stream_plain = {.ops = &fake_ops};
