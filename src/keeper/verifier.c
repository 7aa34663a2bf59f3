/* SPDX-License-Identifier: Apache-2.0 */
/* See verifier.h. */
#include "verifier.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/pool.h"
#include "order.h"
#include "verify.h"

#define LARGE (64ull * 1024 * 1024)

struct verifier {
    struct verifier_options options;
    uint64_t large_key;
    uint64_t small_key;
    size_t running;
    atomic_bool is_stopping;
};

struct verification { /* of one order */
    struct pool_work work;
    struct verifier *verifier;
    struct order *order;
};

struct verifier *verifier_new(const struct verifier_options *options)
{
    struct verifier *verifier = NEW(struct verifier);

    verifier->options = *options;
    verifier->large_key = pool_new_key();
    verifier->small_key = pool_new_key();
    return verifier;
}

void verifier_free(struct verifier **verifier)
{
    if (!*verifier)
        return;
    CHECK((*verifier)->running == 0);
    mem_free(*verifier);
    *verifier = NULL;
}

/* A file that is gone was placed before, or is refused when it shall be placed. */
static void run_verification(struct pool_work *work)
{
    struct verification *verification = LIST_ITEM(work, struct verification, work);
    struct verifier *verifier = verification->verifier;
    struct order *order = verification->order;
    struct error err;
    int rc = verify_blob(verifier->options.store, order, &verifier->is_stopping, &err);

    order->trust = rc == 0 || rc == -ERR_NOT_FOUND ? ORDER_TRUSTED : ORDER_FAILED;
    if (order->trust == ORDER_FAILED)
        order->file_error = err;
}

static void on_verification_done(struct pool_work *work)
{
    struct verification *verification = LIST_ITEM(work, struct verification, work);
    struct verifier *verifier = verification->verifier;
    struct order *order = verification->order;

    verifier->running--;
    mem_free(verification);
    verifier->options.on_done(order, verifier->options.arg);
}

void verifier_start(struct verifier *verifier, struct order *order)
{
    struct verification *verification = NEW(struct verification);

    verification->verifier = verifier;
    verification->order = order;
    verification->work = (struct pool_work){
        .run = run_verification,
        .done = on_verification_done,
        .key = order->file.size > LARGE ? verifier->large_key : verifier->small_key,
    };
    verifier->running++;
    pool_submit(verifier->options.pool, &verification->work);
}

void verifier_stop(struct verifier *verifier)
{
    atomic_store(&verifier->is_stopping, true);
}

bool verifier_is_running(const struct verifier *verifier)
{
    return verifier->running > 0;
}
