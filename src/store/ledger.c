/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB environment and its transactions. (door: LMDB)
 *
 * Readers hold `map_lock` shared while their transaction runs; a thread that changes the size of
 * the map holds it alone. When a write transaction finds the map full, the next one begins by
 * growing it; readers in other processes notice at their next begin. A loop may be the one that
 * notices: long reads let it pass between two keys of a walk, and the lock prefers it to readers.
 *
 * The writer keeps LEDGER_RESERVE bytes of the disk allocated behind the end of the file: on a disk
 * that blobs have filled, deletes and other small commits still have room.
 */
#include "store/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "base/list.h"
#include "layout.h"
#include "ledger_table.h"
#include "records.h"
#include "upgrade.h"

#define LEDGER_VERSION    3
#define LEDGER_TABLES_MAX 32
#define LEDGER_READERS    1024
#define LEDGER_MODE       0640
#define LEDGER_RESERVE    ((uint64_t)8 << 20)
#define RESERVE_LEAST     ((uint64_t)1 << 20)
#define MAP_SIZE          ((size_t)16 << 30) /* sparse: address space, not disk */
#define MAP_MIN           ((size_t)16 << 20)
#define MAP_STEP          ((size_t)1 << 20) /* the least that it grows by */
#define NO_ADDRESS_SPACE                                                                           \
    "the ledger's map cannot grow: the limit of address space (ulimit -v) leaves no room; raise "  \
    "it"

static const char *const table_names[LEDGER_TABLES] = {
    "meta",   "repository", "repository_name", "tag",      "manifest",
    "blob",   "link",       "linked",          "referred", "referrer",
    "use",    "journal",    "reader",          "tagged",   "due",
    "recent", "pin",
};

struct ledger {
    MDB_env *env;
    MDB_dbi tables[LEDGER_TABLES];
    pthread_rwlock_t map_lock;
    atomic_uint resizing; /* threads that wait to change the size of the map, or do */
    atomic_bool is_full;  /* grow before the next write */
    atomic_bool is_stuck; /* it could not grow */
    uint64_t reserved;    /* writer: the disk has room for the file up to here */
};

struct ledger_txn {
    struct ledger *ledger;
    MDB_txn *txn; /* NULL: it could not begin, and `error` says why */
    bool is_write;
    bool is_long;     /* a walk may let another thread change the size of the map */
    unsigned walks;   /* that are running, one inside the other */
    uint64_t number;  /* taken by this transaction, 0: none */
    uint32_t entries; /* journal entries written under it */
    struct error error;
};

struct ledger_reader {
    struct ledger_txn txn;
    MDB_txn *kept; /* reset between uses */
    bool is_begun;
};

/* ---- errors ---- */

static int set_code(struct error *err, int code, const char *what)
{
    switch (code) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return error_set(err, ERR_NO_SPACE, "ledger: %s: the map is full", what);
    case MDB_VERSION_MISMATCH:
        return error_set(err, ERR_UNSUPPORTED, "ledger: %s: written by another LMDB", what);
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_PAGE_NOTFOUND:
        return error_set(err, ERR_CORRUPT, "ledger: %s: %s", what, mdb_strerror(code));
    case MDB_PANIC:
        return error_set(err, ERR_INTERNAL, "ledger: %s: it must be opened again", what);
    case MDB_READERS_FULL:
        return error_set(err, ERR_BUSY, "ledger: %s: too many readers", what);
    case MDB_BAD_VALSIZE:
        return error_set(err, ERR_INVALID, "ledger: %s: key too long", what);
    default:
        break;
    }
    if (code > 0)
        return error_set_errno(err, code, "ledger: %s", what);
    return error_set(err, ERR_IO, "ledger: %s: %s", what, mdb_strerror(code));
}

static void set_failed(struct ledger_txn *txn, int code, const char *what)
{
    if (code == MDB_MAP_FULL)
        atomic_store(&txn->ledger->is_full, true);
    if (txn->error.kind != ERR_NONE)
        return;
    if ((code == MDB_MAP_FULL || code == MDB_MAP_RESIZED) && atomic_load(&txn->ledger->is_stuck))
        (void)error_set(&txn->error, ERR_NO_SPACE, NO_ADDRESS_SPACE);
    else
        (void)set_code(&txn->error, code, what);
}

