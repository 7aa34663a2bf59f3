/* SPDX-License-Identifier: Apache-2.0 */
/* Names in virtual time: what is asked of the name server, what is kept, what is served late. */

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "fakes/detached.h"
#include "fakes/loop.h"
#include "fakes/names.h"
#include "net/loop.h"
#include "net/resolve.h"

#define ASKS_MAX 8
#define DAY_MS   86400000ul

static struct loop *loop;
static struct resolver *resolver;

/* One ask and what it was told. */
static struct ask {
    struct name_wait *wait;
    unsigned told;
    char addresses[700]; /* with a space between them */
    struct error err;
    uint64_t told_at_ms;
    const char *asks_next; /* from inside the callback */
    struct ask *cancels;
} asks[ASKS_MAX];

static int setup(void **state)
{
    (void)state;
    clock_freeze((struct monotime){1000000}, (struct walltime){0});
    memset(asks, 0, sizeof(asks));
    fake_names_clear();
    loop = loop_new();
    resolver = resolver_new(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    resolver_free(&resolver);
    loop_free(&loop);
    clock_thaw();
    return 0;
}

static void on_name(const struct resolved_name *name, const struct error *err, void *arg);

static void ask(struct ask *one, const char *name)
{
    one->wait = resolver_ask(resolver, slice_of(name), on_name, one);
    assert_int_equal(one->told, 0);
}

static void on_name(const struct resolved_name *name, const struct error *err, void *arg)
{
    struct ask *one = arg;

    assert_true(!name != !err);
    one->wait = NULL;
    one->told++;
    one->told_at_ms = clock_mono().ms;
    one->addresses[0] = '\0';
    if (err)
        one->err = *err;
    for (size_t i = 0; name && i < name->count; i++) {
        const union resolved_address *address = &name->addresses[i];
        const void *bytes = address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr
                                                              : &address->v6.sin6_addr;
        size_t used = strlen(one->addresses);
        char text[INET6_ADDRSTRLEN];

        assert_non_null(inet_ntop(address->any.sa_family, bytes, text, sizeof(text)));
        (void)snprintf(one->addresses + used, sizeof(one->addresses) - used, "%s%s",
                       used > 0 ? " " : "", text);
    }
    if (one->cancels)
        resolver_cancel(&one->cancels->wait);
    if (one->asks_next)
        ask(one + 1, one->asks_next);
}

/* Turns that need no time. */
static void settle(void)
{
    fake_loop_hold_clock(loop, 0);
    for (unsigned turn = 0; turn < 5; turn++)
        loop_turn(loop, 0);
    fake_loop_hold_clock(loop, UINT64_MAX);
}

static const char *addresses_of(const char *name)
{
    memset(&asks[0], 0, sizeof(asks[0]));
    ask(&asks[0], name);
    settle();
    assert_int_equal(asks[0].told, 1);
    return asks[0].err.kind == ERR_NONE ? asks[0].addresses : NULL;
}

static void name_has_its_addresses_in_order(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1 2001:db8::1 192.0.2.2", 0);
    ask(&asks[0], "a.test");
    settle();
    assert_int_equal(asks[0].told, 1);
    assert_string_equal(asks[0].addresses, "192.0.2.1 2001:db8::1 192.0.2.2");
}

static void a_name_has_at_most_sixteen_addresses(void **state)
{
    char many[700] = "";

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        size_t used = strlen(many);

        (void)snprintf(many + used, sizeof(many) - used, "%s192.0.2.%u", i > 0 ? " " : "", i);
    }
    fake_name_set("a.test", many, 0);
    const char *found = addresses_of("a.test");
    assert_non_null(strstr(found, "192.0.2.15"));
    assert_null(strstr(found, "192.0.2.16"));
}

static void one_question_serves_all_who_ask(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_detached_hold(true);
    ask(&asks[0], "a.test");
    settle();
    ask(&asks[1], "A.Test");
    ask(&asks[2], "a.test");
    settle();
    assert_int_equal(fake_detached_held(), 1);
    assert_int_equal(asks[0].told + asks[1].told + asks[2].told, 0);
    fake_detached_release();
    settle();
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(asks[i].addresses, "192.0.2.1");
    assert_int_equal(fake_name_asked("a.test"), 1);
}

