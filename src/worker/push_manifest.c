/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT of a manifest.
 *
 *   RECEIVING ──> CHECKING ──> ASKED ─────────────> DONE
 *       │            │           └─> REMOVING ──────↑
 *       └────────────┴──────── refused ─────────────┘
 *
 * The body is received into memory. The pool computes the digest, parses, and writes and syncs a
 * file under uploads/. The keeper is asked to take the file (MANIFEST_PUT), and checks, inside its
 * transaction, that everything the manifest names is here. From CHECKING on the push goes through
 * without its client.
 */
#include "push_manifest.h"

#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "condition.h"
#include "config/config.h"
#include "ipc/keeper_client.h"
#include "ipc/metrics.h"
#include "location.h"
#include "manifest_budget.h"
#include "oci/api_error.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "request.h"
#include "rules/may_push.h"
#include "shadow.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/upload_lock.h"
#include "worker_state.h"

#define READ_STEP        ((size_t)64 * 1024)
#define MISSING_SHOWN    100
#define CONTENT_TYPE_MAX 256

enum push_state {
    PUSH_RECEIVING, /* the connection fills the body, or memory is waited for */
    PUSH_CHECKING,  /* the pool checks the body and writes the file */
    PUSH_ASKED,     /* the keeper is asked to take the file */
    PUSH_REMOVING,  /* the keeper has refused: the client has its answer, the pool removes the file
                     */
    PUSH_DONE,      /* the request has its answer, or is gone */
    PUSH_STATES
};

#define TO(state) (1u << PUSH_##state)
static const unsigned moves[PUSH_STATES] = {
    [PUSH_RECEIVING] = TO(CHECKING) | TO(DONE),
    [PUSH_CHECKING] = TO(ASKED) | TO(DONE),
    [PUSH_ASKED] = TO(REMOVING) | TO(DONE),
    [PUSH_REMOVING] = TO(DONE),
};
#undef TO

struct push {
    struct worker *worker;
    struct request *request; /* NULL: the client is gone */
    enum push_state state;
    struct config *config;       /* the request's; a reference, which outlives the request */
    struct manifest_claim claim; /* for the body */
    struct buf body;
    char repository[NAME_MAX_LENGTH + 1];
    char content_type[CONTENT_TYPE_MAX];
    struct buf tags; /* separated by spaces */
    bool has_expected;
    struct digest expected;
    bool is_conditional;   /* the tag must still name this: */
    struct digest current; /* algorithm 0: nothing */
    enum hash_algorithm algorithm;

    struct worker_job job;
    struct error err;
    struct manifest *manifest;
    struct digest digest;
    char file[STORE_NAME_SIZE];
    uint64_t inode;
    struct buf references;
    struct keeper_call call;
};

static void push_free(struct push *push)
{
    manifest_budget_release(&push->claim);
    buf_cleanup(&push->body);
    buf_cleanup(&push->tags);
    buf_cleanup(&push->references);
    manifest_free(&push->manifest);
    config_unref(&push->config);
    mem_free(push);
}

static void push_set_state(struct push *push, enum push_state next)
{
    CHECK((moves[push->state] & (1u << next)) != 0);
    push->state = next;
}

/* Everything is over; `push` may not exist any more. */
static void push_finish(struct push *push)
{
    push_set_state(push, PUSH_DONE);
    if (!push->request)
        push_free(push);
}

/* In the new state `run` runs in the pool, then `done` is called. */
static void push_run(struct push *push, enum push_state next, void (*run)(struct worker_job *job),
                     void (*done)(struct worker_job *job), uint64_t key)
{
    push_set_state(push, next);
    push->job.run = run;
    push->job.done = done;
    worker_submit(push->worker, &push->job, key);
}

static void on_push_gone(struct request *request)
{
    struct push *push = request->step;

    push->request = NULL;
    if (push->state == PUSH_RECEIVING || push->state == PUSH_DONE)
        push_free(push);
}

/* ---- the answer ---- */

static void answer_missing(struct request *request, struct slice digests)
{
    AUTO_BUF struct buf body;
    struct api_error error;
    struct digest digest;
    char text[DIGEST_TEXT_SIZE];
    struct jsonio_writer json;

    buf_init(&body, (size_t)64 * 1024);
    api_errors_begin(&json, &body);
    for (unsigned i = 0; i < MISSING_SHOWN && digest_decode(&digests, &digest); i++) {
        api_error_set(&error, API_MANIFEST_BLOB_UNKNOWN,
                      "the manifest names %s, which is not in this repository",
                      digest_print(&digest, text));
        api_errors_open(&json, &error);
        jsonio_put_object(&json, "detail");
        jsonio_put_text(&json, "digest", text);
        jsonio_put_end(&json);
        jsonio_put_end(&json);
    }
    api_errors_end(&json);
    api_error_set_status(&error, API_MANIFEST_BLOB_UNKNOWN, 400,
                         "the manifest names blobs or manifests that are not in this repository");
    request_fail_list(request, &error, buf_bytes(&body));
}

