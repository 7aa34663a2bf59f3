/* SPDX-License-Identifier: Apache-2.0 */
/* One reading of a configuration: where its parts come from, and every problem on the way, not only
 * the first. */
#ifndef READER_H
#define READER_H

#include <stdbool.h>

#include "node.h"
#include "settings.h"

struct buf;
struct config;
struct config_upstream;
struct error;

#define READER_PATH_SIZE 512

struct reader {
    struct config *config;
    struct buf *problems; /* borrowed */
    struct buf *warnings; /* borrowed */
    unsigned problem_count;
    bool is_trusted;                    /* what the master printed: passwords are values there */
    bool has_upstreams;                 /* somebody said which; else Docker Hub */
    bool is_hub_implied;                /* docker.io is the default because nobody named one */
    struct position at[SETTINGS_COUNT]; /* who set the setting last; source NULL: its default */
};

/* "file:line:column: path: text", or "source: path: text"; path may be NULL. */
void reader_problem(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void reader_warning(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void reader_unknown_key(struct reader *reader, const struct position *at, const char *path,
                        const char *suggestion);

/* The whole file. */
void reader_read(struct reader *reader, const struct node *root);
/* One value of a file; path is for messages. */
void reader_read_setting(struct reader *reader, const struct setting *setting, void *object,
                         const struct node *value, const char *path);
/* One value that is a text: from the environment or a flag; a list is cut at commas. */
void reader_set_text(struct reader *reader, const struct setting *setting, struct slice text,
                     const struct position *at);
/* Keys of a map are texts and different from each other; false: a problem was noted. */
bool reader_key_is_right(struct reader *reader, const struct node *map, size_t index,
                         const char *path);
/* Where a setting was said last; never NULL. */
const struct position *reader_at(const struct reader *reader, const struct setting *setting);
/* False: it has its default. */
bool reader_is_written(const struct reader *reader, const struct setting *setting);

/* ---- upstreams.c ---- */
void upstreams_read(struct reader *reader, const struct node *map);
void upstreams_clear(struct config *config);
/* Found or made, with initial values. The name is canonical; the pointer lives until the next. */
struct config_upstream *upstream_get(struct config *config, struct slice name);
/* "docker.io.url" = value. */
void upstream_set_text(struct reader *reader, struct slice path, struct slice text,
                       const struct position *at);
void upstream_make_default(struct config *config, const struct config_upstream *upstream);
/* What is not said is filled in; what does not fit together is a problem; passwords are read. */
void upstreams_finish(struct reader *reader);

/* ---- environment.c, registry_variables.c ---- */
void environment_read(struct reader *reader, const char *const *environment);
void registry_variables_read(struct reader *reader, const char *const *environment);

#endif
