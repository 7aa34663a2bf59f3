/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate: what is accepted is text without controls that fits, Bearer with a realm. */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "oci/challenge.h"

static void check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    CHECK(length < size);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        CHECK((c >= 0x20 && c != 0x7f) || c == '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct challenge challenge;
    struct error err;

    int rc = challenge_parse(slice_from(data, size), &challenge, &err);
    if (rc != 0) {
        CHECK(rc == -ERR_INVALID || rc == -ERR_UNSUPPORTED);
        return 0;
    }
    check_text(challenge.realm, sizeof(challenge.realm));
    check_text(challenge.service, sizeof(challenge.service));
    return 0;
}
