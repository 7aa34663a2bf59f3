/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a ledger of an older version to ours, in one transaction: either all of it is done, or the
 * older program can still read it. */
#ifndef STORE_UPGRADE_H
#define STORE_UPGRADE_H

#include <stdint.h>

struct error;
struct ledger;

/* `from` is 0 for a new ledger. Writes the version too. Called when the keeper opens the ledger,
 * before anybody else does. ERR_NO_SPACE, ERR_IO, ERR_CORRUPT. */
int ledger_upgrade(struct ledger *ledger, uint32_t from, uint32_t version, struct error *err);

#endif
