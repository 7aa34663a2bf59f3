/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The query that asks for the next page of a list: read from an upstream's Link header (RFC 8288),
 * or made by us when an upstream sent more than was asked for.
 */
#ifndef FETCHER_NEXT_PAGE_H
#define FETCHER_NEXT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct upstream;

/* Has it only characters that a query may have, and at most LIST_QUERY_MAX of them? */
bool next_page_is_query(struct slice query);
/* The value of a parameter as it is written, not decoded; false: there is none. */
bool next_page_find(struct slice query, const char *key, struct slice *out);
/* Append the query of the link with rel "next", without `ns` and with `n` and `last` once each.
 * Nothing is appended when no link leads to a page of this upstream other than `asked`. */
void next_page_read(const struct upstream *upstream, struct slice headers, struct slice asked,
                    struct buf *out);
/* Append the query `asked`, with `last` set to this tag. */
void next_page_print(struct slice asked, struct slice last, struct buf *out);

#endif
