/* SPDX-License-Identifier: Apache-2.0 */
/* One request at a time, on a loop that runs until it is answered. */
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/jsonio.h"
#include "base/text.h"
#include "net/loop.h"
#include "net/transfer.h"

#define BODY_MAX    ((size_t)64 << 20)
#define ADDRESS_MAX ((size_t)8192)
#define ANSWER_MS   120000 /* a removal waits for what it frees */
#define VALUES_MAX  ((size_t)1 << 20)

struct asking {
    struct loop *loop;
    struct reply *reply;
    struct error err; /* kind NONE: answered */
};

static bool on_head(struct transfer *transfer, const struct transfer_response *response, void *arg)
{
    struct asking *asking = arg;

    (void)transfer;
    asking->reply->status = response->status;
    return true;
}

static enum transfer_want on_data(struct transfer *transfer, struct slice bytes, void *arg)
{
    struct asking *asking = arg;

    (void)transfer;
    buf_append_slice(&asking->reply->body, bytes);
    return asking->reply->body.is_over ? TRANSFER_ABORT : TRANSFER_CONTINUE;
}

static void on_done(struct transfer *transfer, const struct error *err, void *arg)
{
    struct asking *asking = arg;

    (void)transfer;
    if (err)
        asking->err = *err;
    loop_stop(asking->loop);
}

/* Says why nobody answers there. False: somebody may. */
static bool is_silent(const struct call *call)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, call->path, sizeof(address.sun_path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return false;
    if (errno == ENOENT || errno == ECONNREFUSED) {
        (void)fprintf(stderr,
                      "entrepot: the server does not run, or has another socket: nobody listens on "
                      "%s; start it with entrepot serve, or name its configuration with -c FILE or "
                      "its socket with --socket PATH\n",
                      call->path);
    } else if (errno == EACCES) {
        (void)fprintf(
            stderr,
            "entrepot: you may not use %s; run this as root or as the user of the server, "
            "or let a group in with control.group and control.mode\n",
            call->path);
    } else {
        (void)fprintf(stderr, "entrepot: cannot connect to %s: %s\n", call->path,
                      strerrordesc_np(errno));
    }
    return true;
}

static enum transfer_method method_of(const char *name)
{
    if (strcmp(name, "POST") == 0)
        return TRANSFER_POST;
    if (strcmp(name, "PUT") == 0)
        return TRANSFER_PUT;
    return strcmp(name, "DELETE") == 0 ? TRANSFER_DELETE : TRANSFER_GET;
}

bool call_ask(const struct call *call, const char *method, const char *address, struct slice body,
              struct reply *out)
{
    static const struct transfer_handler handler = {on_head, on_data, on_done};
    struct asking asking = {.reply = out};
    AUTO_BUF struct buf url;

    out->status = 0;
    buf_init(&out->body, BODY_MAX);
    buf_init(&url, ADDRESS_MAX);
    if (is_silent(call))
        return false;
    buf_printf(&url, "http://localhost%s%s", address[0] == '/' ? "" : "/api/v1/", address);
    struct transfer_body sent = {.bytes = body};
    struct transfer_request request = {
        .method = method_of(method),
        .url = buf_text(&url),
        .body = body.data ? &sent : NULL,
        .unix_socket = call->path,
        .total_timeout_ms = ANSWER_MS,
    };
    asking.loop = loop_new();
    struct transfer_set *set = transfer_set_new(asking.loop, NULL, NULL);
    struct transfer *transfer = NULL;
    if (transfer_start(set, &request, &handler, &asking, &transfer, &asking.err) == 0)
        loop_run(asking.loop);
    transfer_set_free(&set);
    loop_free(&asking.loop);
    if (asking.err.kind != ERR_NONE)
        (void)fprintf(stderr, "entrepot: no answer from %s: %s\n", call->path, asking.err.text);
    return asking.err.kind == ERR_NONE;
}

void reply_cleanup(struct reply *reply)
{
    buf_cleanup(&reply->body);
}

static void print_error(const struct reply *reply)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct slice text = slice_of("");
    struct error ignored;

    if (jsonio_parse(buf_bytes(&reply->body), &document, &ignored) == 0) {
        struct jsonio_value errors = jsonio_member(jsonio_root(document), "errors");

        text = jsonio_string(jsonio_member(jsonio_element(errors, 0), "message"));
    }
    if (text.length > 0)
        (void)fprintf(stderr, "entrepot: %.*s\n", SLICE_PRINT(text));
    else
        (void)fprintf(stderr, "entrepot: the server answered %d\n", reply->status);
}

bool call_get(const struct call *call, const char *method, const char *address, struct slice body,
              struct reply *out)
{
    if (!call_ask(call, method, address, body, out))
        return false;
    if (out->status >= 200 && out->status < 300)
        return true;
    print_error(out);
    return false;
}

/* False: the answer is no list. `next` is where to go on; empty: this was the last page. */
static bool take_page(const struct reply *reply, const char *key, call_each_fn *each, void *arg,
                      struct buf *next)
{
    AUTO_JSONIO struct jsonio *document = NULL;
    struct error err;

    if (jsonio_parse_long(buf_bytes(&reply->body), VALUES_MAX, &document, &err) != 0) {
        (void)fprintf(stderr, "entrepot: the server's answer cannot be read: %s\n", err.text);
        return false;
    }
    struct jsonio_value list = jsonio_member(jsonio_root(document), key);
    for (size_t i = 0; i < jsonio_length(list); i++)
        each(jsonio_element(list, i), arg);
    buf_clear(next);
    buf_append_slice(next, jsonio_string(jsonio_member(jsonio_root(document), "next")));
    return true;
}

bool call_each(const struct call *call, const char *address, const char *key, call_each_fn *each,
               void *arg)
{
    AUTO_BUF struct buf next;
    bool is_right = true;

    buf_init(&next, ADDRESS_MAX);
    do {
        AUTO_REPLY struct reply reply = {.status = 0};
        AUTO_BUF struct buf page;

        buf_init(&page, ADDRESS_MAX);
        buf_append_text(&page, address);
        if (next.length > 0) {
            buf_append_text(&page, strchr(address, '?') ? "&after=" : "?after=");
            text_percent_encode(&page, buf_bytes(&next), "");
        }
        is_right = call_get(call, "GET", buf_text(&page), slice_from(NULL, 0), &reply) &&
                   take_page(&reply, key, each, arg, &next);
    } while (is_right && buf_bytes(&next).length > 0);
    return is_right;
}
