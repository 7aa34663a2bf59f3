/* SPDX-License-Identifier: Apache-2.0 */
/* Channels are between incarnations: each new process gets a new one to every living process of
 * another role, and they get its other end, which replaces what they had. */
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "master_state.h"

static void introduce(struct child *to, const struct child *peer, int fd)
{
    struct message_peer message = {.role = (uint64_t)peer->role, .slot = peer->slot};
    channel_send(to->line, MESSAGE_PEER, &message, fd);
}

void rendezvous(struct master *master, struct child *newcomer)
{
    for (size_t i = 0; i < master->child_count; i++) {
        struct child *other = &master->children[i];
        if (other->role == newcomer->role || other->line == NULL)
            continue;
        int pair[2] = {-1, -1};
        struct error err;
        if (channel_pair(pair, &err) != 0) {
            log_say(LOG_ERROR, "%s", err.text);
            continue;
        }
        introduce(newcomer, other, pair[0]);
        introduce(other, newcomer, pair[1]);
        fd_close(&pair[0]);
        fd_close(&pair[1]);
    }
}
