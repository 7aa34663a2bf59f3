/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with the keeper, which the test plays on the other end of the channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "fakes/loop.h"
#include "ipc/channel.h"
#include "ipc/keeper_client.h"
#include "net/loop.h"

#define CREDITS    3
#define UNANSWERED 8
#define CALLS      6
#define HEARD_MAX  64

struct asker {
    struct keeper_call call;
    unsigned answers;
    bool is_done;
    uint64_t commit;
    enum error_kind kind;
};

static struct {
    struct loop *loop;
    struct keeper_client *client;
    struct channel *keeper;
    enum message_type types[HEARD_MAX]; /* what the keeper got */
    struct message_head heads[HEARD_MAX];
    char principal[HEARD_MAX][16];
    unsigned heard;
    uint64_t number; /* newest commit */
    enum error_kind number_error;
    unsigned barriers;
    unsigned quiets;
    uint64_t changed;
    struct asker askers[CALLS];
    unsigned told;
    enum error_kind told_kind;
} world;
static struct error err;

/* ---- the keeper ---- */

static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    union {
        union keeper_message message;
        struct message_barrier barrier;
    } any;

    (void)channel;
    (void)arg;
    fd_close(fd);
    assert_true(world.heard < HEARD_MAX);
    assert_int_equal(message_decode(type, body, &any, &err), 0);
    struct message_head *head = message_head_of(type, &any);
    world.types[world.heard] = type;
    if (head) {
        world.heads[world.heard] = *head;
        (void)snprintf(world.principal[world.heard], 16, "%.*s",
                       SLICE_PRINT(head->actor.principal));
    } else if (type == MESSAGE_BARRIER) {
        world.heads[world.heard].request = any.barrier.request;
    }
    world.heard++;
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    (void)arg;
    channel_free(&world.keeper);
}

static const struct channel_handler handler = {.on_message = on_message, .on_closed = on_closed};

static void settle(void)
{
    fake_loop_hold_clock(world.loop, 0);
    for (unsigned i = 0; i < 20; i++)
        loop_turn(world.loop, 0);
}

static void pass(uint64_t ms)
{
    fake_loop_hold_clock(world.loop, ms);
    for (unsigned i = 0; i < 400; i++)
        loop_turn(world.loop, 0);
    settle();
}

static void connect_keeper(void)
{
    int fds[2];

    assert_int_equal(channel_pair(fds, &err), 0);
    channel_free(&world.keeper);
    world.keeper = channel_new(world.loop, &fds[1],
                               (struct channel_ends){ROLE_KEEPER, ROLE_FETCHER}, &handler, NULL);
    keeper_client_set_channel(world.client, &fds[0]);
    settle();
}

static void kill_keeper(void)
{
    channel_free(&world.keeper);
    settle();
}

static void answer(uint64_t request)
{
    struct message_done done = {.request = request, .number = 40 + request};

    channel_send(world.keeper, MESSAGE_DONE, &done, -1);
    settle();
}

/* ---- the client ---- */

static int read_number(uint64_t *out, struct error *error, void *arg)
{
    (void)arg;
    if (world.number_error != ERR_NONE)
        return error_set(error, world.number_error, "no number");
    *out = world.number;
    return 0;
}

static void on_barrier(void *arg)
{
    (void)arg;
    world.barriers++;
}

static void on_quiet(void *arg)
{
    (void)arg;
    world.quiets++;
}

