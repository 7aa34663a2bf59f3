/* SPDX-License-Identifier: Apache-2.0 */
/* See take.h. */
#include "take.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "net/loop.h"
#include "role.h"
#include "store/store.h"

#define ADOPT_PIECE (4ul * 1024 * 1024)
#define MARK_MAX    0xffffu
#define ATTEMPT_MAX 0x7fffu

static void run_task(struct pool_work *work);
static void on_task_done(struct pool_work *work);

unsigned take_number(unsigned attempt, unsigned mark, bool is_private)
{
    return (attempt & ATTEMPT_MAX) << 17 | mark << 1 | (is_private ? 1 : 0);
}

unsigned take_mark(const char *upstream)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the same in every process */

    for (; *upstream != '\0'; upstream++)
        hash = (hash ^ (uint8_t)*upstream) * 16777619u;
    hash = (hash ^ hash >> 16) & MARK_MAX;
    return hash > 0 ? hash : 1;
}

unsigned take_number_mark(unsigned number)
{
    return number >> 1 & MARK_MAX;
}

bool take_number_is_private(unsigned number)
{
    return (number & 1) != 0;
}

unsigned take_number_attempt(unsigned number)
{
    return number >> 17;
}

/* ---- in the pool ---- */

/* Compare what was written with the base, and note how far they agree. */
static void compare_block(struct take *take, const char *data, size_t length, uint64_t offset)
{
    struct take_base *base = &take->base;
    char old[16 * 1024];

    while (!base->is_different && length > 0 && offset < base->until) {
        uint64_t left = base->until - offset;
        size_t piece = length < sizeof(old) ? length : sizeof(old);

        if (piece > left)
            piece = (size_t)left;
        struct error err;
        if (fd_pread_all(base->fd, old, piece, offset, &err) != 0) {
            base->is_different = true;
            return;
        }
        size_t same = 0;
        while (same < piece && old[same] == data[same])
            same++;
        base->same_until = offset + same;
        base->is_different = same < piece;
        data += piece;
        length -= piece;
        offset += piece;
    }
}

static void write_block(struct take *take)
{
    struct take_block *block = &take->blocks[1 - take->filling];

    if (fd_pwrite_all(take->fd, block->data, block->length, take->bytes, &take->err) != 0)
        return;
    hash_update(&take->hash, block->data, block->length);
    compare_block(take, block->data, block->length, take->bytes);
}

static void adopt_piece(struct take *take)
{
    static const size_t step = 128ul * 1024;
    uint64_t end = take->queued + ADOPT_PIECE;
    char *data = mem_alloc(step);

    if (end > take->adopt_size)
        end = take->adopt_size;
    while (take->queued < end) {
        size_t length = end - take->queued < step ? (size_t)(end - take->queued) : step;

        if (fd_pread_all(take->fd, data, length, take->queued, &take->err) != 0)
            break;
        hash_update(&take->hash, data, length);
        take->queued += length;
    }
    mem_free(data);
}

static void finish_hash(struct take *take)
{
    struct hash copy = take->hash;
    struct digest found;

    digest_from_hash(&copy, &found);
    take->is_right = digest_equal(&found, &take->digest);
}

static void sync_file(struct take *take)
{
    struct store *store = take->fetcher->options.store;

    if (store_file_sync(store, PLACE_SPOOL, take->fd, true, &take->err) == 0)
        store_file_inode(take->fd, &take->inode, &take->err);
    fd_close(&take->fd);
}

/* Closing the last descriptor of an unlinked file frees its blocks, which is as slow as unlink. */
static void close_files(struct take *take)
{
    struct error ignored; /* the next start finds the leftover spool */

    if (!take->is_kept && !take->is_memory)
        store_file_remove(take->fetcher->options.store, PLACE_SPOOL, take->name, &ignored);
    fd_close(&take->fd);
    fd_close(&take->read_fd);
    fd_close(&take->base.fd);
}

static struct take *take_of(struct pool_work *work)
{
    return LIST_ITEM(work, struct take, work);
}

static void run_task(struct pool_work *work)
{
    struct take *take = take_of(work);

    switch (take->task) {
    case TASK_ADOPT:
        adopt_piece(take);
        if (take->queued == take->adopt_size)
            finish_hash(take);
        break;
    case TASK_WRITE:
        write_block(take);
        break;
    case TASK_FINISH:
        finish_hash(take);
        break;
    case TASK_SYNC:
        sync_file(take);
        break;
    case TASK_CLOSE:
        close_files(take);
        break;
    case TASK_NONE:
        break;
    }
}

