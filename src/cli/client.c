/* SPDX-License-Identifier: Apache-2.0 */
/* Each prints what the server says: as JSON when that is asked for, else as a table. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/jsonio.h"
#include "base/text.h"
#include "call.h"
#include "cli/cli.h"
#include "commands.h"
#include "table.h"

#define ADDRESS_MAX ((size_t)8192)
#define INPUT_MAX   ((size_t)1 << 20) /* what the server takes */
#define LIST_MAX    ((size_t)1 << 30)

static bool has(const struct call *call, enum command_option option)
{
    return (call->flags & (unsigned)option) != 0;
}

static struct slice text_of(struct jsonio_value object, const char *key)
{
    return jsonio_string(jsonio_member(object, key));
}

static uint64_t number_of(struct jsonio_value object, const char *key)
{
    uint64_t number = 0;

    (void)jsonio_u64(jsonio_member(object, key), &number);
    return number;
}

/* NULL: it is no JSON, and that was printed. */
static struct jsonio *parse(const struct reply *reply)
{
    struct jsonio *document = NULL;
    struct error err;

    if (jsonio_parse(buf_bytes(&reply->body), &document, &err) != 0)
        (void)fprintf(stderr, "entrepot: the server's answer cannot be read: %s\n", err.text);
    return document;
}

static int print_body(const struct reply *reply)
{
    (void)fwrite(reply->body.data, 1, buf_bytes(&reply->body).length, stdout);
    return 0;
}

/* The name as people write it: "docker.io/library/nginx". */
static void print_name(struct jsonio_value entry, const char *key, struct buf *out)
{
    struct slice origin = text_of(entry, "origin");

    buf_append_slice(out, origin);
    if (origin.length > 0)
        buf_append_byte(out, '/');
    buf_append_slice(out, text_of(entry, key));
}

static void print_image(struct jsonio_value entry, struct buf *out)
{
    struct slice tag = text_of(entry, "tag");

    print_name(entry, "repository", out);
    buf_append_byte(out, tag.length > 0 ? ':' : '@');
    buf_append_slice(out, tag.length > 0 ? tag : text_of(entry, "digest"));
}

/* ---- lists ---- */

struct list_print {
    struct table *table; /* NULL: JSON */
    struct jsonio_writer *json;
    void (*row)(struct table *table, struct jsonio_value entry);
};

static void on_entry(struct jsonio_value entry, void *arg)
{
    const struct list_print *list = arg;

    if (list->table)
        list->row(list->table, entry);
    else
        jsonio_put_value(list->json, NULL, entry);
}

/* All pages: as one JSON document, or as a table. */
static int print_list(const struct call *call, const char *address, const char *key,
                      const char *const *heads,
                      void (*row)(struct table *table, struct jsonio_value entry))
{
    struct list_print list = {.row = row};
    struct jsonio_writer json;
    AUTO_BUF struct buf text;

    buf_init(&text, LIST_MAX);
    jsonio_writer_init(&json, &text);
    list.json = &json;
    if (call->is_json) {
        jsonio_put_object(&json, NULL);
        jsonio_put_array(&json, key);
    } else {
        list.table = table_new(heads);
    }
    bool is_right = call_each(call, address, key, on_entry, &list);
    if (list.table) {
        table_print(&list.table);
    } else {
        jsonio_put_end(&json);
        jsonio_put_end(&json);
        if (is_right && !text.is_over) {
            (void)printf("%s\n", buf_text(&text));
        } else if (is_right) {
            (void)fprintf(stderr,
                          "entrepot: the list is too long for one JSON document; name a PATTERN\n");
        }
        is_right = is_right && !text.is_over;
    }
    return is_right ? 0 : CLI_STATUS_FAILED;
}

static void row_of_name(struct table *table, struct jsonio_value entry)
{
    AUTO_BUF struct buf name;

    buf_init(&name, ADDRESS_MAX);
    print_image(entry, &name);
    table_text(table, buf_bytes(&name));
}

static void row_of_image(struct table *table, struct jsonio_value entry)
{
    struct slice used = text_of(entry, "last_used");

    row_of_name(table, entry);
    table_size(table, number_of(entry, "bytes"));
    table_text(table, used.length > 0 ? used : slice_of("-"));
    table_text(table, text_of(entry, "digest"));
}

