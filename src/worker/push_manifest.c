/* SPDX-License-Identifier: Apache-2.0 */
#include "push_manifest.h"

#include "oci/api_error.h"
#include "request.h"

void push_manifest(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
