/* SPDX-License-Identifier: Apache-2.0 */
/* Sets settings from the nodes of a file. A refused value leaves the default, so that reading goes
 * on and finds the other problems. */
#include "reader.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "files.h"
#include "foreign.h"
#include "values.h"

static void __attribute__((format(printf, 4, 0)))
say(struct buf *out, const struct position *at, const char *path, const char *fmt, va_list args)
{
    buf_append_text(out, at->source);
    if (at->line != 0)
        buf_printf(out, ":%u:%u", at->line, at->column);
    buf_append_text(out, ": ");
    if (path)
        buf_printf(out, "%s: ", path);
    buf_vprintf(out, fmt, args);
    buf_append_byte(out, '\n');
}

void reader_problem(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(reader->problems, at, path, fmt, args);
    va_end(args);
    reader->problem_count++;
}

void reader_warning(struct reader *reader, const struct position *at, const char *path,
                    const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(reader->warnings, at, path, fmt, args);
    va_end(args);
}

void reader_unknown_key(struct reader *reader, const struct position *at, const char *path,
                        const char *suggestion)
{
    reader_problem(reader, at, path, "unknown setting%s",
                   suggestion[0] != '\0' ? suggestion : "; entrepot help settings lists them");
}

const struct position *reader_at(const struct reader *reader, const struct setting *setting)
{
    static const struct position unset = {"default", 0, 0};
    const struct position *at = &reader->at[setting - settings_of_config.items];

    return at->source ? at : &unset;
}

bool reader_is_written(const struct reader *reader, const struct setting *setting)
{
    return reader->at[setting - settings_of_config.items].source;
}

static void set(struct reader *reader, const struct setting *setting, void *object,
                const struct position *at)
{
    if (object == reader->config)
        reader->at[setting - settings_of_config.items] = *at;
}

bool reader_key_is_right(struct reader *reader, const struct node *map, size_t index,
                         const char *path)
{
    const struct node *key = map->items[index];

    if (key->kind != NODE_TEXT) {
        reader_problem(reader, &key->at, path, "expected the name of a setting");
        return false;
    }
    for (size_t i = 0; i < index; i += 2) {
        const struct node *other = map->items[i];

        if (other->kind == NODE_TEXT && slice_equal(node_text(other), node_text(key))) {
            reader_problem(reader, &key->at, path, "%s is set twice, first in line %u; remove one",
                           key->text, other->at.line);
            return false;
        }
    }
    return true;
}

/* ---- listen ---- */

static void read_mode(struct reader *reader, const struct node *value, unsigned *out)
{
    struct error err;

    if (value_mode(node_text(value), out, &err) != 0)
        reader_problem(reader, &value->at, "listen.mode", "%s", err.text);
}

static void read_flag(struct reader *reader, const struct node *value, const char *path, bool *out)
{
    struct error err;

    if (value_bool(node_text(value), out, &err) != 0)
        reader_problem(reader, &value->at, path, "%s", err.text);
}

struct listen_entry {
    struct slice address;
    struct slice group;
    unsigned mode;
    bool is_mirror;
    bool is_proxied;
};

static void check_listen_entry(struct reader *reader, const struct node *map,
                               const struct listen_entry *entry)
{
    bool is_unix = slice_starts_with(entry->address, "unix:");

    if (!is_unix && (entry->mode != 0 || entry->group.length > 0)) {
        reader_problem(reader, &map->at, "listen",
                       "mode and group are for unix:/path only; remove them from %.*s",
                       SLICE_PRINT(entry->address));
    }
}

