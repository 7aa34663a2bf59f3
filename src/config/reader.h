/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one configuration from all its sources, and collects every problem, not only the first. */
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
    bool is_trusted;                    /* the master printed it: passwords are values there */
    bool is_reload;                     /* the server runs: no pipe is waited for */
    struct position upstreams_at;       /* where upstreams were set last; source NULL: nowhere */
    bool has_upstreams;                 /* a source lists them; else there is only Docker Hub */
    bool is_hub_implied;                /* docker.io is the default because no other one is */
    struct position at[SETTINGS_COUNT]; /* where each was set last; source NULL: its default */
};

/* Notes "file:line:column: path: text", or "source: path: text"; path may be NULL. */
void reader_problem(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void reader_warning(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void reader_unknown_key(struct reader *reader, const struct position *at, const char *path,
                        const char *suggestion);

/* Reads a whole file. */
void reader_read(struct reader *reader, const struct node *root);
/* Reads one value of a file; path is for messages. */
void reader_read_setting(struct reader *reader, const struct setting *setting, void *object,
                         const struct node *value, const char *path);
/* Reads one value from the environment or a flag; the entries of a list are separated by commas. */
void reader_set_text(struct reader *reader, const struct setting *setting, struct slice text,
                     const struct position *at);
/* Is the key a text, and different from those before it? False: a problem was noted. */
bool reader_key_is_right(struct reader *reader, const struct node *map, size_t index,
                         const char *path);
/* Is it the part before the dot of settings, like "storage"? */
bool reader_is_group(struct slice path);
/* Where a setting was set last; never NULL. */
const struct position *reader_at(const struct reader *reader, const struct setting *setting);
/* False: it has its default. */
bool reader_is_written(const struct reader *reader, const struct setting *setting);

/* ---- upstreams.c ---- */
void upstreams_read(struct reader *reader, const struct node *map);
/* "ghcr.io, quay.io", or the map as YAML: they take the place of all others. */
void upstreams_read_text(struct reader *reader, struct slice text, const struct position *at);
void upstreams_clear(struct config *config);
/* Finds the upstream or makes it, with initial values. The name is canonical; the pointer is valid
 * until the next call. */
struct config_upstream *upstream_get(struct config *config, struct slice name);
/* Sets a key of an upstream; path is "docker.io.url". */
void upstream_set_text(struct reader *reader, struct slice path, struct slice text,
                       const struct position *at);
void upstream_make_default(struct config *config, const struct config_upstream *upstream);
/* Fills in what was not set, notes what does not fit together, and reads the files of passwords. */
void upstreams_finish(struct reader *reader);

/* ---- proxies.c ---- */
/* The variables that curl reads, where no setting says anything. Comes after all other sources. */
void proxy_variables_read(struct reader *reader, const char *const *environment);

/* ---- environment.c, registry_variables.c ---- */
void environment_read(struct reader *reader, const char *const *environment);
/* When there is a Service called registry-auth, Kubernetes sets REGISTRY_AUTH_PORT=tcp://…,
 * REGISTRY_AUTH_SERVICE_HOST and more in every container; they are known by their form. */
bool variable_is_of_kubernetes(struct slice name, struct slice value);
void registry_variables_read(struct reader *reader, const char *const *environment);

#endif
