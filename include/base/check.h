/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions about our own code, enabled in every build. A process in which one fails aborts and is
 * restarted; the others go on. Never used for data from outside.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Log file, line and condition, and abort. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

#endif
