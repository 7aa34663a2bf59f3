/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a piece of a file into memory on a thread of the pool, so that sendfile on the loop does
 * not wait for the disk. */
#ifndef NET_READ_AHEAD_H
#define NET_READ_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct read_ahead;

enum read_ahead_state {
    READ_AHEAD_HERE,    /* the byte is in memory */
    READ_AHEAD_COLD,    /* reading it would wait */
    READ_AHEAD_UNKNOWN, /* the file system cannot say */
};

enum read_ahead_state read_ahead_probe(int fd, uint64_t offset);

typedef void read_ahead_fn(void *arg);
/* fn(arg) is called on the loop's thread when the bytes are in memory or could not be read. The
 * descriptor may be closed in the meantime. NULL when the process has no descriptor left. */
struct read_ahead *read_ahead_start(struct pool *pool, int fd, uint64_t offset, uint64_t length,
                                    read_ahead_fn *fn, void *arg);
/* fn will not be called. Sets *ahead to NULL; the object frees itself when its work is done. */
void read_ahead_cancel(struct read_ahead **ahead);

#endif
