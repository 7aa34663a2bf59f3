/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from bytes to a pointer. The map owns copies of the keys, never the values. (door:
 * uthash) */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct map;

/* A number as a key; borrowed. */
static inline struct slice map_key(const uint64_t *number)
{
    return slice_from(number, sizeof(*number));
}

/* Empty, with a secret seed of its own. */
struct map *map_new(void);
/* Frees the map, not what it points to; sets *map to NULL. */
void map_free(struct map **map);
/* Value, or NULL. */
void *map_find(const struct map *map, struct slice key);
/* Replaces; returns the value that was there, or NULL. The value may not be NULL. */
void *map_set(struct map *map, struct slice key, void *value);
/* Returns the value that was there, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* Entries. */
size_t map_count(const struct map *map);
/* Calls `each` for every entry, in the order of insertion; `each` may remove the entry it was
 * called for, no other. */
typedef void map_each_fn(struct slice key, void *value, void *arg);
void map_each(struct map *map, map_each_fn *each, void *arg);

#endif
