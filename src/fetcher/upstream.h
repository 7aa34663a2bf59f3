/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One configured upstream at run time: its connections, the addresses that are known to be down,
 * its tokens, and its limits as far as it has told us. It is made when it is first used.
 *
 * It is counted. The fetcher's table holds a reference while the upstream is configured; sources,
 * asks and exchanges hold one each. When the configuration changes how it is reached (addresses,
 * credentials, proxy, certificates, redirects), running requests keep the old object, which is
 * retired, and new requests get a new one. All objects of one name share the limit of connections.
 */
#ifndef FETCHER_UPSTREAM_H
#define FETCHER_UPSTREAM_H

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

/* Of an answer that is not wanted, so much of the body is read, for so long, that the connection
 * can be used again. */
#define REFUSED_BODY_MAX (64ul * 1024)
#define REFUSED_BODY_MS  1000

#define UPSTREAM_WHY_SIZE 320

struct upstream_url {
    char *text; /* "https://HOST/v2/PREFIX/", which a request's path follows */
    struct url_parts parts;
    struct slice prefix; /* "PREFIX/", which stands before repositories' names there, or "" */
    struct breaker breaker;
    struct monotime busy_until;       /* after a 429 */
    char down_why[UPSTREAM_WHY_SIZE]; /* its last failure; hop_place.why */
    bool wants_basic; /* it has asked for a password: it gets it with every request */
};

struct upstream {
    struct list link; /* of the fetcher's retired upstreams, or of none */
    unsigned references;
    struct fetcher *fetcher;
    char *name;           /* the same for its whole life, unlike `config` */
    struct config *whole; /* the configuration that `config` is in; a reference */
    /* Replaced when a new configuration reaches it in the same way: a pointer into it is good for
     * this turn of the loop only. */
    const struct config_upstream *config;
    unsigned metric;                /* its index in METRIC_NAME_upstream */
    struct transfer_set *transfers; /* its own: connections are not shared with others */
    struct upstream_url *urls;
    size_t url_count;
    struct map *tokens; /* bearer.c: repository → token kept; NULL: none yet */
    void (*free_tokens)(struct upstream *upstream); /* set by bearer.c with the first fetch */
    struct list token_fetches;                      /* that are running */
    unsigned own_classes; /* bits of enum address_class: where its own addresses were found */
    struct monotime tokens_busy_until; /* after a 429 of its token server */
    struct monotime login_warned_at;   /* 0: never */
    struct monotime failure_logged_at; /* 0: never */
    struct list queue;                 /* exchanges that wait for one of fetch.connections */
    size_t running;                    /* exchanges that have a connection */
    size_t downloads;                  /* of those, downloads */
    uint64_t pulls_left;               /* from ratelimit-remaining; UINT64_MAX: it never said */
};

/* NULL when no such upstream is configured, or none of its addresses is a valid URL. Take a
 * reference to keep it longer than this turn of the loop. */
struct upstream *upstream_find(struct fetcher *fetcher, struct slice name);
struct upstream *upstream_ref(struct upstream *upstream);
/* May be called from a callback of the upstream's own transfers: it is freed after the turn. */
void upstream_unref(struct upstream **upstream);
/* fetcher->config has changed: bring the table up to date. True: some upstream was replaced. */
bool upstream_reconfigure_all(struct fetcher *fetcher);
/* Drop the table's references, and end token fetches. Only for fetcher_free: all other references
 * are gone. */
void upstream_free_all(struct fetcher *fetcher);
/* Exchanges that are running for all objects of this upstream's name; *out_downloads: how many of
 * them are downloads. */
size_t upstream_running(const struct upstream *upstream, size_t *out_downloads);
/* The object that new requests of this name use; NULL: the name is no longer configured. */
struct upstream *upstream_current(const struct upstream *upstream);
/* The object that new requests use, if it is at the same addresses and has other credentials; NULL:
 * there is none. */
struct upstream *upstream_heir(const struct upstream *upstream);
/* Are there credentials, and does the configuration (`expose`) allow to serve what they bring? */
bool upstream_has_credentials(const struct upstream *upstream);
/* The login was refused by `whom` ("the registry") with this status: a line in the log, at most one
 * a minute. */
void upstream_warn_login(struct upstream *upstream, const char *whom, int status);
/* The token server is at a host that must not get the credentials: a line as above. */
void upstream_warn_realm(struct upstream *upstream, const struct url_parts *realm);
/* Append "Authorization: Basic …". The upstream has credentials. */
void upstream_print_basic(const struct upstream *upstream, struct buf *out);
/* Of the `count` addresses from `first` on, the first that is not known to be down and (with
 * obeys_busy) not busy after a 429. False: there is none. */
bool upstream_pick(struct upstream *upstream, size_t first, size_t count, bool obeys_busy,
                   size_t *out_url);
/* Time until one of its busy addresses may be asked; 0: none is busy. */
uint64_t upstream_busy_ms(const struct upstream *upstream);

/* Retry-After (a number or a date) in seconds, at most 300; 0: there is none, or it is invalid. */
uint64_t upstream_read_retry_after(struct slice headers);
/* For how many seconds a 429 with these headers is obeyed: at least 1, 5 if it does not say. */
uint64_t upstream_read_busy(struct slice headers);

/* Print "REPOSITORY/blobs/DIGEST". */
void upstream_print_blob_path(struct slice repository, const struct digest *digest, char *out,
                              size_t size);

/* How far the host of a URL is trusted: rules about addresses and credentials depend on it. */
enum host_trust {
    HOST_OWN,    /* the scheme, host and port of one of the upstream's addresses */
    HOST_LISTED, /* in `redirects:`, or Docker Hub's token server */
    HOST_OTHER,
};
enum host_trust upstream_trusts(const struct upstream *upstream, const struct url_parts *url);
/* May the token server at this URL get the credentials? It is HOST_OWN or HOST_LISTED, is in
 * `auth_hosts:`, is known for one of the addresses, or has the same host name as one. */
bool upstream_is_realm(const struct upstream *upstream, const struct url_parts *url);
/* A registry behind a TLS front may write http:// for itself. Append the URL, with https where it
 * is such an address of the upstream's own host. */
void upstream_print_upgraded(const struct upstream *upstream, struct slice url, struct buf *out);
/* May we follow an answer to this URL, as far as its text says? ERR_DENIED: no. Addresses that
 * names resolve to are checked again when connecting. */
int upstream_check_url(const struct upstream *upstream, const struct url_parts *url,
                       struct error *err);

#endif
