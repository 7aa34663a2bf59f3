/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to OpenSSL's digests. It uses the low-level calls because their state is plain
 * bytes: a hash can be copied and continued by another process, which EVP does not allow. OpenSSL 3
 * deprecates them but still exports them, with the same layout.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/check.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct hash *)0)->state), "state holds SHA-256");
_Static_assert(sizeof(SHA512_CTX) <= sizeof(((struct hash *)0)->state), "state holds SHA-512");
_Static_assert(_Alignof(SHA512_CTX) <= 8, "state is aligned for SHA-512");
_Static_assert(SHA512_DIGEST_LENGTH == HASH_SIZE_MAX, "SHA-512 is the longest");

static SHA256_CTX *sha256_of(struct hash *hash)
{
    return (SHA256_CTX *)(void *)hash->state;
}

static SHA512_CTX *sha512_of(struct hash *hash)
{
    return (SHA512_CTX *)(void *)hash->state;
}

void hash_init(struct hash *hash, enum hash_algorithm algorithm)
{
    *hash = (struct hash){.algorithm = algorithm};
    if (algorithm == HASH_SHA256)
        CHECK(SHA256_Init(sha256_of(hash)) == 1);
    else
        CHECK(algorithm == HASH_SHA512 && SHA512_Init(sha512_of(hash)) == 1);
}

void hash_update(struct hash *hash, const void *data, size_t length)
{
    if (length == 0)
        return;
    if (hash->algorithm == HASH_SHA256)
        CHECK(SHA256_Update(sha256_of(hash), data, length) == 1);
    else
        CHECK(SHA512_Update(sha512_of(hash), data, length) == 1);
}

void hash_final(struct hash *hash, uint8_t out[HASH_SIZE_MAX])
{
    if (hash->algorithm == HASH_SHA256)
        CHECK(SHA256_Final(out, sha256_of(hash)) == 1);
    else
        CHECK(SHA512_Final(out, sha512_of(hash)) == 1);
}

/* Both contexts count bits in two words. The high word of SHA-512 is 0 for all lengths in use. */
bool hash_has_seen(const struct hash *hash, enum hash_algorithm algorithm, uint64_t length)
{
    SHA256_CTX sha256;
    SHA512_CTX sha512;

    if (hash->algorithm != algorithm || length > UINT64_MAX / 8)
        return false;
    if (algorithm == HASH_SHA256) {
        memcpy(&sha256, hash->state, sizeof(sha256));
        return ((uint64_t)sha256.Nh << 32 | sha256.Nl) == length * 8 &&
               sha256.num == length % SHA256_CBLOCK && sha256.md_len == SHA256_DIGEST_LENGTH;
    }
    memcpy(&sha512, hash->state, sizeof(sha512));
    return algorithm == HASH_SHA512 && sha512.Nh == 0 && sha512.Nl == length * 8 &&
           sha512.num == length % SHA512_CBLOCK && sha512.md_len == SHA512_DIGEST_LENGTH;
}

size_t hash_size(enum hash_algorithm algorithm)
{
    return algorithm == HASH_SHA512 ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
}
