/* SPDX-License-Identifier: Apache-2.0 */
/* Location has the repository's name as the client wrote it. That of a session has a query, because
 * some clients append "&digest=" to it without looking. */
#include "upload_answer.h"

#include "answer.h"
#include "location.h"
#include "oci/api_error.h"
#include "request.h"
#include "upload_session.h"

static void session_headers(const struct upload *upload, uint64_t offset, struct headers *headers)
{
    char id[UPLOAD_ID_TEXT_SIZE];

    upload_id_print(&upload->file.id, id);
    request_headers(upload->request, headers);
    location_addf(upload->request, headers, "/v2/%.*s/blobs/uploads/%s?_state=0",
                  SLICE_PRINT(upload->request->operation.name), id);
    headers_addf(headers, "Range", "0-%llu", (unsigned long long)(offset == 0 ? 0 : offset - 1));
    headers_add(headers, "Docker-Upload-UUID", slice_of(id));
}

void upload_answer_progress(struct upload *upload, int status)
{
    struct headers headers;

    session_headers(upload, upload->file.progress.offset, &headers);
    if (status == 416) {
        struct api_error error;

        api_error_set(&error, API_RANGE_INVALID,
                      "the chunk does not begin where the upload ends; see Range");
        request_fail_with(upload->request, &error, &headers);
        return;
    }
    if (upload->aim == AIM_BEGIN)
        upload->request->outcome = "upload begun";
    else
        upload->request->outcome = status == 202 ? "upload continued" : "upload status";
    request_respond(upload->request, status, &headers, slice_of(""));
}

void upload_answer_busy(struct upload *upload)
{
    struct upload_progress saved;
    struct headers headers;
    struct api_error error;
    uint64_t offset = 0;

    if (upload_table_get(upload->file.table, &upload->file.id, &saved))
        offset = saved.offset;
    session_headers(upload, offset, &headers);
    api_error_set_status(&error, API_BLOB_UPLOAD_INVALID, 409,
                         "another request is writing to this upload");
    request_fail_with(upload->request, &error, &headers);
}

void upload_answer_stored(struct upload *upload)
{
    char text[DIGEST_TEXT_SIZE];
    struct headers headers;

    digest_print(&upload->digest, text);
    upload->request->pushed = upload->digest;
    request_headers(upload->request, &headers);
    location_addf(upload->request, &headers, "/v2/%.*s/blobs/%s",
                  SLICE_PRINT(upload->request->operation.name), text);
    headers_add(&headers, "Docker-Content-Digest", slice_of(text));
    upload->request->outcome = "stored";
    request_respond(upload->request, 201, &headers, slice_of(""));
}

void upload_answer_cancelled(struct upload *upload)
{
    struct headers headers;

    request_headers(upload->request, &headers);
    upload->request->outcome = "upload cancelled";
    request_respond(upload->request, 204, &headers, slice_of(""));
}
