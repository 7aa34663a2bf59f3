/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in memory shared by all processes. Each process counts in a block of its own, without
 * locks; any process adds the blocks up and prints them. metrics.def is the table of what there is.
 *
 * Before metrics_attach, and in tests without it, counting goes to private memory.
 */
#ifndef IPC_METRICS_H
#define IPC_METRICS_H

#include <stdint.h>

#include "ipc/message.h"

struct buf;
struct error;

/* The families. */
enum metric {
#define METRIC(name, kind, first, second, help) METRIC_##name,
#include "ipc/metrics.def"
    METRICS,
};

/* The labels whose values are names. */
enum metric_name {
#define METRIC_NAME(label, room) METRIC_NAME_##label,
#include "ipc/metrics.def"
    METRIC_NAMES,
};

/* The class of a status, `status / 100`; 0: there was no answer. */
enum metric_status {
#define METRIC_STATUS(value) METRIC_STATUS_##value,
#include "ipc/metrics.def"
    METRIC_STATUSES,
};

/* What became of a request to an upstream. */
enum metric_outcome {
#define METRIC_OUTCOME(value) METRIC_OUTCOME_##value,
#include "ipc/metrics.def"
    METRIC_OUTCOMES,
};

/* Processes of one slot that may count at the same time: one, and one before it that still ends. */
#define METRICS_GENERATIONS 2

/* Make the shared memory (master); *out_fd is for the children. ERR_IO. */
int metrics_create(int *out_fd, struct error *err);
/* Map it and say who we are; what was counted before moves there. Two processes of a slot whose
 * generations follow each other do not disturb each other. Indexes from metrics_name are
 * void afterwards. */
int metrics_attach(int fd, enum process_role role, unsigned slot, unsigned generation,
                   struct error *err);
/* Back to empty private memory. For tests. */
void metrics_detach(void);

/* Families without labels but `role`. */
void metrics_add(enum metric metric, uint64_t amount);
void metrics_set(enum metric metric, uint64_t value);   /* GAUGE */
void metrics_raise(enum metric metric, uint64_t value); /* PEAK: to at least this */
/* The index of a name among the values of its label, the same in all processes. 0, which is
 * "other", when there are too many names or it has over 63 bytes. On the loop's thread only. */
unsigned metrics_name(enum metric_name label, const char *name);
/* A counter with labels; `first` and `second` are values or indexes of them, 0 for no label. */
void metrics_add_at(enum metric metric, unsigned first, unsigned second, uint64_t amount);
/* A family of kind SECONDS: count one time of so many microseconds. */
void metrics_observe(enum metric metric, unsigned first, uint64_t us);

/* Count the log lines that this process has dropped since the last call. */
void metrics_add_dropped_lines(void);
/* Count one turn in the loop_ metrics, and the lines that the log has dropped. A loop_turn_fn. */
void metrics_on_turn(uint64_t busy_us, void *unused);
/* For the master: a process has died. Zero its gauges and count the restart. */
void metrics_slot_died(enum process_role role, unsigned slot, unsigned generation);
/* Sum over a role's blocks, of a family without labels but `role`; the highest of a PEAK. */
uint64_t metrics_sum(enum metric metric, enum process_role role);
/* Sum over all blocks, of a counter with labels. */
uint64_t metrics_sum_at(enum metric metric, unsigned first, unsigned second);
/* Append all metrics in the Prometheus text format 0.0.4. */
void metrics_print(struct buf *out);

#endif
