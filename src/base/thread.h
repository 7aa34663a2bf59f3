/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a thread, for pool.c and detached.c, the only places where this program has threads of its
 * own. (door: pthread, with pool.c and detached.c) */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* The thread starts with all signals blocked, because they are handled on the loop. If out_thread
 * is NULL it is detached. Returns 0, or an errno when no thread could be started. */
int thread_start(void *(*thread_main)(void *), void *arg, size_t stack_size, pthread_t *out_thread);

#endif
