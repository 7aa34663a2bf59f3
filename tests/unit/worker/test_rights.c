/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An authorizer that allows one repository alone, against everything that could answer from
 * another: every endpoint of the table, every spelling of every name, every source of bytes (disk,
 * flight, mount, namesake, referrers, lists, the upload session of another repository), conditions
 * and ranges.
 *
 * What must hold of each answer:
 *   - it has no bytes, and no digest, of another repository;
 *   - a read of what the allowed repository does not have is no success, no 304, 412 or 416;
 *   - nothing is asked of fetcher or keeper for another repository, and what is asked of the
 * fetcher for the allowed one says that the repository itself must have it;
 *   - where rights were refused, it is the same to the byte whether the repository exists or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "endpoints.h"
#include "oci/api_error.h"
#include "rules/authorize.h"
#include "rules/principal.h"
#include "rules/resolve.h"
#include "scene.h"
#include "worker/worker.h"

#define REFUSAL  "you have no rights here"
#define TEXT_MAX 4096

/* ---- what is here ---- */

struct place {
    const char *origin;
    const char *name;
    struct slice blob; /* its content, made by set_up */
    struct digest blob_digest;
    struct slice manifest;
    struct digest manifest_digest;
    struct digest referrer_digest;
    char text[3][128];
};

static struct place places[] = {
    {.origin = "docker.io", .name = "library/allowed"},
    {.origin = "", .name = "team/allowed"},
    {.origin = "docker.io", .name = "team/allowed"},
    {.origin = "ghcr.io", .name = "team/allowed"},
    {.origin = "docker.io", .name = "library/secret"},
    {.origin = "", .name = "team/secret"},
    {.origin = "docker.io", .name = "team/secret"},
    {.origin = "ghcr.io", .name = "team/secret"},
    {.origin = "docker.io", .name = "org/secret"},
    {.origin = "", .name = "secretmine"},
};
#define PLACES        (sizeof(places) / sizeof(places[0]))
#define ALLOWED_FIRST 4 /* the first places are allowed, each in a run of its own */

/* A repository that does not exist, for each that may not be seen. */
static const char *const stems[][2] = {
    {"allowed", "allowed"},         {"team/allowed", "team/allowed"}, {"secret", "nobody"},
    {"team/secret", "team/nobody"}, {"org/secret", "org/nobody"},     {"secretmine", "nobodymine"},
};

static struct scene *scene;
static struct guest guest;
static enum listener_kind listener;
static const struct place *allowed; /* NULL: all are */
static unsigned granted;            /* questions of this request that were answered yes */
static unsigned successes[64];      /* by row of the table of endpoints */
static unsigned refusals[64];

static bool is_place(const struct place *place, struct slice origin, struct slice name)
{
    return slice_is(origin, place->origin) && slice_is(name, place->name);
}

static int authorize_one(const struct principal *principal, const struct resolved *target,
                         enum action action, struct api_error *error, void *arg)
{
    (void)principal;
    (void)action;
    (void)arg;
    if (allowed && !is_place(allowed, target->origin, target->name))
        return api_error_set(error, API_DENIED, REFUSAL);
    granted++;
    return 0;
}

static void put_manifest(struct ledger_txn *txn, const struct repository *repository,
                         struct slice bytes, bool is_public, const struct digest *subject,
                         struct digest *out)
{
    digest_of(HASH_SHA256, bytes, out);
    struct manifest_record record = {
        .size = bytes.length,
        .media_type = SLICE_LITERAL("application/vnd.oci.image.manifest.v1+json"),
        .is_typed = true,
        .bytes = bytes,
    };
    struct blob_record blob = {.size = bytes.length, .is_public = is_public, .where = BLOB_HERE};
    if (subject) {
        record.subject = *subject;
        referrer_put(txn, repository->id, subject, out);
    }
    manifest_put(txn, out, &record);
    blob_put(txn, out, &blob);
    link_put(txn, repository->id, out, LINK_MANIFEST, record.media_type);
}

