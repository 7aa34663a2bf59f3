/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a transfer and its timeouts. (door: libcurl)
 *
 *   name --> starting --head--> body --end--> finished --deferred--> on_done, freed
 *    |          |                 |              ^
 *    +----------+---- error, timeout, refusal ---+       cancel: silent, freed after the turn
 *
 * Most functions of libcurl must not be called from its callbacks, so the end of a transfer is
 * deferred to the end of the turn.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "transfer_parts.h"

#define HEAD_MAX (64ul * 1024)

/* A transfer only moves forward; it may skip states. */
void transfer_set_state(struct transfer *transfer, enum transfer_state next)
{
    CHECK(next > transfer->state);
    transfer->state = next;
}

/* ---- the end of a transfer ---- */

void transfer_free(struct transfer *transfer)
{
    const struct curl_api *curl = transfer->set->curl;

    loop_cancel_deferred(transfer->set->loop, transfer);
    list_remove(&transfer->link);
    transfer_leave_multi(transfer);
    if (transfer->easy)
        curl->easy_cleanup(transfer->easy);
    curl->list_free(transfer->headers);
    curl->list_free(transfer->addresses);
    resolver_cancel(&transfer->lookup);
    timer_free(&transfer->timer);
    transfer_upload_cleanup(&transfer->upload);
    buf_cleanup(&transfer->head);
    for (unsigned i = 0; i < transfer->name_count; i++)
        mem_free(transfer->names[i].host);
    mem_free(transfer);
}

static void on_finished(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state == TRANSFER_FINISHED) {
        transfer_set_state(transfer, TRANSFER_CANCELLED);
        transfer->handler->on_done(transfer, transfer->err.kind ? &transfer->err : NULL,
                                   transfer->arg);
    }
    transfer_free(transfer);
}

void transfer_finish(struct transfer *transfer)
{
    if (transfer->state >= TRANSFER_FINISHED)
        return;
    transfer_set_state(transfer, TRANSFER_FINISHED);
    resolver_cancel(&transfer->lookup);
    timer_stop(transfer->timer);
    loop_defer(transfer->set->loop, on_finished, transfer);
}

void transfer_cancel(struct transfer **transfer)
{
    struct transfer *gone = TAKE(*transfer);

    if (!gone || gone->state == TRANSFER_CANCELLED)
        return;
    transfer_set_state(gone, TRANSFER_CANCELLED);
    resolver_cancel(&gone->lookup);
    timer_stop(gone->timer);
    loop_cancel_deferred(gone->set->loop, gone);
    loop_defer(gone->set->loop, on_finished, gone);
}

/* libcurl's texts for these do not say what is wrong, or where. */
static const char *text_of(CURLcode code)
{
    switch ((unsigned)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the name is not known";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the name of the proxy is not known";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the certificate is not trusted, has expired or is for another name";
    case CURLE_SSL_CACERT_BADFILE:
        return "the CA certificates (ca_file) cannot be used";
    case CURLE_SSL_CERTPROBLEM:
        return "our certificate (client_cert, client_key) cannot be used";
    case CURLE_SSL_CONNECT_ERROR:
        return "the TLS handshake failed (does this address speak https?)";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return "the answer is not valid HTTP";
    case CURLE_GOT_NOTHING:
        return "the connection was closed without an answer";
    case CURLE_RECV_ERROR:
        return "the connection broke while the answer was read";
    case CURLE_SEND_ERROR:
        return "the connection broke while the request was sent";
    case CURLE_PARTIAL_FILE:
        return "the connection was closed before the end of the answer";
    default:
        return NULL;
    }
}

/* A proxy answers CONNECT itself when it does not open the way. */
static bool describe_proxy(struct transfer *transfer)
{
    long status = 0;

    if (transfer->set->curl->easy_get(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &status) !=
            CURLE_OK ||
        status < 300)
        return false;
    const char *why = status != 407         ? ""
                      : transfer->has_login ? " (it refuses the user and password)"
                                            : " (it wants a user and a password)";
    error_set(&transfer->err, ERR_UPSTREAM, "the proxy answered %ld%s", status, why);
    return true;
}

