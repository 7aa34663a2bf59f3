/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of an upstream (distribution-spec, token authentication): one for each repository, with
 * the scope "pull" and what else the challenge names, kept until shortly before they expire.
 * However many requests wait for a token, it is fetched once.
 *
 * Credentials are sent to the token server only when upstream_is_realm allows it and `expose` is
 * set; otherwise the token is anonymous. So it is when the token server refuses them. Its redirects
 * are followed, and each host is judged anew.
 */
#ifndef FETCHER_BEARER_H
#define FETCHER_BEARER_H

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
    bool is_fallback; /* anonymous because our login was refused */
};

/* A token that is still valid, or NULL. `repository`: its name at the upstream, with the prefix of
 * the address. */
const struct token *bearer_find(struct upstream *upstream, struct slice repository);
/* Forget the token: the upstream refused it. */
void bearer_drop(struct upstream *upstream, struct slice repository);
/* The answer to bearer_get; it comes once, never from inside another call. `token` lives until the
 * callback returns, and is NULL with an error: ERR_UNAUTHORIZED is the token server's refusal,
 * ERR_BUSY comes with the number of seconds to wait. is_fallback: our login is known to be refused,
 * an anonymous token is wanted. */
typedef void bearer_fn(const struct token *token, const struct error *err, uint64_t retry_after,
                       void *arg);
struct bearer_request {
    struct upstream *upstream;
    struct slice repository; /* what bearer_find is asked with */
    const struct challenge *challenge;
    bool is_fallback;
    bool
        is_foreign; /* the challenge of a redirect's host: without our login, for its scope alone */
};
struct token_wait *bearer_get(const struct bearer_request *request, bearer_fn *fn, void *arg);
void bearer_cancel(struct token_wait **wait);

#endif
