/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming SHA-256 and SHA-512. A hash in progress is plain bytes without pointers: it may be
 * copied, kept in shared memory, and continued by another process on the same machine. (door:
 * OpenSSL)
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are on disk and in messages. */
enum hash_algorithm {
    HASH_SHA256 = 1,
    HASH_SHA512 = 2,
};

#define HASH_SIZE_MAX 64

struct hash {
    enum hash_algorithm algorithm;
    _Alignas(8) uint8_t state[224]; /* SHA256_CTX or SHA512_CTX */
};

/* Start a hash. */
void hash_init(struct hash *hash, enum hash_algorithm algorithm);
/* Add bytes; the pieces may have any size. */
void hash_update(struct hash *hash, const void *data, size_t length);
/* Writes 32 or 64 bytes. The hash cannot be used any more. */
void hash_final(struct hash *hash, uint8_t out[HASH_SIZE_MAX]);
/* A hash from shared memory may be damaged, and its state says where in it the next byte goes. True
 * if it is one of `algorithm` that has seen `length` bytes: only then it may be used. */
bool hash_has_seen(const struct hash *hash, enum hash_algorithm algorithm, uint64_t length);
/* Bytes of a digest. */
size_t hash_size(enum hash_algorithm algorithm);

#endif