/* What a SOCKS proxy said. */
static const char *text_of_socks(const struct transfer *transfer)
{
    long code = 0;

    if (transfer->set->curl->easy_get(transfer->easy, CURLINFO_PROXY_ERROR, &code) != CURLE_OK)
        code = 0;
    switch ((unsigned)code) {
    case CURLPX_NO_AUTH:
    case CURLPX_USER_REJECTED:
        return transfer->has_login ? "the proxy refuses the user and password"
                                   : "the proxy wants a user and a password";
    case CURLPX_REPLY_CONNECTION_REFUSED:
        return "the proxy found the connection refused";
    case CURLPX_REPLY_HOST_UNREACHABLE:
    case CURLPX_REPLY_NETWORK_UNREACHABLE:
        return "the proxy cannot reach the host";
    case CURLPX_REPLY_NOT_ALLOWED:
        return "the proxy does not allow this host";
    case CURLPX_BAD_VERSION:
    case CURLPX_UNKNOWN_MODE:
        return "the proxy does not speak SOCKS5";
    default:
        return "the proxy failed";
    }
}

/* The system's error text is preferred: "connection refused" says more than "could not connect". */
static void describe_failure(struct transfer *transfer, CURLcode code)
{
    const struct curl_api *curl = transfer->set->curl;
    long number = 0;

    if (code == CURLE_COULDNT_CONNECT) {
        if (curl->easy_get(transfer->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number > 0) {
            error_set_errno(&transfer->err, (int)number, "connect");
            transfer->err.kind = ERR_UPSTREAM;
            return;
        }
    }
    if (describe_proxy(transfer))
        return;
    const char *text = code == CURLE_PROXY ? text_of_socks(transfer) : text_of(code);
    error_set(&transfer->err, ERR_UPSTREAM, "%s", text ? text : curl->easy_text(code));
}

void transfer_end(struct transfer *transfer, CURLcode code)
{
    if (transfer->err.kind != ERR_NONE) {
        /* The callback that failed has said more than libcurl's code can. */
    } else if (code == CURLE_OK && transfer->state == TRANSFER_STARTING) {
        error_set(&transfer->err, ERR_UPSTREAM, "the answer has no head");
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        error_set(&transfer->err, ERR_TIMEOUT, "no connection in time");
    } else if (code != CURLE_OK && transfer->was_refused) {
        error_set(&transfer->err, ERR_DENIED, "the address is not allowed");
    } else if (code != CURLE_OK) {
        describe_failure(transfer, code);
    }
    transfer_finish(transfer);
}

/* ---- timeouts ---- */

/* How long the transfer may stay silent, counted from quiet_since; UINT64_MAX is no limit. The
 * limit of the total time is ends_at. */
static uint64_t patience_ms(const struct transfer *transfer)
{
    uint64_t ms = transfer->head_timeout_ms;

    if (transfer->state == TRANSFER_BODY || transfer_is_sending(transfer))
        ms = transfer->stall_timeout_ms;
    if (transfer->state == TRANSFER_NAME && transfer->connect_timeout_ms > 0 &&
        (ms == 0 || transfer->connect_timeout_ms < ms))
        ms = transfer->connect_timeout_ms;
    return ms > 0 ? ms : UINT64_MAX;
}

static void start_timer(struct transfer *transfer)
{
    struct monotime due = monotime_add(transfer->quiet_since, patience_ms(transfer));

    if (due.ms > transfer->ends_at.ms)
        due = transfer->ends_at;
    if (due.ms == UINT64_MAX)
        timer_stop(transfer->timer);
    else
        timer_start(transfer->timer, monotime_since(due, clock_mono()));
}

void transfer_restart_timer(struct transfer *transfer)
{
    transfer->quiet_since = clock_mono();
    start_timer(transfer);
}

static void judge_timeout(struct transfer *transfer, struct error *err)
{
    unsigned long long ms = patience_ms(transfer);

    if (transfer->state == TRANSFER_NAME) {
        error_set(err, ERR_TIMEOUT, "the name server did not answer for %s within %llu ms",
                  transfer->names[transfer->names_known].host, ms);
    } else if (transfer_is_sending(transfer)) {
        error_set(err, ERR_TIMEOUT, "the server took no byte of the request's body within %llu ms",
                  ms);
    } else if (transfer->state == TRANSFER_STARTING) {
        error_set(err, ERR_TIMEOUT, "no answer within %llu ms", ms);
    } else {
        error_set(err, ERR_TIMEOUT, "no byte within %llu ms", ms);
    }
}

static void on_transfer_timer(void *arg)
{
    struct transfer *transfer = arg;
    struct monotime now = clock_mono();

    if (now.ms >= transfer->ends_at.ms) {
        error_set(&transfer->err, ERR_TIMEOUT, "the answer took too long");
        transfer_finish(transfer);
    } else if (transfer->is_paused || transfer->upload.is_paused) {
        transfer_restart_timer(transfer);
    } else if (monotime_since(now, transfer->quiet_since) < patience_ms(transfer)) {
        start_timer(transfer);
    } else {
        judge_timeout(transfer, &transfer->err);
        transfer_finish(transfer);
    }
}

static void on_resume(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state >= TRANSFER_FINISHED || !transfer->is_paused)
        return;
    transfer->is_paused = false;
    transfer->quiet_since = clock_mono();
    transfer_unpause(transfer, transfer->upload.is_paused ? CURLPAUSE_SEND : CURLPAUSE_CONT);
}

