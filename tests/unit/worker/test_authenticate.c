/* SPDX-License-Identifier: Apache-2.0 */
/* An authenticator that answers later: what a request, its client and the worker do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/pool.h"
#include "endpoint.h"
#include "oci/api_error.h"
#include "rules/principal.h"
#include "scene.h"
#include "worker/worker.h"

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"test\",scope=\"repository:%.*s:%s\"\r\n"

/* Looks at the Authorization in the pool: "Basic good" is the user "good". */
struct check {
    struct pool_work work;
    struct authentication *authentication; /* NULL: cancelled */
    bool is_good;
};

static struct scene *scene;
static struct guest guest;
static unsigned begun;
static unsigned cancelled;
static bool is_held;          /* verdicts wait in `held` */
static struct check *held[8]; /* checked, and not told yet */
static unsigned held_count;

static void tell(struct check *check)
{
    struct principal good = {.name = SLICE_LITERAL("good")};
    struct api_error error;

    if (check->authentication && check->is_good) {
        authentication_accept(check->authentication, &good);
    } else if (check->authentication) {
        api_error_set(&error, API_UNAUTHORIZED, "who are you?");
        authentication_refuse(check->authentication, &error, SLICE_LITERAL("X-More: 1\r\n"));
    }
    mem_free(check);
}

static void on_checked(struct pool_work *work)
{
    struct check *check = LIST_ITEM(work, struct check, work);

    if (is_held)
        held[held_count++] = check;
    else
        tell(check);
}

static void run_check(struct pool_work *work)
{
    (void)work;
}

static void begin_check(struct authentication *authentication, void *arg)
{
    const struct slice *header = http_head_find(authentication->head, "Authorization");
    struct check *check = NEW(struct check);

    (void)arg;
    begun++;
    check->authentication = authentication;
    check->is_good = header && slice_is(*header, "Basic good");
    check->work.run = run_check;
    check->work.done = on_checked;
    authentication->state = check;
    pool_submit(scene_pool(scene), &check->work);
}

static void cancel_check(struct authentication *authentication, void *arg)
{
    struct check *check = authentication->state;

    (void)arg;
    cancelled++;
    check->authentication = NULL;
}

/* Judges from inside `begin`. */
static void begin_at_once(struct authentication *authentication, void *arg)
{
    const struct slice *header = http_head_find(authentication->head, "Authorization");
    struct check *check = NEW(struct check);

    (void)arg;
    begun++;
    check->authentication = authentication;
    check->is_good = header && slice_is(*header, "Basic good");
    tell(check);
}

static void print_challenge(const struct authenticator_challenge *about, struct buf *out, void *arg)
{
    (void)arg;
    buf_printf(out, CHALLENGE, SLICE_PRINT(about->name),
               about->action == ACTION_PUSH ? "push" : "pull");
}

static bool is_login_wanted;        /* the authorizer answers 401 */
static const char *authorized_name; /* of the last request that got as far */

static int note_principal(const struct principal *principal, const struct resolved *target,
                          enum action action, struct api_error *error, void *arg)
{
    (void)target;
    (void)action;
    (void)arg;
    authorized_name = slice_is(principal->name, "good") ? "good" : "somebody else";
    return is_login_wanted ? api_error_set(error, API_UNAUTHORIZED, "log in") : 0;
}

static void tell_held(void)
{
    is_held = false;
    while (held_count > 0)
        tell(held[--held_count]);
    scene_settle(scene);
}

static struct scene *make_scene(void (*begin)(struct authentication *, void *))
{
    struct worker_options options = {
        .authenticator = {.begin = begin, .cancel = cancel_check, .challenge = print_challenge},
        .authorizer = {.authorize = note_principal},
    };

    begun = cancelled = held_count = 0;
    is_held = is_login_wanted = false;
    authorized_name = NULL;
    return scene_new_with("", &options);
}

static int setup(void **state)
{
    (void)state;
    scene = make_scene(begin_check);
    return 0;
}

static int setup_at_once(void **state)
{
    (void)state;
    scene = make_scene(begin_at_once);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_free(scene);
    while (held_count > 0)
        mem_free(held[--held_count]);
    return 0;
}

static void get(const char *target, const char *authorization)
{
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n", target,
               authorization ? "Authorization: " : "", authorization ? authorization : "",
               authorization ? "\r\n" : "");
}

static void put_app(void)
{
    struct ledger_txn *txn = scene_write(scene);

    scene_put_manifest(txn, "", "app", "v1", SLICE_LITERAL("{\"a\":1}"), 0);
    scene_commit(txn);
}

static void expect_accepted_and_refused(void)
{
    put_app();
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/app/manifests/v1", "Basic good");
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_string_equal(authorized_name, "good");
    guest_forget(&guest);
    authorized_name = NULL;
    get("/v2/app/manifests/v1", NULL);
    assert_int_equal(guest_status(scene, &guest), 401);
    assert_non_null(strstr(guest_got(scene, &guest), "\r\nX-More: 1\r\n"));
    assert_non_null(strstr(guest_got(scene, &guest), "WWW-Authenticate: Bearer realm=\"test\","
                                                     "scope=\"repository:app:pull\"\r\n"));
    assert_non_null(strstr(guest_got(scene, &guest), "\"UNAUTHORIZED\""));
    assert_null(authorized_name);
    assert_int_equal(begun, 2);
    guest_leave(scene, &guest);
}

static void authenticate_waits_for_a_verdict_of_the_pool(void **state)
{
    (void)state;
    expect_accepted_and_refused();
}

static void authenticate_takes_a_verdict_from_inside(void **state)
{
    (void)state;
    expect_accepted_and_refused();
}

