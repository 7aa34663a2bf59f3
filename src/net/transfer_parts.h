/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of net/transfer share.
 *
 *   transfer.c           the life of a transfer and its timeouts
 *   transfer_multi.c     libcurl's multi handle on our loop
 *   transfer_options.c   a request as libcurl's options
 *   transfer_connect.c   from a name to a connection
 *   transfer_body.c      the body of the request
 *   transfer_response.c  the head and the body of the response
 *   transfer_text.c      URLs and header lines
 *   transfer_curl.c      loads libcurl
 */
#ifndef NET_TRANSFER_PARTS_H
#define NET_TRANSFER_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/list.h"
#include "net/transfer.h"
#include "transfer_curl.h"

struct name_wait;
struct pool;
struct read_ahead;
struct timer;

struct transfer_set {
    struct loop *loop;
    struct resolver *resolver;   /* borrowed; NULL: names are refused */
    struct pool *pool;           /* borrowed; NULL: bodies are read on the loop */
    const struct curl_api *curl; /* NULL until the first transfer */
    CURLM *multi;
    struct timer *timer; /* libcurl's */
    struct list transfers;
    struct list sockets;
    bool is_inside; /* libcurl is running */
    bool is_broken; /* the multi handle failed: its transfers are over, the next makes a new one */
};

enum transfer_state {
    TRANSFER_NAME,     /* the name of the host or the proxy is being looked up */
    TRANSFER_STARTING, /* no final head yet */
    TRANSFER_BODY,
    TRANSFER_FINISHED,  /* on_done is deferred */
    TRANSFER_CANCELLED, /* no callback comes any more */
};

/* The body of the request. */
struct transfer_upload {
    bool is_wanted;     /* the request has a body, if only an empty one */
    struct slice bytes; /* borrowed; unused with a file */
    int fd;             /* our own; -1: the body is `bytes` */
    uint64_t offset;    /* where the body begins in the file */
    uint64_t length;    /* UINT64_MAX: not known */
    uint64_t available;
    uint64_t sent;
    uint64_t warm_until; /* the body has been read ahead up to this byte */
    struct read_ahead *ahead;
    bool is_ended;   /* `available` is the whole body */
    bool has_begun;  /* libcurl is connected and has asked for bytes */
    bool is_paused;  /* libcurl waits for bytes */
    bool is_refused; /* the server answered with an error: it takes no more */
};

#define TRANSFER_NAMES_MAX 2 /* a SOCKS5 proxy and the server */

/* A host whose addresses libcurl needs. */
struct transfer_name {
    char *host;
    unsigned port;
    bool is_proxy;
};

struct transfer {
    struct list link;
    struct transfer_set *set;
    const struct transfer_handler *handler;
    void *arg;
    enum transfer_state state;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *addresses; /* of the names */
    bool (*may_connect)(const struct sockaddr *address, bool is_proxy, void *arg);
    struct transfer_name names[TRANSFER_NAMES_MAX]; /* to look up, one after the other */
    unsigned name_count;
    unsigned names_known;
    struct name_wait *lookup;
    bool has_proxy;
    bool has_login; /* at the proxy */
    bool is_local;  /* over a unix socket: may_connect is not asked */
    struct transfer_upload upload;
    struct buf head;
    struct timer *timer; /* the next of the timeouts */
    struct monotime started_at;
    struct monotime ends_at;
    struct monotime quiet_since; /* the start, or the last byte of a body */
    uint64_t connect_timeout_ms;
    uint64_t head_timeout_ms;
    uint64_t stall_timeout_ms;
    bool is_paused;   /* on_data returned TRANSFER_PAUSE */
    bool was_refused; /* may_connect returned false */
    bool is_in_multi;
    struct error err; /* ERR_NONE: nothing has failed */
};

/* ---- transfer.c ---- */

void transfer_set_state(struct transfer *transfer, enum transfer_state next);
/* The timeout of the state begins again. */
void transfer_restart_timer(struct transfer *transfer);
/* libcurl has ended it with this code. An error that is already in transfer->err is kept. */
void transfer_end(struct transfer *transfer, CURLcode code);
/* Ends the transfer with transfer->err; on_done comes after the turn. */
void transfer_finish(struct transfer *transfer);
/* Hands the transfer to libcurl. Must not be called from a callback of libcurl. */
void transfer_begin(struct transfer *transfer);
/* Must not be called from a callback of libcurl while the transfer is in the multi handle. */
void transfer_free(struct transfer *transfer);

/* ---- transfer_multi.c ---- */

/* Loads libcurl and makes the multi handle if that has not been done. ERR_INTERNAL. */
int transfer_prepare_multi(struct transfer_set *set, struct error *err);
/* ERR_INTERNAL when libcurl refuses the transfer. */
int transfer_join_multi(struct transfer *transfer, struct error *err);
/* Does nothing when the transfer is not in the multi handle. */
void transfer_leave_multi(struct transfer *transfer);
/* Resumes all directions but those in `paused` (CURLPAUSE_…). Ends the transfer when it fails. */
void transfer_unpause(struct transfer *transfer, int paused);

/* ---- transfer_options.c ---- */

/* Sets options and keeps the first failure: the option that libcurl refuses may be the one that
 * keeps a request safe. The error (ERR_INTERNAL) names it. */
struct transfer_options {
    const struct curl_api *curl;
    CURL *easy;
    struct error *err;
    int rc; /* of the first option that was refused */
};
#define TRANSFER_SET(options, option, value)                                                       \
    transfer_judge_option((options), #option,                                                      \
                          FAILPOINT("transfer.option")                                             \
                              ? CURLE_UNKNOWN_OPTION                                               \
                              : (options)->curl->easy_set((options)->easy, option, value))
void transfer_judge_option(struct transfer_options *options, const char *name, CURLcode code);
/* Sets all options but those of transfer_set_connection. */
int transfer_set_options(struct transfer *transfer, const struct transfer_request *request,
                         struct error *err);
/* Appends to *list. ERR_INTERNAL when there is no memory. */
int transfer_append(const struct transfer *transfer, struct curl_slist **list, const char *text,
                    struct error *err);

/* ---- transfer_connect.c ---- */

/* Finds out which names must be looked up. ERR_INVALID when the URL, the proxy or the path of the
 * unix socket is none. */
int transfer_plan_connection(struct transfer *transfer, const struct transfer_request *request,
                             struct error *err);
/* Looks up the names, if there are any, and then calls transfer_begin. */
void transfer_connect(struct transfer *transfer);
/* Gives libcurl the addresses, and the time that is left for connecting. */
int transfer_set_connection(struct transfer *transfer, struct error *err);
curl_socket_t transfer_on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

/* ---- transfer_body.c ---- */

/* Takes over the request's body. ERR_INVALID when the request cannot have it; ERR_IO when no
 * descriptor is left. */
int transfer_plan_body(struct transfer *transfer, const struct transfer_request *request,
                       struct error *err);
void transfer_upload_cleanup(struct transfer_upload *upload);
/* libcurl has asked for the body and has not got all of it. */
bool transfer_is_sending(const struct transfer *transfer);
/* The response has begun with this status. */
void transfer_upload_answered(struct transfer *transfer, int status);
/* libcurl has stopped watching the transfer's socket. */
void transfer_lost_socket(struct transfer *transfer);
size_t transfer_on_read(char *out, size_t size, size_t count, void *arg);
int transfer_on_seek(void *arg, curl_off_t offset, int origin);

/* ---- transfer_response.c ---- */

size_t transfer_on_header(char *data, size_t size, size_t count, void *arg);
size_t transfer_on_data(char *data, size_t size, size_t count, void *arg);

#endif
