/* SPDX-License-Identifier: Apache-2.0 */
/* Pulls of stored files that are not the ones that their records know: how long clients wait, and
 * what the keeper is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "fakes/pool.h"
#include "oci/digest.h"
#include "scene.h"

#define BLOBS 100

static struct scene *scene;
static struct guest guest;
static struct guest other;
static struct digest digests[BLOBS];

/* Blobs of team/app; the records know other files than are there. */
static void put_blobs(unsigned count)
{
    struct ledger_txn *txn = scene_write(scene);
    struct repository repository;

    repository_get(txn, slice_of(""), slice_of("team/app"), &repository);
    repository.is_hosted = true;
    repository_put(txn, slice_of(""), slice_of("team/app"), &repository);
    for (unsigned i = 0; i < count; i++) {
        struct blob_record record;
        char content[16];

        (void)snprintf(content, sizeof(content), "bytes %u", i);
        scene_put_blob(scene, txn, slice_of(content), false, &digests[i]);
        link_put(txn, repository.id, &digests[i], LINK_BLOB, slice_of(""));
        assert_true(blob_find(txn, &digests[i], &record));
        record.file = (struct file_identity){1, 1};
        blob_put(txn, &digests[i], &record);
    }
    scene_commit(txn);
}

static int set_up(void **state)
{
    (void)state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    guest_come(scene, &other, LISTENER_FULL);
    put_blobs(BLOBS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_pool_hold(scene_pool(scene), false);
    guest_leave(scene, &guest);
    guest_leave(scene, &other);
    scene_free(scene);
    return 0;
}

static void get(struct guest *who, unsigned blob)
{
    char text[DIGEST_TEXT_SIZE];

    guest_forget(who);
    guest_send(scene, who, "GET /v2/team/app/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n",
               digest_print(&digests[blob], text));
}

static void a_large_file_keeps_nobody_waiting_for_ever(void **state)
{
    (void)state;
    fake_pool_hold(scene_pool(scene), true); /* it is being read */
    get(&guest, 0);
    scene_pass(scene, 30000);
    get(&other, 0);
    scene_pass(scene, 29000);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_pass(scene, 2000);
    assert_int_equal(guest_status(scene, &guest), 503);
    assert_non_null(strstr(guest_got(scene, &guest), "Retry-After: "));
    assert_non_null(strstr(guest_got(scene, &guest), "still being compared"));
    assert_int_equal(guest_status(scene, &other), 0);
    get(&guest, 0);
    fake_pool_hold(scene_pool(scene), false);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_int_equal(guest_status(scene, &other), 200);
    (void)scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_SUSPECTED);
    scene_heard_nothing(scene, ROLE_KEEPER);
}

/* However long the keeper reads, what we have found is not forgotten meanwhile. */
static void a_file_is_read_once_while_the_keeper_looks(void **state)
{
    (void)state;
    get(&guest, 0);
    assert_int_equal(guest_status(scene, &guest), 200);
    uint64_t request =
        scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_SUSPECTED)->blob_suspected.head.request;
    scene_pass(scene, 600000);
    guest_leave(scene, &other); /* it was silent for too long */
    guest_come(scene, &other, LISTENER_FULL);
    fake_pool_hold(scene_pool(scene), true); /* nothing is read any more */
    get(&other, 0);
    assert_int_equal(guest_status(scene, &other), 200);
    fake_pool_hold(scene_pool(scene), false);
    scene_heard_nothing(scene, ROLE_KEEPER);
    scene_done(scene, request);
    get(&other, 0); /* the record says nothing new */
    (void)scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_SUSPECTED);
}

static void clients_are_served_without_a_keeper(void **state)
{
    (void)state;
    scene_disconnect(scene, ROLE_KEEPER);
    get(&guest, 0);
    assert_int_equal(guest_status(scene, &guest), 200);
    scene_connect(scene, ROLE_KEEPER);
    (void)scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_SUSPECTED);
}

/* Pushes need the worker's credits with the keeper. */
static void a_restored_store_leaves_credits_for_pushes(void **state)
{
    (void)state;
    enum message_type type = MESSAGE_NONE;
    unsigned told = 0;
    for (unsigned i = 0; i < BLOBS; i++) {
        get(&guest, i);
        assert_int_equal(guest_status(scene, &guest), 200);
    }
    while (scene_heard_any(scene, ROLE_KEEPER, &type)) {
        assert_int_equal(type, MESSAGE_BLOB_SUSPECTED);
        told++;
    }
    assert_int_equal(told, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_file_keeps_nobody_waiting_for_ever),
        TEST(a_file_is_read_once_while_the_keeper_looks),
        TEST(clients_are_served_without_a_keeper),
        TEST(a_restored_store_leaves_credits_for_pushes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
