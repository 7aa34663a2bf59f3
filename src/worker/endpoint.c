/* SPDX-License-Identifier: Apache-2.0 */
/* The tables are short: they are searched row by row. */
#include "endpoint.h"

#include <string.h>

#include "base/buf.h"

/* Calls `visit` for each row of a listener until it returns false. */
typedef bool endpoint_visit_fn(const struct endpoint *endpoint, void *arg);

static void endpoint_each(const struct endpoint_set *set, enum listener_kind listener,
                          endpoint_visit_fn *visit, void *arg)
{
    for (unsigned table = 0; table < ENDPOINT_TABLES_MAX; table++) {
        const struct endpoint *rows = set->tables[table].rows;

        for (size_t i = 0; i < set->tables[table].count; i++) {
            if ((rows[i].listeners & 1u << listener) != 0 && !visit(&rows[i], arg))
                return;
        }
    }
}

static bool is_at(const struct endpoint *endpoint, const struct endpoint_address *address)
{
    if (address->path.data)
        return endpoint->path && slice_is(address->path, endpoint->path);
    return !endpoint->path && endpoint->kind == address->kind;
}

struct search {
    const struct endpoint_address *address;
    unsigned methods;
    const struct endpoint *found;
};

static bool is_not_it(const struct endpoint *endpoint, void *arg)
{
    struct search *search = arg;

    if (is_at(endpoint, search->address) && (endpoint->methods & search->methods) != 0)
        search->found = endpoint;
    return !search->found;
}

bool endpoint_has_path(const struct endpoint_set *set, const struct endpoint_address *address)
{
    struct search search = {.address = address, .methods = ~0u};

    endpoint_each(set, address->listener, is_not_it, &search);
    return search.found;
}

const struct endpoint *endpoint_find(const struct endpoint_set *set,
                                     const struct endpoint_address *address,
                                     enum http_method method)
{
    struct search search = {.address = address, .methods = 1u << method};

    endpoint_each(set, address->listener, is_not_it, &search);
    return search.found;
}

/* The order is the one that clients know. */
static void print_methods(unsigned methods, struct buf *out)
{
    static const struct {
        enum http_method method;
        const char *name;
    } names[] = {
        {METHOD_GET, "GET"},         {METHOD_HEAD, "HEAD"}, {METHOD_POST, "POST"},
        {METHOD_PATCH, "PATCH"},     {METHOD_PUT, "PUT"},   {METHOD_DELETE, "DELETE"},
        {METHOD_OPTIONS, "OPTIONS"},
    };
    const char *separator = "";

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((methods & 1u << names[i].method) == 0)
            continue;
        buf_append_text(out, separator);
        buf_append_text(out, names[i].name);
        separator = ", ";
    }
}

static bool writes(const struct endpoint *endpoint)
{
    return (endpoint->needs & NEEDS_REPOSITORY) != 0 && action_is_write(endpoint->action);
}

struct gathering {
    const struct endpoint_address *address; /* NULL: all */
    bool is_read_only;
    unsigned methods;
};

static bool gather_methods(const struct endpoint *endpoint, void *arg)
{
    struct gathering *gathering = arg;

    if ((!gathering->address || is_at(endpoint, gathering->address)) &&
        !(gathering->is_read_only && writes(endpoint)))
        gathering->methods |= endpoint->methods;
    return true;
}

void endpoint_print_methods(const struct endpoint_set *set, const struct endpoint_address *address,
                            bool is_read_only, enum http_method except, struct buf *out)
{
    struct gathering gathering = {.address = address, .is_read_only = is_read_only};

    endpoint_each(set, address->listener, gather_methods, &gathering);
    print_methods(gathering.methods & ~(1u << except), out);
}

void endpoint_print_all_methods(const struct endpoint_set *set, enum listener_kind listener,
                                struct buf *out)
{
    struct gathering gathering = {.is_read_only = listener == LISTENER_MIRROR};

    endpoint_each(set, listener, gather_methods, &gathering);
    print_methods(gathering.methods, out);
}

/* A path with several rows has them one after the other. */
struct path_list {
    struct buf *out;
    const char *last;
};

static bool print_path(const struct endpoint *endpoint, void *arg)
{
    struct path_list *list = arg;

    if (!endpoint->path || endpoint->path[0] != '/' ||
        (list->last && strcmp(list->last, endpoint->path) == 0))
        return true;
    if (list->last)
        buf_append_text(list->out, ", ");
    buf_append_text(list->out, endpoint->path);
    list->last = endpoint->path;
    return true;
}

void endpoint_print_paths(const struct endpoint_set *set, enum listener_kind listener,
                          struct buf *out)
{
    struct path_list list = {.out = out};

    endpoint_each(set, listener, print_path, &list);
}

bool endpoint_is_pull(const struct endpoint *endpoint)
{
    return (endpoint->needs & NEEDS_REPOSITORY) != 0 && endpoint->action == ACTION_PULL;
}
