/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for tags. A tag that the ledger knows is checked with HEAD, which does not count as a pull;
 * the manifest is fetched when it is needed; and when the upstream cannot be asked, the tag that we
 * have is answered, marked as stale. The digest in an upstream's header is only compared with ours;
 * bytes are believed by their own digest alone.
 *
 * 403, 404, 410 and 451 are believed: the tag is hidden for as long as the upstream says so, and
 * nothing is removed. 401 is about our login and says nothing about the tag.
 */
#include <stdio.h>

#include "absent.h"
#include "ask.h"
#include "base/error.h"
#include "config/config.h"
#include "fetch.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "role.h"
#include "upstream.h"

static void tell_checked(struct ask *ask, const struct digest *digest, uint64_t checked_ms)
{
    struct message_tag_checked message = {
        .origin = ask->origin,
        .repository = slice_of(ask->repository),
        .tag = slice_of(ask->reference),
        .digest = *digest,
        .checked = checked_ms,
    };

    keeper_client_tell(ask->fetcher->keeper, MESSAGE_TAG_CHECKED, &message, true, NULL, NULL);
}

/* The manifest is here: the worker reads it itself. */
static void answer_here(struct ask *ask, const struct digest *digest,
                        const struct lookup_manifest *manifest)
{
    struct message_answer answer = {
        .state = ANSWER_FRESH,
        .digest = *digest,
        .media_type = slice_of(manifest->media_type),
        .size = manifest->size,
        .checked = clock_wall().ms,
    };

    tell_checked(ask, digest, answer.checked);
    ask_answer(ask, &answer);
    ask_end(ask);
}

/* ---- stale ---- */

static bool may_be_stale(const struct ask *ask, uint64_t age_ms)
{
    const struct config_tag_rule *rule =
        config_tag_rule(ask->upstream->config, slice_of(ask->reference));

    return ask->tag.is_known && ask->tag.is_here &&
           (rule->stale_if_error_ms == UINT64_MAX || age_ms < rule->stale_if_error_ms);
}

static void print_age(uint64_t age_ms, char *out, size_t size)
{
    uint64_t seconds = age_ms / 1000;
    const char *unit = "second";
    uint64_t count = seconds;

    if (seconds >= 86400) {
        unit = "day";
        count = seconds / 86400;
    } else if (seconds >= 3600) {
        unit = "hour";
        count = seconds / 3600;
    } else if (seconds >= 60) {
        unit = "minute";
        count = seconds / 60;
    }
    (void)snprintf(out, size, "%llu %s%s", (unsigned long long)count, unit, count == 1 ? "" : "s");
}

/* `what`: "could not be asked". */
static void answer_stale(struct ask *ask, const char *what, const struct error *err,
                         uint64_t age_ms)
{
    char age[64];
    char warning[512];

    print_age(age_ms, age, sizeof(age));
    (void)snprintf(warning, sizeof(warning), "%s %s (%s); checked %s ago", ask->upstream->name,
                   what, err->text, age);
    struct message_answer answer = {
        .state = ANSWER_STALE,
        .digest = ask->tag.digest,
        .media_type = slice_of(ask->tag.manifest.media_type),
        .size = ask->tag.manifest.size,
        .checked = ask->tag.checked_ms,
        .warning = slice_of(warning),
    };
    ask_answer(ask, &answer);
    ask_end(ask);
}

/* ---- failures ---- */

static bool is_believed(const struct error *err, bool is_final)
{
    return is_final && (err->kind == ERR_NOT_FOUND || err->kind == ERR_DENIED);
}

static uint64_t age_of(const struct ask *ask)
{
    uint64_t now_ms = clock_wall().ms;

    return now_ms > ask->tag.checked_ms ? now_ms - ask->tag.checked_ms : 0;
}

/* The upstream itself says that the tag is gone, or forbidden. */
static void refuse_tag(struct ask *ask, const struct error *err)
{
    const struct config_tag_rule *rule =
        config_tag_rule(ask->upstream->config, slice_of(ask->reference));

    if (rule->keeps_deleted && ask->tag.is_known && ask->tag.is_here)
        answer_stale(ask, "no longer gives this tag", err, age_of(ask));
    else
        ask_fail(ask, err, 0);
}

static void fail_tag(struct ask *ask, const struct error *err, bool is_final, uint64_t retry_after)
{
    uint64_t age_ms = age_of(ask);

    if (is_believed(err, is_final)) {
        absent_add(ask->fetcher, buf_bytes(&ask->key), err);
        refuse_tag(ask, err);
    } else if (may_be_stale(ask, age_ms)) {
        answer_stale(ask, "could not be asked", err, age_ms);
    } else {
        ask_fail(ask, err, retry_after);
    }
}

/* ---- HEAD ---- */

static bool read_digest(struct slice headers, struct digest *out)
{
    struct slice value;
    struct error err;

    return transfer_header(headers, "Docker-Content-Digest", &value) &&
           digest_parse(value, out, &err) == 0;
}

static void on_tag_checked(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;
    const struct exchange_end *end = result->end;
    const struct lookup lookup = ask_lookup(ask);
    struct lookup_manifest manifest;
    struct digest digest;

    ask->fetch = NULL;
    if (end->err.kind != ERR_NONE && !end->is_final && end->status != 200) {
        fail_tag(ask, &end->err, false, end->retry_after);
        return;
    }
    /* Some upstreams and their proxies do not know or allow HEAD, or answer it as a web page:
     * that says nothing, the GET decides. */
    if (end->err.kind == ERR_NONE && read_digest(result->headers, &digest) &&
        lookup_manifest(&lookup, &digest, &manifest)) {
        answer_here(ask, &digest, &manifest);
        return;
    }
    ask_get_manifest(ask, ask->reference, fail_tag);
}

static void check_tag(struct ask *ask)
{
    AUTO_BUF struct buf path;

    buf_init(&path, 1024);
    ask_print_manifest_path(ask, ask->reference, &path);
    struct fetch_request request = {
        .method = TRANSFER_HEAD,
        .path = buf_text(&path),
        .accept = MEDIA_TYPE_ACCEPT_ALL,
        .body_max = 1,
        .retries = 0,
    };
    ask_fetch(ask, &request, on_tag_checked);
}

static void read_ledger(struct ask *ask)
{
    const struct lookup lookup = ask_lookup(ask);
    struct ask_tag *tag = &ask->tag;
    struct tag record;

    tag->is_known = lookup_tag(&lookup, slice_of(ask->reference), &record);
    if (!tag->is_known)
        return;
    tag->digest = record.digest;
    tag->checked_ms = record.checked_ms;
    tag->is_here = lookup_manifest(&lookup, &tag->digest, &tag->manifest);
}

void ask_begin_tag(struct ask *ask)
{
    struct error err;

    read_ledger(ask);
    if (absent_find(ask->fetcher, buf_bytes(&ask->key), &err))
        refuse_tag(ask, &err);
    else if (ask->tag.is_here)
        check_tag(ask);
    else
        ask_get_manifest(ask, ask->reference, fail_tag);
}
