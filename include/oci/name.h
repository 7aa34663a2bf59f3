/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of repository names, tags and registry host names (distribution-spec, "Pulling
 * manifests"). */
#ifndef OCI_NAME_H
#define OCI_NAME_H

#include <stdbool.h>

#include "base/slice.h"

#define NAME_MAX_LENGTH     255
#define TAG_MAX_LENGTH      128
#define REGISTRY_MAX_LENGTH 255

/* Docker Hub: its canonical name, the hosts of its API and of its token service, and what a name of
 * one component there begins with. */
#define DOCKER_HUB            "docker.io"
#define DOCKER_HUB_HOST       "registry-1.docker.io"
#define DOCKER_HUB_TOKEN_HOST "auth.docker.io"
#define DOCKER_HUB_LIBRARY    "library/"

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*, at most 255 bytes. */
bool name_is_valid(struct slice name);
/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool tag_is_valid(struct slice tag);
/* host, host:port or [v6]:port, in lower case; no user, no path. */
bool registry_is_valid(struct slice registry);
/* The canonical name of a registry: "index.docker.io" and "registry-1.docker.io" are "docker.io";
 * others are returned unchanged. */
struct slice registry_canonical(struct slice registry);

#endif
