/* SPDX-License-Identifier: Apache-2.0 */
/* The files are removed after the read transaction: an unlink may take long. */
#include "orphans.h"

#include "base/error.h"
#include "base/log.h"
#include "oci/digest.h"
#include "store/ledger.h"
#include "store/store.h"

void orphans_init(struct orphans *orphans, size_t max)
{
    buf_init(&orphans->digests, max * DIGEST_BINARY_MAX);
}

void orphans_cleanup(struct orphans *orphans)
{
    buf_cleanup(&orphans->digests);
}

void orphans_add(struct orphans *orphans, const struct digest *digest)
{
    uint8_t binary[DIGEST_BINARY_MAX];
    size_t length = digest_encode(digest, binary);

    if (orphans->digests.length + length <= orphans->digests.maximum)
        buf_append(&orphans->digests, binary, length);
}

/* Keeps only those in the list that no record names. False: the ledger cannot be read. */
static bool drop_named(struct orphans *orphans, struct ledger_reader *reader)
{
    struct orphans unnamed;
    struct slice rest = buf_bytes(&orphans->digests);
    struct digest digest;
    struct blob_record blob;

    buf_init(&unnamed.digests, orphans->digests.maximum);
    struct ledger_txn *txn = ledger_read(reader);
    while (digest_decode(&rest, &digest)) {
        if (!blob_find(txn, &digest, &blob))
            orphans_add(&unnamed, &digest);
    }
    const struct error *err = ledger_error(txn);
    bool is_read = !err;
    if (err) {
        struct log_line line;

        log_begin(&line, LOG_WARN);
        log_text(&line, "error", err->text);
        log_end(&line, "files of refused requests are left under blobs/");
    }
    ledger_read_end(reader);
    orphans_cleanup(orphans);
    *orphans = unnamed;
    return is_read;
}

static void remove_file(struct store *store, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    struct log_line line;
    struct error err;
    int rc = store_blob_remove(store, digest, &err);

    if (rc == 0 || rc == -ERR_NOT_FOUND)
        return;
    log_begin(&line, LOG_WARN);
    log_text(&line, "digest", digest_print(digest, text));
    log_text(&line, "error", err.text);
    log_end(&line, "a file that no record names cannot be removed");
}

void orphans_remove(struct orphans *orphans, struct ledger_reader *reader, struct store *store)
{
    if (orphans->digests.length == 0)
        return;
    if (drop_named(orphans, reader)) {
        struct slice rest = buf_bytes(&orphans->digests);
        struct digest digest;

        while (digest_decode(&rest, &digest))
            remove_file(store, &digest);
    }
    buf_clear(&orphans->digests);
}