static void add_match(const struct call *call, const char *joint, struct buf *address)
{
    if (call->operand_count == 0)
        return;
    buf_printf(address, "%smatch=", joint);
    text_percent_encode(address, slice_of(call->operands[0]), "/");
}

int client_list(struct call *call)
{
    static const char *const heads[] = {"IMAGE", "SIZE", "LAST PULLED", "DIGEST", NULL};
    static const char *const name_heads[] = {"IMAGE", NULL};
    bool is_quiet = has(call, COMMAND_QUIET);
    AUTO_BUF struct buf address;

    buf_init(&address, ADDRESS_MAX);
    buf_append_text(&address, "images?limit=1000");
    add_match(call, "&", &address);
    return print_list(call, buf_text(&address), "images", is_quiet ? name_heads : heads,
                      is_quiet ? row_of_name : row_of_image);
}

/* ---- usage ---- */

static void row_of_upstream(struct table *table, struct jsonio_value entry)
{
    struct slice origin = text_of(entry, "origin");

    table_text(table, origin.length > 0 ? origin : slice_of("(pushed here)"));
    table_number(table, number_of(entry, "repositories"));
    table_size(table, number_of(entry, "bytes"));
}

static void row_of_repository(struct table *table, struct jsonio_value entry)
{
    AUTO_BUF struct buf name;

    buf_init(&name, ADDRESS_MAX);
    print_name(entry, "name", &name);
    table_text(table, buf_bytes(&name));
    table_size(table, number_of(entry, "bytes"));
    table_size(table, number_of(entry, "own_bytes"));
}

static void row_of_next(struct table *table, struct jsonio_value entry)
{
    AUTO_BUF struct buf name;
    struct jsonio_value first = jsonio_element(jsonio_member(entry, "repositories"), 0);

    buf_init(&name, ADDRESS_MAX);
    print_name(first, "name", &name);
    table_text(table, text_of(entry, "last_used"));
    table_size(table, number_of(entry, "bytes"));
    table_text(table, buf_bytes(&name));
    table_text(table, text_of(entry, "digest"));
}

static int print_totals(const struct call *call)
{
    AUTO_REPLY struct reply reply = {.status = 0};
    AUTO_JSONIO struct jsonio *document = NULL;
    char sizes[3][TABLE_SIZE_TEXT];

    if (!call_get(call, "GET", "usage", slice_from(NULL, 0), &reply) || !(document = parse(&reply)))
        return CLI_STATUS_FAILED;
    struct jsonio_value total = jsonio_member(jsonio_root(document), "total");
    (void)printf("\nOn disk %s, of it cached %s; unfinished downloads %s. Layers that repositories "
                 "share count in each.\n",
                 table_size_text(number_of(total, "bytes"), sizes[0]),
                 table_size_text(number_of(total, "cached_bytes"), sizes[1]),
                 table_size_text(number_of(total, "spool_bytes"), sizes[2]));
    return 0;
}

int client_usage(struct call *call)
{
    static const char *const upstream_heads[] = {"UPSTREAM", "REPOSITORIES", "SIZE", NULL};
    static const char *const repository_heads[] = {"REPOSITORY", "SIZE", "OWN", NULL};
    static const char *const next_heads[] = {"LAST PULLED", "SIZE", "REPOSITORY", "DIGEST", NULL};
    const char *by = call->by ? call->by : call->operand_count > 0 ? "repository" : "upstream";
    AUTO_BUF struct buf address;

    buf_init(&address, ADDRESS_MAX);
    buf_append_text(&address, "usage?by=");
    text_percent_encode(&address, slice_of(by), "");
    add_match(call, "&", &address);
    if (strcmp(by, "repository") == 0)
        return print_list(call, buf_text(&address), "usage", repository_heads, row_of_repository);
    if (strcmp(by, "next") == 0)
        return print_list(call, buf_text(&address), "usage", next_heads, row_of_next);
    int status = print_list(call, buf_text(&address), "usage", upstream_heads, row_of_upstream);
    if (status == 0 && !call->is_json && table_is_terminal())
        status = print_totals(call);
    return status;
}

