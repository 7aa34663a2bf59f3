/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test can do to the fake pool beyond base/pool.h: hold it, so that work waits, and then let
 * single works run and be delivered, in any order that threads could.
 */
#ifndef FAKES_POOL_H
#define FAKES_POOL_H

#include <stdbool.h>

struct pool;

/* While it is held, pool_run_done does nothing, and the fake loop's time does not wait for it. */
void fake_pool_hold(struct pool *pool, bool is_held);
/* Run the `number`th (from 0) of the works that a thread could take now. False: there is none. */
bool fake_pool_run(struct pool *pool, unsigned number);
/* Call `done` of the work that ran first. False: there is none. */
bool fake_pool_deliver(struct pool *pool);

#endif
