/* SPDX-License-Identifier: Apache-2.0 */
/* base/detached without threads: a call runs when the test says so. */
#ifndef FAKES_DETACHED_H
#define FAKES_DETACHED_H

#include <stdbool.h>
#include <stddef.h>

/* From now on, calls run as soon as the loop looks (the default), or wait for
 * fake_detached_release. */
void fake_detached_hold(bool is_held);
/* Lets the oldest held call run; its `done` comes with the loop's next turn. */
void fake_detached_release(void);
/* Calls that are held, of all objects. */
size_t fake_detached_held(void);
/* The next submit fails for want of a thread. */
void fake_detached_refuse(void);

#endif
