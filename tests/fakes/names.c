/* SPDX-License-Identifier: Apache-2.0 */
/* The linker prefers these functions to those of the C library. Names may be set only while no
 * thread asks. */
#include "fakes/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/slice.h"

#define NAMES_MAX 1200

struct fake_name {
    char name[300];
    char addresses[700];
    int failure;
    atomic_uint asked;
};

/* One allocation: what freeaddrinfo() gets. */
struct fake_info {
    struct addrinfo info;
    struct sockaddr_storage address;
};

static struct fake_name names[NAMES_MAX];
static unsigned name_count;
static atomic_uint asked_in_all;
static atomic_bool is_held;
static atomic_uint inside; /* calls of getaddrinfo that have not returned */

static struct fake_name *find_name(const char *name)
{
    for (unsigned i = 0; i < name_count; i++) {
        if (strcasecmp(names[i].name, name) == 0)
            return &names[i];
    }
    return NULL;
}

void fake_name_set(const char *name, const char *addresses, int failure)
{
    struct fake_name *found = find_name(name);

    if (!found) {
        CHECK(name_count < NAMES_MAX);
        found = &names[name_count++];
        (void)snprintf(found->name, sizeof(found->name), "%s", name);
        found->asked = 0;
    }
    (void)snprintf(found->addresses, sizeof(found->addresses), "%s", addresses ? addresses : "");
    found->failure = failure;
}

unsigned fake_name_asked(const char *name)
{
    const struct fake_name *found = name ? find_name(name) : NULL;

    if (!name)
        return asked_in_all;
    return found ? found->asked : 0;
}

void fake_names_hold(bool is_wanted)
{
    is_held = is_wanted;
}

/* Threads that still ask read the table. */
void fake_names_clear(void)
{
    is_held = false;
    while (inside > 0)
        sched_yield();
    name_count = 0;
    asked_in_all = 0;
}

static bool parse_address(struct slice text, int family, struct fake_info *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char copy[64];

    (void)snprintf(copy, sizeof(copy), "%.*s", SLICE_PRINT(text));
    out->info.ai_addr = (struct sockaddr *)(void *)&out->address;
    out->info.ai_socktype = SOCK_STREAM;
    if (inet_pton(AF_INET, copy, &v4.sin_addr) == 1) {
        memcpy(&out->address, &v4, sizeof(v4));
        out->info.ai_family = AF_INET;
        out->info.ai_addrlen = sizeof(v4);
        return true;
    }
    CHECK(inet_pton(AF_INET6, copy, &v6.sin6_addr) == 1);
    memcpy(&out->address, &v6, sizeof(v6));
    out->info.ai_family = AF_INET6;
    out->info.ai_addrlen = sizeof(v6);
    return family != AF_INET;
}

static int look_up(const char *name, const struct addrinfo *hints, struct addrinfo **out)
{
    struct fake_name *found = find_name(name);
    struct addrinfo **end = out;

    if (!found)
        return EAI_NONAME;
    atomic_fetch_add(&found->asked, 1);
    if (found->failure != 0)
        return found->failure;
    struct slice rest = slice_of(found->addresses);
    struct slice text;
    *out = NULL;
    while (slice_split(&rest, ' ', &text)) {
        struct fake_info *one = NEW(struct fake_info);

        if (!parse_address(text, hints ? hints->ai_family : AF_UNSPEC, one)) {
            mem_free(one);
            continue;
        }
        *end = &one->info;
        end = &one->info.ai_next;
    }
    return 0;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)service;
    atomic_fetch_add(&inside, 1);
    atomic_fetch_add(&asked_in_all, 1);
    while (is_held)
        sched_yield();
    int failure = look_up(name ? name : "", hints, out);
    atomic_fetch_sub(&inside, 1);
    return failure;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;

        mem_free(list);
        list = next;
    }
}