static void make_client(bool has_barrier)
{
    world.client = keeper_client_new(&(struct keeper_client_options){
        .loop = world.loop,
        .role = ROLE_FETCHER,
        .credits = CREDITS,
        .unanswered_max = UNANSWERED,
        .read_number = read_number,
        .on_barrier = has_barrier ? on_barrier : NULL,
        .on_quiet = on_quiet,
    });
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    clock_freeze((struct monotime){1000000}, (struct walltime){1700000000000});
    world.loop = loop_new();
    world.number = 17;
    make_client(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keeper_client_free(&world.client);
    channel_free(&world.keeper);
    loop_free(&world.loop);
    clock_thaw();
    return 0;
}

static void on_answer(struct keeper_call *call, const struct keeper_answer *said)
{
    struct asker *asker = LIST_ITEM(call, struct asker, call);

    asker->answers++;
    asker->is_done = said->is_done;
    asker->commit = said->commit;
    asker->kind = said->kind;
}

static struct asker *ask(unsigned number)
{
    struct asker *asker = &world.askers[number];

    memset(asker, 0, sizeof(*asker));
    asker->call.type = MESSAGE_LINK;
    asker->call.on_answer = on_answer;
    asker->call.message.link = (struct message_link){.repository = SLICE_LITERAL("team/app")};
    keeper_client_ask(world.client, &asker->call);
    return asker;
}

static void on_told(const struct error *error, void *arg)
{
    assert_ptr_equal(arg, &world);
    world.told++;
    world.told_kind = error ? error->kind : ERR_NONE;
}

static void tell(bool is_patient, keeper_told_fn *fn)
{
    char name[] = "library/app"; /* gone after this */
    struct message_tag_checked checked = {.repository = slice_of(name)};

    keeper_client_tell(world.client, MESSAGE_TAG_CHECKED, &checked, is_patient, fn, &world);
    memset(name, 'x', sizeof(name));
}

/* ---- tests ---- */

static void calls_are_answered_once_each(void **state)
{
    (void)state;
    connect_keeper();
    struct asker *first = ask(0);
    const struct actor alice = {.principal = SLICE_LITERAL("alice")};
    keeper_call_set_actor(&world.askers[1].call, &alice);
    struct asker *second = &world.askers[1];
    second->call.type = MESSAGE_LINK;
    second->call.on_answer = on_answer;
    keeper_client_ask(world.client, &second->call);
    settle();
    assert_int_equal(world.heard, 2);
    assert_int_equal(world.heads[0].seen, 17);
    assert_int_equal(world.heads[0].repeated, 0);
    assert_string_equal(world.principal[0], "");
    assert_string_equal(world.principal[1], "alice");
    answer(world.heads[1].request);
    assert_true(second->is_done);
    assert_int_equal(second->commit, 40 + world.heads[1].request);
    assert_int_equal(first->answers, 0);
    assert_int_equal(world.quiets, 0);
    struct message_refused refused = {
        .request = world.heads[0].request, .kind = ERR_DENIED, .text = SLICE_LITERAL("no")};
    channel_send(world.keeper, MESSAGE_REFUSED, &refused, -1);
    settle();
    assert_int_equal(first->kind, ERR_DENIED);
    assert_int_equal(first->answers, 1);
    assert_int_equal(second->answers, 1);
    assert_int_equal(world.quiets, 1);
}

static void no_more_are_open_than_there_are_credits(void **state)
{
    (void)state;
    connect_keeper();
    for (unsigned i = 0; i < CALLS; i++)
        ask(i);
    settle();
    assert_int_equal(world.heard, CREDITS);
    answer(world.heads[0].request);
    assert_int_equal(world.heard, CREDITS + 1);
    for (unsigned i = 1; i < CALLS; i++) {
        assert_int_equal(world.heads[i].request, world.heads[i - 1].request + 1);
        answer(world.heads[i].request);
    }
    assert_int_equal(keeper_client_pending(world.client), 0);
}

static void a_new_keeper_gets_what_the_last_one_did_not_answer_in_order(void **state)
{
    (void)state;
    connect_keeper();
    ask(0);
    tell(true, on_told);
    ask(1);
    ask(2);
    settle();
    answer(world.heads[1].request);
    assert_int_equal(world.told, 1);
    world.number = 18;
    kill_keeper();
    assert_false(keeper_client_is_up(world.client));
    ask(3);
    world.heard = 0;
    connect_keeper();
    assert_int_equal(world.heard, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(world.heads[i].repeated, 1);
        assert_int_equal(world.heads[i].seen, 17);
    }
    assert_true(world.heads[0].request < world.heads[1].request);
    answer(world.heads[0].request);
    assert_int_equal(world.heard, 4);
    assert_int_equal(world.heads[3].repeated, 0);
    assert_int_equal(world.heads[3].seen, 18);
}

static void a_barrier_comes_before_all_on_each_channel(void **state)
{
    (void)state;
    keeper_client_free(&world.client);
    make_client(true);
    ask(0);
    connect_keeper();
    assert_int_equal(world.types[0], MESSAGE_BARRIER);
    assert_int_equal(world.types[1], MESSAGE_LINK);
    assert_int_equal(world.barriers, 0);
    answer(world.heads[0].request);
    assert_int_equal(world.barriers, 1);
    kill_keeper();
    world.heard = 0;
    connect_keeper();
    assert_int_equal(world.types[0], MESSAGE_BARRIER);
    assert_int_equal(world.heads[1].repeated, 1);
}

static void without_a_keeper_a_call_waits_thirty_seconds(void **state)
{
    (void)state;
    struct asker *asker = ask(0);
    tell(true, on_told);
    pass(29000);
    assert_int_equal(asker->answers, 0);
    pass(2000);
    assert_int_equal(asker->kind, ERR_BUSY);
    assert_int_equal(world.told, 0);
    connect_keeper();
    assert_int_equal(world.heard, 1);
    assert_int_equal(world.types[0], MESSAGE_TAG_CHECKED);
}

/* Its master is dead: nobody would ever answer. */
static void after_the_last_keeper_nobody_waits(void **state)
{
    (void)state;
    connect_keeper();
    struct asker *open = ask(0);
    for (unsigned i = 1; i <= CREDITS; i++)
        (void)ask(i);
    tell(true, on_told);
    keeper_client_set_last(world.client);
    settle();
    assert_int_equal(open->answers, 0); /* it may answer yet */
    answer(world.heads[0].request);
    assert_true(open->is_done);
    kill_keeper();
    for (unsigned i = 1; i <= CREDITS; i++) {
        assert_int_equal(world.askers[i].answers, 1);
        assert_int_equal(world.askers[i].kind, ERR_BUSY);
    }
    assert_int_equal(world.told_kind, ERR_BUSY);
    struct asker *late = ask(5);
    assert_int_equal(late->answers, 0); /* never from inside */
    settle();
    assert_int_equal(late->kind, ERR_BUSY);
    assert_int_equal(keeper_client_pending(world.client), 0);
}

static void who_waits_for_a_keeper_when_none_comes_is_answered(void **state)
{
    (void)state;
    struct asker *asker = ask(0);
    settle();
    assert_int_equal(asker->answers, 0);
    keeper_client_set_last(world.client);
    settle();
    assert_int_equal(asker->kind, ERR_BUSY);
}

static void a_keeper_that_hangs_is_waited_for_a_minute(void **state)
{
    (void)state;
    connect_keeper();
    struct asker *asker = ask(0);
    tell(true, on_told);
    tell(false, on_told);
    pass(59000);
    assert_int_equal(asker->answers, 0);
    pass(2000);
    assert_int_equal(asker->kind, ERR_BUSY);
    assert_int_equal(world.told, 1);
    assert_int_equal(world.told_kind, ERR_BUSY);
    answer(world.heads[0].request);
    assert_int_equal(asker->answers, 1);
    answer(world.heads[1].request);
    assert_int_equal(world.told, 2);
}

/* It still takes a place in the keeper's queue. */
/* As an owner does that ends others when it is answered. */
static void forget_all(const struct error *error, void *arg)
{
    on_told(error, arg);
    keeper_client_forget(world.client, &world);
}

static void a_late_call_can_be_forgotten_while_another_is_answered(void **state)
{
    (void)state;

    tell(false, forget_all);
    tell(false, forget_all);
    pass(31000);
    assert_int_equal(world.told, 1);
    assert_int_equal(keeper_client_pending(world.client), 0);
}

static void a_late_call_keeps_its_credit_until_it_is_answered(void **state)
{
    (void)state;
    connect_keeper();
    for (unsigned i = 0; i < CREDITS; i++)
        ask(i);
    pass(61000);
    struct asker *next = ask(CREDITS);
    settle();
    assert_int_equal(world.heard, CREDITS);
    answer(world.heads[0].request);
    assert_int_equal(world.heard, CREDITS + 1);
    answer(world.heads[CREDITS].request);
    assert_true(next->is_done);
}

static void a_late_call_is_not_sent_again(void **state)
{
    (void)state;
    connect_keeper();
    for (unsigned i = 0; i < CREDITS; i++)
        ask(i);
    pass(61000);
    kill_keeper();
    world.heard = 0;
    connect_keeper();
    assert_int_equal(world.heard, 0);
    for (unsigned i = 0; i < CREDITS; i++)
        ask(i);
    settle();
    assert_int_equal(world.heard, CREDITS); /* the credits are back */
}

static void without_a_number_nothing_is_sent(void **state)
{
    (void)state;
    connect_keeper();
    world.number_error = ERR_IO;
    struct asker *asker = ask(0);
    tell(true, on_told);
    assert_int_equal(asker->answers, 0); /* not from inside */
    assert_int_equal(keeper_client_pending(world.client), 2);
    settle();
    assert_int_equal(asker->kind, ERR_BUSY);
    assert_int_equal(world.told_kind, ERR_BUSY);
    assert_int_equal(world.heard, 0);
    assert_int_equal(keeper_client_pending(world.client), 0);
}

static void what_nobody_waits_for_is_dropped_when_too_much_waits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < UNANSWERED + 3; i++)
        tell(true, NULL);
    assert_int_equal(keeper_client_pending(world.client), UNANSWERED);
    tell(true, on_told);
    assert_int_equal(keeper_client_pending(world.client), UNANSWERED + 1);
    keeper_client_forget(world.client, &world);
    connect_keeper();
    for (unsigned i = 0; i < UNANSWERED + 1; i++)
        answer(world.heads[i].request);
    assert_int_equal(world.told, 0);
    assert_int_equal(keeper_client_pending(world.client), 0);
}

