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
    struct resolver *resolver;   /* borrowed; NULL: no names */
    struct pool *pool;           /* borrowed; NULL: bodies are read on the loop */
    const struct curl_api *curl; /* NULL until the first transfer */
    CURLM *multi;
    struct timer *timer; /* libcurl's */
    struct list transfers;
    struct list sockets;
    bool is_inside; /* libcurl is running */
    bool
        is_broken; /* libcurl refused to go on: all transfers are ended, then a new multi is made */
};

enum transfer_state {
    TRANSFER_NAME,     /* its host's, or its proxy's, is being looked up */
    TRANSFER_STARTING, /* no final head yet */
    TRANSFER_BODY,
    TRANSFER_FINISHED,  /* on_done is deferred */
    TRANSFER_CANCELLED, /* nothing more is said */
};

/* The body of the request. */
struct transfer_upload {
    bool is_wanted;     /* there is one, perhaps an empty one */
    struct slice bytes; /* borrowed; with a file: none */
    int fd;             /* our own; -1: `bytes` are the body */
    uint64_t offset;    /* of the body in the file */
    uint64_t length;    /* UINT64_MAX: not known */
    uint64_t available;
    uint64_t sent;
    uint64_t warm_until; /* read ahead up to this byte of the body */
    struct read_ahead *ahead;
    bool is_ended;   /* available is all */
    bool has_begun;  /* connected, and the head is sent */
    bool is_paused;  /* libcurl waits for bytes */
    bool is_refused; /* the server wants no more of it */
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
    bool is_local; /* a unix socket: may_connect is not asked */
    struct transfer_upload upload;
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
/* libcurl is done with it; transfer->err is kept when there is one already. */
void transfer_end(struct transfer *transfer, CURLcode code);
/* transfer->err says how it ended; on_done comes after the turn. */
void transfer_finish(struct transfer *transfer);
/* All that it needs is there: libcurl may have it. Not from inside one of its callbacks. */
void transfer_begin(struct transfer *transfer);
/* Not from inside one of libcurl's callbacks when it is in the multi handle. */
void transfer_free(struct transfer *transfer);

/* ---- transfer_multi.c ---- */

/* Loads libcurl and makes the multi handle, if they are not there. ERR_INTERNAL. */
int transfer_prepare_multi(struct transfer_set *set, struct error *err);
/* ERR_INTERNAL: libcurl does not take it. */
int transfer_join_multi(struct transfer *transfer, struct error *err);
/* Harmless when it is not there. */
void transfer_leave_multi(struct transfer *transfer);
/* `paused` are the directions that stay paused (CURLPAUSE_…); ends the transfer when that fails. */
void transfer_unpause(struct transfer *transfer, int paused);

/* ---- transfer_options.c ---- */

/* An option that libcurl does not take may be the one that keeps a request safe: the first that is
 * refused ends the transfer, and the error (ERR_INTERNAL) names it. */
struct transfer_options {
    const struct curl_api *curl;
    CURL *easy;
    struct error *err;
    int rc; /* of the first that was refused */
};
#define TRANSFER_SET(options, option, value)                                                       \
    transfer_judge_option((options), #option,                                                      \
                          FAILPOINT("transfer.option")                                             \
                              ? CURLE_UNKNOWN_OPTION                                               \
                              : (options)->curl->easy_set((options)->easy, option, value))
void transfer_judge_option(struct transfer_options *options, const char *name, CURLcode code);
/* All options but those of the connection, which is planned later. */
int transfer_set_options(struct transfer *transfer, const struct transfer_request *request,
                         struct error *err);
/* Appends to *list. ERR_INTERNAL when there is no memory. */
int transfer_append(const struct transfer *transfer, struct curl_slist **list, const char *text,
                    struct error *err);

/* ---- transfer_connect.c ---- */

/* Notes whose name must be looked up. ERR_INVALID: the URL or the proxy is no address. */
int transfer_plan_connection(struct transfer *transfer, const struct transfer_request *request,
                             struct error *err);
/* Looks the name up if there is one, then transfer_begin. */
void transfer_connect(struct transfer *transfer);
/* Tells libcurl of the addresses, and of the time that is left for connecting. */
int transfer_set_connection(struct transfer *transfer, struct error *err);
curl_socket_t transfer_on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);

/* ---- transfer_body.c ---- */

/* A request of this method has a body, if only an empty one. */
bool transfer_method_has_body(enum transfer_method method);
/* ERR_INVALID; ERR_IO: no descriptor is left. */
int transfer_plan_body(struct transfer *transfer, const struct transfer_request *request,
                       struct error *err);
void transfer_upload_cleanup(struct transfer_upload *upload);
/* Some of the body was asked for, and not all of it is sent. */
bool transfer_is_sending(const struct transfer *transfer);
/* The answer began with this status. */
void transfer_upload_answered(struct transfer *transfer, int status);
/* libcurl watches the transfer's socket no longer. */
void transfer_lost_socket(struct transfer *transfer);
size_t transfer_on_read(char *out, size_t size, size_t count, void *arg);
int transfer_on_seek(void *arg, curl_off_t offset, int origin);

/* ---- transfer_response.c ---- */

size_t transfer_on_header(char *data, size_t size, size_t count, void *arg);
size_t transfer_on_data(char *data, size_t size, size_t count, void *arg);

#endif
