/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol: however the bytes are cut, the verdict is the same; a header has its limits,
 * and a client's address is printable. */
#include <string.h>

#include "base/check.h"
#include "fuzz/fuzz.h"
#include "net/proxy_header.h"

static enum proxy_verdict feed(const uint8_t *data, size_t size, size_t step,
                               struct proxy_header *header, size_t *at)
{
    enum proxy_verdict verdict = PROXY_MORE;
    const char *why = NULL;

    *at = 0;
    while (verdict == PROXY_MORE && *at < size) {
        size_t length = size - *at < step ? size - *at : step;
        size_t used = 0;

        verdict = proxy_header_feed(header, slice_from(data + *at, length), &used, &why);
        CHECK(used > 0 && used <= length);
        CHECK(verdict != PROXY_MORE || used == length);
        *at += used;
    }
    bool has_reason = why;
    CHECK((verdict == PROXY_BAD) == has_reason);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole = {0};
    struct proxy_header bytes = {0};
    size_t whole_at;
    size_t bytes_at;
    enum proxy_verdict verdict = feed(data, size, 512, &whole, &whole_at);

    CHECK(feed(data, size, 1, &bytes, &bytes_at) == verdict);
    CHECK(whole_at == bytes_at && whole_at <= PROXY_HEADER_MAX);
    CHECK(strcmp(whole.client, bytes.client) == 0);
    for (const char *c = whole.client; *c != '\0'; c++)
        CHECK(*c > ' ' && *c < 0x7f);
    return 0;
}
