/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request, from memory or from a file that may still grow. libcurl asks for the next
 * bytes and is paused while there are none. A piece of a file that is not in the page cache is
 * first read ahead by the pool, so that the loop does not wait for a disk. (door: libcurl)
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/loop.h"
#include "read_ahead.h"
#include "transfer_parts.h"

#define AHEAD_LENGTH (1024ul * 1024)
#define READ_COLD    (-1)
#define READ_FAILED  (-2)

static bool must_have_body(enum transfer_method method)
{
    return method == TRANSFER_POST || method == TRANSFER_PUT || method == TRANSFER_PATCH;
}

int transfer_plan_body(struct transfer *transfer, const struct transfer_request *request,
                       struct error *err)
{
    const struct transfer_body *body = request->body;
    struct transfer_upload *upload = &transfer->upload;

    upload->fd = -1;
    upload->is_wanted = body || must_have_body(request->method);
    upload->is_ended = true;
    if (!body)
        return 0;
    if (request->method == TRANSFER_GET || request->method == TRANSFER_HEAD)
        return error_set(err, ERR_INVALID, "a GET or HEAD has no body");
    if (!body->is_file) {
        upload->bytes = body->bytes;
        upload->length = body->bytes.length;
        upload->available = body->bytes.length;
        return 0;
    }
    if (body->available > body->length)
        return error_set(err, ERR_INVALID, "the body is longer than its declared length");
    upload->offset = body->offset;
    upload->length = body->length;
    upload->available = body->available;
    upload->is_ended = body->available == body->length;
    return fd_dup(body->fd, &upload->fd, err);
}

void transfer_upload_cleanup(struct transfer_upload *upload)
{
    read_ahead_cancel(&upload->ahead);
    fd_close(&upload->fd);
}

bool transfer_is_sending(const struct transfer *transfer)
{
    const struct transfer_upload *upload = &transfer->upload;

    return upload->has_begun && !(upload->is_ended && upload->sent == upload->available);
}

/* ---- the source ---- */

