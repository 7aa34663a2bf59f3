/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: the first byte chooses the type, the rest is the body. A decoded message, encoded
 * again, decodes to the same bytes. */
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "fuzz/fuzz.h"
#include "ipc/message.h"
#include "oci/reference_list.h"

union any_message {
#define MESSAGE_BEGIN(type, name, from, to) struct message_##name name;
#include "ipc/messages.def"
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    union any_message message;
    union any_message again;
    struct error err;
    struct reference reference;
    AUTO_BUF struct buf once = {0};
    AUTO_BUF struct buf twice = {0};

    if (size == 0)
        return 0;
    buf_init(&once, size + 4096);
    buf_init(&twice, size + 4096);
    enum message_type type = (enum message_type)(data[0] % MESSAGE_TYPES);
    struct slice body = slice_from(data + 1, size - 1);
    bool is_valid = message_decode(type, body, &message, &err) == 0;
    CHECK(is_valid == message_is_valid(type, body));
    if (is_valid) {
        message_encode(type, &message, &once);
        CHECK(message_decode(type, buf_bytes(&once), &again, &err) == 0);
        message_encode(type, &again, &twice);
        CHECK(slice_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    while (reference_list_next(&body, &reference)) {
    }
    return 0;
}
