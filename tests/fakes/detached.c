/* SPDX-License-Identifier: Apache-2.0 */
/* Detached calls without threads, in the order of their submission. A held call stands for one that
 * has not returned; it is dropped when its owner is freed. */
#include "fakes/detached.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/detached.h"
#include "base/error.h"
#include "base/fd.h"

struct detached {
    struct list held;
    struct list ready;
    int descriptor;
};

static struct {
    struct detached *newest; /* tests have one at a time */
    bool is_held;
    bool is_refused;
} fake;

static struct detached_call *take_first(struct list *calls)
{
    if (list_is_empty(calls))
        return NULL;
    struct detached_call *call = LIST_ITEM(calls->next, struct detached_call, link);
    list_remove(&call->link);
    return call;
}

static void make_ready(struct detached *detached, struct detached_call *call)
{
    uint64_t one = 1;

    list_append(&detached->ready, &call->link);
    CHECK(write(detached->descriptor, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

void fake_detached_hold(bool is_held)
{
    fake.is_held = is_held;
}

void fake_detached_release(void)
{
    CHECK(fake.newest);
    struct detached_call *call = take_first(&fake.newest->held);
    CHECK(call);
    make_ready(fake.newest, call);
}

size_t fake_detached_held(void)
{
    return fake.newest ? list_length(&fake.newest->held) : 0;
}

void fake_detached_refuse(void)
{
    fake.is_refused = true;
}

struct detached *detached_new(unsigned threads)
{
    struct detached *detached = NEW(struct detached);

    CHECK(threads > 0);
    list_init(&detached->held);
    list_init(&detached->ready);
    detached->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(detached->descriptor >= 0);
    fake.newest = detached;
    fake.is_held = false;
    fake.is_refused = false;
    return detached;
}

void detached_free(struct detached **detached)
{
    struct detached *gone = TAKE(*detached);
    struct detached_call *call;

    if (!gone)
        return;
    while ((call = take_first(&gone->held)))
        call->drop(call);
    while ((call = take_first(&gone->ready)))
        call->drop(call);
    if (fake.newest == gone)
        fake.newest = NULL;
    fd_close(&gone->descriptor);
    mem_free(gone);
}

int detached_submit(struct detached *detached, struct detached_call *call, struct error *err)
{
    if (fake.is_refused) {
        fake.is_refused = false;
        return error_set(err, ERR_BUSY, "starting a thread: none is left");
    }
    if (fake.is_held)
        list_append(&detached->held, &call->link);
    else
        make_ready(detached, call);
    return 0;
}

int detached_descriptor(const struct detached *detached)
{
    return detached->descriptor;
}

void detached_run_done(struct detached *detached)
{
    struct detached_call *call;
    uint64_t told;

    CHECK(read(detached->descriptor, &told, sizeof(told)) > 0 || errno == EAGAIN);
    while ((call = take_first(&detached->ready))) {
        call->run(call);
        call->done(call);
    }
}
