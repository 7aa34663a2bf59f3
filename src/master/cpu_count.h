/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use: the smaller of its affinity mask and the quota of its control
 * group. */
#ifndef CPU_COUNT_H
#define CPU_COUNT_H

#include "base/slice.h"

/* The number is at least 1. */
unsigned cpu_count(void);

/* A quota as a number of CPUs, rounded up. 0: there is none, or the text cannot be read. */
unsigned cpu_quota_v2(struct slice cpu_max); /* "200000 100000", "max 100000" */
unsigned cpu_quota_v1(struct slice quota, struct slice period);
/* The path of this process in the hierarchy of `controller` ("" means version 2), from the text of
 * /proc/self/cgroup. Empty: there is none. */
struct slice cpu_group_path(struct slice cgroup_file, const char *controller);

#endif
