/* SPDX-License-Identifier: Apache-2.0 */
/* What a request's name means: which repository of which origin. There are three ways of naming one
 * (docs/api.md, section 2); handlers never look at the name that the client wrote. Nothing here has
 * side effects: the ledger is only read. */
#ifndef RULES_RESOLVE_H
#define RULES_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "oci/name.h"
#include "rules/action.h"
#include "store/ledger.h"

struct api_error;
struct config;
struct config_upstream;
struct operation;

/* Who decides what a repository contains. */
enum truth {
    TRUTH_HOSTED,   /* ours: what was pushed here */
    TRUTH_UPSTREAM, /* the upstream's: what is here is a copy */
};

/* Who can be asked for bytes of a repository that are not here. Peers and S3 will be others, for
 * hosted repositories as well. */
enum byte_source {
    BYTES_OF_UPSTREAM = 1,
};

#define RESOLVED_TEXT_SIZE (NAME_MAX_LENGTH + sizeof(DOCKER_HUB_LIBRARY))

/* Must not be moved: `name` may point into `text`. The rest is borrowed from the operation and the
 * configuration. */
struct resolved {
    enum truth truth;
    struct slice origin;                    /* the upstream's name; empty: hosted */
    struct slice name;                      /* as the ledger and the upstream know it */
    const struct config_upstream *upstream; /* its settings; NULL: hosted, or found by its id */
    bool is_bare;                           /* neither ns nor prefix said whose it is */
    bool is_known;                          /* the ledger has a record: */
    struct repository repository;
    char text[RESOLVED_TEXT_SIZE];
};

/* The name, and what is wanted of it: a bare name means another repository to a pusher. */
struct resolve_question {
    const struct config *config;
    const struct operation *operation;
    enum action action;
    struct slice local; /* the address that the client has connected to, for ns=; or empty */
    bool is_mirror;     /* the request came through a mirror listener */
    uint64_t now_ms;    /* wall clock */
};

/* 0, or -1 with *error: 404 NAME_UNKNOWN, 405 UNSUPPORTED for what cannot be written. *out is set
 * in both cases; its name is empty when no repository is meant. Only a principal that has rights to
 * the repository may be told the error. */
int resolve(const struct resolve_question *question, struct ledger_txn *txn, struct resolved *out,
            struct api_error *error);
/* The hosted repository of this name. */
void resolve_hosted(struct ledger_txn *txn, struct slice name, struct resolved *out);
/* The upstream's; `name` is as the upstream knows it. */
void resolve_cached(const struct config_upstream *upstream, struct ledger_txn *txn,
                    struct slice name, struct resolved *out);
/* The one that has this id; origin and name point into the map. False: there is none. */
bool resolve_by_id(struct ledger_txn *txn, uint32_t id, struct resolved *out);
/* The one that has this record in the ledger. */
void resolved_from_record(struct slice origin, struct slice name,
                          const struct repository *repository, struct resolved *out);
/* A set of enum byte_source. */
unsigned resolved_sources(const struct resolved *target);
/* The 405 for writing to a cached repository; returns -1. */
int resolve_refuse_write(const struct resolved *cached, struct api_error *error);
/* ?ns= names this server itself: it is one of `names:`. */
bool resolve_is_own_name(const struct config *config, struct slice registry);
/* The same by an address: one that we listen on, the one that the client has connected to, or a
 * loopback with any port, which is how a node calls us whose port is forwarded to us. An upstream
 * of that name comes first. */
bool resolve_is_own_address(const struct config *config, struct slice registry, struct slice local);
/* The first of several components is a registry's name: it has a dot, or is localhost. */
bool resolve_names_registry(struct slice name);
/* Looks the repository's record up again, in a newer snapshot. */
void resolve_refresh(struct resolved *target, struct ledger_txn *txn);
/* The default upstream's repository of the same bare name: a hosted name may be answered from it by
 * digest, from disk alone. False when the ledger has none. */
bool resolve_cached_namesake(const struct config *config, struct ledger_txn *txn, struct slice name,
                             struct resolved *out);

#endif
