/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anybody can begin a list of hops with what they like; what a trusted proxy appends is true. So
 * the list is read from its end, as long as the one who appended is trusted.
 */
#include "trust.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "net/forwarded.h"
#include "net/http_parser.h"

void trust_fill(struct trust *trust, const struct config_list *entries)
{
    CHECK(entries->count <= CONFIG_PROXIES_MAX);
    trust->count = 0;
    trust->has_unix = false;
    for (size_t i = 0; i < entries->count; i++) {
        struct slice entry = slice_of(entries->items[i]);
        struct error ignored;

        if (slice_is(entry, "unix"))
            trust->has_unix = true;
        else if (network_parse(entry, &trust->networks[trust->count], &ignored) == 0)
            trust->count++;
    }
}

bool trust_is_set(const struct trust *trust)
{
    return trust->count > 0 || trust->has_unix;
}

static bool has_address(const struct trust *trust, const struct ip_address *address)
{
    for (unsigned i = 0; i < trust->count; i++) {
        if (network_has(&trust->networks[i], address))
            return true;
    }
    return false;
}

static bool is_port(struct slice text)
{
    uint64_t port;

    return text.length <= 5 && text_parse_u64(text, &port, NULL) == 0 && port <= UINT16_MAX;
}

/* "ADDRESS", "IPV4:PORT", "[ADDRESS]" or "[ADDRESS]:PORT". */
static bool parse_hop(struct slice text, struct ip_address *out)
{
    ptrdiff_t colon = slice_find_last(text, ':');
    ptrdiff_t bracket = slice_find_last(text, ']');
    bool has_port =
        colon >= 0 && (bracket >= 0 ? colon == bracket + 1 : slice_find(text, ':') == colon);

    if (has_port && !is_port(slice_skip(text, (size_t)colon + 1)))
        return false;
    if (has_port)
        text.length = (size_t)colon;
    if (bracket < 0)
        return ip_address_parse(text, out);
    return text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']' &&
           ip_address_parse(slice_from(text.data + 1, text.length - 2), out);
}

bool trust_has(const struct trust *trust, const char *peer)
{
    struct ip_address address;

    if (strcmp(peer, "unix") == 0)
        return trust->has_unix;
    return parse_hop(slice_of(peer), &address) && has_address(trust, &address);
}

struct hop_found {
    struct slice text; /* as it was written; no data: the last proxy names nobody */
    struct ip_address address;
};

/* The last hop that a trusted proxy has named. */
static struct hop_found nearest(const struct trust *trust, const struct forwarded_hops *hops)
{
    struct hop_found found = {.text = {NULL, 0}};
    struct ip_address address;

    for (unsigned i = hops->count; i > 0; i--) {
        if (!parse_hop(hops->items[i - 1], &address))
            break;
        found = (struct hop_found){hops->items[i - 1], address};
        if (!has_address(trust, &address))
            break;
    }
    return found;
}

char *trust_find_client(const struct trust *trust, const struct http_head *head, const char *peer)
{
    struct forwarded_hops older;
    struct forwarded_hops hops;

    if (!trust_is_set(trust) || !trust_has(trust, peer))
        return NULL;
    forwarded_read_older_hops(head, &older);
    forwarded_read_hops(head, &hops);
    struct hop_found client = nearest(trust, older.count > 0 ? &older : &hops);
    struct hop_found other = nearest(trust, hops.count > 0 ? &hops : &older);
    /* A proxy writes one of the two and passes on the other as it came. Who writes both writes the
     * address in two ways: Forwarded has brackets around it, and perhaps a port. */
    bool is_agreed =
        client.text.data && other.text.data && ip_address_equal(&client.address, &other.address);
    return is_agreed ? slice_dup(client.text) : NULL;
}
