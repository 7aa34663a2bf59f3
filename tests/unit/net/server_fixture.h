/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server on the fake loop, a client at the other end of a socketpair, and a handler that
 * does what the path says:
 *
 *   /hello   answers at once            /later   leaves it to the test
 *   /body    reads all, answers it      /early   answers 403, reads nothing
 *   /file    sends the fixture's file   /pieces  "ab", then "cd", of unknown length
 *   /parts   the file, 100,000 bytes at a time
 *   /stream  200 pieces of 64 KiB, of unknown length, each when the one before is sent
 *   /abort   begins, then aborts        /short   promises 100 bytes, sends one
 */
#ifndef TESTS_UNIT_NET_SERVER_FIXTURE_H
#define TESTS_UNIT_NET_SERVER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "net/http_conn.h"

#define STREAM_PIECE  ((size_t)64 * 1024)
#define STREAM_PIECES 200

struct fixture {
    struct loop *loop;
    struct pool *pool;
    struct http_server *server;
    struct http_settings settings;
    int client;                   /* -1: closed */
    int tcp_server;               /* the other end, after fixture_use_tcp; the server's */
    struct buf received;          /* by the client */
    bool is_ended;                /* the client saw the end */
    bool is_reset;                /* the client saw a reset */
    struct http_conn *later;      /* /later's, until it is done */
    const struct http_head *head; /* of the newest request */
    unsigned requests;
    unsigned done;
    enum http_end last_end;
    int refused; /* status of the last refusal */
    struct buf body;
    bool is_body_whole;
    unsigned body_calls;
    char room[1000]; /* for bodies */
    size_t room_size;
    unsigned drained;
    int file;
    size_t file_size;
    size_t parts_sent;
    size_t pieces_left;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* A further connection; its client's end. */
int fixture_connect(struct fixture *fixture);
/* A loopback TCP connection instead of the socketpair: resets are visible. */
void fixture_use_tcp(struct fixture *fixture);
void fixture_run(struct fixture *fixture);
void fixture_send(struct fixture *fixture, const char *text);
/* Send, run, and what has been received since the last call. */
const char *fixture_talk(struct fixture *fixture, const char *text);
/* Virtual time passes, and the client reads nothing. */
void fixture_pass(struct fixture *fixture, unsigned ms);
/* The same, and then it reads. */
void fixture_wait(struct fixture *fixture, unsigned ms);
void fixture_make_file(struct fixture *fixture, size_t size);
/* How often `what` is in `text`. */
unsigned count_of(const char *text, const char *what);

#endif
