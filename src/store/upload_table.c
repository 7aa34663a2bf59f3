/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload sessions in shared memory.
 *
 *   head │ keys: one word a slot, 0 = free │ slots: sequence, id, offset, hash, …
 *
 * A key is the first half of the session's random id, so that a search reads eight bytes a slot;
 * the slot has the whole id. A free slot is claimed by compare-and-swap of its key. A slot's
 * sequence is odd while it is being written: a reader that sees it odd, or changed, has no copy. A
 * writer that dies leaves it odd until the next holder of the session's lock writes again.
 */
#include "store/upload_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "oci/digest.h"

#define TABLE_MAGIC   0x656e747265706f31ULL
#define READ_ATTEMPTS 64

struct session {
    struct upload_id id;
    uint32_t reserved;
    struct upload_progress state;
};
#define SESSION_WORDS (sizeof(struct session) / sizeof(uint64_t))
_Static_assert(sizeof(struct session) % sizeof(uint64_t) == 0, "copied by words");

struct slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[SESSION_WORDS]; /* struct session */
};

struct head {
    uint64_t magic;
    uint64_t session_size; /* tells tables of other builds, which are refused */
    uint64_t slots;
};

struct upload_table {
    struct head *head;
    _Atomic uint64_t *keys;
    struct slot *slots;
    unsigned slot_count;
    size_t size;
};

static size_t table_size(unsigned slots)
{
    return sizeof(struct head) + slots * (sizeof(uint64_t) + sizeof(struct slot));
}

/* ---- life ---- */

int upload_table_create(unsigned slots, int *out_fd, struct error *err)
{
    if (slots == 0 || slots > UPLOAD_SLOTS_MAX)
        return error_set(err, ERR_INVALID, "bad number of upload sessions");
    AUTO_CLOSE int fd = memfd_create("uploads", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)table_size(slots)) != 0)
        return error_set_errno(err, errno, "cannot make the table of uploads");
    struct head head = {TABLE_MAGIC, sizeof(struct session), slots};
    int rc = fd_pwrite_all(fd, &head, sizeof(head), 0, err);
    if (rc != 0)
        return rc;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return error_set_errno(err, errno, "cannot make the table of uploads");
    *out_fd = fd_take(&fd);
    return 0;
}

int upload_table_attach(int fd, struct upload_table **out, struct error *err)
{
    uint64_t size;
    int rc = fd_size(fd, &size, err);

    if (rc != 0)
        return rc;
    if (size < sizeof(struct head) || size > table_size(UPLOAD_SLOTS_MAX))
        return error_set(err, ERR_CORRUPT, "the table of uploads has a wrong size");
    void *memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return error_set_errno(err, errno, "cannot map the table of uploads");
    struct head *head = memory;
    if (head->magic != TABLE_MAGIC || head->session_size != sizeof(struct session) ||
        head->slots == 0 || head->slots > UPLOAD_SLOTS_MAX ||
        table_size((unsigned)head->slots) != size) {
        (void)munmap(memory, (size_t)size);
        return error_set(err, ERR_CORRUPT, "the table of uploads was made by another program");
    }
    struct upload_table *table = NEW(struct upload_table);
    table->head = head;
    table->slot_count = (unsigned)head->slots;
    table->keys = (_Atomic uint64_t *)(head + 1);
    table->slots =
        (struct slot *)(void *)((char *)(head + 1) + table->slot_count * sizeof(uint64_t));
    table->size = (size_t)size;
    *out = table;
    return 0;
}

int upload_table_new(unsigned slots, struct upload_table **out, struct error *err)
{
    AUTO_CLOSE int fd = -1;
    int rc = upload_table_create(slots, &fd, err);

    return rc != 0 ? rc : upload_table_attach(fd, out, err);
}

void upload_table_detach(struct upload_table **table)
{
    if (!*table)
        return;
    (void)munmap((*table)->head, (*table)->size);
    mem_free(*table);
    *table = NULL;
}

/* ---- slots ---- */

static uint64_t key_of(const struct upload_id *id)
{
    uint64_t key;

    memcpy(&key, id->random, sizeof(key));
    return key == 0 ? 1 : key;
}

/* Called by the holder of the lock, or by the request that has just claimed the slot. */
static void write_slot(struct slot *slot, const struct upload_id *id,
                       const struct upload_progress *state)
{
    struct session session;
    uint64_t words[SESSION_WORDS];

    memset(&session, 0, sizeof(session));
    session.id = *id;
    session.state = *state;
    memcpy(words, &session, sizeof(session));
    uint64_t writing = atomic_load(&slot->sequence) | 1;
    atomic_store(&slot->sequence, writing);
    atomic_thread_fence(memory_order_seq_cst);
    for (size_t i = 0; i < SESSION_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, writing + 1, memory_order_release);
}

static bool read_slot(const struct slot *slot, struct session *out)
{
    uint64_t words[SESSION_WORDS];

    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        uint64_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);

        if ((before & 1) != 0)
            continue;
        for (size_t i = 0; i < SESSION_WORDS; i++)
            words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before) {
            memcpy(out, words, sizeof(*out));
            return true;
        }
    }
    return false;
}