static void put_place(struct ledger_txn *txn, struct place *place, bool is_public)
{
    struct repository repository;
    struct tag tag = {.changed_ms = 1, .checked_ms = 1700000000000};

    (void)snprintf(place->text[0], sizeof(place->text[0]), "BYTES of %s %s", place->origin,
                   place->name);
    (void)snprintf(place->text[1], sizeof(place->text[1]), "{\"MANIFEST of\":\"%s %s\"}",
                   place->origin, place->name);
    (void)snprintf(place->text[2], sizeof(place->text[2]), "{\"REFERRER of\":\"%s %s\"}",
                   place->origin, place->name);
    repository_get(txn, slice_of(place->origin), slice_of(place->name), &repository);
    place->blob = slice_of(place->text[0]);
    place->manifest = slice_of(place->text[1]);
    scene_put_blob(scene, txn, place->blob, is_public, &place->blob_digest);
    link_put(txn, repository.id, &place->blob_digest, LINK_BLOB, slice_of(""));
    put_manifest(txn, &repository, place->manifest, is_public, NULL, &place->manifest_digest);
    put_manifest(txn, &repository, slice_of(place->text[2]), is_public, &place->manifest_digest,
                 &place->referrer_digest);
    tag.digest = place->manifest_digest;
    tag_put(txn, repository.id, slice_of("latest"), &tag);
    repository.is_hosted = place->origin[0] == '\0';
    repository.links = 3;
    repository_put(txn, slice_of(place->origin), slice_of(place->name), &repository);
}

static void open_scene(bool has_default, bool is_public)
{
    struct worker_options options = {.authorizer = {.authorize = authorize_one}};

    allowed = NULL;
    scene =
        scene_new_with(has_default ? "names: [registry.lab.example]\n"
                                     "upstreams: { docker.io: { default: true }, ghcr.io: {} }\n"
                                     "hosted: { protect: [] }\n"
                                   : "names: [registry.lab.example]\n"
                                     "upstreams: { ghcr.io: {} }\n",
                       &options);
    struct ledger_txn *txn = scene_write(scene);
    for (size_t i = 0; i < PLACES; i++)
        put_place(txn, &places[i], is_public);
    scene_commit(txn);
}

/* ---- one request ---- */

static const char *request_text; /* for messages */

static bool is_denied(const struct place *place)
{
    return place != allowed;
}

static bool is_of_allowed(const struct digest *digest)
{
    return digest_equal(digest, &allowed->blob_digest) ||
           digest_equal(digest, &allowed->manifest_digest) ||
           digest_equal(digest, &allowed->referrer_digest);
}

static void check_join(const struct message_join *join)
{
    bool is_content = join->kind == JOIN_BLOB || join->kind == JOIN_MANIFEST;

    if (!is_place(allowed, join->origin, join->repository)) {
        fail_msg("%s\nasked the fetcher for %.*s of %.*s", request_text,
                 SLICE_PRINT(join->repository), SLICE_PRINT(join->origin));
    }
    if (is_content && !join->is_check)
        fail_msg("%s\nwould take what others brought", request_text);
}

static void check_repository(struct slice repository, const char *what)
{
    if (!is_place(allowed, slice_of(""), repository)) {
        fail_msg("%s\nasked the keeper for %s of %.*s", request_text, what,
                 SLICE_PRINT(repository));
    }
}

/* The fetcher finds nothing; the keeper does all that it is asked. False: nobody was asked. */
static bool play_peers(void)
{
    enum message_type type;
    const union any_message *said = scene_heard_any(scene, ROLE_FETCHER, &type);

    if (said && type == MESSAGE_JOIN) {
        struct message_failed failed = {.request = said->join.request, .kind = ERR_NOT_FOUND};

        check_join(&said->join);
        /* What is here of a list is shown while the upstream cannot be asked. */
        if (said->join.kind == JOIN_TAGS_LIST || said->join.kind == JOIN_REFERRERS)
            failed.kind = ERR_UPSTREAM;
        failed.text = slice_of("not from the upstream");
        scene_say(scene, ROLE_FETCHER, MESSAGE_FAILED, &failed, -1);
        return true;
    }
    if (said)
        return true; /* LEAVE */
    said = scene_heard_any(scene, ROLE_KEEPER, &type);
    if (!said)
        return false;
    uint64_t request = 0;
    if (type == MESSAGE_LINK) {
        check_repository(said->link.repository, "a link");
        if (!is_of_allowed(&said->link.digest))
            fail_msg("%s\nlinks a digest of another repository", request_text);
        request = said->link.head.request;
    } else if (type == MESSAGE_PUSH_BEGUN) {
        check_repository(said->push_begun.repository, "a mark");
        request = said->push_begun.head.request;
    } else if (type == MESSAGE_BLOB_STORED) {
        check_repository(said->blob_stored.repository, "a blob");
        request = said->blob_stored.head.request;
    } else if (type == MESSAGE_MANIFEST_PUT) {
        check_repository(said->manifest_put.repository, "a manifest");
        request = said->manifest_put.head.request;
    } else if (type == MESSAGE_REMOVE) {
        check_repository(said->remove.repository, "a removal");
        request = said->remove.head.request;
    } else {
        fail_msg("%s\nasked the keeper %s", request_text, message_name(type));
    }
    scene_done(scene, request);
    return true;
}

