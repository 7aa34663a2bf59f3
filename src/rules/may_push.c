/* SPDX-License-Identifier: Apache-2.0 */
/* See rules/may_push.h. The worker asks before an upload begins, the keeper once more in the
 * transaction that would take the name. */
#include "rules/may_push.h"

#include "base/error.h"
#include "config/config.h"
#include "rules/resolve.h"

#define NAME_SHOWN 80 /* of a name in an error's text */

bool push_shadows_nobody(const struct config *config, struct slice name)
{
    /* Without a default upstream, or where a registry's name stands first, there is nothing to take
     * the place of. */
    if (config_list_matches(&config->hosted.allow, name) || !config_upstream_default(config) ||
        resolve_names_registry(name))
        return true;
    /* Mirror clients always send two components or more. */
    return slice_find(name, '/') < 0 && !config_list_matches(&config->hosted.protect, name);
}

static int shown(struct slice name)
{
    return name.length > NAME_SHOWN ? NAME_SHOWN : (int)name.length;
}

int may_push(const struct config *config, struct ledger_txn *txn, const struct resolved *target,
             struct error *err)
{
    struct slice name = target->name;
    struct resolved namesake;

    if (target->is_known && target->repository.is_hosted)
        return 0;
    if (push_shadows_nobody(config, name))
        return 0;
    if (config_list_matches(&config->hosted.protect, name)) {
        return error_set(err, ERR_DENIED,
                         "%.*s is protected from being shadowed by a push (`hosted.protect`); to "
                         "allow it, add it to `hosted.allow`",
                         shown(name), name.data);
    }
    if (config_list_matches(&config->hosted.reserved, name) ||
        !resolve_cached_namesake(config, txn, name, &namesake))
        return 0;
    return error_set(err, ERR_DENIED,
                     "%.*s was pulled through here from %.60s, and a push would take its place; "
                     "to allow it, add it to `hosted.allow`",
                     shown(name), name.data, namesake.upstream->name);
}

bool push_must_ask(const struct config *config, const struct resolved *target)
{
    return config->hosted.shadow_check != SHADOW_CHECK_OFF && config_upstream_default(config) &&
           target->truth == TRUTH_HOSTED && !(target->is_known && target->repository.is_hosted) &&
           !push_shadows_nobody(config, target->name) &&
           !config_list_matches(&config->hosted.reserved, target->name);
}

bool push_mark_is_fresh(const struct config *config, const struct repository *repository,
                        uint64_t now_ms)
{
    return repository->last_post_ms != 0 &&
           now_ms < repository->last_post_ms + config->storage.grace_ms;
}

bool push_mark_is_due(const struct config *config, const struct resolved *target, uint64_t now_ms)
{
    const struct repository *repository = &target->repository;

    if (!target->is_known)
        return true;
    if (repository->is_hosted)
        return false;
    /* A mark from the future: the clock was set back. */
    return repository->last_post_ms == 0 || now_ms < repository->last_post_ms ||
           now_ms - repository->last_post_ms >= config->storage.grace_ms / 4;
}
