/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each proxy appends to a list: the first entry was written by the one that is nearest to the
 * client, or by the client. An entry of Forwarded is "for=ADDRESS;proto=https;host=NAME", its
 * values perhaps in quotes. Nothing is repaired: what is not exactly a scheme or a host does not
 * count.
 */
#include "net/forwarded.h"

#include <string.h>

#include "http_bytes.h"
#include "http_head.h"
#include "net/http_parser.h"

/* One pair of an entry of Forwarded, or the place where it is malformed. */
enum pair_verdict {
    PAIR_FOUND,
    PAIR_NONE, /* the entry is over */
    PAIR_BAD,
};

static bool is_trace(struct slice name)
{
    static const char *const names[] = {"Via", "Forwarded", "X-Real-IP"};
    const size_t prefix = sizeof("X-Forwarded-") - 1;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_is_nocase(name, names[i]))
            return true;
    }
    return name.length > prefix && slice_is_nocase(slice_from(name.data, prefix), "X-Forwarded-");
}

bool forwarded_has_trace(const struct http_head *head)
{
    for (unsigned i = 0; i < head->header_count; i++) {
        if (is_trace(head->headers[i].name))
            return true;
    }
    return false;
}

/* ---- Forwarded ---- */

static size_t token_length(struct slice text)
{
    size_t length = 0;

    while (length < text.length && http_byte_is(text.data[length], BYTE_TOKEN))
        length++;
    return length;
}

/* Takes a token, or what is between quotes, off *rest. A backslash has no place in a scheme, a host
 * or an address, so it is malformed. */
static bool take_value(struct slice *rest, struct slice *out)
{
    if (rest->length == 0 || rest->data[0] != '"') {
        *out = slice_from(rest->data, token_length(*rest));
        *rest = slice_skip(*rest, out->length);
        return out->length > 0;
    }
    struct slice quoted = slice_skip(*rest, 1);
    ptrdiff_t end = slice_find(quoted, '"');
    if (end < 0)
        return false;
    *out = slice_from(quoted.data, (size_t)end);
    *rest = slice_skip(quoted, (size_t)end + 1);
    return slice_find(*out, '\\') < 0;
}

/* Takes "name=value" and what separates it from the next one off *rest. */
static enum pair_verdict take_pair(struct slice *rest, struct slice *name, struct slice *value)
{
    struct slice text = slice_trim(*rest);

    while (text.length > 0 && text.data[0] == ';')
        text = slice_trim(slice_skip(text, 1));
    if (text.length == 0 || text.data[0] == ',')
        return PAIR_NONE;
    *name = slice_from(text.data, token_length(text));
    text = slice_skip(text, name->length);
    if (name->length == 0 || text.length == 0 || text.data[0] != '=')
        return PAIR_BAD;
    text = slice_skip(text, 1);
    if (!take_value(&text, value))
        return PAIR_BAD;
    text = slice_trim(text);
    if (text.length > 0 && text.data[0] != ';' && text.data[0] != ',')
        return PAIR_BAD;
    *rest = text;
    return PAIR_FOUND;
}

/* The pairs proto and host of the first entry. False: it is malformed, or one is there twice. */
static bool read_first_entry(struct slice text, struct slice *proto, struct slice *host)
{
    struct slice name;
    struct slice value;
    enum pair_verdict verdict;

    while ((verdict = take_pair(&text, &name, &value)) == PAIR_FOUND) {
        struct slice *to = slice_is_nocase(name, "proto")  ? proto
                           : slice_is_nocase(name, "host") ? host
                                                           : NULL;

        if (to && to->data)
            return false;
        if (to)
            *to = value;
    }
    return verdict == PAIR_NONE;
}

/* ---- the older fields ---- */

static struct slice first_of_list(const struct http_head *head, const char *name)
{
    const struct slice *value = http_head_find(head, name);
    struct slice rest = value ? *value : slice_of(NULL);
    struct slice first = {NULL, 0};

