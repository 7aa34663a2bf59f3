/* SPDX-License-Identifier: Apache-2.0 */
/* A chunked body: whole, and in two parts with small pieces of data, it decodes to the same. */
#include "base/buf.h"
#include "base/check.h"
#include "fuzz/cut.h"
#include "fuzz/fuzz.h"
#include "net/http_parser.h"

struct decoded {
    bool is_over;
    bool is_refused;
    size_t used;
    struct buf data;
};

static void decode(struct http_chunked *chunked, struct slice bytes, size_t data_max,
                   struct decoded *out)
{
    enum http_chunked_verdict verdict = CHUNKED_DATA;

    while (verdict == CHUNKED_DATA) {
        struct slice data = {NULL, 0};
        struct http_refusal refusal = {0};
        size_t used = 0;

        verdict = http_chunked_feed(chunked, bytes, data_max, &used, &data, &refusal);
        CHECK(used <= bytes.length && data.length <= data_max);
        cut_check_inside(data, slice_from(bytes.data, used));
        bytes = slice_skip(bytes, used);
        out->used += used;
        buf_append_slice(&out->data, data);
    }
    out->is_over = verdict == CHUNKED_END;
    out->is_refused = verdict == CHUNKED_REFUSED;
}

static void decode_cut(struct slice bytes, size_t cut, size_t data_max, struct decoded *out)
{
    struct http_chunked chunked;

    *out = (struct decoded){0};
    buf_init(&out->data, bytes.length);
    http_chunked_init(&chunked);
    decode(&chunked, slice_from(bytes.data, cut), data_max, out);
    if (!out->is_over && !out->is_refused)
        decode(&chunked, slice_skip(bytes, cut), data_max, out);
}

static void check_body(struct slice bytes, size_t cut)
{
    struct decoded whole;
    struct decoded parts;

    decode_cut(bytes, bytes.length, bytes.length + 1, &whole);
    decode_cut(bytes, cut, cut % 7 + 1, &parts);
    CHECK(whole.is_over == parts.is_over && whole.is_refused == parts.is_refused);
    CHECK(whole.used == parts.used);
    CHECK(slice_equal(buf_bytes(&whole.data), buf_bytes(&parts.data)));
    buf_cleanup(&whole.data);
    buf_cleanup(&parts.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);

    check_body(bytes, cut_choose(bytes));
    return 0;
}
