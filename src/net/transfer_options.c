/* SPDX-License-Identifier: Apache-2.0 */
/* A request as libcurl's options: HTTP/1.1, TLS 1.2 or later, certificates verified. libcurl does
 * nothing on its own: it follows no redirect, keeps no cookie, reads no netrc, decodes no body and
 * looks up no name. (door: libcurl) */
#include "base/slice.h"
#include "transfer_parts.h"

#define BUFFER_SIZE (64L * 1024)

void transfer_judge_option(struct transfer_options *options, const char *name, CURLcode code)
{
    if (code != CURLE_OK && options->rc == 0) {
        options->rc = error_set(options->err, ERR_INTERNAL, "libcurl refuses %s: %s", name,
                                options->curl->easy_text(code));
    }
}

int transfer_append(const struct transfer *transfer, struct curl_slist **list, const char *text,
                    struct error *err)
{
    struct curl_slist *longer =
        FAILPOINT("transfer.list") ? NULL : transfer->set->curl->list_append(*list, text);

    if (!longer)
        return error_set(err, ERR_INTERNAL, "curl_slist_append failed");
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
}

/* To libcurl every request with a body is an upload, which is a PUT unless we name the method. */
static void set_method(struct transfer_options *options, enum transfer_method method)
{
    static const char *const names[] = {
        [TRANSFER_GET] = "GET", [TRANSFER_HEAD] = "HEAD",   [TRANSFER_POST] = "POST",
        [TRANSFER_PUT] = "PUT", [TRANSFER_PATCH] = "PATCH", [TRANSFER_DELETE] = "DELETE",
    };

    TRANSFER_SET(options, CURLOPT_NOBODY, method == TRANSFER_HEAD ? 1L : 0L);
    if (method != TRANSFER_GET && method != TRANSFER_HEAD)
        TRANSFER_SET(options, CURLOPT_CUSTOMREQUEST, names[method]);
}

static void set_body(struct transfer_options *options, struct transfer *transfer)
{
    const struct transfer_upload *upload = &transfer->upload;

    TRANSFER_SET(options, CURLOPT_UPLOAD, 1L);
    TRANSFER_SET(options, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
    TRANSFER_SET(options, CURLOPT_INFILESIZE_LARGE,
                 upload->length == UINT64_MAX ? (curl_off_t)-1 : (curl_off_t)upload->length);
    TRANSFER_SET(options, CURLOPT_READFUNCTION, transfer_on_read);
    TRANSFER_SET(options, CURLOPT_READDATA, transfer);
    TRANSFER_SET(options, CURLOPT_SEEKFUNCTION, transfer_on_seek);
    TRANSFER_SET(options, CURLOPT_SEEKDATA, transfer);
}

/* Files are read by others, who may read them, and may change while we run; libcurl gets copies. */
static void set_blob(struct transfer_options *options, CURLoption option, struct slice text)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)text.data, .len = text.length, .flags = CURL_BLOB_COPY};

    if (text.length > 0)
        TRANSFER_SET(options, option, &blob);
}

/* Our headers are for the server: a proxy that only passes bytes on gets none of them. */
static void set_proxy(struct transfer_options *options, const struct transfer_request *request)
{
    TRANSFER_SET(options, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    TRANSFER_SET(options, CURLOPT_NOPROXY, "");
    TRANSFER_SET(options, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    TRANSFER_SET(options, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    TRANSFER_SET(options, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    TRANSFER_SET(options, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
    TRANSFER_SET(options, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    TRANSFER_SET(options, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    TRANSFER_SET(options, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    set_blob(options, CURLOPT_PROXY_CAINFO_BLOB, request->tls.ca);
}

static void set_connection(struct transfer_options *options, const struct transfer_request *request)
{
    TRANSFER_SET(options, CURLOPT_NOSIGNAL, 1L);
    /* libcurl gets all addresses from us. If it looks up a name after all, it does not wait. */
    TRANSFER_SET(options, CURLOPT_QUICK_EXIT, 1L);
    TRANSFER_SET(options, CURLOPT_TCP_KEEPALIVE, 1L);
    TRANSFER_SET(options, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    TRANSFER_SET(options, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    TRANSFER_SET(options, CURLOPT_SSL_VERIFYPEER, request->tls.is_unverified ? 0L : 1L);
    TRANSFER_SET(options, CURLOPT_SSL_VERIFYHOST, request->tls.is_unverified ? 0L : 2L);
    if (request->unix_socket)
        TRANSFER_SET(options, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    set_blob(options, CURLOPT_CAINFO_BLOB, request->tls.ca);
    set_blob(options, CURLOPT_SSLCERT_BLOB, request->tls.cert);
    set_blob(options, CURLOPT_SSLKEY_BLOB, request->tls.key);
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

/* Refuses line breaks: they would begin another header, or end the head. */
static int add_header(struct transfer *transfer, const char *header, struct error *err)
{
    struct slice line = slice_of(header);

    if (slice_find(line, ':') < 1 || slice_find(line, '\r') >= 0 || slice_find(line, '\n') >= 0)
        return error_set(err, ERR_INVALID, "not a header line");
    return transfer_append(transfer, &transfer->headers, header, err);
}

/* "Expect:" without a value keeps libcurl from asking for 100 Continue, which costs a round trip,
 * and a second with servers that ignore it. */
static int add_headers(struct transfer *transfer, const char *const *headers, struct error *err)
{
    int rc = transfer->upload.is_wanted
                 ? transfer_append(transfer, &transfer->headers, "Expect:", err)
                 : 0;

    for (const char *const *header = headers; rc == 0 && header && *header; header++)
        rc = add_header(transfer, *header, err);
    return rc;
}

int transfer_set_options(struct transfer *transfer, const struct transfer_request *request,
                         struct error *err)
{
    struct transfer_options options = {
        .curl = transfer->set->curl, .easy = transfer->easy, .err = err};
    int rc = add_headers(transfer, request->headers, err);

    if (rc != 0)
        return rc;
    set_protocol(&options, request);
    if (transfer->upload.is_wanted)
        set_body(&options, transfer);
    set_method(&options, request->method);
    set_connection(&options, request);
    set_proxy(&options, request);
    set_callbacks(&options, transfer);
    return options.rc;
}
