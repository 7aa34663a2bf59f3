/* SPDX-License-Identifier: Apache-2.0 */
/* One message as one packet of a SOCK_SEQPACKET socket, with its descriptors. */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ipc/message.h"

/* What every caller of frame_receive lends. */
#define FRAME_BUFFER_SIZE ((size_t)64 * 1024)
/* Longer bodies travel in a memory file. */
#define FRAME_INLINE_MAX ((size_t)60 * 1024)
/* In front of what is in a memory file, at most. */
#define FRAME_FRONT_MAX ((size_t)64)
/* The largest: a page of tags of 8 MiB, or a manifest of 4 MiB with 10,000 references. */
#define FRAME_BODY_MAX ((size_t)12 * 1024 * 1024)

enum frame_result {
    FRAME_DONE,
    FRAME_LATER, /* the socket is empty, or full: it will say when it is not */
    FRAME_RETRY, /* no memory or descriptors at the moment: nothing will say when there are */
    FRAME_END,   /* receiving: the other side is gone */
    FRAME_LOST, /* receiving: no memory or descriptor to take what came with; it will not come again
                 */
    FRAME_BROKEN, /* receiving: it speaks nonsense; sending: it is gone */
};

struct frame {
    enum message_type type;
    struct slice body;
    int fd;         /* -1, or the descriptor that came with it or shall go with it */
    int payload_fd; /* sending: the memory file with the body, made at the first attempt; or -1 */
    bool is_split;  /* sending: payload_fd is given, and holds what follows the body */
    void *mapping;  /* receiving: where a body from a memory file lies */
    size_t mapping_length;
};

/* A valid message; its body lies in `buffer` or in a mapping. The caller calls frame_cleanup. */
enum frame_result frame_receive(int socket, char buffer[FRAME_BUFFER_SIZE], struct frame *out);
/* Neither body nor descriptors change hands. */
enum frame_result frame_send(int socket, struct frame *frame);
/* Closes both descriptors and unmaps the body. */
void frame_cleanup(struct frame *frame);

#endif
