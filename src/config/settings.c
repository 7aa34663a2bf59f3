/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of settings at run time. A value is checked before the old one is freed, so that a
 * refused one changes nothing. What setting_print writes, setting_set reads back as the same value.
 */
#include "settings.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "oci/byte_range.h"
#include "oci/name.h"
#include "oci/operation.h"
#include "values.h"

static const struct setting config_settings[] = {
#define SETTING(path, type, field, when, initial, minimum, maximum, help)                          \
    {path,                                                                                         \
     SETTING_##type,                                                                               \
     SETTING_NEEDS_##when,                                                                         \
     offsetof(struct config, field),                                                               \
     initial,                                                                                      \
     minimum,                                                                                      \
     maximum,                                                                                      \
     help},
#include "config/settings.def"
};

static const struct setting upstream_settings[] = {
#define UPSTREAM_SETTING(path, type, field, initial, minimum, maximum, help)                       \
    {path,                                                                                         \
     SETTING_##type,                                                                               \
     SETTING_NEEDS_RELOAD,                                                                         \
     offsetof(struct config_upstream, field),                                                      \
     initial,                                                                                      \
     minimum,                                                                                      \
     maximum,                                                                                      \
     help},
#include "config/settings.def"
};

static const struct setting tag_settings[] = {
#define TAG_SETTING(path, type, field, initial, minimum, maximum, help)                            \
    {path,                                                                                         \
     SETTING_##type,                                                                               \
     SETTING_NEEDS_RELOAD,                                                                         \
     offsetof(struct config_tag_rule, field),                                                      \
     initial,                                                                                      \
     minimum,                                                                                      \
     maximum,                                                                                      \
     help},
#include "config/settings.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(config_settings) <= SETTINGS_COUNT, "positions of settings");

const struct setting_table settings_of_config = {config_settings, COUNT(config_settings)};
const struct setting_table settings_of_upstream = {upstream_settings, COUNT(upstream_settings)};
const struct setting_table settings_of_tag = {tag_settings, COUNT(tag_settings)};

static const char *const level_words[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
static const char *const format_words[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json"};
static const char *const shadow_words[] = {
    [SHADOW_CHECK_ASK] = "ask", [SHADOW_CHECK_STRICT] = "strict", [SHADOW_CHECK_OFF] = "off"};
static const char *const location_words[] = {
    [LOCATION_AUTO] = "auto", [LOCATION_RELATIVE] = "relative", [LOCATION_ABSOLUTE] = "absolute"};
static const char *const verify_words[] = {"stream", "strict"};
static const char *const deleted_words[] = {"follow", "keep"};

const struct setting *setting_find(const struct setting_table *table, struct slice path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (slice_is(path, table->items[i].path))
            return &table->items[i];
    }
    return NULL;
}

/* The first component of a path: "storage" of "storage.path". */
static struct slice level_of(struct slice path)
{
    ptrdiff_t dot = slice_find(path, '.');

    return dot < 0 ? path : slice_from(path.data, (size_t)dot);
}

static void suggest_if_nearer(struct slice key, struct slice candidate, struct slice *best,
                              unsigned *distance)
{
    bool is_begun = key.length >= 3 && key.length < candidate.length &&
                    slice_equal(slice_from(candidate.data, key.length), key);
    unsigned here = is_begun ? 1 : text_distance(key, candidate);

    if (here < *distance) {
        *best = candidate;
        *distance = here;
    }
}

void setting_suggest(const struct setting_table *table, const char *prefix, struct slice key,
                     const char *more, struct buf *out)
{
    struct slice best = {NULL, 0};
    struct slice elsewhere = {NULL, 0};
    unsigned distance = key.length < 6 ? 3 : 4;

    for (size_t i = 0; i < table->count; i++) {
        struct slice path = slice_of(table->items[i].path);
        ptrdiff_t dot = slice_find_last(path, '.');

        if (slice_equal(slice_skip(path, (size_t)(dot + 1)), key))
            elsewhere = path;
        if (slice_starts_with(path, prefix)) {
            suggest_if_nearer(key, level_of(slice_skip(path, slice_of(prefix).length)), &best,
                              &distance);
        }
    }
    suggest_if_nearer(key, slice_of(more), &best, &distance);
    if (elsewhere.length > 0)
        buf_printf(out, ", did you mean %.*s?", SLICE_PRINT(elsewhere));
    else if (best.length > 0)
        buf_printf(out, ", did you mean %s%.*s?", prefix, SLICE_PRINT(best));
}

void settings_print_group(const struct setting_table *table, struct slice group, struct buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        struct slice path = slice_of(table->items[i].path);

        if (path.length > group.length && path.data[group.length] == '.' &&
            slice_equal(slice_from(path.data, group.length), group))
            buf_printf(out, "%s%.*s", count++ > 0 ? ", " : "", SLICE_PRINT(path));
    }
}

bool setting_is_list(const struct setting *setting)
{
    return setting->type == SETTING_LISTENS || setting->type >= SETTING_HOSTS;
}

static void *field_of(const struct setting *setting, void *object)
{
    return (char *)object + setting->offset;
}

/* ---- numbers ---- */

static void print_number(const struct setting *setting, uint64_t value, struct buf *out)
{
    if (setting->type == SETTING_SIZE)
        text_print_size(out, value);
    else if (setting->type == SETTING_DURATION && value == UINT64_MAX)
        buf_append_text(out, "forever");
    else if (setting->type == SETTING_DURATION)
        text_print_duration(out, value);
    else
        buf_printf(out, "%llu", (unsigned long long)value);
}

void setting_print_expected(const struct setting *setting, struct buf *out)
{
    bool is_size = setting->type == SETTING_SIZE;
    bool is_duration = setting->type == SETTING_DURATION;

    buf_append_text(out, is_size       ? "a size like 64KiB or 10GiB"
                         : is_duration ? "a duration like 250ms, 10s, 5m, 1h or 30d"
                                       : "a number");
    if (setting->minimum > 0) {
        buf_append_text(out, ", at least ");
        print_number(setting, setting->minimum, out);
    }
    if (setting->maximum == UINT64_MAX) {
        buf_append_text(out, ", or forever");
    } else {
        buf_append_text(out, ", at most ");
        print_number(setting, setting->maximum, out);
    }
}

static int number_parse(const struct setting *setting, struct slice text, uint64_t *out,
                        struct error *err)
{
    if (setting->type == SETTING_SIZE)
        return text_parse_size(text, out, err);
    if (setting->type != SETTING_DURATION)
        return text_parse_u64(text, out, err);
    if (slice_is(text, "forever")) {
        *out = UINT64_MAX;
        return 0;
    }
    return text_parse_duration(text, out, err);
}

static int number_set(const struct setting *setting, uint64_t *field, struct slice text,
                      struct error *err)
{
    uint64_t value = 0;

    if (number_parse(setting, text, &value, err) == 0 && value >= setting->minimum &&
        value <= setting->maximum) {
        *field = value;
        return 0;
    }
    AUTO_BUF struct buf expected;
    buf_init(&expected, 256);
    setting_print_expected(setting, &expected);
    return error_set(err, ERR_INVALID, "\"%.*s\" is not allowed; expected %s", SLICE_PRINT(text),
                     buf_text(&expected));
}

/* Sets a percentage like "80%", or a size. */
static int share_set(struct config *config, struct slice text, struct error *err)
{
    uint64_t value = 0;
    bool is_percent = slice_ends_with(text, "%");
    int rc = is_percent ? text_parse_u64(slice_from(text.data, text.length - 1), &value, err)
                        : text_parse_size(text, &value, err);

    if (rc != 0 || value == 0 || (is_percent && value > 99)) {
        return error_set(err, ERR_INVALID,
                         "\"%.*s\" is not allowed; expected a share from 1%% to 99%% or a size "
                         "like 200GiB",
                         SLICE_PRINT(text));
    }
    config->storage.cache_limit = is_percent ? 0 : value;
    config->storage.cache_limit_percent = is_percent ? (unsigned)value : 0;
    return 0;
}

static int workers_set(const struct setting *setting, unsigned *field, struct slice text,
                       struct error *err)
{
    uint64_t value = 0;

    if (!slice_is(text, "auto")) {
        if (text_parse_u64(text, &value, err) != 0 || value < setting->minimum ||
            value > setting->maximum) {
            return error_set(err, ERR_INVALID,
                             "\"%.*s\" is not allowed; expected auto or a number from %u to %u",
                             SLICE_PRINT(text), (unsigned)setting->minimum,
                             (unsigned)setting->maximum);
        }
    }
    *field = (unsigned)value;
    return 0;
}

/* ---- words ---- */

static int word_find(const char *const *words, size_t count, struct slice text, unsigned *out,
                     struct error *err)
{
    AUTO_BUF struct buf expected;

    buf_init(&expected, 128);
    for (size_t i = 0; i < count; i++) {
        if (slice_is(text, words[i])) {
            *out = (unsigned)i;
            return 0;
        }
        buf_printf(&expected, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
    }
    return error_set(err, ERR_INVALID, "\"%.*s\" is not allowed; expected %s", SLICE_PRINT(text),
                     buf_text(&expected));
}

static int word_set(const struct setting *setting, void *field, struct slice text,
                    struct error *err)
{
    unsigned index = 0;
    int rc = 0;

    if (setting->type == SETTING_LOG_LEVEL) {
        rc = word_find(level_words, COUNT(level_words), text, &index, err);
        if (rc == 0)
            *(enum log_level *)field = (enum log_level)index;
    } else if (setting->type == SETTING_LOG_FORMAT) {
        rc = word_find(format_words, COUNT(format_words), text, &index, err);
        if (rc == 0)
            *(enum log_format *)field = (enum log_format)index;
    } else if (setting->type == SETTING_LOCATION) {
        rc = word_find(location_words, COUNT(location_words), text, &index, err);
        if (rc == 0)
            *(enum location_form *)field = (enum location_form)index;
    } else if (setting->type == SETTING_SHADOW_CHECK) {
        rc = word_find(shadow_words, COUNT(shadow_words), text, &index, err);
        if (rc == 0)
            *(enum shadow_check *)field = (enum shadow_check)index;
    } else {
        const char *const *words = setting->type == SETTING_VERIFY ? verify_words : deleted_words;

        rc = word_find(words, 2, text, &index, err);
        if (rc == 0)
            *(bool *)field = index == 1;
    }
    return rc;
}

/* ---- texts and lists ---- */

static int text_make(const struct setting *setting, struct slice text, char **out,
                     struct error *err)
{
    if (setting->type == SETTING_ADDRESS && slice_is(text, "none")) {
        *out = NULL;
        return 0;
    }
    if (setting->type == SETTING_LISTENS)
        return value_address(text, out, err);
    if (setting->type == SETTING_ADDRESS)
        return value_address(text, out, err) == 0 ? 0 : error_advise(err, "or write none");
    if (setting->type == SETTING_SOCKET)
        return value_socket(text, out, err);
    if (setting->type == SETTING_URLS)
        return value_url(text, out, err);
    if (setting->type == SETTING_PROXY)
        return value_proxy(text, out, err);
    if (setting->type == SETTING_NO_PROXY)
        return value_no_proxy(text, out, err);
    if (setting->type == SETTING_HOSTS)
        return value_host(text, out, err);
    if (setting->type == SETTING_NETWORKS)
        return value_network(text, out, err);
    if (text.length == 0 || text.length > 4096 ||
        (!setting_is_list(setting) && text.length > setting->maximum)) {
        return error_set(err, ERR_INVALID, "expected a text of 1 to %u bytes",
                         setting_is_list(setting) ? 4096 : (unsigned)setting->maximum);
    }
    if (setting->type == SETTING_PATH)
        return value_path(text, out, err);
    if (setting->type == SETTING_PATTERNS)
        return value_name_pattern(text, out, err);
    if (setting->type == SETTING_PATTERN)
        return value_pattern(text, out, err);
    *out = slice_dup(text);
    return 0;
}

static int text_set(const struct setting *setting, char **field, struct slice text,
                    struct error *err)
{
    char *value = NULL;
    int rc = text_make(setting, text, &value, err);

    if (rc == 0) {
        mem_free(*field);
        *field = value;
    }
    return rc;
}

static void list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i]);
    mem_free(list->items);
    *list = (struct config_list){0};
}

