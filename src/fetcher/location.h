/* SPDX-License-Identifier: Apache-2.0 */
/* Where a redirect leads. Pure functions. */
#ifndef FETCHER_LOCATION_H
#define FETCHER_LOCATION_H

#include <stdbool.h>

#include "base/slice.h"

struct buf;
struct url_parts;

#define REDIRECTS_MAX 5 /* that are followed for one request */

bool location_is_redirect(int status);
/* Append what a Location means in an answer of `base` (RFC 3986 5.2), without its fragment and with
 * spaces and the like escaped, as clients do. Nothing says that it is an http URL then. */
void location_resolve(const struct url_parts *base, struct slice location, struct buf *out);

#endif