static void on_body_more(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state >= TRANSFER_FINISHED || !transfer->upload.is_paused)
        return;
    transfer->upload.is_paused = false;
    transfer->quiet_since = clock_mono();
    transfer_unpause(transfer, transfer->is_paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

/* After an error status libcurl sends no more of the body, but it does not finish the transfer
 * while the upload is paused. */
void transfer_upload_answered(struct transfer *transfer, int status)
{
    if (!transfer->upload.is_wanted || status < 400)
        return;
    transfer->upload.is_refused = true;
    loop_defer(transfer->set->loop, on_body_more, transfer);
}

/* While the upload is paused libcurl only reads. If it stops reading as well, the server has closed
 * the connection; libcurl itself would notice only when it sends the next byte. */
void transfer_lost_socket(struct transfer *transfer)
{
    if (transfer->state >= TRANSFER_FINISHED || transfer->err.kind != ERR_NONE ||
        !transfer->upload.is_paused || transfer->is_paused || transfer->upload.is_refused)
        return;
    error_set(&transfer->err, ERR_UPSTREAM,
              "the server closed the connection before the body was sent");
    transfer_finish(transfer);
}

void transfer_body_grew(struct transfer *transfer, uint64_t available)
{
    struct transfer_upload *upload = &transfer->upload;

    if (transfer->state >= TRANSFER_FINISHED || upload->is_ended || available <= upload->available)
        return;
    if (available > upload->length) {
        error_set(&transfer->err, ERR_INVALID, "the body is longer than its declared length");
        transfer_finish(transfer);
        return;
    }
    upload->available = available;
    upload->is_ended = available == upload->length;
    loop_defer(transfer->set->loop, on_body_more, transfer);
}

void transfer_body_end(struct transfer *transfer)
{
    struct transfer_upload *upload = &transfer->upload;

    if (transfer->state >= TRANSFER_FINISHED || upload->is_ended)
        return;
    if (upload->length != UINT64_MAX) {
        error_set(&transfer->err, ERR_INVALID, "the body is shorter than its declared length");
        transfer_finish(transfer);
        return;
    }
    upload->is_ended = true;
    loop_defer(transfer->set->loop, on_body_more, transfer);
}

/* ---- reading ---- */

static void on_ahead(void *arg)
{
    struct transfer *transfer = arg;

    transfer->upload.ahead = NULL;
    on_body_more(transfer);
}

/* The number of bytes read, READ_COLD or READ_FAILED. What was read ahead is read without another
 * check, even if it has left the cache since: reading ahead could go on for ever otherwise. */
static ssize_t read_file(struct transfer *transfer, char *out, size_t length)
{
    struct transfer_upload *upload = &transfer->upload;
    off_t at = (off_t)(upload->offset + upload->sent);
    struct iovec piece = {.iov_base = out, .iov_len = length};
    bool may_wait = !transfer->set->pool || upload->sent < upload->warm_until;

    if (!may_wait && FAILPOINT("transfer.cold"))
        return READ_COLD;
    ssize_t got = preadv2(upload->fd, &piece, 1, at, may_wait ? 0 : RWF_NOWAIT);
    if (got < 0 && errno == EAGAIN && !may_wait)
        return READ_COLD;
    if (got < 0 && errno == EOPNOTSUPP)
        got = pread(upload->fd, out, length, at);
    if (got > 0)
        return got;
    if (got == 0)
        error_set(&transfer->err, ERR_IO, "the file of the body is shorter than announced");
    else
        error_set_errno(&transfer->err, errno, "reading the request's body");
    return READ_FAILED;
}

static size_t pause_upload(struct transfer *transfer)
{
    transfer->upload.is_paused = true;
    return CURL_READFUNC_PAUSE;
}

static size_t read_ahead_first(struct transfer *transfer)
{
    struct transfer_upload *upload = &transfer->upload;
    uint64_t left = upload->available - upload->sent;
    uint64_t length = left < AHEAD_LENGTH ? left : AHEAD_LENGTH;

    upload->warm_until = upload->sent + length;
    upload->ahead = read_ahead_start(transfer->set->pool, upload->fd, upload->offset + upload->sent,
                                     length, on_ahead, transfer);
    if (!upload->ahead) /* no descriptor is left: wait for the disk on the loop */
        loop_defer(transfer->set->loop, on_body_more, transfer);
    return pause_upload(transfer);
}

/* The stall timeout applies from the first byte to the last, then the head timeout again. */
static void note_sent(struct transfer *transfer, size_t length)
{
    bool was_sending = transfer_is_sending(transfer);

    transfer->upload.has_begun = true;
    transfer->upload.sent += length;
    transfer->quiet_since = clock_mono();
    if (was_sending != transfer_is_sending(transfer))
        transfer_restart_timer(transfer);
}

size_t transfer_on_read(char *out, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    struct transfer_upload *upload = &transfer->upload;
    uint64_t left = upload->available - upload->sent;
    size_t length = size * count < left ? size * count : (size_t)left;

    if (transfer->state >= TRANSFER_FINISHED)
        return CURL_READFUNC_ABORT;
    if (length == 0) {
        note_sent(transfer, 0);
        return upload->is_ended ? 0 : pause_upload(transfer);
    }
    if (upload->fd >= 0) {
        ssize_t got = read_file(transfer, out, length);

        if (got == READ_COLD)
            return read_ahead_first(transfer);
        if (got == READ_FAILED)
            return CURL_READFUNC_ABORT;
        length = (size_t)got;
    } else {
        memcpy(out, upload->bytes.data + upload->sent, length);
    }
    note_sent(transfer, length);
    return length;
}

/* libcurl rewinds the body to send the request again, when the server turns out to have closed the
 * connection that was kept open. */
int transfer_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *transfer = arg;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->upload.available)
        return CURL_SEEKFUNC_CANTSEEK;
    transfer->upload.sent = (uint64_t)offset;
    transfer->upload.warm_until = 0;
    return CURL_SEEKFUNC_OK;
}