static void read_listen_map(struct reader *reader, const struct node *map,
                            struct listen_entry *entry)
{
    for (size_t i = 0; i < map->count; i += 2) {
        const struct node *value = map->items[i + 1];

        if (!reader_key_is_right(reader, map, i, "listen"))
            continue;
        struct slice key = node_text(map->items[i]);
        if (slice_is(key, "address")) {
            entry->address = node_text(value);
        } else if (slice_is(key, "mode")) {
            read_mode(reader, value, &entry->mode);
        } else if (slice_is(key, "group")) {
            entry->group = node_text(value);
        } else if (slice_is(key, "proxy_protocol")) {
            read_flag(reader, value, "listen.proxy_protocol", &entry->is_proxied);
        } else if (slice_is(key, "role") && slice_is(node_text(value), "mirror")) {
            entry->is_mirror = true;
        } else if (slice_is(key, "role") && !slice_is(node_text(value), "full")) {
            reader_problem(reader, &value->at, "listen.role", "expected full or mirror");
        } else if (!slice_is(key, "role")) {
            reader_problem(
                reader, &map->items[i]->at, "listen",
                "unknown key %.*s; expected address, role, proxy_protocol, mode or group",
                SLICE_PRINT(key));
        }
    }
}

static void set_listen_entry(struct config_listen *listen, const struct listen_entry *entry)
{
    listen->is_mirror = entry->is_mirror;
    listen->is_proxied = entry->is_proxied;
    listen->mode = entry->mode;
    listen->group = entry->group.length > 0 ? slice_dup(entry->group) : NULL;
}

static void read_listens(struct reader *reader, const struct setting *setting,
                         const struct node *value)
{
    bool is_list = value->kind == NODE_LIST;
    size_t count = is_list ? value->count : 1;
    AUTO_FREE struct slice *addresses = mem_zalloc(count + 1, sizeof(*addresses));
    AUTO_FREE struct listen_entry *entries = mem_zalloc(count + 1, sizeof(*entries));

    for (size_t i = 0; i < count; i++) {
        const struct node *item = is_list ? value->items[i] : value;

        if (item->kind == NODE_MAP)
            read_listen_map(reader, item, &entries[i]);
        else
            entries[i].address = node_text(item);
        if (item->kind == NODE_MAP)
            check_listen_entry(reader, item, &entries[i]);
        addresses[i] = entries[i].address;
        if (addresses[i].length == 0) {
            reader_problem(reader, &item->at, setting->path,
                           "expected an address, or { address: ADDRESS, role: mirror }");
            return;
        }
    }
    struct error err;
    if (setting_set(setting, reader->config, addresses, count, &err) != 0) {
        reader_problem(reader, &value->at, setting->path, "%s", err.text);
        return;
    }
    for (size_t i = 0; i < count; i++)
        set_listen_entry(&reader->config->listens[i], &entries[i]);
    set(reader, setting, reader->config, &value->at);
}

/* ---- one setting ---- */

static void read_list(struct reader *reader, const struct setting *setting, void *object,
                      const struct node *value, const char *path)
{
    bool is_list = value->kind == NODE_LIST;
    size_t count = is_list ? value->count : 1;
    AUTO_FREE struct slice *texts = mem_zalloc(count + 1, sizeof(*texts));

    for (size_t i = 0; i < count; i++) {
        const struct node *item = is_list ? value->items[i] : value;

        if (item->kind != NODE_TEXT) {
            reader_problem(reader, &item->at, path,
                           "expected a text, or a list of texts like [a, b]");
            return;
        }
        texts[i] = node_text(item);
    }
    struct error err;
    if (setting_set(setting, object, texts, count, &err) != 0)
        reader_problem(reader, &value->at, path, "%s", err.text);
    else
        set(reader, setting, object, &value->at);
}

void reader_read_setting(struct reader *reader, const struct setting *setting, void *object,
                         const struct node *value, const char *path)
{
    if (value->kind == NODE_EMPTY)
        return;
    if (setting->type == SETTING_LISTENS) {
        read_listens(reader, setting, value);
        return;
    }
    if (setting_is_list(setting)) {
        read_list(reader, setting, object, value, path);
        return;
    }
    if (value->kind != NODE_TEXT) {
        reader_problem(reader, &value->at, path, "expected one value, not a %s",
                       value->kind == NODE_MAP ? "map" : "list");
        return;
    }
    struct slice text = node_text(value);
    struct error err;
    if (setting_set(setting, object, &text, 1, &err) != 0)
        reader_problem(reader, &value->at, path, "%s", err.text);
    else
        set(reader, setting, object, &value->at);
}

