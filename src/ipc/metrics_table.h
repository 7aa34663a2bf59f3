/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of the shared memory of metrics, which follows from metrics.def. metrics.c counts in
 * it and metrics_print.c reads it.
 *
 *   head, names | block of the master | of the keeper … | of worker 0 | of worker 1 | …
 *
 *   block:  family: first label × second label × (1 cell, or a histogram's buckets and sum) | …
 */
#ifndef IPC_METRICS_TABLE_H
#define IPC_METRICS_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/metrics.h"

#define METRICS_CACHE_LINE 64
#define METRICS_NAME_SIZE  64
#define METRICS_NAMES_MAX  32 /* at least the room of every METRIC_NAME */
#define METRICS_BLOCKS     ((ROLES - 1 + WORKERS_MAX) * METRICS_GENERATIONS)

/* Upper bounds of the buckets in microseconds; the last bucket has none. */
#define METRICS_BUCKETS 15
extern const uint64_t metrics_bounds[METRICS_BUCKETS - 1];

enum metric_kind {
    METRIC_KIND_COUNTER,
    METRIC_KIND_GAUGE,
    METRIC_KIND_PEAK,
    METRIC_KIND_SECONDS,
};

enum metric_label {
    METRIC_LABEL_none,
    METRIC_LABEL_role,
    METRIC_LABEL_operation,
    METRIC_LABEL_upstream,
    METRIC_LABEL_status,
    METRIC_LABEL_outcome,
    METRIC_LABELS,
};

/* How many values a label has within one block, which belongs to one role. */
enum metric_label_size {
    METRIC_SIZE_none = 1,
    METRIC_SIZE_role = 1,
#define METRIC_NAME(label, room) METRIC_SIZE_##label = (room),
#include "ipc/metrics.def"
    METRIC_SIZE_status = METRIC_STATUSES,
    METRIC_SIZE_outcome = METRIC_OUTCOMES,
};

/* Cells of one series. */
enum metric_cells {
    METRIC_CELLS_COUNTER = 1,
    METRIC_CELLS_GAUGE = 1,
    METRIC_CELLS_PEAK = 1,
    METRIC_CELLS_SECONDS = METRICS_BUCKETS + 1, /* the last is the sum, in microseconds */
};

/* One process counts in a block; others read it. */
struct metrics_block {
#define METRIC(name, kind, first, second, help)                                                    \
    _Atomic uint64_t name[METRIC_SIZE_##first * METRIC_SIZE_##second * METRIC_CELLS_##kind];
#include "ipc/metrics.def"
};

#define METRICS_CELLS (sizeof(struct metrics_block) / sizeof(uint64_t))

/* Names are never removed, so a series keeps its meaning. */
struct metrics_name_entry {
    _Atomic uint32_t state; /* enum metrics_name_state */
    char text[METRICS_NAME_SIZE];
};

enum metrics_name_state {
    METRICS_NAME_FREE,
    METRICS_NAME_CLAIMED, /* a process is writing its text */
    METRICS_NAME_SET,
};

struct metrics_names {
    struct metrics_name_entry entries[METRIC_NAMES][METRICS_NAMES_MAX]; /* the first is unused */
};

struct metrics_table {
    uint64_t magic;
    uint64_t layout;                         /* of the program that made it */
    _Atomic uint8_t is_used[METRICS_BLOCKS]; /* a process has used it */
    struct metrics_names names;
    struct {
        _Alignas(METRICS_CACHE_LINE) struct metrics_block block;
    } blocks[METRICS_BLOCKS];
};

/* A row of the table. */
struct metric_family {
    const char *name;
    enum metric_kind kind;
    enum metric_label labels[2];
    unsigned sizes[2];
    unsigned cells; /* of one series */
    size_t offset;  /* of its first cell in a block */
    const char *help;
};
extern const struct metric_family metric_families[METRICS];

/* Where a series begins among the cells of a block. */
size_t metrics_series(enum metric metric, unsigned first, unsigned second);
/* The sum of one cell over a role's blocks (ROLES: over all), or the highest of a PEAK. */
uint64_t metrics_read(enum metric metric, size_t cell, enum process_role role);
/* NULL: no such name yet. */
const char *metrics_name_text(enum metric_name label, unsigned index);

#endif
