/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl is told of a request: HTTP/1.1, TLS 1.2 and later, and nothing of its own accord: no
 * redirect, no cookie, no netrc, no decoding, no lookup of names. (door: libcurl) */
#include "base/slice.h"
#include "transfer_parts.h"

#define BUFFER_SIZE (256L * 1024)

void transfer_judge_option(struct transfer_options *options, const char *name, CURLcode code)
{
    if (code != CURLE_OK && options->rc == 0)
        options->rc = error_set(options->err, ERR_INTERNAL, "libcurl refuses %s: %s", name,
                                options->curl->easy_text(code));
}

int transfer_append(const struct transfer *transfer, struct curl_slist **list, const char *text,
                    struct error *err)
{
    struct curl_slist *longer =
        FAILPOINT("transfer.list") ? NULL : transfer->set->curl->list_append(*list, text);

    if (!longer)
        return error_set(err, ERR_INTERNAL, "libcurl has no memory for a list");
    *list = longer;
    return 0;
}

static void set_protocol(struct transfer_options *options, const struct transfer_request *request)
{
    TRANSFER_SET(options, CURLOPT_URL, request->url);
    TRANSFER_SET(options, CURLOPT_PROTOCOLS_STR, "http,https");
    TRANSFER_SET(options, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    TRANSFER_SET(options, CURLOPT_FOLLOWLOCATION, 0L);
    TRANSFER_SET(options, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    TRANSFER_SET(options, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    TRANSFER_SET(options, CURLOPT_PATH_AS_IS, 1L);
    TRANSFER_SET(options, CURLOPT_USERAGENT, "entrepot");
    TRANSFER_SET(options, CURLOPT_NOBODY, request->method == TRANSFER_HEAD ? 1L : 0L);
}

static void set_connection(struct transfer_options *options, const struct transfer_request *request)
{
    TRANSFER_SET(options, CURLOPT_NOSIGNAL, 1L);
    /* It gets all addresses from us; should it look up a name after all, nobody waits for it. */
    TRANSFER_SET(options, CURLOPT_QUICK_EXIT, 1L);
    TRANSFER_SET(options, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    TRANSFER_SET(options, CURLOPT_NOPROXY, "");
    TRANSFER_SET(options, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    TRANSFER_SET(options, CURLOPT_TCP_KEEPALIVE, 1L);
    TRANSFER_SET(options, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    TRANSFER_SET(options, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    TRANSFER_SET(options, CURLOPT_SSL_VERIFYPEER, 1L);
    TRANSFER_SET(options, CURLOPT_SSL_VERIFYHOST, 2L);
    if (request->ca_file)
        TRANSFER_SET(options, CURLOPT_CAINFO, request->ca_file);
}

static void set_callbacks(struct transfer_options *options, struct transfer *transfer)
{
    TRANSFER_SET(options, CURLOPT_PRIVATE, transfer);
    TRANSFER_SET(options, CURLOPT_HTTPHEADER, transfer->headers);
    TRANSFER_SET(options, CURLOPT_HEADERFUNCTION, transfer_on_header);
    TRANSFER_SET(options, CURLOPT_HEADERDATA, transfer);
    TRANSFER_SET(options, CURLOPT_WRITEFUNCTION, transfer_on_data);
    TRANSFER_SET(options, CURLOPT_WRITEDATA, transfer);
    TRANSFER_SET(options, CURLOPT_OPENSOCKETFUNCTION, transfer_on_socket);
    TRANSFER_SET(options, CURLOPT_OPENSOCKETDATA, transfer);
}

/* A line break in a header would be a header of its own, or the end of the head. */
static int add_header(struct transfer *transfer, const char *header, struct error *err)
{
    struct slice line = slice_of(header);

    if (slice_find(line, ':') < 1 || slice_find(line, '\r') >= 0 || slice_find(line, '\n') >= 0)
        return error_set(err, ERR_INVALID, "not a header line");
    return transfer_append(transfer, &transfer->headers, header, err);
}

int transfer_set_options(struct transfer *transfer, const struct transfer_request *request,
                         struct error *err)
{
    struct transfer_options options = {
        .curl = transfer->set->curl, .easy = transfer->easy, .err = err};

    for (const char *const *header = request->headers; header && *header; header++) {
        int rc = add_header(transfer, *header, err);
        if (rc != 0)
            return rc;
    }
    set_protocol(&options, request);
    set_connection(&options, request);
    set_callbacks(&options, transfer);
    return options.rc;
}
