/* SPDX-License-Identifier: Apache-2.0 */
/* Uses: digest → the time of its last use. */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

void use_put(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms)
{
    struct record key;

    record_init(&key);
    record_add_digest(&key, digest);
    struct record value;
    record_init_value(&value);
    record_add_u64(&value, when_ms);
    ledger_put(txn, TABLE_USE, record_bytes(&key), record_bytes(&value));
}

uint64_t use_find(struct ledger_txn *txn, const struct digest *digest)
{
    struct record key;

    record_init(&key);
    record_add_digest(&key, digest);
    struct slice value;
    if (!ledger_get(txn, TABLE_USE, record_bytes(&key), &value))
        return 0;
    struct record_reader reader;
    record_read_value(&reader, value);
    uint64_t when = record_u64(&reader);
    if (reader.is_bad)
        ledger_set_corrupt(txn, "use");
    return reader.is_bad ? 0 : when;
}
