/* SPDX-License-Identifier: Apache-2.0 */
/* The error that a client gets: code, HTTP status and a sentence (distribution-spec, "Error
 * Codes"). */
#ifndef OCI_API_ERROR_H
#define OCI_API_ERROR_H

#include <stdarg.h>

#include "base/error.h"

struct buf;
struct jsonio_writer;

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

/* Fills *out, with the code's usual status; returns -1. */
int api_error_set(struct api_error *out, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int api_error_set_status(struct api_error *out, enum api_code code, int status, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));
/* The same for functions that have such arguments themselves; status 0: the code's usual one. */
int api_error_vset(struct api_error *out, enum api_code code, int status, const char *fmt,
                   va_list args) __attribute__((format(printf, 4, 0)));
/* Fills *out from an error of ours: a table maps its kind to code and status (NO_SPACE 507, BUSY
 * 503, UPSTREAM 502, TIMEOUT 504, …). `not_found` is the code for ERR_NOT_FOUND, which depends on
 * what was asked for. Returns -1. */
int api_error_from(struct api_error *out, const struct error *err, enum api_code not_found);
/* The code as it is sent: "BLOB_UNKNOWN". */
const char *api_code_name(enum api_code code);
/* Appends {"errors":[{"code":…,"message":…}]}. */
void api_error_print(struct buf *out, const struct api_error *error);
/* The same with any number of errors, to which members may be added:
 *
 *   api_errors_begin(&json, &out);
 *   api_errors_open(&json, &error);         for each error
 *   jsonio_put_text(&json, "detail", …);    if there is one
 *   jsonio_put_end(&json);
 *   api_errors_end(&json);
 */
void api_errors_begin(struct jsonio_writer *json, struct buf *out);
void api_errors_open(struct jsonio_writer *json, const struct api_error *error);
void api_errors_end(struct jsonio_writer *json);

#endif
