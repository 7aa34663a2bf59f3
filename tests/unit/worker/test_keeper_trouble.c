/* SPDX-License-Identifier: Apache-2.0 */
/* What clients see of a keeper that hangs, and of a ledger that cannot be read when it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "scene.h"
#include "worker/worker.h"

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct scene *scene;
static struct guest guest;
static char location[512];

static int set_up(void **state)
{
    (void)state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    failpoint_clear();
    guest_leave(scene, &guest);
    scene_free(scene);
    return 0;
}

#define ask(...)                                                                                   \
    do {                                                                                           \
        guest_forget(&guest);                                                                      \
        guest_send(scene, &guest, __VA_ARGS__);                                                    \
    } while (0)

static void assert_status(int status)
{
    int real = guest_status(scene, &guest);

    if (real != status)
        fail_msg("%d instead of %d: %.500s", real, status, guest_got(scene, &guest));
}

static void assert_has(const char *line)
{
    const char *text = guest_got(scene, &guest);

    if (!strstr(text, line))
        fail_msg("no \"%s\" in \"%.600s\"", line, text);
}

static void post(void)
{
    ask("POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
}

static void start(void)
{
    post();
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    assert_status(202);
    const char *text = strstr(guest_got(scene, &guest), "Location: ");
    assert_non_null(text);
    (void)sscanf(text, "Location: %511[^\r]", location);
}

static struct message_blob_stored put(const char *bytes)
{
    ask("PUT %s&digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", location, HELLO,
        strlen(bytes), bytes);
    return scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored;
}

/* A number of 0 would compare a repeat with the whole journal, and an old change of the same tag
 * would answer it as done. */
static void nothing_is_asked_without_the_newest_number(void **state)
{
    (void)state;
    failpoint_arm("ledger.number", 0, 1);
    post();
    scene_heard_nothing(scene, ROLE_KEEPER);
    assert_status(503);
    assert_has("Retry-After: ");
    start();
}

static void a_keeper_that_hangs_for_long_is_503(void **state)
{
    (void)state;
    post();
    uint64_t late = scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request;
    scene_pass(scene, 59000);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_pass(scene, 2000);
    assert_status(503);
    assert_has("Retry-After: ");
    scene_done(scene, late); /* nobody waits for it any more */
    start();
}

static void a_push_is_finished_by_repeating_it_when_the_keeper_hung(void **state)
{
    (void)state;
    start();
    struct message_blob_stored first = put("hello");
    scene_pass(scene, 61000);
    assert_status(503);
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(204);
    assert_has("Range: 0-4\r\n");
    struct message_blob_stored second = put("");
    assert_int_not_equal(second.head.request, first.head.request);
    assert_int_equal(second.inode, first.inode);
    /* The keeper finds the file of the first under another name by then, and refuses. */
    scene_done(scene, first.head.request);
    assert_int_equal(guest_status(scene, &guest), 0);
    scene_done(scene, second.head.request);
    assert_status(201);
}

/* It had the file already, and hung in its commit. */
static void a_push_whose_file_a_hanging_keeper_took_begins_again(void **state)
{
    (void)state;
    size_t files = 0;
    start();
    (void)put("hello");
    scene_remove_uploads(scene);
    scene_pass(scene, 61000);
    assert_status(503);
    ask("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_status(404);
    scene_each_upload(scene, &files);
    assert_int_equal(files, 0);
}

/* It was answered; a new keeper has nothing to do with it. */
static void what_a_hanging_keeper_left_is_not_asked_again(void **state)
{
    (void)state;
    post();
    (void)scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN);
    scene_pass(scene, 61000);
    assert_status(503);
    scene_disconnect(scene, ROLE_KEEPER);
    scene_pass(scene, 10);
    scene_connect(scene, ROLE_KEEPER);
    scene_settle(scene);
    scene_heard_nothing(scene, ROLE_KEEPER);
}

/* ---- the master is dead ---- */

static void lose_master(void)
{
    worker_orphan(scene_worker(scene));
    scene_disconnect(scene, ROLE_KEEPER);
    scene_disconnect(scene, ROLE_FETCHER);
    scene_settle(scene);
}

static void an_orphans_push_is_503_at_once(void **state)
{
    (void)state;
    start();
    (void)put("hello");
    assert_int_equal(guest_status(scene, &guest), 0);
    lose_master();
    assert_status(503);
    assert_has("the server is ending");
    guest_leave(scene, &guest); /* what comes later, too */
    guest_come(scene, &guest, LISTENER_FULL);
    post();
    assert_status(503);
}

static void assert_bad_gateway(const char *path)
{
    guest_leave(scene, &guest);
    guest_come(scene, &guest, LISTENER_FULL);
    ask("GET /v2/library/app/%s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_status(502);
    assert_has("the server is ending");
}

static void an_orphans_misses_are_502_at_once(void **state)
{
    (void)state;
    ask("GET /v2/library/app/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN);
    assert_int_equal(guest_status(scene, &guest), 0);
    lose_master();
    assert_status(502);
    assert_bad_gateway("manifests/latest");
    assert_bad_gateway("manifests/" HELLO);
    assert_bad_gateway("blobs/" HELLO);
    assert_bad_gateway("tags/list");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked_without_the_newest_number),
        TEST(a_keeper_that_hangs_for_long_is_503),
        TEST(a_push_is_finished_by_repeating_it_when_the_keeper_hung),
        TEST(a_push_whose_file_a_hanging_keeper_took_begins_again),
        TEST(what_a_hanging_keeper_left_is_not_asked_again),
        TEST(an_orphans_push_is_503_at_once),
        TEST(an_orphans_misses_are_502_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
