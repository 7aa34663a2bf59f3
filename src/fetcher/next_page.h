/* SPDX-License-Identifier: Apache-2.0 */
/* What a list's next page is asked with: read from an upstream's Link (RFC 8288), or made by us. */
#ifndef NEXT_PAGE_H
#define NEXT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct upstream;

/* Of bytes that may stand in a query, and not endless. */
bool next_page_is_query(struct slice query);
/* The value of a parameter, as written; false: there is none. */
bool next_page_find(struct slice query, const char *key, struct slice *out);
/* Appends the query of the link with rel "next", without `ns` and with each of `n` and `last` once.
 * Nothing when there is none of this upstream, or none that leads further than what was `asked`. */
void next_page_read(const struct upstream *upstream, struct slice headers, struct slice asked,
                    struct buf *out);
/* Appends `asked` with `last` behind this tag. */
void next_page_print(struct slice asked, struct slice last, struct buf *out);

#endif
