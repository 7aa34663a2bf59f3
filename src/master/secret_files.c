/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords and certificates that are replaced while the server runs. Only the master may be able
 * to read them, so it looks at them, by stat(), at each tick, and when the fetcher was refused a
 * login. It hands over nothing but files that the configuration in use names. Its other settings
 * are not read again: that is reload.c's.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "master_state.h"

#define WARNINGS_MAX 65536

static bool install(struct master *master, struct config *next, bool has_changed)
{
    struct sealed_config made;
    struct error err;

    if (sealed_config_open(&made, next, &err) != 0) {
        log_say(LOG_ERROR, "%s; the passwords and certificates read before stay in use", err.text);
        return false;
    }
    sealed_config_close(&master->sealed);
    master->sealed = made;
    if (!has_changed)
        return false;
    log_say(LOG_INFO, "passwords or certificates have changed and were read again");
    LIST_EACH (link, &master->children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (child->line && role_policy(child->seat->role)->has_secrets)
            sealed_config_send(master, child, &master->sealed);
    }
    return true;
}

bool secret_files_read(struct master *master)
{
    AUTO_BUF struct buf warnings;
    struct config *next = NULL;
    struct slice line;
    struct error err;
    bool has_changed = false;

    buf_init(&warnings, WARNINGS_MAX);
    if (!config_files_have_changed(master->sealed.config))
        return false;
    if (config_read_files(master->sealed.config, &next, &has_changed, &warnings, &err) != 0) {
        log_say(LOG_ERROR, "the files of the configuration cannot be read again: %s", err.text);
        return false;
    }
    for (struct slice rest = buf_bytes(&warnings); slice_split(&rest, '\n', &line);) {
        if (line.length > 0)
            log_say(LOG_WARN, "%.*s", SLICE_PRINT(line));
    }
    bool is_sent = install(master, next, has_changed);
    config_unref(&next);
    return is_sent;
}
