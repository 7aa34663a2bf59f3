/* SPDX-License-Identifier: Apache-2.0 */
#include "referrers.h"

#include "oci/api_error.h"
#include "request.h"

void list_referrers(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
