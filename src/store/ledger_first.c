/* SPDX-License-Identifier: Apache-2.0 */
/* The first key of a walk. See ledger_table.h. */
#include "ledger_table.h"

struct first {
    struct slice *key;
    struct slice *value;
    bool is_found;
};

static bool on_first_key(struct slice key, struct slice value, void *arg)
{
    struct first *first = arg;

    *first->key = key;
    *first->value = value;
    first->is_found = true;
    return false;
}

bool ledger_first(struct ledger_txn *txn, enum ledger_table table, struct slice prefix,
                  struct slice *out_key, struct slice *out_value)
{
    struct first first = {out_key, out_value, false};

    ledger_walk(txn, table, prefix, slice_from(NULL, 0), on_first_key, &first);
    return first.is_found;
}