void reader_set_text(struct reader *reader, const struct setting *setting, struct slice text,
                     const struct position *at)
{
    AUTO_FREE struct slice *parts = mem_zalloc(text.length + 1, sizeof(*parts));
    size_t count = 0;
    struct slice rest = text;
    struct slice part;

    if (!setting_is_list(setting)) {
        parts[count++] = text;
    } else {
        while (slice_split(&rest, ',', &part)) {
            if (slice_trim(part).length > 0)
                parts[count++] = slice_trim(part);
        }
    }
    struct error err;
    if (setting_set(setting, reader->config, parts, count, &err) != 0)
        reader_problem(reader, at, setting->path, "%s", err.text);
    else
        set(reader, setting, reader->config, at);
}

/* ---- the file ---- */

bool reader_is_group(struct slice path)
{
    char prefix[READER_PATH_SIZE + 1];

    (void)snprintf(prefix, sizeof(prefix), "%.*s.", (int)(path.length < 500 ? path.length : 500),
                   path.data);
    for (size_t i = 0; i < settings_of_config.count; i++) {
        if (slice_starts_with(slice_of(settings_of_config.items[i].path), prefix))
            return true;
    }
    return false;
}

static void read_group(struct reader *reader, const struct node *map, const char *prefix);

/* The stock registry's file begins with `version: 0.1`; to name each of its keys would be noise. */
static bool is_of_stock_registry(const struct node *root, struct position *out_at)
{
    for (size_t i = 0; root->kind == NODE_MAP && i < root->count; i += 2) {
        if (slice_is(node_text(root->items[i]), "version")) {
            *out_at = root->items[i]->at;
            return true;
        }
    }
    return false;
}

static void read_key(struct reader *reader, const struct node *key, const struct node *value,
                     const char *prefix)
{
    char path[READER_PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%s%.100s", prefix, key->text);
    const struct setting *setting = setting_find(&settings_of_config, slice_of(path));
    if (setting) {
        reader_read_setting(reader, setting, reader->config, value, path);
    } else if (slice_is(slice_of(path), "upstreams")) {
        upstreams_read(reader, value);
    } else if (reader->is_trusted && slice_is(slice_of(path), "files")) {
        files_read_printed(reader, value);
    } else if (reader_is_group(slice_of(path))) {
        char below[READER_PATH_SIZE + 1];

        (void)snprintf(below, sizeof(below), "%s.", path);
        read_group(reader, value, below);
    } else if (foreign_setting_find(slice_of(path))) {
        reader_problem(reader, &key->at, path, "%s",
                       foreign_setting_find(slice_of(path))->sentence);
    } else {
        AUTO_BUF struct buf suggestion;

        buf_init(&suggestion, 256);
        setting_suggest(&settings_of_config, prefix, node_text(key),
                        prefix[0] == '\0' ? "upstreams" : NULL, &suggestion);
        reader_unknown_key(reader, &key->at, path, buf_text(&suggestion));
    }
}

static void read_group(struct reader *reader, const struct node *map, const char *prefix)
{
    if (map->kind == NODE_EMPTY)
        return;
    if (map->kind != NODE_MAP) {
        char group[READER_PATH_SIZE];
        int length = prefix[0] == '\0' ? 0 : (int)slice_of(prefix).length - 1;

        (void)snprintf(group, sizeof(group), "%.*s", length, prefix);
        reader_problem(reader, &map->at, length > 0 ? group : NULL,
                       "expected settings (key: value), not a %s",
                       map->kind == NODE_LIST ? "list" : "text");
        return;
    }
    for (size_t i = 0; i < map->count; i += 2) {
        if (reader_key_is_right(reader, map, i, prefix[0] != '\0' ? prefix : NULL))
            read_key(reader, map->items[i], map->items[i + 1], prefix);
    }
}

void reader_read(struct reader *reader, const struct node *root)
{
    struct position version = {0};

    if (!root)
        return;
    if (is_of_stock_registry(root, &version)) {
        reader_problem(reader, &version, NULL,
                       "this is a configuration of the stock registry; `entrepot help example` "
                       "prints one of this program, which also reads the REGISTRY_ variables");
    } else {
        read_group(reader, root, "");
    }
}
