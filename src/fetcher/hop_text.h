/* SPDX-License-Identifier: Apache-2.0 */
/* What the log and the clients are told about a request to an upstream that failed: which upstream,
 * which URL and address, why, and which setting is about it. */
#ifndef HOP_TEXT_H
#define HOP_TEXT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/slice.h"
#include "upstream.h"

struct error;

/* Where a transfer goes. */
struct hop_place {
    const struct upstream *upstream;
    const char *url;             /* borrowed; its query is never printed: it may be a signature */
    bool is_proxy;               /* the address is a proxy's */
    char address[64];            /* that was connected to last; "": none yet */
    char why[UPSTREAM_WHY_SIZE]; /* the last failure, without the path that was asked for; "": none
                                    yet */
};

/* Remember the address that is connected to. */
void hop_place_note(struct hop_place *place, const struct sockaddr *address);
/* A transfer failed with *err: add upstream, URL, address and the setting that may help.
 * place->why says the same to those who ask for something else. */
void hop_text_failure(struct hop_place *place, struct error *err);
/* The answer was refused with this status: the same. */
void hop_text_status(struct hop_place *place, int status, struct error *err);
/* The address is now known to be down (why: *err), or works again (NULL): a line in the log. */
void hop_text_state(const struct hop_place *place, const struct error *err);

#endif
