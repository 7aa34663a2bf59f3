/* SPDX-License-Identifier: Apache-2.0 */
/* How often, and after how long, an upstream is asked again. */
#ifndef RETRY_H
#define RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry {
    unsigned failed; /* since the last progress */
    unsigned all;    /* in all: bounds an upstream that gives a byte at a time */
    unsigned limit;
    size_t urls;
};

/* `retries` after the first try; never fewer than every address once. */
void retry_init(struct retry *retry, uint64_t retries, size_t urls);
/* After a failure: may it be tried again, with which address, after how long? */
bool retry_next(struct retry *retry, size_t *url, uint64_t *out_delay_ms);
/* One more failure would be tried again. */
bool retry_is_left(const struct retry *retry);
/* Bytes came. */
void retry_progress(struct retry *retry);

#endif