static void listens_free(struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        mem_free(config->listens[i].address);
        mem_free(config->listens[i].group);
    }
    mem_free(config->listens);
    config->listens = NULL;
    config->listen_count = 0;
}

/* Replaces the setting's value by the list that was read. */
static void list_install(const struct setting *setting, void *object, struct config_list *list)
{
    if (setting->type != SETTING_LISTENS) {
        struct config_list *field = field_of(setting, object);

        list_free(field);
        *field = *list;
        return;
    }
    struct config *config = object;
    listens_free(config);
    config->listens = mem_zalloc(list->count, sizeof(*config->listens));
    config->listen_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        config->listens[i].address = list->items[i];
    mem_free(list->items);
}

static int list_set(const struct setting *setting, void *object, const struct slice *values,
                    size_t count, struct error *err)
{
    if (count > setting->maximum || count < setting->minimum) {
        return error_set(err, ERR_INVALID, "there are %zu entries; expected %u to %u", count,
                         (unsigned)setting->minimum, (unsigned)setting->maximum);
    }
    struct config_list list = {mem_zalloc(count + 1, sizeof(char *)), 0};
    for (size_t i = 0; i < count; i++) {
        int rc = text_make(setting, values[i], &list.items[i], err);

        if (rc != 0) {
            list_free(&list);
            return rc;
        }
        list.count++;
    }
    list_install(setting, object, &list);
    return 0;
}

