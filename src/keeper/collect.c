/* SPDX-License-Identifier: Apache-2.0 */
/* See collect.h. */
#include "collect.h"

#include "apply.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "config/config.h"
#include "holdings.h"
#include "orphans.h"
#include "removal.h"
#include "store/upload_table.h"

#define CHUNK      64u  /* entries that are read at once */
#define LINKS_MAX  256u /* of one blob in a slice */
#define SURVEY_MAX 2000u

/* ---- what is due ---- */

static bool is_due(const struct apply *apply, const struct due *due)
{
    return due->since_ms <= DUE_AT_ONCE ||
           due->since_ms + 2 * apply->config->storage.grace_ms <= apply->now_ms;
}

/* Somebody pushes to the repository: an image with large layers may take longer than all graces,
 * and its first layers must still be there for its manifest. */
static bool is_pushed_to(const struct collecting *collecting, const struct holder *holder)
{
    const struct apply *apply = collecting->apply;
    uint64_t grace_ms = apply->config->storage.grace_ms;
    struct upload_idle found;

    if (holder->origin.length > 0)
        return false;
    uint64_t key = upload_repository_key(&holder->name);
    struct upload_choice choice = {
        .repository_key = &key,
        .from_ms = apply->now_ms > grace_ms ? apply->now_ms - grace_ms : 0,
        .before_ms = UINT64_MAX,
        .content = UPLOAD_ANY,
    };
    return upload_table_idlest(collecting->uploads, &choice, &found, 1) > 0;
}

static void keep_longer(const struct apply *apply, const struct due *due)
{
    struct blob_record blob;

    link_release(apply->txn, due->repository, &due->digest, apply->now_ms);
    if (!blob_find(apply->txn, &due->digest, &blob) || blob.kept_since_ms == 0)
        return;
    blob.kept_since_ms = apply->now_ms;
    blob_put(apply->txn, &due->digest, &blob);
}

static void drop_link(struct collecting *collecting, uint32_t repository,
                      const struct digest *digest)
{
    const struct apply *apply = collecting->apply;
    struct held_name held;
    struct holder holder;

    if (holder_find_by_id(apply, repository, &held, &holder)) {
        holder_drop(apply, &holder, digest, LINK_BLOB);
        holder_put(apply, &holder);
    } else {
        (void)link_delete(apply->txn, repository, digest);
    }
    collecting->links++;
}

static void collect_link(struct collecting *collecting, const struct due *due)
{
    const struct apply *apply = collecting->apply;
    struct held_name held;
    struct holder holder;

    if (link_released_ms(apply->txn, due->repository, &due->digest) != due->since_ms)
        due_drop(apply->txn, due);
    else if (link_is_needed(apply, due->repository, &due->digest))
        link_release(apply->txn, due->repository, &due->digest, 0);
    else if (due->since_ms > DUE_AT_ONCE &&
             holder_find_by_id(apply, due->repository, &held, &holder) &&
             is_pushed_to(collecting, &holder))
        keep_longer(apply, due);
    else
        drop_link(collecting, due->repository, &due->digest);
}

struct linking {
    uint32_t repositories[LINKS_MAX];
    size_t count;
};

static bool on_link_of_blob(uint32_t repository, unsigned kinds, void *arg)
{
    struct linking *linking = arg;

    (void)kinds;
    linking->repositories[linking->count++] = repository;
    return linking->count < LINKS_MAX;
}

static void collect_blob(struct collecting *collecting, const struct due *due)
{
    const struct apply *apply = collecting->apply;
    struct blob_record blob;

    if (!blob_find(apply->txn, &due->digest, &blob) || blob.kept_since_ms != due->since_ms) {
        due_drop(apply->txn, due);
        return;
    }
    if (blob_is_needed(apply, &due->digest)) {
        blob.kept_since_ms = 0;
        blob_put(apply->txn, &due->digest, &blob);
        return;
    }
    /* Its links were due before it; these are of older programs. */
    struct linking linking = {.count = 0};
    link_each(apply->txn, &due->digest, on_link_of_blob, &linking);
    for (size_t i = 0; i < linking.count; i++)
        drop_link(collecting, linking.repositories[i], &due->digest);
    if (linking.count == LINKS_MAX)
        return; /* there may be more: the entry stays for the next slice */
    blob_delete(apply->txn, &due->digest);
    orphans_add(collecting->orphans, &due->digest);
    collecting->blobs++;
    collecting->bytes += blob.size;
}

