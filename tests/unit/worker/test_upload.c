/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an answer is there, its session is free: the client's next request may come to another
 * worker at once. A signal arrives with the first byte of the answer, before the worker does
 * anything else; its handler tries the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "oci/upload_id.h"
#include "scene.h"
#include "store/store.h"
#include "store/upload_lock.h"

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

#define IDLE_MS ((uint64_t)60 * 1000)

enum found {
    FOUND_NOTHING, /* no answer came */
    FOUND_FREE,
    FOUND_LOCKED,
};

static struct error err;
static struct scene *scene;
static struct guest guest;
static char location[200];
static char session_id[UPLOAD_ID_TEXT_SIZE];
static int file = -1; /* the session's */
static volatile sig_atomic_t found;

static void on_answer(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    int waiting = 0;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (found == FOUND_NOTHING && ioctl(guest.fd, FIONREAD, &waiting) == 0 && waiting > 0) {
        found = fcntl(file, F_OFD_SETLK, &lock) == 0 ? FOUND_FREE : FOUND_LOCKED;
        lock.l_type = F_UNLCK;
        (void)fcntl(file, F_OFD_SETLK, &lock);
    }
    errno = saved;
}

/* From now on the first byte of an answer is noticed. */
static void watch(void)
{
    static const struct sigaction action = {.sa_handler = on_answer, .sa_flags = SA_RESTART};

    guest_forget(&guest);
    found = FOUND_NOTHING;
    assert_int_equal(sigaction(SIGIO, &action, NULL), 0);
    assert_int_equal(fcntl(guest.fd, F_SETOWN, getpid()), 0);
    assert_int_equal(fcntl(guest.fd, F_SETFL, fcntl(guest.fd, F_GETFL) | O_ASYNC), 0);
}

static void keep_session(void)
{
    const char *text = strstr(guest_got(scene, &guest), "Location: ");

    assert_non_null(text);
    text += strlen("Location: ");
    size_t length = strcspn(text, "\r");
    assert_true(length < sizeof(location));
    memcpy(location, text, length);
    location[length] = '\0';
    const char *id = strrchr(location, '/') + 1;
    (void)snprintf(session_id, sizeof(session_id), "%.*s", (int)strcspn(id, "?"), id);
    file = scene_open_upload(scene, "team/app", session_id);
}

static int set_up(void **state)
{
    (void)state;
    scene = scene_new("upstreams: { docker.io: { default: true } }\n"
                      "limits: { uploads_per_repository: 1 }\n");
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    keep_session();
    watch();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    failpoint_clear();
    guest_leave(scene, &guest);
    fd_close(&file);
    scene_free(scene);
    return 0;
}

static void assert_free(int status)
{
    assert_int_equal(guest_status(scene, &guest), status);
    assert_int_equal(found, FOUND_FREE);
}

static void piece_that_is_taken_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhel",
               location);
    assert_free(202);
}

static void question_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_free(204);
}

static void piece_out_of_order_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest,
               "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 5-6\r\nContent-Length: "
               "2\r\n\r\nlo",
               location);
    assert_free(416);
}

static void piece_of_another_length_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest,
               "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 0-5\r\nContent-Length: "
               "2\r\n\r\nhe",
               location);
    assert_free(400);
}

static void piece_with_two_ranges_is_400(void **state)
{
    (void)state;
    guest_send(scene, &guest,
               "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Range: 0-1\r\nContent-Range: "
               "2-3\r\nContent-Length: 2\r\n\r\nhe",
               location);
    assert_free(400);
}

static void piece_without_a_length_is_411(void **state)
{
    (void)state;
    guest_send(scene, &guest, "PATCH %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_free(411);
}

static void piece_over_the_limit_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest,
               "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000\r\n\r\n",
               location);
    assert_free(413);
}

static void blob_that_the_keeper_refuses_frees_the_session_first(void **state)
{
    (void)state;
    guest_send(scene, &guest,
               "PUT %s&digest=" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
               location);
    struct message_refused refused = {
        .request = scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored.head.request,
        .kind = ERR_DENIED,
        .text = SLICE_LITERAL("protected"),
    };
    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
    assert_free(403);
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_int_equal(guest_status(scene, &guest), 204);
}

/* Whatever becomes of the worker that sent it: the keeper may place the file at any time. */
static void blob_on_its_way_to_the_keeper_has_no_session(void **state)
{
    (void)state;
    struct guest other;
    guest_come(scene, &other, LISTENER_FULL);
    guest_send(scene, &guest,
               "PUT %s&digest=" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
               location);
    uint64_t request =
        scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored.head.request;
    guest_send(scene, &other, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!",
               location);
    assert_int_equal(guest_status(scene, &other), 404);
    scene_done(scene, request);
    assert_free(201);
    guest_leave(scene, &other);
}

static void begin_another_after(uint64_t ms)
{
    guest_leave(scene, &guest);
    scene_pass(scene, ms);
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest,
               "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    scene_settle(scene);
}

/* A session that has received something is not ended as long as its client may come back. */
static void send_bytes(void)
{
    guest_forget(&guest);
    guest_send(scene, &guest, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhel",
               location);
    assert_int_equal(guest_status(scene, &guest), 202);
}

static bool file_is_there(void)
{
    struct stat status;

    assert_int_equal(fstat(file, &status), 0);
    return status.st_nlink > 0;
}

static void one_upload_too_many_is_429(void **state)
{
    (void)state;
    send_bytes();
    begin_another_after(IDLE_MS - 1);
    scene_heard_nothing(scene, ROLE_KEEPER); /* no mark of who is refused */
    assert_int_equal(guest_status(scene, &guest), 429);
    assert_true(file_is_there());
}