int setting_set(const struct setting *setting, void *object, const struct slice *values,
                size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!value_is_text(values[i])) {
            return error_set(err, ERR_INVALID,
                             "the value contains control characters or is not UTF-8");
        }
    }
    if (setting_is_list(setting))
        return list_set(setting, object, values, count, err);
    if (count != 1)
        return error_set(err, ERR_INVALID, "expected one value");
    void *field = field_of(setting, object);
    switch (setting->type) {
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return number_set(setting, field, values[0], err);
    case SETTING_BOOL:
        return value_bool(values[0], field, err);
    case SETTING_VERIFY:
    case SETTING_DELETED:
    case SETTING_LOCATION:
    case SETTING_SHADOW_CHECK:
    case SETTING_LOG_LEVEL:
    case SETTING_LOG_FORMAT:
        return word_set(setting, field, values[0], err);
    case SETTING_WORKERS:
        return workers_set(setting, field, values[0], err);
    case SETTING_MODE:
        return value_mode(values[0], field, err);
    case SETTING_SHARE:
        return share_set(object, values[0], err);
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_ADDRESS:
    case SETTING_PROXY:
    case SETTING_SOCKET:
    case SETTING_PATTERN:
        return text_set(setting, field, values[0], err);
    case SETTING_LISTENS:
    case SETTING_HOSTS:
    case SETTING_PATTERNS:
    case SETTING_URLS:
    case SETTING_NO_PROXY:
    case SETTING_NETWORKS:
        break;
    }
    UNREACHABLE();
}

