/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the manual page of the settings and the example file, both from the table of settings. */
#include "base/buf.h"
#include "config/config.h"
#include "settings.h"

/* What kind of value it takes, without its limits. */
static const char *kind_of(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return "a text";
    case SETTING_PATH:
        return "a path";
    case SETTING_ADDRESS:
        return "an address, or none";
    case SETTING_PROXY:
        return "a proxy's URL, or none";
    case SETTING_SOCKET:
        return "auto, a path, or none";
    case SETTING_MODE:
        return "a mode like 0660";
    case SETTING_PATTERN:
        return "a pattern";
    case SETTING_BOOL:
        return "true or false";
    case SETTING_VERIFY:
        return "stream or strict";
    case SETTING_DELETED:
        return "follow or keep";
    case SETTING_LOCATION:
        return "auto, relative or absolute";
    case SETTING_SHADOW_CHECK:
        return "ask, strict or off";
    case SETTING_LOG_LEVEL:
        return "error, warn, info or debug";
    case SETTING_LOG_FORMAT:
        return "text or json";
    case SETTING_WORKERS:
        return "auto, or a number";
    case SETTING_SHARE:
        return "a share from 1% to 99%, or a size";
    case SETTING_LISTENS:
        return "an address or a list of them";
    case SETTING_HOSTS:
        return "a host name or a list of them";
    case SETTING_PATTERNS:
        return "a pattern or a list of them";
    case SETTING_NETWORKS:
        return "an address or a network, or a list of them";
    case SETTING_URLS:
        return "a URL or a list of them";
    case SETTING_NO_PROXY:
        return "a host, domain or network, or a list of them";
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        break;
    }
    return NULL;
}

static void print_type(const struct setting *setting, struct buf *out)
{
    const char *kind = kind_of(setting);

    if (!kind) {
        setting_print_expected(setting, out);
        return;
    }
    buf_append_text(out, kind);
    if (setting->type == SETTING_WORKERS) {
        buf_printf(out, ", at least %llu, at most %llu", (unsigned long long)setting->minimum,
                   (unsigned long long)setting->maximum);
    } else if (setting->maximum > 0) {
        buf_printf(out, ", at most %llu %s", (unsigned long long)setting->maximum,
                   setting_is_list(setting) ? "entries" : "bytes");
    }
}

static void print_setting(const struct setting *setting, bool has_variable, struct buf *out)
{
    buf_printf(out, "\n### `%s`\n\n%s\n\n- Type: ", setting->path, setting->help);
    print_type(setting, out);
    buf_append_byte(out, '\n');
    if (setting->initial)
        buf_printf(out, "- Default: `%s`\n", setting->initial);
    if (setting->needs == SETTING_NEEDS_RESTART)
        buf_append_text(out, "- A change needs a restart.\n");
    if (!has_variable)
        return;
    buf_append_text(out, "- Environment: `ENTREPOT_");
    for (const char *c = setting->path; *c != '\0'; c++)
        buf_append_byte(out, setting_capital(*c));
    buf_append_text(out, "`\n");
}

static const char introduction[] =
    "<!-- Generated from include/config/settings.def by `entrepot help settings`; a test compares. "
    "-->\n"
    "# Configuration\n\n"
    "Everything has a default: `entrepot serve` runs without a configuration file. The file is\n"
    "`/etc/entrepot/entrepot.yaml`, if it exists, or the one that `--config` or the variable\n"
    "`ENTREPOT_CONFIG` names. Flags override the environment, which overrides the file, which\n"
    "overrides the defaults. `entrepot check` reads all of it, prints every problem with file, "
    "line\n"
    "and column, and tries what a start would refuse: the user, the folder, the addresses.\n\n"
    "- Flags: `--listen`, `--admin`, `--data`, `--user`, `--workers`, and `--set KEY=VALUE` for\n"
    "  every setting; the entries of a list are separated by commas. `--set\n"
    "  upstreams.NAME.KEY=VALUE` sets a key of an upstream, `--set upstreams={}` removes them "
    "all.\n"
    "- Environment: `ENTREPOT_` and the setting in capitals, with `_` for `.`; the entries of a "
    "list\n"
    "  are separated by commas. `ENTREPOT_UPSTREAMS` takes the place of the whole map "
    "`upstreams`:\n"
    "  names like `docker.io, ghcr.io`, or YAML like `{ ghcr.io: { url: URL } }`; `{}` is none at\n"
    "  all. An empty variable is no wish. One that is no setting is ignored with a warning, "
    "unless\n"
    "  it asks for authentication or TLS.\n"
    "- Sizes: `64KiB`, `10GiB` (units are powers of 1024). Durations: `250ms`, `10s`, `5m`, `1h`,\n"
    "  `30d`; a bare number is seconds.\n"
    "- Patterns: `*` matches anything but `/`, `**` matches anything, `?` matches one character\n"
    "  but `/`; a pattern that ends in `/*` matches everything below.\n\n"
    "The variables of the stock registry are understood, so that only the image has to be "
    "changed:\n"
    "`REGISTRY_HTTP_ADDR`, `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY`,\n"
    "`REGISTRY_STORAGE_DELETE_ENABLED`, and `REGISTRY_PROXY_REMOTEURL`, `_USERNAME` and\n"
    "`_PASSWORD`, whose registry becomes the default upstream. With variables for authentication, "
    "TLS\n"
    "or other storage drivers the server does not start; others are ignored with a warning.\n\n"
    "## Settings\n";

