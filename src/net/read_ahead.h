/* SPDX-License-Identifier: Apache-2.0 */
/* Bring a piece of a file into memory on a pool thread, so that sendfile does not wait for the disk
 * on the loop. */
#ifndef NET_READ_AHEAD_H
#define NET_READ_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct read_ahead;

enum read_ahead_state {
    READ_AHEAD_HERE,    /* the byte is in memory */
    READ_AHEAD_COLD,    /* reading it would wait */
    READ_AHEAD_UNKNOWN, /* this file system does not tell */
};

enum read_ahead_state read_ahead_probe(int fd, uint64_t offset);

typedef void read_ahead_fn(void *arg);
/* fn(arg) comes on the loop's thread when the bytes are here, or could not be read. The descriptor
 * may be closed meanwhile. NULL when there is no descriptor left. */
struct read_ahead *read_ahead_start(struct pool *pool, int fd, uint64_t offset, uint64_t length,
                                    read_ahead_fn *fn, void *arg);
/* fn does not come any more. *ahead is set to NULL. It frees itself after fn, or now-or-later. */
void read_ahead_cancel(struct read_ahead **ahead);

#endif
