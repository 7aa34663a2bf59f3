/* SPDX-License-Identifier: Apache-2.0 */
/* Does a file still have the bytes that it was stored with? Its identity, as it was when its bytes
 * were compared, says so for nothing unless the disk itself has changed them; else they are
 * compared again. */
#ifndef STORE_FILE_HASH_H
#define STORE_FILE_HASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "oci/digest.h"

struct error;

/* What changes when a file is replaced, restored from a backup, or written to. Its ctime is not a
 * part of it: a hard link, or another owner, changes that. */
struct file_identity {
    uint64_t inode; /* 0: not known */
    uint64_t modified_ns;
};

/* Are they of the same file, unchanged? */
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);
/* Reads `size` bytes and compares their digest. ERR_CORRUPT: they are others, or fewer; ERR_IO;
 * ERR_CANCELLED: *is_cancelled, which may be NULL, became true. Blocks: called from the pool. */
int file_hash_compare(int fd, uint64_t size, const struct digest *digest,
                      const atomic_bool *is_cancelled, struct error *err);

#endif