const struct error *ledger_error(const struct ledger_txn *txn)
{
    return txn->error.kind == ERR_NONE ? NULL : &txn->error;
}

void ledger_set_corrupt(struct ledger_txn *txn, const char *what)
{
    if (txn->error.kind == ERR_NONE)
        (void)error_set(&txn->error, ERR_CORRUPT, "ledger: bad record of %s", what);
}

void ledger_set_too_long(struct ledger_txn *txn)
{
    if (txn->error.kind == ERR_NONE)
        (void)error_set(&txn->error, ERR_INVALID, "ledger: record too long");
}

/* ---- open, close ---- */

static size_t choose_map_size(const char *folder, size_t min)
{
    size_t room = strlen(folder) + sizeof("/data.mdb");
    AUTO_FREE char *path = mem_alloc(room);

    (void)snprintf(path, room, "%s/data.mdb", folder);
    struct stat status;
    size_t size = min;
    while (stat(path, &status) == 0 && size < 2 * (size_t)status.st_size)
        size *= 2;
    return size;
}

/* It is looked at before: LMDB gives the present map up before it asks for a larger one, and cannot
 * go on without any. */
static bool has_address_space(size_t more)
{
    if (FAILPOINT("ledger.map"))
        return false;
    void *probe = mmap(NULL, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return probe != MAP_FAILED && munmap(probe, more) == 0;
}

/* A code of LMDB. */
static int make_environment(struct ledger *ledger, size_t map_size)
{
    int code = mdb_env_create(&ledger->env);

    if (code == 0)
        code = mdb_env_set_maxdbs(ledger->env, LEDGER_TABLES_MAX);
    if (code == 0)
        code = mdb_env_set_maxreaders(ledger->env, LEDGER_READERS);
    return code == 0 ? mdb_env_set_mapsize(ledger->env, map_size) : code;
}

static int open_environment(struct ledger *ledger, const char *folder, bool is_writer,
                            size_t map_size, struct error *err)
{
    int code = make_environment(ledger, choose_map_size(folder, map_size));

    if (code == 0) {
        unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (is_writer ? 0 : (unsigned)MDB_RDONLY);

        code = mdb_env_open(ledger->env, folder, flags, LEDGER_MODE);
        /* Address space may be limited (ulimit -v): a smaller map does until the file grows. The
         * rest of the program needs some too. */
        for (size_t size = choose_map_size(folder, map_size) / 2; code == ENOMEM && size >= MAP_MIN;
             size /= 2) {
            if (size / 2 >= MAP_MIN && !has_address_space(2 * size))
                continue;
            mdb_env_close(ledger->env);
            ledger->env = NULL;
            code = make_environment(ledger, size);
            if (code == 0)
                code = mdb_env_open(ledger->env, folder, flags, LEDGER_MODE);
        }
    }
    if (code == 0)
        return 0;
    int rc = set_code(err, code, "open");
    if (rc == -ERR_NOT_FOUND) /* a reader that came before the writer */
        return rc;
    if (code == ENOMEM) {
        return error_wrap(err,
                          "%s/data.mdb: the limit of address space (ulimit -v) leaves no room "
                          "for it; raise the limit",
                          folder);
    }
    if (rc == -ERR_CORRUPT) {
        return error_wrap(err,
                          "%s/data.mdb is damaged; restore it from a backup, or move %s and "
                          "blobs/ beside it away to begin with an empty registry",
                          folder, folder);
    }
    (void)error_wrap(err, "%s/data.mdb", folder);
    return layout_advise(err);
}

/* The version of the ledger on disk; 0: there is none yet. */
static int read_version(struct ledger *ledger, uint32_t *out, struct error *err)
{
    MDB_txn *txn = NULL;

    *out = 0;
    int code = mdb_txn_begin(ledger->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return set_code(err, code, "open");
    MDB_dbi meta;
    code = mdb_dbi_open(txn, table_names[TABLE_META], 0, &meta);
    char name[] = "version";
    MDB_val key = {sizeof(name) - 1, name};
    MDB_val value;
    if (code == 0)
        code = mdb_get(txn, meta, &key, &value);
    if (code == 0) {
        struct record_reader reader;

        record_read(&reader, slice_from(value.mv_data, value.mv_size));
        *out = record_u32(&reader);
    }
    mdb_txn_abort(txn);
    return code == 0 || code == MDB_NOTFOUND ? 0 : set_code(err, code, "open");
}

static int open_tables(struct ledger *ledger, bool is_writer, struct error *err)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(ledger->env, NULL, is_writer ? 0 : (unsigned)MDB_RDONLY, &txn);

    if (code != 0)
        return set_code(err, code, "open");
    for (unsigned i = 0; code == 0 && i < LEDGER_TABLES; i++) {
        code = mdb_dbi_open(txn, table_names[i], is_writer ? (unsigned)MDB_CREATE : 0,
                            &ledger->tables[i]);
    }
    if (code != 0) {
        mdb_txn_abort(txn);
        return code == MDB_NOTFOUND ? error_set(err, ERR_NOT_FOUND, "ledger: not created yet")
                                    : set_code(err, code, "open");
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? 0 : set_code(err, code, "open");
}

static int open_ledger(struct ledger *ledger, const char *folder, bool is_writer, size_t map_size,
                       struct error *err)
{
    int rc = open_environment(ledger, folder, is_writer, map_size, err);

    if (rc != 0)
        return rc;
    uint32_t version;
    rc = read_version(ledger, &version, err);
    if (rc != 0)
        return rc;
    if (version > LEDGER_VERSION) {
        return error_set(err, ERR_UNSUPPORTED, "ledger: version %u is newer than this program's %d",
                         version, LEDGER_VERSION);
    }
    if (version < LEDGER_VERSION && !is_writer)
        return error_set(err, ERR_NOT_FOUND, "ledger: not created yet");
    rc = open_tables(ledger, is_writer, err);
    if (rc != 0 || version == LEDGER_VERSION)
        return rc;
    return ledger_upgrade(ledger, version, LEDGER_VERSION, err);
}

/* ---- room on the disk ---- */

static uint64_t used_bytes(const struct ledger *ledger)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(ledger->env, &info) != 0 || mdb_env_stat(ledger->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* A file system that cannot allocate ahead, or has no room left, has no reserve. */
static void keep_reserve(struct ledger *ledger)
{
    uint64_t used = used_bytes(ledger);
    mdb_filehandle_t fd;

    if (ledger->reserved >= used + LEDGER_RESERVE / 2 || mdb_env_get_fd(ledger->env, &fd) != 0)
        return;
    for (uint64_t size = LEDGER_RESERVE; size >= RESERVE_LEAST; size /= 2) {
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)used, (off_t)size) == 0) {
            ledger->reserved = used + size;
            return;
        }
        if (errno != ENOSPC && errno != EDQUOT) {
            ledger->reserved = UINT64_MAX;
            return;
        }
    }
}

