/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker says about a file, compared with the bytes of the file. A worker talks to
 * strangers and may be running their code, so its word is not enough where others rely on it
 * (docs/decisions/0049). All of it runs on a thread of the pool.
 */
#ifndef KEEPER_VERIFY_H
#define KEEPER_VERIFY_H

#include <stdatomic.h>

struct error;
struct ledger;
struct order;
struct store;

/* The file of a BLOB_STORED. ERR_DIGEST_MISMATCH: it has other bytes; ERR_NOT_FOUND: it is gone;
 * ERR_CANCELLED: `stop` became true; ERR_IO. */
int verify_blob(struct store *store, const struct order *order, const atomic_bool *stop,
                struct error *err);
/* The stored file of a BLOB_SUSPECTED; sets the order's `compared` and `is_wrong`. It is not
 * read when the record has judged this very file, unless it is small and a worker found it wrong.
 * ERR_NOT_FOUND: no record, or no whole file; ERR_CANCELLED: `stop` became true; ERR_IO. */
int verify_suspect(struct store *store, struct ledger *ledger, struct order *order,
                   const atomic_bool *stop, struct error *err);
/* A MANIFEST_PUT: the bytes of the file and the inline body have the digest, and what the message
 * says about them is what they say themselves. ERR_DIGEST_MISMATCH: it is not so; ERR_NOT_FOUND: no
 * file has these bytes, under uploads/ or under blobs/; ERR_BUSY: they cannot be parsed, now or at
 * all; ERR_IO. */
int verify_manifest(struct store *store, const struct order *order, struct error *err);

#endif
