/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the map of upstreams and the rules for their tags. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "files.h"
#include "oci/name.h"
#include "reader.h"
#include "values.h"

#define UPSTREAMS_MAX 256
#define TAG_RULES_MAX 64

static void upstream_free(struct config_upstream *upstream)
{
    settings_free(&settings_of_upstream, upstream);
    for (size_t i = 0; i < upstream->tag_count; i++)
        settings_free(&settings_of_tag, &upstream->tags[i]);
    mem_free(upstream->tags);
    mem_free(upstream->name);
    mem_free(upstream->password);
}

void upstreams_clear(struct config *config)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        upstream_free(&config->upstreams[i]);
    mem_free(config->upstreams);
    config->upstreams = NULL;
    config->upstream_count = 0;
}

static struct config_upstream *upstream_find(struct config *config, struct slice name)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (slice_is(name, config->upstreams[i].name))
            return &config->upstreams[i];
    }
    return NULL;
}

struct config_upstream *upstream_get(struct config *config, struct slice name)
{
    struct config_upstream *there = upstream_find(config, name);

    if (there)
        return there;
    config->upstreams =
        mem_realloc(config->upstreams, (config->upstream_count + 1) * sizeof(*config->upstreams));
    struct config_upstream *upstream = &config->upstreams[config->upstream_count++];
    *upstream = (struct config_upstream){.name = slice_dup(name)};
    settings_set_initial(&settings_of_upstream, upstream);
    return upstream;
}

void upstream_make_default(struct config *config, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        config->upstreams[i].is_default = &config->upstreams[i] == upstream;
}

/* ---- tags ---- */

static void read_tag_rule(struct reader *reader, const struct node *map,
                          struct config_tag_rule *rule, const char *path)
{
    settings_set_initial(&settings_of_tag, rule);
    for (size_t i = 0; i < map->count; i += 2) {
        if (!reader_key_is_right(reader, map, i, path))
            continue;
        const struct node *key = map->items[i];
        char below[READER_PATH_SIZE];
        (void)snprintf(below, sizeof(below), "%.380s.%.100s", path, key->text);
        const struct setting *setting = setting_find(&settings_of_tag, node_text(key));
        if (setting) {
            reader_read_setting(reader, setting, rule, map->items[i + 1], below);
            continue;
        }
        AUTO_BUF struct buf suggestion;
        buf_init(&suggestion, 128);
        setting_suggest(&settings_of_tag, "", node_text(key), NULL, &suggestion);
        reader_unknown_key(reader, &key->at, below, buf_text(&suggestion));
    }
}

static void read_tags(struct reader *reader, const struct node *list,
                      struct config_upstream *upstream, const char *path)
{
    if (list->kind == NODE_EMPTY)
        return;
    if (list->kind != NODE_LIST || list->count > TAG_RULES_MAX) {
        reader_problem(
            reader, &list->at, path,
            "expected a list of at most %u rules, like [ { match: \"v*\", immutable: true } ]",
            TAG_RULES_MAX);
        return;
    }
    upstream->tags = mem_zalloc(list->count + 1, sizeof(*upstream->tags));
    for (size_t i = 0; i < list->count; i++) {
        char below[READER_PATH_SIZE];

        (void)snprintf(below, sizeof(below), "%.450s[%zu]", path, i);
        if (list->items[i]->kind != NODE_MAP) {
            reader_problem(reader, &list->items[i]->at, below,
                           "expected a rule like { match: \"*\", ttl: 60s }");
        } else {
            read_tag_rule(reader, list->items[i], &upstream->tags[upstream->tag_count++], below);
        }
    }
}

/* ---- one upstream ---- */

static void read_default(struct reader *reader, struct config_upstream *upstream,
                         const struct node *value, const char *path)
{
    if (slice_is(slice_of(upstream->name), DOCKER_HUB))
        reader->is_hub_implied = false;
    if (!upstream->is_default)
        return;
    for (size_t i = 0; i < reader->config->upstream_count; i++) {
        const struct config_upstream *other = &reader->config->upstreams[i];

        if (other != upstream && other->is_default) {
            reader_problem(reader, &value->at, path,
                           "%s is the default already, and only one upstream can be; set default: "
                           "false for the other",
                           other->name);
        }
    }
}

static void read_password(struct reader *reader, struct config_upstream *upstream,
                          const struct node *value, const char *path)
{
    if (reader->is_trusted && value->kind == NODE_TEXT) {
        mem_free(upstream->password);
        upstream->password = slice_dup(node_text(value));
        return;
    }
    reader_problem(reader, &value->at, path,
                   "passwords may not be in this file; put it in a file of its own and set "
                   "password_file: PATH");
}

