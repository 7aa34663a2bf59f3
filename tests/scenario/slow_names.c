/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name server that can be slow, for LD_PRELOAD: getaddrinfo() of a name that ends in ".slow.test"
 * waits as long as the file named by SLOW_NAMES_GATE exists, then answers 127.0.0.1. A line with
 * the name and the process's id is appended to SLOW_NAMES_LOG when such a lookup begins. All other
 * names go to the C library.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int lookup_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static bool is_slow(const char *name)
{
    static const char end[] = ".slow.test";
    size_t length = name ? strlen(name) : 0;

    return length >= sizeof(end) - 1 && strcmp(name + length - (sizeof(end) - 1), end) == 0;
}

static void note(const char *name)
{
    const char *path = getenv("SLOW_NAMES_LOG");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;

    if (fd < 0)
        return;
    (void)dprintf(fd, "%s %ld\n", name, (long)getpid());
    (void)close(fd);
}

static void wait_for_gate(void)
{
    const struct timespec step = {.tv_nsec = 10000000};
    const char *path = getenv("SLOW_NAMES_GATE");

    while (path && access(path, F_OK) == 0)
        (void)nanosleep(&step, NULL);
}

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    lookup_fn *next = NULL;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&next, &symbol, sizeof(next));
    if (!is_slow(name))
        return next(name, service, hints, out);
    note(name);
    wait_for_gate();
    return next("127.0.0.1", service, hints, out);
}
