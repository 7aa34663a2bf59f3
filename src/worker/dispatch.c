/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that every request takes before its handler, in one order; what each endpoint needs of
 * them is in its row of the table. */
#include "dispatch.h"

#include "answer.h"
#include "authenticate.h"
#include "base/clock.h"
#include "config/config.h"
#include "endpoint.h"
#include "oci/api_error.h"
#include "request.h"
#include "store/ledger.h"
#include "worker_state.h"

#define PATHS_MAX 1024 /* bytes of a list of paths */

/* ---- which endpoint ---- */

static int fail_path(const struct request *request, struct api_error *error)
{
    AUTO_BUF struct buf paths;

    buf_init(&paths, PATHS_MAX);
    endpoint_print_paths(&request->worker->endpoints, request->listener, &paths);
    return api_error_set_status(error, API_UNSUPPORTED, 404, "there are %s", buf_text(&paths));
}

static int fail_method(const struct request *request, struct api_error *error)
{
    AUTO_BUF struct buf methods;

    buf_init(&methods, ALLOW_MAX);
    endpoint_print_methods(&request->worker->endpoints, &request->address,
                           request->listener == LISTENER_MIRROR, METHOD_OTHER, &methods);
    return api_error_set(error, API_UNSUPPORTED, "this address has %s only", buf_text(&methods));
}

/* Probes are often pointed at the port that everybody knows. */
static bool is_of_admin(const struct request *request, struct slice path)
{
    struct endpoint_address address = {.listener = LISTENER_ADMIN, .path = path};

    return endpoint_has_path(&request->worker->endpoints, &address);
}

static int fail_admin_path(const struct request *request, struct slice path,
                           struct api_error *error)
{
    const char *admin = request->config->admin;

    if (!admin) {
        return api_error_set_status(
            error, API_UNSUPPORTED, 404,
            "%.*s is at the admin address, which is disabled (`admin: none`)", SLICE_PRINT(path));
    }
    return api_error_set_status(error, API_UNSUPPORTED, 404,
                                "%.*s is at the admin address, %s (the setting `admin`)",
                                SLICE_PRINT(path), admin);
}

/* A path of its own, or else an address of the API, which the admin and control listeners do not
 * have. */
static int find_address(struct request *request, struct api_error *error)
{
    struct slice target = request->head->target;
    ptrdiff_t query = slice_find(target, '?');
    struct endpoint_address *address = &request->address;

    address->listener = request->listener;
    address->path = query < 0 ? target : slice_from(target.data, (size_t)query);
    if (endpoint_has_path(&request->worker->endpoints, address))
        return 0;
    if (request->listener == LISTENER_ADMIN || request->listener == LISTENER_CONTROL)
        return fail_path(request, error);
    if (is_of_admin(request, address->path))
        return fail_admin_path(request, address->path, error);
    address->path = (struct slice){NULL, 0};
    if (operation_parse_address(&request->operation, request->operation.method, target, error) != 0)
        return -1;
    address->kind = request->operation.kind;
    return 0;
}

static int parse_rest(struct request *request, struct api_error *error)
{
    const struct config *config = request->config;
    struct operation_limits limits = {
        .parameters = (unsigned)config->limits.query_parameters,
        .tags = (unsigned)config->limits.tags_per_push,
    };

    if (request->address.path.data)
        return 0;
    return operation_parse_rest(&request->operation, &limits, error);
}

/* request->endpoint is set only when all of the target was understood. */
static int find_endpoint(struct request *request, struct api_error *error)
{
    const struct endpoint *endpoint;

    request->operation.method = http_method_parse(request->head->method);
    if (!http_method_is_known(request->head->method)) {
        return api_error_set_status(error, API_UNSUPPORTED, 501,
                                    "unknown method; there are GET, HEAD, POST, PATCH, PUT, "
                                    "DELETE and OPTIONS");
    }
    if (find_address(request, error) != 0)
        return -1;
    endpoint =
        endpoint_find(&request->worker->endpoints, &request->address, request->operation.method);
    if (!endpoint)
        return fail_method(request, error);
    if (parse_rest(request, error) != 0)
        return -1;
    request->endpoint = endpoint;
    return 0;
}

/* ---- the steps ---- */

/* Rights are asked for the resolved repository, never for the name as the client wrote it. */
static int resolve_and_authorize(struct request *request, struct ledger_txn *txn,
                                 struct api_error *error)
{
    char local[ADDRESS_TEXT_SIZE] = "";

    if (request->operation.has_ns)
        http_conn_print_local(request->conn, local);
    struct resolve_question question = {
        .config = request->config,
        .operation = &request->operation,
        .action = request->endpoint->action,
        .local = slice_of(local),
        .is_mirror = request->listener == LISTENER_MIRROR,
        .now_ms = clock_wall().ms,
    };

    int rc = resolve(&question, txn, &request->target, error);
    /* An error of resolve may tell what is here: first it is asked who may know that. */
    if (request->target.name.length > 0 &&
        authorize(&request->worker->options.authorizer, &request->principal, &request->target,
                  question.action, &request->permit, error) != 0)
        return -1;
    return rc;
}

static void handle_repository(struct request *request)
{
    struct ledger_txn *txn = worker_read(request->worker);
    struct api_error error;

    if (ledger_error(txn))
        request_fail_unknown(request, txn, API_UNKNOWN);
    else if (resolve_and_authorize(request, txn, &error) != 0)
        request_fail(request, &error);
    else
        request->endpoint->handle(request, txn);
    worker_read_end(request->worker);
}

static void on_authenticated(struct request *request)
{
    if ((request->endpoint->needs & NEEDS_REPOSITORY) != 0)
        handle_repository(request);
    else
        request->endpoint->handle(request, NULL);
}

void dispatch(struct request *request)
{
    struct api_error error;

    if (find_endpoint(request, &error) != 0)
        request_fail(request, &error);
    else
        authenticate(request, on_authenticated);
}
