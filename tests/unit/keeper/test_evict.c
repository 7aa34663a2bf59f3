/* SPDX-License-Identifier: Apache-2.0 */
/* Cached images go by their last use when a limit says so; what was pushed or pinned stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "fakes/loop.h"
#include "keeper/keeper.h"
#include "world.h"

#define NO_LIMIT ((uint64_t)1 << 40)

static const char *const one_layer[] = {"one", NULL};
static const char *const two_layers[] = {"two", "shared", NULL};
static const char *const three_layers[] = {"three", "shared", NULL};
static struct error err;

static int set_up(void **state)
{
    int rc = world_setup(state);

    world_config.storage.grace_ms = 3600000;
    world_config.storage.cache_limit = NO_LIMIT;
    world_config.storage.cache_max_age_ms = UINT64_MAX;
    return rc;
}

static void fetch_blob(const char *content)
{
    static const char origin[] = "docker.io";
    struct message_blob_stored message = world_blob("library/app", content);

    world_file(PLACE_SPOOL, content, slice_of(content), &message.inode);
    message.place = PLACE_SPOOL;
    message.file = slice_of(content);
    message.origin = slice_of(origin);
    message.is_public = 1;
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &message).type, MESSAGE_DONE);
}

/* As a pull brings it, at the time that it is then. */
static struct digest fetch(const char *tag, const char *const *contents)
{
    struct message_manifest_stored message =
        world_fetched("library/app", tag, clock_wall().ms, tag, contents);

    assert_int_equal(world_ask(FETCHER, MESSAGE_MANIFEST_STORED, &message).type, MESSAGE_DONE);
    for (size_t i = 0; contents[i]; i++)
        fetch_blob(contents[i]);
    world_pass(1000);
    return message.digest;
}

static struct held held_now(void)
{
    struct held held;

    held_find(world_read(), &held);
    world_read_end();
    return held;
}

static void set_limit(uint64_t bytes)
{
    world_config.storage.cache_limit = bytes;
    world_pass(3000);
}

static bool is_here(const struct digest *digest)
{
    return world_blob_record(digest).where == BLOB_HERE && world_has_file(digest);
}

static void the_sums_are_those_of_the_records(void **state)
{
    (void)state;
    struct digest cached = fetch("1", two_layers);
    struct held held = held_now();
    uint64_t size = world_blob_record(&cached).size;
    assert_int_equal(held.blobs, 3);
    assert_int_equal(held.bytes, size + 3 + 6);
    assert_int_equal(held.cached_bytes, held.bytes);
    (void)world_push_blob("team/app", "shared"); /* people push it too: it is not cached any more */
    assert_int_equal(held_now().bytes, size + 3 + 6);
    assert_int_equal(held_now().cached_bytes, size + 3);
    struct message_remove message = {.kind = REMOVE_BLOB, .repository = SLICE_LITERAL("team/app")};
    message.digest = world_digest("shared");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_REMOVE, &message).type, MESSAGE_DONE);
    assert_int_equal(held_now().cached_bytes, size + 3 + 6);
}

static void the_oldest_goes_and_leaves_what_others_need(void **state)
{
    (void)state;
    struct digest one = fetch("1", one_layer);
    struct digest two = fetch("2", two_layers);
    struct digest three = fetch("3", three_layers);
    struct digest pushed = world_push("team/app", "1", "pushed", one_layer);
    struct digest layer = world_digest("one");
    struct digest own = world_digest("two");
    struct digest shared = world_digest("shared");
    set_limit(held_now().cached_bytes - 1);
    assert_false(is_here(&one));
    assert_true(is_here(&two) && is_here(&three) && is_here(&pushed) && is_here(&layer));
    assert_int_equal((unsigned)world_tag("docker.io", "library/app", "1").algorithm, 0);
    set_limit(held_now().cached_bytes - 1);
    assert_false(is_here(&two) || is_here(&own));
    assert_true(is_here(&three) && is_here(&shared));
    set_limit(1);
    assert_false(is_here(&three) || is_here(&shared));
    assert_true(is_here(&pushed) && is_here(&layer));
    assert_int_equal(held_now().cached_bytes, 0);
    assert_int_equal(world_repository("docker.io", "library/app").bytes, 0);
}

static void a_use_moves_an_image_to_the_end(void **state)
{
    (void)state;
    uint8_t binary[DIGEST_BINARY_MAX];
    struct digest one = fetch("1", one_layer);
    struct digest two = fetch("2", two_layers);
    struct message_used used = {.digests = slice_from(binary, digest_encode(&one, binary)),
                                .when = clock_wall().ms};
    (void)world_post(WORKER_0, MESSAGE_USED, &used);
    world_pass(3000);
    set_limit(held_now().cached_bytes - 1);
    assert_true(is_here(&one));
    assert_false(is_here(&two));
}

static void what_is_pinned_stays(void **state)
{
    (void)state;
    struct ledger_txn *txn;
    struct digest one = fetch("1", one_layer);
    struct digest two = fetch("2", two_layers);
    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    pin_put(txn, slice_of("docker.io/library/app:1"), slice_of("cluster"));
    assert_int_equal(ledger_commit(&txn, &err), 0);
    set_limit(1);
    assert_true(is_here(&one));
    assert_false(is_here(&two));
    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    assert_true(pin_delete(txn, slice_of("docker.io/library/app:1"), slice_of("cluster")));
    assert_int_equal(ledger_commit(&txn, &err), 0);
    world_pass(8000); /* it rests when nothing may go */
    assert_false(is_here(&one));
}

static void what_nobody_pulled_for_so_long_goes(void **state)
{
    (void)state;
    struct digest one = fetch("1", one_layer);
    world_pass(60000);
    struct digest two = fetch("2", two_layers);
    world_config.storage.cache_max_age_ms = 30000;
    world_pass(3000);
    assert_false(is_here(&one));
    assert_true(is_here(&two));
}

static void a_clock_that_jumps_makes_nothing_old(void **state)
{
    (void)state;
    struct digest one = fetch("1", one_layer);
    world_config.storage.cache_max_age_ms = 3600000;
    clock_freeze(clock_mono(), (struct walltime){clock_wall().ms + 365ull * 86400000});
    world_pass(10000);
    assert_true(is_here(&one));
}

/* Its manifest was evicted while it was on its way, or was never asked for here. */
static void a_blob_that_no_manifest_names_goes_first(void **state)
{
    (void)state;
    fetch_blob("a loose blob that is long enough to be worth it");
    struct digest loose = world_digest("a loose blob that is long enough to be worth it");
    world_pass(11 * 60 * 1000);
    struct digest one = fetch("1", one_layer);
    set_limit(held_now().cached_bytes - 1);
    assert_false(is_here(&loose));
    assert_true(is_here(&one));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sums_are_those_of_the_records),
        TEST(the_oldest_goes_and_leaves_what_others_need),
        TEST(a_use_moves_an_image_to_the_end),
        TEST(what_is_pinned_stays),
        TEST(what_nobody_pulled_for_so_long_goes),
        TEST(a_clock_that_jumps_makes_nothing_old),
        TEST(a_blob_that_no_manifest_names_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
