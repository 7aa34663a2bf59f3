/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a body. Their memory is kept by the worker for the next upload. */
#include "upload_body.h"

#include "base/alloc.h"
#include "base/check.h"
#include "request.h"
#include "upload_file.h"

/* ---- memory ---- */

static void take_memory(struct upload_block *block, size_t capacity)
{
    struct worker *worker = block->body->worker;

    if (block->data)
        return;
    block->capacity = capacity;
    if (capacity == UPLOAD_BLOCK_SIZE && worker->block_count > 0)
        block->data = worker->blocks[--worker->block_count];
    else
        block->data = mem_alloc(capacity);
}

static void release_memory(struct upload_block *block)
{
    struct worker *worker = block->body->worker;

    if (block->data && block->capacity == UPLOAD_BLOCK_SIZE &&
        worker->block_count < WORKER_BLOCKS_MAX)
        worker->blocks[worker->block_count++] = block->data;
    else
        mem_free(block->data);
    block->data = NULL;
}

void upload_body_init(struct upload_body *body, struct worker *worker, struct upload_file *file,
                      upload_block_fn *on_block)
{
    *body = (struct upload_body){.worker = worker, .file = file, .on_block = on_block};
    body->key = pool_new_key();
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++)
        body->blocks[i].body = body;
}

void upload_body_cleanup(struct upload_body *body)
{
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++)
        release_memory(&body->blocks[i]);
}

/* ---- from the connection ---- */

static struct upload_block *find_free(struct upload_body *body)
{
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++) {
        if (!body->blocks[i].is_busy)
            return &body->blocks[i];
    }
    return NULL;
}

static size_t block_size(const struct http_head *head)
{
    if (head->body == HTTP_BODY_NONE)
        return 1;
    if (head->body == HTTP_BODY_LENGTH && head->content_length < UPLOAD_BLOCK_SIZE)
        return head->content_length == 0 ? 1 : (size_t)head->content_length;
    return UPLOAD_BLOCK_SIZE;
}

void upload_body_read(struct upload_body *body, struct request *request)
{
    struct upload_block *block = find_free(body);

    if (body->filling || !block)
        return;
    take_memory(block, block_size(request->head));
    block->is_busy = true;
    body->filling = block;
    http_conn_read_body(request->conn, block->data, block->capacity);
}

void upload_body_filled(struct upload_body *body, size_t length)
{
    CHECK(body->filling && !body->filled);
    body->filled = TAKE(body->filling);
    body->filled->length = length;
    body->received += length;
}

/* ---- to the file ---- */

static void run_block(struct worker_job *job)
{
    struct upload_block *block = LIST_ITEM(job, struct upload_block, job);
    struct upload_body *body = block->body;

    if (body->err.kind == ERR_NONE &&
        upload_file_append(body->file, block->data, block->length, &body->err) == 0)
        upload_file_save(body->file);
    block->err = body->err;
}

static void on_block_run(struct worker_job *job)
{
    struct upload_block *block = LIST_ITEM(job, struct upload_block, job);

    block->is_busy = false;
    block->body->on_block(block->body, &block->err);
}

void upload_body_pass_on(struct upload_body *body)
{
    struct upload_block *block = TAKE(body->filled);

    block->job.run = run_block;
    block->job.done = on_block_run;
    worker_submit(body->worker, &block->job, body->key);
}

int upload_body_write_rest(struct upload_body *body, struct error *err)
{
    const struct upload_block *block = body->filled;

    if (body->err.kind == ERR_NONE && block && block->length > 0)
        upload_file_append(body->file, block->data, block->length, &body->err);
    if (body->err.kind == ERR_NONE)
        return 0;
    *err = body->err;
    return -(int)err->kind;
}
