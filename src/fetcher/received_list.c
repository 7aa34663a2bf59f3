/* SPDX-License-Identifier: Apache-2.0 */
/* See received_list.h. A list of tags is always rewritten; an index of referrers only when an entry
 * is dropped from it. */
#include "received_list.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "base/list.h"
#include "base/text.h"
#include "follower.h"
#include "next_page.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "oci/name.h"
#include "role.h"

/* Some repositories have tens of thousands of tags, and an upstream may send them all at once.
 * Large lists are read one after the other, because each tag takes 100 bytes of memory. */
#define VALUES_MAX 500000
#define LARGE      ((size_t)256 * 1024)
/* bytes of an index that is rewritten */
#define INDEX_MAX ((size_t)9 * 1024 * 1024)

/* ---- in the pool ---- */

static struct received_list *received_list_of(struct pool_work *work)
{
    return LIST_ITEM(work, struct received_list, work);
}

/* ---- tags ---- */

static bool is_surrogate(struct slice hex, char low, char high)
{
    char second = (char)(hex.data[1] | 0x20);

    return (hex.data[0] | 0x20) == 'd' && second >= low && second <= high;
}

/* A tag with a NUL or half a surrogate pair is invalid, but must not make the whole list invalid:
 * U+FFFD, which is written with the same length, replaces them. */
static void mend_escapes(struct buf *body)
{
    static const char replacement[4] = {'f', 'f', 'f', 'd'};
    char *text = body->data + body->start;
    size_t length = body->length;

    for (size_t i = 0; i + 1 < length; i++) {
        if (text[i] != '\\')
            continue;
        i++;
        if (text[i] != 'u' || length - i < 5)
            continue;
        struct slice hex = slice_from(text + i + 1, 4);
        struct slice next = slice_from(text + i + 5, length - i - 5);
        bool is_high = is_surrogate(hex, '8', 'b');
        if (is_high && next.length >= 6 && slice_starts_with(next, "\\u") &&
            is_surrogate(slice_skip(next, 2), 'c', 'f')) {
            i += 10;
        } else if (is_high || is_surrogate(hex, '8', 'f') || slice_is(hex, "0000")) {
            memcpy(text + i + 1, replacement, sizeof(replacement));
            i += 4;
        }
    }
}

/* An upstream that does not know `last` sends all tags from the first on. */
static size_t find_start(const struct received_list *list, struct jsonio_value tags)
{
    AUTO_BUF struct buf last;
    struct slice value;
    struct error err;
    size_t count = jsonio_length(tags);

    buf_init(&last, LIST_QUERY_MAX);
    if (!next_page_find(slice_of(list->asked), "last", &value) ||
        text_percent_decode(value, &last, &err) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(jsonio_string(jsonio_element(tags, i)), buf_bytes(&last)))
            return i + 1;
    }
    return 0;
}

/* An upstream that does not know `n` sends more than was asked for: the rest is the next page. */
static void end_page(struct received_list *list, struct slice last)
{
    AUTO_BUF struct buf next;

    buf_init(&next, LIST_QUERY_MAX);
    if (last.length > 0)
        next_page_print(slice_of(list->asked), last, &next);
    mem_free(list->link);
    list->link = slice_dup(buf_bytes(&next));
}

static void write_tags(struct received_list *list, struct jsonio_value tags)
{
    size_t count = jsonio_length(tags);
    struct slice last = {0};
    struct slice value;
    struct error err;
    uint64_t limit = UINT64_MAX;
    uint64_t written = 0;
    struct jsonio_writer json;
    struct buf out;

    if (next_page_find(slice_of(list->asked), "n", &value) &&
        text_parse_u64(value, &limit, &err) != 0)
        limit = UINT64_MAX;
    buf_init(&out, list->body.length + 1024);
    jsonio_writer_init(&json, &out);
    jsonio_put_object(&json, NULL);
    jsonio_put_text(&json, "name", list->repository);
    jsonio_put_array(&json, "tags");
    for (size_t i = find_start(list, tags); i < count; i++) {
        struct slice tag = jsonio_string(jsonio_element(tags, i));

        if (!tag_is_valid(tag))
            continue;
        if (written++ == limit) {
            end_page(list, last);
            break;
        }
        jsonio_put_string(&json, NULL, tag);
        last = tag;
    }
    jsonio_put_end(&json);
    jsonio_put_end(&json);
    buf_cleanup(&list->body);
    list->body = out;
}

/* ---- referrers ---- */

static bool is_descriptor(struct jsonio_value value)
{
    struct digest digest;
    struct error err;
    uint64_t size = 0;

    return jsonio_string(jsonio_member(value, "mediaType")).length > 0 &&
           digest_parse(jsonio_string(jsonio_member(value, "digest")), &digest, &err) == 0 &&
           jsonio_u64(jsonio_member(value, "size"), &size);
}

static void write_descriptors(struct jsonio_writer *json, struct jsonio_value list)
{
    size_t count = jsonio_length(list);

    jsonio_put_array(json, NULL);
    for (size_t i = 0; i < count; i++) {
        struct jsonio_value value = jsonio_element(list, i);

        if (is_descriptor(value))
            jsonio_put_value(json, NULL, value);
    }
    jsonio_put_end(json);
}

static void write_member(struct slice key, struct jsonio_value value, void *arg)
{
    struct jsonio_writer *json = arg;

    jsonio_put_key(json, key);
    if (slice_is(key, "manifests"))
        write_descriptors(json, value);
    else
        jsonio_put_value(json, NULL, value);
}

