/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosted: made from the ledger and the manifests' annotations. Cached: the upstream's own list, or
 * while it cannot be asked what of it is here.
 */
#include "referrers.h"

#include "ask.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "config/config.h"
#include "fetch_error.h"
#include "oci/api_error.h"
#include "oci/media_type.h"
#include "request.h"
#include "serve.h"
#include "store/ledger.h"
#include "wait.h"
#include "worker_state.h"

#define INDEX_MAX       ((size_t)4 * 1024 * 1024)
#define DESCRIPTORS_MAX 10000

struct referrers {
    struct ledger_txn *txn;
    struct slice artifact_type; /* empty: all */
    unsigned count;
    struct buf out;
};

struct annotations {
    struct buf *out;
    bool has_any;
};

static void add_annotation(struct slice key, struct jsonio_value value, void *arg)
{
    struct annotations *annotations = arg;
    if (jsonio_type(value) != JSONIO_STRING)
        return;
    buf_append_text(annotations->out, annotations->has_any ? "," : ",\"annotations\":{");
    annotations->has_any = true;
    jsonio_write_string(annotations->out, key);
    buf_append_byte(annotations->out, ':');
    jsonio_write_string(annotations->out, jsonio_string(value));
}

static void add_annotations(struct buf *out, struct slice manifest)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct annotations annotations = {.out = out};
    struct error err;
    if (manifest.length == 0 || jsonio_parse(manifest, &document, &err) != 0)
        return;
    jsonio_each(jsonio_member(jsonio_root(document), "annotations"), add_annotation, &annotations);
    if (annotations.has_any)
        buf_append_byte(out, '}');
}

static bool add_referrer(const struct digest *digest, unsigned kinds, void *arg)
{
    (void)kinds;
    struct referrers *referrers = arg;
    struct manifest_record record;
    char text[DIGEST_TEXT_SIZE];
    if (!manifest_find(referrers->txn, digest, &record))
        return true;
    if (referrers->artifact_type.length > 0 &&
        !slice_equal(referrers->artifact_type, record.artifact_type))
        return true;
    struct buf *out = &referrers->out;
    buf_append_text(out, referrers->count++ > 0 ? ",{\"mediaType\":" : "{\"mediaType\":");
    jsonio_write_string(out, record.media_type);
    buf_printf(out, ",\"digest\":\"%s\",\"size\":%llu", digest_print(digest, text),
               (unsigned long long)record.size);
    if (record.artifact_type.length > 0) {
        buf_append_text(out, ",\"artifactType\":");
        jsonio_write_string(out, record.artifact_type);
    }
    add_annotations(out, record.bytes);
    buf_append_byte(out, '}');
    return referrers->count < DESCRIPTORS_MAX;
}

static void respond_index(struct request *request, struct buf *body, bool is_filtered,
                          const struct serve_age *age)
{
    struct headers headers;
    request_headers(request, &headers);
    if (age)
        serve_mark_stale(&headers, age);
    headers_add(&headers, "Content-Type", SLICE_LITERAL(MEDIA_TYPE_OCI_INDEX));
    if (is_filtered)
        headers_add(&headers, "OCI-Filters-Applied", SLICE_LITERAL("artifactType"));
    if (!request->outcome)
        request->outcome = "listed";
    request_respond_buf(request, 200, &headers, body);
}

static void list_ledger(struct request *request, struct ledger_txn *txn,
                        const struct serve_age *age)
{
    struct referrers referrers = {
        .txn = txn,
        .artifact_type = request->operation.artifact_type,
    };
    buf_init(&referrers.out, INDEX_MAX);
    buf_append_text(&referrers.out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                                    "\",\"manifests\":[");
    if (request->target.is_known) {
        referrer_each(txn, request->target.repository.id, &request->operation.digest, add_referrer,
                      &referrers);
    }
    buf_append_text(&referrers.out, "]}");
    if (referrers.out.is_over) {
        request_failf(request, API_UNKNOWN, "the list of referrers is too large");
    } else {
        request->source = SOURCE_DISK;
        respond_index(request, &referrers.out, referrers.artifact_type.length > 0, age);
    }
    buf_cleanup(&referrers.out);
}

/* Of a manifest that is here. */
static bool list_what_is_here(struct request *request, struct slice warning)
{
    struct serve_age age = {.is_stale = true, .warning = warning};
    struct ledger_txn *txn = worker_read(request->worker);
    resolve_refresh(&request->target, txn);
    bool is_here = serve_has_link(txn, &request->target, &request->operation.digest);
    if (is_here) {
        request->outcome = "listed what is here";
        list_ledger(request, txn, &age);
    }
    worker_read_end(request->worker);
    return is_here;
}

static void on_referrers(struct request *request, enum message_type type, const void *message)
{
    const struct message_failed *failed = message;
    AUTO_BUF struct buf body;
    buf_init(&body, INDEX_MAX);
    if (type == MESSAGE_ANSWER) {
        const struct message_answer *answer = message;
        buf_append_slice(&body, answer->body);
        request->source = SOURCE_UPSTREAM;
        respond_index(request, &body, false, NULL);
        return;
    }
    if (type == MESSAGE_FAILED && failed->kind != ERR_NOT_FOUND) {
        if (!fetch_error_is_believed(failed) && list_what_is_here(request, failed->text))
            return;
        fetch_error_answer(request, failed, API_NAME_UNKNOWN);
        return;
    }
    buf_append_text(&body, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                           "\",\"manifests\":[]}");
    request->outcome = "the upstream lists none";
    respond_index(request, &body, false, NULL);
}

void list_referrers(struct request *request, struct ledger_txn *txn)
{
    if (request->target.upstream) {
        struct ask_question question = {
            .kind = JOIN_REFERRERS,
            .origin = request->target.origin,
            .repository = request->target.name,
            .digest = request->operation.digest,
        };
        wait_for_answer(request, &question, request->worker->options.config->fetch.deadline,
                        on_referrers);
    } else {
        list_ledger(request, txn, NULL);
    }
}
