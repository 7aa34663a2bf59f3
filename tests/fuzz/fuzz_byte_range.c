/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: the first eight bytes are the size, the rest is the header. Satisfiable ranges lie
 * inside the size and do not overlap. */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "oci/byte_range.h"

static void check_resolve(struct slice header, uint64_t size)
{
    AUTO_FREE struct byte_range *ranges = NULL;
    unsigned count = 0;

    if (byte_range_resolve(header, size, &ranges, &count) != RANGE_SATISFIABLE)
        return;
    CHECK(count >= 1 && count <= byte_range_count(header) && count <= BYTE_RANGES_MAX);
    for (unsigned i = 0; i < count; i++) {
        CHECK(ranges[i].first <= ranges[i].last && ranges[i].last < size);
        for (unsigned j = 0; j < i; j++)
            CHECK(ranges[i].last < ranges[j].first || ranges[j].last < ranges[i].first);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t number = 0;
    struct byte_range range;
    struct error err;

    if (size < sizeof(number))
        return 0;
    memcpy(&number, data, sizeof(number));
    struct slice header = slice_from(data + sizeof(number), size - sizeof(number));
    check_resolve(header, number);
    if (content_range_parse_upload(header, &range, &err) == 0)
        CHECK(range.first <= range.last && range.last < UINT64_MAX);
    if (content_range_parse(header, &range, &number, &err) == 0)
        CHECK(range.first <= range.last && range.last < number);
    return 0;
}