static void answer_refused(struct request *request, const struct keeper_answer *answer)
{
    struct error err;

    keeper_answer_error(answer, &err);
    if (answer->digests.length > 0)
        answer_missing(request, answer->digests);
    else if (err.kind == ERR_CONFLICT)
        condition_fail(request);
    else if (err.kind == ERR_INVALID)
        request_failf(request, API_MANIFEST_INVALID, "%s", err.text);
    else
        request_fail_error(request, &err, API_MANIFEST_BLOB_UNKNOWN);
}

static void answer_done(struct push *push)
{
    struct request *request = push->request;
    struct headers headers;
    char text[DIGEST_TEXT_SIZE];

    digest_print(&push->digest, text);
    request->pushed = push->digest;
    request_headers(request, &headers);
    location_addf(request, &headers, "/v2/%.*s/manifests/%s", SLICE_PRINT(request->operation.name),
                  text);
    headers_add(&headers, "Docker-Content-Digest", slice_of(text));
    if (push->manifest->has_subject) {
        digest_print(&push->manifest->subject, text);
        headers_add(&headers, "OCI-Subject", slice_of(text));
    }
    for (unsigned i = 0; i < request->operation.tag_count; i++)
        headers_add(&headers, "OCI-Tag", request->operation.tags[i]);
    request->outcome = "stored";
    metrics_add(METRIC_pushes, 1);
    request_respond(request, 201, &headers, slice_of(""));
}

/* ---- REMOVING: a file that the keeper refused ---- */

static void run_remove(struct worker_job *job)
{
    struct push *push = LIST_ITEM(job, struct push, job);

    store_file_remove(push->worker->options.store, PLACE_UPLOADS, push->file, &push->err);
}

/* There is no file when the keeper has placed it and only its answer was lost. */
static void on_file_removed(struct worker_job *job)
{
    struct push *push = LIST_ITEM(job, struct push, job);

    if (push->err.kind != ERR_NONE && push->err.kind != ERR_NOT_FOUND) {
        struct log_line line;

        log_begin(&line, LOG_WARN);
        log_text(&line, "repo", push->repository);
        log_text(&line, "file", push->file);
        log_end(&line, "cannot remove the file of a manifest that the keeper refused: %s",
                push->err.text);
    }
    push_finish(push);
}

/* ---- ASKED: the file is written, the keeper decides ---- */

static void on_keeper_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct push *push = LIST_ITEM(call, struct push, call);

    if (push->request && answer->is_done)
        answer_done(push);
    else if (push->request)
        answer_refused(push->request, answer);
    if (answer->is_done)
        push_finish(push);
    else
        push_run(push, PUSH_REMOVING, run_remove, on_file_removed, 0);
}

static void ask_keeper(struct push *push)
{
    const struct manifest *manifest = push->manifest;

    buf_init(&push->references, REFERENCE_LIST_MAX);
    reference_list_encode(manifest, &push->references);
    push->call.type = MESSAGE_MANIFEST_PUT;
    push->call.on_answer = on_keeper_answer;
    push->call.message.manifest_put = (struct message_manifest_put){
        .repository = slice_of(push->repository),
        .tags = buf_bytes(&push->tags),
        .file = slice_of(push->file),
        .inode = push->inode,
        .digest = push->digest,
        .media_type = slice_of(manifest->media_type),
        .is_typed = manifest->is_typed,
        .artifact_type = slice_of(manifest->artifact_type),
        .size = push->body.length,
        .body = ledger_inline(buf_bytes(&push->body)),
        .references = buf_bytes(&push->references),
        .is_conditional = push->is_conditional,
        .expected = push->current,
    };
    if (manifest->has_subject)
        push->call.message.manifest_put.subject = manifest->subject;
    push_set_state(push, PUSH_ASKED);
    keeper_client_ask(push->worker->keeper, &push->call);
}

/* ---- CHECKING, in the pool ---- */

static int check_entries(const struct push *push, struct error *err)
{
    const struct manifest *manifest = push->manifest;
    uint64_t max = push->config->limits.manifest_entries;
    bool is_index = manifest->kind == MEDIA_INDEX;

    if (manifest->descriptor_count <= max + (is_index ? 0 : 1)) /* the configuration */
        return 0;
    return error_set(err, ERR_INVALID, "%s: more than %llu (`limits.manifest_entries`)",
                     is_index ? "manifests" : "layers", (unsigned long long)max);
}

