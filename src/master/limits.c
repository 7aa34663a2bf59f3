/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the operating system: raised, or said with what to do before a start that would fail.
 * Address space and processes are not judged here: less of them is enough (store/ledger,
 * base/pool), or the process that lacks them says so. */
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/log.h"
#include "master/master.h"

#define DESCRIPTORS_MAX (1u << 20)
#define DESCRIPTORS_MIN 64u
#define FILE_SIZE_MIN   ((uint64_t)64 << 20)

static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Each process has a channel to most others, sockets, folders and the ledger. */
static int check_descriptors(struct error *err)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS_MIN)
        return 0;
    return error_set(err, ERR_UNSUPPORTED,
                     "a process may have only %llu open files, and %u are needed: raise the limit "
                     "(ulimit -n, LimitNOFILE=)",
                     (unsigned long long)limit.rlim_cur, DESCRIPTORS_MIN);
}

/* Shared memory is a file, too. */
static int check_file_size(struct error *err)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    if (limit.rlim_cur < FILE_SIZE_MIN) {
        return error_set(err, ERR_UNSUPPORTED,
                         "a file may have only %llu bytes, and %llu are needed: raise the limit "
                         "(ulimit -f, LimitFSIZE=)",
                         (unsigned long long)limit.rlim_cur, (unsigned long long)FILE_SIZE_MIN);
    }
    log_say(LOG_WARN,
            "a file may have only %llu bytes (ulimit -f, LimitFSIZE=): larger blobs are refused",
            (unsigned long long)limit.rlim_cur);
    return 0;
}

int limits_prepare(struct error *err)
{
    (void)signal(SIGXFSZ, SIG_IGN); /* children inherit it; the write fails instead */
    raise_descriptors();
    int rc = check_descriptors(err);
    return rc != 0 ? rc : check_file_size(err);
}
