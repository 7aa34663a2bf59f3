/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fetcher tells the keeper. Each request waits here until it is answered; when the keeper
 * dies they are all sent again on the new channel, behind a BARRIER, with what its sender had seen
 * at first.
 */
#ifndef KEEPER_LINK_H
#define KEEPER_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/message.h"

struct error;
struct fetcher;
struct keeper_link;

/* Once: err is NULL for DONE, what the keeper said for REFUSED. */
typedef void keeper_fn(const struct error *err, void *arg);

struct keeper_link *keeper_link_new(struct fetcher *fetcher);
void keeper_link_free(struct keeper_link **link);
/* The BARRIER of the first channel opens the fetcher's gate: fetcher_open_gate. */
void keeper_link_set_channel(struct keeper_link *link, int *fd);
/* BLOB_STORED, LINK, MANIFEST_STORED or TAG_CHECKED; request, seen, repeated and actor are filled
 * in here, everything is copied. `fn` may be NULL. */
void keeper_link_send(struct keeper_link *link, enum message_type type, const void *message,
                      keeper_fn *fn, void *arg);
/* Nobody waits for these answers any more; what was asked is still done. */
void keeper_link_forget(struct keeper_link *link, const void *arg);
size_t keeper_link_pending(const struct keeper_link *link);

#endif