static int check_manifest(struct push *push, struct error *err)
{
    struct slice bytes = buf_bytes(&push->body);

    digest_of(push->algorithm, bytes, &push->digest);
    if (push->has_expected && !digest_equal(&push->digest, &push->expected)) {
        char text[DIGEST_TEXT_SIZE];

        return error_set(err, ERR_DIGEST_MISMATCH, "the manifest's digest is %s",
                         digest_print(&push->digest, text));
    }
    int rc = manifest_parse(bytes, slice_of(push->content_type), &push->manifest, err);
    return rc != 0 ? rc : check_entries(push, err);
}

static int write_new_file(struct push *push, struct error *err)
{
    struct store *store = push->worker->options.store;
    struct slice bytes = buf_bytes(&push->body);
    AUTO_CLOSE int fd = -1;
    struct error ignored;
    int rc = store_temporary_name(push->file, err);

    if (rc == 0)
        rc = store_file_create(store, PLACE_UPLOADS, push->file, &fd, err);
    if (rc != 0)
        return rc;
    rc = FAILPOINT("push.write")
             ? error_set(err, ERR_NO_SPACE, "cannot write a manifest (failpoint)")
             : fd_write_all(fd, bytes.data, bytes.length, err);
    if (rc == 0)
        rc = store_file_sync(store, PLACE_UPLOADS, fd, false, err);
    if (rc == 0)
        rc = store_file_inode(fd, &push->inode, err);
    if (rc != 0)
        store_file_remove(store, PLACE_UPLOADS, push->file, &ignored);
    return rc;
}

static int write_file(struct push *push, struct error *err)
{
    const struct worker_options *options = &push->worker->options;
    struct error failed;
    int rc;

    do
        rc = write_new_file(push, &failed);
    while (rc == -ERR_NO_SPACE && upload_make_space(options->store, options->uploads));
    if (rc != 0)
        *err = failed;
    return rc;
}

static void run_check(struct worker_job *job)
{
    struct push *push = LIST_ITEM(job, struct push, job);

    if (check_manifest(push, &push->err) == 0)
        write_file(push, &push->err);
}

static void answer_invalid(struct request *request, const struct error *err)
{
    if (err->kind == ERR_INVALID || err->kind == ERR_UNSUPPORTED || err->kind == ERR_TOO_LARGE)
        request_failf(request, API_MANIFEST_INVALID, "%s", err->text);
    else
        request_fail_error(request, err, API_UNKNOWN);
}

static void on_checked(struct worker_job *job)
{
    struct push *push = LIST_ITEM(job, struct push, job);

    if (push->err.kind == ERR_NONE) {
        ask_keeper(push);
        return;
    }
    if (push->request)
        answer_invalid(push->request, &push->err);
    push_finish(push);
}

/* ---- RECEIVING ---- */

static void refuse_size(struct request *request)
{
    struct api_error error;

    api_error_set_status(&error, API_MANIFEST_INVALID, 413,
                         "a manifest may not be larger than %llu bytes (`limits.manifest_size`)",
                         (unsigned long long)request->config->limits.manifest_size);
    request_fail(request, &error);
}

static void refuse_body(struct push *push)
{
    refuse_size(push->request);
    push_finish(push);
}

static void claim_memory(struct push *push, size_t size)
{
    manifest_budget_claim(push->worker->manifest_budget, &push->claim, size);
}

static void read_more(struct push *push)
{
    const struct http_head *head = push->request->head;
    uint64_t max = push->config->limits.manifest_size;
    size_t have = buf_bytes(&push->body).length;
    size_t step = READ_STEP;

    if (head->body == HTTP_BODY_LENGTH) {
        step = head->content_length > have ? (size_t)(head->content_length - have) : 1;
    } else if (have > max) {
        refuse_body(push);
        return;
    } else if (have > 0 && !push->claim.budget) {
        claim_memory(push, (size_t)max); /* the first step is full: the body is not small */
        return;
    }
    char *space = buf_reserve(&push->body, step);
    if (!space) {
        refuse_body(push);
        return;
    }
    http_conn_read_body(push->request->conn, space, step);
}

