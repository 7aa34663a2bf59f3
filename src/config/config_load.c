/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a configuration: flags override the environment, which overrides the file, which overrides
 * the defaults. Then checks what must fit together. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "foreign.h"
#include "oci/name.h"
#include "reader.h"
#include "text_file.h"

#define USUAL_FILE    "/etc/entrepot/entrepot.yaml"
#define MESSAGES_MAX  ((size_t)256 * 1024)
#define SETTING_LEVEL 2

static void read_text(struct reader *reader, struct slice text, const char *source)
{
    struct node *root = NULL;
    struct position at;
    struct error err;

    if (node_read(text, source, &root, &at, &err) != 0)
        reader_problem(reader, &at, NULL, "%s", err.text);
    else
        reader_read(reader, root);
    node_free(&root);
}

static void read_file(struct reader *reader, const char *file, const char *named_by)
{
    struct text_file source = {.path = file,
                               .name = "the configuration file",
                               .max = NODE_TEXT_MAX,
                               .may_wait = !reader->is_reload};
    struct position at = {file, 0, 0};
    struct stat ignored;
    struct error err;

    AUTO_BUF struct buf text;
    buf_init(&text, TEXT_FILE_BUF(NODE_TEXT_MAX));
    if (text_file_read(&source, &text, &ignored, &err) != 0)
        reader_problem(reader, &at, NULL, "%s; %s names it", err.text, named_by);
    else
        read_text(reader, buf_bytes(&text), file);
}

/* A setting that is there by no name that we know. */
static void refuse_flag(struct reader *reader, const struct position *at, struct slice path)
{
    char name[READER_PATH_SIZE];
    const struct foreign_setting *foreign = foreign_setting_find(path);
    AUTO_BUF struct buf more;

    buf_init(&more, 2048);
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_PRINT(path));
    if (foreign) {
        reader_problem(reader, at, name, "%s", foreign->sentence);
    } else if (reader_is_group(path)) {
        settings_print_group(&settings_of_config, path, &more);
        reader_problem(reader, at, name, "this is a group of settings; set one of %s",
                       buf_text(&more));
    } else {
        for (size_t i = 0; i < SETTING_LEVEL && buf_bytes(&more).length == 0; i++) {
            ptrdiff_t dot = i == 0 ? slice_find_last(path, '.') : -1;
            char prefix[READER_PATH_SIZE];

            (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)(dot + 1), path.data);
            setting_suggest(&settings_of_config, prefix, slice_skip(path, (size_t)(dot + 1)), NULL,
                            &more);
        }
        reader_unknown_key(reader, at, name, buf_text(&more));
    }
}

static void read_flag(struct reader *reader, const char *flag)
{
    static const struct position at = {"command line", 0, 0};
    struct slice value = slice_of(flag);
    struct slice path;

    if (!slice_split(&value, '=', &path) || path.length == slice_of(flag).length ||
        path.length == 0) {
        reader_problem(reader, &at, NULL,
                       "--set %.200s: expected KEY=VALUE, like storage.path=/srv/entrepot", flag);
        return;
    }
    const struct setting *setting = setting_find(&settings_of_config, path);
    if (setting) {
        reader_set_text(reader, setting, value, &at);
    } else if (slice_is(path, "upstreams")) {
        upstreams_read_text(reader, value, &at);
        reader->upstreams_at = at;
    } else if (slice_starts_with(path, "upstreams.")) {
        upstream_set_text(reader, slice_skip(path, 10), value, &at);
        reader->upstreams_at = at;
    } else {
        refuse_flag(reader, &at, path);
    }
}

/* ---- what must fit together ---- */

/* The place is the one of the two that was written; the other may have its default. */
static void check_order(struct reader *reader, const char *small_path, uint64_t small,
                        const char *large_path, uint64_t large)
{
    const struct setting *small_setting = setting_find(&settings_of_config, slice_of(small_path));
    const struct setting *large_setting = setting_find(&settings_of_config, slice_of(large_path));

    if (small <= large)
        return;
    if (reader_is_written(reader, small_setting)) {
        reader_problem(reader, reader_at(reader, small_setting), small_path,
                       "it is more than %s: lower it, or raise that", large_path);
    } else {
        reader_problem(reader, reader_at(reader, large_setting), large_path,
                       "it is less than %s: raise it, or lower that", small_path);
    }
}

