/* SPDX-License-Identifier: Apache-2.0 */
/* See verifier.h. */
#include "verifier.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "ipc/metrics.h"
#include "oci/digest.h"
#include "order.h"
#include "verify.h"

#define LARGE (64ull * 1024 * 1024)

struct lanes { /* keys of the pool */
    uint64_t large;
    uint64_t small;
};

struct verifier {
    struct verifier_options options;
    struct lanes pushed;
    struct lanes suspected;
    struct map *suspects; /* digest → verification */
    size_t running;
    atomic_bool is_stopping;
};

struct verification { /* of one file */
    struct pool_work work;
    struct verifier *verifier;
    struct order *order;
    struct list others; /* that suspect the same file */
};

struct verifier *verifier_new(const struct verifier_options *options)
{
    struct verifier *verifier = NEW(struct verifier);

    verifier->options = *options;
    verifier->pushed = (struct lanes){pool_new_key(), pool_new_key()};
    verifier->suspected = (struct lanes){pool_new_key(), pool_new_key()};
    verifier->suspects = map_new();
    return verifier;
}

void verifier_free(struct verifier **verifier)
{
    if (!*verifier)
        return;
    CHECK((*verifier)->running == 0);
    map_free(&(*verifier)->suspects);
    mem_free(*verifier);
    *verifier = NULL;
}

static struct slice make_key(const struct order *order, uint8_t out[DIGEST_BINARY_MAX])
{
    return slice_from(out, digest_encode(&order->digest, out));
}

/* The file of a push that is gone was placed before, or is refused when it shall be placed. */
static void run_verification(struct pool_work *work)
{
    struct verification *verification = LIST_ITEM(work, struct verification, work);
    struct verifier *verifier = verification->verifier;
    struct order *order = verification->order;
    const struct verifier_options *options = &verifier->options;
    struct error err;
    bool is_suspect = order->type == MESSAGE_BLOB_SUSPECTED;
    int rc = is_suspect ? verify_suspect(options->store, options->ledger, order,
                                         &verifier->is_stopping, &err)
                        : verify_blob(options->store, order, &verifier->is_stopping, &err);
    bool is_gone = !is_suspect && rc == -ERR_NOT_FOUND;

    order->trust = rc == 0 || is_gone ? ORDER_TRUSTED : ORDER_FAILED;
    if (order->trust == ORDER_FAILED)
        order->file_error = err;
}

static void give_to_others(struct verification *verification)
{
    const struct order *order = verification->order;

    LIST_EACH (link, &verification->others) {
        struct order *other = LIST_ITEM(link, struct order, link);

        list_remove(link);
        list_init(link);
        other->trust = order->trust;
        other->file_error = order->file_error;
        other->compared = order->compared;
        other->is_wrong = order->is_wrong;
        verification->verifier->options.on_done(other, verification->verifier->options.arg);
    }
}

static void on_verification_done(struct pool_work *work)
{
    struct verification *verification = LIST_ITEM(work, struct verification, work);
    struct verifier *verifier = verification->verifier;
    struct order *order = verification->order;
    uint8_t key[DIGEST_BINARY_MAX];

    verifier->running--;
    if (order->type == MESSAGE_BLOB_SUSPECTED) {
        map_remove(verifier->suspects, make_key(order, key));
        metrics_add(METRIC_files_compared, order->compared.inode != 0);
        give_to_others(verification);
    }
    mem_free(verification);
    verifier->options.on_done(order, verifier->options.arg);
}

static uint64_t lane_of(const struct verifier *verifier, const struct order *order)
{
    bool is_suspect = order->type == MESSAGE_BLOB_SUSPECTED;
    const struct lanes *lanes = is_suspect ? &verifier->suspected : &verifier->pushed;
    uint64_t size = is_suspect ? order->message.blob_suspected.size : order->file.size;

    return size > LARGE ? lanes->large : lanes->small;
}

void verifier_start(struct verifier *verifier, struct order *order)
{
    uint8_t key[DIGEST_BINARY_MAX];
    bool is_suspect = order->type == MESSAGE_BLOB_SUSPECTED;
    struct verification *verification =
        is_suspect ? map_find(verifier->suspects, make_key(order, key)) : NULL;

    if (verification) {
        list_append(&verification->others, &order->link);
        return;
    }
    verification = NEW(struct verification);
    verification->verifier = verifier;
    verification->order = order;
    list_init(&verification->others);
    verification->work = (struct pool_work){
        .run = run_verification,
        .done = on_verification_done,
        .key = lane_of(verifier, order),
    };
    if (is_suspect)
        map_set(verifier->suspects, make_key(order, key), verification);
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