static void reconnect(void)
{
    if (guest.fd >= 0)
        guest_leave(scene, &guest);
    guest_come(scene, &guest, listener);
}

/* The whole answer, in `out`; its status. */
static int ask(const char *text, char out[TEXT_MAX])
{
    if (guest.is_closed)
        reconnect();
    guest_forget(&guest);
    request_text = text;
    granted = 0;
    guest_send(scene, &guest, "%s", text);
    while (play_peers())
        continue;
    int status = guest_status(scene, &guest);
    (void)snprintf(out, TEXT_MAX, "%s", guest_got(scene, &guest));
    if (status == 0)
        fail_msg("%s\nwas not answered", text);
    return status;
}

static void check_has_no_digest(const char *answer, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];

    if (strstr(answer, digest_print(digest, text)))
        fail_msg("%s\nwas told the digest %s:\n%s", request_text, text, answer);
}

static void check_has_nothing_of_others(const char *answer)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (!is_denied(&places[i]))
            continue;
        for (size_t text = 0; text < 3; text++) {
            if (strstr(answer, places[i].text[text]))
                fail_msg("%s\ngot %s", request_text, places[i].text[text]);
        }
        check_has_no_digest(answer, &places[i].blob_digest);
        check_has_no_digest(answer, &places[i].manifest_digest);
        check_has_no_digest(answer, &places[i].referrer_digest);
    }
}

/* A session that was begun is ended: there is room for few. */
static void end_session(const char *answer)
{
    char text[TEXT_MAX];
    char ignored[TEXT_MAX];
    const char *location = strstr(answer, "Location: ");
    const char *end = location ? strstr(location, "\r\n") : NULL;

    if (!end || !strstr(location, "/uploads/"))
        return;
    location += strlen("Location: ");
    (void)snprintf(text, sizeof(text), "DELETE %.*s HTTP/1.1\r\nHost: x\r\n\r\n",
                   (int)(end - location), location);
    (void)ask(text, ignored);
}

/* ---- names: every way of writing them ---- */

static const char *const prefixes[] = {"",
                                       "library/",
                                       "docker.io/",
                                       "docker.io/library/",
                                       "index.docker.io/",
                                       "registry-1.docker.io/",
                                       "ghcr.io/",
                                       "registry.lab.example/"};
static const char *const namespaces[] = {"",
                                         "docker.io",
                                         "index.docker.io",
                                         "registry-1.docker.io",
                                         "DOCKER.IO",
                                         "ghcr.io",
                                         "registry.lab.example",
                                         "Registry.Lab.EXAMPLE",
                                         "unknown.example"};
#define PREFIXES   (sizeof(prefixes) / sizeof(prefixes[0]))
#define NAMESPACES (sizeof(namespaces) / sizeof(namespaces[0]))
#define STEMS      (sizeof(stems) / sizeof(stems[0]))

/* ---- what is asked at an endpoint ---- */

struct target {
    char tail[256]; /* of the path, after /v2/NAME */
    const char *fields;
    const char *body;
    bool is_others; /* a read of what the allowed repository does not have */
};
#define TARGETS_MAX 512

static struct target targets[TARGETS_MAX];
static size_t target_count;
static char session_of_others[128];
static char own_session[128];
static char flying[DIGEST_TEXT_SIZE]; /* another repository's blob that is being downloaded */

