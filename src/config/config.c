/* SPDX-License-Identifier: Apache-2.0 */
/* The finished configuration: looked up in, and freed. */
#include "config/config.h"

#include "base/alloc.h"
#include "base/text.h"
#include "oci/name.h"
#include "reader.h"

void config_free(struct config **config)
{
    if (*config == NULL)
        return;
    upstreams_clear(*config);
    settings_free(&settings_of_config, *config);
    mem_free(*config);
    *config = NULL;
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
