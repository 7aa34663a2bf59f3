/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An awkward kind of stream. It is linked in place of src/net/stream_plain.c and behaves like one
 * that encrypts, though the bytes on the socket are the plain ones:
 *
 *  - a handshake of several steps comes first, some of which want to write;
 *  - it takes and gives single bytes at first, later also records;
 *  - it takes whole records from the socket and keeps inside what was not received, so that no
 * event comes for it;
 *  - it wants to read while it sends, and to write while it receives, and does not go on before the
 *    loop has reported that event;
 *  - it wants to read before it has told the peer of its end.
 *
 * It checks that a send that was put off is repeated with the same bytes. It needs the fake loop.
 */
#ifndef FAKES_STREAM_H
#define FAKES_STREAM_H

#include <stdbool.h>

enum fake_handshake {
    FAKE_HANDSHAKE_WORKS,
    FAKE_HANDSHAKE_FAILS, /* in its last step */
    FAKE_HANDSHAKE_HANGS, /* after its last step it waits for the peer for ever */
};

/* What the streams that are opened from now on do. */
struct fake_stream_plan {
    enum fake_handshake handshake;
    unsigned steps; /* of the handshake */
};
extern struct fake_stream_plan fake_stream_plan;

/* Streams that are open now. */
unsigned fake_streams_open(void);

#endif
