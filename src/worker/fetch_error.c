/* SPDX-License-Identifier: Apache-2.0 */
/* One table from the fetcher's errors to statuses that make clients do the right thing. */
#include "fetch_error.h"

#include "answer.h"
#include "base/error.h"
#include "ipc/message.h"
#include "request.h"

struct mapping {
    enum error_kind kind;
    enum api_code code;
    int status;
};

/* After 403, 404, 502 and 504 clients try their next host. 401 is never sent: they would try to log
 * in here. */
static const struct mapping mappings[] = {
    {ERR_DENIED, API_DENIED, 403},        {ERR_UNAUTHORIZED, API_DENIED, 403},
    {ERR_TIMEOUT, API_UNAVAILABLE, 504},  {ERR_BUSY, API_TOOMANYREQUESTS, 429},
    {ERR_NO_SPACE, API_UNAVAILABLE, 503},
};

bool fetch_error_is_believed(const struct message_failed *failed)
{
    return failed->kind == ERR_NOT_FOUND || failed->kind == ERR_DENIED;
}

void fetch_error_answer(struct request *request, const struct message_failed *failed,
                        enum api_code not_found)
{
    struct api_error error;

    if (failed->kind == ERR_NOT_FOUND) {
        api_error_set(&error, not_found, "%.*s", SLICE_PRINT(failed->text));
        request_fail(request, &error);
        return;
    }
    api_error_set_status(&error, API_UNAVAILABLE, 502, "%.*s", SLICE_PRINT(failed->text));
    for (unsigned i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
        if (failed->kind == mappings[i].kind) {
            api_error_set_status(&error, mappings[i].code, mappings[i].status, "%.*s",
                                 SLICE_PRINT(failed->text));
        }
    }
    if (error.status == 429 || error.status == 503)
        request_fail_retry(request, &error, failed->retry_after);
    else
        request_fail(request, &error);
}
