/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request to a server and its answer: HTTP/1.1, TLS checked, over TCP or a unix socket. No
 * redirect is followed, no answer decoded; there are no cookies and no netrc, and the environment
 * is not asked for a proxy. libcurl is loaded at the first transfer. (door: libcurl multi)
 *
 * A request over a connection that was kept open is sent once more, on a new one, when the server
 * turns out to have closed it without an answer: whoever receives a POST must be able to bear it
 * twice.
 *
 * tests/fakes/transfer.c is a second implementation: a scripted server in memory, on the fake loop.
 */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

struct error;
struct loop;
struct pool;
struct resolver;
struct transfer;
struct transfer_set;

/* What is asked of the server. */
enum transfer_method {
    TRANSFER_GET,
    TRANSFER_HEAD,
    TRANSFER_POST,
    TRANSFER_PUT,
    TRANSFER_PATCH,
    TRANSFER_DELETE,
};

/* The body of a request, from memory or from a file that may still grow. "Expect: 100-continue" is
 * never sent. */
struct transfer_body {
    struct slice bytes; /* all of it; borrowed until on_done comes or transfer_cancel is called */
    bool is_file;       /* it is in `fd` instead */
    int fd;             /* readable; duplicated, so that the caller may close it at once */
    uint64_t offset;    /* where it begins in the file */
    uint64_t length;    /* of the whole body in the file; UINT64_MAX: not known, sent in chunks */
    uint64_t available; /* how much of it is in the file already; see transfer_body_grew */
};

/* What to ask, of whom, and for how long to wait. Everything is copied but the bytes of the body.
 * All times are in milliseconds; 0 is no limit. What is not set is zero. */
struct transfer_request {
    enum transfer_method method;
    const char *url;
    /* "Name: value" each, NULL at the end; NULL: none. A name without a value is not sent. Content-
     * Length and Transfer-Encoding are set here, from the body. */
    const char *const *headers;
    const struct transfer_body *body; /* NULL: none; an empty one with POST, PUT and PATCH */
    const char *ca_file;              /* to trust, PEM; NULL: the system's */
    const char *proxy;                /* "http://host:port"; NULL: none */
    const char *unix_socket;          /* connect to this path; the URL's host is only said to it */
    uint64_t connect_timeout_ms;      /* with the lookup of the name, and TLS; 0: 5 minutes */
    /* From the start until the final response head. While a body is sent stall_timeout_ms holds
     * instead, and this one begins again with the body's end. */
    uint64_t head_timeout_ms;
    uint64_t stall_timeout_ms; /* without a byte of a body, in either direction */
    uint64_t total_timeout_ms; /* for the whole of it */
    /* Asked with every address before connecting; may be NULL. With a proxy, it is asked for the
     * proxy's; for a unix socket, not at all. False refuses. */
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
     * ERR_CANCELLED. It may come before all of the body is sent: after a status of 400 and above no
     * more of the body is sent; after another one the server is still given all of it. */
    bool (*on_head)(struct transfer *transfer, const struct transfer_response *response, void *arg);
    /* Up to 256 KiB at a time. */
    enum transfer_want (*on_data)(struct transfer *transfer, struct slice bytes, void *arg);
    /* Exactly once, not from inside another call; err is NULL when the whole response came. Kinds:
     * ERR_TIMEOUT (no connection, no answer, stall, total), ERR_UPSTREAM (no such name, refused,
     * reset, TLS, framing, cut), ERR_DENIED (may_connect), ERR_CANCELLED, ERR_TOO_LARGE (head),
     * ERR_INVALID (the body is not as long as was said), ERR_IO (of the body's file), ERR_INTERNAL
     * (libcurl refused something, which the text names). The transfer is freed after it. */
    void (*on_done)(struct transfer *transfer, const struct error *err, void *arg);
};

/* Transfers that share connections. All three are borrowed. Without a resolver, hosts and proxies
 * must be addresses or localhost. The pool reads bodies that are not in the page cache; without one
 * they are read on the loop. */
struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver,
                                      struct pool *pool);
void transfer_set_free(struct transfer_set **set); /* cancels without callbacks */
/* The handler is borrowed. ERR_INVALID for a URL that is not http or https, a header line that is
 * none, a body that the method cannot have; ERR_INTERNAL when libcurl is not there or refuses an
 * option; ERR_IO when no descriptor is left for the body. */
int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err);
/* So many bytes of the body are in the file now, counted from its offset; fewer than before changes
 * nothing. With a known length the body ends there. As long as nothing is there to send, only the
 * total time is counted. May be called at any time until on_done. */
void transfer_body_grew(struct transfer *transfer, uint64_t available);
/* What is available is all: for a body of unknown length. Before a known length is reached it ends
 * the transfer with ERR_INVALID. A source that failed is what transfer_cancel is for: the server
 * sees a body that is cut. */
void transfer_body_end(struct transfer *transfer);
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
