/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: an LMDB environment, its transactions and typed tables. Opened once per process, by
 * main, and handed to the role. (door: LMDB)
 *
 * A transaction has a sticky error: after the first failure every call does nothing, and commit
 * returns the error. For reading, each thread has a struct ledger_reader of its own. ledger_read
 * begins a transaction with a fresh snapshot, ledger_read_end ends it; none is held across a turn
 * of the loop. Slices in records live until the end.
 *
 * Byte formats: docs/storage.md, src/store/records.c. Unknown trailing fields are skipped.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "oci/digest.h"
#include "store/file_hash.h"

struct ledger;
struct ledger_reader;
struct ledger_txn;

/* `folder` exists. The keeper opens it first (is_writer: creates tables, upgrades); others wait for
 * that: ERR_NOT_FOUND until then. ERR_UNSUPPORTED: a newer version; ERR_NO_SPACE; ERR_CORRUPT.
 */
int ledger_open(const char *folder, bool is_writer, struct ledger **out, struct error *err);
void ledger_close(struct ledger **ledger);
/* Frees the slots of readers in dead processes. The keeper calls it every 30 s. */
void ledger_check_readers(struct ledger *ledger);

/* A reusable slot for read transactions, one for each thread that reads. */
struct ledger_reader *ledger_reader_new(struct ledger *ledger);
/* Ends its read transaction if one is open. */
void ledger_reader_free(struct ledger_reader **reader);
/* Never NULL: if the begin fails, the transaction has its error set, and finds nothing. */
struct ledger_txn *ledger_read(struct ledger_reader *reader);
/* The same for walks over many records, on a thread of the pool. Other threads of the process,
 * loops too, may have to wait for this transaction before they can follow the growth of the ledger:
 * between two keys, a walk lets them. It goes on in a newer snapshot, and slices that were read
 * before are no longer valid. */
struct ledger_txn *ledger_read_long(struct ledger_reader *reader);
/* Slices that were read from it are no longer valid. */
void ledger_read_end(struct ledger_reader *reader);

/* At most one exists at a time. ERR_NO_SPACE, ERR_IO. */
int ledger_write(struct ledger *ledger, struct ledger_txn **out, struct error *err);
/* Commits and syncs. On failure nothing was written. ERR_NO_SPACE also means a full map: the next
 * transaction grows it, so try again. *txn is NULL afterwards. */
int ledger_commit(struct ledger_txn **txn, struct error *err);
void ledger_abort(struct ledger_txn **txn);
/* The first error; NULL: there is none. */
const struct error *ledger_error(const struct ledger_txn *txn);

/* ---- meta ---- */
/* The number of the newest commit, 0 for an empty ledger; in a write transaction that has taken a
 * number, that one. Fails with the transaction's error if it has one. */
int ledger_commit_number(struct ledger_txn *txn, uint64_t *out, struct error *err);
/* In a write transaction: its own commit number, taken by the first call. */
uint64_t ledger_next_number(struct ledger_txn *txn);

/* ---- repositories: (origin, name) → id. Hosted repositories have the empty origin ---- */
struct repository {
    uint32_t id;
    bool is_hosted;        /* a manifest was committed to it once */
    uint64_t bytes;        /* of the blobs and manifests linked */
    uint64_t last_post_ms; /* wall clock of the last upload POST; 0: never */
    uint64_t links;        /* blobs and manifests linked */
};
bool repository_find(struct ledger_txn *txn, struct slice origin, struct slice name,
                     struct repository *out);
/* Finds the repository, or makes it. */
void repository_get(struct ledger_txn *txn, struct slice origin, struct slice name,
                    struct repository *out);
void repository_put(struct ledger_txn *txn, struct slice origin, struct slice name,
                    const struct repository *repository);
/* Names of an origin, in byte order, those after `last`. False from `each` stops. */
typedef bool repository_each_fn(struct slice name, const struct repository *repository, void *arg);
void repository_each(struct ledger_txn *txn, struct slice origin, struct slice last,
                     repository_each_fn *each, void *arg);
/* The repositories of all origins, hosted ones first; those after (origin, name), if `after_name`
 * is not empty. */
typedef bool repository_all_fn(struct slice origin, struct slice name,
                               const struct repository *repository, void *arg);
void repository_each_of_all(struct ledger_txn *txn, struct slice after_origin,
                            struct slice after_name, repository_all_fn *each, void *arg);
/* The repository with this id: links are found by id. */
bool repository_name(struct ledger_txn *txn, uint32_t id, struct slice *out_origin,
                     struct slice *out_name);
/* Whether there are images in hosted repositories named `first`, or whose name begins with `first`
 * and a slash. */
bool repository_any_hosted_below(struct ledger_txn *txn, struct slice first);

/* ---- tags: (repository id, tag) ---- */
struct tag {
    struct digest digest;
    uint64_t changed_ms; /* when it was set to this digest */
    uint64_t checked_ms; /* cached repositories: when the upstream last confirmed it */
};
bool tag_find(struct ledger_txn *txn, uint32_t repository, struct slice tag, struct tag *out);
void tag_put(struct ledger_txn *txn, uint32_t repository, struct slice tag,
             const struct tag *record);
