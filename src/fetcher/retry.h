/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and after how long, a failed request to an upstream is repeated. */
#ifndef FETCHER_RETRY_H
#define FETCHER_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry {
    unsigned failed; /* tries in a row without progress */
    unsigned all; /* failed tries in total: a limit for an upstream that sends a little each time */
    unsigned limit;
    size_t urls;
};

/* `retries` after the first try, but every one of the `urls` addresses at least once. */
void retry_init(struct retry *retry, uint64_t retries, size_t urls);
/* A try has failed. True: try again with address *url after *out_delay_ms. */
bool retry_next(struct retry *retry, size_t *url, uint64_t *out_delay_ms);
/* Would one more failure be tried again? */
bool retry_is_left(const struct retry *retry);
/* Bytes have come. */
void retry_progress(struct retry *retry);

#endif
