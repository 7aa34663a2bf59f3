/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: the codes with their statuses, and the code for each kind of error of our own. */
#include "oci/api_error.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/jsonio.h"

static const char *const code_names[] = {
#define API_ERROR(code, status) #code,
#include "oci/api_errors.def"
#undef API_ERROR
};

static const int code_statuses[] = {
#define API_ERROR(code, status) status,
#include "oci/api_errors.def"
#undef API_ERROR
};

/* ERR_NOT_FOUND is missing: its code depends on what was asked for. */
static const struct {
    enum api_code code;
    int status;
} of_kind[ERR_KINDS] = {
    [ERR_NONE] = {API_UNKNOWN, 500},
    [ERR_INVALID] = {API_UNKNOWN, 400},
    [ERR_TOO_LARGE] = {API_SIZE_INVALID, 413},
    [ERR_UNAUTHORIZED] = {API_UNAUTHORIZED, 401},
    [ERR_DENIED] = {API_DENIED, 403},
    [ERR_CONFLICT] = {API_UNKNOWN, 409},
    [ERR_DIGEST_MISMATCH] = {API_DIGEST_INVALID, 400},
    [ERR_UNSUPPORTED] = {API_UNSUPPORTED, 400},
    [ERR_NO_SPACE] = {API_UNAVAILABLE, 507},
    [ERR_NO_MEMORY] = {API_UNAVAILABLE, 503},
    [ERR_BUSY] = {API_UNAVAILABLE, 503},
    [ERR_TIMEOUT] = {API_UNAVAILABLE, 504},
    [ERR_UPSTREAM] = {API_UNAVAILABLE, 502},
    [ERR_CANCELLED] = {API_UNAVAILABLE, 503},
    [ERR_CORRUPT] = {API_UNKNOWN, 500},
    [ERR_IO] = {API_UNKNOWN, 500},
    [ERR_INTERNAL] = {API_UNKNOWN, 500},
};

int api_error_vset(struct api_error *out, enum api_code code, int status, const char *fmt,
                   va_list args)
{
    out->code = code;
    out->status = status != 0 ? status : code_statuses[code];
    if (vsnprintf(out->text, sizeof(out->text), fmt, args) < 0)
        out->text[0] = '\0';
    return -1;
}

int api_error_set(struct api_error *out, enum api_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)api_error_vset(out, code, 0, fmt, args);
    va_end(args);
    return -1;
}

int api_error_set_status(struct api_error *out, enum api_code code, int status, const char *fmt,
                         ...)
{
    va_list args;

    va_start(args, fmt);
    (void)api_error_vset(out, code, status, fmt, args);
    va_end(args);
    return -1;
}

int api_error_from(struct api_error *out, const struct error *err, enum api_code not_found)
{
    if (err->kind == ERR_NOT_FOUND)
        return api_error_set_status(out, not_found, 404, "%s", err->text);
    enum error_kind kind = err->kind < ERR_KINDS ? err->kind : ERR_INTERNAL;
    return api_error_set_status(out, of_kind[kind].code, of_kind[kind].status, "%s", err->text);
}

const char *api_code_name(enum api_code code)
{
    return code_names[code];
}

void api_errors_begin(struct jsonio_writer *json, struct buf *out)
{
    jsonio_writer_init(json, out);
    jsonio_put_object(json, NULL);
    jsonio_put_array(json, "errors");
}

void api_errors_open(struct jsonio_writer *json, const struct api_error *error)
{
    jsonio_put_object(json, NULL);
    jsonio_put_text(json, "code", api_code_name(error->code));
    jsonio_put_text(json, "message", error->text);
}

void api_errors_end(struct jsonio_writer *json)
{
    jsonio_put_end(json);
    jsonio_put_end(json);
}

void api_error_print(struct buf *out, const struct api_error *error)
{
    struct jsonio_writer json;

    api_errors_begin(&json, out);
    api_errors_open(&json, error);
    jsonio_put_end(&json);
    api_errors_end(&json);
}
