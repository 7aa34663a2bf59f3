/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query parameters are separated by '&' alone, and '+' is a plus. A parameter counts only where the
 * operation has a use for it; others are skipped unread, so that a client may add any it likes.
 * One table says which belong where.
 */
#include "operation_query.h"

#include "base/error.h"
#include "base/text.h"
#include "oci/media_type.h"
#include "oci/name.h"

#define ON(kind)   (1u << OPERATION_##kind)
#define EVERYWHERE (~0u)

typedef int parameter_fn(struct operation *operation, struct slice value, struct api_error *error);

static int refuse_second(const char *key, enum api_code code, struct api_error *error)
{
    return api_error_set_status(error, code, 400, "%s= appears twice in the query", key);
}

/* ASCII only. The text is in our own buffer and is changed in place. */
static void lower_case(struct operation *operation, struct slice text)
{
    char *data = operation->text.data + (text.data - operation->text.data);

    for (size_t i = 0; i < text.length; i++) {
        if (data[i] >= 'A' && data[i] <= 'Z')
            data[i] = (char)(data[i] - 'A' + 'a');
    }
}

static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x20 || c >= 0x7f)
            return false;
    }
    return true;
}

static int on_ns(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->has_ns)
        return refuse_second("ns", API_NAME_INVALID, error);
    lower_case(operation, value);
    operation->has_ns = value.length > 0; /* an empty one is no wish */
    operation->ns = value;
    return 0;
}

static int on_n(struct operation *operation, struct slice value, struct api_error *error)
{
    struct error why;

    if (operation->has_n)
        return refuse_second("n", API_PAGINATION_NUMBER_INVALID, error);
    bool is_number = value.length > 0;
    for (size_t i = 0; i < value.length; i++)
        is_number = is_number && value.data[i] >= '0' && value.data[i] <= '9';
    if (!is_number)
        return api_error_set(error, API_PAGINATION_NUMBER_INVALID, "n= is not a number");
    while (value.length > 1 && value.data[0] == '0')
        value = slice_skip(value, 1);
    operation->has_n = true;
    /* Digits that do not parse are too many. */
    if (text_parse_u64(value, &operation->n, &why) != 0 || operation->n > UINT32_MAX)
        operation->n = UINT32_MAX;
    return 0;
}

static int on_last(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->has_last)
        return refuse_second("last", API_PAGINATION_NUMBER_INVALID, error);
    if (!is_printable(value))
        return api_error_set(error, API_PAGINATION_NUMBER_INVALID, "last= is not printable");
    operation->has_last = true;
    operation->last = value;
    return 0;
}

static int parse_digest(const char *key, struct slice value, struct digest *out,
                        struct api_error *error)
{
    struct error why;

    if (digest_parse(value, out, &why) != 0)
        return api_error_set(error, API_DIGEST_INVALID, "%s= is %s", key, why.text);
    return 0;
}

static int on_digest(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->method != METHOD_PUT && operation->method != METHOD_POST)
        return 0;
    if (operation->has_digest)
        return refuse_second("digest", API_DIGEST_INVALID, error);
    operation->has_digest = true;
    return parse_digest("digest", value, &operation->digest_query, error);
}

static int on_mount(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->has_mount)
        return refuse_second("mount", API_DIGEST_INVALID, error);
    operation->has_mount = true;
    return parse_digest("mount", value, &operation->mount, error);
}

static int on_from(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->has_from)
        return refuse_second("from", API_NAME_INVALID, error);
    /* What is not a name has no blob to mount: the push goes on without a mount. */
    operation->has_from = name_is_valid(value);
    operation->from = operation->has_from ? value : slice_of("");
    return 0;
}

static int on_artifact_type(struct operation *operation, struct slice value,
                            struct api_error *error)
{
    if (value.length > MEDIA_TYPE_MAX_LENGTH || !is_printable(value)) {
        return api_error_set_status(error, API_UNSUPPORTED, 400,
                                    "artifactType= is not a media type");
    }
    operation->artifact_type = value;
    return 0;
}

static int on_digest_algorithm(struct operation *operation, struct slice value,
                               struct api_error *error)
{
    enum hash_algorithm algorithm;