static void the_end_cancels_what_is_asked_and_forgets_what_is_told(void **state)
{
    (void)state;
    connect_keeper();
    struct asker *open = ask(0);
    tell(true, on_told);
    world.number_error = ERR_IO;
    struct asker *refused = ask(1);
    keeper_client_free(&world.client);
    assert_int_equal(open->kind, ERR_CANCELLED);
    assert_int_equal(refused->kind, ERR_CANCELLED);
    assert_int_equal(world.told, 0);
}

static void on_changed(uint64_t number, void *arg)
{
    (void)arg;
    world.changed = number;
}

static void who_wants_changes_watches_each_keeper(void **state)
{
    (void)state;
    keeper_client_free(&world.client);
    world.client = keeper_client_new(&(struct keeper_client_options){
        .loop = world.loop,
        .role = ROLE_FETCHER,
        .credits = CREDITS,
        .read_number = read_number,
        .on_changed = on_changed,
    });
    for (unsigned i = 1; i <= 2; i++) {
        struct message_changed changed = {.number = 40 + i};

        connect_keeper();
        assert_int_equal(world.heard, i);
        assert_int_equal(world.types[i - 1], MESSAGE_WATCH);
        channel_send(world.keeper, MESSAGE_CHANGED, &changed, -1);
        settle();
        assert_int_equal(world.changed, 40 + i);
    }
}

