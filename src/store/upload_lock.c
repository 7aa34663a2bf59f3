/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of upload sessions. */
#include "store/upload_lock.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "store/store.h"

int upload_lock(int fd, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, ERR_BUSY, "another request is using the upload");
    return error_set_errno(err, errno, "cannot lock an upload");
}

/* The name is checked last: under the lock nobody else removes it. */
int upload_claim(struct store *store, const char *name, int fd, struct error *err)
{
    int rc = upload_lock(fd, err);

    return rc != 0 ? rc : store_file_check(store, PLACE_UPLOADS, name, fd, err);
}
