/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl is told of a request: HTTP/1.1, TLS 1.2 and later, and nothing of its own accord: no
 * redirect, no cookie, no netrc, no decoding, no lookup of names. (door: libcurl) */
#include "transfer_parts.h"

#define BUFFER_SIZE (256L * 1024)

void transfer_set_options(struct transfer *transfer, const struct transfer_request *request)
{
    const struct curl_api *curl = transfer->set->curl;
    CURL *easy = transfer->easy;

    curl->easy_set(easy, CURLOPT_PRIVATE, transfer);
    curl->easy_set(easy, CURLOPT_URL, request->url);
    curl->easy_set(easy, CURLOPT_NOSIGNAL, 1L);
    /* It gets all addresses from us; should it ever ask for one itself, then nobody waits for it.
     */
    curl->easy_set(easy, CURLOPT_QUICK_EXIT, 1L);
    curl->easy_set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_set(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl->easy_set(easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    curl->easy_set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl->easy_set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl->easy_set(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl->easy_set(easy, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_set(easy, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    curl->easy_set(easy, CURLOPT_NOPROXY, "");
    curl->easy_set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl->easy_set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl->easy_set(easy, CURLOPT_USERAGENT, "entrepot");
    curl->easy_set(easy, CURLOPT_NOBODY, request->method == TRANSFER_HEAD ? 1L : 0L);
    if (request->ca_file)
        curl->easy_set(easy, CURLOPT_CAINFO, request->ca_file);
    for (const char *const *header = request->headers; header && *header; header++)
        transfer->headers = curl->list_append(transfer->headers, *header);
    curl->easy_set(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl->easy_set(easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
    curl->easy_set(easy, CURLOPT_HEADERDATA, transfer);
    curl->easy_set(easy, CURLOPT_WRITEFUNCTION, transfer_on_data);
    curl->easy_set(easy, CURLOPT_WRITEDATA, transfer);
    curl->easy_set(easy, CURLOPT_OPENSOCKETFUNCTION, transfer_on_socket);
    curl->easy_set(easy, CURLOPT_OPENSOCKETDATA, transfer);
}
