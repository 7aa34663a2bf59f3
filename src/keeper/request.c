/* SPDX-License-Identifier: Apache-2.0 */
/* Reading messages to the keeper: what is let through can be applied. */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "oci/name.h"

void request_refuse(struct request *request, enum error_kind kind, const char *fmt, ...)
{
    va_list args;
    request->refusal.kind = kind;
    va_start(args, fmt);
    (void)vsnprintf(request->refusal.text, sizeof(request->refusal.text), fmt, args);
    va_end(args);
}

void request_reset(struct request *request)
{
    request->refusal.kind = ERR_NONE;
    request->number = 0;
    request->is_unfinished = false;
    buf_clear(&request->missing);
}

bool request_is_bad(const struct request *request)
{
    return request->refusal.kind != ERR_NONE;
}

uint64_t request_id(const struct request *request)
{
    return request->type == MESSAGE_BARRIER ? request->message.barrier.request
                                            : request->message.head.request;
}

bool request_is_repeated(const struct request *request)
{
    return request->message.head.repeated != 0;
}

/* `file` of its size and inode. */
static void set_file(struct request *request, struct store_file file, uint64_t place,
                     struct slice name, const struct digest *digest)
{
    request->digest = *digest;
    if (name.length == 0)
        return;
    if ((place != PLACE_UPLOADS && place != PLACE_SPOOL) || name.length >= STORE_NAME_SIZE) {
        request_refuse(request, ERR_INVALID, "bad file of a request");
        return;
    }
    request->has_file = true;
    memcpy(request->file_name, name.data, name.length);
    request->file = file;
    request->file.place = (enum store_place)place;
    request->file.name = request->file_name;
}

static bool is_repository(struct slice name)
{
    return name.length > 0 && name.length <= NAME_MAX_LENGTH;
}

static bool has_digest(const struct digest *digest)
{
    return (unsigned)digest->algorithm != 0;
}

static bool are_tags(struct slice tags)
{
    struct slice tag;
    while (slice_split(&tags, ' ', &tag)) {
        if (tag.length == 0 || tag.length > TAG_MAX_LENGTH)
            return false;
    }
    return true;
}

static bool is_body(struct slice body, uint64_t size)
{
    return size > 0 && (body.length == size || body.length == 0);
}

static bool is_manifest_put(struct request *request)
{
    struct message_manifest_put *put = &request->message.manifest_put;
    if (put->tags.length == 0)
        put->tags = (struct slice){NULL, 0}; /* no tag, not one without a name */
    set_file(request, (struct store_file){.inode = put->inode, .size = put->size}, PLACE_UPLOADS,
             put->file, &put->digest);
    return is_repository(put->repository) && has_digest(&put->digest) && are_tags(put->tags) &&
           is_body(put->body, put->size);
}

static bool is_manifest_stored(struct request *request)
{
    const struct message_manifest_stored *stored = &request->message.manifest_stored;
    set_file(request, (struct store_file){.inode = stored->inode, .size = stored->size},
             PLACE_SPOOL, stored->file, &stored->digest);
    return is_repository(stored->repository) && has_digest(&stored->digest) &&
           stored->origin.length > 0 && stored->origin.length <= REGISTRY_MAX_LENGTH &&
           stored->tag.length <= TAG_MAX_LENGTH && is_body(stored->body, stored->size);
}

static bool is_blob_stored(struct request *request)
{
    const struct message_blob_stored *stored = &request->message.blob_stored;
    set_file(request, (struct store_file){.inode = stored->inode, .size = stored->size},
             stored->place, stored->file, &stored->digest);
    return stored->repository.length <= NAME_MAX_LENGTH && has_digest(&stored->digest) &&
           stored->origin.length <= REGISTRY_MAX_LENGTH;
}

static bool is_tag_checked(const struct message_tag_checked *checked)
{
    return is_repository(checked->repository) && checked->origin.length > 0 &&
           checked->origin.length <= REGISTRY_MAX_LENGTH && checked->tag.length > 0 &&
           checked->tag.length <= TAG_MAX_LENGTH;
}

static bool is_remove(const struct message_remove *remove)
{
    if (!is_repository(remove->repository))
        return false;
    if (remove->kind == REMOVE_TAG)
        return remove->tag.length > 0 && remove->tag.length <= TAG_MAX_LENGTH;
    return (remove->kind == REMOVE_MANIFEST || remove->kind == REMOVE_BLOB) &&
           has_digest(&remove->digest);
}

static bool is_well_formed(struct request *request)
{
    const union request_message *message = &request->message;
    if (request->type == MESSAGE_BLOB_STORED)
        return is_blob_stored(request);
    if (request->type == MESSAGE_LINK) {
        return is_repository(message->link.repository) && has_digest(&message->link.digest) &&
               message->link.origin.length <= REGISTRY_MAX_LENGTH;
    }
    if (request->type == MESSAGE_PUSH_BEGUN)
        return is_repository(message->push_begun.repository);
    if (request->type == MESSAGE_MANIFEST_PUT)
        return is_manifest_put(request);
    if (request->type == MESSAGE_MANIFEST_STORED)
        return is_manifest_stored(request);
    if (request->type == MESSAGE_TAG_CHECKED)
        return is_tag_checked(&message->tag_checked);
    if (request->type == MESSAGE_REMOVE)
        return is_remove(&message->remove);
    return request->type == MESSAGE_USED || request->type == MESSAGE_BARRIER;
}

struct request *request_new(enum message_type type, struct slice body)
{
    struct request *request = NEW(struct request);
    list_init(&request->link);
    buf_init(&request->missing, (size_t)REQUEST_MISSING_MAX * DIGEST_BINARY_MAX);
    request->type = type;
    if (type == MESSAGE_NONE)
        return request;
    request->body = mem_alloc(body.length + 1);
    if (body.length > 0)
        memcpy(request->body, body.data, body.length);
    if (message_decode(type, slice_from(request->body, body.length), &request->message,
                       &request->refusal) != 0)
        return request;
    request->refusal.kind = ERR_NONE;
    if (!is_well_formed(request) && request->refusal.kind == ERR_NONE)
        request_refuse(request, ERR_INVALID, "bad request to the keeper");
    return request;
}

void request_free(struct request *request)
{
    buf_cleanup(&request->missing);
    mem_free(request->body);
    mem_free(request);
}
