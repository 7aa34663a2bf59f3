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
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "master_state.h"

#define PATHS_MAX 4096

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
        sealed_config_send(master, judge, &master->next);
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
            sealed_config_send(master, child, &master->sealed);
    }
    log_say(LOG_INFO, "reload: the new configuration is in use");
    proxy_lines_log(master->sealed.config);
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
    if (master->next.config && !child_find(&master->children, master->next_judge))
        drop(master, "died before it had judged it");
}
