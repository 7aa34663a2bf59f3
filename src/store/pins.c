/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: (image, zero byte, set). */
#include "ledger_table.h"
#include "records.h"
#include "store/ledger.h"

static void make_pin_key(struct record *key, struct slice image, struct slice set)
{
    record_init(key);
    record_add_bytes(key, image);
    record_add_u8(key, 0);
    record_add_bytes(key, set);
    key->is_over = key->is_over || key->length > LEDGER_KEY_MAX;
}

void pin_put(struct ledger_txn *txn, struct slice image, struct slice set)
{
    struct record key;
    struct record value;

    make_pin_key(&key, image, set);
    if (key.is_over) {
        ledger_set_too_long(txn);
        return;
    }
    record_init_value(&value);
    ledger_put(txn, TABLE_PIN, record_bytes(&key), record_bytes(&value));
}

bool pin_delete(struct ledger_txn *txn, struct slice image, struct slice set)
{
    struct record key;

    make_pin_key(&key, image, set);
    return !key.is_over && ledger_delete(txn, TABLE_PIN, record_bytes(&key));
}

bool pin_any(struct ledger_txn *txn, struct slice image)
{
    struct record prefix;
    struct slice key;
    struct slice value;

    make_pin_key(&prefix, image, slice_of(""));
    return !prefix.is_over && ledger_first(txn, TABLE_PIN, record_bytes(&prefix), &key, &value);
}

struct pin_walk {
    pin_each_fn *each;
    void *arg;
};

static bool on_pin_key(struct slice key, struct slice value, void *arg)
{
    const struct pin_walk *walk = arg;
    ptrdiff_t zero = slice_find(key, '\0');

    (void)value;
    if (zero < 0)
        return true;
    return walk->each(slice_from(key.data, (size_t)zero), slice_skip(key, (size_t)zero + 1),
                      walk->arg);
}

void pin_each(struct ledger_txn *txn, struct slice after_image, struct slice after_set,
              pin_each_fn *each, void *arg)
{
    struct pin_walk walk = {each, arg};
    struct record start;

    record_init(&start);
    if (after_image.length > 0)
        make_pin_key(&start, after_image, after_set);
    ledger_walk(txn, TABLE_PIN, slice_from(NULL, 0),
                start.is_over ? slice_from(NULL, 0) : record_bytes(&start), on_pin_key, &walk);
}
