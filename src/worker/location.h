/* SPDX-License-Identifier: Apache-2.0 */
/* The header Location: where the client finds what it made, or goes on with what it began. */
#ifndef WORKER_LOCATION_H
#define WORKER_LOCATION_H

struct headers;
struct request;

/* Adds Location with this path, which begins with a slash; as a whole URL only where we know how
 * the client addresses us (the setting `location`). */
void location_addf(const struct request *request, struct headers *headers, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
