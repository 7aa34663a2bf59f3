/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of net/transfer share. transfer.c: the life of a transfer, and the loop that
 * drives libcurl. transfer_options.c: what libcurl is told of a request. transfer_connect.c: from a
 * name to a connection. transfer_response.c: the head and the body that come back. */
#ifndef NET_TRANSFER_PARTS_H
#define NET_TRANSFER_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "net/transfer.h"
#include "transfer_curl.h"

struct name_wait;
struct timer;

struct transfer_set {
    struct loop *loop;
    struct resolver *resolver;   /* borrowed; NULL: no names */
    const struct curl_api *curl; /* NULL until the first transfer */
    CURLM *multi;
    struct timer *timer; /* libcurl's */
    struct list transfers;
    struct list sockets;
    bool is_inside; /* libcurl is running */
};

enum transfer_state {
    TRANSFER_NAME,     /* its host's, or its proxy's, is being looked up */
    TRANSFER_STARTING, /* no final head yet */
    TRANSFER_BODY,
    TRANSFER_FINISHED,  /* on_done is deferred */
    TRANSFER_CANCELLED, /* nothing more is said */
};

struct transfer {
    struct list link;
    struct transfer_set *set;
    const struct transfer_handler *handler;
    void *arg;
    enum transfer_state state;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *addresses; /* of the host */
    bool (*may_connect)(const struct sockaddr *address, void *arg);
    char *host; /* to look up; NULL: it is an address */
    unsigned port;
    struct name_wait *name;
    struct buf head;
    struct timer *timer; /* what patience_ms says; or ends_at, when that is sooner */
    struct monotime started_at;
    struct monotime ends_at;
    struct monotime quiet_since; /* the start, the last byte of the body */
    uint64_t connect_timeout_ms;
    uint64_t head_timeout_ms;
    uint64_t stall_timeout_ms;
    bool is_paused;
    bool was_refused; /* may_connect said no */
    bool is_in_multi;
    struct error err; /* how it ended; ERR_NONE: well */
};

/* ---- transfer.c ---- */

void transfer_set_state(struct transfer *transfer, enum transfer_state next);
/* A byte came or went, or the state is new: patience begins again. */
void transfer_restart_timer(struct transfer *transfer);
/* transfer->err says how it ended; on_done comes after the turn. */
void transfer_finish(struct transfer *transfer);
/* All that it needs is there: libcurl may have it. Not from inside one of its callbacks. */
void transfer_begin(struct transfer *transfer);

/* ---- transfer_options.c ---- */

void transfer_set_options(struct transfer *transfer, const struct transfer_request *request);

/* ---- transfer_connect.c ---- */

/* Notes whose name must be looked up. ERR_INVALID: the URL or the proxy is no address. */
int transfer_plan_connection(struct transfer *transfer, const struct transfer_request *request,
                             struct error *err);
/* Looks the name up if there is one, then transfer_begin. */
void transfer_connect(struct transfer *transfer);
curl_socket_t transfer_on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

/* ---- transfer_response.c ---- */

size_t transfer_on_header(char *data, size_t size, size_t count, void *arg);
size_t transfer_on_data(char *data, size_t size, size_t count, void *arg);

#endif
