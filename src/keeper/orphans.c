/* SPDX-License-Identifier: Apache-2.0 */
/* The files are removed after the read transaction: an unlink may take long. */
#include "orphans.h"

#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "oci/digest.h"
#include "store/ledger.h"
#include "store/store.h"

#define LARGE_SIZE ((uint64_t)4 << 20)
#define OPEN_MAX   64u /* of one list; further large files are removed at once */

void orphans_init(struct orphans *orphans, size_t max)
{
    buf_init(&orphans->digests, max * DIGEST_BINARY_MAX);
    buf_init(&orphans->open, OPEN_MAX * sizeof(int));
}

void orphans_cleanup(struct orphans *orphans)
{
    orphans_close(orphans);
    buf_cleanup(&orphans->digests);
    buf_cleanup(&orphans->open);
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
    buf_cleanup(&orphans->digests);
    orphans->digests = unnamed.digests;
    return is_read;
}

/* While somebody has a file open, it only loses its name: that is fast, whatever its size. */
static void hold_open(struct orphans *orphans, struct store *store, const struct digest *digest)
{
    struct store_blob found;
    AUTO_CLOSE int fd = -1;
    struct error ignored;

    if (orphans->open.length == orphans->open.maximum ||
        store_blob_open(store, digest, UINT64_MAX, &fd, &found, &ignored) != 0 ||
        found.size < LARGE_SIZE)
        return;
    buf_append(&orphans->open, &fd, sizeof(fd));
    fd = -1;
}

static void touch(struct orphans *orphans, const struct digest *digest)
{
    unsigned folder = digest->bytes[0];

    if (digest->algorithm == HASH_SHA512)
        folder += ORPHANS_FOLDERS / 2;
    orphans->is_touched[folder] = true;
    orphans->has_touched = true;
}

static bool remove_file(struct orphans *orphans, struct store *store, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    struct log_line line;
    struct error err;

    hold_open(orphans, store, digest);
    int rc = store_blob_remove(store, digest, &err);
    if (rc == 0)
        touch(orphans, digest);
    if (rc == 0 || rc == -ERR_NOT_FOUND)
        return rc == 0;
    log_begin(&line, LOG_WARN);
    log_text(&line, "digest", digest_print(digest, text));
    log_text(&line, "error", err.text);
    log_end(&line, "a file that no record names cannot be removed");
    return false;
}

size_t orphans_remove(struct orphans *orphans, struct ledger_reader *reader, struct store *store)
{
    size_t removed = 0;

    if (orphans->digests.length == 0)
        return 0;
    if (drop_named(orphans, reader)) {
        struct slice rest = buf_bytes(&orphans->digests);
        struct digest digest;

        while (digest_decode(&rest, &digest))
            removed += remove_file(orphans, store, &digest);
    }
    buf_clear(&orphans->digests);
    return removed;
}

void orphans_close(struct orphans *orphans)
{
    struct slice rest = buf_bytes(&orphans->open);

    while (rest.length > 0) {
        int fd = -1;

        memcpy(&fd, rest.data, sizeof(fd));
        fd_close(&fd);
        rest = slice_skip(rest, sizeof(fd));
    }
    buf_clear(&orphans->open);
}

void orphans_move(struct orphans *from, struct orphans *to)
{
    struct slice rest = buf_bytes(&from->digests);
    struct digest digest;

    while (digest_decode(&rest, &digest))
        orphans_add(to, &digest);
    buf_clear(&from->digests);
}

void orphans_forget(struct orphans *orphans)
{
    buf_clear(&orphans->digests);
}

void orphans_sync(struct orphans *orphans, struct store *store)
{
    for (unsigned i = 0; i < ORPHANS_FOLDERS; i++) {
        struct digest digest = {
            .algorithm = i < ORPHANS_FOLDERS / 2 ? HASH_SHA256 : HASH_SHA512,
            .bytes = {(uint8_t)i},
        };
        struct error err;

        if (orphans->is_touched[i] && store_sync_blob_folder(store, &digest, &err) != 0)
            log_say(LOG_WARN, "removed files may come back after a power cut: %s", err.text);
        orphans->is_touched[i] = false;
    }
    orphans->has_touched = false;
}
