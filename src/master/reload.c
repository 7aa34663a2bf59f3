/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another configuration for a running server.
 *
 *   read again ──► given to its judge (the keeper) ──► it takes it ──► given to all
 *       │ wrong                                   │ it refuses, or dies
 *       └────────► the old one stays ◄────────────┘
 *
 * The judge is asked first because only it can see whether the new upstreams would hide images that
 * were pushed here. Processes that start meanwhile get the old one. What needs a restart keeps its
 * value, with a warning.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master_state.h"

#define PATHS_MAX 4096

/* ---- sealed configurations ---- */

static int seal(const struct config *config, bool with_secrets, int *out_fd, struct error *err)
{
    AUTO_BUF struct buf text;

    buf_init(&text, CONFIG_TEXT_MAX);
    config_print(config, with_secrets, &text);
    if (text.is_over) {
        return error_set(err, ERR_TOO_LARGE, "the configuration is longer than %u bytes",
                         CONFIG_TEXT_MAX);
    }
    return fd_memory_file("configuration", buf_bytes(&text), out_fd, err);
}

int sealed_config_open(struct sealed_config *sealed, struct config *config, struct error *err)
{
    struct sealed_config made = {.config = NULL, .fd = -1, .secret_fd = -1};
    int rc = seal(config, false, &made.fd, err);

    if (rc == 0)
        rc = seal(config, true, &made.secret_fd, err);
    if (rc != 0) {
        sealed_config_close(&made);
        return rc;
    }
    made.config = config_ref(config);
    *sealed = made;
    return 0;
}

void sealed_config_close(struct sealed_config *sealed)
{
    fd_close(&sealed->fd);
    fd_close(&sealed->secret_fd);
    config_unref(&sealed->config);
}

void reload_send(struct master *master, struct child *child, const struct sealed_config *sealed)
{
    struct message_config message = {.number = ++master->config_number};
    bool has_secrets = role_policy(child->seat->role)->has_secrets;

    channel_send(child->line, MESSAGE_CONFIG, &message,
                 has_secrets ? sealed->secret_fd : sealed->fd);
}

/* ---- the reload ---- */

static struct child *find_judge(struct master *master)
{
    LIST_EACH (link, &master->children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (role_policy(child->seat->role)->judges_config && child->state == CHILD_READY &&
            child->line)
            return child;
    }
    return NULL;
}

static void log_kept(struct config *next, const struct config *running)
{
    AUTO_BUF struct buf paths;
    struct log_line line;

    buf_init(&paths, PATHS_MAX);
    config_keep_until_restart(next, running, &paths);
    if (buf_bytes(&paths).length == 0)
        return;
    log_begin(&line, LOG_WARN);
    log_text(&line, "settings", buf_text(&paths));
    log_end(&line, "changed, but only a restart makes these settings take effect");
}

void reload_begin(struct master *master)
{
    struct config *config = NULL;
    struct error err;
    struct child *judge = find_judge(master);

    if (master->phase != PHASE_RUNNING || master->next.config || !judge) {
        log_say(LOG_WARN, "reload: the server is %s; try again later",
                master->phase == PHASE_DRAINING ? "ending"
                : master->next.config           ? "reloading already"
                                                : "starting");
        return;
    }
    if (master->options.load(&config, master->options.arg) != 0)
        return;
    log_kept(config, master->sealed.config);
    if (sealed_config_open(&master->next, config, &err) == 0) {
        master->next_judge = judge->id;
        reload_send(master, judge, &master->next);
        master->next_number = master->config_number;
    } else {
        log_say(LOG_ERROR, "reload: %s; the old configuration stays", err.text);
    }
    config_unref(&config);
}

static void install(struct master *master)
{
    sealed_config_close(&master->sealed);
    master->sealed = master->next;
    master->next = (struct sealed_config){.config = NULL, .fd = -1, .secret_fd = -1};
    log_set(master->sealed.config->log.level, master->sealed.config->log.format);
    LIST_EACH (link, &master->children) {
        struct child *child = LIST_ITEM(link, struct child, link);

        if (child->line && child->id != master->next_judge)
            reload_send(master, child, &master->sealed);
    }
    log_say(LOG_INFO, "reload: the new configuration is in use");
}

static void drop(struct master *master, const char *why)
{
    log_say(LOG_ERROR, "reload: the keeper %s; the old configuration stays", why);
    sealed_config_close(&master->next);
}

void reload_on_judged(struct child *judge, struct slice body)
{
    struct master *master = judge->seat->master;
    struct message_config_judged judged;
    struct error err;

    if (message_decode(MESSAGE_CONFIG_JUDGED, body, &judged, &err) != 0 || !master->next.config ||
        judge->id != master->next_judge || judged.number != master->next_number)
        return;
    if (judged.is_taken)
        install(master);
    else
        drop(master, "refused it");
}

void reload_tick(struct master *master)
{
    if (master->next.config && !supervise_find(master, master->next_judge))
        drop(master, "died before it had judged it");
}
