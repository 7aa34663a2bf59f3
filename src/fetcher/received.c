/* SPDX-License-Identifier: Apache-2.0 */
/* See received.h. */
#include "received.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/list.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "ipc/message.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "role.h"
#include "store/ledger.h"

/* Larger manifests are parsed one after the other: many at once would take the CPU from the loop,
 * and each needs up to a hundred times its size of memory. */
#define LARGE ((size_t)64 * 1024)

static struct received *received_of(struct pool_work *work)
{
    return LIST_ITEM(work, struct received, work);
}

/* ---- in the pool ---- */

static void read_manifest(struct received *received)
{
    struct slice body = buf_bytes(&received->body);
    struct error *err = &received->err;

    digest_of(received->digest.algorithm, body, &received->digest);
    if (manifest_parse_fetched(body, slice_of(received->content_type), &received->manifest, err) !=
        0) {
        error_wrap(err, "%.60s: the manifest of %.80s", received->origin, received->repository);
        err->kind = ERR_UPSTREAM;
        return;
    }
    struct message_answer answer;
    received_answer(received, &answer);
    received->payload_fd = follower_payload_new(&answer);
}

static void write_manifest(struct received *received)
{
    struct store *store = received->fetcher->options.store;
    struct slice body = buf_bytes(&received->body);
    struct error *err = &received->err;
    AUTO_CLOSE int fd = -1;

    if (store_temporary_name(received->name, err) != 0 ||
        store_file_create(store, PLACE_SPOOL, received->name, &fd, err) != 0)
        return;
    if (fd_write_all(fd, body.data, body.length, err) != 0 ||
        store_file_sync(store, PLACE_SPOOL, fd, true, err) != 0 ||
        store_file_inode(fd, &received->inode, err) != 0) {
        struct error second;

        store_file_remove(store, PLACE_SPOOL, received->name, &second);
    }
    if (received->payload_fd >= 0 && ledger_inline(body).length == 0)
        buf_cleanup(&received->body);
}

static void run_received(struct pool_work *work)
{
    struct received *received = received_of(work);

    if (received->is_storing)
        write_manifest(received);
    else
        read_manifest(received);
}

/* ---- on the loop ---- */

static void received_free(struct received *received)
{
    mem_free(received->origin);
    mem_free(received->repository);
    mem_free(received->tag);
    mem_free(received->content_type);
    buf_cleanup(&received->body);
    fd_close(&received->payload_fd);
    if (received->manifest)
        manifest_free(&received->manifest);
    mem_free(received);
}

static void on_keeper_answer(const struct error *err, void *arg)
{
    struct received *received = arg;

    received->done(received, err, received->arg);
}

static void tell_keeper(struct received *received)
{
    const struct manifest *manifest = received->manifest;
    AUTO_BUF struct buf references;

    buf_init(&references, REFERENCE_LIST_MAX);
    reference_list_encode(manifest, &references);
    struct message_manifest_stored message = {
        .origin = slice_of(received->origin),
        .repository = slice_of(received->repository),
        .tag = slice_of(received->tag),
        .checked = received->checked_ms,
        .is_public = received->is_public,
        .file = slice_of(received->name),
        .inode = received->inode,
        .digest = received->digest,
        .media_type = slice_of(manifest->media_type),
        .is_typed = manifest->is_typed,
        .artifact_type = slice_of(manifest->artifact_type),
        .size = received->size,
        .body = ledger_inline(buf_bytes(&received->body)),
        .references = buf_bytes(&references),
    };
    if (manifest->has_subject)
        message.subject = manifest->subject;
    keeper_client_tell(received->fetcher->keeper, MESSAGE_MANIFEST_STORED, &message, true,
                       on_keeper_answer, received);
}

static void on_received_done(struct pool_work *work)
{
    struct received *received = received_of(work);

    fetcher_work_ended(received->fetcher);
    received->is_busy = false;
    bool is_well = received->err.kind == ERR_NONE;
    if (received->is_dropped)
        received_free(received);
    else if (received->is_storing && is_well)
        tell_keeper(received);
    else
        received->done(received, is_well ? NULL : &received->err, received->arg);
}

static void submit_received(struct received *received)
{
    CHECK(!received->is_busy);
    received->is_busy = true;
    bool is_large = !received->is_storing && received->size > LARGE;
    received->work = (struct pool_work){.run = run_received,
                                        .done = on_received_done,
                                        .key = is_large ? received->fetcher->large_key : 0};
    fetcher_submit(received->fetcher, &received->work);
}

struct received *received_new(struct fetcher *fetcher, struct buf *body, struct slice content_type)
{
    struct received *received = NEW(struct received);

    received->fetcher = fetcher;
    received->content_type = slice_dup(content_type);
    received->body = *body;
    received->size = body->length;
    buf_init(body, 0);
    received->payload_fd = -1;
    return received;
}

void received_read(struct received *received,
                   void (*done)(struct received *, const struct error *, void *), void *arg)
{
    received->done = done;
    received->arg = arg;
    submit_received(received);
}

void received_answer(const struct received *received, struct message_answer *out)
{
    *out = (struct message_answer){
        .state = ANSWER_FRESH,
        .digest = received->digest,
        .media_type = slice_of(received->manifest->media_type),
        .size = received->size,
        .checked = received->checked_ms,
    };
    /* With a payload, the pool may be writing and freeing the body. */
    if (received->payload_fd < 0)
        out->body = buf_bytes(&received->body);
}

void received_store(struct received *received,
                    void (*done)(struct received *, const struct error *, void *), void *arg)
{
    received->done = done;
    received->arg = arg;
    received->is_storing = true;
    submit_received(received);
}

void received_drop(struct received **received)
{
    struct received *gone = TAKE(*received);

    if (!gone)
        return;
    if (gone->fetcher->keeper)
        keeper_client_forget(gone->fetcher->keeper, gone);
    gone->is_dropped = true;
    if (!gone->is_busy)
        received_free(gone);
}
