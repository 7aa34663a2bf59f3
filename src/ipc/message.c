/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes messages. From messages.def, each type has a list of fields (kind and
 * offset), over which two loops run:
 *
 *   NUMBER   varint
 *   BYTES    length as varint, then the bytes
 *   DIGEST   its binary form; one zero byte is "none"
 *   HEAD     the fields of struct message_head
 *
 * Fields follow one another without names. A receiver takes fields that are missing at the end for
 * zero and skips those it does not know, so a field may be added at the end of a message.
 */
#include "ipc/message.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/varint.h"

enum field_kind {
    FIELD_END,
    FIELD_NUMBER,
    FIELD_BYTES,
    FIELD_DIGEST,
    FIELD_HEAD,
};

struct field {
    enum field_kind kind;
    size_t offset;
};

/* The roles of the table's `from` and `to`. */
enum role_set {
    MASTER = 1u << ROLE_MASTER,
    WORKER = 1u << ROLE_WORKER,
    FETCHER = 1u << ROLE_FETCHER,
    KEEPER = 1u << ROLE_KEEPER,
    STEWARD = 1u << ROLE_STEWARD,
    CHILD = WORKER | FETCHER | KEEPER | STEWARD,
};

struct description {
    const char *name;
    unsigned from; /* enum role_set */
    unsigned to;
    size_t size; /* of the struct */
    const struct field *fields;
};

typedef void describe_fn(struct description *out);

static const struct field head_fields[] = {
    {FIELD_NUMBER, offsetof(struct message_head, request)},
    {FIELD_NUMBER, offsetof(struct message_head, seen)},
    {FIELD_NUMBER, offsetof(struct message_head, repeated)},
    {FIELD_BYTES, offsetof(struct message_head, actor.principal)},
    {FIELD_BYTES, offsetof(struct message_head, actor.address)},
    {FIELD_BYTES, offsetof(struct message_head, actor.request_id)},
    {FIELD_END, 0},
};

/* Each message has a function of its own, so that the macros of its fields can name its struct. */
#define MESSAGE_BEGIN(type, name_, from_, to_)                                                     \
    static void describe_##name_(struct description *out)                                          \
    {                                                                                              \
        typedef struct message_##name_ self;                                                       \
        static const char *const name = #type;                                                     \
        static const unsigned from = (from_);                                                      \
        static const unsigned to = (to_);                                                          \
        static const struct field fields[] = {
#define NUMBER(field) {FIELD_NUMBER, offsetof(self, field)},
#define BYTES(field)  {FIELD_BYTES, offsetof(self, field)},
#define DIGEST(field) {FIELD_DIGEST, offsetof(self, field)},
#define MESSAGE_HEAD  {FIELD_HEAD, offsetof(self, head)},
#define MESSAGE_END                                                                                \
    {                                                                                              \
        FIELD_END, 0                                                                               \
    }                                                                                              \
    }                                                                                              \
    ;                                                                                              \
    *out = (struct description){name, from, to, sizeof(self), fields};                             \
    }
#include "ipc/messages.def"

static describe_fn *const describe[MESSAGE_TYPES] = {
#define MESSAGE_BEGIN(type, name, from, to) [MESSAGE_##type] = describe_##name,
#include "ipc/messages.def"
};

static bool find_description(enum message_type type, struct description *out)
{
    if (type <= MESSAGE_NONE || type >= MESSAGE_TYPES)
        return false;
    describe[type](out);
    return true;
}

const char *message_name(enum message_type type)
{
    struct description description;

    return find_description(type, &description) ? description.name : "NONE";
}

const char *process_role_name(enum process_role role)
{
    static const char *const names[ROLES] = {
        [ROLE_MASTER] = "master", [ROLE_WORKER] = "worker",   [ROLE_FETCHER] = "fetcher",
        [ROLE_KEEPER] = "keeper", [ROLE_STEWARD] = "steward",
    };

    return role < ROLES ? names[role] : "none";
}

static void encode_digest(const struct digest *digest, struct buf *out)
{
    uint8_t bytes[DIGEST_BINARY_MAX];

    if (digest->algorithm == 0)
        buf_append_byte(out, 0);
    else
        buf_append(out, bytes, digest_encode(digest, bytes));
}