static struct target *add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static struct target *add(const char *fmt, ...)
{
    va_list args;

    assert_true(target_count < TARGETS_MAX);
    struct target *target = &targets[target_count++];
    *target = (struct target){.fields = "", .body = ""};
    va_start(args, fmt);
    (void)vsnprintf(target->tail, sizeof(target->tail), fmt, args);
    va_end(args);
    return target;
}

/* With all that is answered otherwise when it is there. */
static void add_read(bool is_others, const char *folder, const char *reference)
{
    static const char *const fields[] = {"", "If-None-Match: *\r\n", "If-Match: \"other\"\r\n",
                                         "Range: bytes=0-3\r\n", "Range: bytes=9999-\r\n"};

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct target *target = add("%s%s", folder, reference);

        target->fields = fields[i];
        target->is_others = is_others;
    }
}

static void add_contents(const struct endpoint *endpoint, bool is_read, const struct place *place)
{
    char blob[DIGEST_TEXT_SIZE];
    char manifest[DIGEST_TEXT_SIZE];

    digest_print(&place->blob_digest, blob);
    digest_print(&place->manifest_digest, manifest);
    if (endpoint->kind == OPERATION_REFERRERS) {
        (void)add("/referrers/%s", manifest);
    } else if (endpoint->kind == OPERATION_BLOB && is_read) {
        add_read(is_denied(place), "/blobs/", blob);
        add_read(is_denied(place), "/blobs/", manifest);
    } else if (endpoint->kind == OPERATION_BLOB) {
        (void)add("/blobs/%s", blob);
    } else if (endpoint->kind == OPERATION_MANIFEST && is_read) {
        add_read(is_denied(place), "/manifests/", manifest);
    } else if (endpoint->kind == OPERATION_MANIFEST) {
        (void)add("/manifests/%s", manifest);
    } else if (endpoint->kind == OPERATION_UPLOAD_START) {
        for (size_t stem = 0; stem < STEMS; stem++) {
            for (size_t i = 0; i < PREFIXES; i++)
                (void)add("/blobs/uploads/?mount=%s&from=%s%s", blob, prefixes[i], stems[stem][0]);
        }
        (void)add("/blobs/uploads/?mount=%s", blob);
    }
}

static void add_sessions(enum http_method method)
{
    static char digest_text[DIGEST_TEXT_SIZE];
    const char *const ids[] = {session_of_others, own_session};
    struct digest digest;

    digest_of(HASH_SHA256, slice_of("abc"), &digest);
    digest_print(&digest, digest_text);
    for (size_t i = 0; i < 2; i++) {
        if (method == METHOD_PUT)
            add("/blobs/uploads/%s?digest=%s", ids[i], digest_text)->body = "abc";
        else if (method == METHOD_PATCH)
            add("/blobs/uploads/%s", ids[i])->body = "abc";
        else
            (void)add("/blobs/uploads/%s", ids[i]);
        targets[target_count - 1].is_others = i == 0;
    }
}

/* A new kind of address must be thought of here. */
static void add_rest(const struct endpoint *endpoint, enum http_method method, bool is_read)
{
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"a/b\",\"size\":1,\"digest\":\"sha256:"
        "0000000000000000000000000000000000000000000000000000000000000000\"},\"layers\":[]}";

    switch (endpoint->kind) {
    case OPERATION_TAGS:
        (void)add("/tags/list");
        (void)add("/tags/list?n=1");
        break;
    case OPERATION_MANIFEST:
        add("/manifests/latest")->body = is_read || method == METHOD_DELETE ? "" : manifest;
        add("/manifests/pending")->is_others = is_read;
        break;
    case OPERATION_BLOB:
        add_read(is_read, "/blobs/", flying);
        break;
    case OPERATION_UPLOAD_START:
        (void)add("/blobs/uploads/");
        break;
    case OPERATION_UPLOAD:
        add_sessions(method);
        break;
    case OPERATION_REFERRERS:
        break;
    case OPERATION_CATALOG:
    case OPERATION_BASE:
        fail_msg("an endpoint that needs a repository has a kind that was not thought of");
    }
}

/* ---- the walk ---- */

