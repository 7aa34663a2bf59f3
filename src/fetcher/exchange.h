/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to an upstream, with what it takes to get the answer: a token, and the redirects on
 * the way. An address that says no (401, 403, 404, 429…) is followed by the next, and the no is
 * believed when all of them said it. No retry of what failed: that is the caller's (retry.h).
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/transfer.h"

struct exchange;
struct upstream;

enum exchange_kind {
    EXCHANGE_DOWNLOAD, /* of a blob: may take as long as it needs */
    EXCHANGE_QUESTION, /* has a time in which to be answered */
    EXCHANGE_TRY, /* a question that can be asked once more: stalls are not waited for as long */
};

struct exchange_request {
    struct upstream *upstream;
    size_t first_url; /* or the next that is not known to be down */
    enum transfer_method method;
    struct slice repository; /* for the token */
    const char *path;        /* "/v2/…", with its query */
    const char *accept;      /* NULL: none */
    uint64_t range_start;    /* 0: the whole */
    bool is_blob;            /* limits on the number of pulls are about everything else */
    enum exchange_kind kind;
};

struct exchange_answer { /* 200; 206 when a range was asked for */
    int status;
    uint64_t content_length; /* UINT64_MAX: unknown */
    struct slice headers;
    bool with_credentials; /* the bytes are not public */
};

struct exchange_end {
    struct error err;     /* ERR_NONE: the whole answer came */
    uint64_t retry_after; /* seconds, 0: unknown */
    bool is_final;        /* the upstream's own word (401, 403, 404…): asking again is no use */
};

/* Kinds of an end: ERR_UNAUTHORIZED, ERR_DENIED, ERR_NOT_FOUND are the upstream's and final when
 * is_final; ERR_BUSY is 429; ERR_CONFLICT is 416; ERR_TIMEOUT and ERR_UPSTREAM may be tried again;
 * ERR_CANCELLED is the caller's own refusal. */
struct exchange_handler {
    /* False ends it with ERR_CANCELLED. */
    bool (*on_head)(const struct exchange_answer *answer, void *arg);
    enum transfer_want (*on_data)(struct slice bytes, void *arg);
    /* Once, never from inside another call; the exchange is freed after it. */
    void (*on_done)(const struct exchange_end *end, void *arg);
};

/* Strings are copied; the handler is borrowed. */
struct exchange *exchange_start(const struct exchange_request *request,
                                const struct exchange_handler *handler, void *arg);
void exchange_resume(struct exchange *exchange);
/* No callback comes after it. */
void exchange_cancel(struct exchange **exchange);

#endif
