/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel between two incarnations of roles: a SOCK_SEQPACKET pair made by the master. Messages
 * are whole and ordered; each may carry one descriptor. A payload over 60 KiB travels as a sealed
 * memory file, which the caller does not notice. A role never stops reading a channel; what the
 * socket does not take waits in memory, bounded by the protocol (credits, one GREW a flight). End
 * of file means that the other incarnation is dead. A new pair comes only with a new incarnation,
 * so a process that loses a channel to a living one must exit.
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

/* The callbacks of a channel's owner. */
struct channel_handler {
    /* `body` lives until this returns. `fd` is -1 or a descriptor; take it with fd_take, else it is
     * closed. */
    void (*on_message)(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg);
    /* The other side is dead. No callback comes after it; free the channel (from inside is
     * allowed). */
    void (*on_closed)(struct channel *channel, void *arg);
    /* Instead: no descriptor or memory was left for a message, so the channel is lost, but the
     * other side lives. It was logged. NULL: on_closed is called. */
    void (*on_failed)(struct channel *channel, void *arg);
    /* Instead: the other side lives, but sent a malformed message, or one that its role may not
     * send. It was logged. NULL: as on_failed. */
    void (*on_lied)(struct channel *channel, void *arg);
};

/* Both ends of a new channel, as descriptors to hand to two processes. ERR_IO. */
int channel_pair(int out_fds[2], struct error *err);
/* The roles at both ends. Only messages that the table lets pass between them are sent and taken.
 */
struct channel_ends {
    enum process_role self;
    enum process_role other;
};
/* Takes the descriptor over; the handler is borrowed. */
struct channel *channel_new(struct loop *loop, int *fd, struct channel_ends ends,
                            const struct channel_handler *handler, void *arg);
/* The on_failed of every role with a master: stops the loop, and with it the process. */
void channel_end_process(struct channel *channel, void *arg);
/* Allowed inside a callback. Drops what is queued. */
void channel_free(struct channel **channel_address);
/* Encode and send. `message` is the struct message_… that belongs to `type`. `fd` (or -1) is
 * duplicated. */
void channel_send(struct channel *channel, enum message_type type, const void *message, int fd);
/* A large message for several receivers: everything after its first field, which is a number, goes
 * into one memory file. From any thread. ERR_BUSY, ERR_NO_SPACE, ERR_IO. */
int channel_payload_new(enum message_type type, const void *message, int *out_fd,
                        struct error *err);
/* Sends such a message with this number as its first field. `payload_fd` is duplicated. */
void channel_send_payload(struct channel *channel, enum message_type type, uint64_t first,
                          int payload_fd);
/* Whether the other side has closed its end, as it has when its process was reaped. Messages that
 * it sent before may still be unread. */
bool channel_is_closed(const struct channel *channel);
/* The same for a descriptor that is no channel yet. */
bool channel_end_is_closed(int fd);
/* The number of messages that wait for the socket. */
size_t channel_queued(const struct channel *channel);
/* Waits until all is written, at most wait_ms. For use before an exit. */
void channel_flush(struct channel *channel, unsigned wait_ms);

#endif
