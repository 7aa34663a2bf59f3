/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting. One memory file, mapped by all processes; each writes its own block, any may read all.
 *
 * Values are atomics without order: a sum may be a moment old, never torn. A block outlives its
 * process, so counters go on when the process is started again. Without metrics_attach all counts
 * go to one private block, which then is the sum of every role.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "metrics_table.h"

#define MAGIC       UINT64_C(0x656e747265706f74)
#define CLAIM_LOOKS 1000 /* how often to look at a name that another process is writing */

const uint64_t metrics_bounds[METRICS_BUCKETS - 1] = {
    100,    500,    1000,   5000,    10000,   25000,    50000,
    100000, 250000, 500000, 1000000, 5000000, 10000000, 60000000,
};

const struct metric_family metric_families[METRICS] = {
#define METRIC(family, kind_, first, second, help_)                                                \
    [METRIC_##family] = {                                                                          \
        .name = #family,                                                                           \
        .kind = METRIC_KIND_##kind_,                                                               \
        .labels = {METRIC_LABEL_##first, METRIC_LABEL_##second},                                   \
        .sizes = {METRIC_SIZE_##first, METRIC_SIZE_##second},                                      \
        .cells = METRIC_CELLS_##kind_,                                                             \
        .offset = offsetof(struct metrics_block, family) / sizeof(uint64_t),                       \
        .help = (help_),                                                                           \
    },
#include "ipc/metrics.def"
};

static const unsigned name_rooms[METRIC_NAMES] = {
#define METRIC_NAME(label, room) [METRIC_NAME_##label] = (room),
#include "ipc/metrics.def"
};

#define METRIC_NAME(label, room)                                                                   \
    _Static_assert((room) <= METRICS_NAMES_MAX, "METRICS_NAMES_MAX is too small");
#include "ipc/metrics.def"

static struct metrics_names private_names;
static struct metrics_block private_block;
static struct metrics_names *names = &private_names;
static struct metrics_block *own = &private_block;
static struct metrics_table *shared;

static unsigned block_count(enum process_role role)
{
    return role == ROLE_WORKER ? WORKERS_MAX : 1;
}

/* The one place that knows where a process counts: the single roles first, the workers last. */
static unsigned block_index(enum process_role role, unsigned slot, unsigned generation)
{
    CHECK(role < ROLES && slot < block_count(role));
    unsigned seat = role == ROLE_WORKER  ? ROLES - 1 + slot
                    : role < ROLE_WORKER ? (unsigned)role
                                         : (unsigned)role - 1;
    return seat * METRICS_GENERATIONS + generation % METRICS_GENERATIONS;
}

static _Atomic uint64_t *cell_of(struct metrics_block *block, size_t cell)
{
    CHECK(cell < METRICS_CELLS);
    return (_Atomic uint64_t *)(void *)block + cell;
}

static void add_to_cell(struct metrics_block *block, size_t cell, uint64_t amount)
{
    atomic_fetch_add_explicit(cell_of(block, cell), amount, memory_order_relaxed);
}

/* ---- the memory ---- */

/* What two programs must have in common to count in the same memory. */
static uint64_t layout_of_program(void)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (unsigned i = 0; i < METRICS; i++) {
        const struct metric_family *family = &metric_families[i];
        unsigned numbers = family->kind << 24 | family->labels[0] << 16 | family->labels[1] << 8;

        for (const char *c = family->name; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        hash = (hash ^ numbers ^ family->cells) * 1099511628211u;
        hash = (hash ^ family->offset) * 1099511628211u;
    }
    return hash ^ sizeof(struct metrics_table);
}

/* NULL on failure. */
static struct metrics_table *map_table(int fd, struct error *err)
{
    void *memory =
        mmap(NULL, sizeof(struct metrics_table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED) {
        (void)error_set_errno(err, errno, "cannot map the metrics");
        return NULL;
    }
    return memory;
}

int metrics_create(int *out_fd, struct error *err)
{
    AUTO_CLOSE int fd = memfd_create("entrepot-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)sizeof(struct metrics_table)) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return error_set_errno(err, errno, "cannot make the memory of the metrics");
    struct metrics_table *table = map_table(fd, err);
    if (!table)
        return -(int)err->kind;
    table->magic = MAGIC;
    table->layout = layout_of_program();
    (void)munmap(table, sizeof(*table));
    *out_fd = fd_take(&fd);
    return 0;
}

/* The index in the new memory of the value that `label` had at `index` in the private one. */
static unsigned move_label(enum metric_label label, unsigned index)
{
    enum metric_name name;

    if (label == METRIC_LABEL_operation)
        name = METRIC_NAME_operation;
    else if (label == METRIC_LABEL_upstream)
        name = METRIC_NAME_upstream;
    else
        return index;
    const struct metrics_name_entry *entry = &private_names.entries[name][index];
    return entry->state == METRICS_NAME_SET ? metrics_name(name, entry->text) : 0;
}

static void move_series(enum metric metric, unsigned i, unsigned j)
{
    const struct metric_family *family = &metric_families[metric];
    size_t from = metrics_series(metric, i, j);
    size_t to = 0;

    for (unsigned cell = 0; cell < family->cells; cell++) {
        uint64_t count =
            atomic_exchange_explicit(cell_of(&private_block, from + cell), 0, memory_order_relaxed);

        if (count == 0)
            continue;
        if (to == 0) {
            to = metrics_series(metric, move_label(family->labels[0], i),
                                move_label(family->labels[1], j));
        }
        add_to_cell(own, to + cell, count);
    }
}

/* Move what this process counted before it was told where to count. */
static void move_family(enum metric metric)
{
    const struct metric_family *family = &metric_families[metric];

    for (unsigned i = 0; i < family->sizes[0]; i++) {
        for (unsigned j = 0; j < family->sizes[1]; j++)
            move_series(metric, i, j);
    }
}

int metrics_attach(int fd, enum process_role role, unsigned slot, unsigned generation,
                   struct error *err)
{
    unsigned index = block_index(role, slot, generation);
    uint64_t size = 0;

    if (fd_size(fd, &size, err) != 0)
        return -(int)err->kind;
    if (size < sizeof(struct metrics_table))
        return error_set(err, ERR_IO, "the memory of the metrics is too small");
    struct metrics_table *table = map_table(fd, err);
    if (!table)
        return -(int)err->kind;
    if (table->magic != MAGIC || table->layout != layout_of_program()) {
        (void)munmap(table, sizeof(*table));
        return error_set(err, ERR_IO, "the memory of the metrics has another layout");
    }
    if (shared)
        (void)munmap(shared, sizeof(*shared));
    shared = table;
    names = &table->names;
    own = &table->blocks[index].block;
    atomic_store_explicit(&table->is_used[index], 1, memory_order_relaxed);
    for (unsigned i = 0; i < METRICS; i++)
        move_family((enum metric)i);
    memset(&private_names, 0, sizeof(private_names));
    return 0;
}

void metrics_detach(void)
{
    if (shared)
        (void)munmap(shared, sizeof(*shared));
    shared = NULL;
    memset(&private_block, 0, sizeof(private_block));
    memset(&private_names, 0, sizeof(private_names));
    names = &private_names;
    own = &private_block;
}

/* ---- names ---- */

static enum metrics_name_state state_of(const struct metrics_name_entry *entry)
{
    return (enum metrics_name_state)atomic_load_explicit(&entry->state, memory_order_acquire);
}

/* False: another process has claimed it, which may have died before it wrote the text. */
static bool claim_name(struct metrics_name_entry *entry, const char *name, size_t length)
{
    uint32_t expected = METRICS_NAME_FREE;

    if (!atomic_compare_exchange_strong(&entry->state, &expected, METRICS_NAME_CLAIMED))
        return false;
    memcpy(entry->text, name, length + 1);
    atomic_store_explicit(&entry->state, METRICS_NAME_SET, memory_order_release);
    return true;
}

static unsigned find_name(enum metric_name label, const char *name)
{
    size_t length = strlen(name);

    if (length >= METRICS_NAME_SIZE)
        return 0;
    for (unsigned i = 1; i < name_rooms[label]; i++) {
        struct metrics_name_entry *entry = &names->entries[label][i];

        if (state_of(entry) == METRICS_NAME_FREE && claim_name(entry, name, length))
            return i;
        for (int looks = 0; looks < CLAIM_LOOKS && state_of(entry) == METRICS_NAME_CLAIMED; looks++)
            ;
        if (state_of(entry) == METRICS_NAME_SET &&
            strncmp(entry->text, name, METRICS_NAME_SIZE) == 0)
            return i;
    }
    return 0;
}

unsigned metrics_name(enum metric_name label, const char *name)
{
    /* Most names are asked for again at the same address. */
    static const char *addresses[METRIC_NAMES][METRICS_NAMES_MAX];

    for (unsigned i = 1; i < name_rooms[label]; i++) {
        if (addresses[label][i] == name &&
            strncmp(names->entries[label][i].text, name, METRICS_NAME_SIZE) == 0)
            return i;
    }
    unsigned index = find_name(label, name);
    addresses[label][index] = name;
    return index;
}

const char *metrics_name_text(enum metric_name label, unsigned index)
{
    const struct metrics_name_entry *entry = &names->entries[label][index];

    if (index == 0)
        return "other";
    return state_of(entry) == METRICS_NAME_SET ? entry->text : NULL;
}

/* ---- counting ---- */

size_t metrics_series(enum metric metric, unsigned first, unsigned second)
{
    const struct metric_family *family = &metric_families[metric];

    CHECK(first < family->sizes[0] && second < family->sizes[1]);
    return family->offset + ((size_t)first * family->sizes[1] + second) * family->cells;
}

void metrics_add(enum metric metric, uint64_t amount)
{
    metrics_add_at(metric, 0, 0, amount);
}

void metrics_add_at(enum metric metric, unsigned first, unsigned second, uint64_t amount)
{
    add_to_cell(own, metrics_series(metric, first, second), amount);
}

void metrics_set(enum metric metric, uint64_t value)
{
    atomic_store_explicit(cell_of(own, metric_families[metric].offset), value,
                          memory_order_relaxed);
}

void metrics_raise(enum metric metric, uint64_t value)
{
    _Atomic uint64_t *place = cell_of(own, metric_families[metric].offset);
    uint64_t now = atomic_load_explicit(place, memory_order_relaxed);

    while (now < value && !atomic_compare_exchange_weak_explicit(
                              place, &now, value, memory_order_relaxed, memory_order_relaxed))
        ;
}

void metrics_observe(enum metric metric, unsigned first, uint64_t us)
{
    size_t series = metrics_series(metric, first, 0);
    unsigned bucket = 0;

    CHECK(metric_families[metric].kind == METRIC_KIND_SECONDS);
    while (bucket < METRICS_BUCKETS - 1 && us > metrics_bounds[bucket])
        bucket++;
    add_to_cell(own, series + bucket, 1);
    add_to_cell(own, series + METRICS_BUCKETS, us);
}

void metrics_add_dropped_lines(void)
{
    static uint64_t counted;
    uint64_t dropped = log_dropped();

    if (dropped != counted) {
        metrics_add(METRIC_log_dropped, dropped - counted);
        counted = dropped;
    }
}

void metrics_on_turn(uint64_t busy_us, void *unused)
{
    (void)unused;
    metrics_add_dropped_lines();
    metrics_add(METRIC_loop_turns, 1);
    metrics_observe(METRIC_loop_turn_seconds, 0, busy_us);
    metrics_raise(METRIC_loop_longest_us, busy_us);
    if (busy_us <= 10000)
        return;
    metrics_add(METRIC_loop_over_10ms, 1);
    metrics_add(METRIC_loop_over_50ms, busy_us > 50000);
    metrics_add(METRIC_loop_over_250ms, busy_us > 250000);
}

void metrics_slot_died(enum process_role role, unsigned slot, unsigned generation)
{
    unsigned index = block_index(role, slot, generation);
    struct metrics_block *dead = shared ? &shared->blocks[index].block : &private_block;

    if (shared) /* it may have died before it attached */
        atomic_store_explicit(&shared->is_used[index], 1, memory_order_relaxed);
    for (unsigned i = 0; i < METRICS; i++) {
        const struct metric_family *family = &metric_families[i];

        if (family->kind == METRIC_KIND_GAUGE || family->kind == METRIC_KIND_PEAK)
            atomic_store_explicit(cell_of(dead, family->offset), 0, memory_order_relaxed);
    }
    add_to_cell(dead, metric_families[METRIC_restarts].offset, 1);
}

/* ---- reading ---- */

static uint64_t combine(enum metric metric, uint64_t sum, uint64_t value)
{
    if (metric_families[metric].kind != METRIC_KIND_PEAK)
        return sum + value;
    return value > sum ? value : sum;
}

uint64_t metrics_read(enum metric metric, size_t cell, enum process_role role)
{
    unsigned first = role == ROLES ? 0 : block_index(role, 0, 0);
    unsigned count = role == ROLES ? METRICS_BLOCKS : block_count(role) * METRICS_GENERATIONS;
    uint64_t sum = 0;

    if (!shared)
        return atomic_load_explicit(cell_of(own, cell), memory_order_relaxed);
    for (unsigned i = first; i < first + count; i++) {
        /* A block that no process has used has no memory yet: do not touch it. */
        if (!atomic_load_explicit(&shared->is_used[i], memory_order_relaxed))
            continue;
        sum = combine(
            metric, sum,
            atomic_load_explicit(cell_of(&shared->blocks[i].block, cell), memory_order_relaxed));
    }
    return sum;
}

uint64_t metrics_sum(enum metric metric, enum process_role role)
{
    return metrics_read(metric, metrics_series(metric, 0, 0), role);
}

uint64_t metrics_sum_at(enum metric metric, unsigned first, unsigned second)
{
    return metrics_read(metric, metrics_series(metric, first, second), ROLES);
}
