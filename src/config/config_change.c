/* SPDX-License-Identifier: Apache-2.0 */
/* What a new configuration cannot change while the server runs: it keeps its value. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "config/config.h"
#include "settings.h"

static bool is_equal(const struct setting *setting, const struct config *a, const struct config *b)
{
    AUTO_BUF struct buf left;
    AUTO_BUF struct buf right;

    buf_init(&left, CONFIG_TEXT_MAX);
    buf_init(&right, CONFIG_TEXT_MAX);
    (void)setting_print(setting, a, &left);
    (void)setting_print(setting, b, &right);
    return slice_equal(buf_bytes(&left), buf_bytes(&right));
}

bool config_is_initial(const struct config *config, const char *path)
{
    const struct setting *setting = setting_find(&settings_of_config, slice_of(path));
    struct config *initial = NEW(struct config);

    CHECK(setting);
    initial->references = 1;
    settings_set_initial(&settings_of_config, initial);
    bool is = is_equal(setting, config, initial);
    config_unref(&initial);
    return is;
}

/* The running number of workers is known; the new one may still say `auto`. */
static void settle_workers(struct config *next, const struct config *running)
{
    if (next->workers == 0)
        next->workers = running->workers;
}

void config_keep_until_restart(struct config *next, const struct config *running,
                               struct buf *out_paths)
{
    settle_workers(next, running);
    for (size_t i = 0; i < settings_of_config.count; i++) {
        const struct setting *setting = &settings_of_config.items[i];

        if (setting->needs != SETTING_NEEDS_RESTART || is_equal(setting, next, running))
            continue;
        buf_printf(out_paths, "%s%s", buf_bytes(out_paths).length > 0 ? ", " : "", setting->path);
        setting_copy(setting, next, running);
    }
}
