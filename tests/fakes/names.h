/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo() for the whole program, its libraries included: it answers what the test says. Any
 * other name is EAI_NONAME. */
#ifndef FAKES_NAMES_H
#define FAKES_NAMES_H

#include <stdbool.h>

/* The name has these addresses ("127.0.0.1 ::1"), or fails with an EAI_ code. */
void fake_name_set(const char *name, const char *addresses, int failure);
/* How often getaddrinfo() was called for it; NULL: for any name. */
unsigned fake_name_asked(const char *name);
/* While it is held, getaddrinfo() does not return. */
void fake_names_hold(bool is_held);
/* Forgets all names and counts. */
void fake_names_clear(void);

#endif