static void collect_entry(struct collecting *collecting, const struct due *due)
{
    switch (due->kind) {
    case DUE_LINK:
        collect_link(collecting, due);
        return;
    case DUE_BLOB:
        collect_blob(collecting, due);
        return;
    case DUE_MANIFEST:
        removal_take_due(collecting->apply, due);
        return;
    }
}

bool collect_slice(struct collecting *collecting)
{
    const struct apply *apply = collecting->apply;
    uint64_t end_us = clock_mono_us() + COLLECT_SLICE_US;
    struct due due[CHUNK];
    size_t done = 0;

    while (done < COLLECT_SLICE_MAX) {
        size_t count = due_first(apply->txn, due, CHUNK);

        for (size_t i = 0; i < count; i++, done++) {
            if (!is_due(apply, &due[i]) || ledger_error(apply->txn))
                return false;
            if (done == COLLECT_SLICE_MAX || clock_mono_us() > end_us)
                return true;
            collect_entry(collecting, &due[i]);
        }
        if (count < CHUNK)
            return false;
    }
    return true;
}

/* ---- the survey ---- */

struct surveying {
    struct digest digests[SURVEY_MAX];
    uint32_t repositories[SURVEY_MAX];
    size_t count; /* to be entered */
    size_t looked;
    struct survey at;
    const struct apply *apply;
    uint64_t end_us;
};

static bool goes_on(struct surveying *surveying, uint32_t repository, const struct digest *digest)
{
    surveying->at.repository = repository;
    surveying->at.digest = *digest;
    return ++surveying->looked < SURVEY_MAX && clock_mono_us() < surveying->end_us;
}

static bool on_surveyed_blob(const struct digest *digest, const struct blob_record *record,
                             void *arg)
{
    struct surveying *surveying = arg;

    if (record->kept_since_ms != 0)
        surveying->digests[surveying->count++] = *digest;
    return goes_on(surveying, 0, digest);
}

static bool on_surveyed_link(uint32_t repository, const struct digest *digest, unsigned kinds,
                             void *arg)
{
    struct surveying *surveying = arg;

    if ((kinds & LINK_MANIFEST) == 0 && !referred_any(surveying->apply->txn, repository, digest)) {
        surveying->digests[surveying->count] = *digest;
        surveying->repositories[surveying->count++] = repository;
    }
    return goes_on(surveying, repository, digest);
}

static void enter_blobs(const struct surveying *surveying)
{
    struct ledger_txn *txn = surveying->apply->txn;
    struct blob_record blob;

    for (size_t i = 0; i < surveying->count; i++) {
        if (blob_find(txn, &surveying->digests[i], &blob))
            survey_enter(txn, &surveying->digests[i], &blob);
    }
}

/* From now on they have their time, as if they had just been stored. */
static void enter_links(const struct surveying *surveying)
{
    struct ledger_txn *txn = surveying->apply->txn;

    for (size_t i = 0; i < surveying->count; i++) {
        if (link_released_ms(txn, surveying->repositories[i], &surveying->digests[i]) == 0) {
            link_release(txn, surveying->repositories[i], &surveying->digests[i],
                         surveying->apply->now_ms);
        }
    }
}

bool collect_survey(const struct apply *apply)
{
    struct survey from;

    if (!survey_find(apply->txn, &from))
        return false;
    AUTO_FREE struct surveying *surveying = NEW(struct surveying);
    surveying->at = from;
    surveying->apply = apply;
    surveying->end_us = clock_mono_us() + COLLECT_SLICE_US;
    if (from.is_in_links) {
        survey_links(apply->txn, &from, on_surveyed_link, surveying);
        enter_links(surveying);
    } else {
        blob_each(apply->txn, (unsigned)from.digest.algorithm == 0 ? NULL : &from.digest,
                  on_surveyed_blob, surveying);
        enter_blobs(surveying);
    }
    bool is_end = surveying->looked == 0;
    if (is_end)
        surveying->at = (struct survey){.is_in_links = true};
    survey_put(apply->txn, is_end && from.is_in_links ? NULL : &surveying->at);
    return !is_end || !from.is_in_links;
}
