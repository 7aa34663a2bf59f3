/* SPDX-License-Identifier: Apache-2.0 */
/* The proxies that are believed (`trusted_proxies`), and whom they name as the client. */
#ifndef WORKER_TRUST_H
#define WORKER_TRUST_H

#include <stdbool.h>

#include "base/network.h"
#include "config/config.h"

struct http_head;

struct trust {
    struct network networks[CONFIG_PROXIES_MAX];
    unsigned count;
    bool has_unix; /* whoever comes through a unix socket */
};

/* From the entries of the setting, which were checked. */
void trust_fill(struct trust *trust, const struct config_list *entries);
bool trust_is_set(const struct trust *trust);
/* `peer` is printed as net/listener.h does. */
bool trust_has(const struct trust *trust, const char *peer);
/* The nearest address behind the trusted proxies, printable, owned by the caller. NULL: it is the
 * peer itself, or nobody says who it is, or two fields of the head contradict each other. */
char *trust_find_client(const struct trust *trust, const struct http_head *head, const char *peer);

#endif
