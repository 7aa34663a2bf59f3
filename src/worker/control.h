/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every address of the administrator's API (docs/admin-api.md) needs: the parameters of its
 * query, its body, work in the pool with a ledger reader, and the answer as JSON.
 */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct config;
struct jsonio_value;
struct jsonio_writer;
struct ledger_txn;
struct request;
struct worker;

/* The parameters that addresses have. */
enum control_parameter {
    CONTROL_MATCH,      /* a pattern of names, as in the configuration */
    CONTROL_AFTER,      /* the cursor that the page before ended with */
    CONTROL_LIMIT,      /* entries of a page */
    CONTROL_BY,         /* what usage is added up by */
    CONTROL_PARAMETERS, /* their number */
};
#define CONTROL_BIT(parameter) (1u << CONTROL_##parameter)
#define CONTROL_PAGE           (CONTROL_BIT(MATCH) | CONTROL_BIT(AFTER) | CONTROL_BIT(LIMIT))
#define CONTROL_LIMIT_MAX      1000u
#define CONTROL_LIMIT_DEFAULT  100u
#define CONTROL_BODY_MAX       ((size_t)1 << 20)

/* One request for reading, in the pool. */
struct control_task {
    struct worker *worker;
    const struct config *config;
    struct ledger_txn *txn;           /* ledger_read_long: copy what is kept over two reads */
    char *values[CONTROL_PARAMETERS]; /* decoded; NULL: not given */
    uint64_t limit;
    struct error err; /* set it, and the answer is this error instead: ERR_INVALID is 400 */
};
/* Writes the members of the answer's object. */
typedef void control_print_fn(struct control_task *task, struct jsonio_writer *json);
/* Answers the request, later. `parameters`: bits, those that the address has. */
void control_read(struct request *request, unsigned parameters, control_print_fn *print);

/* For an address whose body is a JSON object: it is received and parsed, then `take` is called, in
 * which the request is answered or gets its next step. The value lives until it returns. */
typedef void control_take_fn(struct request *request, struct jsonio_value body);
void control_receive(struct request *request, control_take_fn *take);

/* Answers 200 with the document. */
struct buf;
void control_respond(struct request *request, struct buf *json);
/* Answers 400. */
void control_refuse(struct request *request, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
