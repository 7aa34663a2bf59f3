/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and pushers. Mirror clients ask for bare names of two components and more: a push to one
 * that the default upstream has would be served to all of them from then on.
 */
#include "pushing.h"

#include "config/config.h"
#include "order.h"

/* A POST renews the mark no more often than this, and than a sixteenth of `grace`. */
#define MARK_RENEWED_MS 10000

static const struct slice hosted = {"", 0};

static bool is_known_upstream(const struct apply *apply, struct slice name)
{
    struct repository repository;
    const struct config_upstream *upstream = config_upstream_default(apply->config);
    return upstream != NULL &&
           repository_find(apply->txn, slice_of(upstream->name), name, &repository);
}

bool pushing_is_allowed(const struct apply *apply, struct order *order, struct slice name)
{
    struct repository repository;
    const struct config *config = apply->config;
    if (slice_find(name, '/') < 0)
        return true;
    if (repository_find(apply->txn, hosted, name, &repository) && repository.is_hosted)
        return true;
    if (config_list_matches(&config->hosted.allow, name))
        return true;
    const char *why = NULL;
    if (config_list_matches(&config->hosted.protect, name)) {
        why = "is protected (hosted.protect)";
    } else if (!config_list_matches(&config->hosted.reserved, name) &&
               is_known_upstream(apply, name)) {
        why = "is an image of the default upstream, which mirror clients pull by this name";
    }
    if (why == NULL)
        return true;
    order_refuse(order, ERR_DENIED, "%.*s %s; to push to it, add it to hosted.allow",
                 name.length > 80 ? 80 : (int)name.length, name.data, why);
    return false;
}

int pushing_check_upstreams(const struct config *config, struct ledger *ledger, struct error *err)
{
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    int result = 0;
    for (size_t i = 0; i < config->upstream_count && result == 0; i++) {
        const char *name = config->upstreams[i].name;
        if (!repository_any_hosted_below(txn, slice_of(name)))
            continue;
        result = error_set(err, ERR_CONFLICT,
                           "the upstream %s would hide images that were pushed here to %s or "
                           "below: start without it (`upstreams:`), push them to other names and "
                           "delete them here, then add it again",
                           name, name);
    }
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return result;
}

void apply_push_begun(const struct apply *apply, struct order *order)
{
    struct slice name = order->message.push_begun.repository;
    if (!pushing_is_allowed(apply, order, name))
        return;
    struct repository repository;
    repository_get(apply->txn, hosted, name, &repository);
    uint64_t renewed_ms = apply->config->storage.grace_ms / 16;
    if (renewed_ms > MARK_RENEWED_MS)
        renewed_ms = MARK_RENEWED_MS;
    if (repository.last_post_ms != 0 && repository.last_post_ms <= apply->now_ms &&
        apply->now_ms - repository.last_post_ms < renewed_ms)
        return;
    repository.last_post_ms = apply->now_ms;
    repository_put(apply->txn, hosted, name, &repository);
    struct change change = {.kind = JOURNAL_PUSH_BEGUN, .repository = name};
    apply_journal(apply, order, &change);
}