void settings_set_initial(const struct setting_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *setting = &table->items[i];

        if (!setting->initial)
            continue;
        struct slice value = slice_of(setting->initial);
        struct error err;
        CHECK(setting_set(setting, object, &value, 1, &err) == 0);
    }
}

/* ---- copying ---- */

static const void *const_field_of(const struct setting *setting, const void *object)
{
    return (const char *)object + setting->offset;
}

static void listens_copy(struct config *to, const struct config *from)
{
    listens_free(to);
    to->listens = mem_zalloc(from->listen_count + 1, sizeof(*to->listens));
    to->listen_count = from->listen_count;
    for (size_t i = 0; i < from->listen_count; i++) {
        to->listens[i].address = mem_strdup(from->listens[i].address);
        to->listens[i].is_mirror = from->listens[i].is_mirror;
        to->listens[i].is_proxied = from->listens[i].is_proxied;
        to->listens[i].mode = from->listens[i].mode;
        if (from->listens[i].group)
            to->listens[i].group = mem_strdup(from->listens[i].group);
    }
}

static void list_copy(struct config_list *to, const struct config_list *from)
{
    list_free(to);
    to->items = mem_zalloc(from->count + 1, sizeof(char *));
    to->count = from->count;
    for (size_t i = 0; i < from->count; i++)
        to->items[i] = mem_strdup(from->items[i]);
}

static void text_copy(char **to, const char *from)
{
    mem_free(*to);
    *to = from ? mem_strdup(from) : NULL;
}

void setting_copy(const struct setting *setting, void *to, const void *from)
{
    void *field = field_of(setting, to);
    const void *source = const_field_of(setting, from);

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_ADDRESS:
    case SETTING_PROXY:
    case SETTING_SOCKET:
    case SETTING_PATTERN:
        text_copy(field, *(char *const *)source);
        return;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        *(uint64_t *)field = *(const uint64_t *)source;
        return;
    case SETTING_BOOL:
    case SETTING_VERIFY:
    case SETTING_DELETED:
        *(bool *)field = *(const bool *)source;
        return;
    case SETTING_LOCATION:
        *(enum location_form *)field = *(const enum location_form *)source;
        return;
    case SETTING_SHADOW_CHECK:
        *(enum shadow_check *)field = *(const enum shadow_check *)source;
        return;
    case SETTING_LOG_LEVEL:
        *(enum log_level *)field = *(const enum log_level *)source;
        return;
    case SETTING_LOG_FORMAT:
        *(enum log_format *)field = *(const enum log_format *)source;
        return;
    case SETTING_WORKERS:
    case SETTING_MODE:
        *(unsigned *)field = *(const unsigned *)source;
        return;
    case SETTING_SHARE:
        ((struct config *)to)->storage.cache_limit =
            ((const struct config *)from)->storage.cache_limit;
        ((struct config *)to)->storage.cache_limit_percent =
            ((const struct config *)from)->storage.cache_limit_percent;
        return;
    case SETTING_LISTENS:
        listens_copy(to, from);
        return;
    case SETTING_HOSTS:
    case SETTING_PATTERNS:
    case SETTING_URLS:
    case SETTING_NO_PROXY:
    case SETTING_NETWORKS:
        list_copy(field, source);
        return;
    }
    UNREACHABLE();
}