static void answer_is_kept_for_thirty_seconds(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
    fake_name_set("a.test", "192.0.2.2", 0);
    clock_advance(29999);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
    assert_int_equal(fake_name_asked("a.test"), 1);
    clock_advance(1);
    assert_string_equal(addresses_of("a.test"), "192.0.2.2");
    assert_int_equal(fake_name_asked("a.test"), 2);
}

static void failure_is_kept_for_five_seconds(void **state)
{
    (void)state;
    fake_name_set("a.test", NULL, EAI_AGAIN);
    assert_null(addresses_of("a.test"));
    assert_int_equal(asks[0].err.kind, ERR_UPSTREAM);
    assert_non_null(strstr(asks[0].err.text, "a.test"));
    fake_name_set("a.test", "192.0.2.1", 0);
    clock_advance(4999);
    assert_null(addresses_of("a.test"));
    assert_int_equal(fake_name_asked("a.test"), 1);
    clock_advance(1);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
}

static void unknown_name_is_not_found(void **state)
{
    (void)state;
    assert_null(addresses_of("nobody.test"));
    assert_int_equal(asks[0].err.kind, ERR_NOT_FOUND);
    fake_name_set("empty.test", "", EAI_NODATA);
    assert_null(addresses_of("empty.test"));
    assert_int_equal(asks[0].err.kind, ERR_NOT_FOUND);
}

static void old_answer_is_used_when_no_new_one_can_be_had(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    addresses_of("a.test");
    fake_name_set("a.test", NULL, EAI_AGAIN);
    clock_advance(DAY_MS - 1);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
    assert_int_equal(fake_name_asked("a.test"), 2);
    clock_advance(1);
    assert_null(addresses_of("a.test"));
    assert_int_equal(fake_name_asked("a.test"), 2);
    clock_advance(5000);
    assert_null(addresses_of("a.test"));
    assert_int_equal(fake_name_asked("a.test"), 3);
}

static void old_answer_of_a_name_that_is_gone_is_not_used(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    addresses_of("a.test");
    fake_name_set("a.test", NULL, EAI_NONAME);
    clock_advance(30000);
    assert_null(addresses_of("a.test"));
    fake_name_set("a.test", NULL, EAI_AGAIN);
    clock_advance(5000);
    assert_null(addresses_of("a.test"));
}

static void old_answer_is_used_when_the_new_one_is_late(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    addresses_of("a.test");
    fake_name_set("a.test", "192.0.2.2", 0);
    clock_advance(30000);
    fake_detached_hold(true);
    memset(&asks[0], 0, sizeof(asks[0]));
    ask(&asks[0], "a.test");
    settle();
    assert_int_equal(asks[0].told, 0);
    uint64_t began_ms = clock_mono().ms;
    while (asks[0].told == 0)
        loop_turn(loop, 10000);
    assert_int_equal(asks[0].told_at_ms - began_ms, 1800);
    assert_string_equal(asks[0].addresses, "192.0.2.1");
    ask(&asks[1], "a.test"); /* the same question is still under way: nobody waits for it again */
    settle();
    assert_string_equal(asks[1].addresses, "192.0.2.1");
    assert_int_equal(fake_detached_held(), 1);
    fake_detached_release();
    settle();
    assert_string_equal(addresses_of("a.test"), "192.0.2.2");
    assert_int_equal(fake_name_asked("a.test"), 2);
}

static void first_question_is_waited_for(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_detached_hold(true);
    ask(&asks[0], "a.test");
    clock_advance(3600000);
    settle();
    assert_int_equal(asks[0].told, 0);
    fake_detached_release();
    settle();
    assert_string_equal(asks[0].addresses, "192.0.2.1");
}

static void cancelled_ask_is_silent_and_its_answer_kept(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_detached_hold(true);
    ask(&asks[0], "a.test");
    ask(&asks[1], "a.test");
    resolver_cancel(&asks[0].wait);
    assert_null(asks[0].wait);
    resolver_cancel(&asks[0].wait);
    fake_detached_release();
    settle();
    assert_int_equal(asks[0].told, 0);
    assert_int_equal(asks[1].told, 1);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
    assert_int_equal(fake_name_asked("a.test"), 1);
}

static void callback_may_ask_and_cancel(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_name_set("b.test", "192.0.2.2", 0);
    asks[0].cancels = &asks[2];
    asks[0].asks_next = "b.test";
    ask(&asks[0], "a.test");
    ask(&asks[2], "a.test");
    settle();
    assert_int_equal(asks[0].told, 1);
    assert_string_equal(asks[1].addresses, "192.0.2.2");
    assert_int_equal(asks[2].told, 0);
}

