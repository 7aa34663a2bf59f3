/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the process when an assertion has failed. */
#include "base/check.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

/* An assertion that fails while another is being logged must not log again. */
static _Thread_local bool is_failing;

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    if (!is_failing) {
        is_failing = true;
        log_say(LOG_ERROR, "check failed at %s:%d: %s", file, line, what);
    }
    abort();
}