static const char upstreams_text[] =
    "\n## Upstreams\n\n"
    "`upstreams:` maps the name of a registry to its settings. Without it Docker Hub is the one\n"
    "upstream; with it, exactly the listed ones: `ghcr.io: {}` is enough for one, and\n"
    "`upstreams: {}` means none at all. A name with a port cannot be the first part of a\n"
    "repository's name; it can only be reached by `?ns=`. A name that would hide images that\n"
    "were pushed to it, or below it, is refused. These are the keys below `upstreams.NAME`:\n";

static const char tags_text[] =
    "\n### `tags`\n\n"
    "A list of rules. The first whose `match` fits a tag applies. These are its keys:\n";

void config_print_manual(struct buf *out)
{
    buf_append_text(out, introduction);
    for (size_t i = 0; i < settings_of_config.count; i++)
        print_setting(&settings_of_config.items[i], true, out);
    buf_append_text(out, upstreams_text);
    for (size_t i = 0; i < settings_of_upstream.count; i++)
        print_setting(&settings_of_upstream.items[i], false, out);
    buf_append_text(out, tags_text);
    for (size_t i = 0; i < settings_of_tag.count; i++)
        print_setting(&settings_of_tag.items[i], false, out);
}

/* ---- the example ---- */

/* Prints the text as comment lines of at most 96 bytes. */
static void print_comment(struct slice text, const char *indent, struct buf *out)
{
    struct slice word;
    size_t column = 0;

    while (slice_split(&text, ' ', &word)) {
        if (column == 0 || column + word.length > 90) {
            buf_printf(out, "%s%s# %.*s", column == 0 ? "" : "\n", indent, SLICE_PRINT(word));
            column = word.length;
        } else {
            buf_printf(out, " %.*s", SLICE_PRINT(word));
            column += word.length + 1;
        }
    }
    buf_append_byte(out, '\n');
}

static void print_example_value(const struct setting *setting, const char *indent, const char *key,
                                struct buf *out)
{
    print_comment(slice_of(setting->help), indent, out);
    const char *initial = setting->initial;
    if (!initial)
        initial = setting_is_list(setting) ? "[]" : "";
    buf_printf(out, "%s#%s:%s%s\n", indent, key, initial[0] != '\0' ? " " : "", initial);
}

static const char example_upstreams[] =
    "\n# The registries to fetch images from. Without this section, only Docker Hub; with it,\n"
    "# exactly those that are listed here.\n"
    "#upstreams:\n"
    "#  docker.io:\n"
    "#    default: true                   # names without a registry are looked up here\n"
    "#    username: somebody\n"
    "#    password_file: /etc/entrepot/docker.io.password\n"
    "#    expose: true                    # content fetched with them may be served to everybody\n"
    "#    tags:\n"
    "#      - { match: \"v*\", immutable: true }\n"
    "#      - { match: \"*\", ttl: 60s, stale_if_error: 30d }\n"
    "#  ghcr.io: {}                       # https://ghcr.io\n"
    "#  registry.lab.example:\n"
    "#    url: [https://one.lab.example:5000, https://two.lab.example:5000]\n"
    "#    ca_file: /etc/entrepot/lab.pem\n"
    "#    proxy: http://proxy.lab.example:3128\n"
    "#    redirects: [files.lab.example]\n"
    "#    verify: strict\n";

void config_print_example(struct buf *out)
{
    buf_append_text(
        out, "# The configuration of Entrepot, with every setting at its default. Test it with\n"
             "# `entrepot check`; docs/configuration.md explains it.\n");
    struct slice group = {NULL, 0};
    for (size_t i = 0; i < settings_of_config.count; i++) {
        struct slice path = slice_of(settings_of_config.items[i].path);
        ptrdiff_t dot = slice_find(path, '.');
        struct slice here = slice_from(path.data, dot < 0 ? 0 : (size_t)dot);

        buf_append_byte(out, '\n');
        if (here.length > 0 && !slice_equal(here, group))
            buf_printf(out, "%.*s:\n", SLICE_PRINT(here));
        group = here;
        print_example_value(&settings_of_config.items[i], here.length > 0 ? "  " : "",
                            path.data + (dot + 1), out);
    }
    buf_append_text(out, example_upstreams);
}
