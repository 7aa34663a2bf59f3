/* SPDX-License-Identifier: Apache-2.0 */
/* A hash map from bytes to pointers. The map owns copies of the keys, but not the values. (door:
 * uthash) */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct map;

/* A number as a key. It is borrowed. */
static inline struct slice map_key(const uint64_t *number)
{
    return slice_from(number, sizeof(*number));
}

/* An empty map with a secret seed of its own. */
struct map *map_new(void);
/* Frees the map, but not the values, and sets *map to NULL. */
void map_free(struct map **map);
/* The value of a key, or NULL. */
void *map_find(const struct map *map, struct slice key);
/* Sets the value of a key and returns the previous one, or NULL. `value` may not be NULL. */
void *map_set(struct map *map, struct slice key, void *value);
/* Removes a key and returns its value, or NULL. */
void *map_remove(struct map *map, struct slice key);
/* The number of keys. */
size_t map_count(const struct map *map);
/* Calls `each` for every key, in the order of insertion. `each` may remove the key it is called
 * for, but no other. */
typedef void map_each_fn(struct slice key, void *value, void *arg);
void map_each(struct map *map, map_each_fn *each, void *arg);

#endif