static void print_request(char out[TEXT_MAX], const char *method, const char *prefix,
                          const char *stem, const char *ns, const struct target *target)
{
    bool has_query = strchr(target->tail, '?');
    bool has_length = target->body[0] != '\0' || strcmp(method, "POST") == 0 ||
                      strcmp(method, "PATCH") == 0 || strcmp(method, "PUT") == 0;
    char length[64] = "";

    if (has_length)
        (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(target->body));
    (void)snprintf(out, TEXT_MAX, "%s /v2/%s%s%s%s%s HTTP/1.1\r\nHost: x\r\n%s%s\r\n%s", method,
                   prefix, stem, target->tail, ns[0] ? (has_query ? "&ns=" : "?ns=") : "", ns,
                   target->fields, length, target->body);
}

static const char *method_name(enum http_method method)
{
    static const char *const names[] = {
        [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",   [METHOD_POST] = "POST",
        [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
        [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "OTHER",
    };

    return names[method];
}

/* In the allow-all phase; the id. */
static void begin_session(const char *repository, char out[128])
{
    const struct place *kept = TAKE(allowed);
    char text[256];
    char answer[TEXT_MAX];

    (void)snprintf(text, sizeof(text),
                   "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                   repository);
    assert_int_equal(ask(text, answer), 202);
    const char *id = strstr(answer, "Docker-Upload-UUID: ");
    assert_non_null(id);
    (void)sscanf(id, "Docker-Upload-UUID: %100[^\r]", out);
    allowed = kept;
}

static void cancel_session(const char *repository, const char *id)
{
    const struct place *kept = TAKE(allowed);
    char text[512];
    char answer[TEXT_MAX];

    (void)snprintf(text, sizeof(text), "DELETE /v2/%s/blobs/uploads/%s HTTP/1.1\r\nHost: x\r\n\r\n",
                   repository, id);
    (void)ask(text, answer); /* it may have ended */
    allowed = kept;
}

struct row {
    size_t number;
    const struct endpoint *endpoint;
    enum http_method method;
};

/* False: there were no rights. */
static bool ask_for(const struct row *row, const char *prefix, size_t stem, const char *ns,
                    const struct target *target)
{
    static char text[TEXT_MAX];
    static char answer[TEXT_MAX];
    static char twin[TEXT_MAX];

    print_request(text, method_name(row->method), prefix, stems[stem][0], ns, target);
    int status = ask(text, answer);
    bool is_granted = granted > 0;
    check_has_nothing_of_others(answer);
    if (target->is_others && (status < 400 || status == 412 || status == 416))
        fail_msg("%s\ngot what the allowed repository does not have:\n%s", text, answer);
    if (!is_granted && status < 400)
        fail_msg("%s\nwas answered without rights:\n%s", text, answer);
    successes[row->number] += is_granted && status < 300;
    refusals[row->number] += status == 403 && !is_granted;
    if (row->endpoint->kind == OPERATION_UPLOAD_START)
        end_session(answer);
    if (is_granted || stems[stem][0] == stems[stem][1])
        return is_granted;
    print_request(text, method_name(row->method), prefix, stems[stem][1], ns, target);
    (void)ask(text, twin);
    if (strcmp(answer, twin) != 0)
        fail_msg("%s\nis told whether the repository exists:\n%s\n%s", text, answer, twin);
    return false;
}

/* What a bare name means depends on what is asked; a name that is written otherwise, and is not the
 * allowed repository's, is refused whatever is asked of it. */
static void ask_spelled(const struct row *row, const char *prefix, size_t stem, const char *ns)
{
    bool is_bare = prefix[0] == '\0' && ns[0] == '\0';

    for (size_t i = 0; i < target_count; i++) {
        if (!ask_for(row, prefix, stem, ns, &targets[i]) && !is_bare && i > 0)
            return;
    }
}

static void ask_for_stem(const struct row *row, size_t stem)
{
    bool is_read = row->method == METHOD_GET || row->method == METHOD_HEAD;
    bool is_allowed = stems[stem][0] == stems[stem][1];

    target_count = 0;
    add_rest(row->endpoint, row->method, is_read);
    for (size_t i = 0; i < PLACES; i++) {
        if (is_allowed || strstr(places[i].name, stems[stem][0]))
            add_contents(row->endpoint, is_read, &places[i]);
    }
    for (size_t prefix = 0; prefix < PREFIXES; prefix++) {
        for (size_t ns = 0; ns < NAMESPACES; ns++) {
            /* Two ways of naming at once: with one prefix. */
            if (prefix == 0 || ns == 0 || prefix == 2)
                ask_spelled(row, prefixes[prefix], stem, namespaces[ns]);
        }
    }
}

static void ask_all(void)
{
    struct worker_options none = {.endpoints = NULL};
    struct endpoint_set set = endpoints_all(&none);

    for (size_t number = 0; number < set.tables[0].count; number++) {
        const struct endpoint *endpoint = &set.tables[0].rows[number];

        if ((endpoint->needs & NEEDS_REPOSITORY) == 0 ||
            (endpoint->listeners & 1u << listener) == 0)
            continue;
        for (enum http_method method = METHOD_GET; method < METHOD_OTHER; method++) {
            struct row row = {.number = number, .endpoint = endpoint, .method = method};

            if ((endpoint->methods & 1u << method) == 0)
                continue;
            for (size_t stem = 0; stem < STEMS; stem++) {
                bool is_session = endpoint->kind == OPERATION_UPLOAD && listener == LISTENER_FULL;

                if (is_session)
                    begin_session("team/allowed", own_session);
                ask_for_stem(&row, stem);
                if (is_session)
                    cancel_session("team/allowed", own_session);
            }
        }
    }
}

/* The origin that ns= means; NULL: none. */
static const char *origin_of(const char *ns, bool has_hub)
{
    if (ns[0] == '\0' || strcasecmp(ns, "registry.lab.example") == 0)
        return "";
    if (strcmp(ns, "ghcr.io") == 0)
        return ns;
    return strcmp(ns, "unknown.example") == 0 || !has_hub ? NULL : "docker.io";
}

static void ask_catalog(bool has_hub)
{
    char text[256];
    char answer[TEXT_MAX];
    char list[160];

    for (size_t i = 0; i < NAMESPACES; i++) {
        const char *ns = namespaces[i];
        const char *origin = origin_of(ns, has_hub);
        bool is_listed = origin && strcmp(origin, allowed->origin) == 0;

        (void)snprintf(text, sizeof(text), "GET /v2/_catalog%s%s HTTP/1.1\r\nHost: x\r\n\r\n",
                       ns[0] ? "?ns=" : "", ns);
        (void)snprintf(list, sizeof(list), "{\"repositories\":[%s%s%s]}", is_listed ? "\"" : "",
                       is_listed ? allowed->name : "", is_listed ? "\"" : "");
        assert_int_equal(ask(text, answer), origin ? 200 : 404);
        check_has_nothing_of_others(answer);
        if (origin && !strstr(answer, list))
            fail_msg("%s\nis told:\n%s", text, answer);
    }
}

/* ---- what others do meanwhile ---- */

static struct guest other; /* downloads a blob of ghcr.io/org/secret all the time */
static uint64_t flight;
static int spool;

static void begin_flight(void)
{
    struct digest digest;
    struct message_open open = {.bytes = 6, .size = 70000};
    char path[] = "/tmp/entrepot-spool-XXXXXX";

    digest_of(HASH_SHA256, slice_of("flying"), &digest);
    digest_print(&digest, flying);
    guest_come(scene, &other, LISTENER_FULL);
    guest_send(scene, &other, "GET /v2/ghcr.io/org/secret/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n",
               flying);
    flight = scene_heard(scene, ROLE_FETCHER, MESSAGE_JOIN)->join.request;
    spool = mkstemp(path);
    assert_true(spool >= 0);
    (void)unlink(path);
    assert_int_equal(write(spool, "FLYING", 6), 6);
    open.request = flight;
    scene_say(scene, ROLE_FETCHER, MESSAGE_OPEN, &open, spool);
    assert_int_equal(guest_status(scene, &other), 0);
}

static void come(enum listener_kind kind)
{
    guest.fd = -1;
    listener = kind;
    reconnect();
}

static void leave(void)
{
    guest_leave(scene, &guest);
    scene_free(scene);
}

struct walk {
    const struct place *place; /* the allowed one */
    enum listener_kind listener;
    bool has_default; /* an upstream that bare names can mean */
    bool is_public;   /* all content came without credentials */
};

static void walk(const struct walk *walk)
{
    open_scene(walk->has_default, walk->is_public);
    come(LISTENER_FULL);
    begin_session("team/secret", session_of_others);
    begin_session("team/allowed", own_session);
    begin_flight();
    allowed = walk->place;
    listener = walk->listener;
    reconnect();
    ask_all();
    ask_catalog(walk->has_default);
    fd_close(&spool);
    guest_leave(scene, &other);
    leave();
}

static void check_counts(const struct place *place)
{
    struct worker_options none = {.endpoints = NULL};
    struct endpoint_set set = endpoints_all(&none);

    for (size_t i = 0; i < set.tables[0].count; i++) {
        const struct endpoint *endpoint = &set.tables[0].rows[i];

        if ((endpoint->needs & NEEDS_REPOSITORY) == 0)
            continue;
        if (refusals[i] == 0)
            fail_msg("%s was never refused", endpoint->label);
        if (successes[i] == 0 && (place->origin[0] == '\0' || !action_is_write(endpoint->action)))
            fail_msg("%s never worked for the allowed repository", endpoint->label);
    }
}

static void allowed_repository_alone_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALLOWED_FIRST; i++) {
        memset(successes, 0, sizeof(successes));
        memset(refusals, 0, sizeof(refusals));
        struct walk w = {
            .place = &places[i],
            .listener = LISTENER_FULL,
            .has_default = true,
            .is_public = i % 2 == 0,
        };
        walk(&w);
        w.is_public = !w.is_public;
        if (i < 2)
            walk(&w);
        w.listener = LISTENER_MIRROR;
        if (places[i].origin[0] != '\0')
            walk(&w);
        check_counts(&places[i]);
    }
}

/* Then a bare name that is not hosted means nothing. */
static void names_are_told_to_nobody_without_a_default_upstream(void **state)
{
    (void)state;
    static const struct walk walks[] = {
        {.place = &places[1], .listener = LISTENER_FULL, .is_public = true},
        {.place = &places[3], .listener = LISTENER_FULL},
        {.place = &places[3], .listener = LISTENER_MIRROR, .is_public = true},
    };
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++)
        walk(&walks[i]);
}

static void delete_of_a_bare_name_does_not_tell_what_is_cached(void **state)
{
    (void)state;
    static const struct place place = {.origin = "", .name = "org/secret"};
    char answer[TEXT_MAX];
    open_scene(true, false);
    come(LISTENER_FULL);
    assert_int_equal(
        ask("DELETE /v2/org/secret/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n", answer), 405);
    allowed = &place;
    assert_int_equal(
        ask("DELETE /v2/org/secret/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n", answer), 404);
    leave();
}

/* The worker asks when the request comes, and the download goes on. */
static void download_of_others_is_theirs_to_the_end(void **state)
{
    (void)state;
    char answer[TEXT_MAX];
    struct message_verified verified = {.size = 6};
    open_scene(true, true);
    come(LISTENER_FULL);
    begin_flight();
    allowed = &places[0];
    for (size_t i = 0; i < PREFIXES; i++) {
        char text[512];

        (void)snprintf(text, sizeof(text),
                       "GET /v2/%sorg/secret/blobs/%s HTTP/1.1\r\nHost: x\r\n\r\n", prefixes[i],
                       flying);
        assert_int_equal(ask(text, answer), 403);
    }
    verified.request = flight;
    scene_say(scene, ROLE_FETCHER, MESSAGE_VERIFIED, &verified, -1);
    assert_int_equal(guest_status(scene, &other), 200);
    assert_int_equal(guest_body_length(scene, &other), 6);
    fd_close(&spool);
    guest_leave(scene, &other);
    leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_repository_alone_is_answered),
        cmocka_unit_test(names_are_told_to_nobody_without_a_default_upstream),
        cmocka_unit_test(delete_of_a_bare_name_does_not_tell_what_is_cached),
        cmocka_unit_test(download_of_others_is_theirs_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
