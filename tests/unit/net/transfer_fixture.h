/* SPDX-License-Identifier: Apache-2.0 */
/* A client of net/transfer and a small HTTP server of sockets, both on one real loop. The server
 * takes one connection at a time: it reads a request, sends `answer` and `blob_length` zeros, and
 * closes. */
#ifndef TRANSFER_FIXTURE_H
#define TRANSFER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/transfer.h"

#define BLOB_SIZE    (2ul * 1024 * 1024)
#define EMPTY_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct test_server {
    struct loop *loop;
    struct resolver *resolver;
    struct pool *pool;
    struct transfer_set *set;
    int listener;
    int client;
    struct watch *listening;
    struct watch *serving;
    const char *answer;
    size_t answer_sent;
    size_t blob_length;
    size_t blob_sent;
    bool stays_open;     /* the connection is not closed after the answer */
    bool answers_early;  /* when the head is there; reads no body */
    size_t closes_after; /* closes after this many bytes of the body; 0: does not */
    uint64_t drip_ms;    /* a byte of the blob, then a pause */
    struct timer *drip;
    struct buf received;  /* the request, as it comes */
    char head[4096];      /* of the request, once it is complete */
    unsigned connections; /* accepted so far */
    bool reads_nothing;   /* of the request */
    unsigned port;
};

struct test_client {
    struct transfer *transfer;
    int status;
    uint64_t content_length;
    char etag[64];
    uint64_t bytes;
    unsigned pauses;
    unsigned pauses_wanted;
    bool wants_no_body;
    uint64_t limit_ms; /* set at the head */
    uint64_t total_ms;
    uint64_t patience_ms; /* head and stall timeout; 0: longer than a busy machine needs */
    bool is_done;
    struct error err;
    unsigned asked_addresses;
    unsigned asked_proxies; /* of those, addresses of the proxy */
    bool refuses;
    bool takes_ipv6;
    const char *unix_socket;          /* NULL: none */
    const struct transfer_body *body; /* NULL: none */
    const char *host;                 /* NULL: 127.0.0.1 */
    const char *proxy;                /* a host; NULL: none */
    const char *proxy_scheme;         /* NULL: http */
};

extern struct test_server server;
extern struct test_client client;

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Listens on this path instead. */
void server_listen_unix(const char *path);
/* The body of the request without its chunks; NULL when it is not whole. */
const char *server_body(size_t *out_length);
/* What transfer_start() returned. */
int client_try(enum transfer_method method, const char *answer, size_t blob_length,
               struct error *err);
/* The same, and it must have been 0. */
void client_start(enum transfer_method method, const char *answer, size_t blob_length);
/* Turns of the loop until on_done. */
void client_run(void);
/* The same, and the answer was a whole 200. */
void client_check(void);
/* Forget what was, for the next transfer over a new connection. */
void client_next(void);

#endif
