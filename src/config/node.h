/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML text as a small tree with positions. Anchors, aliases, tags and further documents are
 * refused, and so is a text over 1 MiB, with over 16 levels, or with over 20,000 values. */
#ifndef NODE_H
#define NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct error;

#define NODE_TEXT_MAX    (1u << 20)
#define NODE_DEPTH_MAX   16
#define NODE_COUNT_MAX   20000
#define NODE_ENTRIES_MAX 1024 /* of one map or list */

enum node_kind {
    NODE_EMPTY, /* nothing, ~ or null */
    NODE_TEXT,
    NODE_LIST,
    NODE_MAP,
};

struct position {
    const char *source; /* the name of a file, a flag or a variable; borrowed */
    unsigned line;      /* 0: the source has no lines */
    unsigned column;
};

struct node {
    enum node_kind kind;
    struct position at;
    char *text;          /* NODE_TEXT */
    struct node **items; /* NODE_LIST; NODE_MAP: key, value, key, value */
    size_t count;        /* of items */
};

/* The text has at most NODE_TEXT_MAX bytes. *out is NULL for an empty document. On ERR_INVALID and
 * ERR_TOO_LARGE, *out_at says where. */
int node_read(struct slice text, const char *source, struct node **out, struct position *out_at,
              struct error *err);
void node_free(struct node **node);
struct slice node_text(const struct node *node);

#endif
