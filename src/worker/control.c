/* SPDX-License-Identifier: Apache-2.0 */
/* A reading is the step of its request and lives until its work in the pool is done; so does the
 * receiving of a body, until the body is there. */
#include "control.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/jsonio.h"
#include "base/text.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "request.h"
#include "store/ledger.h"
#include "worker_state.h"

#define ANSWER_MAX ((size_t)32 << 20)
#define VALUE_MAX  2048
#define READ_STEP  ((size_t)64 * 1024)

/* ---- answers ---- */

void control_respond(struct request *request, struct buf *json)
{
    struct headers headers;

    headers_init(&headers);
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    headers_add(&headers, "Cache-Control", SLICE_LITERAL("no-store"));
    buf_append_byte(json, '\n');
    request_respond_buf(request, 200, &headers, json);
}

void control_refuse(struct request *request, const char *fmt, ...)
{
    struct api_error error;
    va_list args;

    va_start(args, fmt);
    (void)api_error_vset(&error, API_UNSUPPORTED, 400, fmt, args);
    va_end(args);
    request_fail(request, &error);
}

static void answer_error(struct request *request, const struct error *err)
{
    if (err->kind == ERR_INVALID)
        control_refuse(request, "%s", err->text);
    else
        request_fail_error(request, err, API_NAME_UNKNOWN);
}

/* ---- the query ---- */

static const char *const parameter_names[CONTROL_PARAMETERS] = {
    [CONTROL_MATCH] = "match",
    [CONTROL_AFTER] = "after",
    [CONTROL_LIMIT] = "limit",
    [CONTROL_BY] = "by",
};

static int refuse_parameter(struct slice key, unsigned parameters, struct error *err)
{
    AUTO_BUF struct buf shown;
    AUTO_BUF struct buf known;

    buf_init(&shown, 128);
    buf_init(&known, 256);
    text_print_escaped(&shown, key, 60);
    for (unsigned i = 0; i < CONTROL_PARAMETERS; i++) {
        if ((parameters & 1u << i) != 0)
            buf_printf(&known, "%s%s", known.length == 0 ? "" : ", ", parameter_names[i]);
    }
    if (known.length == 0) {
        return error_set(err, ERR_INVALID, "this address has no parameter %s, and no other",
                         buf_text(&shown));
    }
    return error_set(err, ERR_INVALID, "this address has no parameter %s; there are %s",
                     buf_text(&shown), buf_text(&known));
}

static int take_parameter(struct control_task *task, struct slice pair, unsigned parameters,
                          struct error *err)
{
    ptrdiff_t equals = slice_find(pair, '=');
    struct slice key = equals < 0 ? pair : slice_from(pair.data, (size_t)equals);
    struct slice value = equals < 0 ? slice_of("") : slice_skip(pair, (size_t)equals + 1);
    unsigned which = 0;

    while (which < CONTROL_PARAMETERS &&
           ((parameters & 1u << which) == 0 || !slice_is(key, parameter_names[which])))
        which++;
    if (which == CONTROL_PARAMETERS)
        return refuse_parameter(key, parameters, err);
    if (task->values[which])
        return error_set(err, ERR_INVALID, "%s= appears twice", parameter_names[which]);
    AUTO_BUF struct buf decoded;
    buf_init(&decoded, VALUE_MAX);
    int rc = text_percent_decode(value, &decoded, err);
    if (rc == 0 && decoded.is_over)
        rc = error_set(err, ERR_INVALID, "it is longer than %d bytes", VALUE_MAX);
    if (rc != 0)
        return error_wrap(err, "%s=", parameter_names[which]);
    task->values[which] = slice_dup(buf_bytes(&decoded));
    return 0;
}

static int read_limit(struct control_task *task, struct error *err)
{
    const char *text = task->values[CONTROL_LIMIT];
    struct error ignored;

    task->limit = CONTROL_LIMIT_DEFAULT;
    if (!text)
        return 0;
    if (text_parse_u64(slice_of(text), &task->limit, &ignored) != 0 || task->limit == 0 ||
        task->limit > CONTROL_LIMIT_MAX) {
        return error_set(err, ERR_INVALID, "limit= must be a number from 1 to %u",
                         CONTROL_LIMIT_MAX);
    }
    return 0;
}

static int read_query(struct control_task *task, struct slice target, unsigned parameters,
                      struct error *err)
{
    ptrdiff_t mark = slice_find(target, '?');
    struct slice rest = mark < 0 ? slice_of("") : slice_skip(target, (size_t)mark + 1);
    struct slice pair;
    int rc = 0;

