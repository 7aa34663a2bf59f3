/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: an accepted text is printed as the same bytes; so is the binary form. */
#include "base/check.h"
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "oci/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_from(data, size);
    struct slice rest = text;
    struct digest digest;
    struct error err;
    char printed[DIGEST_TEXT_SIZE];
    uint8_t binary[DIGEST_BINARY_MAX];

    if (digest_parse(text, &digest, &err) == 0)
        CHECK(slice_equal(slice_of(digest_print(&digest, printed)), text));
    if (digest_decode(&rest, &digest)) {
        size_t length = digest_encode(&digest, binary);

        CHECK(length == text.length - rest.length);
        CHECK(slice_equal(slice_from(binary, length), slice_from(data, length)));
    }
    return 0;
}