static void read_upstream_key(struct reader *reader, struct config_upstream *upstream,
                              const struct node *key, const struct node *value)
{
    char path[READER_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "upstreams.%.255s.%.100s", upstream->name, key->text);
    const struct setting *setting = setting_find(&settings_of_upstream, node_text(key));
    if (setting) {
        reader_read_setting(reader, setting, upstream, value, path);
        if (slice_is(node_text(key), "default"))
            read_default(reader, upstream, value, path);
    } else if (slice_is(node_text(key), "tags")) {
        read_tags(reader, value, upstream, path);
    } else if (slice_is(node_text(key), "password")) {
        read_password(reader, upstream, value, path);
    } else if (setting_find(&settings_of_tag, node_text(key))) {
        reader_problem(reader, &key->at, path,
                       "this is a key of a rule for tags; write tags: [ { %s: … } ]", key->text);
    } else {
        AUTO_BUF struct buf suggestion;

        buf_init(&suggestion, 128);
        setting_suggest(&settings_of_upstream, "", node_text(key), "tags", &suggestion);
        reader_unknown_key(reader, &key->at, path, buf_text(&suggestion));
    }
}

static void read_upstream(struct reader *reader, const struct node *key, const struct node *value)
{
    char path[READER_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "upstreams.%.255s", key->text);
    AUTO_FREE char *host = NULL;
    struct error err;
    if (value_host(node_text(key), &host, &err) != 0) {
        reader_problem(reader, &key->at, path, "%s", err.text);
        return;
    }
    if (value->kind != NODE_MAP && value->kind != NODE_EMPTY) {
        reader_problem(reader, &value->at, path, "expected the settings of the upstream, or {}");
        return;
    }
    struct slice name = registry_canonical(slice_of(host));
    if (upstream_find(reader->config, name)) {
        reader_problem(reader, &key->at, path, "the upstream %.*s is listed twice; remove one",
                       SLICE_PRINT(name));
        return;
    }
    struct config_upstream *upstream = upstream_get(reader->config, name);
    for (size_t i = 0; i < value->count; i += 2) {
        if (reader_key_is_right(reader, value, i, path))
            read_upstream_key(reader, upstream, value->items[i], value->items[i + 1]);
    }
}

void upstreams_read(struct reader *reader, const struct node *map)
{
    if (map->kind == NODE_EMPTY)
        return;
    if (map->kind != NODE_MAP) {
        reader_problem(reader, &map->at, "upstreams",
                       "expected a map, not a %s; write each name with its settings, like "
                       "upstreams: { docker.io: {}, ghcr.io: {} }",
                       map->kind == NODE_LIST ? "list" : "text");
        return;
    }
    reader->upstreams_at = (struct position){map->at.source, map->at.line, map->at.column};
    reader->has_upstreams = true;
    reader->is_hub_implied = true;
    for (size_t i = 0; i < map->count; i += 2) {
        if (reader_key_is_right(reader, map, i, "upstreams"))
            read_upstream(reader, map->items[i], map->items[i + 1]);
    }
}

static void add_by_name(struct reader *reader, struct slice name, const struct position *at)
{
    AUTO_FREE char *host = NULL;
    struct error err;

    if (slice_is_nocase(name, "none"))
        reader_problem(reader, at, "upstreams", "write {} for no upstream at all");
    else if (value_host(name, &host, &err) != 0)
        reader_problem(reader, at, "upstreams", "%s", err.text);
    else
        (void)upstream_get(reader->config, registry_canonical(slice_of(host)));
}

/* "ghcr.io, quay.io", one text or a list. */
static void add_by_names(struct reader *reader, const struct node *node, const struct position *at)
{
    struct slice part;

    if (node->kind != NODE_TEXT) {
        reader_problem(reader, at, "upstreams",
                       "expected names, like [ghcr.io, quay.io]; an upstream with settings is "
                       "written { NAME: { url: URL } }");
        return;
    }
    for (struct slice rest = node_text(node); slice_split(&rest, ',', &part);) {
        if (slice_trim(part).length > 0)
            add_by_name(reader, slice_trim(part), at);
    }
}

