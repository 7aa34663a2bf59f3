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

/* A filler and a comparison for each message, from the same table. */
#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    static void fill_##name(struct message_##name *m)                                              \
    {                                                                                              \
        m->message_reserved = 0;
#define NUMBER(field) m->field = any_number();
#define BYTES(field)  m->field = any_bytes();
#define DIGEST(field) m->field = any_digest();
#define MESSAGE_END   }
#include "ipc/messages.def"
#undef MESSAGE_BEGIN
#undef NUMBER
#undef BYTES
#undef DIGEST
#undef MESSAGE_END

#define MESSAGE_BEGIN(type, name, from, to)                                                        \
    static void compare_##name(const struct message_##name *a, const struct message_##name *b)     \
    {                                                                                              \
        (void)a;                                                                                   \
        (void)b;
#define NUMBER(field) assert_true(a->field == b->field);
#define BYTES(field)  assert_true(slice_equal(a->field, b->field));
#define DIGEST(field) assert_true(digest_equal(&a->field, &b->field));
#define MESSAGE_END   }
#include "ipc/messages.def"
#undef MESSAGE_BEGIN
#undef NUMBER
#undef BYTES
#undef DIGEST
#undef MESSAGE_END

static void every_prefix_is_decoded_or_refused(enum message_type type, struct slice body,
                                               void *message)
{
    struct error err;

    for (size_t length = 0; length < body.length; length++) {
        struct slice prefix = slice_from(body.data, length);
        int result = message_decode(type, prefix, message, &err);
        assert_true(result == 0 || result == -ERR_INVALID);
        assert_int_equal(message_is_valid(type, prefix), result == 0);
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
#define NUMBER(field)
#define BYTES(field)
#define DIGEST(field)
#define MESSAGE_END
#include "ipc/messages.def"
#undef MESSAGE_BEGIN
#undef NUMBER
#undef BYTES
#undef DIGEST
#undef MESSAGE_END

static void message_decode_reads_back_every_message(void **state)
{
    AUTO_BUF struct buf out;
    (void)state;

    buf_init(&out, 10000);
    for (int round = 0; round < 50; round++) {
#define MESSAGE_BEGIN(type, name, from, to) check_##name(&out);
#define NUMBER(field)
#define BYTES(field)
#define DIGEST(field)
#define MESSAGE_END
#include "ipc/messages.def"
#undef MESSAGE_BEGIN
#undef NUMBER
#undef BYTES
#undef DIGEST
#undef MESSAGE_END
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
    assert_int_equal(
        message_decode(MESSAGE_LINK, SLICE_LITERAL("\x01\x01\x01\x00\x07"), &link_message, &err),
        -ERR_INVALID); /* no digest algorithm 7 */
    assert_int_equal(message_decode(MESSAGE_NONE, slice_of(""), &got, &err), -ERR_INVALID);
    assert_int_equal(message_decode(MESSAGE_TYPES, slice_of(""), &got, &err), -ERR_INVALID);
    assert_false(message_is_valid((enum message_type)65535, slice_of("")));
}

static void process_role_name_knows_all_roles(void **state)
{
    (void)state;

    for (unsigned role = 0; role < ROLES; role++) {
        assert_non_null(process_role_name((enum process_role)role));
    }
    assert_string_equal(process_role_name(ROLE_KEEPER), "keeper");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_decode_reads_back_every_message),
        cmocka_unit_test(message_decode_gives_zero_for_fields_of_a_newer_time),
        cmocka_unit_test(message_decode_refuses_malformed_bodies),
        cmocka_unit_test(process_role_name_knows_all_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
