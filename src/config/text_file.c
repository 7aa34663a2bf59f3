/* SPDX-License-Identifier: Apache-2.0 */
/* See text_file.h. */
#include "text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"

static int read_all(const struct text_file *file, int fd, struct buf *out, struct error *err)
{
    for (;;) {
        char *room = buf_reserve(out, TEXT_FILE_STEP);
        ssize_t got = room ? read(fd, room, TEXT_FILE_STEP) : 0;

        if (!room) {
            return error_set(err, ERR_TOO_LARGE, "%s is longer than %zu bytes", file->name,
                             file->max);
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "%s cannot be read", file->name);
        if (got == 0)
            return 0;
        buf_added(out, (size_t)got);
    }
}

int text_file_read(const struct text_file *file, struct buf *out, struct stat *out_status,
                   struct error *err)
{
    struct stat status;

    memset(out_status, 0, sizeof(*out_status));
    if (stat(file->path, &status) == 0)
        *out_status = status;
    AUTO_CLOSE int fd =
        open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (file->may_wait ? 0 : O_NONBLOCK));
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_set_errno(err, errno, "%s cannot be read", file->name);
    *out_status = status;
    if (!file->may_wait && S_ISFIFO(status.st_mode)) {
        return error_set(err, ERR_INVALID,
                         "%s is a pipe, which can only be read when the server starts; use a file",
                         file->name);
    }
    return read_all(file, fd, out, err);
}
