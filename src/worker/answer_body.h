/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of answers that are in memory and larger than a socket takes at once: lists, and manifests
 * that come from an upstream. What a worker holds of them has a limit (limits.answer_memory), and
 * content that many clients wait for is held once.
 */
#ifndef WORKER_ANSWER_BODY_H
#define WORKER_ANSWER_BODY_H

#include <stddef.h>

#include "base/slice.h"

struct answer_bodies;
struct answer_body;
struct buf;
struct digest;

/* A body of at most so many bytes is not counted. */
#define ANSWER_BODY_FREE ((size_t)64 * 1024)

struct answer_bodies *answer_bodies_new(size_t limit);
/* Bodies that are held stay held when the limit becomes smaller. */
void answer_bodies_set_limit(struct answer_bodies *bodies, size_t limit);
/* All bodies were released before. */
void answer_bodies_free(struct answer_bodies **bodies);

/* Takes the bytes over. NULL when there is no room; nothing was taken then. */
struct answer_body *answer_body_take(struct answer_bodies *bodies, struct buf *bytes);
/* A body of these bytes. If one is held already, it is returned once more, else the bytes are
 * copied. `digest`: theirs, or NULL when it is not known; then the bytes are compared. Returns NULL
 * when there is no room. */
struct answer_body *answer_body_share(struct answer_bodies *bodies, const struct digest *digest,
                                      struct slice bytes);
struct slice answer_body_bytes(const struct answer_body *body);
/* Releases it. */
void answer_body_unref(struct answer_body **body);

#endif
