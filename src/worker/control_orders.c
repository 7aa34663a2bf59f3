/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removals, collections and pins. Each is an errand: what is wanted is read from the body, the
 * ledger is read in the pool, the keeper gets its orders, and when they are done the request is
 * answered. An errand goes through without its client.
 *
 *   read the ledger ──► orders, all at once ──► collect until nothing is due ──► answer
 */
#include "control_orders.h"

#include <string.h>

#include "answer.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "config/config.h"
#include "control.h"
#include "control_plan.h"
#include "ipc/keeper_client.h"
#include "oci/api_error.h"
#include "request.h"
#include "store/ledger.h"
#include "worker_state.h"

#define ANSWER_MAX     ((size_t)4 << 20)
#define IMAGES_MAX     10000u /* in a body */
#define COLLECT_MS     30000  /* so long it is waited for what is due */
#define WAITING_LOOKED 100000u
#define SET_DEFAULT    "default"

struct errand {
    struct worker_job job;
    struct worker *worker;
    struct request *request; /* a reference */
    bool is_gone;            /* the client left */
    void (*print)(struct errand *errand, struct jsonio_writer *json);

    /* What is wanted. */
    struct plan_wish wish;
    char *text; /* what the images of the wish point into */
    bool is_dry;
    bool is_at_once;
    char *set;

    /* What the ledger said. */
    struct plan plan;
    struct error err;
    struct { /* links, blobs and bytes that nothing needs */
        uint64_t links, blobs, bytes;
    } waiting;
    bool is_due; /* something of it is to go now */

    /* Orders. */
    struct errand_order *orders;
    size_t order_count;
    size_t open;
    struct keeper_call collect;
    uint64_t until_ms;
};

struct errand_order {
    struct keeper_call call;
    struct errand *errand;
    struct error err; /* kind NONE: done */
};

static void errand_free(struct errand *errand)
{
    plan_cleanup(&errand->plan);
    mem_free(errand->wish.images);
    mem_free(errand->text);
    mem_free(errand->set);
    mem_free(errand->orders);
    request_unref(&errand->request);
    mem_free(errand);
}

static void errand_answer(struct errand *errand)
{
    struct request *request = errand->request;
    AUTO_BUF struct buf body;
    struct jsonio_writer json;

    buf_init(&body, ANSWER_MAX);
    if (!errand->is_gone) {
        request_set_step(request, NULL, NULL);
        if (errand->err.kind == ERR_INVALID) {
            control_refuse(request, "%s", errand->err.text);
        } else if (errand->err.kind != ERR_NONE) {
            request_fail_error(request, &errand->err, API_NAME_UNKNOWN);
        } else {
            jsonio_writer_init(&json, &body);
            jsonio_put_object(&json, NULL);
            errand->print(errand, &json);
            jsonio_put_end(&json);
            request->outcome = "done";
            control_respond(request, &body);
        }
    }
    errand_free(errand);
}

static void on_errand_gone(struct request *request)
{
    struct errand *errand = request->step;

    errand->is_gone = true;
}

static struct errand *errand_new(struct request *request,
                                 void (*print)(struct errand *errand, struct jsonio_writer *json))
{
    static const struct request_steps steps = {.on_gone = on_errand_gone};
    struct errand *errand = NEW(struct errand);

    errand->worker = request->worker;
    errand->request = request_ref(request);
    errand->print = print;
    request_set_step(request, &steps, errand);
    return errand;
}

static void errand_refuse(struct errand *errand, const char *text)
{
    (void)error_set(&errand->err, ERR_INVALID, "%s", text);
    errand_answer(errand);
}

/* ---- the body ---- */

struct known_keys {
    const char *const *keys; /* ended by NULL */
    struct error *err;
};

static void check_key(struct slice key, struct jsonio_value value, void *arg)
{
    const struct known_keys *known = arg;

    (void)value;
    for (size_t i = 0; known->keys[i]; i++) {
        if (slice_is(key, known->keys[i]))
            return;
    }
    (void)error_set(known->err, ERR_INVALID, "the body has an unknown member \"%.*s\"",
                    (int)(key.length < 40 ? key.length : 40), key.data);
}

static bool read_flag(struct errand *errand, struct jsonio_value body, const char *key)
{
    struct jsonio_value value = jsonio_member(body, key);
    enum jsonio_type type = jsonio_type(value);

    if (type != JSONIO_ABSENT && type != JSONIO_BOOL)
        (void)error_set(&errand->err, ERR_INVALID, "\"%s\" must be true or false", key);
    return jsonio_is_true(value);
}

