/* SPDX-License-Identifier: Apache-2.0 */
/* See source.h. */
#include "base/alloc.h"
#include "base/check.h"
#include "config/config.h"
#include "fetch.h"
#include "flight.h"
#include "follower.h"
#include "ipc/keeper_client.h"
#include "role.h"
#include "upstream.h"

struct source *source_get(struct flight *flight, struct upstream *upstream, struct slice repository)
{
    LIST_EACH (link, &flight->sources) {
        struct source *source = LIST_ITEM(link, struct source, link);

        if (source->upstream == upstream && slice_equal(slice_of(source->repository), repository))
            return source;
    }
    struct source *source = NEW(struct source);

    source->flight = flight;
    source->upstream = upstream_ref(upstream);
    source->repository = slice_dup(repository);
    list_append(&flight->sources, &source->link);
    return source;
}

#define TO(state) (1u << SOURCE_##state)
static const unsigned moves[SOURCE_STATES] = {
    [SOURCE_UNPROVEN] = TO(PROVING) | TO(PROVEN),
    [SOURCE_PROVING] = TO(PROVEN) | TO(UNPROVEN),
    [SOURCE_PROVEN] = TO(PROVEN),
};
#undef TO

static void source_set_state(struct source *source, enum source_state next)
{
    CHECK((moves[source->state] & (1u << next)) != 0);
    source->state = next;
}

void source_set_proven(struct source *source)
{
    fetch_cancel(&source->proof); /* its answer cannot change anything now */
    source_set_state(source, SOURCE_PROVEN);
}

struct source *source_next(struct flight *flight, const struct source *current)
{
    struct source *slow = NULL;

    LIST_EACH (link, &flight->sources) {
        struct source *source = LIST_ITEM(link, struct source, link);

        if (source->is_exhausted)
            continue;
        if (!source->is_slow)
            return source;
        if (!slow || source == current)
            slow = source;
    }
    return slow;
}

bool source_has_other(const struct flight *flight, const struct source *current, bool may_be_slow)
{
    LIST_EACH (link, &flight->sources) {
        const struct source *source = LIST_ITEM(link, const struct source, link);

        if (source->upstream != current->upstream && !source->is_exhausted &&
            (may_be_slow || !source->is_slow))
            return true;
    }
    return false;
}

void source_set_slow(struct source *source)
{
    LIST_EACH (link, &source->flight->sources) {
        struct source *other = LIST_ITEM(link, struct source, link);

        other->is_slow = other->is_slow || other->upstream == source->upstream;
    }
}

void source_set_exhausted(struct source *source)
{
    LIST_EACH (link, &source->flight->sources) {
        struct source *other = LIST_ITEM(link, struct source, link);

        other->is_exhausted = other->is_exhausted || other->upstream == source->upstream;
    }
}

void source_free(struct source *source)
{
    download_forget_source(&source->flight->download, source);

    fetch_cancel(&source->proof);
    list_remove(&source->link);
    upstream_unref(&source->upstream);
    mem_free(source->repository);
    mem_free(source);
}

static void tell_followers(struct source *source, const struct error *err, uint64_t retry_after)
{
    LIST_EACH (link, &source->flight->followers) {
        struct follower *follower = LIST_ITEM(link, struct follower, link);

        if (follower->source == source)
            follower_fail(&follower, err, retry_after);
    }
}

void source_remove(struct source *source, const struct error *err)
{
    tell_followers(source, err, 0);

    source_free(source);
}

void source_link(struct source *source)
{
    struct flight *flight = source->flight;

    if (source->is_linked)
        return;
    source->is_linked = true;
    struct message_link message = {
        .digest = flight->digest,
        .origin = slice_of(source->upstream->name),
        .repository = slice_of(source->repository),
    };
    keeper_client_tell(flight->fetcher->keeper, MESSAGE_LINK, &message, true, NULL, NULL);
}

static void on_proof(const struct fetch_result *result, void *arg)
{
    struct source *source = arg;
    struct flight *flight = source->flight;
    const struct exchange_end *end = result->end;

    source->proof = NULL;
    if (end->err.kind == ERR_NONE) {
        source_set_proven(source);
        if (flight->is_stored)
            source_link(source);
        flight_admit_all(flight);
        return;
    }
    source_set_state(source, SOURCE_UNPROVEN);
    tell_followers(source, &end->err, end->retry_after);
    if (end->is_final && flight->download.source != source)
        source_free(source);
}

void source_prove(struct source *source)
{
    char path[512];

    if (source->state != SOURCE_UNPROVEN)
        return;
    source_set_state(source, SOURCE_PROVING);
    upstream_print_blob_path(slice_of(source->repository), &source->flight->digest, path,
                             sizeof(path));
    struct fetch_request request = {
        .upstream = source->upstream,
        .method = TRANSFER_HEAD,
        .repository = slice_of(source->repository),
        .path = path,
        .body_max = 1,
        .retries = 1,
        .is_blob = true,
    };
    source->proof = fetch_start(&request, on_proof, source);
}
