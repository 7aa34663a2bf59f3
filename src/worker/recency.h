/* SPDX-License-Identifier: Apache-2.0 */
/* When blobs and manifests were last used, told to the keeper: the first use after a minute within
 * 100 ms, repeats in batches every ten seconds. Lost uses do no harm but an eviction too early. */
#ifndef WORKER_RECENCY_H
#define WORKER_RECENCY_H

struct digest;
struct recency;
struct worker;

struct recency *recency_new(struct worker *worker);
void recency_free(struct recency **recency);
void recency_note(struct recency *recency, const struct digest *digest);

#endif