/* ---- status ---- */

static void print_status(struct jsonio_value root)
{
    struct jsonio_value storage = jsonio_member(root, "storage");
    struct jsonio_value counts = jsonio_member(root, "since_start");
    struct jsonio_value processes = jsonio_member(root, "processes");
    char sizes[2][TABLE_SIZE_TEXT];

    (void)printf("version      %.*s\n", SLICE_PRINT(text_of(root, "version")));
    for (size_t i = 0; i < jsonio_length(processes); i++) {
        struct jsonio_value process = jsonio_element(processes, i);
        bool answers = jsonio_is_true(jsonio_member(process, "answers"));

        (void)printf("%-12.*s %s\n", SLICE_PRINT(text_of(process, "role")),
                     answers ? "answers" : "does not answer");
    }
    (void)printf("data         %.*s, %s of %s free\n", SLICE_PRINT(text_of(storage, "path")),
                 table_size_text(number_of(storage, "free_bytes"), sizes[0]),
                 table_size_text(number_of(storage, "total_bytes"), sizes[1]));
    (void)printf("connections  %llu\n", (unsigned long long)number_of(root, "connections"));
    (void)printf("since start  %llu requests (%llu failed), %llu pulls from disk, %llu from "
                 "upstreams, %llu pushes\n",
                 (unsigned long long)number_of(counts, "requests"),
                 (unsigned long long)number_of(counts, "requests_failed"),
                 (unsigned long long)number_of(counts, "hits"),
                 (unsigned long long)number_of(counts, "misses"),
                 (unsigned long long)number_of(counts, "pushes"));
}

int client_status(struct call *call)
{
    AUTO_REPLY struct reply reply = {.status = 0};
    AUTO_JSONIO struct jsonio *document = NULL;

    if (!call_get(call, "GET", "status", slice_from(NULL, 0), &reply))
        return CLI_STATUS_FAILED;
    if (call->is_json)
        return print_body(&reply);
    document = parse(&reply);
    if (!document)
        return CLI_STATUS_FAILED;
    if (!has(call, COMMAND_QUIET))
        print_status(jsonio_root(document));
    return 0;
}

/* ---- removing ---- */

static void put_images(const struct call *call, struct jsonio_writer *json)
{
    jsonio_put_array(json, "images");
    for (size_t i = 0; i < call->operand_count; i++)
        jsonio_put_text(json, NULL, call->operands[i]);
    jsonio_put_end(json);
}

struct removal_sum {
    uint64_t images, bytes;
    bool has_kept;
    bool has_more; /* the server has not looked at all images that match */
};

static void print_entry(const struct call *call, struct jsonio_value entry, bool is_kept)
{
    AUTO_BUF struct buf name;

    buf_init(&name, ADDRESS_MAX);
    if (jsonio_type(jsonio_member(entry, "released")) != JSONIO_ABSENT)
        print_name(entry, "repository", &name);
    else
        print_image(entry, &name);
    if (is_kept) {
        (void)fprintf(stderr, "entrepot: %s stays: %.*s\n", buf_text(&name),
                      SLICE_PRINT(text_of(entry, "message")));
    } else if (!has(call, COMMAND_QUIET)) {
        (void)printf("%s\n", buf_text(&name));
    }
}

static void print_entries(const struct call *call, struct jsonio_value list, bool is_kept)
{
    for (size_t i = 0; i < jsonio_length(list); i++)
        print_entry(call, jsonio_element(list, i), is_kept);
}

/* One answer. True: ask again, there is more, and something was removed. */
static bool take_removal(const struct call *call, struct jsonio_value root, struct removal_sum *sum)
{
    struct jsonio_value removed = jsonio_member(root, "removed");
    struct jsonio_value kept = jsonio_member(root, "kept");

    if (!call->is_json) {
        print_entries(call, removed, false);
        print_entries(call, kept, true);
    }
    sum->images += jsonio_length(removed);
    sum->bytes += number_of(root, "bytes");
    sum->has_kept = sum->has_kept || jsonio_length(kept) > 0;
    sum->has_more = jsonio_is_true(jsonio_member(root, "more"));
    return sum->has_more && jsonio_length(removed) > 0 && !has(call, COMMAND_DRY_RUN);
}

