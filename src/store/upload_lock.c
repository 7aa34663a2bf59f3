/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of upload sessions, and the ends that need them. */
#include "store/upload_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "store/store.h"
#include "store/upload_table.h"

#define IDLE_TRIES 16 /* idle sessions that are looked at together */
#define PAGES_MAX  64 /* such looks, when all of them turn out to be in use */

int upload_lock(int fd, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (FAILPOINT("upload.lock"))
        return error_set(err, ERR_IO, "cannot lock an upload (failpoint)");
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, ERR_BUSY, "another request is using the upload");
    return error_set_errno(err, errno, "cannot lock an upload");
}

/* The name is checked last: under the lock no other process removes it. */
int upload_claim(struct store *store, const char *name, int fd, struct error *err)
{
    int rc = upload_lock(fd, err);

    return rc != 0 ? rc : store_file_check(store, PLACE_UPLOADS, name, fd, err);
}

int upload_end(struct store *store, struct upload_table *table, const struct upload_id *id,
               const char *name, struct error *err)
{
    struct error failed;
    int rc = store_file_remove(store, PLACE_UPLOADS, name, &failed);

    if (rc != 0 && rc != -ERR_NOT_FOUND) {
        *err = failed;
        return rc;
    }
    upload_table_remove(table, id);
    return 0;
}

static bool has_no_maker(uint64_t used_ms, uint64_t now_ms)
{
    return now_ms > used_ms && now_ms - used_ms > UPLOAD_FILELESS_MS;
}

bool upload_is_left(struct store *store, const struct upload_id *id,
                    const struct upload_progress *progress, uint64_t now_ms)
{
    AUTO_CLOSE int fd = -1;
    char name[STORE_NAME_SIZE];
    struct error ignored;

    if (!has_no_maker(progress->used_ms, now_ms))
        return false;
    store_upload_name(id, progress->repository_key, name);
    return store_file_open(store, PLACE_UPLOADS, name, &fd, &ignored) == -ERR_NOT_FOUND;
}

/* The slot is read again under the lock: a request may have used the session meanwhile. */
static bool end_if_idle(struct store *store, struct upload_table *table,
                        const struct upload_idle *idle, const struct upload_choice *choice)
{
    AUTO_CLOSE int fd = -1;
    char name[STORE_NAME_SIZE];
    struct upload_progress progress;
    struct error ignored; /* the next one is tried */

    store_upload_name(&idle->id, idle->repository_key, name);
    int rc = store_file_open(store, PLACE_UPLOADS, name, &fd, &ignored);
    if (rc == -ERR_NOT_FOUND && has_no_maker(idle->used_ms, clock_wall().ms)) {
        upload_table_remove(table, &idle->id);
        return true;
    }
    if (rc != 0 || upload_claim(store, name, fd, &ignored) != 0 ||
        !upload_table_get(table, &idle->id, &progress) || !upload_choice_has(choice, &progress) ||
        upload_end(store, table, &idle->id, name, &ignored) != 0)
        return false;
    /* The close gives the space back too, but perhaps later than the next write needs it. */
    if (ftruncate(fd, 0) != 0)
        log_say(LOG_DEBUG, "cannot truncate %s, which was removed", name);
    struct log_line line;
    log_begin(&line, LOG_INFO);
    log_text(&line, "upload", name);
    log_u64(&line, "bytes", progress.offset + progress.unhashed);
    log_end(&line, "an upload that nobody is using was ended to make room for another");
    return true;
}

int upload_end_idlest(struct store *store, struct upload_table *table,
                      const struct upload_choice *choice, struct error *err)
{
    struct upload_idle idle[IDLE_TRIES];
    struct upload_choice rest = *choice;
    unsigned count = IDLE_TRIES;

    for (unsigned page = 0; page < PAGES_MAX && count == IDLE_TRIES; page++) {
        count = upload_table_idlest(table, &rest, idle, IDLE_TRIES);
        for (unsigned i = 0; i < count; i++) {
            if (end_if_idle(store, table, &idle[i], choice))
                return 0;
        }
        if (count > 0)
            rest.from_ms = idle[count - 1].used_ms + 1;
    }
    return error_set(err, ERR_BUSY, "too many uploads are open; finish or end some of them");
}

bool upload_make_space(struct store *store, struct upload_table *table)
{
    struct upload_choice choice = {.before_ms = UINT64_MAX, .content = UPLOAD_WITH_BYTES};
    struct error ignored;

    return upload_end_idlest(store, table, &choice, &ignored) == 0;
}
