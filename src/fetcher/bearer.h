/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of an upstream (distribution-spec, token authentication): one a repository, "pull" only,
 * kept until shortly before they end; asked for once, whatever the number of those who wait.
 *
 * Credentials go to the token server only when upstream_is_realm says that it is theirs, and only
 * if `expose` is set; else the token is anonymous.
 */
#ifndef BEARER_H
#define BEARER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct challenge;
struct error;
struct token_wait;
struct upstream;

struct token {
    char *value;
    bool with_credentials;
};

/* A token that is still good, or NULL. */
const struct token *bearer_find(struct upstream *upstream, struct slice repository);
/* The upstream refused it. */
void bearer_drop(struct upstream *upstream, struct slice repository);
/* Get a new one. Called once, not from inside another call: `token` lives until it returns; NULL
 * with an error: ERR_UNAUTHORIZED and ERR_DENIED are the token server's own word, ERR_BUSY comes
 * with the seconds it wants us to wait. */
typedef void bearer_fn(const struct token *token, const struct error *err, uint64_t retry_after,
                       void *arg);
struct token_wait *bearer_get(struct upstream *upstream, struct slice repository,
                              const struct challenge *challenge, bearer_fn *fn, void *arg);
void bearer_cancel(struct token_wait **wait);

#endif
