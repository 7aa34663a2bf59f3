/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a file that somebody named: the configuration, or one that it names. */
#ifndef TEXT_FILE_H
#define TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;
struct stat;

struct text_file {
    const char *path;
    const char *name; /* in texts of errors */
    size_t max;       /* bytes */
    bool may_wait;    /* for a pipe, as of a shell's <(...); else pipes are refused, because a
                         running server waits for nothing */
};

/* The limit of the buffer that a file of so many bytes is read into. */
#define TEXT_FILE_BUF(max) ((max) + TEXT_FILE_STEP)
#define TEXT_FILE_STEP     4096ul

/* Appends what is in it. *out_status is how the file was before it was read, also when that failed:
 * a later change can be told from it. All of it is 0 when there is no such file. ERR_TOO_LARGE,
 * ERR_INVALID (a pipe), or the system's error. */
int text_file_read(const struct text_file *file, struct buf *out, struct stat *out_status,
                   struct error *err);

#endif