static void free_forgets_who_waits(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_name_set("b.test", "192.0.2.1", 0);
    addresses_of("b.test");
    fake_detached_hold(true);
    ask(&asks[1], "a.test");
    ask(&asks[2], "b.test"); /* its call is deferred */
    ask(&asks[3], "");       /* so is this one's */
    resolver_free(&resolver);
    settle();
    assert_int_equal(asks[1].told + asks[2].told + asks[3].told, 0);
}

static void names_are_limited_in_length(void **state)
{
    char name[257];

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[256] = '\0';
    assert_null(addresses_of(name));
    assert_int_equal(asks[0].err.kind, ERR_NOT_FOUND);
    assert_int_equal(fake_name_asked(NULL), 0);
    name[255] = '\0';
    fake_name_set(name, "192.0.2.1", 0);
    assert_string_equal(addresses_of(name), "192.0.2.1");
    assert_null(addresses_of(""));
}

static void the_least_recently_asked_of_1024_names_is_forgotten(void **state)
{
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 1024; i++) {
        (void)snprintf(name, sizeof(name), "n%u.test", i);
        fake_name_set(name, "192.0.2.1", 0);
        addresses_of(name);
    }
    addresses_of("n0.test"); /* now n1 is the oldest */
    fake_name_set("one.more.test", "192.0.2.2", 0);
    assert_string_equal(addresses_of("one.more.test"), "192.0.2.2");
    addresses_of("n0.test");
    assert_int_equal(fake_name_asked("n0.test"), 1);
    addresses_of("n1.test");
    assert_int_equal(fake_name_asked("n1.test"), 2);
}

static void names_that_are_looked_up_are_not_forgotten(void **state)
{
    char name[32];

    (void)state;
    fake_detached_hold(true);
    for (unsigned i = 0; i < 1024; i++) {
        (void)snprintf(name, sizeof(name), "n%u.test", i);
        struct name_wait *wait = resolver_ask(resolver, slice_of(name), on_name, &asks[0]);
        resolver_cancel(&wait);
    }
    assert_null(addresses_of("one.more.test"));
    assert_int_equal(asks[0].err.kind, ERR_BUSY);
    assert_int_equal(fake_detached_held(), 8); /* the others wait for a thread */
}

/* ---- lookups that hang ---- */

/* Asks for `count` more names, whose lookups do not return, and gives up. */
static void hang(unsigned first, unsigned count)
{
    char name[32];

    fake_detached_hold(true);
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(name, sizeof(name), "hang%u.test", i);
        struct name_wait *wait = resolver_ask(resolver, slice_of(name), on_name, &asks[0]);
        resolver_cancel(&wait);
    }
}

static void on_passed(void *arg)
{
    *(bool *)arg = true;
}

static void pass(uint64_t ms)
{
    bool is_over = false;
    struct timer *timer = timer_new(loop, on_passed, &is_over);

    fake_loop_hold_clock(loop, UINT64_MAX);
    timer_start(timer, ms);
    while (!is_over)
        loop_turn(loop, ms);
    timer_free(&timer);
    settle();
}

static void a_name_waits_three_seconds_for_lookups_that_hang(void **state)
{
    (void)state;
    hang(0, 8);
    fake_detached_hold(false);
    fake_name_set("a.test", "192.0.2.1", 0);
    uint64_t began_ms = clock_mono().ms;
    ask(&asks[0], "a.test");
    pass(2999);
    assert_int_equal(asks[0].told, 0);
    pass(100);
    assert_string_equal(asks[0].addresses, "192.0.2.1");
    assert_int_equal(asks[0].told_at_ms - began_ms, 3000);
    fake_name_set("b.test", "192.0.2.2", 0); /* the next does not wait */
    assert_string_equal(addresses_of("b.test"), "192.0.2.2");
    assert_int_equal(fake_detached_held(), 8);
}

