/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a process. Between fork and exec it does only what is safe there: it resets the signals,
 * moves the line to descriptor 3, closes all other descriptors and drops privilege.
 */
#include "child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master/master.h"
#include "privileges.h"

struct child *child_find(const struct list *children, uint64_t id)
{
    LIST_EACH (link, children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (child->id == id)
            return child;
    }
    return NULL;
}

void child_print(const struct child *child, char out[64])
{
    (void)snprintf(out, 64, "%s %u (pid %ld)", process_role_name(child->seat->role),
                   child->seat->slot, (long)child->pid);
}

void child_set_state(struct child *child, enum child_state next)
{
    static const bool may_follow[CHILD_STATES][CHILD_STATES] = {
        [CHILD_STARTING] = {[CHILD_READY] = true, [CHILD_ENDING] = true},
        [CHILD_READY] = {[CHILD_ENDING] = true},
    };

    CHECK(may_follow[child->state][next]);
    child->state = next;
    child->ticks = 0;
}

void child_free(struct child *child)
{
    list_remove(&child->link);
    channel_free(&child->line);
    mem_free(child);
}

/* Ctrl-C at a terminal, and pkill, reach every process; only the master acts on signals. */
static void set_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
    static const int usual[] = {SIGCHLD, SIGQUIT};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        (void)signal(usual[i], SIG_DFL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* The log opens standard error again, to have a file description of its own; a process of another
 * user may not. So it gets one here, which appends: with a shared offset, two processes would
 * overwrite each other's lines. */
static void renew_standard_error(void)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        (void)dup2(fd, STDERR_FILENO);
}

/* Ours may be a file with a password. */
static void close_standard_input(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        (void)dup2(fd, STDIN_FILENO);
}

/* Ours, without what the configuration is read from: passwords are for the fetcher alone, which
 * gets them by its line. The entries are borrowed. */
static char **new_environment(void)
{
    size_t count = 0;
    size_t kept = 0;

    while (environ[count])
        count++;
    char **made = mem_zalloc(count + 1, sizeof(*made));
    for (size_t i = 0; i < count; i++) {
        if (!config_is_variable(environ[i]))
            made[kept++] = environ[i];
    }
    return made;
}

static _Noreturn void become(const struct identity *identity, int line, char *const *arguments,
                             char *const *environment)
{
    set_signals();
    close_standard_input();
    struct error err;
    bool is_there = line == MASTER_LINE ? fd_set_inherited(line, &err) == 0
                                        : dup2(line, MASTER_LINE) == MASTER_LINE;
    if (identity->is_other)
        renew_standard_error();
    (void)close_range(MASTER_LINE + 1, UINT_MAX, 0);
    if (is_there && privileges_drop(identity))
        (void)execve("/proc/self/exe", arguments, environment);
    /* The log belongs to the parent, so this goes to standard error. */
    (void)dprintf(STDERR_FILENO, "entrepot: cannot start %s: errno %d\n", arguments[2], errno);
    _exit(CHILD_CANNOT_START);
}

/* The pid of the new process, or -1 with errno. */
static pid_t fork_child(const struct seat *seat, const struct identity *identity, int line)
{
    char program[] = "entrepot";
    char role_flag[] = "--role";
    char slot_flag[] = "--slot";
    char role[16];
    char slot[16];

    (void)snprintf(role, sizeof(role), "%s", process_role_name(seat->role));
    (void)snprintf(slot, sizeof(slot), "%u", seat->slot);
    char *const arguments[] = {program, role_flag, role, slot_flag, slot, NULL};
    AUTO_FREE char **environment = new_environment();
    /* Our signal handlers must not run in the copy: they would write into our loop's socket. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become(identity, line, arguments, environment);
    int saved = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

int child_spawn(struct seat *seat, const struct identity *identity, uint64_t id, struct child **out,
                int *out_line, struct error *err)
{
    int pair[2] = {-1, -1};
    int rc = channel_pair(pair, err);

    if (rc != 0)
        return rc;
    pid_t pid = fork_child(seat, identity, pair[1]);
    if (pid < 0) {
        rc = error_set_errno(err, errno, "cannot start a process");
        (void)error_wrap(err, "perhaps too many run (ulimit -u, TasksMax=, pids_limit)");
    }
    fd_close(&pair[1]);
    if (rc != 0) {
        fd_close(&pair[0]);
        return rc;
    }
    struct child *child = NEW(struct child);
    list_init(&child->link);
    child->seat = seat;
    child->id = id;
    child->generation = seat->generations++;
    child->pid = pid;
    child->started = clock_mono();
    *out = child;
    *out_line = pair[0];
    return 0;
}
