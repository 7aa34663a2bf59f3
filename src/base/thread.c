/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a thread. Only pthread_create() can fail for reasons that are not our own mistake. */
#include "thread.h"

#include <signal.h>

#include "base/check.h"

int thread_start(void *(*thread_main)(void *), void *arg, size_t stack_size, pthread_t *out_thread)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int rc;

    sigfillset(&all);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, stack_size) == 0);
    if (!out_thread)
        CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    rc = pthread_create(&thread, &attributes, thread_main, arg);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(pthread_attr_destroy(&attributes) == 0);
    if (rc == 0 && out_thread)
        *out_thread = thread;
    return rc;
}
