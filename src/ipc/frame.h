/* SPDX-License-Identifier: Apache-2.0 */
/* One message as one packet of a SOCK_SEQPACKET socket, with its descriptors. */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "ipc/message.h"

/* The buffer that a caller of frame_receive lends. */
#define FRAME_BUFFER_SIZE ((size_t)64 * 1024)
/* Longer bodies travel in a memory file. */
#define FRAME_INLINE_MAX ((size_t)60 * 1024)
/* Bytes of the body in the packet itself, in front of a memory file, at most. */
#define FRAME_FRONT_MAX ((size_t)64)
/* The largest bodies are a page of tags of 8 MiB, and a manifest of 4 MiB with 10,000 references.
 */
#define FRAME_BODY_MAX ((size_t)12 * 1024 * 1024)

enum frame_result {
    FRAME_DONE,
    FRAME_LATER, /* the socket is empty, or full; the loop will tell when it is not */
    FRAME_RETRY, /* out of memory or descriptors; nothing tells when there are some again */
    FRAME_END,   /* receiving: the other side is gone */
    FRAME_LOST,  /* receiving: out of memory or descriptors, and the message cannot be read again */
    FRAME_BROKEN, /* receiving: a malformed message; sending: the other side is gone */
};

struct frame {
    enum message_type type;
    struct slice body;
    int fd;         /* the message's own descriptor, or -1 */
    int payload_fd; /* sending: the memory file with the body, made at the first attempt; or -1 */
    bool is_split;  /* sending: payload_fd is given, and holds what follows the body */
    void *mapping;  /* receiving: where a body from a memory file lies */
    size_t mapping_length;
};

/* Receives one valid message; its body lies in `buffer` or in a mapping. The caller calls
 * frame_cleanup. */
enum frame_result frame_receive(int socket, char buffer[FRAME_BUFFER_SIZE], struct frame *out);
/* The body and the descriptors stay the caller's. */
enum frame_result frame_send(int socket, struct frame *frame);
/* Closes both descriptors and unmaps the body. */
void frame_cleanup(struct frame *frame);

#endif