/* False: an error was printed. */
static bool remove_all(const struct call *call, struct slice body, struct removal_sum *sum)
{
    bool goes_on = true;

    while (goes_on) {
        AUTO_REPLY struct reply reply = {.status = 0};
        AUTO_JSONIO struct jsonio *document = NULL;

        if (!call_get(call, "POST", "removals", body, &reply) || !(document = parse(&reply)))
            return false;
        if (call->is_json)
            (void)print_body(&reply);
        goes_on = take_removal(call, jsonio_root(document), sum);
    }
    return true;
}

static void print_removal_sum(const struct call *call, const struct removal_sum *sum)
{
    bool is_dry = has(call, COMMAND_DRY_RUN);
    char size[TABLE_SIZE_TEXT];

    (void)fprintf(stderr, "%llu %s, %s %s\n", (unsigned long long)sum->images,
                  is_dry ? "would be removed" : "removed", table_size_text(sum->bytes, size),
                  is_dry                   ? "would be freed"
                  : has(call, COMMAND_NOW) ? "freed"
                                           : "will be freed after twice storage.grace");
}

int client_remove(struct call *call)
{
    AUTO_BUF struct buf body;
    struct jsonio_writer json;
    struct removal_sum sum = {.images = 0};

    buf_init(&body, INPUT_MAX);
    jsonio_writer_init(&json, &body);
    jsonio_put_object(&json, NULL);
    put_images(call, &json);
    jsonio_put_bool(&json, "repository", has(call, COMMAND_REPOSITORY));
    jsonio_put_bool(&json, "untagged", has(call, COMMAND_UNTAGGED));
    jsonio_put_bool(&json, "release", has(call, COMMAND_RELEASE));
    jsonio_put_bool(&json, "keep_children", has(call, COMMAND_KEEP_CHILDREN));
    jsonio_put_bool(&json, "dry_run", has(call, COMMAND_DRY_RUN));
    jsonio_put_bool(&json, "now", has(call, COMMAND_NOW));
    jsonio_put_end(&json);
    if (!remove_all(call, buf_bytes(&body), &sum))
        return CLI_STATUS_FAILED;
    if (sum.images == 0 && !sum.has_kept && !call->is_json) {
        (void)fprintf(stderr, "entrepot: no image here matches; entrepot ls shows what is here\n");
        return CLI_STATUS_FAILED;
    }
    if (!call->is_json && !has(call, COMMAND_QUIET))
        print_removal_sum(call, &sum);
    if (sum.has_more) {
        (void)fprintf(stderr,
                      "entrepot: more images match than the server looks at in one request; "
                      "these are the first\n");
    }
    return sum.has_kept ? CLI_STATUS_FAILED : 0;
}

/* ---- collecting ---- */

int client_collect(struct call *call)
{
    AUTO_REPLY struct reply reply = {.status = 0};
    AUTO_JSONIO struct jsonio *document = NULL;
    struct slice body =
        has(call, COMMAND_DRY_RUN) ? SLICE_LITERAL("{\"dry_run\":true}") : SLICE_LITERAL("{}");
    char size[TABLE_SIZE_TEXT];

    if (!call_get(call, "POST", "collections", body, &reply))
        return CLI_STATUS_FAILED;
    if (call->is_json)
        return print_body(&reply);
    document = parse(&reply);
    if (!document)
        return CLI_STATUS_FAILED;
    struct jsonio_value waiting = jsonio_member(jsonio_root(document), "waiting");
    if (!has(call, COMMAND_QUIET)) {
        (void)printf("%llu blobs of %s wait for their time (twice storage.grace)\n",
                     (unsigned long long)number_of(waiting, "blobs"),
                     table_size_text(number_of(waiting, "bytes"), size));
    }
    return 0;
}

/* ---- pins ---- */

