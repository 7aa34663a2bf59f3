/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions about our own code, on in every build: a role that is wrong about itself aborts and
 * is restarted; the others go on. Never used on data from outside.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Log file, line and the condition to stderr, and abort. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

#endif
