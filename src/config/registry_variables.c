/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REGISTRY_* variables of the stock registry, so that only the image has to be changed. A
 * variable is refused, not ignored, when the server would otherwise be open to everybody, or store
 * its data in an unexpected place.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "oci/name.h"
#include "reader.h"
#include "values.h"

struct variables { /* borrowed from the environment; NULL: not there */
    const char *remote_url;
    const char *username;
    const char *password;
};

/* `at` does not outlive the call; a conflict that is found later has a general place. */
static void set_path(struct reader *reader, const char *path, const char *value,
                     const struct position *at)
{
    static const struct position from = {"environment (REGISTRY_*)", 0, 0};
    const struct setting *setting = setting_find(&settings_of_config, slice_of(path));

    reader_set_text(reader, setting, slice_of(value), at);
    reader->at[setting - settings_of_config.items] = from;
}

struct refusal {
    const char *prefix;
    const char *why;
};

#define ONE_DRIVER "there is only the filesystem driver; remove the variable"

static const struct refusal refusals[] = {
    {"REGISTRY_AUTH",
     "this version has no authentication, and without it the registry would be open to "
     "everybody; remove the variable, and put an authenticating proxy in front if you need one"},
    {"REGISTRY_HTTP_TLS", "this version speaks plain HTTP only; remove the variable, and let a "
                          "proxy in front terminate TLS"},
    {"REGISTRY_STORAGE_S3", ONE_DRIVER},
    {"REGISTRY_STORAGE_GCS", ONE_DRIVER},
    {"REGISTRY_STORAGE_AZURE", ONE_DRIVER},
    {"REGISTRY_STORAGE_SWIFT", ONE_DRIVER},
    {"REGISTRY_STORAGE_OSS", ONE_DRIVER},
    {"REGISTRY_STORAGE_COS", ONE_DRIVER},
    {"REGISTRY_STORAGE_INMEMORY", ONE_DRIVER},
    {"REGISTRY_STORAGE_MAINTENANCE_READONLY",
     "a whole registry cannot be made read-only; use listen: { address: ADDRESS, role: mirror }"},
};

/* "false", and a map that says { enabled: false }, leave things as they are. */
static bool is_no_wish(struct slice value)
{
    static const char *const no[] = {"", "false", "no", "off", "0", "none"};
    AUTO_FREE char *text = slice_dup(value);

    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (slice_is_nocase(slice_trim(value), no[i]))
            return true;
    }
    return strchr(text, '{') && strstr(text, "enabled") && strstr(text, "false");
}

/* True: it is one of those that may not be ignored, and if it is a wish, it was refused. */
static bool refuse(struct reader *reader, const char *name, const char *value,
                   const struct position *at)
{
    bool is_storage =
        slice_is(slice_of(name), "REGISTRY_STORAGE") && !slice_is(slice_of(value), "filesystem");
    const char *why = is_storage ? ONE_DRIVER : NULL;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]) && !why; i++) {
        if (slice_starts_with(slice_of(name), refusals[i].prefix))
            why = refusals[i].why;
    }
    if (why && !is_no_wish(slice_of(value)))
        reader_problem(reader, at, NULL, "%s", why);
    return why;
}

static void read_one(struct reader *reader, const char *name, const char *value,
                     struct variables *variables)
{
    struct position at = {name, 0, 0};
    struct slice key = slice_of(name);

    if (value[0] == '\0' || variable_is_of_kubernetes(key, slice_of(value)) ||
        refuse(reader, name, value, &at))
        return;
    if (slice_is(key, "REGISTRY_HTTP_ADDR")) {
        set_path(reader, "listen", value, &at);
    } else if (slice_is(key, "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY")) {
        set_path(reader, "storage.path", value, &at);
    } else if (slice_is(key, "REGISTRY_STORAGE_DELETE_ENABLED")) {
        set_path(reader, "hosted.delete", value, &at);
    } else if (slice_is(key, "REGISTRY_PROXY_REMOTEURL")) {
        variables->remote_url = value;
    } else if (slice_is(key, "REGISTRY_PROXY_USERNAME")) {
        variables->username = value;
    } else if (slice_is(key, "REGISTRY_PROXY_PASSWORD")) {
        variables->password = value;
    } else if (slice_is(key, "REGISTRY_PROXY_TTL")) {
        reader_warning(reader, &at, NULL,
                       "cached images are not removed by age; the variable is ignored");
    } else if (!slice_is(key, "REGISTRY_STORAGE")) {
        reader_warning(reader, &at, NULL,
                       "this variable of the stock registry has no counterpart here; "
                       "it is ignored");
    }
}