static void authenticate_answers_nothing_before_the_verdict(void **state)
{
    (void)state;

    put_app();
    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/app/manifests/v1", "Basic good");
    scene_pass(scene, 5000);
    assert_int_equal(guest_status(scene, &guest), 0);
    assert_null(authorized_name);
    tell_held();
    assert_int_equal(guest_status(scene, &guest), 200);
    guest_leave(scene, &guest);
}

/* Answers come in the order of the requests, and the second is judged after the first is over. */
static void authenticate_takes_pipelined_requests_one_by_one(void **state)
{
    (void)state;

    put_app();
    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic good\r\n\r\n");
    assert_int_equal(begun, 1);
    tell_held();
    const char *text = guest_got(scene, &guest);
    assert_int_equal(begun, 2);
    const char *refused = strstr(text, "HTTP/1.1 401");
    const char *served = strstr(text, "HTTP/1.1 200");
    assert_ptr_equal(refused, text);
    assert_non_null(served);
    assert_true(served > refused);
    guest_leave(scene, &guest);
}

/* A body is not asked for (100 Continue) before it is known who sends it. */
static void authenticate_reads_no_body_before_the_verdict(void **state)
{
    (void)state;

    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "PUT /v2/app/manifests/v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
               "Expect: 100-continue\r\nAuthorization: Basic good\r\n\r\n");
    scene_pass(scene, 3000);
    assert_string_equal(guest_got(scene, &guest), "");
    tell_held();
    assert_int_equal(guest_status(scene, &guest), 100);
    guest_send(scene, &guest, "{}");
    guest_forget(&guest);
    assert_int_equal(guest_status(scene, &guest), 400); /* no manifest */
    guest_leave(scene, &guest);
}

static void authenticate_refuses_with_the_body_unread(void **state)
{
    (void)state;

    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "PUT /v2/app/manifests/v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n{");
    tell_held();
    assert_int_equal(guest_status(scene, &guest), 401);
    guest_leave(scene, &guest);
}

static void authenticate_forgets_a_client_that_left(void **state)
{
    (void)state;

    put_app();
    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/app/manifests/v1", "Basic good");
    assert_int_equal(held_count, 1);
    guest_leave(scene, &guest);
    tell_held();
    scene_pass(scene, 60000);
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/app/manifests/v1", "Basic good");
    assert_int_equal(guest_status(scene, &guest), 200);
    guest_leave(scene, &guest);
}

static void authenticate_gives_up_after_a_while(void **state)
{
    (void)state;

    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/", "Basic good");
    scene_pass(scene, 14000);
    assert_int_equal(guest_status(scene, &guest), 0);
    assert_int_equal(cancelled, 0);
    scene_pass(scene, 2000);
    assert_int_equal(guest_status(scene, &guest), 503);
    assert_int_equal(cancelled, 1);
    tell_held();
    guest_leave(scene, &guest);
}

static void authenticate_finishes_while_the_worker_drains(void **state)
{
    (void)state;

    put_app();
    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/app/manifests/v1", "Basic good");
    worker_drain(scene_worker(scene), &(struct message_drain){.within_ms = 30000});
    scene_pass(scene, 2000);
    assert_int_equal(guest_status(scene, &guest), 0);
    tell_held();
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_non_null(strstr(guest_got(scene, &guest), "Connection: close\r\n"));
    guest_leave(scene, &guest);
}

static void authenticate_is_cancelled_when_the_worker_ends(void **state)
{
    (void)state;

    is_held = true;
    guest_come(scene, &guest, LISTENER_FULL);
    get("/v2/", "Basic good");
    assert_int_equal(held_count, 1);
    scene_free(scene);
    assert_int_equal(cancelled, 1);
    mem_free(held[--held_count]);
    scene = make_scene(begin_check);
    guest_leave(scene, &guest);
}

/* Rights may want a login of somebody who was accepted as nobody in particular. */
static void a_401_of_the_authorizer_has_the_challenge_too(void **state)
{
    (void)state;

    is_login_wanted = true;
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: h\r\n"
               "Authorization: Basic good\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(guest_status(scene, &guest), 401);
    assert_non_null(strstr(guest_got(scene, &guest), "WWW-Authenticate: Bearer realm=\"test\","
                                                     "scope=\"repository:team/app:push\"\r\n"));
    guest_leave(scene, &guest);
}

static void authenticate_is_not_asked_for_probes(void **state)
{
    (void)state;

    guest_come(scene, &guest, LISTENER_ADMIN);
    get("/healthz", NULL);
    assert_int_equal(guest_status(scene, &guest), 200);
    assert_int_equal(begun, 0);
    guest_forget(&guest);
    get("/metrics", NULL);
    assert_int_equal(guest_status(scene, &guest), 401);
    assert_non_null(strstr(guest_got(scene, &guest), "who are you?\n"));
    guest_leave(scene, &guest);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(authenticate_waits_for_a_verdict_of_the_pool),
        cmocka_unit_test_setup_teardown(authenticate_takes_a_verdict_from_inside, setup_at_once,
                                        teardown),
        TEST(authenticate_answers_nothing_before_the_verdict),
        TEST(authenticate_takes_pipelined_requests_one_by_one),
        TEST(authenticate_reads_no_body_before_the_verdict),
        TEST(authenticate_refuses_with_the_body_unread),
        TEST(authenticate_forgets_a_client_that_left),
        TEST(authenticate_gives_up_after_a_while),
        TEST(authenticate_finishes_while_the_worker_drains),
        TEST(authenticate_is_cancelled_when_the_worker_ends),
        TEST(a_401_of_the_authorizer_has_the_challenge_too),
        TEST(authenticate_is_not_asked_for_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
