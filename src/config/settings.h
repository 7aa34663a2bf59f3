/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings.def at run time. A setting is read from text and printed as text, one value
 * at a time. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct config;
struct error;

enum setting_type {
    SETTING_TEXT,     /* char *; NULL is printed as nothing */
    SETTING_PATH,     /* char * */
    SETTING_ADDRESS,  /* char *; "none" is NULL */
    SETTING_PROXY,    /* char *; a proxy's URL, or "none" */
    SETTING_SOCKET,   /* char *; a path, "auto" or "none" */
    SETTING_PATTERN,  /* char * */
    SETTING_COUNT,    /* uint64_t */
    SETTING_SIZE,     /* uint64_t, bytes */
    SETTING_DURATION, /* uint64_t, ms; UINT64_MAX is "forever" where the maximum allows it */
    SETTING_BOOL,
    SETTING_VERIFY,       /* bool: strict */
    SETTING_DELETED,      /* bool: keep */
    SETTING_LOCATION,     /* enum location_form */
    SETTING_SHADOW_CHECK, /* enum shadow_check */
    SETTING_LOG_LEVEL,    /* enum log_level */
    SETTING_LOG_FORMAT,   /* enum log_format */
    SETTING_WORKERS,      /* unsigned; 0 is "auto" */
    SETTING_MODE,         /* unsigned, of a file */
    SETTING_SHARE,        /* config.storage.cache_limit and cache_limit_percent */
    SETTING_LISTENS,      /* config.listens */
    SETTING_HOSTS,        /* struct config_list from here on */
    SETTING_PATTERNS,
    SETTING_URLS,
    SETTING_NO_PROXY, /* hosts, domains, networks */
    SETTING_NETWORKS, /* addresses and networks */
};

/* What a change of the setting needs to take effect. */
enum setting_needs {
    SETTING_NEEDS_RELOAD,  /* the next CONFIG */
    SETTING_NEEDS_RESTART, /* other processes, sockets or shared memory */
};

struct setting {
    const char *path; /* "storage.path", or the key in its map */
    enum setting_type type;
    enum setting_needs needs;
    size_t offset;       /* in the struct that the table is about */
    const char *initial; /* NULL: nothing */
    uint64_t minimum, maximum;
    const char *help;
};

struct setting_table {
    const struct setting *items;
    size_t count;
};

extern const struct setting_table settings_of_config;
extern const struct setting_table settings_of_upstream;
extern const struct setting_table settings_of_tag;

#define SETTINGS_COUNT 80 /* at least as many as settings_of_config has */

/* NULL: there is none. */
const struct setting *setting_find(const struct setting_table *table, struct slice path);
/* Appends ", did you mean PATH?" if the key looks like a key at the level `prefix` ("storage.", or
 * ""), or like `more`. */
void setting_suggest(const struct setting_table *table, const char *prefix, struct slice key,
                     const char *more, struct buf *out);
/* Appends "storage.path, storage.grace and so on" for "storage". */
void settings_print_group(const struct setting_table *table, struct slice group, struct buf *out);
bool setting_is_list(const struct setting *setting);
/* Replaces the value by `count` values (exactly one unless it is a list). ERR_INVALID: the text
 * says what is wrong and what is expected. */
int setting_set(const struct setting *setting, void *object, const struct slice *values,
                size_t count, struct error *err);
/* Sets every initial value. */
void settings_set_initial(const struct setting_table *table, void *object);
/* Give the setting the value that it has in another object of the same kind. */
void setting_copy(const struct setting *setting, void *to, const void *from);
/* Appends the value as YAML. False: there is none, and nothing was printed. */
bool setting_print(const struct setting *setting, const void *object, struct buf *out);
void settings_free(const struct setting_table *table, void *object);
/* Appends "a duration, at least 1m, at most 30d". */
void setting_print_expected(const struct setting *setting, struct buf *out);
/* A letter of a path as the environment writes it: "storage.path" is STORAGE_PATH. */
char setting_capital(char letter);
/* Appends the text as a double-quoted YAML scalar. */
void setting_print_quoted(struct slice text, struct buf *out);

#endif
