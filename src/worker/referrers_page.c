/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   in the pool:  ledger → entries, as many as the page may have → their descriptors → answer
 *
 * Descriptors for which many bytes must be read are made in a second job, one page at a time. A
 * page ends at its number of entries, at 4 MiB (clients read no larger index), or when one request
 * has looked at enough records or has enough bytes to read. The next page begins after the last
 * digest that was looked at.
 */
#include "referrers_page.h"

#include "answer.h"
#include "answer_body.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "fetch_error.h"
#include "ipc/message.h"
#include "oci/api_error.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "page.h"
#include "request.h"
#include "rules/visible.h"
#include "serve.h"
#include "store/store.h"
#include "worker_state.h"

#define INDEX_MAX      ((size_t)4 * 1024 * 1024)
#define DESCRIPTOR_MAX (2 * INDEX_MAX) /* annotations of one manifest, escaped */
#define READ_MAX       ((uint64_t)8 * 1024 * 1024)
#define LOOKED_MAX     10000 /* records */

struct referrer {
    struct digest digest;
    uint64_t size;
    char *media_type;
    char *artifact_type; /* NULL: none */
};

struct referrers_page {
    struct worker_job job;
    struct request *request; /* a reference */
    bool is_gone;            /* the client left meanwhile */
    struct store *store;
    struct ledger_txn *txn;       /* while entries are collected */
    struct error err;             /* of the ledger */
    struct message_failed failed; /* of the upstream: this is what is cached; kind 0: none */
    char *warning;                /* its text */
    bool may_be_empty;            /* the failure is a warning even if nothing is cached */

    uint64_t limit;
    struct referrer *entries;
    size_t count;
    size_t capacity;
    unsigned looked;
    uint64_t to_read;
    bool has_more;
    struct digest last; /* the next page begins after it */
    struct buf out;
};

static void page_free(struct referrers_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        mem_free(page->entries[i].media_type);
        mem_free(page->entries[i].artifact_type);
    }
    request_unref(&page->request);
    mem_free(page->entries);
    mem_free(page->warning);
    buf_cleanup(&page->out);
    mem_free(page);
}

/* ---- in the pool: the entries ---- */

static void add_entry(struct referrers_page *page, const struct digest *digest,
                      const struct manifest_record *record)
{
    if (page->count == page->capacity) {
        page->capacity = page->capacity > 0 ? page->capacity * 2 : 8;
        page->entries = mem_realloc(page->entries, page->capacity * sizeof(*page->entries));
    }
    page->entries[page->count++] = (struct referrer){
        .digest = *digest,
        .size = record->size,
        .media_type = slice_dup(record->media_type),
        .artifact_type = record->artifact_type.length > 0 ? slice_dup(record->artifact_type) : NULL,
    };
    page->to_read += record->size;
}

static bool on_referrer(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)kinds;
    struct referrers_page *page = arg;
    struct slice wanted = page->request->operation.artifact_type;
    struct manifest_record record;
    if (page->count >= page->limit || page->looked == LOOKED_MAX || page->to_read > READ_MAX) {
        page->has_more = page->limit > 0;
        return false;
    }
    page->looked++;
    page->last = *digest;
    if (visible_own_manifest(&page->request->permit, page->txn, digest, &record) &&
        (wanted.length == 0 || slice_equal(wanted, record.artifact_type)))
        add_entry(page, digest, &record);
    return true;
}

static bool read_last(const struct request *request, struct digest *out)
{
    struct error ignored;

    return digest_parse(request->operation.last, out, &ignored) == 0;
}

static void collect(struct referrers_page *page)
{
    const struct request *request = page->request;
    struct ledger_reader *reader = ledger_reader_new(request->worker->options.ledger);
    struct digest after;

    page->txn = ledger_read_long(reader);
    visible_referrer_each(&request->permit, page->txn, &request->operation.digest,
                          request->operation.has_last && read_last(request, &after) ? &after : NULL,
                          on_referrer, page);
    if (ledger_error(page->txn))
        page->err = *ledger_error(page->txn);
    page->txn = NULL;
    ledger_read_end(reader);
    ledger_reader_free(&reader);
}

/* ---- in the pool: their descriptors ---- */

struct annotations {
    struct jsonio_writer *json;
    bool has_any;
};

