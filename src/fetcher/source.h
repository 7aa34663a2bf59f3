/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source of a flight is a repository of an upstream that may give the bytes. Its followers may
 * see them once the upstream has confirmed that the repository has the blob.
 */
#ifndef FETCHER_SOURCE_H
#define FETCHER_SOURCE_H

#include <stdbool.h>

#include "base/list.h"
#include "base/slice.h"

struct error;
struct fetch;
struct flight;
struct upstream;

enum source_state {
    SOURCE_UNPROVEN,
    SOURCE_PROVING, /* a HEAD is on its way */
    SOURCE_PROVEN,  /* the upstream has confirmed that the repository has the blob */
    SOURCE_STATES,
};

struct source {
    struct list link; /* of the flight */
    struct flight *flight;
    struct upstream *upstream; /* a reference */
    char *repository;
    enum source_state state;
    bool is_exhausted; /* all its tries failed */
    bool is_slow;      /* asked only when no other source is left */
    bool is_linked;    /* the keeper was told that the repository has the blob */
    struct fetch *proof;
};

/* The flight's source for that repository; it is made when there is none. */
struct source *source_get(struct flight *flight, struct upstream *upstream,
                          struct slice repository);
/* The source to ask next. Of slow ones `current` is preferred. NULL: all are exhausted. */
struct source *source_next(struct flight *flight, const struct source *current);
/* Can a source of another upstream than that of `current` be asked? */
bool source_has_other(const struct flight *flight, const struct source *current, bool may_be_slow);
/* These two mark all sources of the source's upstream. */
void source_set_slow(struct source *source);
void source_set_exhausted(struct source *source);
/* The upstream has confirmed that the repository has the blob. */
void source_set_proven(struct source *source);
/* Ask the upstream with HEAD; then the followers of the source are admitted or refused. */
void source_prove(struct source *source);
/* The upstream refuses: tell the followers of the source, and free it. */
void source_remove(struct source *source, const struct error *err);
/* Tell the keeper, once, that the blob is visible there. */
void source_link(struct source *source);
void source_free(struct source *source);

#endif
