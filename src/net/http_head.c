/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a complete head: Host, the framing of the body, expectations, whether the connection stays
 * open. Requests are smuggled where two readers frame a message differently, so everything that
 * could be read in two ways is refused.
 */
#include "http_head.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "http_bytes.h"

static void note_connection(struct http_framing *framing, struct slice value)
{
    struct slice part;

    while (slice_split(&value, ',', &part)) {
        struct slice option = slice_trim(part);

        if (slice_is_nocase(option, "close"))
            framing->has_close = true;
        else if (slice_is_nocase(option, "keep-alive"))
            framing->has_keep_alive = true;
    }
}

static void note_expectation(struct http_framing *framing, struct slice value)
{
    if (slice_is_nocase(value, "100-continue"))
        framing->has_continue = true;
    else
        framing->has_other_expectation = true;
}

static void note_once(struct slice *first, unsigned *count, struct slice value)
{
    if (*count == 0)
        *first = value;
    ++*count;
}

void http_framing_note(struct http_framing *framing, const struct http_header *header)
{
    /* Compare the length first: most fields are none of these. */
    switch (header->name.length) {
    case sizeof("Host") - 1:
        if (slice_is_nocase(header->name, "Host"))
            note_once(&framing->host, &framing->hosts, header->value);
        break;
    case sizeof("Expect") - 1:
        if (slice_is_nocase(header->name, "Expect"))
            note_expectation(framing, header->value);
        break;
    case sizeof("Connection") - 1:
        if (slice_is_nocase(header->name, "Connection"))
            note_connection(framing, header->value);
        break;
    case sizeof("Content-Length") - 1:
        if (slice_is_nocase(header->name, "Content-Length"))
            note_once(&framing->content_length, &framing->content_lengths, header->value);
        break;
    case sizeof("Transfer-Encoding") - 1:
        if (slice_is_nocase(header->name, "Transfer-Encoding"))
            note_once(&framing->transfer_encoding, &framing->transfer_encodings, header->value);
        break;
    default:
        break;
    }
}

