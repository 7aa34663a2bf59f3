/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the environment: ENTREPOT_STORAGE_PATH is storage.path, and so on. The entries of a
 * list are separated by commas. ENTREPOT_UPSTREAMS is a list of names, or the map as YAML. */
#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/text.h"
#include "config/config.h"
#include "foreign.h"
#include "reader.h"

#define VARIABLE_MAX 256

static const char prefix[] = "ENTREPOT_";

/* Is `name` the setting's in capitals, with '_' for '.'? */
static bool is_name_of(struct slice name, const struct setting *setting)
{
    struct slice path = slice_of(setting->path);

    if (path.length != name.length)
        return false;
    for (size_t i = 0; i < path.length; i++) {
        char wanted = setting_capital(path.data[i]);

        if (name.data[i] != wanted)
            return false;
    }
    return true;
}

/* "5000_TCP", "5000_TCP_ADDR" and the like. */
static bool is_port_of_service(struct slice rest)
{
    static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
    static const char *const parts[] = {"", "_PROTO", "_PORT", "_ADDR"};
    struct slice number;
    uint64_t port = 0;
    struct error ignored;

    if (!slice_split(&rest, '_', &number) || text_parse_u64(number, &port, &ignored) != 0)
        return false;
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (!slice_starts_with(rest, protocols[i]))
            continue;
        struct slice end = slice_skip(rest, strlen(protocols[i]));
        for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
            if (slice_is(end, parts[k]))
                return true;
        }
    }
    return false;
}

bool variable_is_of_kubernetes(struct slice name, struct slice value)
{
    bool is_url = slice_starts_with(value, "tcp://") || slice_starts_with(value, "udp://") ||
                  slice_starts_with(value, "sctp://");

    if (slice_ends_with(name, "_SERVICE_HOST") || slice_ends_with(name, "_SERVICE_PORT") ||
        (slice_ends_with(name, "_PORT") && is_url))
        return true;
    for (size_t i = 0; i < name.length; i++) {
        struct slice rest = slice_skip(name, i);

        if (slice_starts_with(rest, "_SERVICE_PORT_") ||
            (slice_starts_with(rest, "_PORT_") && is_port_of_service(slice_skip(rest, 6))))
            return true;
    }
    return false;
}

/* A build with failpoints reads this variable by itself. */
static bool is_of_tests(struct slice name)
{
#ifdef ENTREPOT_FAILPOINTS
    return slice_is(name, "FAILPOINTS");
#else
    (void)name;
    return false;
#endif
}

/* "STORAGE_PATH" as "storage.path". */
static void print_path(struct slice key, struct buf *out)
{
    for (size_t i = 0; i < key.length; i++) {
        char letter = key.data[i];

        buf_append_byte(out, letter == '_' ? '.' : (char)tolower((unsigned char)letter));
    }
}

/* The setting that was probably meant, or NULL. */
static const struct setting *suggest(struct slice path)
{
    const struct setting *nearest = NULL;
    unsigned distance = 4;

    for (size_t i = 0; i < settings_of_config.count; i++) {
        const struct setting *setting = &settings_of_config.items[i];
        char dotted[64];
        size_t length = 0;

        for (const char *c = setting->path; *c != '\0' && length < sizeof(dotted); c++)
            dotted[length++] = *c == '_' ? '.' : *c;
        unsigned here = text_distance(path, slice_from(dotted, length));
        if (here < distance) {
            nearest = setting;
            distance = here;
        }
    }
    return nearest;
}

/* A variable that is no setting: a warning, because some other program may want it; but a wish for
 * protection that is not there is never ignored. */
static void refuse_variable(struct reader *reader, const struct position *at, struct slice key)
{
    AUTO_BUF struct buf path;
    AUTO_BUF struct buf name;

    buf_init(&path, VARIABLE_MAX);
    buf_init(&name, VARIABLE_MAX);
    print_path(key, &path);
    const struct foreign_setting *foreign = foreign_setting_find(buf_bytes(&path));
    const struct setting *nearest = suggest(buf_bytes(&path));
    if (foreign && foreign->is_protected) {
        reader_problem(reader, at, NULL, "%s", foreign->sentence);
    } else if (foreign) {
        reader_warning(reader, at, NULL, "%s; the variable is ignored", foreign->sentence);
    } else if (slice_starts_with(key, "UPSTREAM")) {
        reader_warning(reader, at, NULL,
                       "ENTREPOT_UPSTREAMS holds all upstreams, as names or as YAML like { "
                       "ghcr.io: { url: URL } }; the variable is ignored");
    } else if (reader_is_group(buf_bytes(&path))) {
        reader_warning(reader, at, NULL,
                       "this is a group of settings, whose names are longer (entrepot help "
                       "settings lists them); the variable is ignored");
    } else if (nearest) {
        for (const char *c = nearest->path; *c != '\0'; c++)
            buf_append_byte(&name, setting_capital(*c));
        reader_warning(reader, at, NULL,
                       "there is no such setting, did you mean ENTREPOT_%s? The variable is "
                       "ignored",
                       buf_text(&name));
    } else {
        reader_warning(reader, at, NULL,
                       "there is no such setting (entrepot help settings lists them); the "
                       "variable is ignored");
    }
}

static void read_one(struct reader *reader, struct slice name, struct slice value)
{
    char shown[128] = {0};
    size_t length = name.length < sizeof(shown) - 1 ? name.length : sizeof(shown) - 1;

    memcpy(shown, name.data, length);
    struct position at = {shown, 0, 0};
    struct slice key = slice_skip(name, sizeof(prefix) - 1);
    if (value.length == 0 || slice_is(key, "CONFIG") || variable_is_of_kubernetes(name, value))
        return; /* an empty variable is no wish; config_file reads ENTREPOT_CONFIG */
    if (slice_is(key, "UPSTREAMS")) {
        upstreams_read_text(reader, value, &at);
        /* `shown` does not outlive this call. */
        reader->upstreams_at = (struct position){"ENTREPOT_UPSTREAMS", 0, 0};
        return;
    }
    for (size_t i = 0; i < settings_of_config.count; i++) {
        const struct setting *setting = &settings_of_config.items[i];

        if (is_name_of(key, setting)) {
            reader_set_text(reader, setting, value, &at);
            /* `shown` does not outlive this call. */
            reader->at[i] = (struct position){"environment", 0, 0};
            return;
        }
    }
    if (!is_of_tests(key))
        refuse_variable(reader, &at, key);
}

bool config_is_variable(const char *entry)
{
    struct slice value = slice_of(entry);
    struct slice name;

    if (!slice_split(&value, '=', &name))
        return false;
    if (slice_starts_with(name, prefix))
        return !is_of_tests(slice_skip(name, sizeof(prefix) - 1));
    return slice_starts_with(name, "REGISTRY_") || slice_ends_with(name, "_proxy") ||
           slice_ends_with(name, "_PROXY");
}

void environment_read(struct reader *reader, const char *const *environment)
{
    for (; environment && *environment; environment++) {
        struct slice value = slice_of(*environment);
        struct slice name;

        if (slice_split(&value, '=', &name) && slice_starts_with(name, prefix))
            read_one(reader, name, value);
    }
}
