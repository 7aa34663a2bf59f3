/* SPDX-License-Identifier: Apache-2.0 */
/* Reads YAML into a tree of nodes. (door: libyaml) */
#include "node.h"

#include <yaml.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"

struct yaml_reader {
    yaml_parser_t parser;
    const char *source;
    struct position at; /* of the last event, or of the error */
    size_t nodes;
    struct error *err;
};

void node_free(struct node **node)
{
    if (!*node)
        return;
    for (size_t i = 0; i < (*node)->count; i++)
        node_free(&(*node)->items[i]);
    mem_free((*node)->items);
    mem_free((*node)->text);
    mem_free(*node);
    *node = NULL;
}

struct slice node_text(const struct node *node)
{
    return node->kind == NODE_TEXT ? slice_of(node->text) : slice_of(NULL);
}

static int next_event(struct yaml_reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event) == 0) {
        const yaml_parser_t *parser = &reader->parser;
        bool has_mark = parser->error != YAML_READER_ERROR && parser->error != YAML_MEMORY_ERROR;

        reader->at.line = has_mark ? (unsigned)parser->problem_mark.line + 1 : 1;
        reader->at.column = has_mark ? (unsigned)parser->problem_mark.column + 1 : 1;
        return error_set(reader->err, ERR_INVALID, "this is not valid YAML: %s",
                         parser->problem ? parser->problem : "out of memory");
    }
    reader->at.line = (unsigned)event->start_mark.line + 1;
    reader->at.column = (unsigned)event->start_mark.column + 1;
    return 0;
}

static bool is_empty(const yaml_event_t *event)
{
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct slice text =
        slice_from((const char *)event->data.scalar.value, event->data.scalar.length);
    return text.length == 0 || slice_is(text, "~") || slice_is_nocase(text, "null");
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                     struct node **out);

static int read_items(struct yaml_reader *reader, yaml_event_type_t end, unsigned depth,
                      struct node *into)
{
    for (;;) {
        yaml_event_t event;
        int rc = next_event(reader, &event);

        if (rc != 0)
            return rc;
        if (event.type == end) {
            yaml_event_delete(&event);
            return 0;
        }
        if (into->count % 16 == 0)
            into->items = mem_realloc(into->items, (into->count + 16) * sizeof(struct node *));
        into->items[into->count] = NULL;
        rc = into->count >= 2 * (size_t)NODE_ENTRIES_MAX
                 ? error_set(reader->err, ERR_TOO_LARGE, "too many entries; at most %u are allowed",
                             NODE_ENTRIES_MAX)
                 : read_node(reader, &event, depth + 1, &into->items[into->count]);
        yaml_event_delete(&event);
        if (rc != 0)
            return rc;
        into->count++;
    }
}

static int refuse_extras(struct yaml_reader *reader, const yaml_char_t *anchor,
                         const yaml_char_t *tag)
{
    if (anchor) {
        return error_set(reader->err, ERR_INVALID,
                         "anchors (&%.40s) are not allowed; write the value again",
                         (const char *)anchor);
    }
    if (tag) {
        return error_set(reader->err, ERR_INVALID, "tags (%.40s) are not allowed; remove it",
                         (const char *)tag);
    }
    return 0;
}

static int read_scalar(struct yaml_reader *reader, const yaml_event_t *event, struct node *node)
{
    int rc = refuse_extras(reader, event->data.scalar.anchor, event->data.scalar.tag);

    if (rc != 0)
        return rc;
    struct slice text =
        slice_from((const char *)event->data.scalar.value, event->data.scalar.length);
    if (slice_find(text, '\0') >= 0)
        return error_set(reader->err, ERR_INVALID, "a NUL character is not allowed; remove it");
    node->kind = is_empty(event) ? NODE_EMPTY : NODE_TEXT;
    if (node->kind == NODE_TEXT)
        node->text = slice_dup(text);
    return 0;
}

/* Fills *node, which the caller frees, also after an error. */
static int read_into(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                     struct node *node)
{
    int rc = 0;

    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(reader, event, node);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        node->kind = NODE_LIST;
        rc = refuse_extras(reader, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
        return rc != 0 ? rc : read_items(reader, YAML_SEQUENCE_END_EVENT, depth, node);
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        node->kind = NODE_MAP;
        rc = refuse_extras(reader, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return rc != 0 ? rc : read_items(reader, YAML_MAPPING_END_EVENT, depth, node);
    }
    return error_set(reader->err, ERR_INVALID,
                     "aliases (*name) are not allowed; write the value again");
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                     struct node **out)
{
    if (depth > NODE_DEPTH_MAX) {
        return error_set(reader->err, ERR_TOO_LARGE,
                         "nested too deeply; at most %u levels are allowed", NODE_DEPTH_MAX);
    }
    if (++reader->nodes > NODE_COUNT_MAX) {
        return error_set(reader->err, ERR_TOO_LARGE, "too many values; at most %u are allowed",
                         NODE_COUNT_MAX);
    }
    struct node *node = NEW(struct node);
    node->at = reader->at;
    int rc = read_into(reader, event, depth, node);
    if (rc != 0)
        node_free(&node);
    else
        *out = node;
    return rc;
}

/* Reads the one document of the stream. */
static int read_stream(struct yaml_reader *reader, struct node **out)
{
    for (bool is_end = false; !is_end;) {
        yaml_event_t event;
        int rc = next_event(reader, &event);

        if (rc != 0)
            return rc;
        is_end = event.type == YAML_STREAM_END_EVENT;
        bool is_frame = is_end || event.type == YAML_STREAM_START_EVENT ||
                        event.type == YAML_DOCUMENT_START_EVENT ||
                        event.type == YAML_DOCUMENT_END_EVENT;
        if (!is_frame && *out) {
            rc = error_set(reader->err, ERR_INVALID,
                           "only one YAML document is allowed; remove what follows ---");
        } else if (!is_frame) {
            rc = read_node(reader, &event, 0, out);
        }
        yaml_event_delete(&event);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int node_read(struct slice text, const char *source, struct node **out, struct position *out_at,
              struct error *err)
{
    CHECK(text.length <= NODE_TEXT_MAX); /* whoever has read it has kept the limit */
    *out_at = (struct position){source, 1, 1};
    struct yaml_reader reader = {.source = source, .at = *out_at, .err = err};
    if (yaml_parser_initialize(&reader.parser) == 0)
        return error_set(err, ERR_NO_MEMORY, "out of memory");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.length);
    struct node *root = NULL;
    int rc = read_stream(&reader, &root);
    yaml_parser_delete(&reader.parser);
    *out_at = reader.at;
    if (rc != 0)
        node_free(&root);
    else
        *out = root;
    return rc;
}