static void encode_fields(const struct field *field, const char *message, struct buf *out)
{
    for (; field->kind != FIELD_END; field++) {
        const char *place = message + field->offset;

        if (field->kind == FIELD_NUMBER) {
            varint_append(out, *(const uint64_t *)(const void *)place);
        } else if (field->kind == FIELD_BYTES) {
            const struct slice *bytes = (const struct slice *)(const void *)place;

            varint_append(out, bytes->length);
            buf_append_slice(out, *bytes);
        } else if (field->kind == FIELD_DIGEST) {
            encode_digest((const struct digest *)(const void *)place, out);
        } else {
            encode_fields(head_fields, place, out);
        }
    }
}

void message_encode(enum message_type type, const void *message, struct buf *out)
{
    struct description description;

    CHECK(find_description(type, &description));
    encode_fields(description.fields, (const char *)message, out);
}

static bool cut_bytes(struct slice *rest, struct slice *out)
{
    uint64_t length = 0;

    if (!varint_cut(rest, &length) || length > rest->length)
        return false;
    *out = slice_from(rest->data, (size_t)length);
    *rest = slice_skip(*rest, (size_t)length);
    return true;
}

static bool cut_digest(struct slice *rest, struct digest *out)
{
    if (rest->length > 0 && rest->data[0] == 0) {
        *rest = slice_skip(*rest, 1);
        *out = (struct digest){.algorithm = 0};
        return true;
    }
    return digest_decode(rest, out);
}

/* Cuts one field off *rest, into the struct at `out`; NULL: only checks it. */
static bool cut_field(const struct field *field, struct slice *rest, char *out)
{
    uint64_t number = 0;
    struct slice bytes = {NULL, 0};
    struct digest digest;

    if (field->kind == FIELD_NUMBER) {
        if (!varint_cut(rest, &number))
            return false;
        if (out)
            *(uint64_t *)(void *)(out + field->offset) = number;
        return true;
    }
    if (field->kind == FIELD_BYTES) {
        if (!cut_bytes(rest, &bytes))
            return false;
        if (out)
            *(struct slice *)(void *)(out + field->offset) = bytes;
        return true;
    }
    if (!cut_digest(rest, &digest))
        return false;
    if (out)
        *(struct digest *)(void *)(out + field->offset) = digest;
    return true;
}

/* All fields, up to the end of the list or of the body. */
static bool cut_fields(const struct field *fields, struct slice *body, char *out)
{
    bool is_good = true;

    for (; is_good && fields->kind != FIELD_END && body->length > 0; fields++) {
        if (fields->kind == FIELD_HEAD)
            is_good = cut_fields(head_fields, body, out ? out + fields->offset : NULL);
        else
            is_good = cut_field(fields, body, out);
    }
    return is_good;
}

bool message_is_valid(enum message_type type, struct slice body)
{
    struct description description;

    return find_description(type, &description) && cut_fields(description.fields, &body, NULL);
}

bool message_may_pass(enum message_type type, enum process_role from, enum process_role to)
{
    struct description description;

    return find_description(type, &description) && (description.from >> from & 1u) != 0 &&
           (description.to >> to & 1u) != 0;
}

struct message_head *message_head_of(enum message_type type, void *message)
{
    struct description description;

    if (!find_description(type, &description) || description.fields[0].kind != FIELD_HEAD)
        return NULL;
    return (struct message_head *)(void *)((char *)message + description.fields[0].offset);
}

int message_decode(enum message_type type, struct slice body, void *out_message, struct error *err)
{
    struct description description;
    struct slice rest = body;

    if (!find_description(type, &description))
        return error_set(err, ERR_INVALID, "unknown message type %u", (unsigned)type);
    if (!cut_fields(description.fields, &rest, NULL))
        return error_set(err, ERR_INVALID, "malformed %s message", description.name);
    memset(out_message, 0, description.size);
    (void)cut_fields(description.fields, &body, (char *)out_message);
    return 0;
}
