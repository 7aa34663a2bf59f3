/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for manifests, by digest or for a tag: fetched, read, answered, then stored in the
 * background. */
#include "ask.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "fetch.h"
#include "follower.h"
#include "ipc/metrics.h"
#include "oci/manifest.h"
#include "received.h"
#include "role.h"
#include "upstream.h"

typedef void ask_failed_fn(struct ask *ask, const struct error *err, bool is_final,
                           uint64_t retry_after);

void ask_print_manifest_path(const struct ask *ask, const char *reference, struct buf *out)
{
    buf_printf(out, "%s/manifests/%s", ask->repository, reference);
}

static void log_manifest(const struct ask *ask, enum log_level level, const char *text,
                         const char *reason)
{
    struct log_line line;
    char digest[DIGEST_TEXT_SIZE];

    if (!log_is_on(level))
        return;
    log_begin(&line, level);
    log_text(&line, "digest", digest_print(&ask->received->digest, digest));
    log_text(&line, "origin", ask->upstream->name);
    log_text(&line, "repo", ask->repository);
    if (ask->kind == JOIN_TAG)
        log_text(&line, "tag", ask->reference);
    log_end(&line, "%s%s", text, reason);
}

/* ---- answering and storing ---- */

void ask_answer_late(struct ask *ask)
{
    const struct received *received = ask->received;
    struct message_answer answer;

    received_answer(received, &answer);
    ask_answer_payload(ask, &answer, received->payload_fd);
}

static void on_manifest_stored(struct received *received, const struct error *err, void *arg)
{
    struct ask *ask = arg;

    (void)received;
    if (err)
        log_manifest(ask, LOG_WARN, "manifest not stored: ", err->text);
    else
        log_manifest(ask, LOG_INFO, "manifest stored", "");
    ask_end(ask);
}

static void fail_reading(struct ask *ask, const struct error *err)
{
    received_drop(&ask->received);
    ask->failed(ask, err, false, 0);
}

static void on_manifest_read(struct received *received, const struct error *err, void *arg)
{
    struct ask *ask = arg;

    if (err) {
        struct error copy = *err;

        fail_reading(ask, &copy);
        return;
    }
    if (ask->kind == JOIN_MANIFEST && !digest_equal(&received->digest, &ask->digest)) {
        struct error wrong;

        metrics_add(METRIC_digest_mismatches, 1);
        error_set(&wrong, ERR_DIGEST_MISMATCH, "the upstream's manifest is not what was asked%s",
                  received->manifest->kind == MEDIA_SCHEMA1
                      ? ": it is Docker schema 1, which is kept by the digest of all its bytes; "
                        "pull its tag"
                      : "");
        fail_reading(ask, &wrong);
        return;
    }
    ask_set_state(ask, ASK_STORING);
    ask->answered_at = clock_mono();
    ask_answer_late(ask);
    received_store(received, on_manifest_stored, ask);
}

/* ---- fetching ---- */

static void read_result(struct ask *ask, const struct fetch_result *result)
{
    struct slice content_type = {0};

    transfer_header(result->headers, "Content-Type", &content_type);
    struct received *received = received_new(ask->fetcher, result->buffer, content_type);
    received->origin = slice_dup(ask->origin);
    received->repository = mem_strdup(ask->repository);
    received->tag = ask->kind == JOIN_TAG ? mem_strdup(ask->reference) : NULL;
    received->checked_ms = clock_wall().ms;
    received->is_public = !result->with_credentials;
    received->digest.algorithm = ask->kind == JOIN_MANIFEST ? ask->digest.algorithm : HASH_SHA256;
    ask->received = received;
    ask_set_state(ask, ASK_READING);
    received_read(received, on_manifest_read, ask);
}

static void on_manifest(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;
    const struct exchange_end *end = result->end;

    ask->fetch = NULL;
    if (end->err.kind == ERR_NONE)
        read_result(ask, result);
    else
        ask->failed(ask, &end->err, end->is_final, end->retry_after);
}

void ask_get_manifest(struct ask *ask, const char *reference, ask_failed_fn *failed)
{
    AUTO_BUF struct buf path;

    buf_init(&path, 1024);
    ask_print_manifest_path(ask, reference, &path);
    ask->failed = failed;
    struct fetch_request request = {
        .method = TRANSFER_GET,
        .path = buf_text(&path),
        .accept = MEDIA_TYPE_ACCEPT_ALL,
        .body_max = MANIFEST_MAX_SIZE,
        .retries = ask->fetcher->config->fetch.retries,
    };
    ask_fetch(ask, &request, on_manifest);
}

static void fail_manifest(struct ask *ask, const struct error *err, bool is_final,
                          uint64_t retry_after)
{
    (void)is_final;
    ask_fail(ask, err, retry_after);
}

void ask_begin_manifest(struct ask *ask)
{
    const struct lookup lookup = ask_lookup(ask);
    struct lookup_manifest manifest;
    char text[DIGEST_TEXT_SIZE];

    if (lookup_manifest(&lookup, &ask->digest, &manifest)) {
        while (!list_is_empty(&ask->followers)) {
            struct follower *follower = LIST_ITEM(ask->followers.next, struct follower, link);

            follower_here(&follower);
        }
        ask_end(ask);
        return;
    }
    ask_get_manifest(ask, digest_print(&ask->digest, text), fail_manifest);
}
