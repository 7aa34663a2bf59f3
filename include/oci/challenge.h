/* SPDX-License-Identifier: Apache-2.0 */
/* Parses WWW-Authenticate of an upstream (RFC 9110 11.6.1; token authentication of the
 * distribution specification). */
#ifndef OCI_CHALLENGE_H
#define OCI_CHALLENGE_H

#include "base/slice.h"

struct error;

/* How an upstream wants us to authenticate. */
enum challenge_scheme {
    CHALLENGE_BEARER,
    CHALLENGE_BASIC,
};

struct challenge {
    enum challenge_scheme scheme;
    char realm[1024];
    char service[1024];
    char scope[1024]; /* "": none; several are separated by spaces */
};

/* The first Bearer challenge in the header, else the first Basic one. ERR_INVALID; ERR_UNSUPPORTED
 * when there is neither; a Bearer challenge without realm is none. */
int challenge_parse(struct slice header, struct challenge *out, struct error *err);

#endif
