/* SPDX-License-Identifier: Apache-2.0 */
/* Invariant: file and slot are written by the holder of the lock alone, in jobs of one key. */
#include "upload_session.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "store/upload_lock.h"
#include "upload_body.h"

static void on_gone(struct request *request)
{
    struct upload *upload = request->step;
    upload->request = NULL;
    upload->is_reading = false;
    upload_let_go(upload);
}

static const struct request_steps upload_steps = {.on_body = upload_on_body, .on_gone = on_gone};

struct upload *upload_new(struct request *request, const struct upload_id *id)
{
    struct upload *upload = NEW(struct upload);
    struct slice name = request->target.name;
    upload->worker = request->worker;
    upload->request = request;
    upload->id = *id;
    upload->fd = -1;
    upload->key = pool_new_key();
    CHECK(name.length < sizeof(upload->repository));
    memcpy(upload->repository, name.data, name.length);
    upload->progress.repository_key = upload_repository_key(&name);
    store_upload_name(id, upload->progress.repository_key, upload->name);
    hash_init(&upload->progress.hash, HASH_SHA256);
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++)
        upload->blocks[i].upload = upload;
    request_actor(request, upload->ask.actor);
    request_set_step(request, &upload_steps, upload);
    return upload;
}

void upload_free(struct upload *upload)
{
    CHECK(upload->jobs == 0);
    for (unsigned i = 0; i < UPLOAD_BLOCKS; i++)
        upload_block_release(&upload->blocks[i]);
    fd_close(&upload->fd);
    mem_free(upload);
}

void upload_let_go(struct upload *upload)
{
    if (upload->request || upload->jobs > 0)
        return;
    if (upload->is_left) {
        upload_remove(upload, upload_let_go);
        return;
    }
    upload_free(upload);
}

void upload_save(struct upload *upload)
{
    struct error err;
    upload->progress.used_ms = clock_wall().ms;
    if (upload_table_set(upload->worker->options.uploads, &upload->id, &upload->progress, &err) !=
        0)
        log_say(LOG_WARN, "an upload's progress cannot be kept: %s", err.text);
}

/* ---- jobs ---- */

static void end_job(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    upload->jobs--;
    if (upload->is_opening) {
        upload->is_opening = false;
        upload->progress = upload->running;
        upload->synced = upload->progress.offset;
    }
    upload->then(upload);
}

static void submit(struct upload *upload, void (*run)(struct worker_job *job),
                   void (*then)(struct upload *upload))
{
    upload->jobs++;
    upload->then = then;
    upload->job.run = run;
    upload->job.done = end_job;
    upload->err.kind = ERR_NONE;
    worker_submit(upload->worker, &upload->job, upload->key);
}

static void run_create(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    upload->running = upload->progress;
    if (store_file_create(upload->worker->options.store, PLACE_UPLOADS, upload->name, &upload->fd,
                          &upload->err) == 0)
        upload_claim(upload->worker->options.store, upload->name, upload->fd, &upload->err);
}

void upload_create(struct upload *upload, void (*then)(struct upload *upload))
{
    submit(upload, run_create, then);
}

static void evict(struct upload *upload, const uint64_t *repository_key)
{
    const struct worker_options *options = &upload->worker->options;
    uint64_t now = clock_wall().ms;
    uint64_t idle = upload->job.config->limits.upload_idle;
    upload_end_idlest(options->store, options->uploads, repository_key, now > idle ? now - idle : 0,
                      &upload->err);
}

static void run_evict_own(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    evict(upload, &upload->progress.repository_key);
}

static void run_evict_any(struct worker_job *job)
{
    evict(LIST_ITEM(job, struct upload, job), NULL);
}

void upload_evict(struct upload *upload, bool is_any, void (*then)(struct upload *upload))
{
    submit(upload, is_any ? run_evict_any : run_evict_own, then);
}

static int hash_file(int fd, struct hash *hash, uint64_t from, uint64_t to, struct error *err)
{
    AUTO_FREE char *block = mem_alloc(UPLOAD_BLOCK_SIZE);
    while (from < to) {
        size_t length = to - from < UPLOAD_BLOCK_SIZE ? (size_t)(to - from) : UPLOAD_BLOCK_SIZE;
        int rc = fd_pread_all(fd, block, length, from, err);
        if (rc != 0)
            return rc;
        hash_update(hash, block, length);
        from += length;
    }
    return 0;
}

