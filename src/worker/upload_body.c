/* SPDX-License-Identifier: Apache-2.0 */
/* Two blocks: one is filled by the connection while the other is with the pool. */
#include "upload_body.h"

#include <fcntl.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/metrics.h"
#include "upload.h"
#include "upload_session.h"

#define WRITE_BACK_STEP ((size_t)8 * 1024 * 1024)

/* ---- memory ---- */

static void block_take(struct upload_block *block, size_t capacity)
{
    struct worker *worker = block->upload->worker;
    if (block->data)
        return;
    block->capacity = capacity;
    if (capacity == UPLOAD_BLOCK_SIZE && worker->block_count > 0) {
        block->data = worker->blocks[--worker->block_count];
    } else {
        block->data = mem_alloc(capacity);
    }
}

void upload_block_release(struct upload_block *block)
{
    struct worker *worker = block->upload->worker;
    if (block->data && block->capacity == UPLOAD_BLOCK_SIZE &&
        worker->block_count < WORKER_BLOCKS_MAX) {
        worker->blocks[worker->block_count++] = block->data;
    } else {
        mem_free(block->data);
    }
    block->data = NULL;
}

/* ---- in the pool ---- */

static int write_block(struct upload *upload, const struct upload_block *block, struct error *err)
{
    struct upload_progress *state = &upload->running;
    int rc = fd_pwrite_all(upload->fd, block->data, block->length, state->offset, err);
    if (rc != 0)
        return rc;
    hash_update(&state->hash, block->data, block->length);
    state->offset += block->length;
    if (state->offset - upload->synced >= WRITE_BACK_STEP) {
        /* Begins to write; waits for nothing, so that the sync at the end is short. */
        (void)sync_file_range(upload->fd, (off_t)upload->synced,
                              (off_t)(state->offset - upload->synced), SYNC_FILE_RANGE_WRITE);
        upload->synced = state->offset;
    }
    return 0;
}

static void run_block(struct worker_job *job)
{
    struct upload_block *block = LIST_ITEM(job, struct upload_block, job);
    struct upload *upload = block->upload;
    int rc = 0;
    block->err.kind = ERR_NONE;
    if (!upload->is_broken && block->length > 0)
        rc = write_block(upload, block, &block->err);
    if (!upload->is_broken && rc == 0 && block->is_last) {
        rc = upload_close_file(upload, &block->err);
        block->is_lost = rc != 0;
    }
    if (rc != 0)
        upload->is_broken = true;
    block->after = upload->running;
}

/* ---- on the loop ---- */

static void read_more(struct upload *upload)
{
    if (!upload->request || upload->is_answered || upload->is_reading || upload->is_end)
        return;
    const struct http_head *head = upload->request->head;
    size_t capacity = UPLOAD_BLOCK_SIZE;
    if (head->body == HTTP_BODY_NONE) {
        capacity = 1;
    } else if (head->body == HTTP_BODY_LENGTH && head->content_length < capacity) {
        capacity = head->content_length == 0 ? 1 : (size_t)head->content_length;
    }
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++) {
        struct upload_block *block = &upload->blocks[i];
        if (block->is_busy)
            continue;
        block_take(block, capacity);
        block->is_busy = true;
        upload->is_reading = true;
        upload->filling = block;
        http_conn_read_body(upload->request->conn, block->data, block->capacity);
        return;
    }
}

static void end_block(struct worker_job *job)
{
    struct upload_block *block = LIST_ITEM(job, struct upload_block, job);
    struct upload *upload = block->upload;
    block->is_busy = false;
    upload->jobs--;
    upload->progress = block->after;
    if (upload->is_answered) {
        if (upload->jobs == 0)
            fd_close(&upload->fd);
        upload_let_go(upload);
        return;
    }
    if (block->err.kind != ERR_NONE) {
        upload->err = block->err;
        if (block->is_lost) {
            upload_on_lost(upload);
        } else {
            upload_on_received(upload);
        }
        return;
    }
    if (!block->is_last)
        upload_save(upload);
    if (upload->is_end && upload->jobs == 0) {
        upload_on_received(upload);
    } else if (upload->request) {
        read_more(upload);
    } else {
        upload_let_go(upload);
    }
}

static void submit_block(struct upload *upload, struct upload_block *block)
{
    block->job.run = run_block;
    block->job.done = end_block;
    upload->jobs++;
    worker_submit(upload->worker, &block->job, upload->key);
}

void upload_on_body(struct request *request, size_t length, bool is_end)
{
    struct upload *upload = request->step;
    struct upload_block *block = upload->filling;
    CHECK(upload->is_reading);
    upload->is_reading = false;
    upload->filling = NULL;
    if (upload->is_answered) {
        block->is_busy = false;
        return;
    }
    metrics_add(METRIC_client_bytes_received, length);
    upload->received += length;
    upload->is_end = is_end;
    if (upload->base + upload->received > request->config->storage.blob_max) {
        block->is_busy = false;
        error_set(&upload->err, ERR_TOO_LARGE, "a blob may not be larger than `storage.blob_max`");
        upload_on_lost(upload);
        return;
    }
    block->length = length;
    block->is_last = is_end && upload->has_digest;
    if (length > 0 || block->is_last) {
        submit_block(upload, block);
    } else {
        block->is_busy = false;
    }
    if (is_end && upload->jobs == 0) {
        upload_on_received(upload);
    } else {
        read_more(upload);
    }
}

void upload_receive(struct upload *upload)
{
    upload->base = upload->progress.offset;
    upload->err.kind = ERR_NONE;
    read_more(upload);
}
