/* SPDX-License-Identifier: Apache-2.0 */
/* A list may be spread over several fields. Digests are accepted without their quotes too. */
#include "condition.h"

#include "answer.h"
#include "oci/api_error.h"
#include "oci/digest.h"
#include "request.h"
#include "rules/visible.h"

/* is_weak: a weak tag, W/"…", matches as well. */
static bool names_digest(struct slice value, const char *text, bool is_weak)
{
    struct slice part;

    while (slice_split(&value, ',', &part)) {
        part = slice_trim(part);
        if (slice_is(part, "*"))
            return true;
        if (is_weak && slice_starts_with(part, "W/"))
            part = slice_skip(part, 2);
        if (part.length >= 2 && part.data[0] == '"' && part.data[part.length - 1] == '"')
            part = slice_from(part.data + 1, part.length - 2);
        if (slice_is(part, text))
            return true;
    }
    return false;
}

static bool is_named(const struct request *request, const char *field, const struct digest *digest,
                     bool is_weak)
{
    char text[DIGEST_TEXT_SIZE];

    (void)digest_print(digest, text);
    for (unsigned i = 0; i < request->head->header_count; i++) {
        const struct http_header *header = &request->head->headers[i];

        if (slice_is_nocase(header->name, field) && names_digest(header->value, text, is_weak))
            return true;
    }
    return false;
}

static bool has_field(const struct request *request, const char *field)
{
    return http_head_find(request->head, field);
}

bool condition_is_set(const struct request *request)
{
    return has_field(request, "If-Match") || has_field(request, "If-None-Match");
}

bool condition_has_it(const struct request *request, const struct digest *digest)
{
    return is_named(request, "If-None-Match", digest, true);
}

void condition_fail(struct request *request)
{
    struct api_error error;

    api_error_set_status(&error, API_UNSUPPORTED, 412,
                         "the stored content does not meet If-Match or If-None-Match");
    request_fail(request, &error);
}

static bool check_condition(struct request *request, bool is_met)
{
    if (!is_met)
        condition_fail(request);
    return is_met;
}

bool condition_may_read(struct request *request, const struct digest *digest)
{
    return check_condition(request, !has_field(request, "If-Match") ||
                                        is_named(request, "If-Match", digest, false));
}

bool condition_may_write(struct request *request, const struct digest *current)
{
    bool is_match = !has_field(request, "If-Match") ||
                    (current && is_named(request, "If-Match", current, false));
    bool is_new = !current || !condition_has_it(request, current);

    return check_condition(request, is_match && is_new);
}

bool condition_find_current(const struct request *request, struct ledger_txn *txn,
                            struct digest *out)
{
    const struct operation *operation = &request->operation;
    struct tag tag;

    if (operation->tag.length > 0) {
        bool is_there = visible_tag(&request->permit, txn, operation->tag, &tag);

        if (is_there)
            *out = tag.digest;
        return is_there;
    }
    *out = operation->digest;
    unsigned wanted = operation->kind == OPERATION_BLOB ? LINK_BLOB : LINK_MANIFEST;
    return (visible_links(&request->permit, txn, &operation->digest) & wanted) != 0;
}
