/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to uthash. Keys come from outside, so each map hashes them with a secret seed
 * (SipHash-1-3): a client cannot choose keys that all fall into one bucket.
 */
#include "base/map.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/random.h"

#define uthash_malloc(size)       mem_alloc(size)
#define uthash_free(memory, size) mem_free(memory)
#include <uthash.h>

struct map_entry {
    UT_hash_handle hh;
    void *value;
    size_t length;
    char key[];
};

struct map {
    struct map_entry *entries;
    uint64_t seed[2];
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static unsigned hash_of(const struct map *map, struct slice key)
{
    uint64_t v[4] = {map->seed[0] ^ 0x736f6d6570736575, map->seed[1] ^ 0x646f72616e646f6d,
                     map->seed[0] ^ 0x6c7967656e657261, map->seed[1] ^ 0x7465646279746573};
    uint64_t word;

    for (; key.length >= sizeof(word); key = slice_skip(key, sizeof(word))) {
        memcpy(&word, key.data, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.length << 56;
    if (key.length)
        memcpy(&word, key.data, key.length);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    word = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (unsigned)(word ^ word >> 32);
}

struct map *map_new(void)
{
    struct map *map = NEW(struct map);
    struct error err;

    if (random_bytes(map->seed, sizeof(map->seed), &err) != 0)
        check_failed(__FILE__, __LINE__, err.text);
    return map;
}

/* The macros of uthash make these three functions large. */
/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity) */
static void remove_entry(struct map *map, struct map_entry *entry)
{
    HASH_DELETE(hh, map->entries, entry);
    mem_free(entry);
}

static void add_entry(struct map *map, struct map_entry *entry, unsigned hash)
{
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, map->entries, entry->key, entry->length, hash, entry);
}

static struct map_entry *find_entry(const struct map *map, struct slice key, unsigned hash)
{
    struct map_entry *entry = NULL;

    if (map->entries)
        HASH_FIND_BYHASHVALUE(hh, map->entries, key.data, key.length, hash, entry);
    return entry;
}
/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity) */

void map_free(struct map **map)
{
    if (!*map)
        return;
    while ((*map)->entries)
        remove_entry(*map, (*map)->entries);
    mem_free(*map);
    *map = NULL;
}

void *map_find(const struct map *map, struct slice key)
{
    struct map_entry *entry = find_entry(map, key, hash_of(map, key));

    return entry ? entry->value : NULL;
}

void *map_set(struct map *map, struct slice key, void *value)
{
    unsigned hash = hash_of(map, key);
    struct map_entry *entry = find_entry(map, key, hash);
    void *before;

    CHECK(value);
    if (entry) {
        before = entry->value;
        entry->value = value;
        return before;
    }
    entry = mem_zalloc(1, sizeof(*entry) + key.length + 1);
    entry->value = value;
    entry->length = key.length;
    if (key.length)
        memcpy(entry->key, key.data, key.length);
    add_entry(map, entry, hash);
    return NULL;
}

void *map_remove(struct map *map, struct slice key)
{
    struct map_entry *entry = find_entry(map, key, hash_of(map, key));
    void *value;

    if (!entry)
        return NULL;
    value = entry->value;
    remove_entry(map, entry);
    return value;
}

size_t map_count(const struct map *map)
{
    return HASH_COUNT(map->entries);
}

void map_each(struct map *map, map_each_fn *each, void *arg)
{
    struct map_entry *next;

    for (struct map_entry *entry = map->entries; entry; entry = next) {
        next = entry->hh.next;
        each(slice_from(entry->key, entry->length), entry->value, arg);
    }
}
