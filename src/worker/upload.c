/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include "oci/api_error.h"
#include "request.h"

void upload_start(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
void upload_continue(struct request *request)
{
    request_failf(request, API_UNSUPPORTED, "not there yet");
}
