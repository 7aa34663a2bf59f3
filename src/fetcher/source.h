/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source of a flight: a repository of an upstream that may give its bytes, and whose followers
 * may see them once the upstream has said that the repository has the blob.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>

#include "base/list.h"
#include "base/slice.h"

struct error;
struct fetch;
struct flight;
struct upstream;

enum source_state {
    SOURCE_UNPROVEN,
    SOURCE_PROVING, /* HEAD is on its way */
    SOURCE_PROVEN,  /* the upstream has the blob in that repository */
    SOURCE_STATES,
};

struct source {
    struct list link; /* of the flight */
    struct flight *flight;
    struct upstream *upstream; /* a reference */
    char *repository;
    enum source_state state;
    bool is_exhausted; /* all its tries failed */
    bool is_slow;      /* asked again only when no other is left */
    bool is_linked;    /* the keeper was told */
    struct fetch *proof;
};

/* The flight's source of that name, made when there is none. */
struct source *source_get(struct flight *flight, struct upstream *upstream,
                          struct slice repository);
/* The source to be asked next; `current` is preferred to another slow one. NULL: all are
 * exhausted. */
struct source *source_next(struct flight *flight, const struct source *current);
/* Is there one of another upstream than `current` is of that can be asked? */
bool source_has_other(const struct flight *flight, const struct source *current, bool may_be_slow);
/* What is true of the source is true of all of its upstream. */
void source_set_slow(struct source *source);
void source_set_exhausted(struct source *source);
/* The upstream's word: it has the blob in that repository. */
void source_set_proven(struct source *source);
/* Ask with HEAD; the followers of the source are admitted or refused. */
void source_prove(struct source *source);
/* Its upstream refuses: its followers are told, and it goes. */
void source_remove(struct source *source, const struct error *err);
/* Tell the keeper, once, that the blob is visible there. */
void source_link(struct source *source);
void source_free(struct source *source);

#endif
