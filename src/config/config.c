/* SPDX-License-Identifier: Apache-2.0 */
/* The finished configuration: its references, and what is looked up in it. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "files.h"
#include "oci/name.h"
#include "reader.h"

struct config *config_ref(struct config *config)
{
    CHECK(config->references > 0);
    config->references++;
    return config;
}

void config_unref(struct config **config)
{
    if (!*config)
        return;
    struct config *old = TAKE(*config);
    CHECK(old->references > 0);
    if (--old->references > 0)
        return;
    upstreams_clear(old);
    files_clear(old);
    settings_free(&settings_of_config, old);
    mem_free(old);
}

const struct config_upstream *config_upstream_find(const struct config *config, struct slice name)
{
    struct slice canonical = registry_canonical(name);

    for (size_t i = 0; i < config->upstream_count; i++) {
        if (slice_is(canonical, config->upstreams[i].name))
            return &config->upstreams[i];
    }
    return NULL;
}

const struct config_upstream *config_upstream_default(const struct config *config)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (config->upstreams[i].is_default)
            return &config->upstreams[i];
    }
    return NULL;
}

static bool text_is_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool list_is_equal(const struct config_list *a, const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

bool config_upstream_has_same_login(const struct config_upstream *a,
                                    const struct config_upstream *b)
{
    return text_is_equal(a->username, b->username) && text_is_equal(a->password, b->password);
}

bool config_upstream_is_reached_alike(const struct config_upstream *a,
                                      const struct config_upstream *b)
{
    return list_is_equal(&a->urls, &b->urls) && list_is_equal(&a->redirects, &b->redirects) &&
           list_is_equal(&a->auth_hosts, &b->auth_hosts) &&
           list_is_equal(&a->http_hosts, &b->http_hosts) && config_upstream_has_same_login(a, b) &&
           text_is_equal(a->ca, b->ca) && text_is_equal(a->cert, b->cert) &&
           text_is_equal(a->key, b->key) && a->verifies_tls == b->verifies_tls &&
           text_is_equal(a->proxy, b->proxy) && a->expose == b->expose;
}

const struct config_tag_rule *config_tag_rule(const struct config_upstream *upstream,
                                              struct slice tag)
{
    static char everything[] = "*";
    static const struct config_tag_rule otherwise = {
        .match = everything, .ttl_ms = 60000, .stale_if_error_ms = UINT64_MAX};

    for (size_t i = 0; i < upstream->tag_count; i++) {
        if (text_matches(slice_of(upstream->tags[i].match), tag))
            return &upstream->tags[i];
    }
    return &otherwise;
}

bool config_list_matches(const struct config_list *patterns, struct slice text)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (text_matches(slice_of(patterns->items[i]), text))
            return true;
    }
    return false;
}

static bool is_mark(char letter)
{
    return letter == '.' || letter == '_' || letter == '-';
}

const char *config_setting_like(struct slice name)
{
    for (size_t i = 0; i < settings_of_config.count; i++) {
        const char *path = settings_of_config.items[i].path;
        bool is_like = slice_of(path).length == name.length;

        for (size_t k = 0; k < name.length && is_like; k++)
            is_like = name.data[k] == path[k] || (is_mark(name.data[k]) && is_mark(path[k]));
        if (is_like)
            return path;
    }
    return NULL;
}

int config_control_path(const struct config *config, char out[CONFIG_SOCKET_SIZE],
                        struct error *err)
{
    bool is_auto = strcmp(config->control.address, "auto") == 0;

    if (strcmp(config->control.address, "none") == 0) {
        return error_set(err, ERR_NOT_FOUND,
                         "the administrator's socket is disabled (control.address: none)");
    }
    int length = is_auto
                     ? snprintf(out, CONFIG_SOCKET_SIZE, "%s/control.sock", config->storage.path)
                     : snprintf(out, CONFIG_SOCKET_SIZE, "%s", config->control.address);
    if (length < 0 || length >= CONFIG_SOCKET_SIZE) {
        return error_set(err, ERR_INVALID,
                         "control.address: the path %s/control.sock is longer than the %u bytes "
                         "that a socket's may have; set control.address to a shorter one",
                         config->storage.path, CONFIG_SOCKET_SIZE - 1);
    }
    return 0;
}
