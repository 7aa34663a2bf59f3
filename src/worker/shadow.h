/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before the first push to a name that mirror clients ask for, the default upstream is asked
 * whether it has a repository of this name (`hosted.shadow_check`): an upload asks for the
 * repository, the first manifest for its tag too. The mark of an upload that was let through
 * (rules/may_push) stands for the first question while it is fresh.
 */
#ifndef WORKER_SHADOW_H
#define WORKER_SHADOW_H

#include <stdbool.h>

struct request;

/* True: the request, a POST of an upload or a PUT of a manifest, may go on at once. False: the
 * upstream is being asked; the request's handler is called once more when it may go on, else the
 * request is answered. The body is not read meanwhile. */
bool shadow_may_push(struct request *request);

#endif
