/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher answers nothing before its predecessor's work is in the ledger (BARRIER), or five
 * seconds without a keeper have passed. */
#ifndef GATE_H
#define GATE_H

struct fetcher;

void fetcher_open_gate(struct fetcher *fetcher); /* more than once is harmless */

#endif
