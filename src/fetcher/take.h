/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A take is one attempt at a spool: an append-only file (or, when the disk is full, a memory file)
 * that is written and hashed in the pool, in order, at most two blocks ahead of the disk.
 *
 *   take_write → [block being filled] → [block in the pool] → file, hash, comparison with the base
 *                 256 KiB                256 KiB                → on_written
 *
 * A block is borrowed when bytes come and given back when they are written (block_pool.h).
 *
 * No byte is ever rewritten. When a download starts over, the new take is compared with the old one
 * (its base) as it is written, so that the followers of the base can be moved to it.
 */
#ifndef FETCHER_TAKE_H
#define FETCHER_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/slice.h"
#include "block_pool.h"
#include "oci/digest.h"
#include "store/store.h"

struct fetcher;
struct take;

struct take_handler {              /* called on the loop, never from inside another call */
    void (*on_written)(void *arg); /* take->bytes has grown; there is room again */
    void (*on_room)(void *arg);    /* after TAKE_NO_MEMORY: take_write may be called again */
    /* After take_finish. */
    void (*on_hashed)(bool is_right, void *arg);
    /* After take_adopt: the file was read and hashed; is_right: it is whole. */
    void (*on_adopted)(bool is_right, void *arg);
    /* After take_sync: err is NULL and take->inode is set, or the file cannot be stored. */
    void (*on_synced)(const struct error *err, void *arg);
    void (*on_failed)(const struct error *err, void *arg); /* comes once, and nothing after it */
};

enum take_task {
    TASK_NONE,
    TASK_ADOPT, /* hash the next piece of a leftover file */
    TASK_WRITE,
    TASK_FINISH,
    TASK_SYNC,
    TASK_CLOSE, /* the last task: the file of a dropped take is removed or left, and closed */
};

enum take_write_result {
    TAKE_WRITTEN,
    TAKE_BUSY,      /* both blocks are in use; on_written comes */
    TAKE_NO_MEMORY, /* other takes use all blocks; on_room comes */
    TAKE_FULL,      /* it would need more memory than is reserved for it */
};

struct take_block {
    char *data; /* NULL: none is borrowed */
    size_t length;
};

struct take_base { /* the file of an older take, or fd -1 */
    int fd;
    uint64_t until; /* offset: bytes from there on are not compared */
    /* The pool's, which may be a block ahead of the take's members of the same names. */
    uint64_t same_until;
    bool is_different; /* the bytes at same_until differ */
};

struct take {
    struct fetcher *fetcher;
    const struct take_handler *handler;
    void *arg;    /* handler NULL: the take is dropped, and freed when it is idle */
    bool is_kept; /* when dropped, the file stays */
    struct digest digest;
    unsigned number;
    bool is_memory;
    bool is_private; /* credentials were used for some of it */
    char name[STORE_NAME_SIZE];
    int fd;           /* -1 after a sync */
    int read_fd;      /* opened read-only, for followers */
    uint64_t queued;  /* bytes accepted */
    uint64_t bytes;   /* bytes in the file */
    uint64_t memory;  /* bytes reserved for it when is_memory */
    uint64_t counted; /* in fetcher->spool_bytes */
    /* How far `bytes` agree with the base, and whether they differ there. */
    uint64_t same_until;
    bool is_different;
    uint64_t space_seen_at; /* value of `bytes` when the disk was last found to have room */
    struct take_block blocks[2];
    unsigned filling; /* index of the block that is being filled */
    struct block_waiter waiter;
    bool is_finishing;
    /* The work in the pool; while it runs, only it uses the members below. */
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
    uint64_t expected; /* bytes, by the upstream's word; UINT64_MAX: unknown */
    uint64_t memory;   /* not 0: a memory file of at most so many bytes; take_write enforces it */
    const struct take_handler *handler;
    void *arg;
};

/*
 * The number of a take, which is part of its file's name, says whether its bytes are private, and
 * has a mark of the upstream that they are for (0: any). The next fetcher reads it there. A later
 * attempt has a greater number.
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
/* Take over a leftover file; on_adopted comes when it is hashed. ERR_NOT_FOUND. */
int take_adopt(struct fetcher *fetcher, const struct take_options *options, struct take **out,
               struct error *err);
/* The keeper is about to count its bytes: they do not count in fetcher->spool_bytes any more. */
void take_hand_over(struct take *take);
/* Before the first byte is written: compare with the first `until` bytes of another take. */
int take_compare(struct take *take, const struct take *base, uint64_t until, struct error *err);
/* Is it known how far the take agrees with its base? */
bool take_is_compared(const struct take *take);
/* At most BLOCK_SIZE bytes at a time; all of them or none. */
enum take_write_result take_write(struct take *take, struct slice bytes);
/* No bytes come for now: do not wait for a block, and give back one that has no bytes. */
void take_rest(struct take *take);
/* No more bytes will come: compare the hash with the digest; on_hashed comes. */
void take_finish(struct take *take);
/* Sync the file and close it for writing, after on_hashed; on_synced comes. */
void take_sync(struct take *take);
bool take_is_idle(const struct take *take);
/* Free it once it is idle. Its file is removed (or left, when `keep`) and closed in the pool, since
 * both may take long for a large file. No callback comes. */
void take_drop(struct take **take, bool keep);

#endif