static void add_annotation(struct slice key, struct jsonio_value value, void *arg)
{
    struct annotations *annotations = arg;

    if (jsonio_type(value) != JSONIO_STRING)
        return;
    if (!annotations->has_any)
        jsonio_put_object(annotations->json, "annotations");
    annotations->has_any = true;
    jsonio_put_key(annotations->json, key);
    jsonio_put_string(annotations->json, NULL, jsonio_string(value));
}

static bool is_right(const struct referrer *entry, const char *bytes)
{
    struct digest found;

    digest_of(entry->digest.algorithm, slice_from(bytes, entry->size), &found);
    return digest_equal(&found, &entry->digest);
}

static bool read_entry(const struct referrers_page *page, const struct referrer *entry, char *bytes)
{
    AUTO_CLOSE int fd = -1;
    struct error err;
    char text[DIGEST_TEXT_SIZE];
    struct log_line line;

    if (store_blob_open(page->store, &entry->digest, entry->size, &fd, NULL, &err) == 0 &&
        fd_pread_all(fd, bytes, entry->size, 0, &err) == 0) {
        if (is_right(entry, bytes))
            return true;
        (void)store_blob_refuse(page->store, &entry->digest, &err);
    }
    log_begin(&line, LOG_ERROR);
    log_u64(&line, "req", page->request->id);
    log_text(&line, "digest", digest_print(&entry->digest, text));
    log_end(&line, "a referrer is listed without its annotations, its stored file is damaged: %s",
            err.text);
    return false;
}

/* A file that is damaged or missing costs its own annotations, not the list. */
static void add_annotations(const struct referrers_page *page, const struct referrer *entry,
                            struct jsonio_writer *json)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    AUTO_FREE char *bytes = mem_try_alloc(entry->size + 1);
    struct annotations annotations = {.json = json};
    struct error ignored;

    if (!bytes || !read_entry(page, entry, bytes) ||
        jsonio_parse_long(slice_from(bytes, entry->size), MANIFEST_MAX_VALUES, &document,
                          &ignored) != 0)
        return;
    jsonio_each(jsonio_member(jsonio_root(document), "annotations"), add_annotation, &annotations);
    if (annotations.has_any)
        jsonio_put_end(json);
}

static void add_descriptor(const struct referrers_page *page, const struct referrer *entry,
                           bool has_annotations, struct buf *out)
{
    struct jsonio_writer json;
    char text[DIGEST_TEXT_SIZE];

    buf_clear(out);
    jsonio_writer_init(&json, out);
    jsonio_put_object(&json, NULL);
    jsonio_put_text(&json, "mediaType", entry->media_type);
    jsonio_put_text(&json, "digest", digest_print(&entry->digest, text));
    jsonio_put_u64(&json, "size", entry->size);
    if (entry->artifact_type)
        jsonio_put_text(&json, "artifactType", entry->artifact_type);
    if (has_annotations)
        add_annotations(page, entry, &json);
    jsonio_put_end(&json);
}

static bool needs_turn(const struct referrers_page *page)
{
    return page->to_read > ANSWER_BODY_FREE;
}

static void print_descriptors(struct referrers_page *page)
{
    AUTO_BUF struct buf descriptor;
    struct jsonio_writer json;

    buf_init(&descriptor, DESCRIPTOR_MAX);
    jsonio_writer_init(&json, &page->out);
    jsonio_put_object(&json, NULL);
    jsonio_put_u64(&json, "schemaVersion", 2);
    jsonio_put_text(&json, "mediaType", MEDIA_TYPE_OCI_INDEX);
    jsonio_put_array(&json, "manifests");
    for (size_t i = 0; i < page->count; i++) {
        add_descriptor(page, &page->entries[i], true, &descriptor);
        if (descriptor.is_over)
            add_descriptor(page, &page->entries[i], false, &descriptor);
        if (i > 0 && page->out.length + descriptor.length + 8 > INDEX_MAX) {
            page->has_more = true;
            page->last = page->entries[i - 1].digest;
            break;
        }
        jsonio_put_printed(&json, NULL, buf_bytes(&descriptor));
    }
    jsonio_put_end(&json);
    jsonio_put_end(&json);
}

static void run_descriptors(struct worker_job *job)
{
    print_descriptors(LIST_ITEM(job, struct referrers_page, job));
}

static void run_collect(struct worker_job *job)
{
    struct referrers_page *page = LIST_ITEM(job, struct referrers_page, job);

    collect(page);
    if (!needs_turn(page))
        print_descriptors(page);
}