/* The texts are copied: the body is gone when they are used. */
static void read_images(struct errand *errand, struct jsonio_value body)
{
    struct jsonio_value list = jsonio_member(body, "images");
    size_t count = jsonio_length(list);
    size_t bytes = 0;

    if (jsonio_type(list) != JSONIO_ARRAY || count > IMAGES_MAX) {
        (void)error_set(&errand->err, ERR_INVALID, "\"images\" must be a list of at most %u texts",
                        IMAGES_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct slice image = jsonio_string(jsonio_element(list, i));

        if (image.length == 0 || slice_find(image, ' ') >= 0) {
            (void)error_set(&errand->err, ERR_INVALID,
                            "\"images\" must be texts like team/app:1, without spaces");
            return;
        }
        bytes += image.length;
    }
    errand->text = mem_alloc(bytes + 1);
    errand->wish.images = mem_zalloc(count + 1, sizeof(*errand->wish.images));
    errand->wish.image_count = count;
    char *end = errand->text;
    for (size_t i = 0; i < count; i++) {
        struct slice image = jsonio_string(jsonio_element(list, i));

        memcpy(end, image.data, image.length);
        errand->wish.images[i] = slice_from(end, image.length);
        end += image.length;
    }
}

static void read_set(struct errand *errand, struct jsonio_value body)
{
    struct jsonio_value value = jsonio_member(body, "set");
    struct slice set =
        jsonio_type(value) == JSONIO_ABSENT ? slice_of(SET_DEFAULT) : jsonio_string(value);

    if (set.length == 0 || set.length > PIN_SET_MAX || slice_find(set, ' ') >= 0) {
        (void)error_set(&errand->err, ERR_INVALID,
                        "\"set\" must be a name of at most %u bytes, without spaces", PIN_SET_MAX);
        return;
    }
    errand->set = slice_dup(set);
}

static void check_body(struct errand *errand, struct jsonio_value body, const char *const *keys)
{
    struct known_keys known = {keys, &errand->err};

    jsonio_each(body, check_key, &known);
}

/* ---- orders ---- */

static void errand_look(struct errand *errand);

static void on_order_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct errand_order *order = LIST_ITEM(call, struct errand_order, call);
    struct errand *errand = order->errand;

    if (!answer->is_done)
        keeper_answer_error(answer, &order->err);
    if (--errand->open > 0)
        return;
    if (errand->is_at_once)
        errand_look(errand);
    else
        errand_answer(errand);
}

static void send_order(struct errand *errand, struct errand_order *order)
{
    if (!errand->is_gone)
        request_set_actor(errand->request, &order->call);
    order->errand = errand;
    order->call.on_answer = on_order_answer;
    keeper_client_ask(errand->worker->keeper, &order->call);
}

static void send_plan(struct errand *errand)
{
    errand->orders = mem_zalloc(errand->plan.count + 1, sizeof(*errand->orders));
    errand->order_count = errand->plan.count;
    errand->open = errand->plan.count;
    for (size_t i = 0; i < errand->order_count; i++) {
        const struct plan_image *image = &errand->plan.images[i];
        struct errand_order *order = &errand->orders[i];

        order->call.type = MESSAGE_TAKE_OUT;
        order->call.message.take_out = (struct message_take_out){
            .kind = image->kind,
            .origin = slice_of(image->origin),
            .repository = slice_of(image->repository),
            .tag = slice_of(image->tag),
            .digest = image->kind == TAKE_OUT_MANIFEST ? image->digest : (struct digest){0},
            .is_at_once = errand->is_at_once,
            .keeps_children = errand->wish.keeps_children,
        };
    }
    for (size_t i = 0; i < errand->plan.count; i++)
        send_order(errand, &errand->orders[i]);
}

/* ---- what is due ---- */

static bool is_due(const struct errand *errand, const struct due *due)
{
    uint64_t grace_ms = errand->job.config->storage.grace_ms;

    return due->since_ms <= DUE_AT_ONCE || due->since_ms + 2 * grace_ms <= clock_wall().ms;
}

static void count_waiting(struct errand *errand, struct ledger_txn *txn)
{
    struct due due[64];
    struct due after;
    size_t count = due_first(txn, due, 64);

    errand->is_due = count > 0 && is_due(errand, &due[0]);
    memset(&errand->waiting, 0, sizeof(errand->waiting));
    for (unsigned looked = 0; count > 0 && looked < WAITING_LOOKED; looked += 64) {
        for (size_t i = 0; i < count; i++) {
            struct blob_record blob;

            errand->waiting.links += due[i].kind == DUE_LINK;
            if (due[i].kind == DUE_BLOB && blob_find(txn, &due[i].digest, &blob)) {
                errand->waiting.blobs++;
                errand->waiting.bytes += blob.size;
            }
        }
        after = due[count - 1];
        count = due_after(txn, &after, due, 64);
    }
}

