/* SPDX-License-Identifier: Apache-2.0 */
/* The records of tags, for the upgrade of a ledger. */
#ifndef STORE_TAG_TABLE_H
#define STORE_TAG_TABLE_H

#include "store/ledger.h"

bool tag_decode(struct slice value, struct tag *out);
/* In the table `tagged` alone. */
void tagged_put(struct ledger_txn *txn, uint32_t repository, struct slice tag,
                const struct digest *digest);

#endif