/* ---- the answer ---- */

static void add_link(const struct referrers_page *page, struct headers *headers)
{
    if (!page->has_more)
        return;
    const struct operation *operation = &page->request->operation;
    char text[DIGEST_TEXT_SIZE];
    char more[PAGE_NAMESPACE_SIZE];
    AUTO_BUF struct buf link;
    buf_init(&link, PAGE_LINK_MAX);
    page_print_namespace(operation, more);
    buf_printf(&link, "</v2/%.*s/referrers/%s?%s", SLICE_PRINT(operation->name),
               digest_print(&operation->digest, text), more);
    if (operation->artifact_type.length > 0) {
        buf_append_text(&link, "artifactType=");
        text_percent_encode(&link, operation->artifact_type, "");
        buf_append_byte(&link, '&');
    }
    if (operation->has_n)
        buf_printf(&link, "n=%llu&", (unsigned long long)page->limit);
    buf_printf(&link, "last=%s>; rel=\"next\"", digest_print(&page->last, text));
    headers_add(headers, "Link", buf_bytes(&link));
}

static bool is_stale(const struct referrers_page *page)
{
    return page->failed.kind != ERR_NONE;
}

/* What is cached need not be all: where the upstream answers, an empty list would say that there is
 * nothing. */
static bool knows_nothing(const struct referrers_page *page)
{
    return is_stale(page) && !page->may_be_empty && page->count == 0 && !page->has_more &&
           !page->request->operation.has_last;
}

static void answer_page(struct referrers_page *page)
{
    struct request *request = page->request;
    struct headers headers;

    request_set_step(request, NULL, NULL);
    if (page->err.kind != ERR_NONE) {
        request_failf(request, API_UNAVAILABLE, "the ledger cannot be read: %s", page->err.text);
        return;
    }
    if (knows_nothing(page)) {
        fetch_error_answer(request, &page->failed, API_NAME_UNKNOWN);
        return;
    }
    request_headers(request, &headers);
    if (is_stale(page)) {
        struct serve_age age = {.is_stale = true, .warning = slice_of(page->warning)};

        serve_mark_stale(&headers, &age);
    }
    headers_add(&headers, "Content-Type", SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX));
    if (request->operation.artifact_type.length > 0)
        headers_add(&headers, "OCI-Filters-Applied", SLICE_LITERAL("artifactType"));
    add_link(page, &headers);
    request->source = SOURCE_DISK;
    request->outcome = is_stale(page) ? "listed what is cached" : "listed";
    request_respond_buf(request, 200, &headers, &page->out);
}

static void on_page_done(struct worker_job *job)
{
    struct referrers_page *page = LIST_ITEM(job, struct referrers_page, job);

    if (!page->is_gone)
        answer_page(page);
    page_free(page);
}

static void on_collected(struct worker_job *job)
{
    struct referrers_page *page = LIST_ITEM(job, struct referrers_page, job);
    struct worker *worker = job->worker;

    if (page->is_gone || !needs_turn(page)) {
        on_page_done(job);
        return;
    }
    page->job.run = run_descriptors;
    page->job.done = on_page_done;
    worker_submit(worker, &page->job, worker->large_key);
}

static void on_gone(struct request *request)
{
    struct referrers_page *page = request->step;

    page->is_gone = true;
}

static const struct request_steps page_steps = {.on_gone = on_gone};

bool referrers_page_is_valid(const struct request *request)
{
    struct digest ignored;

    return !request->operation.has_last || read_last(request, &ignored);
}

void referrers_page_answer(struct request *request, const struct message_failed *failed,
                           bool may_be_empty)
{
    struct referrers_page *page = NEW(struct referrers_page);

    page->request = request_ref(request);
    page->store = request->worker->options.store;
    uint64_t max = request->config->limits.page;
    page->limit = page_limit(&request->operation, max);
    if (page->limit == PAGE_UNLIMITED)
        page->limit = max;
    page->may_be_empty = may_be_empty;
    if (failed) {
        page->warning = slice_dup(failed->text);
        page->failed = *failed;
        page->failed.text = slice_of(page->warning);
    }
    buf_init(&page->out, INDEX_MAX + DESCRIPTOR_MAX);
    request_set_step(request, &page_steps, page);
    page->job.run = run_collect;
    page->job.done = on_collected;
    worker_submit(request->worker, &page->job, 0);
}