static bool read_input(const char *file, struct buf *out)
{
    FILE *input = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    char *space = NULL;
    size_t count = 1;

    if (!input) {
        (void)fprintf(stderr, "entrepot: cannot read %s: %s\n", file, strerrordesc_np(errno));
        return false;
    }
    while (count > 0 && (space = buf_reserve(out, 4096))) {
        count = fread(space, 1, 4096, input);
        buf_added(out, count);
    }
    bool is_right = ferror(input) == 0 && space && buf_bytes(out).length <= INPUT_MAX;
    if (input != stdin)
        (void)fclose(input);
    if (!is_right) {
        (void)fprintf(stderr, "entrepot: %s cannot be read, or has more than %zu bytes\n", file,
                      INPUT_MAX);
    }
    return is_right;
}

/* One image a line; what stands behind # is not read. Returns how many there were. */
static size_t put_lines(struct slice text, struct jsonio_writer *json)
{
    struct slice line;
    size_t count = 0;

    while (slice_split(&text, '\n', &line)) {
        ptrdiff_t hash = slice_find(line, '#');
        struct slice image = slice_trim(hash < 0 ? line : slice_from(line.data, (size_t)hash));

        if (image.length == 0)
            continue;
        jsonio_put_string(json, NULL, image);
        count++;
    }
    return count;
}

static int change_pins(const struct call *call, bool is_removal)
{
    AUTO_REPLY struct reply reply = {.status = 0};
    AUTO_BUF struct buf body;
    AUTO_BUF struct buf input;
    struct jsonio_writer json;

    buf_init(&body, 2 * INPUT_MAX);
    buf_init(&input, INPUT_MAX + 8192);
    jsonio_writer_init(&json, &body);
    jsonio_put_object(&json, NULL);
    if (call->set)
        jsonio_put_text(&json, "set", call->set);
    if (is_removal)
        jsonio_put_bool(&json, "remove", true);
    if (call->from && !read_input(call->from, &input))
        return CLI_STATUS_FAILED;
    jsonio_put_array(&json, "images");
    for (size_t i = 0; i < call->operand_count; i++)
        jsonio_put_text(&json, NULL, call->operands[i]);
    if (put_lines(buf_bytes(&input), &json) == 0 && call->from && call->operand_count == 0) {
        (void)fprintf(stderr,
                      "entrepot %s: %s names no image; to empty a set, name its images to entrepot "
                      "unpin\n",
                      call->command->name, call->from);
        return CLI_STATUS_FAILED;
    }
    jsonio_put_end(&json);
    jsonio_put_end(&json);
    const char *method = call->from && !is_removal ? "PUT" : "POST";
    if (!call_get(call, method, "pins", buf_bytes(&body), &reply))
        return CLI_STATUS_FAILED;
    return call->is_json ? print_body(&reply) : 0;
}

static void row_of_pin(struct table *table, struct jsonio_value entry)
{
    table_text(table, text_of(entry, "set"));
    table_text(table, text_of(entry, "image"));
}

int client_pin(struct call *call)
{
    static const char *const heads[] = {"SET", "IMAGE", NULL};

    if (call->operand_count == 0 && !call->from)
        return print_list(call, "pins?limit=1000", "pins", heads, row_of_pin);
    return change_pins(call, false);
}

int client_unpin(struct call *call)
{
    if (call->operand_count == 0 && !call->from) {
        (void)fprintf(stderr, "entrepot unpin: name the images, or --from FILE\n");
        return CLI_STATUS_USAGE;
    }
    return change_pins(call, true);
}

/* ---- anything else ---- */

int client_api(struct call *call)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    AUTO_REPLY struct reply reply = {.status = 0};
    AUTO_BUF struct buf input;
    bool is_known = false;

    buf_init(&input, INPUT_MAX + 8192);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        is_known = is_known || strcmp(call->operands[0], methods[i]) == 0;
    if (!is_known) {
        (void)fprintf(stderr,
                      "entrepot api: unknown method %s; there are GET, POST, PUT and DELETE\n",
                      call->operands[0]);
        return CLI_STATUS_USAGE;
    }
    if (call->data && !read_input(call->data, &input))
        return CLI_STATUS_FAILED;
    struct slice body = call->data ? buf_bytes(&input) : slice_from(NULL, 0);
    if (!call_ask(call, call->operands[0], call->operands[1], body, &reply))
        return CLI_STATUS_FAILED;
    (void)print_body(&reply);
    return reply.status < 400 ? 0 : CLI_STATUS_FAILED;
}
