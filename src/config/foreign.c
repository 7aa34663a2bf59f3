/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that other registries have, and what is right here. */
#include "foreign.h"

#include <stddef.h>

#define NO_TLS                                                                                     \
    "this version speaks plain HTTP only; remove this, and let a proxy in front of it "            \
    "terminate TLS"
#define NO_USERS                                                                                   \
    "this version has no authentication; remove this, and put an authenticating proxy in front "   \
    "if you need one"
#define LISTEN        "addresses are set by listen: ADDRESS:PORT"
#define UPSTREAMS     "registries to fetch from are set by upstreams: { docker.io: {} }"
#define NO_EVENTS     "this version sends no notifications; remove this"
#define FOLDER        "the folder that holds everything is set by storage.path: DIR"
#define ONE_DRIVER    "there is only the file system; set the folder by storage.path: DIR"
#define STANDARD_LOG  "the log is written to standard error; whoever starts the server keeps it"
#define MORE_LOG      "write log: { level: debug }"
#define ADMIN_ADDRESS "/healthz, /readyz and /metrics are at the address that admin: ADDRESS sets"

static const struct foreign_setting foreign_settings[] = {
    {"tls", NO_TLS, true, true},
    {"auth", NO_USERS, true, true},
    {"users", NO_USERS, true, true},
    {"accesscontrol", NO_USERS, true, true},
    {"redis", "nothing is kept in Redis; remove this", true, false},
    {"http", LISTEN ", and TLS by a proxy in front", true, false},
    {"port", LISTEN, false, false},
    {"address", LISTEN, false, false},
    {"addr", LISTEN, false, false},
    {"bind", LISTEN, false, false},
    {"host", LISTEN, false, false},
    {"proxy", UPSTREAMS, true, false},
    {"mirror", UPSTREAMS, true, false},
    {"mirrors", UPSTREAMS, true, false},
    {"registries", UPSTREAMS, true, false},
    {"remotes", UPSTREAMS, true, false},
    {"upstream", UPSTREAMS, true, false},
    {"notifications", NO_EVENTS, true, false},
    {"webhooks", NO_EVENTS, true, false},
    {"data", FOLDER, false, false},
    {"dir", FOLDER, false, false},
    {"root", FOLDER, false, false},
    {"storage.filesystem", FOLDER, true, false},
    {"storage.rootdirectory", FOLDER, false, false},
    {"storage.s3", ONE_DRIVER, true, false},
    {"storage.gcs", ONE_DRIVER, true, false},
    {"storage.azure", ONE_DRIVER, true, false},
    {"storage.delete", "clients may delete unless hosted: { delete: false } is set", true, false},
    {"log.file", STANDARD_LOG, false, false},
    {"log.path", STANDARD_LOG, false, false},
    {"log.output", STANDARD_LOG, false, false},
    {"log.formatter", "write log: { format: text } or json", false, false},
    {"debug", MORE_LOG, false, false},
    {"verbose", MORE_LOG, false, false},
    {"health", ADMIN_ADDRESS, true, false},
    {"metrics", ADMIN_ADDRESS, true, false},
    {"readonly",
     "a whole registry cannot be made read-only; use listen: { address: ADDRESS, role: mirror }",
     false, true},
};

const struct foreign_setting *foreign_setting_find(struct slice path)
{
    for (size_t i = 0; i < sizeof(foreign_settings) / sizeof(foreign_settings[0]); i++) {
        const struct foreign_setting *foreign = &foreign_settings[i];
        size_t length = slice_of(foreign->path).length;
        bool is_below = foreign->is_group && path.length > length && path.data[length] == '.';

        if (slice_is(path, foreign->path) || (is_below && slice_starts_with(path, foreign->path)))
            return foreign;
    }
    return NULL;
}