/* Nothing, or a colon and up to five digits. */
static bool is_port(struct slice text)
{
    unsigned port = 0;

    if (text.length == 0)
        return true;
    if (text.data[0] != ':' || text.length > 6)
        return false;
    for (size_t i = 1; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool is_ipv6_literal(struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ignored;

    if (text.length >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return inet_pton(AF_INET6, copy, &ignored) == 1;
}

bool http_is_host(struct slice text)
{
    if (text.length > 0 && text.data[0] == '[') {
        ptrdiff_t end = slice_find(text, ']');

        if (end < 0)
            return false;
        return is_ipv6_literal(slice_from(text.data + 1, (size_t)end - 1)) &&
               is_port(slice_skip(text, (size_t)end + 1));
    }
    ptrdiff_t colon = slice_find(text, ':');
    size_t length = colon < 0 ? text.length : (size_t)colon;
    return http_bytes_are(slice_from(text.data, length), BYTE_HOST) &&
           is_port(slice_skip(text, length));
}

static enum http_verdict decide_host(const struct http_framing *framing, struct http_head *head,
                                     struct http_refusal *refusal)
{
    if (framing->hosts > 1)
        return http_refuse(refusal, 400, "There is more than one Host.");
    if (framing->hosts == 0 && head->minor == 1)
        return http_refuse(refusal, 400, "Host is missing.");
    if (framing->hosts == 1 && !http_is_host(framing->host))
        return http_refuse(refusal, 400, "Host is not a name or address with an optional port.");
    head->host = framing->host;
    return HTTP_HEAD;
}

bool http_target_is_absolute(struct slice target)
{
    return target.length > 7 && slice_is_nocase(slice_from(target.data, 7), "http://");
}

/* Port 80 may be left out (RFC 9110 4.2.3). */
static struct slice without_default_port(struct slice authority)
{
    size_t length = authority.length;

    if (length > 3 && memcmp(authority.data + length - 3, ":80", 3) == 0)
        authority.length -= 3;
    else if (length > 1 && authority.data[length - 1] == ':')
        authority.length -= 1;
    return authority;
}

static bool is_same_authority(struct slice a, struct slice b)
{
    a = without_default_port(a);
    b = without_default_port(b);
    return a.length == b.length && strncasecmp(a.data, b.data, a.length) == 0;
}

/* HTTP/1.0 does not require Host; the target names the host then. */
static enum http_verdict decide_absolute(struct http_head *head, bool has_host,
                                         struct http_refusal *refusal)
{
    struct slice rest = slice_skip(head->target, 7);
    size_t length = 0;

    while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?')
        length++;
    struct slice authority = slice_from(rest.data, length);
    if (!http_is_host(authority) || (has_host && !is_same_authority(authority, head->host)))
        return http_refuse(refusal, 400, "The target and Host name different hosts.");
    if (length < rest.length && rest.data[length] == '?')
        return http_refuse(refusal, 400, "The target has a query, but no path.");
    head->host = authority;
    /* A target without a path means "/": borrow the last slash of "http://". */
    head->target =
        length == rest.length ? slice_from(head->target.data + 6, 1) : slice_skip(rest, length);
    return HTTP_HEAD;
}

static enum http_verdict decide_target(const struct http_framing *framing, struct http_head *head,
                                       struct http_refusal *refusal)
{
    if (head->target.data[0] == '/')
        return HTTP_HEAD;
    if (head->target.data[0] != '*')
        return decide_absolute(head, framing->hosts > 0, refusal);
    if (!slice_is(head->method, "OPTIONS"))
        return http_refuse(refusal, 400, "Only OPTIONS may have the target \"*\".");
    return HTTP_HEAD;
}

/* Digits without leading zeros, up to 2^63-1. */
static bool read_length(struct slice text, uint64_t *out)
{
    if (text.length == 0 || text.length > 19 || (text.length > 1 && text.data[0] == '0'))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > INT64_MAX)
        return false;
    *out = value;
    return true;
}

/* Every coding must be a token, and chunked must be the last; otherwise readers disagree. */
static enum http_verdict refuse_coding(struct slice codings, struct http_refusal *refusal)
{
    const char *reason = "Transfer-Encoding must be \"chunked\".";
    bool has_chunked = false;

    if (codings.length == 0 || codings.data[codings.length - 1] == ',')
        return http_refuse(refusal, 400, reason);
    struct slice part;
    while (slice_split(&codings, ',', &part)) {
        struct slice coding = slice_trim(part);

        if (has_chunked || !http_bytes_are(coding, BYTE_TOKEN))
            return http_refuse(refusal, 400, reason);
        has_chunked = slice_is_nocase(coding, "chunked");
    }
    return http_refuse(refusal, 501, "Only the transfer coding \"chunked\" is known here.");
}

static enum http_verdict decide_chunked(const struct http_framing *framing, struct http_head *head,
                                        struct http_refusal *refusal)
{
    if (framing->content_lengths > 0)
        return http_refuse(refusal, 400, "Content-Length and Transfer-Encoding are both present.");
    if (framing->transfer_encodings > 1)
        return http_refuse(refusal, 400, "There is more than one Transfer-Encoding.");
    if (head->minor == 0)
        return http_refuse(refusal, 400, "HTTP/1.0 has no Transfer-Encoding.");
    if (!slice_is_nocase(framing->transfer_encoding, "chunked"))
        return refuse_coding(framing->transfer_encoding, refusal);
    head->body = HTTP_BODY_CHUNKED;
    return HTTP_HEAD;
}

static enum http_verdict decide_length(const struct http_framing *framing, struct http_head *head,
                                       struct http_refusal *refusal)
{
    if (framing->content_lengths > 1)
        return http_refuse(refusal, 400, "There is more than one Content-Length.");
    if (!read_length(framing->content_length, &head->content_length))
        return http_refuse(refusal, 400, "Content-Length is not a valid number.");
    head->body = HTTP_BODY_LENGTH;
    return HTTP_HEAD;
}

static bool never_has_body(struct slice method)
{
    return slice_is(method, "GET") || slice_is(method, "HEAD") || slice_is(method, "DELETE") ||
           slice_is(method, "OPTIONS") || slice_is(method, "TRACE") || slice_is(method, "CONNECT");
}

static enum http_verdict decide_body(const struct http_framing *framing, struct http_head *head,
                                     struct http_refusal *refusal)
{
    enum http_verdict verdict = HTTP_HEAD;

    head->body = HTTP_BODY_NONE;
    head->content_length = 0;
    if (framing->transfer_encodings > 0)
        verdict = decide_chunked(framing, head, refusal);
    else if (framing->content_lengths > 0)
        verdict = decide_length(framing, head, refusal);
    if (verdict != HTTP_HEAD)
        return verdict;
    bool has_body = head->body == HTTP_BODY_CHUNKED || head->content_length > 0;
    if (has_body && never_has_body(head->method))
        return http_refuse(refusal, 400, "This method has no body.");
    return HTTP_HEAD;
}

enum http_verdict http_framing_decide(const struct http_framing *framing, struct http_head *head,
                                      struct http_refusal *refusal)
{
    enum http_verdict verdict = decide_host(framing, head, refusal);

    if (verdict == HTTP_HEAD)
        verdict = decide_target(framing, head, refusal);
    if (verdict == HTTP_HEAD)
        verdict = decide_body(framing, head, refusal);
    if (verdict != HTTP_HEAD)
        return verdict;
    /* HTTP/1.0 has no expectations (RFC 9110 10.1.1). */
    if (framing->has_other_expectation && head->minor == 1)
        return http_refuse(refusal, 417, "Only \"Expect: 100-continue\" is known here.");
    head->expects_continue = framing->has_continue && head->minor == 1;
    head->keep_alive = !framing->has_close && (head->minor == 1 || framing->has_keep_alive);
    return HTTP_HEAD;
}
