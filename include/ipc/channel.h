/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel between two incarnations of roles: a SOCK_SEQPACKET pair made by the master. Messages
 * are whole and ordered; each may carry one descriptor. A payload over 60 KiB travels as a sealed
 * memory file, unseen by the caller. A role never stops reading a channel; what the socket does not
 * take waits in memory, bounded by the protocol (credits, one GREW a flight). EOF means that the
 * other incarnation is dead; a new pair comes only with a new incarnation, so whoever loses a
 * channel to a living one must die himself.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ipc/message.h"

struct channel;
struct error;
struct loop;

/* Who is told what arrives. */
struct channel_handler {
    /* `body` lives until this returns. `fd` is -1 or a descriptor; take it with fd_take, else it is
     * closed. */
    void (*on_message)(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg);
    /* The other side is dead or spoke nonsense. No callback comes after it; free the channel (from
     * inside is allowed). */
    void (*on_closed)(struct channel *channel, void *arg);
    /* Instead: the channel broke here, as no descriptor or memory was left for a message, which was
     * logged. NULL: on_closed is called. */
    void (*on_failed)(struct channel *channel, void *arg);
};

/* Both ends of a new channel, as descriptors to hand to two processes. ERR_IO. */
int channel_pair(int out_fds[2], struct error *err);
/* Who speaks to whom. Only what the table of messages lets pass between the two is sent and taken.
 */
struct channel_ends {
    enum process_role self;
    enum process_role other;
};
/* Takes the descriptor over; the handler is borrowed. */
struct channel *channel_new(struct loop *loop, int *fd, struct channel_ends ends,
                            const struct channel_handler *handler, void *arg);
/* The on_failed of all who have a master: ends the loop, and the process with it. */
void channel_end_process(struct channel *channel, void *arg);
/* From inside a callback too. What is queued is dropped. */
void channel_free(struct channel **channel_address);
/* Encode and send. `message` is the struct message_… that belongs to `type`. `fd` (or -1) is
 * duplicated. */
void channel_send(struct channel *channel, enum message_type type, const void *message, int fd);
/* A large message for several receivers: all of it behind its first field, which is a number, in
 * one memory file. From any thread. ERR_BUSY, ERR_NO_SPACE, ERR_IO. */
int channel_payload_new(enum message_type type, const void *message, int *out_fd,
                        struct error *err);
/* Such a message, with this number in front. `payload_fd` is duplicated. */
void channel_send_payload(struct channel *channel, enum message_type type, uint64_t first,
                          int payload_fd);
/* Whether the other side has closed its end; messages of its may still be unread. It has when its
 * process was reaped. */
bool channel_is_closed(const struct channel *channel);
/* The same of a descriptor of which no channel was made yet. */
bool channel_end_is_closed(int fd);
/* Messages that wait for the socket. */
size_t channel_queued(const struct channel *channel);
/* Wait until all is written, at most wait_ms: before an exit. */
void channel_flush(struct channel *channel, unsigned wait_ms);

#endif
