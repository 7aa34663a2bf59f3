/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What children may ask for, by numbers: the master parses nothing else that comes from them.
 * role_policy.h says who may ask what. A new kind gets its number in ipc/message.h, a row here, and
 * the roles that may ask it; one that is answered with a descriptor sends it by the usual messages.
 */
#include "base/error.h"
#include "base/log.h"
#include "ipc/message.h"
#include "master_state.h"

#define PER_TICK 8 /* of one child; more is ignored */

static void on_reload(struct child *child, uint64_t unused)
{
    (void)unused;
    reload_begin(child->seat->master);
}

/* The child got a message that none of our processes would send: that one is broken, or taken over.
 * The keeper is believed, and never accused. */
static void on_peer_lied(struct child *child, uint64_t id)
{
    struct child *liar = child_find(&child->seat->master->children, id);

    if (liar && liar->seat->role != ROLE_KEEPER && liar->state != CHILD_ENDING)
        supervise_kill(liar, "sent a malformed message");
}

static void on_read_files(struct child *child, uint64_t unused)
{
    (void)unused;
    if (!secret_files_read(child->seat->master))
        sealed_config_send(child->seat->master, child, &child->seat->master->sealed);
}

static const struct control_row {
    const char *name;
    void (*run)(struct child *child, uint64_t argument);
} controls[CONTROLS] = {
    [CONTROL_RELOAD] = {"reload", on_reload},
    [CONTROL_PEER_LIED] = {"peer lied", on_peer_lied},
    [CONTROL_READ_FILES] = {"read files", on_read_files},
};

static void log_ignored(const struct child *child, uint64_t kind, const char *why)
{
    struct log_line line;
    char name[64];

    child_print(child, name);
    log_begin(&line, LOG_WARN);
    log_text(&line, "child", name);
    if (kind < CONTROLS && controls[kind].run)
        log_text(&line, "control", controls[kind].name);
    log_end(&line, "control message ignored: %s", why);
}

void control_on_message(struct child *child, struct slice body)
{
    struct message_control message;
    struct error err;

    if (++child->controls > PER_TICK) {
        if (child->controls == PER_TICK + 1)
            log_ignored(child, CONTROLS, "too many");
        return;
    }
    if (message_decode(MESSAGE_CONTROL, body, &message, &err) != 0)
        log_ignored(child, CONTROLS, err.text);
    else if (message.kind >= CONTROLS || !controls[message.kind].run)
        log_ignored(child, message.kind, "there is no such kind");
    else if (!role_policy(child->seat->role)->may_ask[message.kind])
        log_ignored(child, message.kind, "this role may not ask for it");
    else
        controls[message.kind].run(child, message.argument);
}
