/* SPDX-License-Identifier: Apache-2.0 */
/* See retry.h. */
#include "retry.h"

#include "base/random.h"

#define TRIES_MAX      100
#define DELAY_FIRST_MS 100u
#define DELAY_MAX_MS   2000u

void retry_init(struct retry *retry, uint64_t retries, size_t urls)
{
    *retry = (struct retry){.urls = urls,
                            .limit = (unsigned)(retries > TRIES_MAX ? TRIES_MAX : retries)};
    if (urls > 1 && retry->limit < urls - 1)
        retry->limit = (unsigned)(urls - 1);
}

bool retry_is_left(const struct retry *retry)
{
    return retry->failed < retry->limit && retry->all < TRIES_MAX;
}

bool retry_next(struct retry *retry, size_t *url, uint64_t *out_delay_ms)
{
    retry->failed++;
    retry->all++;
    if (retry->failed > retry->limit || retry->all > TRIES_MAX)
        return false;
    *url = (*url + 1) % retry->urls;
    /* Another address is asked at once, the same address after a pause. */
    *out_delay_ms = 0;
    if (retry->failed % retry->urls == 0) {
        unsigned round = retry->failed / (unsigned)retry->urls - 1;
        unsigned delay = round > 4 ? DELAY_MAX_MS : DELAY_FIRST_MS << round;

        *out_delay_ms = delay + random_below(delay / 2 + 1);
    }
    return true;
}

void retry_progress(struct retry *retry)
{
    retry->failed = 0;
}