static void one_upload_too_many_ends_one_that_is_idle(void **state)
{
    (void)state;
    send_bytes();
    begin_another_after(IDLE_MS + 1);
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    assert_int_equal(guest_status(scene, &guest), 202);
    assert_false(file_is_there());
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_int_equal(guest_status(scene, &guest), 404);
}

static void upload_without_a_byte_makes_room_at_once(void **state)
{
    (void)state;
    begin_another_after(0);
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    assert_int_equal(guest_status(scene, &guest), 202);
    assert_false(file_is_there());
}

static void blob_in_one_post_needs_no_room(void **state)
{
    (void)state;
    send_bytes();
    guest_forget(&guest);
    guest_send(scene, &guest,
               "POST /v2/team/app/blobs/uploads/?digest=" HELLO
               " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    scene_done(scene, scene_heard(scene, ROLE_KEEPER, MESSAGE_PUSH_BEGUN)->push_begun.head.request);
    scene_done(scene,
               scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored.head.request);
    assert_int_equal(guest_status(scene, &guest), 201);
    assert_true(file_is_there());
}

/* Somebody may be writing to it: neither its slot nor its file is another's. */
static void upload_in_use_is_not_ended_for_another(void **state)
{
    (void)state;
    struct upload_progress progress;
    assert_int_equal(upload_lock(file, &err), 0);
    begin_another_after(IDLE_MS + 1);
    assert_int_equal(guest_status(scene, &guest), 429);
    assert_true(file_is_there());
    assert_true(scene_find_upload(scene, session_id, &progress));
}

static void upload_that_is_used_again_is_not_ended_for_another(void **state)
{
    (void)state;
    guest_leave(scene, &guest);
    scene_pass(scene, IDLE_MS + 1);
    guest_come(scene, &guest, LISTENER_FULL);
    guest_send(scene, &guest, "PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhel",
               location);
    assert_int_equal(guest_status(scene, &guest), 202);
    begin_another_after(0);
    assert_int_equal(guest_status(scene, &guest), 429);
    assert_true(file_is_there());
}

/* ---- what fails ---- */

static const struct message_blob_stored *put_hello(void)
{
    guest_send(scene, &guest,
               "PUT %s&digest=" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
               location);
    return &scene_heard(scene, ROLE_KEEPER, MESSAGE_BLOB_STORED)->blob_stored;
}

static void refuse_blob(uint64_t request)
{
    struct message_refused refused = {
        .request = request, .kind = ERR_DENIED, .text = SLICE_LITERAL("protected")};

    scene_say(scene, ROLE_KEEPER, MESSAGE_REFUSED, &refused, -1);
}

static bool has_slot(void)
{
    struct upload_progress progress;

    return scene_find_upload(scene, session_id, &progress);
}

static void assert_session(int status)
{
    guest_forget(&guest);
    guest_send(scene, &guest, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_int_equal(guest_status(scene, &guest), status);
    assert_int_equal(has_slot(), status == 204);
}

/* Its answer was lost, and the repeat came too late. */
static void refused_blob_that_was_placed_leaves_no_session(void **state)
{
    (void)state;
    const struct message_blob_stored *stored = put_hello();
    char name[STORE_NAME_SIZE];
    assert_true(stored->file.length < sizeof(name));
    memcpy(name, stored->file.data, stored->file.length);
    name[stored->file.length] = '\0';
    assert_int_equal(store_file_remove(scene_store(scene), PLACE_UPLOADS, name, &err), 0);
    refuse_blob(stored->head.request);
    assert_free(403);
    assert_session(404);
}

static void refused_blob_that_cannot_be_named_back_leaves_no_session(void **state)
{
    (void)state;
    failpoint_arm("store.rename", 1, 0);
    refuse_blob(put_hello()->head.request);
    assert_free(403);
    assert_session(404);
}

static void session_that_cannot_be_removed_stays(void **state)
{
    (void)state;
    failpoint_arm("store.remove", 0, 1);
    guest_send(scene, &guest, "DELETE %s HTTP/1.1\r\nHost: x\r\n\r\n", location);
    assert_free(500);
    assert_session(204);
}

/* After a sync that failed, the next one says that all is well. */
static void session_whose_sync_failed_is_lost(void **state)
{
    (void)state;
    failpoint_arm("store.sync", 0, 1);
    guest_send(scene, &guest,
               "PUT %s&digest=" HELLO " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
               location);
    scene_heard_nothing(scene, ROLE_KEEPER);
    assert_free(500);
    assert_session(404);
    assert_false(file_is_there());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(piece_that_is_taken_frees_the_session_first),
        TEST(question_frees_the_session_first),
        TEST(piece_out_of_order_frees_the_session_first),
        TEST(piece_of_another_length_frees_the_session_first),
        TEST(piece_with_two_ranges_is_400),
        TEST(piece_without_a_length_is_411),
        TEST(piece_over_the_limit_frees_the_session_first),
        TEST(blob_that_the_keeper_refuses_frees_the_session_first),
        TEST(blob_on_its_way_to_the_keeper_has_no_session),
        TEST(one_upload_too_many_is_429),
        TEST(one_upload_too_many_ends_one_that_is_idle),
        TEST(upload_without_a_byte_makes_room_at_once),
        TEST(blob_in_one_post_needs_no_room),
        TEST(upload_in_use_is_not_ended_for_another),
        TEST(upload_that_is_used_again_is_not_ended_for_another),
        TEST(refused_blob_that_was_placed_leaves_no_session),
        TEST(refused_blob_that_cannot_be_named_back_leaves_no_session),
        TEST(session_that_cannot_be_removed_stays),
        TEST(session_whose_sync_failed_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
