/* SPDX-License-Identifier: Apache-2.0 */
/* See listing.h. Tags are written anew; an index of referrers is only looked at. */
#include "listing.h"

#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "follower.h"
#include "oci/name.h"
#include "role.h"

/* Some repositories have tens of thousands of tags, and an upstream may give them all at once. Read
 * one after the other, as they take 100 bytes of memory a tag. */
#define VALUES_MAX 500000
#define LARGE      ((size_t)256 * 1024)

/* ---- in the pool ---- */

static struct listing *listing_of(struct pool_work *work)
{
    return (struct listing *)(void *)((char *)work - offsetof(struct listing, work));
}

static void write_tags(struct listing *listing, struct jsonio_value tags)
{
    size_t count = jsonio_length(tags);
    size_t written = 0;
    struct buf out;

    buf_init(&out, listing->body.length + 1024);
    buf_printf(&out, "{\"name\":\"%s\",\"tags\":[", listing->repository);
    for (size_t i = 0; i < count; i++) {
        struct slice tag = jsonio_string(jsonio_element(tags, i));
        if (tag_is_valid(tag))
            buf_printf(&out, "%s\"%.*s\"", written++ ? "," : "", SLICE_PRINT(tag));
    }
    buf_append_text(&out, "]}");
    buf_cleanup(&listing->body);
    listing->body = out;
}

static void read_list(struct listing *listing)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    bool is_tags = listing->kind == JOIN_TAGS_LIST;
    struct error *err = &listing->err;

    if (jsonio_parse_long(buf_bytes(&listing->body), VALUES_MAX, &document, err) != 0) {
        error_wrap(err, "the upstream's list");
        err->kind = ERR_UPSTREAM;
        return;
    }
    struct jsonio_value root = jsonio_root(document);
    struct jsonio_value names = jsonio_member(root, is_tags ? "tags" : "manifests");
    enum jsonio_type type = jsonio_type(names);
    /* A repository whose last tag went has null with some. */
    if (type != JSONIO_ARRAY && !(is_tags && type == JSONIO_NULL)) {
        error_set(err, ERR_UPSTREAM, "the upstream's list has no array \"%s\"",
                  is_tags ? "tags" : "manifests");
        return;
    }
    if (is_tags)
        write_tags(listing, names);
}

static void run(struct pool_work *work)
{
    struct listing *listing = listing_of(work);
    struct message_answer answer;

    read_list(listing);
    if (listing->err.kind != ERR_NONE)
        return;
    listing_answer(listing, &answer);
    listing->payload_fd = follower_payload_new(&answer);
}

/* ---- on the loop ---- */

static void listing_free(struct listing *listing)
{
    mem_free(listing->repository);
    mem_free(listing->link);
    buf_cleanup(&listing->body);
    fd_close(&listing->payload_fd);
    mem_free(listing);
}

static void on_done(struct pool_work *work)
{
    struct listing *listing = listing_of(work);

    fetcher_work_ended(listing->fetcher);
    listing->is_busy = false;
    if (listing->is_dropped) {
        listing_free(listing);
        return;
    }
    bool is_well = listing->err.kind == ERR_NONE;
    listing->done(listing, is_well ? NULL : &listing->err, listing->arg);
}

struct listing *listing_new(struct fetcher *fetcher, enum join_kind kind, const char *repository,
                            struct slice body)
{
    struct listing *listing = NEW(struct listing);

    listing->fetcher = fetcher;
    listing->kind = kind;
    listing->repository = mem_strdup(repository);
    buf_init(&listing->body, body.length);
    buf_append_slice(&listing->body, body);
    listing->payload_fd = -1;
    return listing;
}

void listing_read(struct listing *listing,
                  void (*done)(struct listing *, const struct error *, void *), void *arg)
{
    CHECK(!listing->is_busy);
    listing->done = done;
    listing->arg = arg;
    listing->is_busy = true;
    bool is_large = listing->body.length > LARGE;
    listing->work = (struct pool_work){
        .run = run, .done = on_done, .key = is_large ? listing->fetcher->large_key : 0};
    fetcher_submit(listing->fetcher, &listing->work);
}

void listing_answer(const struct listing *listing, struct message_answer *out)
{
    *out = (struct message_answer){
        .state = ANSWER_FRESH,
        .media_type = SLICE_LITERAL("application/json"),
        .body = buf_bytes(&listing->body),
        .size = listing->body.length,
        .checked = listing->checked_ms,
        .link = slice_of(listing->link),
    };
}

void listing_drop(struct listing **listing)
{
    struct listing *gone = TAKE(*listing);

    if (!gone)
        return;
    gone->is_dropped = true;
    if (!gone->is_busy)
        listing_free(gone);
}
