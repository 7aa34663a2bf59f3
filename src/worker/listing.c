/* SPDX-License-Identifier: Apache-2.0 */
/* A listing is the step of its request, and holds a reference to it until it is freed. */
#include "listing.h"

#include "answer.h"
#include "answer_body.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "page.h"
#include "request.h"
#include "serve.h"
#include "store/ledger.h"
#include "worker_state.h"

#define PATH_MAX_SIZE (NAME_MAX_LENGTH + 32)

struct listing {
    struct worker_job job;
    struct list link;        /* while it waits for its turn */
    struct request *request; /* a reference */
    const struct listing_kind *kind;
    struct page page;
    struct error err; /* of the ledger */
    bool is_long;
    bool is_running; /* in the pool */
    bool is_gone;    /* the client left meanwhile */
    bool is_stale;
    char *warning;
};

struct listing_queue { /* long ones */
    struct list waiting;
    bool is_busy; /* one is in the pool */
};

struct listing_queue *listing_queue_new(void)
{
    struct listing_queue *queue = NEW(struct listing_queue);

    list_init(&queue->waiting);
    return queue;
}

void listing_queue_free(struct listing_queue **queue)
{
    if (!*queue)
        return;
    CHECK(list_is_empty(&(*queue)->waiting) && !(*queue)->is_busy);
    mem_free(TAKE(*queue));
}

static void listing_free(struct listing *listing)
{
    list_remove(&listing->link);
    request_unref(&listing->request);
    page_cleanup(&listing->page);
    mem_free(listing->warning);
    mem_free(listing);
}

/* ---- in the pool ---- */

static void run_listing(struct worker_job *job)
{
    struct listing *listing = LIST_ITEM(job, struct listing, job);
    struct ledger_reader *reader = ledger_reader_new(job->worker->options.ledger);
    struct ledger_txn *txn = ledger_read_long(reader);

    listing->kind->print_head(listing->request, &listing->page.json);
    listing->kind->read(listing->request, txn, &listing->page);
    jsonio_put_end(&listing->page.json);
    jsonio_put_end(&listing->page.json);
    if (ledger_error(txn))
        listing->err = *ledger_error(txn);
    ledger_read_end(reader);
    ledger_reader_free(&reader);
}

/* ---- the answer ---- */

static void add_link(const struct listing *listing, struct headers *headers)
{
    const struct request *request = listing->request;
    char more[PAGE_NAMESPACE_SIZE];
    AUTO_BUF struct buf path;
    AUTO_BUF struct buf link;

    buf_init(&path, PATH_MAX_SIZE);
    buf_init(&link, PAGE_LINK_MAX);
    listing->kind->print_path(request, &path);
    page_print_namespace(&request->operation, more);
    page_link(&listing->page, buf_text(&path), more, &link);
    if (buf_bytes(&link).length > 0)
        headers_add(headers, "Link", buf_bytes(&link));
}

static void answer_listing(struct listing *listing)
{
    struct request *request = listing->request;
    struct headers headers;

    request_set_step(request, NULL, NULL);
    if (listing->err.kind != ERR_NONE) {
        request_failf(request, API_UNAVAILABLE, "the ledger cannot be read: %s", listing->err.text);
        return;
    }
    if ((request->endpoint->needs & NEEDS_REPOSITORY) != 0)
        request_headers(request, &headers);
    else
        headers_init(&headers);
    if (listing->is_stale) {
        struct serve_age age = {.is_stale = true, .warning = slice_of(listing->warning)};

        serve_mark_stale(&headers, &age);
    }
    headers_add(&headers, "Content-Type", SLICE_LITERAL("application/json"));
    add_link(listing, &headers);
    if (!request->outcome)
        request->outcome = "listed";
    request->source = SOURCE_DISK;
    request_respond_buf(request, 200, &headers, &listing->page.body);
}

/* ---- turns ---- */

static void on_listing_done(struct worker_job *job);

static void listing_run(struct listing *listing)
{
    listing->is_running = true;
    listing->job.run = run_listing;
    listing->job.done = on_listing_done;
    worker_submit(listing->request->worker, &listing->job, 0);
}

static void run_next(struct listing_queue *queue)
{
    if (queue->is_busy || list_is_empty(&queue->waiting))
        return;
    struct listing *listing = LIST_ITEM(queue->waiting.next, struct listing, link);
    list_remove(&listing->link);
    list_init(&listing->link);
    queue->is_busy = true;
    listing_run(listing);
}

static void on_listing_done(struct worker_job *job)
{
    struct listing *listing = LIST_ITEM(job, struct listing, job);
    struct listing_queue *queue = job->worker->listings;
    bool is_long = listing->is_long;

    if (!listing->is_gone)
        answer_listing(listing);
    listing_free(listing);
    if (is_long) {
        queue->is_busy = false;
        run_next(queue);
    }
}

static void on_gone(struct request *request)
{
    struct listing *listing = request->step;

    listing->is_gone = true;
    if (!listing->is_running)
        listing_free(listing);
}

static const struct request_steps listing_steps = {.on_gone = on_gone};

void listing_begin(struct request *request, const struct listing_kind *kind,
                   const struct serve_age *age)
{
    struct listing_queue *queue = request->worker->listings;
    struct listing *listing = NEW(struct listing);

    list_init(&listing->link);
    listing->request = request_ref(request);
    listing->kind = kind;
    page_init(&listing->page, &request->operation, request->config->limits.page);
    listing->is_long = page_may_be_long(&listing->page, kind->name_max);
    listing->is_stale = age;
    listing->warning = age ? slice_dup(age->warning) : NULL;
    request_set_step(request, &listing_steps, listing);
    if (!listing->is_long) {
        listing_run(listing);
        return;
    }
    list_append(&queue->waiting, &listing->link);
    run_next(queue);
}