bool tag_delete(struct ledger_txn *txn, uint32_t repository, struct slice tag);
/* The tags of the repository that name a digest, in byte order: false from `each` stops. */
typedef bool tag_named_fn(struct slice tag, void *arg);
void tag_each_of(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                 tag_named_fn *each, void *arg);
typedef bool tag_each_fn(struct slice tag, const struct tag *record, void *arg);
void tag_each(struct ledger_txn *txn, uint32_t repository, struct slice last, tag_each_fn *each,
              void *arg);

/* ---- manifests: by digest ---- */
#define LEDGER_INLINE_MAX ((size_t)64 * 1024)
/* The bytes that a manifest's record keeps: all of them, or none. */
static inline struct slice ledger_inline(struct slice bytes)
{
    return bytes.length <= LEDGER_INLINE_MAX ? bytes : slice_from(NULL, 0);
}
struct manifest_record {
    uint64_t size;
    struct slice media_type;
    struct slice artifact_type; /* empty: none */
    struct digest subject;      /* algorithm 0: none */
    struct slice references;    /* oci/reference_list.h; opaque here */
    bool is_typed;      /* the document says its media_type; else each repository has its own */
    struct slice bytes; /* in the map when size ≤ LEDGER_INLINE_MAX, else empty: read the file */
};
bool manifest_find(struct ledger_txn *txn, const struct digest *digest,
                   struct manifest_record *out);
/* The manifest as the repository shows it: with the media type with which it was pushed or fetched
 * there. False: the repository does not show it as a manifest. */
bool manifest_find_in(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                      struct manifest_record *out);
/* bytes longer than LEDGER_INLINE_MAX are not kept here. */
void manifest_put(struct ledger_txn *txn, const struct digest *digest,
                  const struct manifest_record *record);
bool manifest_delete(struct ledger_txn *txn, const struct digest *digest);

/* ---- blobs: by digest. Manifests have a blob record too: they are files as well ---- */
enum blob_where {
    BLOB_HERE = 1, /* 2, 3: reserved for elsewhere, both */
};
struct blob_record {
    uint64_t size;
    bool is_public;         /* fetched without credentials; false if it was pushed */
    uint64_t kept_since_ms; /* wall clock time since which it is not needed; 0: it is needed */
    uint64_t stored_ms;
    enum blob_where where;
    struct file_identity file; /* when its bytes were compared last; unknown in old records */
    bool is_damaged;           /* they were not those of the digest */
};
/* What a record says of the file that was found. */
enum blob_trust {
    BLOB_TRUSTED, /* it is the file that was compared, or the record does not know which was */
    BLOB_CHANGED, /* it was written to, replaced or restored: compare its bytes */
    BLOB_DAMAGED, /* it is the file that was found wrong */
};
enum blob_trust blob_trust(const struct blob_record *record, const struct file_identity *found);
bool blob_find(struct ledger_txn *txn, const struct digest *digest, struct blob_record *out);
/* Its kept_since_ms is entered in what is due. */
void blob_put(struct ledger_txn *txn, const struct digest *digest,
              const struct blob_record *record);
/* With when it was used, and what is due. Its links stay. */
void blob_delete(struct ledger_txn *txn, const struct digest *digest);
/* In the order of their digests, those after `after` (NULL: all). False from `each` stops. */
typedef bool blob_each_fn(const struct digest *digest, const struct blob_record *record, void *arg);
void blob_each(struct ledger_txn *txn, const struct digest *after, blob_each_fn *each, void *arg);

