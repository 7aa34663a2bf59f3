/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failpoints: the entries are text (see the header) and are parsed at each hit, which is slow and
 * simple; what is kept between hits is only how often each entry was hit. A spin lock guards the
 * counts, because pool threads hit failpoints too.
 */
#include "base/failpoint.h"

_Static_assert(1, "a translation unit may not be empty, also in a build without failpoints");

#ifdef ENTREPOT_FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/text.h"

#define ENTRIES_MAX   32
#define ENTRIES_TEXT  4096
#define ENTRY_MAX     160
#define HANG_TURN_SEC 3600

struct failpoint_count {
    char entry[ENTRY_MAX]; /* as it is written; empty: free */
    unsigned hits;
};

struct failpoint_entry {
    struct slice text;
    struct slice action;
    uint64_t skip;
    uint64_t times; /* 0: always */
};

static struct {
    atomic_flag lock;
    char armed[ENTRIES_TEXT]; /* by failpoint_arm; empty: the environment decides */
    struct failpoint_count counts[ENTRIES_MAX];
} failpoints = {.lock = ATOMIC_FLAG_INIT};

static void lock_failpoints(void)
{
    while (atomic_flag_test_and_set_explicit(&failpoints.lock, memory_order_acquire))
        continue;
}

static void unlock_failpoints(void)
{
    atomic_flag_clear_explicit(&failpoints.lock, memory_order_release);
}

static struct slice read_file(const char *path, char *text)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, ENTRIES_TEXT);

    return slice_from(text, length > 0 ? (size_t)length : 0);
}

/* All entries that hold now; `text` has room for ENTRIES_TEXT bytes. */
static struct slice current_entries(char *text)
{
    if (failpoints.armed[0])
        return slice_of(failpoints.armed);
    const char *variable = getenv("ENTREPOT_FAILPOINTS"); /* NOLINT(concurrency-mt-unsafe) */
    if (variable && variable[0] == '@')
        return read_file(variable + 1, text);
    return slice_of(variable);
}

static bool parse_entry(struct slice text, const char *name, struct failpoint_entry *out)
{
    struct slice rest = text;
    struct slice target;
    struct slice part;
    struct error ignored;

    *out = (struct failpoint_entry){.text = text};
    if (!slice_split(&rest, '=', &target) || !slice_split(&target, '@', &part) ||
        !slice_is(part, name))
        return false;
    if (target.length > 0 && !slice_is(target, log_role()))
        return false;
    if (!slice_split(&rest, ':', &out->action))
        return false;
    if (slice_split(&rest, ':', &part))
        (void)text_parse_u64(part, &out->skip, &ignored);
    if (slice_split(&rest, ':', &part))
        (void)text_parse_u64(part, &out->times, &ignored);
    return true;
}

static bool find_entry(struct slice entries, const char *name, struct failpoint_entry *out)
{
    struct slice line;
    struct slice entry;

    while (slice_split(&entries, '\n', &line)) {
        while (slice_split(&line, ',', &entry)) {
            if (parse_entry(slice_trim(entry), name, out))
                return true;
        }
    }
    return false;
}

static struct failpoint_count *count_of(struct slice entry)
{
    struct failpoint_count *free_count = NULL;

    CHECK(entry.length < ENTRY_MAX);
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        struct failpoint_count *count = &failpoints.counts[i];

        if (count->entry[0] && slice_is(entry, count->entry))
            return count;
        if (!count->entry[0] && !free_count)
            free_count = count;
    }
    CHECK(free_count);
    memcpy(free_count->entry, entry.data, entry.length);
    free_count->entry[entry.length] = '\0';
    free_count->hits = 0;
    return free_count;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) != 0)
        continue;
}

/* What the entry's action makes of FAILPOINT(). */
static bool act(const char *name, struct slice action)
{
    struct error ignored;
    uint64_t ms = 0;

    log_say(LOG_WARN, "failpoint %s: %.*s", name, SLICE_PRINT(action));
    if (slice_is(action, "fail"))
        return true;
    if (slice_is(action, "exit")) {
        (void)kill(getpid(), SIGKILL);
    } else if (slice_is(action, "hang")) {
        for (;;)
            sleep_ms(HANG_TURN_SEC * 1000ull);
    } else if (slice_starts_with(action, "sleep") &&
               text_parse_u64(slice_skip(action, strlen("sleep")), &ms, &ignored) == 0) {
        sleep_ms(ms);
    } else {
        log_say(LOG_ERROR, "failpoint %s: there is no action \"%.*s\"", name, SLICE_PRINT(action));
    }
    return false;
}

bool failpoint_hit(const char *name)
{
    char text[ENTRIES_TEXT];
    char action[ENTRY_MAX] = "";
    struct failpoint_entry entry;
    bool is_due = false;

    lock_failpoints();
    if (find_entry(current_entries(text), name, &entry)) {
        unsigned hits = ++count_of(entry.text)->hits;

        is_due = hits > entry.skip && (entry.times == 0 || hits <= entry.skip + entry.times);
        memcpy(action, entry.action.data, entry.action.length);
        action[entry.action.length] = '\0';
    }
    unlock_failpoints();
    return is_due && act(name, slice_of(action));
}

void failpoint_arm(const char *name, unsigned skip, unsigned times)
{
    lock_failpoints();
    size_t length = strlen(failpoints.armed);
    int added = snprintf(failpoints.armed + length, sizeof(failpoints.armed) - length,
                         "%s=fail:%u:%u\n", name, skip, times);
    CHECK(added > 0 && (size_t)added < sizeof(failpoints.armed) - length);
    unlock_failpoints();
}

void failpoint_clear(void)
{
    lock_failpoints();
    failpoints.armed[0] = '\0';
    memset(failpoints.counts, 0, sizeof(failpoints.counts));
    unlock_failpoints();
}

unsigned failpoint_hits(const char *name)
{
    char text[ENTRIES_TEXT];
    struct failpoint_entry entry;
    unsigned hits = 0;

    lock_failpoints();
    if (find_entry(current_entries(text), name, &entry))
        hits = count_of(entry.text)->hits;
    unlock_failpoints();
    return hits;
}

#endif
