/* SPDX-License-Identifier: Apache-2.0 */
#include "remove.h"

#include "oci/api_error.h"
#include "request.h"

void remove_manifest(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
void remove_blob(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
