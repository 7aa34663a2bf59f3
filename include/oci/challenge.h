/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate of an upstream (RFC 9110 11.6.1; distribution-spec auth by token). */
#ifndef OCI_CHALLENGE_H
#define OCI_CHALLENGE_H

#include "base/slice.h"

struct error;

/* How an upstream wants to be shown who we are. */
enum challenge_scheme {
    CHALLENGE_BEARER,
    CHALLENGE_BASIC,
};

/* Its `scope` is not kept: what to ask for is our own to say. */
struct challenge {
    enum challenge_scheme scheme;
    char realm[1024];
    char service[1024];
};

/* The first Bearer challenge in the header, else the first Basic one. ERR_INVALID; ERR_UNSUPPORTED
 * when there is neither. */
int challenge_parse(struct slice header, struct challenge *out, struct error *err);

#endif
