/* SPDX-License-Identifier: Apache-2.0 */
/* base/detached without threads: the test decides when a call runs. */
#ifndef FAKES_DETACHED_H
#define FAKES_DETACHED_H

#include <stdbool.h>
#include <stddef.h>

/* Whether new calls wait for fake_detached_release, or run in the loop's next turn (the default).
 */
void fake_detached_hold(bool is_held);
/* The oldest held call runs in the loop's next turn. */
void fake_detached_release(void);
/* The number of held calls. */
size_t fake_detached_held(void);
/* The next detached_submit fails, as if no thread could be started. */
void fake_detached_refuse(void);

#endif
