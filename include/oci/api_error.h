/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told when it does not get what it asked for: code, HTTP status and a sentence
 * (distribution-spec, "Error Codes"). */
#ifndef OCI_API_ERROR_H
#define OCI_API_ERROR_H

#include "base/error.h"
#include "base/slice.h"

struct buf;

/* One for each line of api_errors.def. */
enum api_code {
#define API_ERROR(code, status) API_##code,
#include "oci/api_errors.def"
#undef API_ERROR
};

struct api_error {
    enum api_code code;
    int status;
    char text[400]; /* what, where, and what to do */
};

/* Fill *out with the code's usual status; returns -1. */
int api_error_set(struct api_error *out, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int api_error_set_status(struct api_error *out, enum api_code code, int status, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));
/* From an error of ours: kinds map to codes and statuses by one table (NO_SPACE 507, BUSY 503,
 * UPSTREAM 502, TIMEOUT 504, …). `not_found` is the code for ERR_NOT_FOUND, which depends on what
 * was asked. */
int api_error_from(struct api_error *out, const struct error *err, enum api_code not_found);
/* The code as clients know it: "BLOB_UNKNOWN". */
const char *api_code_name(enum api_code code);
/* Append {"errors":[{"code":…,"message":…}]}. */
void api_error_print(struct buf *out, const struct api_error *error);
/* The same with any number of errors: begin, add each, end. `detail`: a JSON value, printed as it
 * is; empty: none. */
void api_errors_begin(struct buf *out);
void api_errors_add(struct buf *out, const struct api_error *error, struct slice detail);
void api_errors_end(struct buf *out);

#endif
