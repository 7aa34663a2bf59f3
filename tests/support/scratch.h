/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, removed with all that is in it. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

/* Its path, until scratch_remove. One at a time. */
const char *scratch_make(void);
void scratch_remove(void);

#endif
