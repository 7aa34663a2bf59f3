/* SPDX-License-Identifier: Apache-2.0 */
/* See verify.h. A file is read as it is now; who may write under uploads/ may still change it
 * afterwards, which only rights of the operating system can prevent. */
#include "verify.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "order.h"
#include "store/ledger.h"
#include "store/store.h"

static int refuse_digest(const struct digest *digest, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];

    return error_set(err, ERR_DIGEST_MISMATCH, "the file of a worker is not %s",
                     digest_print(digest, text));
}

/* The order's file, if it is still the one that the order speaks of. */
static int open_file(struct store *store, const struct order *order, int *out_fd, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    uint64_t inode = 0;
    uint64_t size = 0;
    int rc = store_file_open(store, order->file.place, order->file.name, &fd, err);

    if (rc == 0)
        rc = store_file_inode(fd, &inode, err);
    if (rc == 0)
        rc = fd_size(fd, &size, err);
    if (rc == 0 && (inode != order->file.inode || size != order->file.size))
        rc = error_set(err, ERR_NOT_FOUND, "file %s was replaced", order->file.name);
    if (rc == 0)
        *out_fd = fd_take(&fd);
    return rc;
}

/* ---- blobs ---- */

int verify_blob(struct store *store, const struct order *order, const atomic_bool *stop,
                struct error *err)
{
    AUTO_CLOSE int fd = -1;
    int rc = open_file(store, order, &fd, err);

    if (rc == 0)
        rc = file_hash_compare(fd, order->file.size, &order->digest, stop, err);
    return rc == -ERR_CORRUPT ? refuse_digest(&order->digest, err) : rc;
}

static int find_record(struct ledger *ledger, const struct digest *digest, struct blob_record *out,
                       struct error *err)
{
    struct ledger_reader *reader = ledger_reader_new(ledger);
    struct ledger_txn *txn = ledger_read(reader);
    bool is_here = blob_find(txn, digest, out);
    const struct error *broken = ledger_error(txn);
    int rc = 0;

    if (broken)
        rc = error_set(err, broken->kind, "%s", broken->text);
    else if (!is_here)
        rc = error_set(err, ERR_NOT_FOUND, "the blob is not here");
    ledger_read_end(reader);
    ledger_reader_free(&reader);
    return rc;
}

/* Several workers find the same file changed, and one after the other. What a disk has changed
 * without a trace is found in manifests alone, so a worker that lies cannot have large files read
 * again and again. */
static bool is_judged(const struct order *order, const struct blob_record *record,
                      const struct file_identity *found)
{
    bool may_be_silent =
        order->message.blob_suspected.is_wrong != 0 && record->size <= MANIFEST_MAX_SIZE;
    enum blob_trust trust = blob_trust(record, found);

    return trust == BLOB_DAMAGED || (trust == BLOB_TRUSTED && !may_be_silent);
}

int verify_suspect(struct store *store, struct ledger *ledger, struct order *order,
                   const atomic_bool *stop, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    struct blob_record record;
    struct store_blob found;
    int rc = find_record(ledger, &order->digest, &record, err);

    if (rc == 0)
        rc = store_blob_open(store, &order->digest, record.size, &fd, &found, err);
    if (rc == -ERR_CORRUPT) /* as any reader of it finds */
        rc = error_set(err, ERR_NOT_FOUND, "the blob has no whole file");
    if (rc != 0 || is_judged(order, &record, &found.identity))
        return rc;
    rc = FAILPOINT("verify.suspect")
             ? error_set(err, ERR_IO, "cannot read a stored file (failpoint)")
             : file_hash_compare(fd, found.size, &order->digest, stop, err);
    if (rc != 0 && rc != -ERR_CORRUPT)
        return rc;
    order->compared = found.identity;
    order->is_wrong = rc != 0;
    return 0;
}

/* ---- manifests ---- */

/* From the file; from blobs/ when there is none, or when it was placed before. */
static int read_manifest(struct store *store, const struct order *order, struct buf *out,
                         bool *out_is_placed, struct error *err)
{
    size_t size = (size_t)order->message.manifest_put.size;
    AUTO_CLOSE int fd = -1;
    int rc = -ERR_NOT_FOUND;

    if (order->has_file)
        rc = open_file(store, order, &fd, err);
    *out_is_placed = rc == -ERR_NOT_FOUND;
    if (*out_is_placed)
        rc = store_blob_open(store, &order->digest, size, &fd, NULL, err);
    if (rc == -ERR_CORRUPT)
        rc = error_set(err, ERR_NOT_FOUND, "the manifest is not here");
    if (rc != 0)
        return rc;
    rc = fd_pread_all(fd, buf_reserve(out, size), size, 0, err);
    if (rc == 0)
        buf_added(out, size);
    return rc;
}

static bool is_same_text(const char *text, struct slice said)
{
    return slice_equal(text ? slice_of(text) : slice_from("", 0), said);
}

static bool is_as_said(const struct manifest *manifest, const struct message_manifest_put *put)
{
    AUTO_BUF struct buf references;
    bool has_subject = (unsigned)put->subject.algorithm != 0;

    buf_init(&references, REFERENCE_LIST_MAX);
    reference_list_encode(manifest, &references);
    return is_same_text(manifest->media_type, put->media_type) &&
           is_same_text(manifest->artifact_type, put->artifact_type) &&
           manifest->is_typed == (put->is_typed != 0) && manifest->has_subject == has_subject &&
           (!has_subject || digest_equal(&manifest->subject, &put->subject)) &&
           slice_equal(buf_bytes(&references), put->references);
}

int verify_manifest(struct store *store, const struct order *order, struct error *err)
{
    const struct message_manifest_put *put = &order->message.manifest_put;
    AUTO_BUF struct buf bytes;
    struct manifest *manifest = NULL;
    struct digest digest;
    struct error parsing; /* of bytes from outside: not for the log */

    buf_init(&bytes, MANIFEST_MAX_SIZE);
    bool is_placed = false;
    int rc = read_manifest(store, order, &bytes, &is_placed, err);
    if (rc != 0)
        return rc;
    digest_of(order->digest.algorithm, buf_bytes(&bytes), &digest);
    if (is_placed &&
        !digest_equal(&digest, &order->digest)) /* the disk's doing, not the worker's */
        return error_set(err, ERR_NOT_FOUND, "the manifest is not here");
    if (!digest_equal(&digest, &order->digest) ||
        (put->body.length > 0 && !slice_equal(put->body, buf_bytes(&bytes))))
        return refuse_digest(&order->digest, err);
    /* A worker has read these bytes; that we cannot may be a want of memory, and proves no lie. */
    rc = FAILPOINT("verify.parse")
             ? -ERR_NO_MEMORY
             : manifest_parse(buf_bytes(&bytes), put->media_type, &manifest, &parsing);
    if (rc != 0)
        return error_set(err, ERR_BUSY, "the manifest cannot be read now; send it again");
    if (!is_as_said(manifest, put))
        rc = error_set(err, ERR_DIGEST_MISMATCH, "a worker says what the manifest does not");
    manifest_free(&manifest);
    return rc;
}