/* ---- printing ---- */

char setting_capital(char letter)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz.";
    static const char capital[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    const char *at = letter == '\0' ? NULL : strchr(small, letter);

    if (at)
        return capital[at - small];
    return letter;
}

void setting_print_quoted(struct slice text, struct buf *out)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];

        if (byte == '"' || byte == '\\')
            buf_append_byte(out, '\\');
        if (byte == '\n' || byte == '\t' || byte == '\r')
            buf_append_text(out, byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r");
        else
            buf_append_byte(out, byte);
    }
    buf_append_byte(out, '"');
}

static void print_list(const struct config_list *list, struct buf *out)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        setting_print_quoted(slice_of(list->items[i]), out);
    }
    buf_append_byte(out, ']');
}

static void print_listens(const struct config *config, struct buf *out)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];

        buf_append_text(out, i == 0 ? "{ address: " : ", { address: ");
        setting_print_quoted(slice_of(listen->address), out);
        buf_printf(out, ", role: %s", listen->is_mirror ? "mirror" : "full");
        if (listen->is_proxied)
            buf_append_text(out, ", proxy_protocol: true");
        if (listen->mode != 0)
            buf_printf(out, ", mode: 0%o", listen->mode);
        if (listen->group) {
            buf_append_text(out, ", group: ");
            setting_print_quoted(slice_of(listen->group), out);
        }
        buf_append_text(out, " }");
    }
    buf_append_byte(out, ']');
}

static void print_share(const struct config *config, struct buf *out)
{
    if (config->storage.cache_limit_percent != 0)
        buf_printf(out, "%u%%", config->storage.cache_limit_percent);
    else
        text_print_size(out, config->storage.cache_limit);
}

bool setting_print(const struct setting *setting, const void *object, struct buf *out)
{
    const void *field = (const char *)object + setting->offset;
    const char *text = NULL;

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_PATH:
    case SETTING_PROXY:
    case SETTING_SOCKET:
    case SETTING_PATTERN:
    case SETTING_ADDRESS:
        text = *(char *const *)field;
        if (!text && setting->type == SETTING_ADDRESS)
            text = "none";
        if (text)
            setting_print_quoted(slice_of(text), out);
        return text;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        print_number(setting, *(const uint64_t *)field, out);
        return true;
    case SETTING_BOOL:
        buf_append_text(out, *(const bool *)field ? "true" : "false");
        return true;
    case SETTING_VERIFY:
        buf_append_text(out, verify_words[*(const bool *)field]);
        return true;
    case SETTING_DELETED:
        buf_append_text(out, deleted_words[*(const bool *)field]);
        return true;
    case SETTING_LOCATION:
        buf_append_text(out, location_words[*(const enum location_form *)field]);
        return true;
    case SETTING_SHADOW_CHECK:
        buf_append_text(out, shadow_words[*(const enum shadow_check *)field]);
        return true;
    case SETTING_LOG_LEVEL:
        buf_append_text(out, level_words[*(const enum log_level *)field]);
        return true;
    case SETTING_LOG_FORMAT:
        buf_append_text(out, format_words[*(const enum log_format *)field]);
        return true;
    case SETTING_WORKERS:
        if (*(const unsigned *)field == 0)
            buf_append_text(out, "auto");
        else
            buf_printf(out, "%u", *(const unsigned *)field);
        return true;
    case SETTING_MODE:
        buf_printf(out, "0%o", *(const unsigned *)field);
        return true;
    case SETTING_SHARE:
        print_share(object, out);
        return true;
    case SETTING_LISTENS:
        print_listens(object, out);
        return true;
    case SETTING_HOSTS:
    case SETTING_PATTERNS:
    case SETTING_URLS:
    case SETTING_NO_PROXY:
    case SETTING_NETWORKS:
        print_list(field, out);
        return true;
    }
    UNREACHABLE();
}

void settings_free(const struct setting_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *setting = &table->items[i];

        if (setting->type == SETTING_LISTENS) {
            listens_free(object);
        } else if (setting_is_list(setting)) {
            list_free(field_of(setting, object));
        } else if (setting->type <= SETTING_PATTERN) {
            char **field = field_of(setting, object);

            mem_free(*field);
            *field = NULL;
        }
    }
}
