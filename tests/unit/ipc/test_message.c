/* SPDX-License-Identifier: Apache-2.0 */
/* Every message of messages.def there and back; older and newer senders; malformed bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "ipc/message.h"

/* Fields get values that differ from each other and from message to message. */
static uint64_t next_value = 1;
static char texts[64][32];

static uint64_t any_number(void)
{
    next_value = next_value * 6364136223846793005u + 1442695040888963407u;
    return next_value >> (next_value % 60);
}

static struct slice any_bytes(void)
{
    char *text = texts[next_value % 64];
    size_t length = (size_t)(any_number() % 32);

    memset(text, 'a' + (int)(next_value % 26), 32);
    return slice_from(text, length);
}

static struct digest any_digest(void)
{
    uint64_t number = any_number();
    struct digest digest = {.algorithm = 0};

    if (number % 3 != 0) {
        digest_of(number % 3 == 1 ? HASH_SHA256 : HASH_SHA512, slice_from(&number, sizeof(number)),
                  &digest);
    }
    return digest;
}

static void fill_head(struct message_head *head)
{
    head->request = any_number();
    head->seen = any_number();
    head->repeated = any_number();
    head->actor.principal = any_bytes();
    head->actor.address = any_bytes();
    head->actor.request_id = any_bytes();
}

static void compare_heads(const struct message_head *a, const struct message_head *b)
{
    assert_true(a->request == b->request);
    assert_true(a->seen == b->seen);
    assert_true(a->repeated == b->repeated);
    assert_true(slice_equal(a->actor.principal, b->actor.principal));
    assert_true(slice_equal(a->actor.address, b->actor.address));
    assert_true(slice_equal(a->actor.request_id, b->actor.request_id));
}

