/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places where a test can make the program fail as a disk, a kernel or a neighbour would. They
 * exist only in builds with ENTREPOT_FAILPOINTS; elsewhere FAILPOINT() is the constant false, and
 * the compiler removes the branch.
 *
 *   if (FAILPOINT("store.sync"))
 *       return error_set(err, ERR_IO, "…");
 *
 * A failpoint is armed by a unit test (failpoint_arm), or from outside by the environment variable
 * ENTREPOT_FAILPOINTS, a list of entries separated by commas or line ends:
 *
 *   NAME[@ROLE]=ACTION[:SKIP[:TIMES]]
 *
 * ACTION is `fail` (FAILPOINT() is true), `hang` (the thread sleeps for ever), `exit` (the process
 * kills itself with SIGKILL) or `sleepMS` (the thread sleeps so many milliseconds, then FAILPOINT()
 * is false). The first SKIP hits do nothing, the next TIMES hits act; TIMES 0, the default, means
 * all of them. An entry with @ROLE counts only in that role ("keeper"). If the variable begins with
 * `@`, the rest is the path of a file with such entries, read again at each hit, so that a test can
 * arm failpoints while the program runs; an entry that is written differently starts counting
 * again.
 *
 * Any thread may hit a failpoint.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#ifdef ENTREPOT_FAILPOINTS

#include <stdbool.h>

#define FAILPOINT(name) failpoint_hit(name)

/* Counts the hit and does what the entry says. */
bool failpoint_hit(const char *name);
/* From now on `name` fails, after `skip` hits, `times` times (0: always). It replaces what the
 * environment says of any name, until failpoint_clear. */
void failpoint_arm(const char *name, unsigned skip, unsigned times);
/* Disarm what was armed by failpoint_arm, and forget all counts. */
void failpoint_clear(void);
/* How often `name` was hit since its entry began to count; 0 for a name without an entry. */
unsigned failpoint_hits(const char *name);

#else

#define FAILPOINT(name) false

#endif

#endif