/* A file shorter than what was hashed of it has lost bytes: the session is lost. */
static int catch_up(struct upload *upload, struct error *err)
{
    uint64_t size;
    int rc = fd_size(upload->fd, &size, err);
    if (rc != 0)
        return rc;
    if (size < upload->running.offset)
        return error_set(err, ERR_NOT_FOUND, "the upload has lost data; begin it again");
    rc = hash_file(upload->fd, &upload->running.hash, upload->running.offset, size, err);
    if (rc == 0)
        upload->running.offset = size;
    return rc;
}

static void run_open(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    struct upload_progress saved;
    if (store_file_open(upload->worker->options.store, PLACE_UPLOADS, upload->name, &upload->fd,
                        &upload->err) != 0 ||
        upload_claim(upload->worker->options.store, upload->name, upload->fd, &upload->err) != 0)
        return;
    /* Read under the lock: the holder before may have gone further. */
    upload->running = upload->progress;
    if (upload_table_get(upload->worker->options.uploads, &upload->id, &saved))
        upload->running = saved;
    catch_up(upload, &upload->err);
}

void upload_open(struct upload *upload, void (*then)(struct upload *upload))
{
    upload->running = upload->progress;
    upload->is_opening = true;
    submit(upload, run_open, then);
}

/* The file never has less than what was answered, and what it has more is kept by who goes on. */
static void run_look(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    if (store_file_open(upload->worker->options.store, PLACE_UPLOADS, upload->name, &upload->fd,
                        &upload->err) == 0)
        fd_size(upload->fd, &upload->running.offset, &upload->err);
}

void upload_look(struct upload *upload, void (*then)(struct upload *upload))
{
    upload->running = upload->progress;
    upload->is_opening = true;
    submit(upload, run_look, then);
}

static void run_remove(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    const struct worker_options *options = &upload->worker->options;
    upload_end(options->store, options->uploads, &upload->id, upload->name, &upload->err);
    /* The last close of a removed file frees its pages, which takes the longer the larger it is. */
    fd_close(&upload->fd);
}

void upload_remove(struct upload *upload, void (*then)(struct upload *upload))
{
    upload->is_left = false;
    submit(upload, run_remove, then);
}

static void run_restore(struct worker_job *job)
{
    struct upload *upload = LIST_ITEM(job, struct upload, job);
    store_file_rename(upload->worker->options.store, PLACE_UPLOADS, upload->final_name,
                      upload->name, &upload->err);
}

void upload_restore(struct upload *upload, void (*then)(struct upload *upload))
{
    submit(upload, run_restore, then);
}

static int compare_digest(struct upload *upload, struct error *err)
{
    struct hash hash = upload->running.hash;
    struct digest real;
    char text[DIGEST_TEXT_SIZE];
    if (upload->digest.algorithm != HASH_SHA256) {
        hash_init(&hash, upload->digest.algorithm);
        int rc = hash_file(upload->fd, &hash, 0, upload->running.offset, err);
        if (rc != 0)
            return rc;
    }
    digest_from_hash(&hash, &real);
    if (digest_equal(&real, &upload->digest))
        return 0;
    return error_set(err, ERR_DIGEST_MISMATCH, "what was uploaded is %s",
                     digest_print(&real, text));
}

int upload_close_file(struct upload *upload, struct error *err)
{
    struct store *store = upload->worker->options.store;
    int rc = compare_digest(upload, err);
    if (rc == 0)
        rc = store_file_sync(store, PLACE_UPLOADS, upload->fd, false, err);
    if (rc == 0)
        rc = store_file_inode(upload->fd, &upload->inode, err);
    if (rc == 0)
        rc = store_temporary_name(upload->final_name, err);
    /* From here on no other request can write to it, whatever becomes of this process. */
    if (rc == 0)
        rc = store_file_rename(store, PLACE_UPLOADS, upload->name, upload->final_name, err);
    return rc;
}
