/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted upstream in memory, in place of libcurl: one function answers every request. */
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
    char headers[4096];      /* "Name: value\r\n" each */
    bool is_refused;         /* may_connect said no */
    uint64_t range_start;    /* of its Range, 0 without one */
    const char *unix_socket; /* a copy; NULL: none */
    struct slice body;       /* as far as it had come when the answer began */
    bool is_body_whole;
};

struct fake_answer {
    int status;          /* of the head; 0 with a failure: no head at all */
    const char *headers; /* "Name: value\r\n" each; NULL: none */
    struct slice body;   /* lives as long as the test */
    bool has_no_length;  /* no Content-Length */
    bool is_cut;         /* fail after cut_at bytes of the body */
    uint64_t cut_at;
    enum error_kind failure; /* with status 0, or what the cut is told as (ERR_UPSTREAM) */
    uint64_t delay_ms;       /* before the head */
    const char *address;     /* asked of may_connect; NULL: a public one */
    uint64_t pause_ms;       /* between pieces of the body */
    size_t piece;            /* bytes; 0: 16 KiB */
};

typedef void fake_upstream_fn(const struct fake_request *request, struct fake_answer *answer,
                              void *arg);

/* Forget what was, and answer with this from now on, each request when its body is whole. */
void fake_upstream_set(fake_upstream_fn *fn, void *arg);
/* Answer when so many bytes of a body are there. */
void fake_upstream_answer_after(uint64_t length);
size_t fake_upstream_count(void);
const struct fake_request *fake_upstream_at(size_t index);
/* Requests whose URL holds this text. */
size_t fake_upstream_count_of(const char *part);

#endif