/* The two addresses of "localhost", and what a wildcard includes. */
static bool is_host_within(struct slice wide, struct slice narrow)
{
    bool is_v6 = slice_starts_with(narrow, "[");
    bool is_localhost = slice_is_nocase(narrow, "localhost");

    if (slice_is(wide, "[::]"))
        return true;
    if (slice_is(wide, "0.0.0.0"))
        return !is_v6;
    return slice_equal(wide, narrow) ||
           (slice_is_nocase(wide, "localhost") &&
            (is_localhost || slice_is(narrow, "127.0.0.1") || slice_is(narrow, "[::1]")));
}

/* Would one of them be refused when both are bound? Port 0 is another one for each. */
static bool is_overlapping(const char *a, const char *b)
{
    struct slice one = slice_of(a);
    struct slice other = slice_of(b);

    if (slice_starts_with(one, "unix:") || slice_starts_with(other, "unix:"))
        return slice_equal(one, other);
    ptrdiff_t colon = slice_find_last(one, ':');
    ptrdiff_t second = slice_find_last(other, ':');
    if (colon < 0 || second < 0 || slice_ends_with(one, ":0") ||
        !slice_equal(slice_skip(one, (size_t)colon), slice_skip(other, (size_t)second)))
        return false;
    one.length = (size_t)colon;
    other.length = (size_t)second;
    return is_host_within(one, other) || is_host_within(other, one);
}

static void check_listen(struct reader *reader, const struct config *config, size_t index)
{
    const struct setting *listen = setting_find(&settings_of_config, SLICE_LITERAL("listen"));
    const struct setting *admin = setting_find(&settings_of_config, SLICE_LITERAL("admin"));
    const char *address = config->listens[index].address;

    if (config->admin && is_overlapping(address, config->admin)) {
        bool is_admins = reader_is_written(reader, admin);

        reader_problem(reader, reader_at(reader, is_admins ? admin : listen),
                       is_admins ? "admin" : "listen",
                       "%s (listen) and %s (admin) are the same port; choose another one for "
                       "admin, or set admin: none",
                       address, config->admin);
    }
    for (size_t i = 0; i < index; i++) {
        const char *other = config->listens[i].address;

        if (strcmp(address, other) == 0 && !slice_ends_with(slice_of(address), ":0")) {
            reader_problem(reader, reader_at(reader, listen), "listen",
                           "%s is listed twice; remove one", address);
        } else if (is_overlapping(address, other)) {
            reader_problem(reader, reader_at(reader, listen), "listen",
                           "%s and %s are the same port; remove one", other, address);
        }
    }
}

static void check(struct reader *reader)
{
    const struct config *config = reader->config;

    check_order(reader, "limits.request_line", config->limits.request_line, "limits.request_head",
                config->limits.request_head);
    check_order(reader, "limits.header_value", config->limits.header_value, "limits.request_head",
                config->limits.request_head);
    check_order(reader, "limits.uploads_per_repository", config->limits.uploads_per_repository,
                "limits.uploads", config->limits.uploads);
    check_order(reader, "fetch.known_down_deadline", config->fetch.known_down_deadline,
                "fetch.deadline", config->fetch.deadline);
    for (size_t i = 0; i < config->listen_count; i++)
        check_listen(reader, config, i);
    for (size_t i = 0; i < config->names.count; i++) {
        const struct setting *names = setting_find(&settings_of_config, SLICE_LITERAL("names"));

        if (config_upstream_find(config, slice_of(config->names.items[i]))) {
            reader_problem(
                reader, reader_at(reader, names), "names",
                "%s is an upstream and cannot be this registry's own name; remove it from "
                "names or from upstreams",
                config->names.items[i]);
        }
    }
}

