/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use: of its affinity mask and its control group's quota, the
 * smaller. */
#ifndef CPU_COUNT_H
#define CPU_COUNT_H

#include "base/slice.h"

/* At least 1. */
unsigned cpu_count(void);

/* Quotas as CPUs, rounded up; 0: none, or it cannot be read. */
unsigned cpu_quota_v2(struct slice cpu_max); /* "200000 100000", "max 100000" */
unsigned cpu_quota_v1(struct slice quota, struct slice period);
/* The path of this process in the hierarchy `controller` ("" is version 2) of /proc/self/cgroup;
 * empty: none. */
struct slice cpu_group_path(struct slice cgroup_file, const char *controller);

#endif
