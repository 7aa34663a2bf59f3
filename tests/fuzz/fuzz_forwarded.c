/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of proxies: the input is the fields of a head. What is found may stand in a header line.
 */
#include "base/buf.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "net/forwarded.h"
#include "net/http_parser.h"

static const struct http_limits limits = {
    .line_max = 8192, .head_max = 32768, .value_max = 16384, .fields_max = 100};

static void check_hops(const struct forwarded_hops *hops)
{
    CHECK(hops->count <= FORWARDED_HOPS_MAX);
    for (unsigned i = 0; i < hops->count; i++)
        CHECK(slice_find(hops->items[i], '\r') < 0);
}

static void check_head(const struct http_head *head)
{
    struct forwarded_origin origin;
    struct forwarded_hops hops;

    forwarded_read_hops(head, &hops);
    check_hops(&hops);
    forwarded_read_older_hops(head, &hops);
    check_hops(&hops);
    if (!forwarded_find_origin(head, &origin))
        return;
    CHECK(forwarded_has_trace(head));
    CHECK(origin.host.length > 0 && origin.host.length <= FORWARDED_HOST_MAX);
    for (size_t i = 0; i < origin.host.length; i++) {
        unsigned char c = (unsigned char)origin.host.data[i];

        CHECK(c > ' ' && c < 0x7f && c != '/' && c != '@' && c != '\\' && c != '"' && c != '?');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF struct buf text;
    struct http_head head;
    struct http_refusal refusal;
    size_t length = 0;

    buf_init(&text, 65536);
    if (size > 16384)
        return 0;
    buf_append_text(&text, "GET / HTTP/1.1\r\nHost: inner\r\n");
    buf_append_slice(&text, slice_from(data, size));
    buf_append_text(&text, "\r\n\r\n");
    if (http_parse_head(buf_bytes(&text), &limits, &head, &length, &refusal) == HTTP_HEAD)
        check_head(&head);
    return 0;
}
