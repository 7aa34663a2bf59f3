/* SPDX-License-Identifier: Apache-2.0 */
/* What the texts in a configuration may look like; each returns the form in which it is kept. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>

#include "base/slice.h"

struct error;

/* Valid UTF-8 without control characters: whatever we print, YAML reads back. */
bool value_is_text(struct slice text);
/* Each makes an owned, NUL-terminated copy in its kept form. ERR_INVALID. */
int value_address(struct slice text, char **out, struct error *err);
int value_host(struct slice text, char **out, struct error *err);
/* "https://host:port", host in lower case, no slash at the end. */
int value_url(struct slice text, char **out, struct error *err);
int value_bool(struct slice text, bool *out, struct error *err);

#endif
