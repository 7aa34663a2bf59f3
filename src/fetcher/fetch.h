/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fetch brings a whole answer of an upstream into memory, and repeats the exchange after a
 * failure that may pass (retry.h).
 */
#ifndef FETCHER_FETCH_H
#define FETCHER_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "exchange.h"

struct buf;
struct fetch;

struct fetch_request {
    struct upstream *upstream;
    enum transfer_method method;
    struct slice repository;
    const char *path;
    const char *accept; /* borrowed until the end */
    size_t body_max;
    uint64_t retries;
    bool is_blob; /* as in struct exchange_request */
};

struct fetch_result {
    const struct exchange_end *end;
    bool is_over;         /* it is a failure only because the body has over body_max bytes */
    struct slice headers; /* these are set only when end->err.kind is ERR_NONE, or with is_over */
    struct slice body;
    struct buf *buffer; /* the body's; the callback may take its contents and leave it empty */
    uint64_t content_length;
    bool with_credentials;
};

/* Called once, never from inside another call; the fetch is freed after it. */
typedef void fetch_fn(const struct fetch_result *result, void *arg);
struct fetch *fetch_start(const struct fetch_request *request, fetch_fn *fn, void *arg);
void fetch_cancel(struct fetch **fetch);

#endif
