/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads: a cut anywhere changes nothing, and what is accepted has the
 * form that a second reader would also see. Small inputs are cut at every byte, larger ones at one
 * that follows from their content.
 */
#include <string.h>

#include "base/check.h"
#include "fuzz/cut.h"
#include "fuzz/fuzz.h"
#include "net/http_parser.h"

static const struct http_limits ordinary = {.line_max = 8192,
                                            .head_max = 32 * 1024,
                                            .value_max = 16 * 1024,
                                            .range_max = 64 * 1024,
                                            .fields_max = HTTP_HEADERS_MAX};
static const struct http_limits narrow = {
    .line_max = 40, .head_max = 160, .value_max = 24, .range_max = 32, .fields_max = 4};

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

/* Every line ends with CR LF, and neither is anywhere else. */
static void check_lines(struct slice head)
{
    CHECK(head.length >= 4 && slice_ends_with(head, "\r\n\r\n"));
    for (size_t i = 0; i < head.length; i++) {
        char byte = head.data[i];

        CHECK(byte != '\0' && byte != 0x7f);
        if (byte == '\n')
            CHECK(i > 0 && head.data[i - 1] == '\r');
        if (byte == '\r')
            CHECK(i + 1 < head.length && head.data[i + 1] == '\n');
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
    if (slice_is(head->method, "GET") || slice_is(head->method, "HEAD"))
        CHECK(head->body != HTTP_BODY_CHUNKED && head->content_length == 0);
}

static void check_head(const struct http_head *head, struct slice bytes)
{
    check_lines(bytes);
    check_framing(head);
    cut_check_inside(head->method, bytes);
    cut_check_inside(head->target, bytes);
    cut_check_inside(head->host, bytes);
    bool is_asterisk = slice_is(head->target, "*") && slice_is(head->method, "OPTIONS");
    CHECK(is_asterisk || (head->target.length > 0 && head->target.data[0] == '/'));
    CHECK(head->header_count <= HTTP_HEADERS_MAX);
    for (unsigned i = 0; i < head->header_count; i++) {
        cut_check_inside(head->headers[i].name, bytes);
        cut_check_inside(head->headers[i].value, bytes);
        CHECK(head->headers[i].name.length > 0);
    }
}

/* A part of the head is not judged yet, or as the whole is. */
static void check_prefix(struct slice bytes, size_t length, const struct http_limits *limits,
                         const struct outcome *whole)
{
    struct http_head head;
    struct outcome part = parse(slice_from(bytes.data, length), limits, &head);

    if (part.verdict == HTTP_MORE)
        return;
    CHECK(part.verdict == whole->verdict);
    CHECK(part.length == whole->length);
    CHECK(part.refusal.status == whole->refusal.status);
    CHECK(part.refusal.reason == whole->refusal.reason);
}

static void check_request(struct slice bytes, const struct http_limits *limits)
{
    struct http_head head;
    struct outcome whole = parse(bytes, limits, &head);

    if (whole.verdict == HTTP_HEAD)
        check_head(&head, slice_from(bytes.data, whole.length));
    size_t cut = cut_choose(bytes);
    check_prefix(bytes, cut, limits, &whole);
    for (size_t i = 0; bytes.length <= 256 && i < bytes.length; i++)
        check_prefix(bytes, i, limits, &whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);

    check_request(bytes, &ordinary);
    check_request(bytes, &narrow);
    return 0;
}
