/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline over the real pool: many pushers at once, nothing lost, nothing half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "world.h"

#define PUSHES 120

static struct error err;

static void blobs_of_many_pushers_are_all_there(void **state)
{
    (void)state;
    uint64_t requests[PUSHES];
    struct digest digests[PUSHES];
    for (unsigned i = 0; i < PUSHES; i++) {
        char content[32];

        (void)snprintf(content, sizeof(content), "content %u", i % 90); /* some twice */
        struct message_blob_stored stored = world_blob("team/app", content);
        digests[i] = stored.digest;
        requests[i] = world_post(i % 2 == 0 ? WORKER_0 : WORKER_1, MESSAGE_BLOB_STORED, &stored);
        if (i % 16 == 0)
            world_turns(1);
    }
    for (unsigned i = 0; i < PUSHES; i++)
        assert_int_equal(world_await(requests[i]).type, MESSAGE_DONE);
    for (unsigned i = 0; i < PUSHES; i++) {
        int fd = -1;

        assert_int_equal(store_blob_open(world_store, &digests[i],
                                         world_blob_record(&digests[i]).size, &fd, NULL, &err),
                         0);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(world_repository("", "team/app").links, 90);
}

static void a_keeper_freed_in_mid_batch_finishes_it(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    (void)world_post(WORKER_0, MESSAGE_BLOB_STORED, &stored);
    world_turns(2);
    world_restart();
    (void)world_push_blob("team/app", "next");
    unsigned kinds = world_link("", "team/app", &stored.digest);
    assert_true(kinds == 0 || kinds == LINK_BLOB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blobs_of_many_pushers_are_all_there),
        TEST(a_keeper_freed_in_mid_batch_finishes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
