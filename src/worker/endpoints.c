/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every endpoint, one row each. To add one: a row here, and its handler in the module it belongs
 * to. Nothing else lists them: the Allow headers, OPTIONS, the labels of the access log, what is
 * resolved and what is authorized are read from here.
 */
#include "endpoints.h"

#include "admin.h"
#include "control_lists.h"
#include "control_orders.h"
#include "lists.h"
#include "pull_blob.h"
#include "pull_manifest.h"
#include "push_manifest.h"
#include "referrers.h"
#include "remove.h"
#include "server.h"
#include "upload.h"
#include "worker/worker.h"

/* clang-format off */

/* An address under /v2/NAME/ that is about a repository. */
#define REPOSITORY(kind_, methods_, label_, action_, handle_) \
    {.kind = OPERATION_##kind_, .listeners = LISTENERS_API, .methods = (methods_), \
     .label = (label_), .needs = NEEDS_REPOSITORY, .action = ACTION_##action_, .handle = (handle_)}
/* Another address of the API. */
#define API(kind_, methods_, label_, handle_) \
    {.kind = OPERATION_##kind_, .listeners = LISTENERS_API, .methods = (methods_), \
     .label = (label_), .handle = (handle_)}
/* A path of its own, outside /v2/. */
#define PATH(path_, listeners_, methods_, label_, needs_, handle_) \
    {.path = (path_), .listeners = (listeners_), .methods = (methods_), \
     .label = (label_), .needs = (needs_), .handle = (handle_)}

/* An address of the administrator. */
#define CONTROL(name_, methods_, label_, handle_) \
    PATH("/api/v1/" name_, LISTENER_BIT(CONTROL), methods_, label_, NEEDS_NO_LOGIN, handle_)

static const struct endpoint rows[] = {
    API(BASE,                METHODS_READ,       "base",            server_answer_base),
    API(BASE,                METHOD_BIT(OPTIONS), "options",        server_answer_options),
    API(CATALOG,             METHODS_READ,       "catalog",         list_catalog),
    REPOSITORY(TAGS,         METHODS_READ,       "list_tags",       LIST,   list_tags),
    REPOSITORY(REFERRERS,    METHODS_READ,       "list_referrers",  LIST,   list_referrers),
    REPOSITORY(MANIFEST,     METHOD_BIT(GET),    "pull_manifest",   PULL,   pull_manifest),
    REPOSITORY(MANIFEST,     METHOD_BIT(HEAD),   "head_manifest",   PULL,   pull_manifest),
    REPOSITORY(MANIFEST,     METHOD_BIT(PUT),    "push_manifest",   PUSH,   push_manifest),
    REPOSITORY(MANIFEST,     METHOD_BIT(DELETE), "delete_manifest", DELETE, remove_manifest),
    REPOSITORY(BLOB,         METHOD_BIT(GET),    "pull_blob",       PULL,   pull_blob),
    REPOSITORY(BLOB,         METHOD_BIT(HEAD),   "head_blob",       PULL,   pull_blob),
    REPOSITORY(BLOB,         METHOD_BIT(DELETE), "delete_blob",     DELETE, remove_blob),
    REPOSITORY(UPLOAD_START, METHOD_BIT(POST),   "start_upload",    PUSH,   upload_start),
    REPOSITORY(UPLOAD,       METHODS_READ,       "upload_status",   PUSH,   upload_continue),
    REPOSITORY(UPLOAD,       METHOD_BIT(PATCH),  "push_chunk",      PUSH,   upload_continue),
    REPOSITORY(UPLOAD,       METHOD_BIT(PUT),    "push_blob",       PUSH,   upload_continue),
    REPOSITORY(UPLOAD,       METHOD_BIT(DELETE), "cancel_upload",   PUSH,   upload_continue),

    PATH("*", LISTENERS_API, METHOD_BIT(OPTIONS), "options", NEEDS_NO_LOGIN, server_answer_options),

    PATH("/healthz", LISTENER_BIT(ADMIN), METHODS_READ, "healthz", NEEDS_NO_LOGIN | NEEDS_TEXT,
         admin_answer_health),
    PATH("/readyz",  LISTENER_BIT(ADMIN), METHODS_READ, "readyz",  NEEDS_NO_LOGIN | NEEDS_TEXT,
         admin_answer_ready),
    PATH("/metrics", LISTENER_BIT(ADMIN), METHODS_READ, "metrics", NEEDS_TEXT,
         admin_answer_metrics),

    CONTROL("status",       METHODS_READ, "control_status",       control_status),
    CONTROL("repositories", METHODS_READ, "control_repositories", control_repositories),
    CONTROL("images",       METHODS_READ, "control_images",       control_images),
    CONTROL("usage",        METHODS_READ, "control_usage",        control_usage),
    CONTROL("removals",     METHOD_BIT(POST), "control_remove",   control_remove),
    CONTROL("collections",  METHOD_BIT(POST), "control_collect",  control_collect),
    CONTROL("pins",         METHODS_READ, "control_pins",         control_pins),
    CONTROL("pins",         METHOD_BIT(POST), "control_add_pins", control_add_pins),
    CONTROL("pins",         METHOD_BIT(PUT), "control_replace_pins", control_replace_pins),
};

/* clang-format on */

struct endpoint_set endpoints_all(const struct worker_options *options)
{
    return (struct endpoint_set){
        .tables = {{rows, sizeof(rows) / sizeof(rows[0])},
                   {options->endpoints, options->endpoint_count}},
    };
}