/* Work in the pool: an errand reads the ledger. */
static void read_ledger(struct errand *errand,
                        void (*read)(struct errand *errand, struct ledger_txn *txn))
{
    struct ledger_reader *reader = ledger_reader_new(errand->worker->options.ledger);
    struct ledger_txn *txn = ledger_read(reader);

    read(errand, txn);
    if (ledger_error(txn))
        errand->err = *ledger_error(txn);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
}

static void run_look(struct worker_job *job)
{
    read_ledger(LIST_ITEM(job, struct errand, job), count_waiting);
}

static void on_collect_answer(struct keeper_call *call, const struct keeper_answer *answer)
{
    struct errand *errand = LIST_ITEM(call, struct errand, collect);

    if (answer->is_done) {
        errand_look(errand);
        return;
    }
    keeper_answer_error(answer, &errand->err);
    errand_answer(errand);
}

static void on_looked(struct worker_job *job)
{
    struct errand *errand = LIST_ITEM(job, struct errand, job);

    if (errand->err.kind != ERR_NONE || !errand->is_due || errand->is_dry ||
        clock_mono().ms >= errand->until_ms) {
        errand_answer(errand);
        return;
    }
    errand->collect = (struct keeper_call){.type = MESSAGE_COLLECT, .on_answer = on_collect_answer};
    keeper_client_ask(errand->worker->keeper, &errand->collect);
}

/* Looks what waits; while something is due the keeper is asked to collect. */
static void errand_look(struct errand *errand)
{
    if (errand->until_ms == 0)
        errand->until_ms = clock_mono().ms + COLLECT_MS;
    errand->job = (struct worker_job){.run = run_look, .done = on_looked};
    worker_submit(errand->worker, &errand->job, 0);
}

/* ---- POST /api/v1/removals ---- */

static const char *order_error(const struct errand *errand, size_t index)
{
    return index < errand->order_count && errand->orders[index].err.kind != ERR_NONE
               ? errand->orders[index].err.text
               : NULL;
}

static void print_plan_image(const struct plan_image *image, const char *error,
                             struct jsonio_writer *json)
{
    char text[DIGEST_TEXT_SIZE];

    jsonio_put_object(json, NULL);
    jsonio_put_text(json, "repository", image->repository);
    jsonio_put_text(json, "origin", image->origin);
    if (image->kind == TAKE_OUT_TAG)
        jsonio_put_text(json, "tag", image->tag);
    if (image->kind != TAKE_OUT_NAME)
        jsonio_put_text(json, "digest", digest_print(&image->digest, text));
    else
        jsonio_put_bool(json, "released", !error);
    if (error)
        jsonio_put_text(json, "message", error);
    jsonio_put_end(json);
}

static void print_removal(struct errand *errand, struct jsonio_writer *json)
{
    const struct plan *plan = &errand->plan;

    jsonio_put_bool(json, "dry_run", errand->is_dry);
    jsonio_put_array(json, "removed");
    for (size_t i = 0; i < plan->count; i++) {
        if (!order_error(errand, i))
            print_plan_image(&plan->images[i], NULL, json);
    }
    jsonio_put_end(json);
    jsonio_put_array(json, "kept");
    for (size_t i = 0; i < plan->count; i++) {
        if (order_error(errand, i))
            print_plan_image(&plan->images[i], order_error(errand, i), json);
    }
    jsonio_put_end(json);
    jsonio_put_u64(json, "manifests", plan->manifests);
    jsonio_put_u64(json, "blobs", plan->blobs);
    jsonio_put_u64(json, "bytes", plan->bytes);
    jsonio_put_bool(json, "more", plan->has_more);
}

static void make_plan(struct errand *errand, struct ledger_txn *txn)
{
    (void)plan_make(&errand->wish, txn, &errand->plan, &errand->err);
}

static void run_plan(struct worker_job *job)
{
    read_ledger(LIST_ITEM(job, struct errand, job), make_plan);
}

static void on_planned(struct worker_job *job)
{
    struct errand *errand = LIST_ITEM(job, struct errand, job);

    if (errand->err.kind != ERR_NONE || errand->is_dry || errand->plan.count == 0)
        errand_answer(errand);
    else
        send_plan(errand);
}

