/* SPDX-License-Identifier: Apache-2.0 */
/* What children may ask of the master, how often, and how a new configuration is judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master_state.h"
#include "net/loop.h"

static struct {
    struct master master;
    struct child children[ROLES]; /* by role */
    struct channel *ends[ROLES];  /* the children's */
    unsigned loads;
    struct config *loaded; /* what the next load gives; NULL: it fails */
    uint64_t config_number;
    unsigned configs[ROLES];
} scene;

static struct error err;

static struct config *make_config(const char *yaml)
{
    struct config *config = NULL;

    assert_int_equal(config_parse(slice_of(yaml), &config, &err), 0);
    return config;
}

static int load(struct config **out, void *arg)
{
    (void)arg;
    scene.loads++;
    if (!scene.loaded)
        return -ERR_INVALID;
    *out = TAKE(scene.loaded);
    return 0;
}

/* The shape is channel.h's. NOLINTNEXTLINE(readability-non-const-parameter) */
static void on_message(struct channel *channel, enum message_type type, struct slice body, int *fd,
                       void *arg)
{
    struct message_config message;

    (void)channel;
    (void)fd;
    if (type != MESSAGE_CONFIG)
        return;
    assert_int_equal(message_decode(type, body, &message, &err), 0);
    scene.config_number = message.number;
    scene.configs[*(enum process_role *)arg]++;
}

static void on_closed(struct channel *channel, void *arg)
{
    (void)channel;
    (void)arg;
}

static void add_child(enum process_role role)
{
    static const struct channel_handler handler = {.on_message = on_message,
                                                   .on_closed = on_closed};
    struct seat *seat = &scene.master.seats[role];
    struct child *child = &scene.children[role];
    int pair[2];

    *seat = (struct seat){.master = &scene.master, .role = role, .current = child};
    *child = (struct child){.seat = seat, .id = (uint64_t)role + 1, .state = CHILD_READY};
    list_append(&scene.master.children, &child->link);
    assert_int_equal(channel_pair(pair, &err), 0);
    child->line = channel_new(scene.master.loop, &pair[0], (struct channel_ends){ROLE_MASTER, role},
                              &handler, &seat->role);
    scene.ends[role] = channel_new(scene.master.loop, &pair[1],
                                   (struct channel_ends){role, ROLE_MASTER}, &handler, &seat->role);
}

static int set_up(void **state)
{
    (void)state;
    scene.master = (struct master){.phase = PHASE_RUNNING, .options = {.load = load}};
    scene.loads = 0;
    memset(scene.configs, 0, sizeof(scene.configs));
    scene.master.loop = loop_new();
    scene.master.next.fd = scene.master.next.secret_fd = -1;
    list_init(&scene.master.children);
    list_init(&scene.master.appointments);
    struct config *config = make_config("workers: 2\n");
    assert_int_equal(sealed_config_open(&scene.master.sealed, config, &err), 0);
    config_unref(&config);
    for (enum process_role role = ROLE_WORKER; role < ROLES; role++)
        add_child(role);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (enum process_role role = ROLE_WORKER; role < ROLES; role++) {
        channel_free(&scene.children[role].line);
        channel_free(&scene.ends[role]);
    }
    sealed_config_close(&scene.master.sealed);
    sealed_config_close(&scene.master.next);
    loop_free(&scene.master.loop);
    return 0;
}

static void ask_with(enum process_role role, uint64_t kind, uint64_t argument)
{
    AUTO_BUF struct buf body;
    struct message_control message = {.kind = kind, .argument = argument};

    buf_init(&body, 64);
    message_encode(MESSAGE_CONTROL, &message, &body);
    control_on_message(&scene.children[role], buf_bytes(&body));
}

static void ask(enum process_role role, uint64_t kind)
{
    ask_with(role, kind, 0);
}

static void judge(uint64_t number, bool is_taken)
{
    AUTO_BUF struct buf body;
    struct message_config_judged message = {.number = number, .is_taken = is_taken};

    buf_init(&body, 64);
    message_encode(MESSAGE_CONFIG_JUDGED, &message, &body);
    reload_on_judged(&scene.children[ROLE_KEEPER], buf_bytes(&body));
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        loop_turn(scene.master.loop, 0);
}

