/* SPDX-License-Identifier: Apache-2.0 */
/* Digests (OCI image-spec, descriptor.md "Digests"): sha256 and sha512. Paths and keys are built
 * from the binary form alone. */
#ifndef OCI_DIGEST_H
#define OCI_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"

struct error;

struct digest {
    enum hash_algorithm algorithm;
    uint8_t bytes[HASH_SIZE_MAX]; /* zero after hash_size(algorithm) bytes */
};

#define DIGEST_TEXT_SIZE  136 /* "sha512:" + 128 hex digits + NUL */
#define DIGEST_BINARY_MAX 65  /* one byte of algorithm, then the bytes */

/* "sha256:<64 lower-case hex>" or "sha512:<128>". ERR_INVALID; ERR_UNSUPPORTED for another
 * algorithm. */
int digest_parse(struct slice text, struct digest *out, struct error *err);
/* Returns out. */
const char *digest_print(const struct digest *digest, char out[DIGEST_TEXT_SIZE]);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Binary form for keys and messages; returns its length (33 or 65). */
size_t digest_encode(const struct digest *digest, uint8_t out[DIGEST_BINARY_MAX]);
/* Reads the binary form at the start of *bytes and skips it. False if there is none. */
bool digest_decode(struct slice *bytes, struct digest *out);
void digest_of(enum hash_algorithm algorithm, struct slice bytes, struct digest *out);
/* Finishes the hash. */
void digest_from_hash(struct hash *hash, struct digest *out);
/* "sha256" or "sha512"; false for another name. */
bool digest_algorithm_parse(struct slice name, enum hash_algorithm *out);
const char *digest_algorithm_name(enum hash_algorithm algorithm);

#endif