static void take_removal(struct request *request, struct jsonio_value body)
{
    static const char *const keys[] = {"images",        "repository", "untagged", "release",
                                       "keep_children", "dry_run",    "now",      NULL};
    struct errand *errand = errand_new(request, print_removal);

    check_body(errand, body, keys);
    read_images(errand, body);
    errand->wish.is_repository = read_flag(errand, body, "repository");
    errand->wish.is_untagged = read_flag(errand, body, "untagged");
    errand->wish.is_release = read_flag(errand, body, "release");
    errand->wish.keeps_children = read_flag(errand, body, "keep_children");
    errand->is_dry = read_flag(errand, body, "dry_run");
    errand->is_at_once = read_flag(errand, body, "now");
    if (errand->err.kind != ERR_NONE) {
        errand_answer(errand);
    } else if (errand->wish.image_count == 0) {
        errand_refuse(errand, "\"images\" is empty");
    } else {
        errand->job = (struct worker_job){.run = run_plan, .done = on_planned};
        worker_submit(errand->worker, &errand->job, 0);
    }
}

void control_remove(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    control_receive(request, take_removal);
}

/* ---- POST /api/v1/collections ---- */

static void print_waiting(struct errand *errand, struct jsonio_writer *json)
{
    jsonio_put_bool(json, "dry_run", errand->is_dry);
    jsonio_put_bool(json, "more", errand->is_due);
    jsonio_put_object(json, "waiting");
    jsonio_put_u64(json, "links", errand->waiting.links);
    jsonio_put_u64(json, "blobs", errand->waiting.blobs);
    jsonio_put_u64(json, "bytes", errand->waiting.bytes);
    jsonio_put_end(json);
}

static void take_collection(struct request *request, struct jsonio_value body)
{
    static const char *const keys[] = {"dry_run", NULL};
    struct errand *errand = errand_new(request, print_waiting);

    check_body(errand, body, keys);
    errand->is_dry = read_flag(errand, body, "dry_run");
    if (errand->err.kind != ERR_NONE)
        errand_answer(errand);
    else
        errand_look(errand);
}

void control_collect(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    control_receive(request, take_collection);
}

/* ---- /api/v1/pins ---- */

static void print_pinned(struct errand *errand, struct jsonio_writer *json)
{
    jsonio_put_text(json, "set", errand->set);
    jsonio_put_u64(json, "images", errand->wish.image_count);
}

/* The full names: what is pinned is a cached image. */
static bool is_pinnable(struct slice image)
{
    ptrdiff_t slash = slice_find(image, '/');
    struct slice last = slice_skip(image, (size_t)slice_find_last(image, '/') + 1);

    return slash > 0 && image.length <= 400 &&
           (slice_find(image, '@') > 0 || slice_find(last, ':') > 0);
}

static void join_images(struct errand *errand, struct buf *out)
{
    for (size_t i = 0; i < errand->wish.image_count; i++) {
        struct slice image = errand->wish.images[i];

        if (!is_pinnable(image)) {
            (void)error_set(&errand->err, ERR_INVALID,
                            "%.*s: write the whole name, like docker.io/library/nginx:1.25",
                            (int)(image.length < 100 ? image.length : 100), image.data);
        }
        buf_append_slice(out, image);
        buf_append_byte(out, ' ');
    }
}

static void take_pins(struct request *request, struct jsonio_value body, enum pin_kind kind)
{
    static const char *const keys[] = {"set", "images", "remove", NULL};
    struct errand *errand = errand_new(request, print_pinned);
    AUTO_BUF struct buf images;

    buf_init(&images, 2 * CONTROL_BODY_MAX);
    check_body(errand, body, keys);
    read_images(errand, body);
    read_set(errand, body);
    if (read_flag(errand, body, "remove"))
        kind = PIN_REMOVE;
    if (errand->err.kind == ERR_NONE)
        join_images(errand, &images);
    if (errand->err.kind != ERR_NONE) {
        errand_answer(errand);
        return;
    }
    mem_free(errand->text); /* what is sent lives until the answer */
    errand->text = slice_dup(buf_bytes(&images));
    errand->orders = mem_zalloc(1, sizeof(*errand->orders));
    errand->order_count = errand->open = 1;
    errand->orders[0].call.type = MESSAGE_PIN;
    errand->orders[0].call.message.pin = (struct message_pin){
        .kind = kind, .set = slice_of(errand->set), .images = slice_of(errand->text)};
    send_order(errand, &errand->orders[0]);
}

static void take_new_pins(struct request *request, struct jsonio_value body)
{
    take_pins(request, body, PIN_ADD);
}

static void take_all_pins(struct request *request, struct jsonio_value body)
{
    take_pins(request, body, PIN_REPLACE);
}

void control_add_pins(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    control_receive(request, take_new_pins);
}

void control_replace_pins(struct request *request, struct ledger_txn *txn)
{
    (void)txn;
    control_receive(request, take_all_pins);
}
