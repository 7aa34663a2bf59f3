/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See rules/resolve.h.
 *
 *   ?ns=REGISTRY        → that upstream, or hosted when it is one of our own names or addresses;
 * one that is neither: hosted for pushers and for what was pushed, else 404 UPSTREAM/name       →
 * that upstream name                → hosted, when the name is hosted, reserved, or being pushed
 * to; else the default upstream
 */
#include "rules/resolve.h"

#include <string.h>

#include "base/check.h"
#include "config/config.h"
#include "oci/api_error.h"
#include "oci/operation.h"
#include "rules/may_push.h"

static void set(struct resolved *out, struct ledger_txn *txn,
                const struct config_upstream *upstream, struct slice name)
{
    out->truth = upstream ? TRUTH_UPSTREAM : TRUTH_HOSTED;
    out->origin = slice_of(upstream ? upstream->name : "");
    out->upstream = upstream;
    out->name = name;
    out->is_known = repository_find(txn, out->origin, name, &out->repository);
}

void resolve_hosted(struct ledger_txn *txn, struct slice name, struct resolved *out)
{
    out->is_bare = false;
    set(out, txn, NULL, name);
}

void resolve_cached(const struct config_upstream *upstream, struct ledger_txn *txn,
                    struct slice name, struct resolved *out)
{
    out->is_bare = false;
    set(out, txn, upstream, name);
}

bool resolve_by_id(struct ledger_txn *txn, uint32_t id, struct resolved *out)
{
    struct repository repository;
    struct slice origin;
    struct slice name;

    if (!repository_name(txn, id, &origin, &name) ||
        !repository_find(txn, origin, name, &repository))
        return false;
    resolved_from_record(origin, name, &repository, out);
    return true;
}

void resolved_from_record(struct slice origin, struct slice name,
                          const struct repository *repository, struct resolved *out)
{
    out->truth = origin.length > 0 ? TRUTH_UPSTREAM : TRUTH_HOSTED;
    out->origin = origin;
    out->name = name;
    out->upstream = NULL;
    out->is_bare = false;
    out->is_known = true;
    out->repository = *repository;
}

unsigned resolved_sources(const struct resolved *target)
{
    return target->truth == TRUTH_UPSTREAM ? BYTES_OF_UPSTREAM : 0;
}

/* `name` is as a client wrote it. */
static void set_upstream(struct resolved *out, struct ledger_txn *txn,
                         const struct config_upstream *upstream, struct slice name)
{
    const struct slice library = SLICE_LITERAL(DOCKER_HUB_LIBRARY);

    if (slice_is(slice_of(upstream->name), DOCKER_HUB) && slice_find(name, '/') < 0) {
        CHECK(library.length + name.length <= sizeof(out->text));
        memcpy(out->text, library.data, library.length);
        memcpy(out->text + library.length, name.data, name.length);
        name = slice_from(out->text, library.length + name.length);
    }
    set(out, txn, upstream, name);
}

#define NAME_SHOWN 80 /* of a name in an error's text */

static int shown(struct slice name)
{
    return name.length > NAME_SHOWN ? NAME_SHOWN : (int)name.length;
}

static int name_unknown(struct api_error *error, const char *why)
{
    return api_error_set(error, API_NAME_UNKNOWN, "%s", why);
}

bool resolve_is_own_name(const struct config *config, struct slice registry)
{
    for (size_t i = 0; i < config->names.count; i++) {
        if (slice_is_nocase(registry, config->names.items[i]))
            return true;
    }
    return false;
}

static bool is_loopback(struct slice host)
{
    if (slice_is_nocase(host, "localhost") || slice_is(host, "[::1]"))
        return true;
    for (size_t i = 0; i < host.length; i++) {
        if ((host.data[i] < '0' || host.data[i] > '9') && host.data[i] != '.')
            return false;
    }
    return slice_starts_with(host, "127.");
}

