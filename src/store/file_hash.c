/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a stored file against its digest. */
#include "store/file_hash.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"

#define PIECE ((size_t)256 * 1024)

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
    return a->inode == b->inode && a->modified_ns == b->modified_ns;
}

int file_hash_compare(int fd, uint64_t size, const struct digest *digest,
                      const atomic_bool *is_cancelled, struct error *err)
{
    AUTO_FREE char *piece = mem_alloc(PIECE);
    struct digest found;
    struct hash hash;

    hash_init(&hash, digest->algorithm);
    for (uint64_t at = 0; at < size;) {
        size_t length = size - at < PIECE ? (size_t)(size - at) : PIECE;

        if (is_cancelled && atomic_load_explicit(is_cancelled, memory_order_relaxed))
            return error_set(err, ERR_CANCELLED, "the server ends");
        int rc = fd_pread_all(fd, piece, length, at, err);
        if (rc != 0)
            return rc;
        hash_update(&hash, piece, length);
        at += length;
    }
    digest_from_hash(&hash, &found);
    if (!digest_equal(&found, digest))
        return error_set(err, ERR_CORRUPT, "its bytes are not those of its digest");
    return 0;
}