/* A thread that waits to change the size is not overtaken by readers that begin again and again. No
 * thread reads twice at a time. */
static void init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;

    CHECK(pthread_rwlockattr_init(&attributes) == 0);
    CHECK(pthread_rwlockattr_setkind_np(&attributes,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    CHECK(pthread_rwlock_init(lock, &attributes) == 0);
    CHECK(pthread_rwlockattr_destroy(&attributes) == 0);
}

int ledger_open_sized(const char *folder, bool is_writer, size_t map_size, struct ledger **out,
                      struct error *err)
{
    struct ledger *ledger = NEW(struct ledger);

    init_lock(&ledger->map_lock);
    int rc = open_ledger(ledger, folder, is_writer, map_size, err);
    if (rc != 0) {
        ledger_close(&ledger);
        return rc;
    }
    if (is_writer)
        keep_reserve(ledger);
    *out = ledger;
    return 0;
}

int ledger_open(const char *folder, bool is_writer, struct ledger **out, struct error *err)
{
    return ledger_open_sized(folder, is_writer, MAP_SIZE, out, err);
}

void ledger_close(struct ledger **ledger)
{
    if (!*ledger)
        return;
    if ((*ledger)->env)
        mdb_env_close((*ledger)->env);
    (void)pthread_rwlock_destroy(&(*ledger)->map_lock);
    mem_free(*ledger);
    *ledger = NULL;
}

void ledger_check_readers(struct ledger *ledger)
{
    int dead = 0;

    (void)mdb_reader_check(ledger->env, &dead);
}

size_t ledger_map_size(const struct ledger *ledger)
{
    MDB_envinfo info;

    return mdb_env_info(ledger->env, &info) == 0 ? info.me_mapsize : 0;
}

/* ---- the map ---- */

/* Waits for all transactions of this process, but of a long one only until the next key of its
 * walk. */
static void lock_map(struct ledger *ledger)
{
    atomic_fetch_add(&ledger->resizing, 1);
    CHECK(pthread_rwlock_wrlock(&ledger->map_lock) == 0);
}

static void unlock_map(struct ledger *ledger)
{
    CHECK(pthread_rwlock_unlock(&ledger->map_lock) == 0);
    atomic_fetch_sub(&ledger->resizing, 1);
}

/* Larger by `wanted`, or by less, down to `least`, if there is room. The map is locked. */
static void grow(struct ledger *ledger, size_t wanted, size_t least)
{
    size_t more = wanted;

    while (more >= least && !has_address_space(more))
        more = more > least && more / 2 < least ? least : more / 2;
    if (more >= least) /* if it fails now, there is no map any more */
        CHECK(mdb_env_set_mapsize(ledger->env, ledger_map_size(ledger) + more) == 0);
    atomic_store(&ledger->is_stuck, more < least);
}

/* A transaction found the map full, or another process has made the file larger than it, or than it
 * may soon be. Of several threads that find this the first one makes it larger. */
static void fit_map(struct ledger *ledger, bool is_full)
{
    struct stat status = {.st_size = 0};
    mdb_filehandle_t fd = -1;

    if (mdb_env_get_fd(ledger->env, &fd) == 0)
        (void)fstat(fd, &status);
    lock_map(ledger);
    size_t needed = (size_t)status.st_size;
    size_t now = ledger_map_size(ledger);
    size_t size = is_full ? 2 * now : now;
    size_t step = now < MAP_STEP ? now : MAP_STEP;
    while (size < 2 * needed)
        size *= 2;
    if (size > now)
        grow(ledger, size - now, needed > now ? needed - now : step);
    unlock_map(ledger);
}

/* ---- reading ---- */

struct ledger_reader *ledger_reader_new(struct ledger *ledger)
{
    struct ledger_reader *reader = NEW(struct ledger_reader);

    reader->txn.ledger = ledger;
    return reader;
}

void ledger_reader_free(struct ledger_reader **reader)
{
    if (!*reader)
        return;
    if ((*reader)->is_begun)
        ledger_read_end(*reader);
    if ((*reader)->kept)
        mdb_txn_abort((*reader)->kept);
    mem_free(*reader);
    *reader = NULL;
}

static int begin_read(struct ledger_reader *reader)
{
    int code = reader->kept
                   ? mdb_txn_renew(reader->kept)
                   : mdb_txn_begin(reader->txn.ledger->env, NULL, MDB_RDONLY, &reader->kept);

    if (code == 0 && FAILPOINT("ledger.read")) {
        mdb_txn_reset(reader->kept);
        code = EIO;
    }
    return code;
}

/* Fills reader->txn: its `txn`, or its error. */
static void open_snapshot(struct ledger_reader *reader)
{
    struct ledger *ledger = reader->txn.ledger;

    CHECK(pthread_rwlock_rdlock(&ledger->map_lock) == 0);
    int code = begin_read(reader);
    for (int i = 0; i < 3 && (code == MDB_READERS_FULL || code == MDB_MAP_RESIZED); i++) {
        CHECK(pthread_rwlock_unlock(&ledger->map_lock) == 0);
        if (code == MDB_READERS_FULL)
            ledger_check_readers(ledger);
        else
            fit_map(ledger, false);
        CHECK(pthread_rwlock_rdlock(&ledger->map_lock) == 0);
        code = begin_read(reader);
    }
    reader->txn.txn = code == 0 ? reader->kept : NULL;
    if (code != 0)
        set_failed(&reader->txn, code, "read");
}

static void close_snapshot(struct ledger_reader *reader)
{
    if (reader->txn.txn)
        mdb_txn_reset(reader->kept);
    reader->txn.txn = NULL;
    CHECK(pthread_rwlock_unlock(&reader->txn.ledger->map_lock) == 0);
}

static struct ledger_txn *begin(struct ledger_reader *reader, bool is_long)
{
    CHECK(!reader->is_begun);
    reader->is_begun = true;
    reader->txn.is_long = is_long;
    reader->txn.error.kind = ERR_NONE;
    open_snapshot(reader);
    return &reader->txn;
}

struct ledger_txn *ledger_read(struct ledger_reader *reader)
{
    return begin(reader, false);
}

struct ledger_txn *ledger_read_long(struct ledger_reader *reader)
{
    return begin(reader, true);
}

void ledger_read_end(struct ledger_reader *reader)
{
    CHECK(reader->is_begun);
    reader->is_begun = false;
    close_snapshot(reader);
}

/* ---- writing ---- */

static struct ledger_txn *txn_new(struct ledger *ledger, MDB_txn *mdb)
{
    struct ledger_txn *txn = NEW(struct ledger_txn);

    txn->ledger = ledger;
    txn->txn = mdb;
    txn->is_write = true;
    return txn;
}

int ledger_write(struct ledger *ledger, struct ledger_txn **out, struct error *err)
{
    /* What needs no more room, as most deletes, is done in any case. */
    if (atomic_exchange(&ledger->is_full, false))
        fit_map(ledger, true);
    MDB_txn *mdb = NULL;
    int code = mdb_txn_begin(ledger->env, NULL, 0, &mdb);
    if (code == MDB_MAP_RESIZED) {
        fit_map(ledger, false);
        code = mdb_txn_begin(ledger->env, NULL, 0, &mdb);
    }
    if (code != 0)
        return set_code(err, code, "write");
    *out = txn_new(ledger, mdb);
    return 0;
}

void ledger_abort(struct ledger_txn **txn)
{
    if (!*txn)
        return;
    if ((*txn)->txn)
        mdb_txn_abort((*txn)->txn);
    mem_free(*txn);
    *txn = NULL;
}

static const struct slice commit_key = {"commit", 6};

static void put_commit_number(struct ledger_txn *txn)
{
    if (txn->number == 0)
        return;
    struct record value;
    record_init(&value);
    record_add_u64(&value, txn->number);
    ledger_put(txn, TABLE_META, commit_key, record_bytes(&value));
}

int ledger_commit(struct ledger_txn **txn, struct error *err)
{
    put_commit_number(*txn);
    if (FAILPOINT("ledger.commit"))
        set_failed(*txn, EIO, "commit");
    if ((*txn)->error.kind == ERR_NONE) {
        int code = mdb_txn_commit((*txn)->txn);

        (*txn)->txn = NULL; /* freed in either case */
        if (code != 0)
            set_failed(*txn, code, "commit");
        else
            keep_reserve((*txn)->ledger);
    }
    int rc = -(int)(*txn)->error.kind;
    if (rc != 0)
        *err = (*txn)->error;
    ledger_abort(txn);
    return rc;
}

static uint64_t read_number(struct ledger_txn *txn)
{
    struct slice value;
    struct record_reader reader;

    if (FAILPOINT("ledger.number"))
        set_failed(txn, EIO, "get");
    if (!ledger_get(txn, TABLE_META, commit_key, &value))
        return 0;
    record_read(&reader, value);
    return record_u64(&reader);
}

int ledger_commit_number(struct ledger_txn *txn, uint64_t *out, struct error *err)
{
    uint64_t number = txn->number != 0 ? txn->number : read_number(txn);

    if (txn->error.kind != ERR_NONE) {
        *err = txn->error;
        return -(int)err->kind;
    }
    *out = number;
    return 0;
}

uint64_t ledger_next_number(struct ledger_txn *txn)
{
    CHECK(txn->is_write);
    if (txn->number == 0)
        txn->number = read_number(txn) + 1;
    return txn->number;
}

uint32_t ledger_next_entry(struct ledger_txn *txn)
{
    return txn->entries++;
}

/* ---- tables ---- */

static MDB_val val_of(struct slice bytes)
{
    /* LMDB does not write to the bytes it is given. */
    union {
        const char *given;
        void *taken;
    } data = {.given = bytes.data};

    return (MDB_val){bytes.length, data.taken};
}

bool ledger_get(struct ledger_txn *txn, enum ledger_table table, struct slice key,
                struct slice *out_value)
{
    if (txn->error.kind != ERR_NONE || key.length == 0 || key.length > LEDGER_KEY_MAX)
        return false;
    MDB_val name = val_of(key);
    MDB_val value;
    int code = mdb_get(txn->txn, txn->ledger->tables[table], &name, &value);
    if (code == 0) {
        *out_value = slice_from(value.mv_data, value.mv_size);
        return true;
    }
    if (code != MDB_NOTFOUND)
        set_failed(txn, code, "get");
    return false;
}

void ledger_put(struct ledger_txn *txn, enum ledger_table table, struct slice key,
                struct slice value)
{
    if (txn->error.kind != ERR_NONE)
        return;
    CHECK(txn->is_write);
    MDB_val name = val_of(key);
    MDB_val data = val_of(value);
    int code = mdb_put(txn->txn, txn->ledger->tables[table], &name, &data, 0);
    if (code != 0)
        set_failed(txn, code, "put");
}

bool ledger_delete(struct ledger_txn *txn, enum ledger_table table, struct slice key)
{
    if (txn->error.kind != ERR_NONE || key.length == 0 || key.length > LEDGER_KEY_MAX)
        return false;
    CHECK(txn->is_write);
    MDB_val name = val_of(key);
    int code = mdb_del(txn->txn, txn->ledger->tables[table], &name, NULL);
    if (code != 0 && code != MDB_NOTFOUND)
        set_failed(txn, code, "delete");
    return code == 0;
}

static bool begins_with(const MDB_val *key, struct slice prefix)
{
    return key->mv_size >= prefix.length &&
           (prefix.length == 0 || memcmp(key->mv_data, prefix.data, prefix.length) == 0);
}

struct key_walk {
    struct ledger_txn *txn;
    struct slice prefix;
    struct slice after; /* only greater keys; empty: all with the prefix */
    ledger_each_fn *each;
    void *arg;
    bool is_held;              /* another thread waits for the map: go on after `after` */
    char last[LEDGER_KEY_MAX]; /* what `after` points to then */
};

static bool must_hold(const struct ledger_txn *txn)
{
    return txn->is_long && txn->walks == 1 && atomic_load(&txn->ledger->resizing) > 0;
}

static void hold_walk(struct key_walk *walk, const MDB_val *key)
{
    memcpy(walk->last, key->mv_data, key->mv_size);
    walk->after = slice_from(walk->last, key->mv_size);
    walk->is_held = true;
}

static int walk_cursor(struct key_walk *walk, MDB_cursor *cursor)
{
    struct slice after = walk->after;
    struct slice from = after.length > 0 ? after : walk->prefix;
    MDB_val key = val_of(from);
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, from.length > 0 ? MDB_SET_RANGE : MDB_FIRST);

    if (code == 0 && after.length > 0 && slice_equal(slice_from(key.mv_data, key.mv_size), after))
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    while (code == 0 && begins_with(&key, walk->prefix)) {
        if (!walk->each(slice_from(key.mv_data, key.mv_size),
                        slice_from(value.mv_data, value.mv_size), walk->arg))
            return 0;
        if (must_hold(walk->txn)) {
            hold_walk(walk, &key);
            return 0;
        }
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Ends when the walk does, or is held. */
static void walk_once(struct key_walk *walk, enum ledger_table table)
{
    struct ledger_txn *txn = walk->txn;
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn->txn, txn->ledger->tables[table], &cursor);

    walk->is_held = false;
    if (code == 0)
        code = walk_cursor(walk, cursor);
    if (cursor)
        mdb_cursor_close(cursor);
    if (code != 0)
        set_failed(txn, code, "walk");
}

void ledger_walk(struct ledger_txn *txn, enum ledger_table table, struct slice prefix,
                 struct slice after, ledger_each_fn *each, void *arg)
{
    if (prefix.length > LEDGER_KEY_MAX || after.length > LEDGER_KEY_MAX)
        return;
    struct key_walk walk = {
        .txn = txn, .prefix = prefix, .after = after, .each = each, .arg = arg, .is_held = true};
    txn->walks++;
    while (walk.is_held && txn->error.kind == ERR_NONE) {
        walk_once(&walk, table);
        if (walk.is_held) {
            struct ledger_reader *reader = LIST_ITEM(txn, struct ledger_reader, txn);

            close_snapshot(reader);
            open_snapshot(reader);
        }
    }
    txn->walks--;
}
