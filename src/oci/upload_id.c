/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload ids as text: a UUID, because the specification wants one in a session's Location,
 * followed by the version of the id and the replica that has the session. All in lower-case hex.
 *
 *   01234567-89ab-4cde-8f01-23456789abcd  -  01        000000
 *   random: cannot be guessed                version   replica
 */
#include "oci/upload_id.h"

#include <string.h>

#include "base/random.h"
#include "base/text.h"

#define ID_VERSION   1
#define ID_BYTES     20
#define ID_GROUPS    6
#define UUID_VERSION 4

static const size_t group_sizes[ID_GROUPS] = {4, 2, 2, 2, 6, 4};

/* RFC 9562 5.4: 122 of the 128 bits are random. */
static void mark_uuid(uint8_t random[16])
{
    random[6] = (uint8_t)((random[6] & 0x0f) | UUID_VERSION << 4);
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
}

static bool is_marked(const uint8_t random[16])
{
    return random[6] >> 4 == UUID_VERSION && (random[8] & 0xc0) == 0x80;
}

int upload_id_new(struct upload_id *out, struct error *err)
{
    struct upload_id id = {.version = ID_VERSION};
    int rc = random_bytes(id.random, sizeof(id.random), err);

    if (rc == 0) {
        mark_uuid(id.random);
        *out = id;
    }
    return rc;
}

bool upload_id_parse(struct slice text, struct upload_id *out)
{
    uint8_t bytes[ID_BYTES];
    size_t at = 0;

    for (unsigned i = 0; i < ID_GROUPS; i++) {
        struct slice group = text;

        if (i + 1 < ID_GROUPS && !slice_split(&text, '-', &group))
            return false;
        if (!text_read_hex(group, bytes + at, group_sizes[i]))
            return false;
        at += group_sizes[i];
    }
    if (!is_marked(bytes) || bytes[16] != ID_VERSION)
        return false;
    memcpy(out->random, bytes, sizeof(out->random));
    out->version = bytes[16];
    memcpy(out->replica, bytes + 17, sizeof(out->replica));
    return true;
}

const char *upload_id_print(const struct upload_id *id, char out[UPLOAD_ID_TEXT_SIZE])
{
    uint8_t bytes[ID_BYTES];
    const uint8_t *from = bytes;
    char *to = out;

    memcpy(bytes, id->random, sizeof(id->random));
    bytes[16] = id->version;
    memcpy(bytes + 17, id->replica, sizeof(id->replica));
    for (unsigned i = 0; i < ID_GROUPS; i++) {
        if (i > 0)
            *to++ = '-';
        text_print_hex(from, group_sizes[i], to);
        from += group_sizes[i];
        to += 2 * group_sizes[i];
    }
    return out;
}

bool upload_id_equal(const struct upload_id *a, const struct upload_id *b)
{
    return a->version == b->version && memcmp(a->replica, b->replica, sizeof(a->replica)) == 0 &&
           memcmp(a->random, b->random, sizeof(a->random)) == 0;
}
