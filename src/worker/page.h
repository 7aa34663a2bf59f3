/* SPDX-License-Identifier: Apache-2.0 */
/* One page of a sorted list of names as JSON: what n= and last= of the query mean, and the Link to
 * the next page. */
#ifndef WORKER_PAGE_H
#define WORKER_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/jsonio.h"
#include "base/slice.h"
#include "oci/name.h"

struct operation;

#define PAGE_BYTES_MAX ((size_t)32 * 1024 * 1024) /* of the names */
#define PAGE_FRAME_MAX 1024                       /* of what the caller puts around them */
#define PAGE_UNLIMITED UINT64_MAX

struct page {
    uint64_t limit; /* PAGE_UNLIMITED: the whole list */
    uint64_t max;   /* how many the next page is asked for, without n */
    uint64_t count;
    bool has_more;
    size_t last_length; /* of the last name on the page, at last_offset of `body` */
    size_t last_offset;
    struct buf body;
    struct jsonio_writer json; /* into the body: the caller opens and closes what is around names */
};

/* It must not be moved afterwards. The limit comes from the query: the whole list without n, at
 * most `max` with it. `max`: limits.page. */
void page_init(struct page *page, const struct operation *operation, uint64_t max);
void page_cleanup(struct page *page);
/* May its body be longer than answers that need no memory of their own? `name_max`: bytes. */
bool page_may_be_long(const struct page *page, size_t name_max);
/* Append a name. False: the page is full and there is more; stop. Names need no escaping. */
bool page_add(struct page *page, struct slice name);
#define PAGE_LINK_MAX       3072 /* of the header's value */
#define PAGE_NAMESPACE_SIZE (REGISTRY_MAX_LENGTH + 8)
/* How the next page is asked for, as this one was: "ns=ghcr.io&", or nothing. */
void page_print_namespace(const struct operation *operation, char out[PAGE_NAMESPACE_SIZE]);
/* How many entries the page may have: n of the query, but at most `max`. PAGE_UNLIMITED: no n. */
uint64_t page_limit(const struct operation *operation, uint64_t max);
/* Appends the value of the Link header, or nothing when this is the last page. `path` is the
 * list's, `more` from page_print_namespace. */
void page_link(const struct page *page, const char *path, const char *more, struct buf *out);

#endif
