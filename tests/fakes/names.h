/* SPDX-License-Identifier: Apache-2.0 */
/* A name server: getaddrinfo() of the program, libraries included, answers what the test says. Any
 * other name is EAI_NONAME. */
#ifndef FAKES_NAMES_H
#define FAKES_NAMES_H

#include <stdbool.h>

/* "127.0.0.1 ::1", or NULL with an EAI_ code. Replaces what was said of the name. */
void fake_name_set(const char *name, const char *addresses, int failure);
/* How often getaddrinfo() was called for it; NULL: for any name. */
unsigned fake_name_asked(const char *name);
/* From now on getaddrinfo() does not return before it is let go. */
void fake_names_hold(bool is_held);
/* Forget all names and counts. */
void fake_names_clear(void);

#endif