static void only_a_role_that_may_ask_is_heard(void **state)
{
    (void)state;
    ask(ROLE_FETCHER, CONTROL_RELOAD);
    ask(ROLE_KEEPER, CONTROL_RELOAD);
    ask(ROLE_WORKER, CONTROL_PEER_LIED);
    ask(ROLE_WORKER, 0);
    ask(ROLE_WORKER, CONTROLS);
    ask(ROLE_WORKER, UINT64_MAX);
    control_on_message(&scene.children[ROLE_WORKER], SLICE_LITERAL("\xff"));
    assert_int_equal(scene.loads, 0);
    ask(ROLE_WORKER, CONTROL_RELOAD);
    assert_int_equal(scene.loads, 1);
}

static void a_child_that_asks_too_often_is_ignored_until_the_next_tick(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        ask(ROLE_WORKER, CONTROL_RELOAD);
    assert_int_equal(scene.loads, 8);
    supervise_tick(&scene.master);
    ask(ROLE_WORKER, CONTROL_RELOAD);
    assert_int_equal(scene.loads, 9);
}

static bool is_ended(enum process_role liar)
{
    struct child *child = &scene.children[liar];
    int status = 0;

    child->pid = fork();
    if (child->pid == 0) {
        (void)pause();
        _exit(0);
    }
    ask_with(ROLE_KEEPER, CONTROL_PEER_LIED, child->id);
    bool is_ending = child->state == CHILD_ENDING;
    (void)kill(child->pid, SIGKILL);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    return is_ending;
}

/* It would wait for ever for a new channel to the one that closed the old. */
static void a_liar_is_ended_unless_it_is_the_keeper(void **state)
{
    (void)state;
    assert_true(is_ended(ROLE_WORKER));
    assert_true(is_ended(ROLE_FETCHER));
    assert_false(is_ended(ROLE_KEEPER));
}

static void the_keeper_judges_before_all_get_it(void **state)
{
    (void)state;
    scene.loaded = make_config("workers: 2\nhosted: { delete: false }\n");
    reload_begin(&scene.master);
    settle();
    assert_int_equal(scene.configs[ROLE_KEEPER], 1);
    assert_int_equal(scene.configs[ROLE_WORKER], 0);
    judge(scene.config_number + 1, true); /* of another one */
    assert_true(scene.master.sealed.config->hosted.may_delete);
    judge(scene.config_number, true);
    settle();
    assert_false(scene.master.sealed.config->hosted.may_delete);
    assert_int_equal(scene.configs[ROLE_KEEPER], 1);
    assert_int_equal(scene.configs[ROLE_WORKER], 1);
    assert_int_equal(scene.configs[ROLE_FETCHER], 1);
}

static void what_the_keeper_refuses_nobody_gets(void **state)
{
    (void)state;
    scene.loaded = make_config("hosted: { delete: false }\n");
    reload_begin(&scene.master);
    settle();
    judge(scene.config_number, false);
    judge(scene.config_number, true);
    settle();
    assert_true(scene.master.sealed.config->hosted.may_delete);
    assert_int_equal(scene.configs[ROLE_WORKER], 0);
}

static void a_judge_that_dies_ends_the_reload(void **state)
{
    (void)state;
    scene.loaded = make_config("hosted: { delete: false }\n");
    reload_begin(&scene.master);
    reload_begin(&scene.master); /* not twice */
    assert_int_equal(scene.loads, 1);
    list_remove(&scene.children[ROLE_KEEPER].link);
    reload_tick(&scene.master);
    assert_null(scene.master.next.config);
    assert_true(scene.master.sealed.config->hosted.may_delete);
    list_append(&scene.master.children, &scene.children[ROLE_KEEPER].link);
}

/* Only who has secrets may ask for them, and nobody else gets them; nothing is loaded anew. */
static void files_are_read_again_for_the_fetcher(void **state)
{
    (void)state;
    ask(ROLE_FETCHER, CONTROL_READ_FILES);
    ask(ROLE_WORKER, CONTROL_READ_FILES);
    ask(ROLE_KEEPER, CONTROL_READ_FILES);
    settle();
    assert_int_equal(scene.configs[ROLE_WORKER], 0);
    assert_int_equal(scene.configs[ROLE_KEEPER], 0);
    assert_int_equal(scene.configs[ROLE_FETCHER], 1);
    assert_int_equal(scene.loads, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(only_a_role_that_may_ask_is_heard),
        TEST(a_child_that_asks_too_often_is_ignored_until_the_next_tick),
        TEST(a_liar_is_ended_unless_it_is_the_keeper),
        TEST(the_keeper_judges_before_all_get_it),
        TEST(what_the_keeper_refuses_nobody_gets),
        TEST(a_judge_that_dies_ends_the_reload),
        TEST(files_are_read_again_for_the_fetcher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
