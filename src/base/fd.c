/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors. Invariant: all that are made here are close-on-exec. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/slice.h"

void fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd); /* on Linux it is closed even after EINTR */
    *fd = -1;
    errno = saved;
}

int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

int fd_dup(int fd, int *out_fd, struct error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return error_set_errno(err, errno, "cannot duplicate a descriptor");
    *out_fd = copy;
    return 0;
}

uint64_t fd_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

int fd_set_inherited(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
        return error_set_errno(err, errno, "cannot clear close-on-exec");
    return 0;
}

int fd_write_all(int fd, const void *data, size_t length, struct error *err)
{
    const char *next = data;

    while (length) {
        ssize_t written = write(fd, next, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_set_errno(err, written < 0 ? errno : EIO, "cannot write");
        next += written;
        length -= (size_t)written;
    }
    return 0;
}

int fd_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, struct error *err)
{
    const char *next = data;

    while (length) {
        ssize_t written = pwrite(fd, next, length, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            return error_set_errno(err, written < 0 ? errno : EIO, "cannot write at %llu",
                                   (unsigned long long)offset);
        }
        next += written;
        length -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

int fd_pread_all(int fd, void *data, size_t length, uint64_t offset, struct error *err)
{
    char *next = data;

    while (length) {
        ssize_t got = pread(fd, next, length, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "cannot read at %llu", (unsigned long long)offset);
        if (got == 0) {
            return error_set(err, ERR_CORRUPT, "the file ends at %llu, %zu bytes early",
                             (unsigned long long)offset, length);
        }
        next += got;
        length -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int fd_size(int fd, uint64_t *out, struct error *err)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return error_set_errno(err, errno, "cannot get the size of a file");
    *out = (uint64_t)facts.st_size;
    return 0;
}

int fd_memory_file(const char *name, struct slice bytes, int *out_fd, struct error *err)
{
    const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int rc;

    if (fd < 0)
        return error_set_errno(err, errno, "cannot make memory file %s", name);
    rc = fd_pwrite_all(fd, bytes.data, bytes.length, 0, err); /* leaves the position at 0 */
    if (rc)
        return error_wrap(err, "cannot write memory file %s", name);
    if (fcntl(fd, F_ADD_SEALS, seals) < 0)
        return error_set_errno(err, errno, "cannot seal memory file %s", name);
    *out_fd = fd_take(&fd);
    return 0;
}