static void mentions_are_lost_without_a_keeper(void **state)
{
    struct message_barrier barrier = {.request = 1};

    (void)state;
    keeper_client_mention(world.client, MESSAGE_BARRIER, &barrier);
    connect_keeper();
    assert_int_equal(world.heard, 0);
    keeper_client_mention(world.client, MESSAGE_BARRIER, &barrier);
    settle();
    assert_int_equal(world.heard, 1);
}

static void an_actor_that_is_too_long_is_cut(void **state)
{
    struct keeper_call call = {.type = MESSAGE_LINK};
    char text[2 * KEEPER_ACTOR_SIZE];

    (void)state;
    memset(text, 'a', sizeof(text));
    const struct actor actor = {
        .principal = slice_from(text, KEEPER_ACTOR_SIZE - 2),
        .address = slice_from(text, 5),
        .request_id = slice_from(text, 5),
    };
    keeper_call_set_actor(&call, &actor);
    assert_int_equal(call.actor.principal.length, KEEPER_ACTOR_SIZE - 2);
    assert_int_equal(call.actor.address.length, 2);
    assert_int_equal(call.actor.request_id.length, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered_once_each),
        TEST(no_more_are_open_than_there_are_credits),
        TEST(a_new_keeper_gets_what_the_last_one_did_not_answer_in_order),
        TEST(a_barrier_comes_before_all_on_each_channel),
        TEST(without_a_keeper_a_call_waits_thirty_seconds),
        TEST(after_the_last_keeper_nobody_waits),
        TEST(who_waits_for_a_keeper_when_none_comes_is_answered),
        TEST(a_keeper_that_hangs_is_waited_for_a_minute),
        TEST(a_late_call_can_be_forgotten_while_another_is_answered),
        TEST(a_late_call_keeps_its_credit_until_it_is_answered),
        TEST(a_late_call_is_not_sent_again),
        TEST(without_a_number_nothing_is_sent),
        TEST(what_nobody_waits_for_is_dropped_when_too_much_waits),
        TEST(the_end_cancels_what_is_asked_and_forgets_what_is_told),
        TEST(who_wants_changes_watches_each_keeper),
        TEST(mentions_are_lost_without_a_keeper),
        TEST(an_actor_that_is_too_long_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
