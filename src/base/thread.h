/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a thread, for pool.c and detached.c alone: these two are the places where this program
 * has threads of its own. (door: pthread, with pool.c, detached.c) */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Signals are the loop's affair: the thread is born with all of them blocked. With out_thread NULL
 * it is detached, and nobody can wait for it. Returns 0 or an errno: no thread was started. */
int thread_start(void *(*thread_main)(void *), void *arg, size_t stack_size, pthread_t *out_thread);

#endif
