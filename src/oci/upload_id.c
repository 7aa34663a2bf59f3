/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload ids as text: the 20 bytes in lower-case hex.
 *
 *   01        000000     0123456789abcdef0123456789abcdef
 *   version   replica    random: nobody guesses another's session
 */
#include "oci/upload_id.h"

#include <string.h>

#include "base/random.h"
#include "base/text.h"

#define ID_VERSION 1
#define ID_BYTES   20

int upload_id_new(struct upload_id *out, struct error *err)
{
    struct upload_id id = {.version = ID_VERSION};
    int result = random_bytes(id.random, sizeof(id.random), err);

    if (result == 0) {
        *out = id;
    }
    return result;
}

bool upload_id_parse(struct slice text, struct upload_id *out)
{
    uint8_t bytes[ID_BYTES];

    if (!text_read_hex(text, bytes, sizeof(bytes)) || bytes[0] != ID_VERSION) {
        return false;
    }
    out->version = bytes[0];
    memcpy(out->replica, bytes + 1, sizeof(out->replica));
    memcpy(out->random, bytes + 4, sizeof(out->random));
    return true;
}

const char *upload_id_print(const struct upload_id *id, char out[UPLOAD_ID_TEXT_SIZE])
{
    uint8_t bytes[ID_BYTES];

    bytes[0] = id->version;
    memcpy(bytes + 1, id->replica, sizeof(id->replica));
    memcpy(bytes + 4, id->random, sizeof(id->random));
    text_print_hex(bytes, sizeof(bytes), out);
    return out;
}

bool upload_id_equal(const struct upload_id *a, const struct upload_id *b)
{
    return a->version == b->version && memcmp(a->replica, b->replica, sizeof(a->replica)) == 0 &&
           memcmp(a->random, b->random, sizeof(a->random)) == 0;
}
