/* SPDX-License-Identifier: Apache-2.0 */
/* The object belongs to the pool from its start until it is done; the starter keeps a pointer only
 * to cancel it. It has a descriptor of its own, because the starter's may be closed at any time. */
#include "read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/pool.h"

#define TOUCH_EVERY (64UL * 1024)

struct read_ahead {
    struct pool_work work; /* first: both have one address */
    int fd;
    uint64_t offset;
    uint64_t length;
    read_ahead_fn *fn; /* NULL: cancelled */
    void *arg;
};

enum read_ahead_state read_ahead_probe(int fd, uint64_t offset)
{
    char byte;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};

    if (preadv2(fd, &piece, 1, (off_t)offset, RWF_NOWAIT) >= 0)
        return READ_AHEAD_HERE; /* or the end of the file: sendfile will say so */
    if (errno == EAGAIN)
        return READ_AHEAD_COLD;
    return READ_AHEAD_UNKNOWN;
}

static void read_ahead_run(struct pool_work *work)
{
    const struct read_ahead *ahead = (const struct read_ahead *)(const void *)work;

    (void)readahead(ahead->fd, (off_t)ahead->offset, (size_t)ahead->length);
    for (uint64_t at = 0; at < ahead->length; at += TOUCH_EVERY) {
        char byte;

        if (pread(ahead->fd, &byte, 1, (off_t)(ahead->offset + at)) <= 0)
            return;
    }
    char last;
    if (ahead->length > 0)
        (void)!pread(ahead->fd, &last, 1, (off_t)(ahead->offset + ahead->length - 1));
}

static void read_ahead_done(struct pool_work *work)
{
    struct read_ahead *ahead = (struct read_ahead *)(void *)work;
    read_ahead_fn *fn = ahead->fn;
    void *arg = ahead->arg;

    fd_close(&ahead->fd);
    mem_free(ahead);
    if (fn)
        fn(arg);
}

struct read_ahead *read_ahead_start(struct pool *pool, int fd, uint64_t offset, uint64_t length,
                                    read_ahead_fn *fn, void *arg)
{
    struct error err;
    int own;

    if (fd_dup(fd, &own, &err) < 0)
        return NULL;
    struct read_ahead *ahead = NEW(struct read_ahead);
    ahead->work.run = read_ahead_run;
    ahead->work.done = read_ahead_done;
    ahead->fd = own;
    ahead->offset = offset;
    ahead->length = length;
    ahead->fn = fn;
    ahead->arg = arg;
    pool_submit(pool, &ahead->work);
    return ahead;
}

void read_ahead_cancel(struct read_ahead **ahead)
{
    if (*ahead)
        (*ahead)->fn = NULL;
    *ahead = NULL;
}