/* The search starts at a place that depends on the key, so that the first look mostly finds it. */
static struct slot *find_slot(const struct upload_table *table, uint64_t key, unsigned *out_index)
{
    unsigned start = (unsigned)(key % table->slot_count);

    for (unsigned i = 0; i < table->slot_count; i++) {
        unsigned index = start + i < table->slot_count ? start + i : start + i - table->slot_count;

        if (atomic_load_explicit(&table->keys[index], memory_order_acquire) == key) {
            *out_index = index;
            return &table->slots[index];
        }
    }
    return NULL;
}

static struct slot *claim_slot(struct upload_table *table, uint64_t key)
{
    unsigned start = (unsigned)(key % table->slot_count);

    for (unsigned i = 0; i < table->slot_count; i++) {
        unsigned index = start + i < table->slot_count ? start + i : start + i - table->slot_count;
        uint64_t is_free = 0;

        if (atomic_load_explicit(&table->keys[index], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&table->keys[index], &is_free, key))
            return &table->slots[index];
    }
    return NULL;
}

int upload_table_set(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err)
{
    unsigned index;
    struct slot *slot = find_slot(table, key_of(id), &index);

    if (!slot)
        slot = claim_slot(table, key_of(id));
    if (!slot)
        return error_set(err, ERR_BUSY, "too many uploads at once");
    write_slot(slot, id, state);
    return 0;
}

int upload_table_add(struct upload_table *table, const struct upload_id *id,
                     const struct upload_progress *state, struct error *err)
{
    return upload_table_set(table, id, state, err);
}

bool upload_table_get(struct upload_table *table, const struct upload_id *id,
                      struct upload_progress *out)
{
    unsigned index;
    struct session session;
    const struct slot *slot = find_slot(table, key_of(id), &index);

    if (!slot || !read_slot(slot, &session) || !upload_id_equal(&session.id, id) ||
        !hash_has_seen(&session.state.hash, HASH_SHA256, session.state.offset))
        return false;
    *out = session.state;
    return true;
}

void upload_table_remove(struct upload_table *table, const struct upload_id *id)
{
    unsigned index;
    struct slot *slot = find_slot(table, key_of(id), &index);

    if (!slot)
        return;
    /* Odd until the next owner has written: the old progress is not read under a new key. */
    (void)atomic_fetch_or(&slot->sequence, 1);
    atomic_store_explicit(&table->keys[index], 0, memory_order_release);
}

/* ---- counts ---- */

unsigned upload_table_count(const struct upload_table *table)
{
    unsigned count = 0;

    for (unsigned i = 0; i < table->slot_count; i++)
        count += atomic_load_explicit(&table->keys[i], memory_order_relaxed) != 0;
    return count;
}

static bool read_taken(const struct upload_table *table, unsigned index, struct session *out)
{
    return atomic_load_explicit(&table->keys[index], memory_order_acquire) != 0 &&
           read_slot(&table->slots[index], out) &&
           out->id.version != 0; /* 0: claimed, not written yet */
}

unsigned upload_table_count_of(const struct upload_table *table, uint64_t repository_key)
{
    unsigned count = 0;
    struct session session;

    for (unsigned i = 0; i < table->slot_count; i++) {
        if (read_taken(table, i, &session) && session.state.repository_key == repository_key)
            count++;
    }
    return count;
}

/* Keeps `out` in order; the last one falls off when there are more than `max`. */
static unsigned insert_idle(struct upload_idle *out, unsigned count, unsigned max,
                            const struct session *session)
{
    unsigned at = count;

    while (at > 0 && out[at - 1].used_ms > session->state.used_ms)
        at--;
    if (at == max)
        return count;
    if (count < max)
        count++;
    memmove(&out[at + 1], &out[at], (count - at - 1) * sizeof(*out));
    out[at] = (struct upload_idle){
        .id = session->id,
        .repository_key = session->state.repository_key,
        .used_ms = session->state.used_ms,
    };
    return count;
}

bool upload_choice_has(const struct upload_choice *choice, const struct upload_progress *state)
{
    bool is_empty = state->offset == 0 && state->unhashed == 0;

    if (choice->repository_key && state->repository_key != *choice->repository_key)
        return false;
    if (choice->content != UPLOAD_ANY && is_empty != (choice->content == UPLOAD_EMPTY))
        return false;
    return state->used_ms >= choice->from_ms && state->used_ms < choice->before_ms;
}

unsigned upload_table_idlest(const struct upload_table *table, const struct upload_choice *choice,
                             struct upload_idle *out, unsigned max)
{
    unsigned count = 0;
    struct session session;

    for (unsigned i = 0; i < table->slot_count; i++) {
        if (read_taken(table, i, &session) && upload_choice_has(choice, &session.state))
            count = insert_idle(out, count, max, &session);
    }
    return count;
}

void upload_table_each(const struct upload_table *table, upload_table_each_fn *each, void *arg)
{
    struct session session;

    for (unsigned i = 0; i < table->slot_count; i++) {
        if (read_taken(table, i, &session))
            each(&session.id, &session.state, arg);
    }
}

uint64_t upload_repository_key(const struct slice *name)
{
    struct digest digest;

    digest_of(HASH_SHA256, *name, &digest);
    uint64_t key;
    memcpy(&key, digest.bytes, sizeof(key));
    return key;
}
