/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the limits of cpu_count.h from the kernel. The files of control groups are explained in its
 * documentation: cpu.max in cgroup-v2, cpu.cfs_* in cgroup-v1. */
#include "cpu_count.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

#define FILE_MAX 4096

/* The file's text, or an empty slice. */
static struct slice file_text(const char *path, char text[FILE_MAX])
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, FILE_MAX);

    return slice_from(text, got > 0 ? (size_t)got : 0);
}

static struct slice without_newline(struct slice text)
{
    while (text.length > 0 && text.data[text.length - 1] == '\n')
        text.length--;
    return slice_trim(text);
}

static unsigned divide_up(struct slice quota_text, struct slice period_text)
{
    uint64_t quota = 0;
    uint64_t period = 0;
    struct error err;

    if (text_parse_u64(quota_text, &quota, &err) != 0 ||
        text_parse_u64(period_text, &period, &err) != 0 || quota == 0 || period == 0)
        return 0;
    uint64_t cpus = quota / period + (quota % period != 0);
    return cpus > 4096 ? 0 : (unsigned)cpus;
}

unsigned cpu_quota_v2(struct slice cpu_max)
{
    struct slice rest = without_newline(cpu_max);
    struct slice quota;

    return slice_split(&rest, ' ', &quota) ? divide_up(quota, rest) : 0;
}

unsigned cpu_quota_v1(struct slice quota, struct slice period)
{
    return divide_up(
        without_newline(quota),
        without_newline(period)); /* "-1", which means no quota, is not a number for us */
}

static bool names_controller(struct slice list, const char *controller)
{
    struct slice one;

    if (controller[0] == '\0')
        return list.length == 0;
    while (slice_split(&list, ',', &one)) {
        if (slice_is(one, controller))
            return true;
    }
    return false;
}

/* Lines are "number:controllers:path". */
struct slice cpu_group_path(struct slice cgroup_file, const char *controller)
{
    struct slice line;

    while (slice_split(&cgroup_file, '\n', &line)) {
        struct slice number;
        struct slice list;

        if (slice_split(&line, ':', &number) && slice_split(&line, ':', &list) &&
            names_controller(list, controller))
            return line;
    }
    return slice_from(NULL, 0);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* In a container, the files of the group are at the root of the mount; outside, they are below the
 * path of the group. The limits of the groups above apply as well. */
static unsigned quota_v2(struct slice path)
{
    unsigned cpus = 0;

    for (;;) {
        char name[FILE_MAX];
        char text[FILE_MAX];

        (void)snprintf(name, sizeof(name), "/sys/fs/cgroup%.*s/cpu.max", SLICE_PRINT(path));
        cpus = smaller(cpus, cpu_quota_v2(file_text(name, text)));
        ptrdiff_t slash = slice_find_last(path, '/');
        if (slash < 0)
            return cpus;
        path.length = (size_t)slash;
    }
}

static unsigned quota_v1(struct slice path)
{
    char name[FILE_MAX];
    char quota[FILE_MAX];
    char period[FILE_MAX];

    (void)snprintf(name, sizeof(name), "/sys/fs/cgroup/cpu%.*s/cpu.cfs_quota_us",
                   SLICE_PRINT(path));
    struct slice quota_text = file_text(name, quota);
    (void)snprintf(name, sizeof(name), "/sys/fs/cgroup/cpu%.*s/cpu.cfs_period_us",
                   SLICE_PRINT(path));
    return cpu_quota_v1(quota_text, file_text(name, period));
}

unsigned cpu_count(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        cpus = (unsigned)CPU_COUNT(&set);
    char text[FILE_MAX];
    struct slice groups = file_text("/proc/self/cgroup", text);
    cpus = smaller(cpus, quota_v2(cpu_group_path(groups, "")));
    cpus = smaller(cpus, quota_v1(cpu_group_path(groups, "cpu")));
    return smaller(cpus, quota_v1(slice_from(NULL, 0)));
}
