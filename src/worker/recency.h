/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the keeper when blobs and manifests were used. The first use of a digest within a minute is
 * reported after at most 100 ms, further ones every ten seconds, many in one message. A report that
 * is lost can only lead to an eviction that comes too early. */
#ifndef WORKER_RECENCY_H
#define WORKER_RECENCY_H

struct digest;
struct recency;
struct worker;

struct recency *recency_new(struct worker *worker);
void recency_free(struct recency **recency);
/* The blob or manifest was used now. Never blocks. */
void recency_note(struct recency *recency, const struct digest *digest);

#endif
