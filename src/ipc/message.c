/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages and their bytes. messages.def becomes one list of fields a type (kind and offset), and
 * two loops do all the rest:
 *
 *   NUMBER   varint
 *   BYTES    length as varint, then the bytes
 *   DIGEST   its binary form; one zero byte is "none"
 *
 * Fields follow one another without names. The receiver reads as many as it knows: what is missing
 * at the end is zero, what is left over is skipped, so a field may be added at the end of a
 * message.
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
};

struct field {
    enum field_kind kind;
    size_t offset;
};

struct description {
    const char *name;
    size_t size; /* of the struct */
    const struct field *fields;
};

typedef void describe_fn(struct description *out);

/* One function a message, so that the fields' macros can name its struct. */
#define MESSAGE_BEGIN(type, name_, from, to)                                                       \
    static void describe_##name_(struct description *out)                                          \
    {                                                                                              \
        typedef struct message_##name_ self;                                                       \
        static const char *const name = #type;                                                     \
        static const struct field fields[] = {
#define NUMBER(field) {FIELD_NUMBER, offsetof(self, field)},
#define BYTES(field)  {FIELD_BYTES, offsetof(self, field)},
#define DIGEST(field) {FIELD_DIGEST, offsetof(self, field)},
#define MESSAGE_END                                                                                \
    {                                                                                              \
        FIELD_END, 0                                                                               \
    }                                                                                              \
    }                                                                                              \
    ;                                                                                              \
    *out = (struct description){name, sizeof(self), fields};                                       \
    }
#include "ipc/messages.def"
#undef MESSAGE_BEGIN
#undef NUMBER
#undef BYTES
#undef DIGEST
#undef MESSAGE_END

static describe_fn *const describe[MESSAGE_TYPES] = {
#define MESSAGE_BEGIN(type, name, from, to) [MESSAGE_##type] = describe_##name,
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
};

static bool find_description(enum message_type type, struct description *out)
{
    if (type <= MESSAGE_NONE || type >= MESSAGE_TYPES) {
        return false;
    }
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
        [ROLE_MASTER] = "master",
        [ROLE_WORKER] = "worker",
        [ROLE_FETCHER] = "fetcher",
        [ROLE_KEEPER] = "keeper",
    };

    return role < ROLES ? names[role] : "none";
}

static void encode_digest(const struct digest *digest, struct buf *out)
{
    uint8_t bytes[DIGEST_BINARY_MAX];

    if (digest->algorithm == 0) {
        buf_append_byte(out, 0);
    } else {
        buf_append(out, bytes, digest_encode(digest, bytes));
    }
}

void message_encode(enum message_type type, const void *message, struct buf *out)
{
    struct description description = {NULL, 0, NULL};

    CHECK(find_description(type, &description));
    for (const struct field *field = description.fields; field->kind != FIELD_END; field++) {
        const char *place = (const char *)message + field->offset;
        if (field->kind == FIELD_NUMBER) {
            varint_append(out, *(const uint64_t *)(const void *)place);
        } else if (field->kind == FIELD_BYTES) {
            const struct slice *bytes = (const struct slice *)(const void *)place;
            varint_append(out, bytes->length);
            buf_append_slice(out, *bytes);
        } else {
            encode_digest((const struct digest *)(const void *)place, out);
        }
    }
}

static bool cut_bytes(struct slice *rest, struct slice *out)
{
    uint64_t length = 0;

    if (!varint_cut(rest, &length) || length > rest->length) {
        return false;
    }
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

/* One field off the front of *rest, into the struct at `out` or, if that is NULL, nowhere. */
static bool cut_field(const struct field *field, struct slice *rest, char *out)
{
    uint64_t number = 0;
    struct slice bytes = {NULL, 0};
    struct digest digest;

    if (field->kind == FIELD_NUMBER) {
        if (!varint_cut(rest, &number)) {
            return false;
        }
        if (out != NULL) {
            *(uint64_t *)(void *)(out + field->offset) = number;
        }
        return true;
    }
    if (field->kind == FIELD_BYTES) {
        if (!cut_bytes(rest, &bytes)) {
            return false;
        }
        if (out != NULL) {
            *(struct slice *)(void *)(out + field->offset) = bytes;
        }
        return true;
    }
    if (!cut_digest(rest, &digest)) {
        return false;
    }
    if (out != NULL) {
        *(struct digest *)(void *)(out + field->offset) = digest;
    }
    return true;
}

/* All fields up to the end of either; `out` may be NULL. */
static bool cut_fields(const struct field *fields, struct slice body, char *out)
{
    for (; fields->kind != FIELD_END && body.length > 0; fields++) {
        if (!cut_field(fields, &body, out)) {
            return false;
        }
    }
    return true;
}

bool message_is_valid(enum message_type type, struct slice body)
{
    struct description description = {NULL, 0, NULL};

    return find_description(type, &description) && cut_fields(description.fields, body, NULL);
}

int message_decode(enum message_type type, struct slice body, void *out_message, struct error *err)
{
    struct description description = {NULL, 0, NULL};

    if (!find_description(type, &description)) {
        return error_set(err, ERR_INVALID, "unknown message type %u", (unsigned)type);
    }
    if (!cut_fields(description.fields, body, NULL)) {
        return error_set(err, ERR_INVALID, "malformed %s message", description.name);
    }
    memset(out_message, 0, description.size);
    (void)cut_fields(description.fields, body, (char *)out_message);
    return 0;
}
