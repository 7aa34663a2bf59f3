/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of libcurl, which is loaded at the first transfer: a process without transfers does
 * not pay for it (decision 5). Types and constants come from its headers. */
#ifndef TRANSFER_CURL_H
#define TRANSFER_CURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

struct error;

struct curl_api {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_set)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_get)(CURL *easy, CURLINFO info, ...);
    CURLcode (*easy_pause)(CURL *easy, int bitmask);
    const char *(*easy_text)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_set)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_action)(CURLM *multi, curl_socket_t socket, int events, int *running);
    CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t socket, void *pointer);
    CURLMsg *(*multi_info)(CURLM *multi, int *left);
    const char *(*multi_text)(CURLMcode code);
    struct curl_slist *(*list_append)(struct curl_slist *list, const char *text);
    void (*list_free)(struct curl_slist *list);
};

/* Loads libcurl if that has not been done. *out is the same table each time. ERR_INTERNAL when
 * libcurl cannot be loaded. */
int curl_api_load(const struct curl_api **out, struct error *err);

#endif