void upstreams_read_text(struct reader *reader, struct slice text, const struct position *at)
{
    struct node *root = NULL;
    struct position where;
    struct error err;

    if (node_read(text, at->source, &root, &where, &err) != 0 || !root) {
        reader_problem(reader, root ? &where : at, "upstreams",
                       "expected names separated by commas, or a map as YAML, like { ghcr.io: {} "
                       "}%s%s",
                       text.length > 0 ? ": " : "", text.length > 0 ? err.text : "");
        node_free(&root);
        return;
    }
    upstreams_clear(reader->config);
    reader->has_upstreams = true;
    reader->is_hub_implied = true;
    if (root->kind == NODE_MAP)
        upstreams_read(reader, root);
    else if (root->kind == NODE_TEXT)
        add_by_names(reader, root, at);
    for (size_t i = 0; root->kind == NODE_LIST && i < root->count; i++)
        add_by_names(reader, root->items[i], at);
    node_free(&root);
}

void upstream_set_text(struct reader *reader, struct slice path, struct slice text,
                       const struct position *at)
{
    ptrdiff_t dot = slice_find_last(path, '.');
    struct slice key = dot < 0 ? path : slice_skip(path, (size_t)dot + 1);
    const struct setting *setting = setting_find(&settings_of_upstream, key);
    AUTO_FREE char *host = NULL;
    struct error err;

    if (!setting || dot < 0 || value_host(slice_from(path.data, (size_t)dot), &host, &err) != 0) {
        reader_problem(reader, at, "upstreams",
                       "expected upstreams.NAME.KEY=VALUE, with a key like url; passwords and "
                       "rules for tags are in the configuration file");
        return;
    }
    struct slice name = registry_canonical(slice_of(host));
    struct config_upstream *upstream = upstream_get(reader->config, name);
    if (setting_set(setting, upstream, &text, 1, &err) != 0) {
        char full[READER_PATH_SIZE];

        (void)snprintf(full, sizeof(full), "upstreams.%.*s", SLICE_PRINT(path));
        reader_problem(reader, at, full, "%s", err.text);
        return;
    }
    if (slice_is(key, "default")) {
        if (slice_is(name, DOCKER_HUB) || upstream->is_default)
            reader->is_hub_implied = false;
        if (upstream->is_default)
            upstream_make_default(reader->config, upstream);
    }
}

/* ---- at the end ---- */

static void finish_credentials(struct reader *reader, const struct config_upstream *upstream,
                               const struct position *at, const char *path)
{
    if ((!upstream->username) != (!upstream->password)) {
        reader_problem(reader, at, path, "set both username and password_file, or neither");
        return;
    }
    if (upstream->username && !upstream->expose) {
        reader_warning(
            reader, at, path,
            "the credentials are not used unless expose: true says that everybody who may "
            "pull from here may get what they fetch");
    }
}

static void finish_tags(struct config_upstream *upstream)
{
    if (upstream->tag_count > 0)
        return;
    mem_free(upstream->tags);
    upstream->tags = NEW(struct config_tag_rule);
    upstream->tag_count = 1;
    settings_set_initial(&settings_of_tag, upstream->tags);
}

static void finish_urls(struct config_upstream *upstream)
{
    if (upstream->urls.count > 0)
        return;
    const char *host =
        slice_is(slice_of(upstream->name), DOCKER_HUB) ? DOCKER_HUB_HOST : upstream->name;
    AUTO_BUF struct buf url;
    buf_init(&url, 512);
    buf_printf(&url, "https://%s", host);
    struct slice value = buf_bytes(&url);
    struct error err;
    CHECK(setting_set(setting_find(&settings_of_upstream, SLICE_LITERAL("url")), upstream, &value,
                      1, &err) == 0);
}

void upstreams_finish(struct reader *reader)
{
    struct config *config = reader->config;
    static const struct position nowhere = {"configuration", 0, 0};
    struct position at = reader->upstreams_at.source ? reader->upstreams_at : nowhere;
    bool has_default = false;

    if (config->upstream_count > UPSTREAMS_MAX) {
        reader_problem(reader, &at, "upstreams", "there are %zu upstreams; at most %u are allowed",
                       config->upstream_count, UPSTREAMS_MAX);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        struct config_upstream *upstream = &config->upstreams[i];
        char path[READER_PATH_SIZE];

        (void)snprintf(path, sizeof(path), "upstreams.%.255s", upstream->name);
        finish_urls(upstream);
        finish_tags(upstream);
        if (!reader->is_trusted) {
            files_finish(reader, upstream, &at, path);
            finish_credentials(reader, upstream, &at, path);
        }
        has_default = has_default || upstream->is_default;
    }
    files_link(config);
    struct config_upstream *implied = upstream_find(config, slice_of(DOCKER_HUB));
    if (!has_default && implied && reader->is_hub_implied)
        implied->is_default = true;
}
