/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's side of rules/may_push: asked inside the transaction that would take the name. */
#include "pushing.h"

#include "config/config.h"
#include "order.h"
#include "rules/may_push.h"
#include "rules/resolve.h"

static const struct slice hosted = {"", 0};

static bool is_allowed(const struct apply *apply, struct order *order,
                       const struct resolved *target)
{
    struct error err;

    if (may_push(apply->config, apply->txn, target, &err) == 0)
        return true;
    order_refuse(order, err.kind, "%s", err.text);
    return false;
}

bool pushing_is_allowed(const struct apply *apply, struct order *order, struct slice name)
{
    struct resolved target;

    resolve_hosted(apply->txn, name, &target);
    return is_allowed(apply, order, &target);
}

int pushing_check_upstreams(const struct config *config, struct ledger *ledger, struct error *err)
{
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    int rc = 0;

    for (size_t i = 0; i < config->upstream_count && rc == 0; i++) {
        const char *name = config->upstreams[i].name;

        if (!repository_any_hosted_below(txn, slice_of(name)))
            continue;
        rc = error_set(err, ERR_CONFLICT,
                       "the upstream %s would hide images that were pushed here to %s or "
                       "below: start without it (`upstreams:`), push them to other names and "
                       "delete them here, then add it again",
                       name, name);
    }
    if (rc == 0 && ledger_error(txn)) {
        *err = *ledger_error(txn);
        rc = -(int)err->kind;
    }
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return rc;
}

void apply_push_begun(const struct apply *apply, struct order *order)
{
    struct slice name = order->message.push_begun.repository;
    struct resolved target;
    struct repository repository;

    resolve_hosted(apply->txn, name, &target);
    if (!is_allowed(apply, order, &target))
        return;
    /* Several workers may have asked at once. */
    if (!push_mark_is_due(apply->config, &target, apply->now_ms))
        return;
    repository_get(apply->txn, hosted, name, &repository);
    repository.last_post_ms = apply->now_ms;
    repository_put(apply->txn, hosted, name, &repository);
    struct change change = {.kind = JOURNAL_PUSH_BEGUN, .repository = name};
    apply_journal(apply, order, &change);
}
