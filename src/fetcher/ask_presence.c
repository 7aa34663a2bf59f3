/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks whether the upstream has a repository, for the sake of a push that would take its name: the
 * list of tags, and, where the upstream says 404 to that, a HEAD of the tag "latest"; or a HEAD of
 * one tag. Nothing of the answers is stored, and nothing is asked twice: the pusher is waiting.
 */
#include "ask.h"
#include "base/alloc.h"
#include "base/error.h"
#include "fetch.h"
#include "oci/media_type.h"
#include "role.h"
#include "upstream.h"

#define PAGE_MAX                                                                                   \
    ((size_t)8 * 1024 * 1024) /* upstreams that do not know n= send their whole list               \
                               */

static void answer_present(struct ask *ask)
{
    struct message_answer answer = {.state = ANSWER_FRESH, .checked = clock_wall().ms};

    ask_answer(ask, &answer);
    ask_end(ask);
}

static void on_presence_head(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;

    ask->fetch = NULL;
    if (result->end->err.kind != ERR_NONE)
        ask_fail(ask, &result->end->err, result->end->retry_after);
    else
        answer_present(ask);
}

static void head_tag(struct ask *ask, const char *tag)
{
    AUTO_BUF struct buf path;

    buf_init(&path, 1024);
    ask_print_manifest_path(ask, tag, &path);
    struct fetch_request request = {
        .method = TRANSFER_HEAD,
        .path = buf_text(&path),
        .accept = MEDIA_TYPE_ACCEPT_ALL,
        .body_max = 1,
    };
    ask_fetch(ask, &request, on_presence_head);
}

static void on_presence_list(const struct fetch_result *result, void *arg)
{
    struct ask *ask = arg;
    const struct exchange_end *end = result->end;

    ask->fetch = NULL;
    /* A list too long to be read is a list. */
    if (end->err.kind == ERR_NONE || result->is_over)
        answer_present(ask);
    else if (end->err.kind == ERR_NOT_FOUND)
        head_tag(ask, "latest");
    else
        ask_fail(ask, &end->err, end->retry_after);
}

void ask_begin_presence(struct ask *ask)
{
    AUTO_BUF struct buf path;

    buf_init(&path, 1024);
    if (ask->reference[0] != '\0') {
        head_tag(ask, ask->reference);
        return;
    }
    buf_printf(&path, "%s/tags/list?n=1", ask->repository);
    struct fetch_request request = {
        .method = TRANSFER_GET,
        .path = buf_text(&path),
        .body_max = PAGE_MAX,
    };
    ask_fetch(ask, &request, on_presence_list);
}
