/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request to a server and its response: HTTP/1.1, over TCP or a unix socket, with verified
 * TLS. Redirects are not followed and bodies are not decoded; there are no cookies, no netrc, and
 * no proxy from the environment. libcurl is loaded at the first transfer. (door: libcurl multi)
 *
 * Connections are kept open and used again. When the server turns out to have closed one without a
 * response, the request is sent once more over a new connection, so a server may see a POST twice.
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

/* The method of the request. */
enum transfer_method {
    TRANSFER_GET,
    TRANSFER_HEAD,
    TRANSFER_POST,
    TRANSFER_PUT,
    TRANSFER_PATCH,
    TRANSFER_DELETE,
};

/* The body of a request, from memory or from a file that may still grow. It is sent at once,
 * without "Expect: 100-continue". */
struct transfer_body {
    struct slice bytes; /* all of it; borrowed until on_done or transfer_cancel */
    bool is_file;       /* the body is in `fd` instead */
    int fd;             /* of a regular file; duplicated: the caller may close it at once */
    uint64_t offset;    /* where the body begins in the file */
    uint64_t length;    /* of the whole body; UINT64_MAX: unknown, the body is sent in chunks */
    uint64_t available; /* how much of it is in the file; transfer_body_grew raises it */
};

/* What TLS trusts, and what it shows: PEM. */
struct transfer_tls {
    struct slice ca;    /* certificates, besides the system's directory; empty: the system's */
    struct slice cert;  /* ours, which the server may want; empty: none */
    struct slice key;   /* of cert, without a passphrase */
    bool is_unverified; /* any certificate of the server will do; a proxy's is verified always */
};

/* A request, where it goes, and how long it may take. Everything but the bytes of the body is
 * copied. Times are in milliseconds; 0 means no limit. */
struct transfer_request {
    enum transfer_method method;
    const char *url;
    /* "Name: value" each, terminated by NULL; NULL: none. A header without a value is not sent. Do
     * not give Content-Length or Transfer-Encoding: they follow from the body. */
    const char *const *headers;
    const struct transfer_body *body; /* NULL: none; POST, PUT and PATCH send an empty one */
    struct transfer_tls tls;
    /* Of an http, https or SOCKS5 proxy, as base/proxy_url.h prints it, with a password; NULL:
     * none. It gets none of `headers`, unless it has to pass an http:// request on. */
    const char *proxy;
    const char *unix_socket;     /* path to connect to; the URL's host is sent as Host only */
    uint64_t connect_timeout_ms; /* including name lookup and TLS; 0: 5 minutes */
    /* From the start to the final response head. While the request's body is being sent,
     * stall_timeout_ms applies instead; after its last byte this one begins again. */
    uint64_t head_timeout_ms;
    uint64_t stall_timeout_ms; /* without a byte of either body */
    uint64_t total_timeout_ms; /* for the whole transfer */
    /* Called with each address before it is connected to, or given to a socks5:// proxy; false
     * refuses it. is_proxy: it is one of the proxy's own. Not called for a unix socket, nor for a
     * server whose name the proxy looks up. NULL allows all. */
    bool (*may_connect)(const struct sockaddr *address, bool is_proxy, void *arg);
};

/* The head of a response. */
struct transfer_response {
    int status;
    uint64_t content_length; /* UINT64_MAX: unknown */
    struct slice headers;    /* "Name: value\r\n" each; see transfer_header */
};

/* What on_data wants next. */
enum transfer_want {
    TRANSFER_CONTINUE,
    TRANSFER_PAUSE, /* these bytes were NOT consumed; they come again after transfer_resume */
    TRANSFER_ABORT,
};

/* Callbacks of a transfer. */
struct transfer_handler {
    /* The final head (1xx responses are skipped). Returning false ends the transfer: on_done comes
     * with ERR_CANCELLED. It may come before the request's body has been sent. With a status of 400
     * or more the rest of the body is not sent; with any other it is. */
    bool (*on_head)(struct transfer *transfer, const struct transfer_response *response, void *arg);
    /* Up to 64 KiB at a time. */
    enum transfer_want (*on_data)(struct transfer *transfer, struct slice bytes, void *arg);
    /* Comes exactly once, never from inside another call; err is NULL when the whole response has
     * arrived. Kinds: ERR_TIMEOUT (connection, head, stall or total), ERR_UPSTREAM (unknown name,
     * refused, reset, TLS, framing, truncated), ERR_DENIED (may_connect), ERR_CANCELLED,
     * ERR_TOO_LARGE (head), ERR_INVALID (the body does not have its declared length), ERR_IO (the
     * file of the body), ERR_INTERNAL (libcurl refused something; the text names it). The transfer
     * is freed after it. */
    void (*on_done)(struct transfer *transfer, const struct error *err, void *arg);
};

/* A set of transfers that share connections. All three are borrowed. Without a resolver (NULL),
 * hosts and proxies must be addresses or localhost. The pool reads files that are not in the page
 * cache; without one (NULL) the loop reads them. */
struct transfer_set *transfer_set_new(struct loop *loop, struct resolver *resolver,
                                      struct pool *pool);
/* Cancels without callbacks, and frees all its transfers at once: must not be called from a
 * callback of one of them. */
void transfer_set_free(struct transfer_set **set);
/* The handler is borrowed. ERR_INVALID: the URL is not http or https, the proxy is none, a header
 * is not one line, the method cannot have a body, or the path of the socket is too long.
 * ERR_INTERNAL: libcurl cannot be loaded or refuses an option. ERR_IO: no descriptor is left for
 * the body. */
int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err);
/* The file now holds `available` bytes of the body, counted from its offset. A smaller number than
 * before is ignored; more than the declared length ends the transfer with ERR_INVALID. A body of
 * declared length is complete when it has that length. While there is nothing to send, only the
 * total timeout runs. May be called until on_done. */
void transfer_body_grew(struct transfer *transfer, uint64_t available);
/* What is available is the whole body: for bodies of unknown length. Called before a declared
 * length is reached, it ends the transfer with ERR_INVALID. When the source fails, call
 * transfer_cancel: the server then sees a truncated body. */
void transfer_body_end(struct transfer *transfer);
/* After TRANSFER_PAUSE: on_data is called again. */
void transfer_resume(struct transfer *transfer);
/* The rest of the transfer may take this long at most. May be called from on_head. */
void transfer_limit(struct transfer *transfer, uint64_t ms);
/* No callback comes after this. Sets *transfer to NULL; NULL is allowed. */
void transfer_cancel(struct transfer **transfer);
/* The value of the first header with this name, trimmed; false if there is none. */
bool transfer_header(struct slice headers, const char *name, struct slice *out);
/* The same for headers that may occur several times: *headers becomes the lines after it. */
bool transfer_next_header(struct slice *headers, const char *name, struct slice *out);

/* The parts of an http or https URL. Slices point into `url`. False if it is none, or has a user, a
 * fragment, or bytes that a URL cannot have. */
struct url_parts {
    bool is_https;
    struct slice host; /* without brackets */
    unsigned port;
    struct slice authority; /* host[:port] as written */
    struct slice path;      /* with query; "/" at least */
};
bool url_split(struct slice url, struct url_parts *out);

#endif
