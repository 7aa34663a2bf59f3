/* SPDX-License-Identifier: Apache-2.0 */
/* net/transfer without libcurl: a scripted upstream in memory. One function answers every request.
 */
#ifndef FAKES_TRANSFER_H
#define FAKES_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "net/transfer.h"

struct fake_request {
    enum transfer_method method;
    char url[2048];
    char proxy[256];         /* "": none */
    char headers[4096];      /* "Name: value\r\n" each */
    bool is_refused;         /* may_connect returned false */
    uint64_t range_start;    /* of its Range header; 0 without one */
    const char *unix_socket; /* NULL: none */
    struct slice body;       /* what had been sent when the answer began */
    bool is_body_whole;
};

struct fake_answer {
    int status;          /* 0: no head comes, but `failure` */
    const char *headers; /* "Name: value\r\n" each; NULL: none */
    struct slice body;   /* borrowed for the whole test */
    bool has_no_length;  /* no Content-Length */
    bool is_cut;         /* fail after cut_at bytes of the body */
    uint64_t cut_at;
    enum error_kind failure; /* with status 0, or of the cut; 0: ERR_UPSTREAM */
    uint64_t delay_ms;       /* before the head */
    const char *address;     /* given to may_connect; NULL: a public one */
    uint64_t pause_ms;       /* between pieces of the body */
    size_t piece;            /* bytes; 0: 16 KiB */
};

typedef void fake_upstream_fn(const struct fake_request *request, struct fake_answer *answer,
                              void *arg);

/* Forgets all requests, and answers with `fn` from now on, each request when its body is whole. */
void fake_upstream_set(fake_upstream_fn *fn, void *arg);
/* Answers a request as soon as it has sent this many bytes of its body. */
void fake_upstream_answer_after(uint64_t length);
/* The requests so far. */
size_t fake_upstream_count(void);
const struct fake_request *fake_upstream_at(size_t index);
/* The number of requests whose URL contains this text. */
size_t fake_upstream_count_of(const char *part);

#endif