void transfer_resume(struct transfer *transfer)
{
    /* Deferred, because libcurl delivers the bytes that it kept from inside curl_easy_pause(), and
     * on_data must not come from inside the caller's call. */
    if (transfer->state < TRANSFER_FINISHED)
        loop_defer(transfer->set->loop, on_resume, transfer);
}

void transfer_limit(struct transfer *transfer, uint64_t ms)
{
    struct monotime end = monotime_add(clock_mono(), ms);

    if (transfer->state >= TRANSFER_FINISHED || end.ms >= transfer->ends_at.ms)
        return;
    transfer->ends_at = end;
    start_timer(transfer);
}

/* ---- starting ---- */

void transfer_begin(struct transfer *transfer)
{
    transfer_set_state(transfer, TRANSFER_STARTING);
    start_timer(transfer);
    if (transfer_set_connection(transfer, &transfer->err) != 0 ||
        transfer_join_multi(transfer, &transfer->err) != 0)
        transfer_finish(transfer);
}

static void on_start(void *arg)
{
    struct transfer *transfer = arg;

    if (transfer->state < TRANSFER_FINISHED)
        transfer_connect(transfer);
}

static struct transfer *transfer_new(struct transfer_set *set,
                                     const struct transfer_request *request)
{
    struct transfer *transfer = NEW(struct transfer);

    transfer->set = set;
    transfer->upload.fd = -1;
    transfer->may_connect = request->may_connect;
    transfer->connect_timeout_ms = request->connect_timeout_ms;
    transfer->head_timeout_ms = request->head_timeout_ms;
    transfer->stall_timeout_ms = request->stall_timeout_ms;
    transfer->started_at = clock_mono();
    transfer->quiet_since = transfer->started_at;
    transfer->ends_at =
        monotime_add(transfer->started_at,
                     request->total_timeout_ms > 0 ? request->total_timeout_ms : UINT64_MAX);
    transfer->timer = timer_new(set->loop, on_transfer_timer, transfer);
    buf_init(&transfer->head, HEAD_MAX);
    list_append(&set->transfers, &transfer->link);
    return transfer;
}

static int prepare_transfer(struct transfer *transfer, const struct transfer_request *request,
                            struct error *err)
{
    int rc = transfer_plan_connection(transfer, request, err);

    if (rc == 0)
        rc = transfer_plan_body(transfer, request, err);
    if (rc != 0)
        return rc;
    transfer->easy = transfer->set->curl->easy_init();
    if (!transfer->easy)
        return error_set(err, ERR_INTERNAL, "curl_easy_init failed");
    return transfer_set_options(transfer, request, err);
}

int transfer_start(struct transfer_set *set, const struct transfer_request *request,
                   const struct transfer_handler *handler, void *arg, struct transfer **out,
                   struct error *err)
{
    int rc = transfer_prepare_multi(set, err);

    if (rc != 0)
        return rc;
    struct transfer *transfer = transfer_new(set, request);
    transfer->handler = handler;
    transfer->arg = arg;
    rc = prepare_transfer(transfer, request, err);
    if (rc != 0) {
        transfer_free(transfer);
        return rc;
    }
    start_timer(transfer);
    /* curl_multi_add_handle() may not be called from a callback of libcurl. */
    loop_defer(set->loop, on_start, transfer);
    *out = transfer;
    return 0;
}
