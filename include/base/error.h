/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns 0 or a negated enum error_kind, and fills the caller's
 * struct error; nothing is allocated. Its header comment names the kinds that it returns. Outputs
 * are untouched on failure.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/* Kinds of errors that callers or clients treat differently; oci/api_error turns them into answers.
 */
enum error_kind {
    ERR_NONE = 0,
    ERR_NOT_FOUND,
    ERR_INVALID,         /* bad input from outside */
    ERR_TOO_LARGE,       /* over a limit */
    ERR_UNAUTHORIZED,    /* 401 of an upstream */
    ERR_DENIED,          /* not allowed, here or by an upstream (403) */
    ERR_CONFLICT,        /* another request holds it, or it changed */
    ERR_DIGEST_MISMATCH, /* bytes are not what their digest says */
    ERR_UNSUPPORTED,
    ERR_NO_SPACE, /* disk or map full */
    ERR_NO_MEMORY,
    ERR_BUSY,      /* try again later */
    ERR_TIMEOUT,   /* something did not come in time */
    ERR_UPSTREAM,  /* an upstream failed or answered nonsense */
    ERR_CANCELLED, /* the result is no longer wanted */
    ERR_CORRUPT,   /* the disk does not have what we wrote */
    ERR_IO,
    ERR_INTERNAL,
    ERR_KINDS, /* their number, not a kind */
};

struct error {
    enum error_kind kind;
    int sys;        /* errno, or 0 */
    char text[384]; /* room for two paths and what to do */
};

/* Fill *err and return -kind, so that a function fails with "return error_set(...)". `err` may be
 * NULL if the text is not wanted. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call. The kind follows from errno (ENOENT, ENOSPC, EDQUOT, ENOMEM,
 * EEXIST and others; ERR_IO for the rest), and the text of errno is appended after ": ". */
int error_set_errno(struct error *err, int sys, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text; returns -err->kind. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Put "; what to do" behind the text; returns -err->kind. */
int error_advise(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
