/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt's spool: an append-only file (or, with a full disk, a memory file) that is written
 * and hashed in the pool, in order, at most two blocks ahead of the disk.
 *
 *   take_write → [block being filled] → [block in the pool] → file, hash, comparison with the base
 *                 256 KiB                256 KiB                → on_written
 *
 * No byte is ever rewritten. A take that starts over is compared with the one before it (its base)
 * as it is written, so that followers of the base can be moved.
 */
#ifndef TAKE_H
#define TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/slice.h"
#include "oci/digest.h"
#include "store/store.h"

#define TAKE_BLOCK_SIZE (256ul * 1024)

struct fetcher;
struct take;

struct take_handler {              /* on the loop, never from inside another call */
    void (*on_written)(void *arg); /* take->bytes grew; there is room again */
    /* After take_finish. */
    void (*on_hashed)(bool is_right, void *arg);
    /* After take_adopt: the file is read and hashed; is_right: it is whole. */
    void (*on_adopted)(bool is_right, void *arg);
    /* After take_sync: NULL, and take->inode; or it is lost for storing. */
    void (*on_synced)(const struct error *err, void *arg);
    void (*on_failed)(const struct error *err, void *arg); /* once; nothing comes after it */
};

enum take_task {
    TASK_NONE,
    TASK_ADOPT, /* hash the next piece of a file that was there */
    TASK_WRITE,
    TASK_FINISH,
    TASK_SYNC,
    TASK_CLOSE, /* the last: the file of a dropped take is removed, or only closed */
};

enum take_write_result {
    TAKE_WRITTEN,
    TAKE_BUSY, /* both blocks are in use; on_written comes */
    TAKE_FULL, /* more than the memory that is reserved for it */
};

struct take_block {
    char *data; /* made when needed */
    size_t length;
};

struct take_base { /* the file of an older take */
    int fd;
    uint64_t until; /* compare so far */
    uint64_t same_until;
    bool is_different; /* at same_until */
};

struct take {
    struct fetcher *fetcher;
    const struct take_handler *handler;
    void *arg;    /* NULL handler: dropped, goes when its work is done */
    bool is_kept; /* dropped: the file stays */
    struct digest digest;
    unsigned number;
    bool is_memory;
    bool is_private; /* credentials were used for some of it */
    char name[STORE_NAME_SIZE];
    int fd;
    int read_fd;            /* a read-only description, for followers */
    uint64_t queued;        /* bytes accepted */
    uint64_t bytes;         /* bytes in the file */
    uint64_t memory;        /* bytes reserved for it when is_memory */
    uint64_t space_seen_at; /* bytes, when the disk was last found to have room */
    struct take_block blocks[2];
    unsigned filling; /* index of the block that takes bytes */
    bool is_finishing;
    /* The work in the pool, and what it alone touches while it runs. */
    struct pool_work work;
    enum take_task task;
    uint64_t adopt_size;
    struct hash hash;
    struct take_base base;
    bool is_right;
    uint64_t inode;
    struct error err;
};

struct take_options {
    const struct digest *digest;
    unsigned number;
    bool is_private;
    uint64_t memory; /* over 0: a memory file of at most so many bytes; take_write enforces it */
    const struct take_handler *handler;
    void *arg;
};

/*
 * Numbers of takes carry whether the bytes are private, and a mark of the upstream they are for
 * (0: any), so that a successor knows. A later attempt has a greater number.
 */
unsigned take_number(unsigned attempt, unsigned mark, bool is_private);
/* Never 0. */
unsigned take_mark(const char *upstream);
unsigned take_number_mark(unsigned number);
bool take_number_is_private(unsigned number);
unsigned take_number_attempt(unsigned number);

/* ERR_NO_SPACE, ERR_CONFLICT (the name is in use), ERR_IO. */
int take_create(struct fetcher *fetcher, const struct take_options *options, struct take **out,
                struct error *err);
/* Goes on with a file of before; on_adopted comes when it is hashed. ERR_NOT_FOUND. */
int take_adopt(struct fetcher *fetcher, const struct take_options *options, struct take **out,
               struct error *err);
/* Before the first byte: compare with the first `until` bytes of another take. */
int take_compare(struct take *take, const struct take *base, uint64_t until, struct error *err);
/* Is it known by now how far they are the same? */
bool take_is_compared(const struct take *take);
/* At most TAKE_BLOCK_SIZE bytes at a time; all of them or none. */
enum take_write_result take_write(struct take *take, struct slice bytes);
/* All was written: hash and compare with the digest; on_hashed. */
void take_finish(struct take *take);
/* After on_hashed. */
void take_sync(struct take *take);
bool take_is_idle(const struct take *take);
/* Frees it once it is idle; its file is removed, or left when `keep`, and closed in the pool, since
 * either may take long for a large file. No callback comes. */
void take_drop(struct take **take, bool keep);

#endif