bool resolve_is_own_address(const struct config *config, struct slice registry, struct slice local)
{
    ptrdiff_t colon = slice_find_last(registry, ':');
    bool has_port = colon >= 0 && registry.data[registry.length - 1] != ']';

    if (is_loopback(has_port ? slice_from(registry.data, (size_t)colon) : registry))
        return true;
    if (local.length > 0 && slice_equal(registry, local))
        return true;
    for (size_t i = 0; i < config->listen_count; i++) {
        if (slice_is_nocase(registry, config->listens[i].address))
            return true;
    }
    return false;
}

bool resolve_names_registry(struct slice name)
{
    struct slice first;

    return slice_find(name, '/') >= 0 && slice_split(&name, '/', &first) &&
           (slice_find(first, '.') >= 0 || slice_is(first, "localhost"));
}

static const struct config_upstream *prefix_upstream(const struct config *config, struct slice name,
                                                     struct slice *out_rest)
{
    ptrdiff_t slash = slice_find(name, '/');

    if (slash <= 0)
        return NULL;
    *out_rest = slice_skip(name, (size_t)slash + 1);
    return config_upstream_find(config, slice_from(name.data, (size_t)slash));
}

/* A mark of the first upload keeps a pusher's HEAD of a tag from being asked upstream. */
static bool is_being_pushed(const struct resolve_question *question, const struct resolved *out)
{
    if (!out->is_known)
        return false;
    return out->repository.links > 0 ||
           push_mark_is_fresh(question->config, &out->repository, question->now_ms);
}

/* Nodes call a registry in their own network by a name with a port, or by one without a dot. Other
 * names are of public registries: what was pushed here must not take the place of their images. */
static bool may_be_our_name(struct slice registry)
{
    return registry_is_valid(registry) &&
           (slice_find(registry, ':') >= 0 || slice_find(registry, '.') < 0);
}

/* The registry is neither an upstream nor one of our names. It may be us by a name that we were not
 * told: then what was pushed here, and what is being pushed, is hosted. */
static int by_other_namespace(const struct resolve_question *question, struct ledger_txn *txn,
                              struct resolved *out, struct api_error *error)
{
    const struct operation *operation = question->operation;

    set(out, txn, NULL, operation->name);
    if (resolve_is_own_address(question->config, operation->ns, question->local))
        return 0;
    if (!question->is_mirror && may_be_our_name(operation->ns) &&
        (action_is_write(question->action) || is_being_pushed(question, out) ||
         (out->is_known && out->repository.is_hosted)))
        return 0;
    return api_error_set(error, API_NAME_UNKNOWN,
                         "ns=%.*s is not known here: if it is this server, add it to `names:`; if "
                         "it is another registry, add it under `upstreams:`",
                         shown(operation->ns), operation->ns.data);
}

static int by_namespace(const struct resolve_question *question, struct ledger_txn *txn,
                        struct resolved *out, struct api_error *error)
{
    const struct operation *operation = question->operation;

    if (resolve_is_own_name(question->config, operation->ns)) {
        set(out, txn, NULL, operation->name);
        return 0;
    }
    struct slice registry = registry_canonical(operation->ns);
    const struct config_upstream *upstream =
        registry.length == 0 ? NULL : config_upstream_find(question->config, registry);
    if (!upstream)
        return by_other_namespace(question, txn, out, error);
    /* Mirrors configured with a path say it twice: /v2/docker.io/NAME?ns=docker.io. */
    struct slice name = operation->name;
    struct slice rest;
    if (prefix_upstream(question->config, name, &rest) == upstream)
        name = rest;
    set_upstream(out, txn, upstream, name);
    return 0;
}

/* `out` has been looked up as hosted. */
static bool is_hosted_here(const struct resolve_question *question, struct ledger_txn *txn,
                           const struct resolved *out)
{
    const struct operation *operation = question->operation;

    if (out->is_known && out->repository.is_hosted)
        return true;
    if (config_list_matches(&question->config->hosted.reserved, operation->name))
        return true;
    if (operation->kind == OPERATION_MANIFEST && operation->method == METHOD_HEAD) {
        return is_being_pushed(question, out) ||
               (operation->by_digest && push_shadows_nobody(question->config, operation->name));
    }
    /* A pusher's question, unless the push would be refused where the upstream has the name: then
     * the upstream's word about this repository is right for pushers and for caches that we feed.
     */
    if (operation->kind == OPERATION_BLOB && operation->method == METHOD_HEAD)
        return is_being_pushed(question, out) || !push_must_ask(question->config, out);
    if (operation->kind == OPERATION_BLOB && operation->method == METHOD_GET)
        return out->is_known && link_find(txn, out->repository.id, &operation->digest) != 0;
    return false;
}

