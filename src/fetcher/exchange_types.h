/* SPDX-License-Identifier: Apache-2.0 */
/* A request to an upstream, its answer and its end, as exchange.h and hop.h pass them on. */
#ifndef FETCHER_EXCHANGE_TYPES_H
#define FETCHER_EXCHANGE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/transfer.h"

struct upstream;

enum exchange_kind {
    EXCHANGE_DOWNLOAD, /* a blob: it may take as long as it needs */
    EXCHANGE_QUESTION, /* must be answered within 2 * fetch.head_timeout */
    EXCHANGE_TRY,      /* a question that the caller can repeat: a stall ends it sooner */
};

struct exchange_request {
    struct upstream *upstream;
    size_t first_url; /* index of the address to begin with */
    enum transfer_method method;
    struct slice repository; /* that the token is for */
    const char *path;        /* behind "/v2/" and the address's prefix, with its query */
    const char *accept;      /* NULL: none */
    uint64_t range_start;    /* 0: the whole */
    bool is_blob;            /* limits on the number of pulls (429) do not concern it */
    enum exchange_kind kind;
};

struct exchange_answer { /* 200; 206 when a range was asked for */
    int status;
    uint64_t content_length; /* UINT64_MAX: unknown */
    struct slice headers;
    bool with_credentials; /* the bytes are not public */
};

/* Kinds of err: ERR_DENIED and ERR_NOT_FOUND are the upstream's own word when is_final;
 * ERR_UNAUTHORIZED says that the upstream or its token server refuses our login, or wants one;
 * ERR_BUSY is 429; ERR_CONFLICT is 416; ERR_TIMEOUT and ERR_UPSTREAM may be tried again;
 * ERR_CANCELLED is the caller's own refusal. */
struct exchange_end {
    struct error err;     /* ERR_NONE: the whole answer came */
    uint64_t retry_after; /* seconds, 0: unknown */
    bool is_final; /* the upstream's own word (401, 403, 404…): asking again does not help */
    bool has_heir; /* our login was refused, and upstream_heir has another one (hop only) */
    int status;    /* of a refusal, or 200 of an answer that is a web page; 0: none */
};

struct exchange_handler {
    /* False ends it with ERR_CANCELLED. */
    bool (*on_head)(const struct exchange_answer *answer, void *arg);
    enum transfer_want (*on_data)(struct slice bytes, void *arg);
    /* Comes once, never from inside another call; the exchange (or hop) is freed with it. */
    void (*on_done)(const struct exchange_end *end, void *arg);
};

#endif