    while (rc == 0 && slice_split(&rest, '&', &pair)) {
        if (pair.length > 0)
            rc = take_parameter(task, pair, parameters, err);
    }
    return rc == 0 ? read_limit(task, err) : rc;
}

/* ---- reading, in the pool ---- */

struct control_reading {
    struct worker_job job;
    struct request *request; /* a reference */
    struct control_task task;
    control_print_fn *print;
    struct buf json;
    bool is_gone; /* the client left meanwhile */
};

static void reading_free(struct control_reading *reading)
{
    for (unsigned i = 0; i < CONTROL_PARAMETERS; i++)
        mem_free(reading->task.values[i]);
    buf_cleanup(&reading->json);
    request_unref(&reading->request);
    mem_free(reading);
}

static void run_reading(struct worker_job *job)
{
    struct control_reading *reading = LIST_ITEM(job, struct control_reading, job);
    struct ledger_reader *reader = ledger_reader_new(job->worker->options.ledger);
    struct jsonio_writer json;

    reading->task.config = job->config;
    reading->task.txn = ledger_read_long(reader);
    jsonio_writer_init(&json, &reading->json);
    jsonio_put_object(&json, NULL);
    reading->print(&reading->task, &json);
    jsonio_put_end(&json);
    if (ledger_error(reading->task.txn))
        reading->task.err = *ledger_error(reading->task.txn);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
}

static void on_read(struct worker_job *job)
{
    struct control_reading *reading = LIST_ITEM(job, struct control_reading, job);
    struct request *request = reading->request;

    if (!reading->is_gone) {
        request_set_step(request, NULL, NULL);
        if (reading->task.err.kind != ERR_NONE)
            answer_error(request, &reading->task.err);
        else
            control_respond(request, &reading->json);
    }
    reading_free(reading);
}

static void on_reading_gone(struct request *request)
{
    struct control_reading *reading = request->step;

    reading->is_gone = true;
}

void control_read(struct request *request, unsigned parameters, control_print_fn *print)
{
    static const struct request_steps steps = {.on_gone = on_reading_gone};
    struct control_reading *reading = NEW(struct control_reading);
    struct error err;

    reading->request = request_ref(request);
    reading->task.worker = request->worker;
    reading->print = print;
    buf_init(&reading->json, ANSWER_MAX);
    if (read_query(&reading->task, request->head->target, parameters, &err) != 0) {
        answer_error(request, &err);
        reading_free(reading);
        return;
    }
    request_set_step(request, &steps, reading);
    reading->job.run = run_reading;
    reading->job.done = on_read;
    worker_submit(request->worker, &reading->job, 0);
}

/* ---- receiving ---- */

struct control_body {
    struct buf bytes;
    control_take_fn *take;
};

static void body_free(struct control_body *body)
{
    buf_cleanup(&body->bytes);
    mem_free(body);
}

static void body_finish(struct request *request)
{
    struct control_body *body = request->step;
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;

    request_set_step(request, NULL, NULL);
    int rc = jsonio_parse(buf_bytes(&body->bytes), &document, &err);
    if (rc != 0)
        control_refuse(request, "the body is not right: %s", err.text);
    else if (jsonio_type(jsonio_root(document)) != JSONIO_OBJECT)
        control_refuse(request, "the body must be a JSON object");
    else
        body->take(request, jsonio_root(document));
    body_free(body);
}

static void read_more(struct request *request)
{
    struct control_body *body = request->step;
    char *space = buf_reserve(&body->bytes, READ_STEP);

    if (buf_bytes(&body->bytes).length <= CONTROL_BODY_MAX && space) {
        http_conn_read_body(request->conn, space, READ_STEP);
        return;
    }
    request_set_step(request, NULL, NULL);
    body_free(body);
    control_refuse(request, "the body has more than %zu bytes", CONTROL_BODY_MAX);
}

static void on_body(struct request *request, size_t length, bool is_end)
{
    struct control_body *body = request->step;

    buf_added(&body->bytes, length);
    if (is_end && buf_bytes(&body->bytes).length <= CONTROL_BODY_MAX)
        body_finish(request);
    else
        read_more(request);
}

static void on_body_gone(struct request *request)
{
    body_free(request->step);
}

void control_receive(struct request *request, control_take_fn *take)
{
    static const struct request_steps steps = {.on_body = on_body, .on_gone = on_body_gone};

    if (slice_find(request->head->target, '?') >= 0) {
        control_refuse(request, "this address has no parameters; what it takes is in the body");
        return;
    }
    struct control_body *body = NEW(struct control_body);
    body->take = take;
    buf_init(&body->bytes, CONTROL_BODY_MAX + 2 * READ_STEP);
    request_set_step(request, &steps, body);
    read_more(request);
}