static struct config *config_new(void)
{
    struct config *config = NEW(struct config);

    config->references = 1;
    settings_set_initial(&settings_of_config, config);
    return config;
}

const char *config_file(const struct config_sources *sources)
{
    static const char variable[] = "ENTREPOT_CONFIG=";

    if (sources->file)
        return sources->file;
    for (const char *const *at = sources->environment; at && *at; at++) {
        if (slice_starts_with(slice_of(*at), variable) && (*at)[sizeof(variable) - 1] != '\0')
            return *at + sizeof(variable) - 1;
    }
    return access(USUAL_FILE, F_OK) == 0 ? USUAL_FILE : NULL;
}

static void read_sources(struct reader *reader, const struct config_sources *sources)
{
    const char *file = config_file(sources);

    if (file) {
        read_file(reader, file,
                  sources->file                          ? "--config"
                  : slice_is(slice_of(file), USUAL_FILE) ? "the program itself"
                                                         : "ENTREPOT_CONFIG");
    }
    if (!reader->has_upstreams)
        (void)upstream_get(reader->config, SLICE_LITERAL(DOCKER_HUB));
    registry_variables_read(reader, sources->environment);
    environment_read(reader, sources->environment);
    for (const char *const *flag = sources->settings; flag && *flag; flag++)
        read_flag(reader, *flag);
    proxy_variables_read(reader, sources->environment);
    if (!reader->config->storage.path) {
        reader->config->storage.path =
            mem_strdup(sources->is_root ? "/var/lib/entrepot" : "./data");
    }
    upstreams_finish(reader);
    check(reader);
}

/* The processes get the configuration written out in full, with all defaults and all keys of the
 * rules for tags, which may be longer than what was read. What is accepted here must be accepted
 * there. */
static void check_written_out(struct reader *reader)
{
    static const struct position whole = {"configuration", 0, 0};
    AUTO_BUF struct buf text;
    struct config *again = NULL;
    struct error err;

    buf_init(&text, CONFIG_TEXT_MAX);
    config_print(reader->config, true, &text);
    if (!text.is_over && config_parse(buf_bytes(&text), &again, &err) == 0) {
        config_unref(&again);
        return;
    }
    reader_problem(reader, &whole, NULL,
                   "with all defaults filled in it is too large (%s); use fewer upstreams, "
                   "rules for tags, or patterns",
                   text.is_over ? "over 1 MiB" : err.text);
}

int config_load(const struct config_sources *sources, struct config **out, struct buf *problems,
                struct buf *warnings, struct error *err)
{
    struct reader reader = {.config = config_new(),
                            .problems = problems,
                            .warnings = warnings,
                            .is_reload = sources->is_reload,
                            .is_hub_implied = true};

    read_sources(&reader, sources);
    if (reader.problem_count == 0)
        check_written_out(&reader);
    if (reader.problem_count == 0) {
        *out = reader.config;
        return 0;
    }
    config_unref(&reader.config);
    return error_set(err, ERR_INVALID, "the configuration has %u problem%s", reader.problem_count,
                     reader.problem_count == 1 ? "" : "s");
}

int config_parse(struct slice text, struct config **out, struct error *err)
{
    AUTO_BUF struct buf problems;
    AUTO_BUF struct buf warnings;

    buf_init(&problems, MESSAGES_MAX);
    buf_init(&warnings, MESSAGES_MAX);
    struct reader reader = {
        .config = config_new(), .problems = &problems, .warnings = &warnings, .is_trusted = true};
    read_text(&reader, text, "configuration");
    upstreams_finish(&reader);
    if (reader.problem_count == 0) {
        *out = reader.config;
        return 0;
    }
    config_unref(&reader.config);
    struct slice all = buf_bytes(&problems);
    struct slice first;
    (void)slice_split(&all, '\n', &first);
    return error_set(err, ERR_INVALID, "%.*s", SLICE_PRINT(first));
}
