/* SPDX-License-Identifier: Apache-2.0 */
/* The response: its final head, which is checked before the caller sees it (1xx responses are
 * skipped, trailers ignored), and the bytes of its body. libcurl calls these functions. (door:
 * libcurl) */
#include "base/slice.h"
#include "base/text.h"
#include "transfer_parts.h"

/* Reads the body's length; false refuses the head. A head that frames its body in two ways is an
 * attack or a bug. Any transfer coding but "chunked" may be read differently by libcurl and by the
 * sender. */
static bool read_length(struct slice headers, uint64_t *out)
{
    struct slice line;
    bool is_chunked = false;
    bool has_length = false;

    *out = UINT64_MAX;
    while (slice_split(&headers, '\n', &line)) {
        struct slice value;
        struct error err;
        uint64_t length = 0;

        if (transfer_header(line, "Transfer-Encoding", &value)) {
            if (is_chunked || !slice_is_nocase(value, "chunked"))
                return false;
            is_chunked = true;
        }
        if (!transfer_header(line, "Content-Length", &value))
            continue;
        if (text_parse_u64(value, &length, &err) != 0 || (has_length && length != *out))
            return false;
        has_length = true;
        *out = length;
    }
    return !(is_chunked && has_length);
}

static bool on_head_end(struct transfer *transfer)
{
    struct transfer_response response = {.content_length = UINT64_MAX};
    struct slice head = buf_bytes(&transfer->head);
    ptrdiff_t end = slice_find(head, '\n');
    long status = 0;

    if (transfer->set->curl->easy_get(transfer->easy, CURLINFO_RESPONSE_CODE, &status) !=
        CURLE_OK) {
        error_set(&transfer->err, ERR_INTERNAL, "libcurl does not report the status");
        return false;
    }
    if (status < 200) {
        buf_clear(&transfer->head);
        return true;
    }
    response.status = (int)status;
    response.headers = slice_skip(head, end < 0 ? 0 : (size_t)end + 1);
    if (!read_length(response.headers, &response.content_length)) {
        error_set(&transfer->err, ERR_UPSTREAM, "the response has no unambiguous length");
        return false;
    }
    transfer_set_state(transfer, TRANSFER_BODY);
    transfer_restart_timer(transfer);
    transfer_upload_answered(transfer, response.status);
    bool goes_on = transfer->handler->on_head(transfer, &response, transfer->arg);
    if (!goes_on && transfer->state == TRANSFER_BODY)
        error_set(&transfer->err, ERR_CANCELLED, "the receiver cancelled it");
    return goes_on;
}

size_t transfer_on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = size * count;
    struct slice line = slice_from(data, length);

    if (transfer->state >= TRANSFER_FINISHED)
        return 0;
    if (transfer->state == TRANSFER_BODY) /* a trailer */
        return length;
    if (slice_is(line, "\r\n") || slice_is(line, "\n"))
        return on_head_end(transfer) ? length : 0;
    if (slice_starts_with(line, "HTTP/"))
        buf_clear(&transfer->head);
    buf_append_slice(&transfer->head, line);
    if (transfer->head.is_over) {
        error_set(&transfer->err, ERR_TOO_LARGE, "the head of the response is over 64 KiB");
        return 0;
    }
    return length;
}

size_t transfer_on_data(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t length = size * count;

    if (transfer->state >= TRANSFER_FINISHED)
        return 0;
    transfer->quiet_since = clock_mono();
    switch (transfer->handler->on_data(transfer, slice_from(data, length), transfer->arg)) {
    case TRANSFER_CONTINUE:
        return length;
    case TRANSFER_PAUSE:
        transfer->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    case TRANSFER_ABORT:
        break;
    }
    if (transfer->state < TRANSFER_FINISHED)
        error_set(&transfer->err, ERR_CANCELLED, "the receiver cancelled it");
    return 0;
}