    (void)operation; /* only checked: the digest of the PUT decides */
    if (!digest_algorithm_parse(value, &algorithm)) {
        return api_error_set(error, API_DIGEST_INVALID,
                             "digest-algorithm= is neither sha256 nor sha512");
    }
    return 0;
}

static int on_tag(struct operation *operation, struct slice value, struct api_error *error)
{
    if (operation->method != METHOD_PUT || !operation->by_digest)
        return 0;
    if (!tag_is_valid(value))
        return api_error_set(error, API_MANIFEST_INVALID, "tag= is not a tag");
    /* One too many is counted; the caller refuses it. */
    if (operation->tag_count < OPERATION_TAGS_MAX)
        operation->tags[operation->tag_count] = value;
    operation->tag_count++;
    return 0;
}

static const struct parameter {
    const char *key;
    unsigned where; /* bits by enum operation_kind */
    parameter_fn *read;
} parameters[] = {
    {"ns", EVERYWHERE, on_ns},
    {"n", ON(CATALOG) | ON(TAGS) | ON(REFERRERS), on_n},
    {"last", ON(CATALOG) | ON(TAGS) | ON(REFERRERS), on_last},
    {"digest", ON(UPLOAD_START) | ON(UPLOAD), on_digest},
    {"mount", ON(UPLOAD_START), on_mount},
    {"from", ON(UPLOAD_START), on_from},
    {"artifactType", ON(REFERRERS), on_artifact_type},
    {"digest-algorithm", ON(UPLOAD_START), on_digest_algorithm},
    {"tag", ON(MANIFEST), on_tag},
};

static const struct parameter *find_parameter(struct slice key)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (slice_is(key, parameters[i].key))
            return &parameters[i];
    }
    return NULL;
}

static int apply_parameter(struct operation *operation, struct slice key, struct slice value,
                           struct api_error *error)
{
    const struct parameter *parameter = find_parameter(key);
    bool is_used = parameter && (parameter->where & 1u << operation->kind) != 0;

    return is_used ? parameter->read(operation, value, error) : 0;
}

/* Cuts the next parameter off the query. */
static struct slice next_part(struct slice *query)
{
    ptrdiff_t ampersand = slice_find(*query, '&');
    struct slice part = ampersand < 0 ? *query : slice_from(query->data, (size_t)ampersand);

    *query = ampersand < 0 ? slice_of("") : slice_skip(*query, (size_t)ampersand + 1);
    return part;
}

static struct slice key_of(struct slice part)
{
    ptrdiff_t equals = slice_find(part, '=');

    return equals < 0 ? part : slice_from(part.data, (size_t)equals);
}

void operation_print_others(const struct operation *operation, struct buf *out)
{
    struct slice query = operation->query;

    while (query.length > 0) {
        struct slice part = next_part(&query);
        struct slice key = key_of(part);

        /* An encoded key could be one of ours in disguise. */
        if (part.length > 0 && slice_find(key, '%') < 0 && !find_parameter(key)) {
            buf_append_byte(out, '&');
            buf_append_slice(out, part);
        }
    }
}

int operation_parse_query(struct operation *operation, const struct operation_limits *limits,
                          struct api_error *error)
{
    struct slice query = operation->query;
    unsigned count = 0;

    while (query.length > 0) {
        struct slice part = next_part(&query);

        if (++count > limits->parameters) {
            return api_error_set_status(error, API_UNSUPPORTED, 400,
                                        "more than %u parameters in the query (`limits."
                                        "query_parameters`)",
                                        limits->parameters);
        }
        struct slice raw_key = key_of(part);
        bool has_value = raw_key.length < part.length;
        struct slice raw_value = has_value ? slice_skip(part, raw_key.length + 1) : slice_of("");
        struct slice key;
        struct slice value;
        if (!operation_decode(operation, raw_key, &key) ||
            !operation_decode(operation, raw_value, &value)) {
            return api_error_set_status(
                error, API_UNSUPPORTED, 400,
                "bad percent escape in the query; %% itself is written %%25");
        }
        if (apply_parameter(operation, key, value, error) != 0)
            return -1;
        if (operation->tag_count > limits->tags) {
            return api_error_set_status(error, API_MANIFEST_INVALID, 414,
                                        "at most %u tags in one request (`limits.tags_per_push`)",
                                        limits->tags);
        }
    }
    return 0;
}
