/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a configuration as complete YAML: it can be read without defaults and environment. */
#include "base/buf.h"
#include "config/config.h"
#include "settings.h"

/* Prints "storage:" before the first of its settings; *group is the one that is open. */
static void open_group(struct slice path, struct slice *group, struct buf *out)
{
    ptrdiff_t dot = slice_find(path, '.');
    struct slice here = slice_from(path.data, dot < 0 ? 0 : (size_t)dot);

    if (here.length > 0 && !slice_equal(here, *group))
        buf_printf(out, "%.*s:\n", SLICE_PRINT(here));
    *group = here;
}

/* Proxies are for the fetcher alone, too: their URLs may have passwords. */
static void print_value(const struct setting *setting, const void *object, bool with_secrets,
                        const char *before, const char *key, struct buf *out)
{
    AUTO_BUF struct buf value;

    buf_init(&value, 1u << 20);
    if (setting->type == SETTING_PROXY && !with_secrets)
        return;
    if (setting_print(setting, object, &value))
        buf_printf(out, "%s%s: %s\n", before, key, buf_text(&value));
}

static void print_tags(const struct config_upstream *upstream, struct buf *out)
{
    if (upstream->tag_count == 0)
        return;
    buf_append_text(out, "    tags:\n");
    for (size_t i = 0; i < upstream->tag_count; i++) {
        for (size_t k = 0; k < settings_of_tag.count; k++) {
            print_value(&settings_of_tag.items[k], &upstream->tags[i], true,
                        k == 0 ? "      - " : "        ", settings_of_tag.items[k].path, out);
        }
    }
}

static void print_upstream(const struct config_upstream *upstream, bool with_secrets,
                           struct buf *out)
{
    buf_append_text(out, "  ");
    setting_print_quoted(slice_of(upstream->name), out);
    buf_append_text(out, ":\n");
    for (size_t i = 0; i < settings_of_upstream.count; i++) {
        print_value(&settings_of_upstream.items[i], upstream, with_secrets, "    ",
                    settings_of_upstream.items[i].path, out);
    }
    if (with_secrets && upstream->password) { /* also if it came from password_file */
        buf_append_text(out, "    password: ");
        setting_print_quoted(slice_of(upstream->password), out);
        buf_append_byte(out, '\n');
    }
    print_tags(upstream, out);
}

/* Passwords are with their upstreams. */
static void print_files(const struct config *config, struct buf *out)
{
    buf_append_text(out, "files:\n");
    for (size_t i = 0; i < config->file_count; i++) {
        const struct config_file *file = &config->files[i];

        if (!file->is_pem)
            continue;
        buf_append_text(out, "  ");
        setting_print_quoted(slice_of(file->path), out);
        buf_append_text(out, ": ");
        setting_print_quoted(slice_of(file->text), out);
        buf_append_byte(out, '\n');
    }
}

void config_print(const struct config *config, bool with_secrets, struct buf *out)
{
    struct slice group = {NULL, 0};

    for (size_t i = 0; i < settings_of_config.count; i++) {
        const struct setting *setting = &settings_of_config.items[i];
        struct slice path = slice_of(setting->path);

        open_group(path, &group, out);
        const char *key = path.data + (group.length > 0 ? group.length + 1 : 0);
        print_value(setting, config, with_secrets, group.length > 0 ? "  " : "", key, out);
    }
    buf_append_text(out, config->upstream_count == 0 ? "upstreams: {}\n" : "upstreams:\n");
    for (size_t i = 0; i < config->upstream_count; i++)
        print_upstream(&config->upstreams[i], with_secrets, out);
    if (with_secrets)
        print_files(config, out);
}
