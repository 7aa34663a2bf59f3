/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP exchange with an upstream. HTTP/1.1, TLS checked, no redirect followed, no cookies, no
 * netrc, no decoding. libcurl is loaded at the first transfer. (door: libcurl multi)
 *
 * tests/fakes/transfer.c is a second implementation: a scripted upstream in memory, on the fake
 * loop.
 */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

struct error;
struct loop;
struct resolver;
struct transfer;
struct transfer_set;

/* What is asked of an upstream. */
enum transfer_method {
    TRANSFER_GET,
    TRANSFER_HEAD,
};

/* What to ask, of whom, and for how long to wait. */
struct transfer_request {
    enum transfer_method method;
    const char *url;
    const char *const *headers;  /* "Name: value", NULL at the end; NULL: none */
    const char *ca_file;         /* NULL: the system's */
    const char *proxy;           /* NULL: none (the environment is not asked) */
    uint64_t connect_timeout_ms; /* with the lookup of the name, and TLS */
    uint64_t head_timeout_ms;    /* until the final response head */
    uint64_t stall_timeout_ms;   /* without a byte of body */
    uint64_t total_timeout_ms;   /* for the whole of it; 0: no limit */
    /* Asked with every address before connecting; may be NULL. With a proxy, it is asked for the
     * proxy's. False refuses. */
    bool (*may_connect)(const struct sockaddr *address, void *arg);
};

/* The head of an answer. */
struct transfer_response {
    int status;
    uint64_t content_length; /* UINT64_MAX: unknown */
    struct slice headers;    /* all lines, "Name: value\r\n" each; transfer_header finds one */
};

/* What the receiver of bytes wants next. */
enum transfer_want {
    TRANSFER_CONTINUE,
    TRANSFER_PAUSE, /* these bytes were NOT taken and come again after transfer_resume */
    TRANSFER_ABORT,
};

/* Who is told how a transfer goes. */
struct transfer_handler {
    /* The final head (1xx are skipped). Returning false ends the transfer: on_done with
     * ERR_CANCELLED. */
    bool (*on_head)(struct transfer *transfer, const struct transfer_response *response, void *arg);
    /* Up to 256 KiB at a time. */
    enum transfer_want (*on_data)(struct transfer *transfer, struct slice bytes, void *arg);
    /* Exactly once, not from inside another call; err is NULL when the whole response came. Kinds:
     * ERR_TIMEOUT (no answer, stall, total), ERR_UPSTREAM (refused, reset, TLS, framing, cut),
     * ERR_DENIED (may_connect), ERR_CANCELLED, ERR_TOO_LARGE (head). The transfer is freed after
     * it. */
    void (*on_done)(struct transfer *transfer, const struct error *err, void *arg);
};

/* Transfers that share connections. The resolver is borrowed; with NULL, hosts and proxies must be
 * addresses or localhost. */
struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver);
void transfer_set_free(struct transfer_set **set); /* cancels without callbacks */
/* The request's strings are copied; the handler is borrowed. ERR_INVALID for a URL that is not http
 * or https; ERR_INTERNAL when libcurl is not there. */
int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err);
/* After TRANSFER_PAUSE: bytes come again. */
void transfer_resume(struct transfer *transfer);
/* The rest of it is not worth more than this time. May be called from on_head. */
void transfer_limit(struct transfer *transfer, uint64_t ms);
/* No callback comes after this. *transfer is set to NULL. */
void transfer_cancel(struct transfer **transfer);
/* Value of the first header of that name in a block of lines, trimmed; false if there is none. */
bool transfer_header(struct slice headers, const char *name, struct slice *out);
/* One of several: *headers becomes what follows it. */
bool transfer_next_header(struct slice *headers, const char *name, struct slice *out);

/* The parts of an http or https URL. Slices point into `url`. False when it is not one, has a user,
 * a fragment or bytes that do not belong. */
struct url_parts {
    bool is_https;
    struct slice host; /* without brackets */
    unsigned port;
    struct slice authority; /* host[:port] as written */
    struct slice path;      /* with query; "/" at least */
};
bool url_split(struct slice url, struct url_parts *out);

#endif
