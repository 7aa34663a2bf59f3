/* SPDX-License-Identifier: Apache-2.0 */
/* What the default upstream is asked before a push takes a name, and what comes of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"
#include "scene.h"

#define CONFIG "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define MANIFEST                                                                                   \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","           \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" CONFIG  \
    "\",\"size\":2},\"layers\":[]}"

static struct scene *scene;
static struct guest guest;

static int set_up(void **state)
{
    (void)state;
    scene =
        scene_new("upstreams: { docker.io: { default: true } }\n"
                  "hosted: { shadow_check: ask, reserved: [\"acme/*\"], allow: [\"ours/*\"] }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    scene_free(scene);
    return 0;
}

static void post(const char *name)
{
    guest_forget(&guest);
    guest_send(scene, &guest,
               "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", name);
}

static void put(const char *reference)
{
    guest_forget(&guest);
    guest_send(scene, &guest,
               "PUT /v2/org/app/manifests/%s HTTP/1.1\r\nHost: x\r\nContent-Length: "
               "%zu\r\n\r\n%s",
               reference, strlen(MANIFEST), MANIFEST);
}

static uint64_t heard_question(const char *tag)
{
    const struct message_join *join = &scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join;

    assert_int_equal(join->kind, JOIN_PRESENCE);
    assert_true(slice_is(join->origin, "docker.io"));
    assert_true(slice_is(join->repository, "org/app"));
    assert_true(slice_is(join->reference, tag));
    return join->request;
}

static void say_present(const char *tag)
{
    struct message_answer answer = {.request = heard_question(tag), .state = ANSWER_FRESH};

    scene_say(scene, ROLE_FETCHER, MESSAGE_ANSWER, &answer, -1);
}

static void say_failed(const char *tag, enum error_kind kind)
{
    struct message_failed failed = {
        .request = heard_question(tag), .kind = kind, .text = SLICE_LITERAL("the reason")};

    scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
}

static void assert_begun(void)
{
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    assert_int_equal(guest_status(scene, &guest), 202);
}

static void assert_refused(int status)
{
    assert_int_equal(guest_status(scene, &guest), status);
    assert_non_null(strstr(guest_got(scene, &guest), "hosted.shadow_check"));
    scene_heard_nothing(scene, ROLE_KEEPER);
}

static void name_of_the_upstream_is_denied(void **state)
{
    (void)state;
    post("org/app");
    scene_heard_nothing(scene, ROLE_KEEPER);
    say_present("");
    assert_refused(403);
    assert_non_null(strstr(guest_got(scene, &guest), "hosted.reserved"));
}

static void name_that_the_upstream_has_not_is_ours(void **state)
{
    (void)state;
    static const enum error_kind kinds[] = {ERR_NOT_FOUND, ERR_DENIED, ERR_UNAUTHORIZED};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        post("org/app");
        say_failed("", kinds[i]);
        assert_begun();
    }
}

static void without_an_answer_the_setting_decides(void **state)
{
    (void)state;
    static const enum error_kind kinds[] = {ERR_UPSTREAM, ERR_BUSY, ERR_TIMEOUT};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        post("org/app");
        say_failed("", kinds[i]);
        assert_begun();
    }
    scene_config(scene)->hosted.shadow_check = SHADOW_CHECK_STRICT;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        post("org/app");
        say_failed("", kinds[i]);
        assert_refused(503);
        assert_non_null(strstr(guest_got(scene, &guest), "Retry-After: "));
    }
}

static void answer_is_waited_for_two_seconds(void **state)
{
    (void)state;
    post("org/app");
    heard_question("");
    scene_pass(scene, 1900);
    scene_heard_nothing(scene, ROLE_KEEPER);
    scene_pass(scene, 200);
    assert_begun();
}

static void other_names_are_not_asked_for(void **state)
{
    (void)state;
    static const char *const names[] = {"app", "acme/app", "ours/app"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        post(names[i]);
        assert_begun();
        scene_heard_nothing(scene, ROLE_FETCHER);
    }
    scene_config(scene)->hosted.shadow_check = SHADOW_CHECK_OFF;
    post("org/app");
    assert_begun();
    scene_heard_nothing(scene, ROLE_FETCHER);
}

static void put_repository(uint64_t last_post_ms, bool is_hosted)
{
    struct ledger_txn *txn = scene_write(scene);
    struct repository repository;

    repository_get(txn, slice_of(""), slice_of("org/app"), &repository);
    repository.last_post_ms = last_post_ms;
    repository.is_hosted = is_hosted;
    repository_put(txn, slice_of(""), slice_of("org/app"), &repository);
    scene_commit(txn);
}

static void mark_of_an_upload_stands_for_the_answer(void **state)
{
    (void)state;
    put_repository(1700000000000, false);
    post("org/app");
    assert_int_equal(guest_status(scene, &guest), 202);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

static void first_manifest_is_asked_for_by_its_tag_too(void **state)
{
    (void)state;
    put("v1");
    say_failed("", ERR_NOT_FOUND);
    say_present("v1");
    assert_refused(403);
    guest_leave(scene, &guest); /* refused before its body was read */
    guest_come(scene, &guest, LISTENER_FULL);
    put_repository(1700000000000, false);
    put("v1");
    say_failed("v1", ERR_NOT_FOUND);
    scene_done(scene,
               scene_heard(scene, ROLE_KEEPER, MESSAGE_MANIFEST_PUT)->manifest_put.head.request);
    assert_int_equal(guest_status(scene, &guest), 201);
}

static void hosted_name_is_not_asked_for(void **state)
{
    (void)state;
    put_repository(0, true);
    put("v1");
    scene_done(scene,
               scene_heard(scene, ROLE_KEEPER, MESSAGE_MANIFEST_PUT)->manifest_put.head.request);
    assert_int_equal(guest_status(scene, &guest), 201);
    scene_heard_nothing(scene, ROLE_FETCHER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(name_of_the_upstream_is_denied),
        TEST(name_that_the_upstream_has_not_is_ours),
        TEST(without_an_answer_the_setting_decides),
        TEST(answer_is_waited_for_two_seconds),
        TEST(other_names_are_not_asked_for),
        TEST(mark_of_an_upload_stands_for_the_answer),
        TEST(first_manifest_is_asked_for_by_its_tag_too),
        TEST(hosted_name_is_not_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