static void set_credentials(struct reader *reader, struct config_upstream *upstream,
                            const struct variables *variables)
{
    static const struct position at = {"REGISTRY_PROXY_PASSWORD", 0, 0};
    bool has_user = variables->username && variables->username[0] != '\0';
    bool has_password = variables->password && variables->password[0] != '\0';

    if (!has_user && !has_password)
        return;
    if (!has_user || !has_password || !value_is_text(slice_of(variables->username)) ||
        !value_is_text(slice_of(variables->password))) {
        reader_problem(reader, &at, NULL,
                       "set both REGISTRY_PROXY_USERNAME and REGISTRY_PROXY_PASSWORD, or neither; "
                       "they may not contain control characters");
        return;
    }
    mem_free(upstream->username);
    mem_free(upstream->password);
    mem_free(upstream->password_file);
    upstream->password_file = NULL;
    upstream->username = mem_strdup(variables->username);
    upstream->password = mem_strdup(variables->password);
}

/* The stock registry puts a path of the URL before /v2. */
static int read_remote_url(const char *text, char **out, struct error *err)
{
    struct slice url = slice_of(text);
    AUTO_BUF struct buf whole;

    buf_init(&whole, 8192);
    while (slice_ends_with(url, "/"))
        url.length--;
    buf_append_slice(&whole, url);
    if (!strstr(text, "/v2/") && !slice_ends_with(url, "/v2"))
        buf_append_text(&whole, "/v2");
    return value_url(buf_bytes(&whole), out, err);
}

static void warn_of_credentials(struct reader *reader, const struct variables *variables)
{
    static const struct position user = {"REGISTRY_PROXY_USERNAME", 0, 0};
    static const struct position password = {"REGISTRY_PROXY_PASSWORD", 0, 0};

    if (variables->username || variables->password) {
        reader_warning(reader, variables->username ? &user : &password, NULL,
                       "it is for the registry of REGISTRY_PROXY_REMOTEURL, which is not set; the "
                       "variable is ignored");
    }
}

/* The one upstream of the stock registry's mirror becomes our default. */
static void set_upstream(struct reader *reader, const struct variables *variables)
{
    static const struct position at = {"REGISTRY_PROXY_REMOTEURL", 0, 0};

    if (!variables->remote_url || variables->remote_url[0] == '\0') {
        warn_of_credentials(reader, variables);
        return;
    }
    AUTO_FREE char *url = NULL;
    struct error err;
    if (read_remote_url(variables->remote_url, &url, &err) != 0) {
        reader_problem(reader, &at, NULL, "%s", err.text);
        return;
    }
    if (!reader->has_upstreams)
        upstreams_clear(reader->config);
    struct slice value = slice_of(url);
    struct slice rest = slice_skip(value, slice_starts_with(value, "https://") ? 8 : 7);
    struct slice host = {0};
    (void)slice_split(&rest, '/', &host);
    struct config_upstream *upstream = upstream_get(reader->config, registry_canonical(host));
    upstream_make_default(reader->config, upstream);
    reader->upstreams_at = at;
    reader->has_upstreams = true;
    reader->is_hub_implied = false;
    if (setting_set(setting_find(&settings_of_upstream, SLICE_LITERAL("url")), upstream, &value, 1,
                    &err) != 0)
        reader_problem(reader, &at, NULL, "%s", err.text);
    set_credentials(reader, upstream, variables);
}

void registry_variables_read(struct reader *reader, const char *const *environment)
{
    struct variables variables = {0};

    for (; environment && *environment; environment++) {
        struct slice value = slice_of(*environment);
        struct slice name;

        if (!slice_split(&value, '=', &name) || !slice_starts_with(name, "REGISTRY_"))
            continue;
        char key[128] = {0};
        size_t length = name.length < sizeof(key) - 1 ? name.length : sizeof(key) - 1;
        memcpy(key, name.data, length);
        read_one(reader, key, value.data ? value.data : "", &variables);
    }
    set_upstream(reader, &variables);
}
