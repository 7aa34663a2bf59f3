/* SPDX-License-Identifier: Apache-2.0 */
/* What may be sent from a spool, by the blob's size, the bytes that are there, and whether they
 * were verified. */
#include "follow_limit.h"

#include "ipc/message.h"

uint64_t follow_limit(const struct follow_level *level)
{
    if (level->is_verified)
        return level->size;
    if (level->is_strict || level->size == FOLLOW_SIZE_UNKNOWN || level->size <= FOLLOW_HOLD_BACK)
        return 0;
    uint64_t safe = level->size - FOLLOW_HOLD_BACK;
    return level->bytes < safe ? level->bytes : safe;
}

bool follow_may_begin(const struct follow_level *level)
{
    if (level->is_verified)
        return true;
    if (level->is_strict || level->size == FOLLOW_SIZE_UNKNOWN)
        return false;
    return level->size > level->hold_max || level->is_held_long;
}

bool follow_is_too_large(const struct follow_level *level)
{
    return !level->is_verified && level->size == FOLLOW_SIZE_UNKNOWN &&
           level->bytes > UNKNOWN_SIZE_MAX;
}