static void no_more_than_64_lookups_run(void **state)
{
    (void)state;
    hang(0, 200);
    assert_int_equal(fake_detached_held(), 8);
    pass(3100);
    assert_int_equal(fake_detached_held(), 16);
    pass(60000);
    assert_int_equal(fake_detached_held(), 64);
    fake_name_set("a.test", "192.0.2.1", 0);
    memset(&asks[0], 0, sizeof(asks[0]));
    ask(&asks[0], "a.test");
    pass(60000);
    assert_int_equal(asks[0].told, 0);
    while (fake_detached_held() > 0) { /* the name server is back */
        fake_detached_release();
        pass(1);
    }
    assert_int_equal(asks[0].told, 1);
    assert_string_equal(asks[0].addresses, "192.0.2.1");
    fake_detached_hold(false);
    fake_name_set("b.test", "192.0.2.2", 0);
    assert_string_equal(addresses_of("b.test"), "192.0.2.2");
}

/* A known name that waits for a thread is late like one that waits for the name server. */
static void old_answer_is_used_while_lookups_hang(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    addresses_of("a.test");
    clock_advance(30000);
    hang(0, 8);
    memset(&asks[0], 0, sizeof(asks[0]));
    uint64_t began_ms = clock_mono().ms;
    ask(&asks[0], "a.test");
    pass(1900);
    assert_int_equal(asks[0].told_at_ms - began_ms, 1800);
    assert_string_equal(asks[0].addresses, "192.0.2.1");
}

static void queued_name_is_busy_when_its_thread_cannot_start(void **state)
{
    (void)state;
    hang(0, 8);
    ask(&asks[0], "a.test");
    fake_detached_refuse();
    pass(3100);
    assert_int_equal(asks[0].told, 1);
    assert_int_equal(asks[0].err.kind, ERR_BUSY);
}

static void free_forgets_what_hangs_and_what_is_queued(void **state)
{
    (void)state;
    hang(0, 20);
    ask(&asks[1], "a.test");
    pass(3100);
    resolver_free(&resolver);
    settle();
    assert_int_equal(asks[1].told, 0);
}

static void without_a_thread_it_is_busy(void **state)
{
    (void)state;
    fake_name_set("a.test", "192.0.2.1", 0);
    fake_detached_refuse();
    assert_null(addresses_of("a.test"));
    assert_int_equal(asks[0].err.kind, ERR_BUSY);
    clock_advance(5000);
    assert_string_equal(addresses_of("a.test"), "192.0.2.1");
}

static void literal_addresses_need_no_name_server(void **state)
{
    static const char *const literal[] = {"127.0.0.1",    "::1",       "127.1",       "0x7f000001",
                                          "017700000001", "LocalHost", "a.localhost", "fe80::1"};
    static const char *const names[] = {"a.test", "localhost.test", "notlocalhost", "1.2.3.4.5",
                                        "a",      "127.0.0.1.",     "::1::",        ".localhos"};

    (void)state;
    for (unsigned i = 0; i < sizeof(literal) / sizeof(literal[0]); i++) {
        if (resolve_is_needed(slice_of(literal[i])))
            fail_msg("%s is literal", literal[i]);
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!resolve_is_needed(slice_of(names[i])))
            fail_msg("%s is a name", names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(name_has_its_addresses_in_order),
        TEST(a_name_has_at_most_sixteen_addresses),
        TEST(one_question_serves_all_who_ask),
        TEST(answer_is_kept_for_thirty_seconds),
        TEST(failure_is_kept_for_five_seconds),
        TEST(unknown_name_is_not_found),
        TEST(old_answer_is_used_when_no_new_one_can_be_had),
        TEST(old_answer_of_a_name_that_is_gone_is_not_used),
        TEST(old_answer_is_used_when_the_new_one_is_late),
        TEST(first_question_is_waited_for),
        TEST(cancelled_ask_is_silent_and_its_answer_kept),
        TEST(callback_may_ask_and_cancel),
        TEST(free_forgets_who_waits),
        TEST(names_are_limited_in_length),
        TEST(the_least_recently_asked_of_1024_names_is_forgotten),
        TEST(names_that_are_looked_up_are_not_forgotten),
        TEST(a_name_waits_three_seconds_for_lookups_that_hang),
        TEST(no_more_than_64_lookups_run),
        TEST(old_answer_is_used_while_lookups_hang),
        TEST(queued_name_is_busy_when_its_thread_cannot_start),
        TEST(free_forgets_what_hangs_and_what_is_queued),
        TEST(without_a_thread_it_is_busy),
        TEST(literal_addresses_need_no_name_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
