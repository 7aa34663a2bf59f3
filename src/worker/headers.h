/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields of an answer, built on the stack. A field that does not fit is left out whole; all
 * values that are added have limits far below. */
#ifndef WORKER_HEADERS_H
#define WORKER_HEADERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct digest;

#define HEADERS_SIZE 4096

struct headers {
    size_t length;
    char text[HEADERS_SIZE];
};

/* With Docker-Distribution-Api-Version alone. */
void headers_init(struct headers *headers);
/* `value` must not contain line ends. */
void headers_add(struct headers *headers, const char *name, struct slice value);
void headers_addf(struct headers *headers, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Whole lines, "Name: value\r\n". */
void headers_add_lines(struct headers *headers, struct slice lines);
/* Adds Docker-Content-Digest and ETag. */
void headers_add_digest(struct headers *headers, const struct digest *digest);
/* The lines; borrowed from `headers`. */
struct slice headers_slice(const struct headers *headers);

#endif
