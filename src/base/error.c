/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in the caller's memory. Invariant: `text` always ends in a NUL. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum error_kind kind_of_errno(int sys)
{
    switch (sys) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EEXIST:
        return ERR_CONFLICT;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EFBIG:
        return ERR_TOO_LARGE;
    case EMFILE:
    case ENFILE:
    case EAGAIN:
        return ERR_BUSY;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

static void append(struct error *err, const char *text)
{
    size_t length = strlen(err->text);
    size_t room = sizeof(err->text) - 1 - length;
    size_t added = strnlen(text, room);

    memcpy(err->text + length, text, added);
    err->text[length + added] = '\0';
}

int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return -(int)kind;
    err->kind = kind;
    err->sys = 0;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return -(int)kind;
}

int error_set_errno(struct error *err, int sys, const char *fmt, ...)
{
    enum error_kind kind = kind_of_errno(sys);
    char reason[96];
    va_list args;

    if (!err)
        return -(int)kind;
    err->kind = kind;
    err->sys = sys;
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    append(err, ": ");
    append(err, strerror_r(sys, reason, sizeof(reason)));
    return -(int)kind;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char inner[sizeof(err->text)];
    va_list args;

    memcpy(inner, err->text, sizeof(inner));
    va_start(args, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    append(err, ": ");
    append(err, inner);
    return -(int)err->kind;
}

int error_advise(struct error *err, const char *fmt, ...)
{
    char advice[sizeof(err->text)];
    va_list args;

    if (!err)
        return -(int)ERR_INTERNAL;
    va_start(args, fmt);
    (void)vsnprintf(advice, sizeof(advice), fmt, args);
    va_end(args);
    append(err, "; ");
    append(err, advice);
    return -(int)err->kind;
}
