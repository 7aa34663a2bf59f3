/* SPDX-License-Identifier: Apache-2.0 */
/* There are few bodies at a time: a shared one is found by walking through all of them. */
#include "answer_body.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "oci/digest.h"

struct answer_bodies {
    struct list all;
    size_t limit;
    size_t held;
};

struct answer_body {
    struct list link;
    struct answer_bodies *bodies;
    unsigned refs;
    bool is_shared;       /* by answer_body_share */
    struct digest digest; /* algorithm 0: unknown */
    struct buf bytes;
};

struct answer_bodies *answer_bodies_new(size_t limit)
{
    struct answer_bodies *bodies = NEW(struct answer_bodies);

    list_init(&bodies->all);
    bodies->limit = limit;
    return bodies;
}

void answer_bodies_set_limit(struct answer_bodies *bodies, size_t limit)
{
    bodies->limit = limit;
}

void answer_bodies_free(struct answer_bodies **bodies)
{
    if (!*bodies)
        return;
    CHECK(list_is_empty(&(*bodies)->all));
    mem_free(TAKE(*bodies));
}

/* One body is always accepted, however large. */
static struct answer_body *add(struct answer_bodies *bodies, size_t length)
{
    if (bodies->held > 0 &&
        (bodies->held >= bodies->limit || length > bodies->limit - bodies->held))
        return NULL;
    struct answer_body *body = NEW(struct answer_body);
    body->bodies = bodies;
    body->refs = 1;
    bodies->held += length;
    list_append(&bodies->all, &body->link);
    return body;
}

struct answer_body *answer_body_take(struct answer_bodies *bodies, struct buf *bytes)
{
    struct answer_body *body = add(bodies, buf_bytes(bytes).length);

    if (!body)
        return NULL;
    body->bytes = *bytes;
    buf_init(bytes, 0);
    return body;
}

struct answer_body *answer_body_share(struct answer_bodies *bodies, const struct digest *digest,
                                      struct slice bytes)
{
    LIST_EACH (link, &bodies->all) {
        struct answer_body *body = LIST_ITEM(link, struct answer_body, link);
        bool is_it = digest ? digest_equal(&body->digest, digest)
                            : body->is_shared && slice_equal(buf_bytes(&body->bytes), bytes);

        if (is_it) {
            body->refs++;
            return body;
        }
    }
    struct answer_body *body = add(bodies, bytes.length);

    if (!body)
        return NULL;
    body->is_shared = true;
    if (digest)
        body->digest = *digest;
    buf_init(&body->bytes, bytes.length);
    buf_append_slice(&body->bytes, bytes);
    return body;
}

struct slice answer_body_bytes(const struct answer_body *body)
{
    return buf_bytes(&body->bytes);
}

void answer_body_unref(struct answer_body **body_address)
{
    struct answer_body *body = TAKE(*body_address);

    if (!body || --body->refs > 0)
        return;
    body->bodies->held -= buf_bytes(&body->bytes).length;
    list_remove(&body->link);
    buf_cleanup(&body->bytes);
    mem_free(body);
}