static int write_index(struct received_list *list, struct jsonio_value root, struct error *err)
{
    struct jsonio_value manifests = jsonio_member(root, "manifests");
    struct jsonio_value type = jsonio_member(root, "mediaType");
    size_t count = jsonio_length(manifests);
    size_t at = 0;
    struct jsonio_writer json;
    struct buf out;

    if (jsonio_type(type) != JSONIO_ABSENT && !slice_is(jsonio_string(type), MEDIA_TYPE_OCI_INDEX))
        return error_set(err, ERR_UPSTREAM, "the upstream's list is no image index");
    while (at < count && is_descriptor(jsonio_element(manifests, at)))
        at++;
    if (at == count && jsonio_type(manifests) == JSONIO_ARRAY)
        return 0;
    for (at = 0; at < count && !is_descriptor(jsonio_element(manifests, at)); at++)
        continue;
    if (at == count && count > 0)
        return error_set(err, ERR_UPSTREAM, "the upstream's list has no valid entry");
    buf_init(&out, INDEX_MAX);
    jsonio_writer_init(&json, &out);
    jsonio_put_object(&json, NULL);
    jsonio_each(root, write_member, &json);
    jsonio_put_end(&json);
    buf_cleanup(&list->body);
    list->body = out;
    return out.is_over ? error_set(err, ERR_UPSTREAM, "the upstream's list is too long") : 0;
}

/* ---- both ---- */

/* Programs that leave out or write null for what is empty do so for a repository that has lost its
 * last tag, and for a manifest without referrers. But a document that does not say what it is says
 * nothing about referrers. */
static bool is_list(struct jsonio_value root, struct jsonio_value names, bool is_tags)
{
    enum jsonio_type type = jsonio_type(names);
    struct slice name = jsonio_string(jsonio_member(root, "name"));
    struct slice media_type = jsonio_string(jsonio_member(root, "mediaType"));

    if (type == JSONIO_ARRAY)
        return true;
    if (is_tags)
        return type == JSONIO_NULL || (type == JSONIO_ABSENT && name.length > 0);
    return type == JSONIO_NULL && slice_is(media_type, MEDIA_TYPE_OCI_INDEX);
}

static void read_list(struct received_list *list)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    bool is_tags = list->kind == JOIN_TAGS_LIST;
    struct error *err = &list->err;

    if (is_tags)
        mend_escapes(&list->body);
    if (jsonio_parse_long(buf_bytes(&list->body), VALUES_MAX, &document, err) != 0) {
        error_wrap(err, "the upstream's list");
        err->kind = ERR_UPSTREAM;
        return;
    }
    struct jsonio_value root = jsonio_root(document);
    struct jsonio_value names = jsonio_member(root, is_tags ? "tags" : "manifests");
    if (!is_list(root, names, is_tags)) {
        error_set(err, ERR_UPSTREAM, "the upstream's list has no array \"%s\"",
                  is_tags ? "tags" : "manifests");
        return;
    }
    if (is_tags)
        write_tags(list, names);
    else
        (void)write_index(list, root, err);
}

static void run_received_list(struct pool_work *work)
{
    struct received_list *list = received_list_of(work);
    struct message_answer answer;

    read_list(list);
    if (list->err.kind != ERR_NONE)
        return;
    received_list_answer(list, &answer);
    list->payload_fd = follower_payload_new(&answer);
}

/* ---- on the loop ---- */

static void received_list_free(struct received_list *list)
{
    mem_free(list->repository);
    mem_free(list->asked);
    mem_free(list->link);
    buf_cleanup(&list->body);
    fd_close(&list->payload_fd);
    mem_free(list);
}

static void on_received_list_done(struct pool_work *work)
{
    struct received_list *list = received_list_of(work);

    fetcher_work_ended(list->fetcher);
    list->is_busy = false;
    if (list->is_dropped) {
        received_list_free(list);
        return;
    }
    bool is_well = list->err.kind == ERR_NONE;
    list->done(list, is_well ? NULL : &list->err, list->arg);
}

struct received_list *received_list_new(struct fetcher *fetcher, enum join_kind kind,
                                        const char *repository, struct buf *body)
{
    struct received_list *list = NEW(struct received_list);

    list->fetcher = fetcher;
    list->kind = kind;
    list->repository = mem_strdup(repository);
    list->body = *body;
    buf_init(body, 0);
    list->payload_fd = -1;
    return list;
}

void received_list_read(struct received_list *list,
                        void (*done)(struct received_list *, const struct error *, void *),
                        void *arg)
{
    CHECK(!list->is_busy);
    list->done = done;
    list->arg = arg;
    list->is_busy = true;
    bool is_large = list->body.length > LARGE;
    list->work = (struct pool_work){.run = run_received_list,
                                    .done = on_received_list_done,
                                    .key = is_large ? list->fetcher->large_key : 0};
    fetcher_submit(list->fetcher, &list->work);
}

void received_list_answer(const struct received_list *list, struct message_answer *out)
{
    *out = (struct message_answer){
        .state = ANSWER_FRESH,
        .media_type = SLICE_LITERAL("application/json"),
        .body = buf_bytes(&list->body),
        .size = list->body.length,
        .checked = list->checked_ms,
        .link = slice_of(list->link),
    };
}

void received_list_drop(struct received_list **list)
{
    struct received_list *gone = TAKE(*list);

    if (!gone)
        return;
    gone->is_dropped = true;
    if (!gone->is_busy)
        received_list_free(gone);
}
