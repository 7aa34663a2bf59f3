/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored files whose bytes must be compared with their digest before they are served: a manifest's
 * each time, a blob's when it is not the file that its record knows. A check runs in the pool; the
 * requests for the same file share it, and their handlers are called again when it is over; one
 * that has waited for a minute is answered 503. What it found counts for this worker's clients. The
 * keeper is told to look at the file itself (docs/decisions/0049): so it is compared no more when
 * it was restored, and all processes know of one that is damaged.
 *
 *   RUNNING → (the keeper looks) → over
 */
#ifndef WORKER_FILE_CHECK_H
#define WORKER_FILE_CHECK_H

#include <stdbool.h>

#include "store/ledger.h"
#include "store/store.h"

struct file_check_table;
struct request;
struct worker;

enum file_verdict {
    FILE_UNKNOWN,
    FILE_RIGHT,
    FILE_WRONG,
    FILE_UNREADABLE, /* it could not be read to its end, which says nothing about it */
};

/* What a request knows of a file. */
struct file_finding {
    struct digest digest;
    struct file_identity file;
    enum file_verdict verdict;
};

struct file_check_table *file_check_table_new(struct worker *worker);
/* Ends the checks that run, with nothing found: before the worker waits for its work. */
void file_check_cancel(struct file_check_table *table);
/* All requests were ended before. */
void file_check_table_free(struct file_check_table **table);
/* What is known of request->fd, the file of this blob. FILE_UNKNOWN: the request waits, and its
 * handler is called again. `trust`: what the record says of the file, so that the keeper is told
 * only what is news. is_each_time: what earlier requests have found does not count. */
enum file_verdict file_check(struct request *request, const struct digest *digest,
                             const struct store_blob *blob, enum blob_trust trust,
                             bool is_each_time);

#endif
