/* SPDX-License-Identifier: Apache-2.0 */
/* Names are appended to the JSON in the order in which the ledger has them. */
#include "page.h"

#include <stdio.h>

#include "answer_body.h"
#include "base/text.h"
#include "oci/operation.h"

uint64_t page_limit(const struct operation *operation, uint64_t max)
{
    if (!operation->has_n)
        return PAGE_UNLIMITED;
    return operation->n < max ? operation->n : max;
}

void page_print_namespace(const struct operation *operation, char out[PAGE_NAMESPACE_SIZE])
{
    out[0] = '\0';
    if (operation->has_ns)
        (void)snprintf(out, PAGE_NAMESPACE_SIZE, "ns=%.*s&", SLICE_PRINT(operation->ns));
}

void page_init(struct page *page, const struct operation *operation, uint64_t max)
{
    *page = (struct page){.limit = page_limit(operation, max), .max = max};
    buf_init(&page->body, PAGE_BYTES_MAX + PAGE_FRAME_MAX);
    jsonio_writer_init(&page->json, &page->body);
}

void page_cleanup(struct page *page)
{
    buf_cleanup(&page->body);
}

bool page_may_be_long(const struct page *page, size_t name_max)
{
    return page->limit > ANSWER_BODY_FREE / (name_max + 3); /* quotes and comma */
}

bool page_add(struct page *page, struct slice name)
{
    bool is_full = page->count == page->limit ||
                   buf_bytes(&page->body).length + name.length + 3 > PAGE_BYTES_MAX;

    if (is_full) {
        page->has_more = page->limit > 0;
        return false;
    }
    page->count++;
    jsonio_put_string(&page->json, NULL, name);
    page->last_length = name.length;
    page->last_offset = buf_bytes(&page->body).length - 1 - name.length; /* before the quote */
    return true;
}

void page_link(const struct page *page, const char *path, const char *more, struct buf *out)
{
    if (!page->has_more)
        return;
    struct slice last =
        slice_from(buf_bytes(&page->body).data + page->last_offset, page->last_length);
    uint64_t n = page->limit == PAGE_UNLIMITED ? page->max : page->limit;
    buf_printf(out, "<%s?%sn=%llu&last=", path, more, (unsigned long long)n);
    text_percent_encode(out, last, "");
    buf_append_text(out, ">; rel=\"next\"");
}
