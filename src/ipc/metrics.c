/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters. One memory file, mapped by all processes; each writes its own slot, any may read all:
 *
 *   head | master | keeper … | worker 0 | worker 1 | …      slots of whole cache lines
 *
 * Values are atomics without order: a sum may be a moment old, never torn. A slot outlives its
 * process, so counters go on when the process is started again. Without metrics_attach all counts
 * go to one private slot, which then is the sum of every role.
 */
#include "ipc/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#define CACHE_LINE 64
#define MAGIC      UINT64_C(0x656e747265706f74)
#define SLOTS      (ROLES - 1 + WORKERS_MAX)

struct metrics_block {
    _Alignas(CACHE_LINE) _Atomic uint64_t values[METRICS];
};

struct table {
    uint64_t magic;
    uint64_t metrics; /* METRICS of who made it */
    struct metrics_block slots[SLOTS];
};

enum metric_kind {
    COUNTER,
    GAUGE,
};

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *help;
} metrics[METRICS] = {
#define METRIC(name, kind, help) [METRIC_##name] = {#name, kind, help},
#include "ipc/metrics.def"
#undef METRIC
};

static struct metrics_block private_slot;
static struct metrics_block *own = &private_slot;
static struct table *shared;

static unsigned slot_count(enum process_role role)
{
    return role == ROLE_WORKER ? WORKERS_MAX : 1;
}

/* The single roles first, the workers last. */
static unsigned slot_index(enum process_role role, unsigned slot)
{
    CHECK(role < ROLES && slot < slot_count(role));
    if (role == ROLE_WORKER) {
        return ROLES - 1 + slot;
    }
    return role < ROLE_WORKER ? (unsigned)role : (unsigned)role - 1;
}

/* NULL on failure. */
static struct table *map_table(int fd, struct error *err)
{
    void *memory = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        (void)error_set_errno(err, errno, "mapping the metrics");
        return NULL;
    }
    return (struct table *)memory;
}

int metrics_create(int *out_fd, struct error *err)
{
    AUTO_CLOSE int fd = memfd_create("entrepot-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)sizeof(struct table)) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return error_set_errno(err, errno, "making the metrics' memory");
    }
    struct table *table = map_table(fd, err);
    if (table == NULL) {
        return -(int)err->kind;
    }
    table->magic = MAGIC;
    table->metrics = METRICS;
    (void)munmap(table, sizeof(*table));
    *out_fd = fd_take(&fd);
    return 0;
}

int metrics_attach(int fd, enum process_role role, unsigned slot, struct error *err)
{
    uint64_t size = 0;

    if (fd_size(fd, &size, err) != 0) {
        return -(int)err->kind;
    }
    if (size < sizeof(struct table)) {
        return error_set(err, ERR_IO, "the metrics' memory is too small: another version's");
    }
    struct table *table = map_table(fd, err);
    if (table == NULL) {
        return -(int)err->kind;
    }
    if (table->magic != MAGIC || table->metrics != METRICS) {
        (void)munmap(table, sizeof(*table));
        return error_set(err, ERR_IO, "the metrics' memory has another layout");
    }
    if (shared != NULL) {
        (void)munmap(shared, sizeof(*shared));
    }
    shared = table;
    own = &table->slots[slot_index(role, slot)];
    for (unsigned i = 0; i < METRICS; i++) {
        uint64_t before =
            atomic_exchange_explicit(&private_slot.values[i], 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&own->values[i], before, memory_order_relaxed);
    }
    return 0;
}

void metrics_add(enum metric metric, uint64_t amount)
{
    atomic_fetch_add_explicit(&own->values[metric], amount, memory_order_relaxed);
}

void metrics_set(enum metric metric, uint64_t value)
{
    atomic_store_explicit(&own->values[metric], value, memory_order_relaxed);
}

void metrics_raise(enum metric metric, uint64_t value)
{
    _Atomic uint64_t *place = &own->values[metric];
    uint64_t now = atomic_load_explicit(place, memory_order_relaxed);

    while (now < value && !atomic_compare_exchange_weak_explicit(
                              place, &now, value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

void metrics_add_dropped_lines(void)
{
    static uint64_t told;
    uint64_t dropped = log_dropped();

    if (dropped != told) {
        metrics_add(METRIC_log_dropped, dropped - told);
        told = dropped;
    }
}

void metrics_on_turn(uint64_t busy_us, void *unused)
{
    (void)unused;
    metrics_add_dropped_lines();
    metrics_add(METRIC_loop_turns, 1);
    if (busy_us <= 10000) {
        metrics_raise(METRIC_loop_longest_us, busy_us);
        return;
    }
    metrics_add(METRIC_loop_over_10ms, 1);
    metrics_add(METRIC_loop_over_50ms, busy_us > 50000);
    metrics_add(METRIC_loop_over_250ms, busy_us > 250000);
    metrics_raise(METRIC_loop_longest_us, busy_us);
}

void metrics_slot_died(enum process_role role, unsigned slot)
{
    struct metrics_block *dead =
        shared != NULL ? &shared->slots[slot_index(role, slot)] : &private_slot;

    for (unsigned i = 0; i < METRICS; i++) {
        if (metrics[i].kind == GAUGE) {
            atomic_store_explicit(&dead->values[i], 0, memory_order_relaxed);
        }
    }
    atomic_fetch_add_explicit(&dead->values[METRIC_restarts], 1, memory_order_relaxed);
}

uint64_t metrics_sum(enum metric metric, enum process_role role)
{
    uint64_t sum = 0;

    if (shared == NULL) {
        return atomic_load_explicit(&private_slot.values[metric], memory_order_relaxed);
    }
    for (unsigned slot = 0; slot < slot_count(role); slot++) {
        uint64_t value = atomic_load_explicit(&shared->slots[slot_index(role, slot)].values[metric],
                                              memory_order_relaxed);
        if (metric == METRIC_loop_longest_us) {
            sum = value > sum ? value : sum; /* the longest of all, not of all together */
        } else {
            sum += value;
        }
    }
    return sum;
}

void metrics_print(struct buf *out)
{
    for (unsigned i = 0; i < METRICS; i++) {
        const char *suffix = metrics[i].kind == COUNTER ? "_total" : "";
        const char *type = metrics[i].kind == COUNTER ? "counter" : "gauge";
        buf_printf(out, "# HELP entrepot_%s%s %s\n# TYPE entrepot_%s%s %s\n", metrics[i].name,
                   suffix, metrics[i].help, metrics[i].name, suffix, type);
        for (unsigned role = 0; role < ROLES; role++) {
            buf_printf(out, "entrepot_%s%s{role=\"%s\"} %llu\n", metrics[i].name, suffix,
                       process_role_name((enum process_role)role),
                       (unsigned long long)metrics_sum((enum metric)i, (enum process_role)role));
        }
    }
}
