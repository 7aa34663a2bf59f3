/* SPDX-License-Identifier: Apache-2.0 */
/* Counters in memory shared by all processes: one slot per process, added to without locks; any
 * worker prints the sum by role. */
#ifndef IPC_METRICS_H
#define IPC_METRICS_H

#include <stdint.h>

#include "ipc/message.h"

struct buf;
struct error;

/* One for each line of metrics.def. */
enum metric {
#define METRIC(name, kind, help) METRIC_##name,
#include "ipc/metrics.def"
#undef METRIC
    METRICS,
};

/* Make the shared memory (master); *out_fd is for the children. ERR_IO. */
int metrics_create(int *out_fd, struct error *err);
/* Map it and say who we are. Before this, and in tests without it, counting goes to private memory.
 */
int metrics_attach(int fd, enum process_role role, unsigned slot, struct error *err);
void metrics_add(enum metric metric, uint64_t amount);
/* Gauges. */
void metrics_set(enum metric metric, uint64_t value);
void metrics_raise(enum metric metric, uint64_t value); /* to at least this */
/* Log lines this process has dropped since the last call. */
void metrics_add_dropped_lines(void);
/* Counts one turn into the loop_ metrics, and what the log dropped; has the shape of loop_turn_fn.
 */
void metrics_on_turn(uint64_t busy_us, void *unused);
/* Master: a process died; zero its gauges, count the restart. */
void metrics_slot_died(enum process_role role, unsigned slot);
/* Sum over a role's slots. */
uint64_t metrics_sum(enum metric metric, enum process_role role);
/* Prometheus text format: entrepot_<name>{role="worker"} … */
void metrics_print(struct buf *out);

#endif