    (void)slice_split(&rest, ',', &first);
    return slice_trim(first);
}

static struct slice port_of(struct slice host)
{
    ptrdiff_t colon = slice_find_last(host, ':');
    ptrdiff_t bracket = slice_find_last(host, ']');

    return colon > bracket ? slice_skip(host, (size_t)colon + 1) : slice_of(NULL);
}

/* A proxy that passes on a host without its port says the port elsewhere. Which of the ports on the
 * way it names is not known, so that a host that it does not fit is no host to go to. */
static bool does_port_fit(const struct http_head *head, const struct forwarded_origin *origin)
{
    struct slice said = first_of_list(head, "X-Forwarded-Port");
    struct slice port = port_of(origin->host);

    if (said.length == 0)
        return true;
    if (port.length == 0)
        port = slice_of(origin->is_https ? "443" : "80");
    return slice_equal(said, port);
}

bool forwarded_find_origin(const struct http_head *head, struct forwarded_origin *out)
{
    struct slice proto = {NULL, 0};
    struct slice host = {NULL, 0};
    const struct slice *forwarded = http_head_find(head, "Forwarded");
    bool is_older = false;

    if (forwarded && !read_first_entry(*forwarded, &proto, &host))
        return false;
    if (!proto.data) {
        is_older = true;
        proto = first_of_list(head, "X-Forwarded-Proto");
        host = first_of_list(head, "X-Forwarded-Host");
    }
    struct forwarded_origin origin = {
        .host = host.length > 0 ? host : head->host,
        .is_https = slice_is_nocase(proto, "https"),
    };
    if (!origin.is_https && !slice_is_nocase(proto, "http"))
        return false;
    if (origin.host.length > FORWARDED_HOST_MAX || !http_is_host(origin.host))
        return false;
    if (is_older && !does_port_fit(head, &origin))
        return false;
    *out = origin;
    return true;
}

/* ---- from whom ---- */

static void add_hop(struct forwarded_hops *hops, struct slice hop)
{
    if (hops->count == FORWARDED_HOPS_MAX) {
        memmove(hops->items, hops->items + 1, sizeof(hops->items) - sizeof(hops->items[0]));
        hops->count--;
    }
    hops->items[hops->count++] = hop;
}

void forwarded_read_older_hops(const struct http_head *head, struct forwarded_hops *out)
{
    out->count = 0;
    for (unsigned i = 0; i < head->header_count; i++) {
        struct slice rest = head->headers[i].value;
        struct slice hop;

        if (!slice_is_nocase(head->headers[i].name, "X-Forwarded-For"))
            continue;
        while (slice_split(&rest, ',', &hop))
            add_hop(out, slice_trim(hop));
    }
}

/* One line of Forwarded. An entry without for= is a hop that says nothing. */
static bool read_line(struct slice text, struct forwarded_hops *out)
{
    struct slice name;
    struct slice value;
    struct slice hop = {NULL, 0};
    enum pair_verdict verdict;

    do {
        verdict = take_pair(&text, &name, &value);
        if (verdict == PAIR_FOUND && slice_is_nocase(name, "for"))
            hop = value;
        if (verdict == PAIR_NONE) {
            add_hop(out, hop);
            hop = slice_of(NULL);
            text = slice_trim(text);
            while (text.length > 0 && text.data[0] == ';')
                text = slice_trim(slice_skip(text, 1));
            if (text.length == 0)
                return true;
            text = slice_skip(text, 1); /* the comma */
        }
    } while (verdict != PAIR_BAD);
    return false;
}

void forwarded_read_hops(const struct http_head *head, struct forwarded_hops *out)
{
    out->count = 0;
    for (unsigned i = 0; i < head->header_count; i++) {
        if (!slice_is_nocase(head->headers[i].name, "Forwarded"))
            continue;
        if (!read_line(head->headers[i].value, out)) {
            out->count = 0;
            return;
        }
    }
}
