/* SPDX-License-Identifier: Apache-2.0 */
/* Loads libcurl with dlopen(). It is never unloaded. (door: libcurl) */
#include "transfer_curl.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"

struct curl_symbol {
    const char *name;
    size_t offset; /* of the function pointer in struct curl_api */
};

#define SYMBOL(name, field)                                                                        \
    {                                                                                              \
        name, offsetof(struct curl_api, field)                                                     \
    }

static const struct curl_symbol symbols[] = {
    SYMBOL("curl_global_init", global_init),
    SYMBOL("curl_easy_init", easy_init),
    SYMBOL("curl_easy_cleanup", easy_cleanup),
    SYMBOL("curl_easy_setopt", easy_set),
    SYMBOL("curl_easy_getinfo", easy_get),
    SYMBOL("curl_easy_pause", easy_pause),
    SYMBOL("curl_easy_strerror", easy_text),
    SYMBOL("curl_multi_init", multi_init),
    SYMBOL("curl_multi_cleanup", multi_cleanup),
    SYMBOL("curl_multi_setopt", multi_set),
    SYMBOL("curl_multi_add_handle", multi_add),
    SYMBOL("curl_multi_remove_handle", multi_remove),
    SYMBOL("curl_multi_socket_action", multi_action),
    SYMBOL("curl_multi_assign", multi_assign),
    SYMBOL("curl_multi_info_read", multi_info),
    SYMBOL("curl_multi_strerror", multi_text),
    SYMBOL("curl_slist_append", list_append),
    SYMBOL("curl_slist_free_all", list_free),
};

int curl_api_load(const struct curl_api **out, struct error *err)
{
    static struct curl_api api;
    static bool is_loaded;

    if (!is_loaded) {
        void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

        if (!library)
            return error_set(err, ERR_INTERNAL, "libcurl.so.4 cannot be loaded");
        for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
            void *function = dlsym(library, symbols[i].name);

            if (!function)
                return error_set(err, ERR_INTERNAL, "libcurl has no %s", symbols[i].name);
            memcpy((char *)&api + symbols[i].offset, &function, sizeof(function));
        }
        if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            return error_set(err, ERR_INTERNAL, "libcurl cannot be initialized");
        is_loaded = true;
    }
    *out = &api;
    return 0;
}
