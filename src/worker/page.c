/* SPDX-License-Identifier: Apache-2.0 */
/* Names are appended to the JSON as they come, in the order of the ledger. */
#include "page.h"

#include <stdio.h>

#include "base/text.h"
#include "oci/operation.h"

uint64_t page_limit(const struct operation *operation, uint64_t most)
{
    if (!operation->has_n)
        return PAGE_UNLIMITED;
    return operation->n < most ? operation->n : most;
}

void page_print_namespace(const struct operation *operation, char out[PAGE_NAMESPACE_SIZE])
{
    out[0] = '\0';
    if (operation->has_ns)
        (void)snprintf(out, PAGE_NAMESPACE_SIZE, "ns=%.*s&", SLICE_PRINT(operation->ns));
}

void page_init(struct page *page, const struct operation *operation, uint64_t most)
{
    *page = (struct page){.limit = page_limit(operation, most), .most = most};
    buf_init(&page->names, PAGE_BYTES_MAX);
}

void page_cleanup(struct page *page)
{
    buf_cleanup(&page->names);
}

bool page_add(struct page *page, struct slice name)
{
    bool is_full = page->count == page->limit ||
                   buf_bytes(&page->names).length + name.length + 3 > PAGE_BYTES_MAX;
    if (is_full) {
        page->has_more = page->limit > 0;
        return false;
    }
    if (page->count++ > 0)
        buf_append_byte(&page->names, ',');
    buf_append_byte(&page->names, '"');
    page->last_offset = buf_bytes(&page->names).length;
    buf_append_slice(&page->names, name);
    page->last_length = name.length;
    buf_append_byte(&page->names, '"');
    return true;
}

void page_link(const struct page *page, const char *path, const char *more, struct buf *out)
{
    if (!page->has_more)
        return;
    struct slice last =
        slice_from(buf_bytes(&page->names).data + page->last_offset, page->last_length);
    uint64_t n = page->limit == PAGE_UNLIMITED ? page->most : page->limit;
    buf_printf(out, "<%s?%sn=%llu&last=", path, more, (unsigned long long)n);
    text_percent_encode(out, last, "");
    buf_append_text(out, ">; rel=\"next\"");
}
