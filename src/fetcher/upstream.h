/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One configured upstream while we run: its connections, addresses known to be down, tokens, and
 * what it told us about its limits. Made when it is first asked.
 *
 * It is counted. The fetcher's table holds a reference while the upstream is configured; sources,
 * asks and exchanges hold one each. When the configuration changes how it is reached (addresses,
 * credentials, proxy, certificates, redirects), what runs keeps the old object, which is retired,
 * and what comes next gets a new one. All objects of one name share the limit of connections.
 */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "breaker.h"
#include "net/transfer.h"

struct buf;
struct config;
struct config_upstream;
struct digest;
struct error;
struct fetcher;
struct map;

struct upstream_url {
    char *text; /* the configuration's, without a slash at its end */
    struct url_parts parts;
    struct breaker breaker;
    struct monotime busy_until; /* after a 429 */
};

struct upstream {
    struct list link; /* of the fetcher's retired upstreams, or of none */
    unsigned references;
    struct fetcher *fetcher;
    struct config *whole; /* the configuration that `config` is in; a reference */
    const struct config_upstream *config;
    unsigned metric;                /* its index in METRIC_NAME_upstream */
    struct transfer_set *transfers; /* its own: a connection is reused only for this upstream */
    struct upstream_url *urls;
    size_t url_count;
    struct map *tokens; /* bearer.c: repository → token kept; NULL: none yet */
    void (*free_tokens)(struct upstream *upstream); /* set by bearer.c with the first fetch */
    struct list token_fetches;                      /* running */
    unsigned own_classes;              /* enum address_class of its own addresses, as seen */
    struct monotime tokens_busy_until; /* after a 429 of its token server */
    struct list queue;                 /* exchanges that wait for one of fetch.connections */
    size_t running;                    /* exchanges that have one */
    size_t downloads;                  /* those of them that are no questions */
    uint64_t pulls_left;               /* ratelimit-remaining; UINT64_MAX: never said */
};

/* NULL when no such upstream is configured, or none of its addresses is one. Take a reference to
 * keep it longer than this turn. */
struct upstream *upstream_find(struct fetcher *fetcher, struct slice name);
struct upstream *upstream_ref(struct upstream *upstream);
void upstream_unref(struct upstream **upstream);
/* fetcher->config has changed: the table follows it. */
void upstream_reconfigure_all(struct fetcher *fetcher);
/* The table's references. */
void upstream_free_all(struct fetcher *fetcher);
/* What runs now over all objects of this upstream's name; out_downloads: how many of them are
 * downloads. */
size_t upstream_running(const struct upstream *upstream, size_t *out_downloads);
/* The one that new requests use, or NULL when the name is not configured any more. */
struct upstream *upstream_current(const struct upstream *upstream);
/* Credentials are used only where the configuration says that what they bring may be shown. */
bool upstream_has_credentials(const struct upstream *upstream);
/* Appends "Authorization: Basic …"; only when it has credentials. */
void upstream_print_basic(const struct upstream *upstream, struct buf *out);
/* Of the `count` addresses at and behind `first`, the first that is not known to be down, and not
 * busy if that counts; false: all are. */
bool upstream_pick(struct upstream *upstream, size_t first, size_t count, bool obeys_busy,
                   size_t *out_url);
/* How long until one of its busy addresses may be asked; 0: none is busy. */
uint64_t upstream_busy_ms(const struct upstream *upstream);

/* Retry-After, a number or a date, in seconds and at most 300; 0: none, or none that helps. */
uint64_t upstream_read_retry_after(struct slice headers);
/* How long a 429 with these headers is obeyed, in seconds: at least 1, a few if it does not say. */
uint64_t upstream_read_busy(struct slice headers);

/* "/v2/REPOSITORY/blobs/DIGEST" */
void upstream_print_blob_path(struct slice repository, const struct digest *digest, char *out,
                              size_t size);

/* Where a request goes, for the rules about addresses and credentials. */
enum host_trust {
    HOST_OWN,    /* scheme, host and port of one of its addresses */
    HOST_LISTED, /* `redirects:`, or Docker Hub's token server */
    HOST_OTHER,
};
enum host_trust upstream_trusts(const struct upstream *upstream, const struct url_parts *url);
/* May this token server be given the credentials? One of the above, or the same host by name. */
bool upstream_is_realm(const struct upstream *upstream, const struct url_parts *url);
/* Is the address an answer led to allowed by its text? ERR_DENIED. Names are judged again when they
 * are connected to. */
int upstream_check_url(const struct upstream *upstream, const struct url_parts *url,
                       struct error *err);

#endif
