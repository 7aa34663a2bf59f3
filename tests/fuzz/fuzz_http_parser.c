/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads and chunked bodies: a cut anywhere changes nothing, and what is accepted has the
 * form that a second reader would also see. Small inputs are cut at every byte, larger ones at one
 * that follows from their content.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "net/http_parser.h"

static const struct http_limits ordinary = {.line_max = 8192,
                                            .head_max = 32 * 1024,
                                            .value_max = 16 * 1024,
                                            .fields_max = HTTP_HEADERS_MAX};
static const struct http_limits narrow = {
    .line_max = 40, .head_max = 160, .value_max = 24, .fields_max = HTTP_HEADERS_MAX};

struct outcome {
    enum http_verdict verdict;
    size_t length;
    struct http_refusal refusal;
};

static struct outcome parse(struct slice bytes, const struct http_limits *limits,
                            struct http_head *head)
{
    struct outcome outcome = {0};
    outcome.verdict = http_parse_head(bytes, limits, head, &outcome.length, &outcome.refusal);
    return outcome;
}

static void check_inside(struct slice part, struct slice whole)
{
    CHECK(part.length == 0 ||
          (part.data >= whole.data && part.data + part.length <= whole.data + whole.length));
}

/* Every line ends with CR LF, and neither is anywhere else. */
static void check_lines(struct slice head)
{
    CHECK(head.length >= 4 && slice_ends_with(head, "\r\n\r\n"));
    for (size_t i = 0; i < head.length; i++) {
        char byte = head.data[i];
        CHECK(byte != '\0' && byte != 0x7f);
        if (byte == '\n') {
            CHECK(i > 0 && head.data[i - 1] == '\r');
        }
        if (byte == '\r') {
            CHECK(i + 1 < head.length && head.data[i + 1] == '\n');
        }
    }
}

static void check_framing(const struct http_head *head)
{
    unsigned lengths = http_head_count(head, "content-length");
    unsigned codings = http_head_count(head, "transfer-encoding");
    CHECK(lengths + codings <= 1 && http_head_count(head, "host") <= 1);
    CHECK((head->body == HTTP_BODY_LENGTH) == (lengths == 1));
    CHECK((head->body == HTTP_BODY_CHUNKED) == (codings == 1));
    CHECK(head->content_length <= INT64_MAX);
    CHECK(head->minor == 0 || (head->minor == 1 && head->host.length > 0));
    if (slice_is(head->method, "GET") || slice_is(head->method, "HEAD")) {
        CHECK(head->body != HTTP_BODY_CHUNKED && head->content_length == 0);
    }
}

static void check_head(const struct http_head *head, struct slice bytes)
{
    check_lines(bytes);
    check_framing(head);
    check_inside(head->method, bytes);
    check_inside(head->target, bytes);
    check_inside(head->host, bytes);
    CHECK(head->target.length > 0 && head->target.data[0] == '/');
    CHECK(head->header_count <= HTTP_HEADERS_MAX);
    for (unsigned i = 0; i < head->header_count; i++) {
        check_inside(head->headers[i].name, bytes);
        check_inside(head->headers[i].value, bytes);
        CHECK(head->headers[i].name.length > 0);
    }
}

/* A part of the head is not judged yet, or as the whole is. */
static void check_prefix(struct slice bytes, size_t length, const struct http_limits *limits,
                         const struct outcome *whole)
{
    struct http_head head;
    struct outcome part = parse(slice_from(bytes.data, length), limits, &head);
    if (part.verdict == HTTP_MORE) {
        return;
    }
    CHECK(part.verdict == whole->verdict);
    CHECK(part.length == whole->length);
    CHECK(part.refusal.status == whole->refusal.status);
    CHECK(part.refusal.reason == whole->refusal.reason);
}

struct decoded {
    bool is_over;
    bool is_refused;
    size_t used;
    struct buf data;
};

static void decode(struct http_chunked *chunked, struct slice bytes, size_t data_max,
                   struct decoded *out)
{
    enum http_chunked_verdict verdict = CHUNKED_DATA;
    while (verdict == CHUNKED_DATA) {
        struct slice data = {NULL, 0};
        struct http_refusal refusal = {0};
        size_t used = 0;
        verdict = http_chunked_feed(chunked, bytes, data_max, &used, &data, &refusal);
        CHECK(used <= bytes.length && data.length <= data_max);
        check_inside(data, slice_from(bytes.data, used));
        bytes = slice_skip(bytes, used);
        out->used += used;
        buf_append_slice(&out->data, data);
    }
    out->is_over = verdict == CHUNKED_END;
    out->is_refused = verdict == CHUNKED_REFUSED;
}

static void decode_cut(struct slice bytes, size_t cut, size_t data_max, struct decoded *out)
{
    struct http_chunked chunked;
    *out = (struct decoded){0};
    buf_init(&out->data, bytes.length);
    http_chunked_init(&chunked);
    decode(&chunked, slice_from(bytes.data, cut), data_max, out);
    if (!out->is_over && !out->is_refused) {
        decode(&chunked, slice_skip(bytes, cut), data_max, out);
    }
}

static void check_body(struct slice bytes, size_t cut)
{
    struct decoded whole;
    struct decoded parts;
    decode_cut(bytes, bytes.length, bytes.length + 1, &whole);
    decode_cut(bytes, cut, cut % 7 + 1, &parts);
    CHECK(whole.is_over == parts.is_over && whole.is_refused == parts.is_refused);
    CHECK(whole.used == parts.used);
    CHECK(slice_equal(buf_bytes(&whole.data), buf_bytes(&parts.data)));
    buf_cleanup(&whole.data);
    buf_cleanup(&parts.data);
}

static size_t choose_cut(struct slice bytes)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ (unsigned char)bytes.data[i]) * 16777619U;
    }
    return hash % (bytes.length + 1);
}

static void check_request(struct slice bytes, const struct http_limits *limits)
{
    struct http_head head;
    struct outcome whole = parse(bytes, limits, &head);
    size_t body = 0;
    if (whole.verdict == HTTP_HEAD) {
        check_head(&head, slice_from(bytes.data, whole.length));
        body = head.body == HTTP_BODY_CHUNKED ? whole.length : 0;
    }
    size_t cut = choose_cut(bytes);
    check_prefix(bytes, cut, limits, &whole);
    check_body(slice_skip(bytes, body), choose_cut(slice_skip(bytes, body)));
    for (size_t i = 0; bytes.length <= 256 && i < bytes.length; i++) {
        check_prefix(bytes, i, limits, &whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    check_request(bytes, &ordinary);
    check_request(bytes, &narrow);
    return 0;
}