static void on_push_body(struct request *request, size_t length, bool is_end)
{
    struct push *push = request->step;

    if (push->state != PUSH_RECEIVING)
        return;
    buf_added(&push->body, length);
    push->claim.received = buf_bytes(&push->body).length;
    metrics_add(METRIC_client_bytes_received, length);
    if (!is_end) {
        read_more(push);
        return;
    }
    if (buf_bytes(&push->body).length > push->config->limits.manifest_size) {
        refuse_body(push);
        return;
    }
    bool is_large = push->body.length > MANIFEST_BUDGET_FREE;
    push_run(push, PUSH_CHECKING, run_check, on_checked, is_large ? push->worker->large_key : 0);
}

static const struct request_steps push_steps = {.on_body = on_push_body, .on_gone = on_push_gone};

static void collect_tags(struct push *push, const struct operation *operation)
{
    buf_init(&push->tags, ((size_t)OPERATION_TAGS_MAX + 1) * (TAG_MAX_LENGTH + 1));
    if (!operation->by_digest)
        buf_append_slice(&push->tags, operation->tag);
    for (unsigned i = 0; i < operation->tag_count; i++) {
        if (buf_bytes(&push->tags).length > 0)
            buf_append_byte(&push->tags, ' ');
        buf_append_slice(&push->tags, operation->tags[i]);
    }
}

static struct push *push_new(struct request *request)
{
    const struct operation *operation = &request->operation;
    const struct slice *type = http_head_find(request->head, "Content-Type");
    struct slice name = request->target.name;
    struct push *push = NEW(struct push);

    push->worker = request->worker;
    push->request = request;
    push->config = config_ref(request->config);
    memcpy(push->repository, name.data, name.length);
    if (type)
        memcpy(push->content_type, type->data, type->length);
    buf_init(&push->body, request->config->limits.manifest_size + READ_STEP + 1);
    collect_tags(push, operation);
    push->has_expected = operation->by_digest;
    push->expected = operation->digest;
    push->algorithm = operation->by_digest ? operation->digest.algorithm : HASH_SHA256;
    request_set_actor(request, &push->call);
    return push;
}

static void on_memory(struct manifest_claim *claim)
{
    read_more(LIST_ITEM(claim, struct push, claim));
}

/* The claim has waited too long, or the body comes too slowly while others wait. */
static void on_push_late(struct manifest_claim *claim)
{
    struct push *push = LIST_ITEM(claim, struct push, claim);
    struct api_error error;

    if (push->state != PUSH_RECEIVING)
        return;
    api_error_set(&error, API_UNAVAILABLE,
                  claim->is_held ? "the manifest is coming too slowly while others wait; try again"
                                 : "too many large manifests are being pushed "
                                   "(`limits.manifest_memory`); try again");
    request_fail(push->request, &error);
    push_finish(push);
}

/* The length of a chunked body is not known: memory is claimed when the first step is full. */
static void receive(struct push *push)
{
    const struct http_head *head = push->request->head;

    push->claim.on_held = on_memory;
    push->claim.on_late = on_push_late;
    if (head->body == HTTP_BODY_CHUNKED)
        read_more(push);
    else
        claim_memory(push, head->body == HTTP_BODY_LENGTH ? (size_t)head->content_length : 0);
}

/* Or none: then the manifest itself must name its type. */
static bool has_one_type(const struct http_head *head)
{
    const struct slice *type = http_head_find(head, "Content-Type");

    return !type || (type->length < CONTENT_TYPE_MAX && http_head_count(head, "Content-Type") == 1);
}

void push_manifest(struct request *request, struct ledger_txn *txn)
{
    const struct config *config = request->config;
    struct error err;

    if (may_push(config, txn, &request->target, &err) != 0) {
        request_fail_error(request, &err, API_NAME_UNKNOWN);
        return;
    }
    if (request->head->body == HTTP_BODY_LENGTH &&
        request->head->content_length > config->limits.manifest_size) {
        refuse_size(request);
        return;
    }
    const struct slice *coding = http_head_find(request->head, "Content-Encoding");
    if (coding && !slice_is_nocase(*coding, "identity")) {
        request_failf(request, API_MANIFEST_INVALID,
                      "a manifest must come without Content-Encoding");
        return;
    }
    if (!has_one_type(request->head)) {
        request_failf(request, API_MANIFEST_INVALID,
                      "there may be one Content-Type, of at most %d bytes", CONTENT_TYPE_MAX - 1);
        return;
    }
    if (!shadow_may_push(request))
        return;
    struct digest current;
    bool is_there = condition_find_current(request, txn, &current);
    if (!condition_may_write(request, is_there ? &current : NULL))
        return;
    struct push *push = push_new(request);
    push->is_conditional = condition_is_set(request) && !request->operation.by_digest;
    if (is_there)
        push->current = current;
    request_set_step(request, &push_steps, push);
    receive(push);
}