/* ---- links: what is visible in a repository ---- */
enum link_kind {
    LINK_BLOB = 1,
    LINK_MANIFEST = 2,
    /* both: 3 */
};
/* Bits of enum link_kind; 0: not visible. */
unsigned link_find(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* The same, with the media type of a manifest in this repository; empty for a blob, and if there is
 * no link. It points into the map. */
unsigned link_find_typed(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                         struct slice *out_media_type);
/* media_type is a manifest's; NULL data: keep the present one. The time of its release stays. */
void link_put(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
              unsigned kinds, struct slice media_type);
bool link_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* The wall clock time since which nothing in the repository needs the link; 0: something does, or
 * there is no such link. */
uint64_t link_released_ms(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* Sets that time of a link that is there, and enters it in what is due. */
void link_release(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                  uint64_t when_ms);
/* The repositories that link a digest are found by `linked`: false from `each` stops. */
typedef bool link_each_fn(uint32_t repository, unsigned kinds, void *arg);
void link_each(struct ledger_txn *txn, const struct digest *digest, link_each_fn *each, void *arg);
typedef bool link_digest_fn(const struct digest *digest, unsigned kinds, void *arg);
/* In the order of their digests, those after `after` (NULL: all). */
void link_each_after(struct ledger_txn *txn, uint32_t repository, const struct digest *after,
                     link_digest_fn *each, void *arg);
void link_each_in(struct ledger_txn *txn, uint32_t repository, link_digest_fn *each, void *arg);

/* ---- referred: within a repository, which manifests name this digest ---- */
void referred_put(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                  const struct digest *parent);
void referred_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                     const struct digest *parent);
bool referred_any(struct ledger_txn *txn, uint32_t repository, const struct digest *digest);
/* The same, in any repository. */
bool referred_anywhere(struct ledger_txn *txn, const struct digest *digest);
/* A manifest of the repository that names this digest; its record has the size. False: there is
 * none. */
bool referred_find_parent(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                          struct digest *out_parent);

/* All of them: false from `each` stops. */
void referred_each(struct ledger_txn *txn, uint32_t repository, const struct digest *digest,
                   link_digest_fn *each, void *arg);

/* ---- referrers: manifests whose subject is a digest ---- */
void referrer_put(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                  const struct digest *referrer);
void referrer_delete(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                     const struct digest *referrer);
/* In the order of their digests, those after `after` (NULL: all). */
void referrer_each(struct ledger_txn *txn, uint32_t repository, const struct digest *subject,
                   const struct digest *after, link_digest_fn *each, void *arg);

/* ---- use: when was a digest last used ---- */
/* An entry in the order of use moves with it. */
void use_put(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms);
uint64_t use_find(struct ledger_txn *txn, const struct digest *digest); /* 0: never */

/* ---- recent: manifests of cached repositories in the order of their last use ---- */
struct recent {
    uint64_t when_ms; /* as use_find says */
    struct digest digest;
};
/* Used now: enters it, or moves it. Entries stay when their manifest goes, until somebody drops
 * them. */
void recent_enter(struct ledger_txn *txn, const struct digest *digest, uint64_t when_ms);
void recent_drop(struct ledger_txn *txn, const struct recent *entry);
/* The oldest after `after` (NULL: of all), at most `max`; returns how many. */
size_t recent_first(struct ledger_txn *txn, const struct recent *after, struct recent *out,
                    size_t max);

/* ---- pins: images that are not evicted, in named sets ---- */
/* Names are as people write them: "docker.io/library/nginx:1.25",
 * "docker.io/library/nginx@sha256:…".
 */
#define PIN_SET_MAX 64
void pin_put(struct ledger_txn *txn, struct slice image, struct slice set);
bool pin_delete(struct ledger_txn *txn, struct slice image, struct slice set);
/* In any set. */
bool pin_any(struct ledger_txn *txn, struct slice image);
/* In the order of their images, then sets; those after (image, set), if `after_image` is not empty.
 * False from `each` stops. */
typedef bool pin_each_fn(struct slice image, struct slice set, void *arg);
void pin_each(struct ledger_txn *txn, struct slice after_image, struct slice after_set,
              pin_each_fn *each, void *arg);

/* ---- held: what all blob records say together; written with them ---- */
struct held {
    uint64_t blobs;
    uint64_t bytes;
    uint64_t cached_bytes; /* of blobs that no hosted repository shows */
};
void held_find(struct ledger_txn *txn, struct held *out);
/* Does a hosted repository show it? */
bool blob_is_hosted(struct ledger_txn *txn, const struct digest *digest);
/* ---- due: links and blobs that nobody needs, by the time since when. Written with them ---- */
enum due_kind {
    DUE_LINK = 1, /* before the blob, when both are of the same time */
    DUE_BLOB = 2,
    DUE_MANIFEST = 3, /* of a repository: it is looked at whether something still keeps it */
};
struct due {
    uint64_t since_ms; /* DUE_AT_ONCE: it need not be kept any longer */
    enum due_kind kind;
    uint32_t repository; /* not of a blob */
    struct digest digest;
};
#define DUE_AT_ONCE 1u
/* The oldest, at most `max`; returns how many. */
size_t due_first(struct ledger_txn *txn, struct due *out, size_t max);
/* The same of those after `after`. */
size_t due_after(struct ledger_txn *txn, const struct due *after, struct due *out, size_t max);
/* Enters a manifest; links and blobs enter themselves. */
void due_enter(struct ledger_txn *txn, const struct due *due);
/* Takes an entry away that its link or blob does not confirm. */
void due_drop(struct ledger_txn *txn, const struct due *due);
/* What was stored by programs that did not enter it is looked for in slices: how far that is.
 * False: all was looked at. */
struct survey {
    bool is_in_links;     /* else in the blobs */
    uint32_t repository;  /* of the link that was looked at last */
    struct digest digest; /* what was looked at last; algorithm 0: nothing yet */
};
bool survey_find(struct ledger_txn *txn, struct survey *out);
/* NULL: all was looked at. */
void survey_put(struct ledger_txn *txn, const struct survey *survey);
/* Enters a blob's kept_since_ms. */
void survey_enter(struct ledger_txn *txn, const struct digest *digest,
                  const struct blob_record *record);
/* All links after the one that was looked at last; false from `each` stops. */
typedef bool survey_link_fn(uint32_t repository, const struct digest *digest, unsigned kinds,
                            void *arg);
void survey_links(struct ledger_txn *txn, const struct survey *survey, survey_link_fn *each,
                  void *arg);

/* ---- journal: store/journal.h ---- */

#endif