/* ---- on the loop ---- */

static void submit_task(struct take *take, enum take_task task)
{
    CHECK(take->task == TASK_NONE);
    take->task = task;
    fetcher_submit(take->fetcher, &take->work);
}

/* Give the block that is being filled to the pool, unless the pool has work of this take. */
static void push_block(struct take *take)
{
    if (take->task != TASK_NONE || take->err.kind != ERR_NONE)
        return;
    if (take->blocks[take->filling].length > 0) {
        take->filling = 1 - take->filling;
        submit_task(take, TASK_WRITE);
    } else if (take->is_finishing) {
        take->is_finishing = false;
        submit_task(take, TASK_FINISH);
    }
}

static void on_take_room(void *arg)
{
    struct take *take = arg;

    if (take->handler)
        take->handler->on_room(take->arg);
}

/* The block is for the next bytes; we are inside the call of another take. */
static void on_take_block(struct block_waiter *waiter, char *block)
{
    struct take *take = LIST_ITEM(waiter, struct take, waiter);

    take->blocks[take->filling].data = block;
    loop_defer(take->fetcher->options.loop, on_take_room, take);
}

void take_rest(struct take *take)
{
    struct take_block *block = &take->blocks[take->filling];

    list_remove(&take->waiter.link);
    loop_cancel_deferred(take->fetcher->options.loop, take);
    if (block->length == 0)
        block_pool_put(take->fetcher->blocks, &block->data);
}

static void take_free(struct take *take)
{
    struct block_pool *blocks = take->fetcher->blocks;

    list_remove(&take->waiter.link);
    loop_cancel_deferred(take->fetcher->options.loop, take);
    block_pool_put(blocks, &take->blocks[0].data);
    block_pool_put(blocks, &take->blocks[1].data);
    fd_close(&take->fd);
    fd_close(&take->read_fd);
    fd_close(&take->base.fd);
    CHECK(take->fetcher->memory_used >= take->memory);
    take->fetcher->memory_used -= take->memory;
    mem_free(take);
}

/* On disk it takes `bytes`, or what is expected of it if that is more. */
static void count_bytes(struct take *take, uint64_t bytes)
{
    if (take->is_memory || bytes <= take->counted)
        return;
    fetcher_count_spool(take->fetcher, take->counted, bytes);
    take->counted = bytes;
}

static void block_written(struct take *take)
{
    struct take_block *block = &take->blocks[1 - take->filling];

    take->bytes += block->length;
    count_bytes(take, take->bytes);
    take->same_until = take->base.same_until;
    take->is_different = take->base.is_different;
    block->length = 0;
    block_pool_put(take->fetcher->blocks, &block->data);
    push_block(take);
    take->handler->on_written(take->arg);
}

static void piece_adopted(struct take *take)
{
    take->bytes = take->queued;
    count_bytes(take, take->bytes);
    if (take->queued < take->adopt_size)
        submit_task(take, TASK_ADOPT);
    else
        take->handler->on_adopted(take->is_right, take->arg);
}

static void on_task_done(struct pool_work *work)
{
    struct take *take = take_of(work);
    enum take_task task = take->task;

    fetcher_work_ended(take->fetcher);
    take->task = TASK_NONE;
    if (task == TASK_CLOSE)
        take_free(take);
    else if (!take->handler)
        submit_task(take, TASK_CLOSE);
    else if (task == TASK_SYNC)
        take->handler->on_synced(take->err.kind ? &take->err : NULL, take->arg);
    else if (take->err.kind != ERR_NONE)
        take->handler->on_failed(&take->err, take->arg);
    else if (task == TASK_ADOPT)
        piece_adopted(take);
    else if (task == TASK_WRITE)
        block_written(take);
    else
        take->handler->on_hashed(take->is_right, take->arg);
}

enum take_write_result take_write(struct take *take, struct slice bytes)
{
    struct take_block *block = &take->blocks[take->filling];

