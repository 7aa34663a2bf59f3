/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests as text and in binary. Only the two registered forms are accepted, exactly: no upper
 * case, no other algorithm, nothing after the digits. The binary form is the algorithm's number in
 * one byte, followed by the 32 or 64 bytes.
 */
#include "oci/digest.h"

#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"

const char *digest_algorithm_name(enum hash_algorithm algorithm)
{
    return algorithm == HASH_SHA512 ? "sha512" : "sha256";
}

static bool is_known(enum hash_algorithm algorithm)
{
    return algorithm == HASH_SHA256 || algorithm == HASH_SHA512;
}

bool digest_algorithm_parse(struct slice name, enum hash_algorithm *out)
{
    if (slice_is(name, "sha256")) {
        *out = HASH_SHA256;
        return true;
    }
    if (slice_is(name, "sha512")) {
        *out = HASH_SHA512;
        return true;
    }
    return false;
}

int digest_parse(struct slice text, struct digest *out, struct error *err)
{
    ptrdiff_t colon = slice_find(text, ':');
    struct digest digest = {0};

    if (colon <= 0)
        return error_set(err, ERR_INVALID, "not a digest: it has the form sha256:<64 hex digits>");
    if (!digest_algorithm_parse(slice_from(text.data, (size_t)colon), &digest.algorithm)) {
        return error_set(err, ERR_UNSUPPORTED,
                         "unknown digest algorithm: sha256 and sha512 are supported");
    }
    if (!text_read_hex(slice_skip(text, (size_t)colon + 1), digest.bytes,
                       hash_size(digest.algorithm))) {
        return error_set(err, ERR_INVALID, "a %s digest has %zu lower-case hex digits",
                         digest_algorithm_name(digest.algorithm), 2 * hash_size(digest.algorithm));
    }
    *out = digest;
    return 0;
}

const char *digest_print(const struct digest *digest, char out[DIGEST_TEXT_SIZE])
{
    CHECK(is_known(digest->algorithm));
    memcpy(out, digest_algorithm_name(digest->algorithm), 6);
    out[6] = ':';
    text_print_hex(digest->bytes, hash_size(digest->algorithm), out + 7);
    return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

size_t digest_encode(const struct digest *digest, uint8_t out[DIGEST_BINARY_MAX])
{
    CHECK(is_known(digest->algorithm));
    size_t size = hash_size(digest->algorithm);

    out[0] = (uint8_t)digest->algorithm;
    memcpy(out + 1, digest->bytes, size);
    return 1 + size;
}

bool digest_decode(struct slice *bytes, struct digest *out)
{
    struct digest digest = {0};

    if (bytes->length == 0)
        return false;
    unsigned number = (unsigned char)bytes->data[0];
    if (number == HASH_SHA256)
        digest.algorithm = HASH_SHA256;
    else if (number == HASH_SHA512)
        digest.algorithm = HASH_SHA512;
    else
        return false;
    size_t size = hash_size(digest.algorithm);
    if (bytes->length < 1 + size)
        return false;
    memcpy(digest.bytes, bytes->data + 1, size);
    *bytes = slice_skip(*bytes, 1 + size);
    *out = digest;
    return true;
}

void digest_from_hash(struct hash *hash, struct digest *out)
{
    struct digest digest = {.algorithm = hash->algorithm};

    hash_final(hash, digest.bytes);
    *out = digest;
}

void digest_of(enum hash_algorithm algorithm, struct slice bytes, struct digest *out)
{
    struct hash hash;

    hash_init(&hash, algorithm);
    hash_update(&hash, bytes.data, bytes.length);
    digest_from_hash(&hash, out);
}