/* A filler and a comparison for each message, from the same table. */
#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    static void fill_##name(struct message_##name *m)                                              \
    {                                                                                              \
        m->message_reserved = 0;
#define NUMBER(field) m->field = any_number();
#define BYTES(field)  m->field = any_bytes();
#define DIGEST(field) m->field = any_digest();
#define MESSAGE_HEAD  fill_head(&m->head);
#define MESSAGE_END   }
#include "ipc/messages.def"

#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    static void compare_##name(const struct message_##name *a, const struct message_##name *b)     \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;
#define NUMBER(field) assert_true(a->field == b->field);
#define BYTES(field)  assert_true(slice_equal(a->field, b->field));
#define DIGEST(field) assert_true(digest_equal(&a->field, &b->field));
#define MESSAGE_HEAD  compare_heads(&a->head, &b->head);
#define MESSAGE_END   }
#include "ipc/messages.def"

static void every_prefix_is_decoded_or_refused(enum message_type type, struct slice body,
                                               void *message)
{
    struct error err;

    for (size_t length = 0; length < body.length; length++) {
        struct slice prefix = slice_from(body.data, length);
        int rc = message_decode(type, prefix, message, &err);

        assert_true(rc == 0 || rc == -ERR_INVALID);
        assert_int_equal(message_is_valid(type, prefix), rc == 0);
    }
}

#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    static void check_##name(struct buf *out)                                                      \
    {                                                                                              \
        struct message_##name sent;                                                                \
        struct message_##name got;                                                                 \
        struct error err;                                                                          \
        fill_##name(&sent);                                                                        \
        buf_clear(out);                                                                            \
        message_encode(MESSAGE_##type, &sent, out);                                                \
        assert_int_equal(message_decode(MESSAGE_##type, buf_bytes(out), &got, &err), 0);           \
        compare_##name(&sent, &got);                                                               \
        assert_string_equal(message_name(MESSAGE_##type), #type);                                  \
        every_prefix_is_decoded_or_refused(MESSAGE_##type, buf_bytes(out), &got);                  \
        buf_append_text(out, "of a newer sender");                                                 \
        assert_int_equal(message_decode(MESSAGE_##type, buf_bytes(out), &got, &err), 0);           \
        compare_##name(&sent, &got);                                                               \
    }
#include "ipc/messages.def"

static void message_decode_reads_back_every_message(void **state)
{
    AUTO_BUF struct buf out;

    (void)state;

    buf_init(&out, 10000);
    for (int round = 0; round < 50; round++) {
#define MESSAGE_BEGIN(type, name, from, to) check_##name(&out);
#include "ipc/messages.def"
    }
}

static void message_decode_gives_zero_for_fields_of_a_newer_time(void **state)
{
    struct message_failed sent = {.request = 7, .kind = 3, .text = SLICE_LITERAL("x")};
    struct message_failed got;
    struct error err;
    AUTO_BUF struct buf out;

    (void)state;

    buf_init(&out, 100);
    message_encode(MESSAGE_FAILED, &sent, &out);
    memset(&got, 0x5a, sizeof(got));
    assert_int_equal(message_decode(MESSAGE_FAILED, slice_from(out.data, 1), &got, &err), 0);
    assert_int_equal(got.request, 7);
    assert_int_equal(got.kind, 0);
    assert_int_equal(got.text.length, 0);
    assert_int_equal(got.retry_after, 0);
}

static void message_decode_refuses_malformed_bodies(void **state)
{
    struct message_failed got;
    struct message_failed before;
    struct message_link link_message;
    struct error err;

    (void)state;

    memset(&got, 0x5a, sizeof(got));
    before = got;
    assert_int_equal(message_decode(MESSAGE_FAILED, SLICE_LITERAL("\x01\x01\x05xx"), &got, &err),
                     -ERR_INVALID); /* five bytes announced, two there */
    assert_int_equal(message_decode(MESSAGE_FAILED, SLICE_LITERAL("\x80"), &got, &err),
                     -ERR_INVALID);
    assert_memory_equal(&got, &before, sizeof(got));
    assert_int_equal(message_decode(MESSAGE_LINK, SLICE_LITERAL("\x01\x01\x01\x00\x00\x00\x07"),
                                    &link_message, &err),
                     -ERR_INVALID); /* no digest algorithm 7 */
    assert_int_equal(message_decode(MESSAGE_NONE, slice_of(""), &got, &err), -ERR_INVALID);
    assert_int_equal(message_decode(MESSAGE_TYPES, slice_of(""), &got, &err), -ERR_INVALID);
    assert_false(message_is_valid((enum message_type)65535, slice_of("")));
}

static void message_may_pass_between_the_roles_of_the_table(void **state)
{
    (void)state;

    assert_true(message_may_pass(MESSAGE_PING, ROLE_MASTER, ROLE_KEEPER));
    assert_false(message_may_pass(MESSAGE_PING, ROLE_KEEPER, ROLE_MASTER));
    assert_false(message_may_pass(MESSAGE_LISTENER, ROLE_MASTER, ROLE_FETCHER));
    assert_true(message_may_pass(MESSAGE_BLOB_STORED, ROLE_WORKER, ROLE_KEEPER));
    assert_true(message_may_pass(MESSAGE_BLOB_STORED, ROLE_FETCHER, ROLE_KEEPER));
    assert_false(message_may_pass(MESSAGE_MANIFEST_STORED, ROLE_WORKER, ROLE_KEEPER));
    assert_false(message_may_pass(MESSAGE_MANIFEST_PUT, ROLE_FETCHER, ROLE_KEEPER));
    assert_false(message_may_pass(MESSAGE_DONE, ROLE_WORKER, ROLE_KEEPER));
    assert_false(message_may_pass(MESSAGE_NONE, ROLE_MASTER, ROLE_WORKER));
    assert_false(message_may_pass(MESSAGE_TYPES, ROLE_MASTER, ROLE_WORKER));
}

static void message_head_of_finds_the_heads(void **state)
{
    struct message_link link = {.head = {.request = 7}};
    struct message_done done = {.request = 7};

    (void)state;

    assert_ptr_equal(message_head_of(MESSAGE_LINK, &link), &link.head);
    assert_null(message_head_of(MESSAGE_DONE, &done));
    assert_null(message_head_of(MESSAGE_TYPES, &done));
}

static void process_role_name_knows_all_roles(void **state)
{
    (void)state;

    for (unsigned role = 0; role < ROLES; role++)
        assert_non_null(process_role_name((enum process_role)role));
    assert_string_equal(process_role_name(ROLE_KEEPER), "keeper");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_decode_reads_back_every_message),
        cmocka_unit_test(message_decode_gives_zero_for_fields_of_a_newer_time),
        cmocka_unit_test(message_decode_refuses_malformed_bodies),
        cmocka_unit_test(message_may_pass_between_the_roles_of_the_table),
        cmocka_unit_test(message_head_of_finds_the_heads),
        cmocka_unit_test(process_role_name_knows_all_roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
