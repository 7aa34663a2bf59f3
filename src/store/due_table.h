/* SPDX-License-Identifier: Apache-2.0 */
/* How the tables of blobs and links keep the table of what is due. */
#ifndef STORE_DUE_TABLE_H
#define STORE_DUE_TABLE_H

#include <stdint.h>

#include "store/ledger.h"

/* In meta, while there may be blobs and links that are not entered. */
#define SURVEY_KEY "survey"

/* The entry is of another time now; 0: there is none. due->since_ms is ignored. */
void due_move(struct ledger_txn *txn, const struct due *due, uint64_t before_ms, uint64_t since_ms);

#endif