    CHECK(bytes.length <= BLOCK_SIZE && !take->is_finishing);
    if (take->is_memory && bytes.length > take->memory - take->queued)
        return TAKE_FULL;
    if (block->length + bytes.length > BLOCK_SIZE)
        return TAKE_BUSY;
    if (!block->data)
        block->data = block_pool_get(take->fetcher->blocks, &take->waiter);
    if (!block->data)
        return TAKE_NO_MEMORY;
    memcpy(block->data + block->length, bytes.data, bytes.length);
    block->length += bytes.length;
    take->queued += bytes.length;
    push_block(take);
    return TAKE_WRITTEN;
}

void take_finish(struct take *take)
{
    take->is_finishing = true;
    push_block(take);
}

void take_sync(struct take *take)
{
    submit_task(take, TASK_SYNC);
}

bool take_is_idle(const struct take *take)
{
    return take->task == TASK_NONE;
}

bool take_is_compared(const struct take *take)
{
    return take->base.fd < 0 || take->is_different || take->bytes >= take->base.until;
}

int take_compare(struct take *take, const struct take *base, uint64_t until, struct error *err)
{
    int rc = fd_dup(base->read_fd, &take->base.fd, err);

    if (rc == 0)
        take->base.until = until;
    return rc;
}

/* ---- life ---- */

static struct take *take_new(struct fetcher *fetcher, const struct take_options *options)
{
    struct take *take = NEW(struct take);

    take->fetcher = fetcher;
    take->handler = options->handler;
    take->arg = options->arg;
    take->digest = *options->digest;
    take->number = options->number;
    take->is_private = options->is_private;
    take->fd = -1;
    take->read_fd = -1;
    take->base.fd = -1;
    list_init(&take->waiter.link);
    take->waiter.on_block = on_take_block;
    take->work = (struct pool_work){.run = run_task, .done = on_task_done, .key = pool_new_key()};
    hash_init(&take->hash, options->digest->algorithm);
    store_spool_name(options->digest, options->number, take->name);
    return take;
}

static int open_memory(struct take *take, uint64_t memory, struct error *err)
{
    take->fd = memfd_create("spool", MFD_CLOEXEC);
    if (take->fd < 0)
        return error_set(err, ERR_NO_SPACE, "cannot make a memory file");
    take->is_memory = true;
    take->memory = memory;
    take->fetcher->memory_used += memory;
    return store_file_reopen_readonly(take->fd, &take->read_fd, err);
}

static int open_file(struct take *take, struct error *err)
{
    struct store *store = take->fetcher->options.store;
    struct error ignored;
    int rc = store_file_create(store, PLACE_SPOOL, take->name, &take->fd, err);

    if (rc != 0)
        return rc;
    rc = store_file_reopen_readonly(take->fd, &take->read_fd, err);
    if (rc != 0) /* it is empty: this does not take long */
        store_file_remove(store, PLACE_SPOOL, take->name, &ignored);
    return rc;
}

int take_create(struct fetcher *fetcher, const struct take_options *options, struct take **out,
                struct error *err)
{
    struct take *take = take_new(fetcher, options);
    int rc = options->memory > 0 ? open_memory(take, options->memory, err) : open_file(take, err);

    if (rc != 0) {
        take_free(take);
        return rc;
    }
    if (options->expected != UINT64_MAX)
        count_bytes(take, options->expected);
    *out = take;
    return 0;
}

int take_adopt(struct fetcher *fetcher, const struct take_options *options, struct take **out,
               struct error *err)
{
    struct take *take = take_new(fetcher, options);
    int rc = store_file_open(fetcher->options.store, PLACE_SPOOL, take->name, &take->fd, err);

    if (rc == 0)
        rc = store_file_reopen_readonly(take->fd, &take->read_fd, err);
    if (rc == 0)
        rc = fd_size(take->fd, &take->adopt_size, err);
    if (rc != 0) {
        take_free(take);
        return rc;
    }
    submit_task(take, TASK_ADOPT);
    *out = take;
    return 0;
}

void take_hand_over(struct take *take)
{
    fetcher_count_spool(take->fetcher, take->counted, 0);
    take->counted = 0;
}

void take_drop(struct take **take, bool keep)
{
    struct take *gone = TAKE(*take);

    if (!gone)
        return;
    take_rest(gone);
    gone->handler = NULL;
    gone->is_kept = keep;
    take_hand_over(gone);
    if (take_is_idle(gone))
        submit_task(gone, TASK_CLOSE);
}
