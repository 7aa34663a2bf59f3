/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version 1 is a line, "PROXY TCP4 SOURCE DESTINATION PORT PORT" and CRLF. Version 2 is binary: a
 * signature of 12 bytes, one byte of version and command, one of address family and transport, two
 * of length; then that many bytes, the addresses and what else the proxy has to say, which is
 * skipped. The first byte tells which it is.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"
#include "socket_address.h"

#define FIXED         16 /* bytes of version 2 before the addresses */
#define FAMILY_INET   1
#define FAMILY_INET6  2
#define FAMILY_UNIX   3
#define TRANSPORT_TCP 1

static const char line_start[] = "PROXY ";
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
static const size_t sizes_of_addresses[] = {
    [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};

static const char not_begun[] = "the header of the PROXY protocol is missing";
static const char bad_line[] = "the line of the PROXY protocol is malformed";

static enum proxy_verdict refuse(const char **out_why, const char *why)
{
    *out_why = why;
    return PROXY_BAD;
}

/* ---- version 1 ---- */

static bool read_port(struct slice text, in_port_t *out)
{
    uint64_t port;
    bool has_zero = text.length > 1 && text.data[0] == '0';

    if (has_zero || text.length > 5 || text_parse_u64(text, &port, NULL) != 0 || port > UINT16_MAX)
        return false;
    *out = htons((uint16_t)port);
    return true;
}

static bool read_address(struct slice text, int family, void *out)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.length >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return inet_pton(family, copy, out) == 1;
}

/* The four words after "TCP4 " or "TCP6 ". */
static bool read_addresses(struct slice text, bool is_v6, union socket_address *client)
{
    struct slice words[4];
    struct in6_addr ignored;
    in_port_t port;
    int family = is_v6 ? AF_INET6 : AF_INET;
    void *host = is_v6 ? (void *)&client->v6.sin6_addr : (void *)&client->v4.sin_addr;

    for (unsigned i = 0; i < 4; i++) {
        if (!slice_split(&text, ' ', &words[i]))
            return false;
    }
    client->any.sa_family = (sa_family_t)family;
    return !text.data && read_address(words[0], family, host) &&
           read_address(words[1], family, &ignored) && read_port(words[3], &port) &&
           read_port(words[2], is_v6 ? &client->v6.sin6_port : &client->v4.sin_port);
}

static enum proxy_verdict read_line(struct proxy_header *header, const char **out_why)
{
    struct slice line = slice_from(header->bytes, header->have);
    union socket_address client = {0};

    if (!slice_ends_with(line, "\r\n"))
        return refuse(out_why, bad_line);
    line = slice_skip(slice_from(line.data, line.length - 2), sizeof(line_start) - 1);
    if (slice_is(line, "UNKNOWN") || slice_starts_with(line, "UNKNOWN "))
        return PROXY_DONE;
    bool is_v6 = slice_starts_with(line, "TCP6 ");
    if (!is_v6 && !slice_starts_with(line, "TCP4 "))
        return refuse(out_why, bad_line);
    if (!read_addresses(slice_skip(line, 5), is_v6, &client))
        return refuse(out_why, bad_line);
    socket_address_print(&client, header->client);
    return PROXY_DONE;
}

static enum proxy_verdict step_line(struct proxy_header *header, const char **out_why)
{
    size_t last = header->have - 1;

    if (header->have < sizeof(line_start) && header->bytes[last] != line_start[last])
        return refuse(out_why, not_begun);
    if (header->bytes[last] == '\n')
        return read_line(header, out_why);
    if (header->have == PROXY_LINE_MAX)
        return refuse(out_why, "the line of the PROXY protocol is too long");
    return PROXY_MORE;
}

/* ---- version 2 ---- */

static unsigned byte_at(const struct proxy_header *header, size_t index)
{
    return (unsigned char)header->bytes[index];
}

static bool is_local(const struct proxy_header *header)
{
    return (byte_at(header, 12) & 0x0f) == 0;
}

static enum proxy_verdict judge_fixed(struct proxy_header *header, const char **out_why)
{
    unsigned family = byte_at(header, 13) >> 4;
    unsigned transport = byte_at(header, 13) & 0x0f;
    size_t rest = byte_at(header, 14) << 8 | byte_at(header, 15);

    if (byte_at(header, 12) >> 4 != 2 || (byte_at(header, 12) & 0x0f) > 1) {
        return refuse(out_why,
                      "the header of the PROXY protocol has an unknown version or command");
    }
    if (family > FAMILY_UNIX || transport > 2)
        return refuse(out_why, "the header of the PROXY protocol has an unknown address family");
    if (FIXED + rest > PROXY_HEADER_MAX)
        return refuse(out_why, "the header of the PROXY protocol is too long");
    if (!is_local(header) && transport == TRANSPORT_TCP && rest < sizes_of_addresses[family])
        return refuse(out_why, "the header of the PROXY protocol is too short for its addresses");
    header->length = FIXED + rest;
    return PROXY_MORE;
}

static void read_binary(struct proxy_header *header)
{
    union socket_address client = {0};
    const char *from = header->bytes + FIXED;
    unsigned family = byte_at(header, 13) >> 4;

    if (is_local(header) || (byte_at(header, 13) & 0x0f) != TRANSPORT_TCP || family == 0)
        return;
    if (family == FAMILY_INET) {
        client.v4.sin_family = AF_INET;
        memcpy(&client.v4.sin_addr, from, 4);
        memcpy(&client.v4.sin_port, from + 8, 2);
    } else if (family == FAMILY_INET6) {
        client.v6.sin6_family = AF_INET6;
        memcpy(&client.v6.sin6_addr, from, 16);
        memcpy(&client.v6.sin6_port, from + 32, 2);
    } else {
        client.any.sa_family = AF_UNIX;
    }
    socket_address_print(&client, header->client);
}

static enum proxy_verdict step_binary(struct proxy_header *header, const char **out_why)
{
    size_t last = header->have - 1;

    if (header->have < sizeof(signature) && header->bytes[last] != signature[last])
        return refuse(out_why, not_begun);
    if (header->have == FIXED && judge_fixed(header, out_why) == PROXY_BAD)
        return PROXY_BAD;
    if (header->length == 0 || header->have < header->length)
        return PROXY_MORE;
    read_binary(header);
    return PROXY_DONE;
}

enum proxy_verdict proxy_header_feed(struct proxy_header *header, struct slice bytes,
                                     size_t *out_used, const char **out_why)
{
    enum proxy_verdict verdict = PROXY_MORE;
    size_t used = 0;

    while (used < bytes.length && verdict == PROXY_MORE) {
        if (header->have < sizeof(header->bytes))
            header->bytes[header->have] = bytes.data[used];
        header->have++;
        used++;
        verdict = header->bytes[0] == signature[0] ? step_binary(header, out_why)
                                                   : step_line(header, out_why);
    }
    *out_used = used;
    return verdict;
}

bool proxy_header_is_begun(struct slice bytes)
{
    return slice_starts_with(bytes, "PROXY TCP") || slice_starts_with(bytes, "PROXY UNKNOWN") ||
           (bytes.length >= sizeof(signature) - 1 &&
            memcmp(bytes.data, signature, sizeof(signature) - 1) == 0);
}
