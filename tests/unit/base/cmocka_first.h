/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka.h wants these before it, in this order; and what the tests of base share. */
#ifndef TESTS_UNIT_BASE_CMOCKA_FIRST_H
#define TESTS_UNIT_BASE_CMOCKA_FIRST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does the function abort? Tried in a child without stderr. */
static inline bool aborts(void (*function)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        function();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