static int bare(const struct resolve_question *question, struct ledger_txn *txn,
                struct resolved *out, struct api_error *error)
{
    const struct operation *operation = question->operation;

    out->is_bare = true;
    if (!question->is_mirror) {
        set(out, txn, NULL, operation->name);
        if (action_is_write(question->action) || is_hosted_here(question, txn, out))
            return 0;
    }
    const struct config_upstream *upstream = config_upstream_default(question->config);
    /* A name that means nothing has no referrers: an empty list, where other reads are 404. */
    if (!upstream && operation->kind == OPERATION_REFERRERS && !question->is_mirror)
        return 0;
    if (!upstream) {
        return name_unknown(error, "no image was pushed to this name, and there is no default "
                                   "upstream to ask: add one under `upstreams:`");
    }
    if (resolve_names_registry(operation->name)) {
        struct slice rest = operation->name;
        struct slice registry;

        (void)slice_split(&rest, '/', &registry);
        return api_error_set(
            error, API_NAME_UNKNOWN,
            "no image was pushed to this name, and %.*s is not an upstream of this "
            "server: add it under `upstreams:`",
            shown(registry), registry.data);
    }
    set_upstream(out, txn, upstream, operation->name);
    return 0;
}

/* A GET of the name without ns= would mean this upstream's. NULL: there is none. */
static const struct config_upstream *shadowing_upstream(const struct config *config,
                                                        struct slice name)
{
    struct slice first;

    return slice_split(&name, '/', &first) ? config_upstream_find(config, first) : NULL;
}

int resolve_refuse_write(const struct resolved *cached, struct api_error *error)
{
    return api_error_set(error, API_UNSUPPORTED,
                         "this name belongs to the upstream %s: its images are copies, they "
                         "cannot be pushed or deleted",
                         cached->upstream->name);
}

int resolve(const struct resolve_question *question, struct ledger_txn *txn, struct resolved *out,
            struct api_error *error)
{
    const struct operation *operation = question->operation;
    bool writes = action_is_write(question->action);

    out->name = slice_of("");
    out->is_known = false;
    if (writes && question->is_mirror) {
        return api_error_set(
            error, API_UNSUPPORTED,
            "this address is a mirror: nothing can be pushed or deleted here; use an "
            "address of `listen` with the role full");
    }
    struct slice rest;
    const struct config_upstream *upstream;
    int rc = 0;
    if (operation->has_ns)
        rc = by_namespace(question, txn, out, error);
    else if ((upstream = prefix_upstream(question->config, operation->name, &rest)))
        set_upstream(out, txn, upstream, rest);
    else
        rc = bare(question, txn, out, error);
    if (rc == 0 && writes && out->truth == TRUTH_UPSTREAM)
        return resolve_refuse_write(out, error);
    if (rc == 0 && writes && (upstream = shadowing_upstream(question->config, out->name))) {
        return api_error_set(error, API_NAME_INVALID,
                             "names that begin with %s are that upstream's: push to another name",
                             upstream->name);
    }
    return rc;
}

void resolve_refresh(struct resolved *target, struct ledger_txn *txn)
{
    target->is_known = repository_find(txn, target->origin, target->name, &target->repository);
}

bool resolve_cached_namesake(const struct config *config, struct ledger_txn *txn, struct slice name,
                             struct resolved *out)
{
    const struct config_upstream *upstream = config_upstream_default(config);

    if (!upstream)
        return false;
    out->is_bare = true;
    set_upstream(out, txn, upstream, name);
    return out->is_known;
}
