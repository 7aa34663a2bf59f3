/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors. The fields that a registry relies on are checked strictly (digest, size, urls,
 * data); those that only clients read are bounded.
 */
#include "descriptor.h"

#include <string.h>

#include "base/base64.h"
#include "base/error.h"

#define URLS_MAX           32
#define ANNOTATION_KEY_MAX 4096
#define BASE64_PIECE       ((size_t)4096)

bool media_type_is_clean(struct slice media_type)
{
    if (media_type.length == 0 || media_type.length > MEDIA_TYPE_MAX_LENGTH)
        return false;
    for (size_t i = 0; i < media_type.length; i++) {
        unsigned char c = (unsigned char)media_type.data[i];

        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == ',')
            return false;
    }
    return true;
}

struct annotation_check {
    const char *path;
    struct error *err;
    int rc;
};

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

static void check_annotation(struct slice key, struct jsonio_value value, void *arg)
{
    struct annotation_check *check = (struct annotation_check *)arg;

    if (check->rc != 0)
        return;
    if (key.length > ANNOTATION_KEY_MAX || has_control(key)) {
        check->rc = error_set(check->err, ERR_INVALID, "%sannotations: a key is not printable",
                              check->path);
    } else if (jsonio_type(value) != JSONIO_STRING) {
        check->rc = error_set(check->err, ERR_INVALID, "%sannotations: a value is not a string",
                              check->path);
    }
}

int annotations_check(struct jsonio_value owner, const char *path, struct error *err)
{
    struct jsonio_value annotations = jsonio_member(owner, "annotations");
    struct annotation_check check = {.path = path, .err = err, .rc = 0};
    enum jsonio_type type = jsonio_type(annotations);

    if (type == JSONIO_ABSENT || type == JSONIO_NULL)
        return 0;
    if (type != JSONIO_OBJECT)
        return error_set(err, ERR_INVALID, "%sannotations: expected an object", path);
    jsonio_each(annotations, check_annotation, &check);
    return check.rc;
}

/* Hashes what `text` decodes to. False if it is not padded base64 of `size` bytes. */
static bool hash_base64(struct hash *hash, struct slice text, uint64_t size)
{
    uint8_t bytes[BASE64_PIECE / 4 * 3];
    uint64_t total = 0;

    while (text.length > 0) {
        size_t length = text.length < BASE64_PIECE ? text.length : BASE64_PIECE;
        size_t decoded = 0;

        if (!base64_read(slice_from(text.data, length), bytes, &decoded))
            return false;
        text = slice_skip(text, length);
        if (text.length > 0 && decoded < sizeof(bytes))
            return false; /* padding in the middle */
        hash_update(hash, bytes, decoded);
        total += decoded;
    }
    return total == size;
}

/* `data` is the content itself, so it must match size and digest. */
static int check_data(struct jsonio_value value, const char *path,
                      const struct descriptor *descriptor, struct error *err)
{
    struct jsonio_value data = jsonio_member(value, "data");
    enum jsonio_type type = jsonio_type(data);
    struct hash hash;
    struct digest digest;

    if (type == JSONIO_ABSENT || type == JSONIO_NULL)
        return 0;
    if (type != JSONIO_STRING)
        return error_set(err, ERR_INVALID, "%sdata: expected a string", path);
    hash_init(&hash, descriptor->digest.algorithm);
    bool is_base64 = hash_base64(&hash, jsonio_string(data), descriptor->size);
    digest_from_hash(&hash, &digest);
    if (!is_base64 || !digest_equal(&digest, &descriptor->digest)) {
        return error_set(err, ERR_INVALID, "%sdata: not the base64 of what size and digest say",
                         path);
    }
    return 0;
}

static int check_urls(struct jsonio_value value, const char *path, bool is_foreign,
                      struct error *err)
{
    struct jsonio_value urls = jsonio_member(value, "urls");
    enum jsonio_type type = jsonio_type(urls);

    if (type == JSONIO_ABSENT || type == JSONIO_NULL)
        return 0;
    if (type != JSONIO_ARRAY)
        return error_set(err, ERR_INVALID, "%surls: expected an array", path);
    size_t count = jsonio_length(urls);
    if (count > 0 && !is_foreign)
        return error_set(err, ERR_INVALID, "%surls: only a foreign layer may have them", path);
    if (count > URLS_MAX)
        return error_set(err, ERR_INVALID, "%surls: at most %d are allowed", path, URLS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct slice url = jsonio_string(jsonio_element(urls, i));

        if ((!slice_starts_with(url, "https://") && !slice_starts_with(url, "http://")) ||
            has_control(url)) {
            return error_set(err, ERR_INVALID, "%surls[%zu]: expected an http or https URL", path,
                             i);
        }
    }
    return 0;
}

static int read_media_type(struct jsonio_value value, const char *path, struct slice *out,
                           struct error *err)
{
    struct jsonio_value member = jsonio_member(value, "mediaType");
    enum jsonio_type type = jsonio_type(member);

    *out = slice_of("");
    if (type == JSONIO_ABSENT || type == JSONIO_NULL)
        return 0;
    struct slice text = jsonio_string(member);
    if (type != JSONIO_STRING || (text.length > 0 && !media_type_is_clean(text)))
        return error_set(err, ERR_INVALID, "%smediaType: not a media type", path);
    *out = text;
    return 0;
}

int descriptor_read(struct jsonio_value value, const char *path, struct descriptor *out,
                    struct slice *out_media_type, struct error *err)
{
    struct descriptor descriptor = {.size = 0};
    struct slice media_type;
    struct error why;

    if (jsonio_type(value) != JSONIO_OBJECT)
        return error_set(err, ERR_INVALID, "%.*s: expected an object", (int)strlen(path) - 1, path);
    if (digest_parse(jsonio_string(jsonio_member(value, "digest")), &descriptor.digest, &why) != 0)
        return error_set(err, ERR_INVALID, "%sdigest: %s", path, why.text);
    if (!jsonio_u64(jsonio_member(value, "size"), &descriptor.size))
        return error_set(err, ERR_INVALID, "%ssize: expected an integer of 0 or more", path);
    if (read_media_type(value, path, &media_type, err) != 0)
        return -(int)err->kind;
    descriptor.is_foreign = media_type_is_foreign_layer(media_type);
    if (check_urls(value, path, descriptor.is_foreign, err) != 0 ||
        check_data(value, path, &descriptor, err) != 0 || annotations_check(value, path, err) != 0)
        return -(int)err->kind;
    *out = descriptor;
    if (out_media_type)
        *out_media_type = media_type;
    return 0;
}
