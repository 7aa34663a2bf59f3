/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and files: preparing, locking, placing, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "store/store.h"
#include "support/need.h"
#include "support/scratch.h"

#define HEX_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct error err;
static char root[300];
static struct store *store;

static ino_t synced[256];
static size_t syncs;

/* In the place of libc's: what survives a power cut is seen in no other way. */
int fsync(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    assert_true(syncs < sizeof(synced) / sizeof(synced[0]));
    synced[syncs++] = status.st_ino;
    return (int)syscall(SYS_fsync, fd);
}

static bool is_synced(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    for (size_t i = 0; i < syncs; i++) {
        if (synced[i] == status.st_ino)
            return true;
    }
    return false;
}

static int setup(void **state)
{
    (void)state;
    syncs = 0;
    (void)snprintf(root, sizeof(root), "%s/above/root/", scratch_make());
    if (store_prepare(root, &err) != 0)
        return -1;
    return store_open(root, &store, &err);
}

static int teardown(void **state)
{
    (void)state;
    store_close(&store);
    scratch_remove();
    return 0;
}

static const char *below(const char *name)
{
    static char path[400];

    (void)snprintf(path, sizeof(path), "%s%s", root, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct digest digest(const char *text)
{
    struct digest out;

    digest_of(HASH_SHA256, slice_of(text), &out);
    return out;
}

/* A file with this content; its inode. */
static uint64_t make_file(enum store_place place, const char *name, const char *text)
{
    int fd = -1;
    uint64_t inode = 0;

    assert_int_equal(store_file_create(store, place, name, &fd, &err), 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text), &err), 0);
    assert_int_equal(store_file_sync(store, place, fd, true, &err), 0);
    assert_int_equal(store_file_inode(fd, &inode, &err), 0);
    fd_close(&fd);
    return inode;
}

static void preparing_twice_changes_nothing(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(store_prepare(root, &err), 0);
    assert_int_equal(stat(below("blobs/sha256"), &status), 0);
    assert_int_equal(stat(below("uploads"), &status), 0);
    assert_int_equal(stat(below("ledger"), &status), 0);
    assert_int_equal(stat(below("layout.new"), &status), -1);
}

static void a_newer_layout_is_refused(void **state)
{
    (void)state;
    write_text(below("layout"), "entrepot 2\n");
    assert_int_equal(store_prepare(root, &err), -ERR_UNSUPPORTED);
    write_text(below("layout"), "hello\n");
    assert_int_equal(store_prepare(root, &err), -ERR_CORRUPT);
    write_text(below("layout"), "entrepot 1");
    assert_int_equal(store_prepare(root, &err), -ERR_CORRUPT);
}

/* `other` under the scratch folder, with these entries; a name that ends in '/' is a folder. */
static const char *make_other(const char *const *names)
{
    static char other[400];
    char path[600];

    (void)snprintf(other, sizeof(other), "%s/other", below("../.."));
    assert_int_equal(mkdir(other, 0750), 0);
    for (; *names; names++) {
        (void)snprintf(path, sizeof(path), "%s/%s", other, *names);
        if ((*names)[strlen(*names) - 1] == '/')
            assert_int_equal(mkdir(path, 0750), 0);
        else
            write_text(path, "theirs");
    }
    return other;
}

static void a_folder_of_somebody_else_is_refused_untouched(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c/", "d", "e", "f", "lost+found/", NULL};
    const char *other = make_other(names);
    char path[600];
    struct stat status;
    assert_int_equal(store_prepare(other, &err), -ERR_CONFLICT);
    assert_non_null(strstr(err.text, other));
    assert_non_null(strstr(err.text, " and 1 more"));
    assert_non_null(strstr(err.text, "storage.path"));
    assert_null(strstr(err.text, "lost+found"));
    (void)snprintf(path, sizeof(path), "%s/blobs", other);
    assert_int_equal(stat(path, &status), -1);
}

/* They stay root's, and the server's user goes through them. */
static void folders_above_are_open_and_our_own_is_not(void **state)
{
    (void)state;
    char path[600];
    struct stat status;
    mode_t before = umask(022);

    (void)snprintf(path, sizeof(path), "%s/new/folder", below("../.."));
    assert_int_equal(store_prepare(path, &err), 0);
    (void)umask(before);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0755);
}

static void a_stock_registry_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const names[] = {"docker/", "docker/registry/", "docker/registry/v2/", NULL};
    assert_int_equal(store_prepare(make_other(names), &err), -ERR_CONFLICT);
    assert_non_null(strstr(err.text, "stock registry (docker/registry/v2)"));
}

static void a_hidden_file_is_somebody_elses_too(void **state)
{
    (void)state;
    static const char *const names[] = {".bashrc", NULL};
    assert_int_equal(store_prepare(make_other(names), &err), -ERR_CONFLICT);
    assert_non_null(strstr(err.text, ".bashrc"));
}

static void an_empty_file_system_and_a_killed_start_are_taken(void **state)
{
    (void)state;
    static const char *const names[] = {"lost+found/", "layout.new", NULL};
    assert_int_equal(store_prepare(make_other(names), &err), 0);
}

static void blobs_without_a_ledger_are_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(below("blobs/sha256/ab"), 0750), 0);
    assert_int_equal(store_prepare(root, &err), 0);
    write_text(below("blobs/sha256/ab/cd"), "hello");
    assert_int_equal(store_prepare(root, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "ledger/data.mdb is missing"));
    write_text(below("ledger/data.mdb"), "");
    assert_int_equal(store_prepare(root, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "ledger/data.mdb is empty"));
    write_text(below("ledger/data.mdb"), "x");
    assert_int_equal(store_prepare(root, &err), 0);
}

/* What a run as root has left changes hands, and nothing that somebody else put there. */
static void only_our_own_entries_change_hands(void **state)
{
    (void)state;
    static const char *const ours[] = {"layout",
                                       "blobs",
                                       "blobs/sha256",
                                       "blobs/sha256/ab",
                                       "blobs/sha256/ab/" HEX_64,
                                       "ledger",
                                       "ledger/data.mdb",
                                       "uploads",
                                       "uploads/t-0123456789abcdef0123456789abcdef",
                                       "spool",
                                       ""};
    static const char *const theirs[] = {
        "notes",          "photos",  "photos/a",           "ledger/copy",
        "blobs/sha256/x", ".hidden", "blobs/sha256/ab/me", "uploads/me"};
    struct stat status;

    NEED(geteuid() == 0, "root");
    assert_int_equal(mkdir(below("photos"), 0750), 0);
    assert_int_equal(mkdir(below("blobs/sha256/ab"), 0750), 0);
    assert_int_equal(mkdir(below("blobs/sha256/x"), 0750), 0);
    write_text(below(ours[4]), "x");
    write_text(below(ours[6]), "x");
    write_text(below(ours[8]), "x");
    for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
        if (stat(below(theirs[i]), &status) != 0)
            write_text(below(theirs[i]), "theirs");
    }
    assert_int_equal(store_give(root, 12345, 12345, "somebody", &err), 0);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        assert_int_equal(stat(below(ours[i]), &status), 0);
        assert_int_equal(status.st_uid, 12345);
    }
    for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
        assert_int_equal(stat(below(theirs[i]), &status), 0);
        assert_int_equal(status.st_uid, 0);
    }
}

static void the_lock_names_who_has_it(void **state)
{
    (void)state;
    struct store *other = NULL;
    char pid[16];
    assert_int_equal(store_lock(store, 0, &err), 0);
    assert_int_equal(store_open(root, &other, &err), 0);
    assert_int_equal(store_lock(other, 0, &err), -ERR_BUSY);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    store_close(&store);
    assert_int_equal(store_lock(other, 0, &err), 0);
    store_close(&other);
}

static void the_lock_makes_the_folders_of_blobs(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(stat(below("blobs/sha256/ff"), &status), -1);
    assert_int_equal(store_lock(store, 0, &err), 0);
    assert_int_equal(stat(below("blobs/sha256/00"), &status), 0);
    assert_int_equal(stat(below("blobs/sha256/ff"), &status), 0);
}

static int place(enum store_place where, const char *name, uint64_t inode, uint64_t size,
                 const struct digest *d)
{
    struct store_file file = {where, name, inode, size};

    return store_place(store, &file, d, &err);
}

static void a_placed_file_is_found_by_its_digest(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    uint64_t inode = make_file(PLACE_UPLOADS, "u1", "hello");
    int fd = -1;
    struct store_blob found = {.size = 0};
    assert_int_equal(store_blob_open(store, &d, 5, &fd, &found, &err), -ERR_NOT_FOUND);
    assert_int_equal(place(PLACE_UPLOADS, "u1", inode, 5, &d), 0);
    assert_int_equal(store_sync_blob_folder(store, &d, &err), 0);
    assert_int_equal(store_blob_open(store, &d, 5, &fd, &found, &err), 0);
    assert_int_equal(found.size, 5);
    assert_true(found.identity.inode == inode && found.identity.modified_ns > 0);
    fd_close(&fd);
    assert_int_equal(store_blob_open(store, &d, 6, &fd, NULL, &err), -ERR_CORRUPT);
    assert_int_equal(store_blob_open(store, &d, UINT64_MAX, &fd, NULL, &err), 0);
    fd_close(&fd);
}

static void placing_again_is_done_already(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    uint64_t inode = make_file(PLACE_SPOOL, "s1", "hello");
    assert_int_equal(place(PLACE_SPOOL, "s1", inode, 5, &d), 0);
    assert_int_equal(place(PLACE_SPOOL, "s1", inode, 5, &d), 0);
    assert_int_equal(place(PLACE_SPOOL, "s1", inode + 1, 5, &d), -ERR_NOT_FOUND);
}

/* Not "not found": a client would be told that its upload does not exist. */
static void a_folder_that_cannot_be_made_again_is_an_error_of_the_disk(void **state)
{
    (void)state;
    struct digest d;
    int fd = -1;
    uint64_t inode = make_file(PLACE_UPLOADS, "u1", "hello");
    digest_of(HASH_SHA512, slice_of("hello"), &d);
    assert_int_equal(rmdir(below("blobs/sha512")), 0);
    write_text(below("blobs/sha512"), "no folder");
    assert_int_equal(place(PLACE_UPLOADS, "u1", inode, 5, &d), -ERR_IO);
    assert_int_equal(store_file_remove(store, PLACE_UPLOADS, "u1", &err), 0);
    assert_int_equal(rmdir(below("uploads")), 0);
    write_text(below("uploads"), "no folder");
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u2", &fd, &err), -ERR_IO);
}

static void placing_replaces_what_is_there(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    int fd = -1;
    char text[5];
    uint64_t bad = make_file(PLACE_UPLOADS, "u1", "XXXXX");
    uint64_t good = make_file(PLACE_UPLOADS, "u2", "hello");
    assert_int_equal(place(PLACE_UPLOADS, "u1", bad, 5, &d), 0);
    assert_int_equal(place(PLACE_UPLOADS, "u2", good, 5, &d), 0);
    assert_int_equal(store_blob_open(store, &d, 5, &fd, NULL, &err), 0);
    assert_int_equal(fd_pread_all(fd, text, 5, 0, &err), 0);
    assert_memory_equal(text, "hello", 5);
    fd_close(&fd);
}

static void another_file_under_the_same_name_is_not_placed(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    int fd = -1;
    uint64_t inode = make_file(PLACE_SPOOL, "s1", "half");
    assert_int_equal(place(PLACE_SPOOL, "s1", inode + 1, 4, &d), -ERR_NOT_FOUND);
    assert_int_equal(store_blob_open(store, &d, UINT64_MAX, &fd, NULL, &err), -ERR_NOT_FOUND);
    assert_int_equal(store_file_open(store, PLACE_SPOOL, "s1", &fd, &err), 0);
    fd_close(&fd);
}

static void a_file_that_was_written_to_since_is_not_placed(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    uint64_t good = make_file(PLACE_UPLOADS, "u1", "hello");
    uint64_t longer = make_file(PLACE_UPLOADS, "u2", "hello and more");
    int fd = -1;
    assert_int_equal(place(PLACE_UPLOADS, "u1", good, 5, &d), 0);
    assert_int_equal(place(PLACE_UPLOADS, "u2", longer, 5, &d), -ERR_NOT_FOUND);
    assert_int_equal(store_blob_open(store, &d, 5, &fd, NULL, &err), 0);
    fd_close(&fd);
}

static void a_file_may_get_another_name(void **state)
{
    (void)state;
    int fd = -1;
    (void)make_file(PLACE_UPLOADS, "u1", "hello");
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u1", &fd, &err), 0);
    assert_int_equal(store_file_check(store, PLACE_UPLOADS, "u1", fd, &err), 0);
    assert_int_equal(store_file_rename(store, PLACE_UPLOADS, "u1", "../u2", &err), -ERR_INVALID);
    assert_int_equal(store_file_rename(store, PLACE_UPLOADS, "u1", "u2", &err), 0);
    assert_int_equal(store_file_check(store, PLACE_UPLOADS, "u1", fd, &err), -ERR_NOT_FOUND);
    assert_int_equal(store_file_check(store, PLACE_UPLOADS, "u2", fd, &err), 0);
    (void)make_file(PLACE_UPLOADS, "u1", "another");
    assert_int_equal(store_file_check(store, PLACE_UPLOADS, "u1", fd, &err), -ERR_NOT_FOUND);
    assert_int_equal(store_file_rename(store, PLACE_UPLOADS, "u0", "u3", &err), -ERR_NOT_FOUND);
    fd_close(&fd);
}

static void a_blob_that_is_no_regular_file_is_corrupt(void **state)
{
    (void)state;
    struct digest d = digest("hello"); /* 2cf24d… */
    char text[DIGEST_TEXT_SIZE];
    char path[200];
    int fd = -1;
    (void)digest_print(&d, text);
    (void)snprintf(path, sizeof(path), "blobs/sha256/%.2s", text + 7);
    assert_int_equal(mkdir(below(path), 0750), 0);
    (void)snprintf(path, sizeof(path), "blobs/sha256/%.2s/%s", text + 7, text + 7);
    assert_int_equal(symlink("/etc/passwd", below(path)), 0);
    assert_int_equal(store_blob_open(store, &d, UINT64_MAX, &fd, NULL, &err), -ERR_CORRUPT);
    assert_int_equal(unlink(below(path)), 0);
    assert_int_equal(mkfifo(below(path), 0600), 0);
    assert_int_equal(store_blob_open(store, &d, UINT64_MAX, &fd, NULL, &err), -ERR_CORRUPT);
}

static const char *path_of_blob(const struct digest *d)
{
    static char path[200];
    char text[DIGEST_TEXT_SIZE];

    (void)digest_print(d, text);
    (void)snprintf(path, sizeof(path), "blobs/sha256/%.2s/%s", text + 7, text + 7);
    return path;
}

static void assert_placed(const struct digest *d)
{
    int fd = -1;
    static unsigned number;
    char name[32];

    (void)snprintf(name, sizeof(name), "u%u", number++);
    uint64_t inode = make_file(PLACE_UPLOADS, name, "hello");
    assert_int_equal(place(PLACE_UPLOADS, name, inode, 5, d), 0);
    assert_int_equal(store_sync_blob_folder(store, d, &err), 0);
    assert_int_equal(store_blob_open(store, d, 5, &fd, NULL, &err), 0);
    assert_int_equal(store_blob_check(store, d, 5, NULL, &err), 0);
    fd_close(&fd);
}

static void whatever_stands_in_the_place_of_a_blob_is_replaced(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    const char *path = path_of_blob(&d);
    char inner[300];
    int fd = -1;
    assert_placed(&d);
    for (unsigned kind = 0; kind < 5; kind++) {
        assert_int_equal(unlink(below(path)), 0);
        if (kind == 0) {
            assert_int_equal(mkdir(below(path), 0750), 0);
        } else if (kind == 1) {
            assert_int_equal(mkdir(below(path), 0750), 0);
            (void)snprintf(inner, sizeof(inner), "%s/inner", path);
            assert_int_equal(mkdir(below(inner), 0750), 0);
        } else if (kind == 2) {
            assert_int_equal(mkfifo(below(path), 0600), 0);
        } else if (kind == 3) {
            assert_int_equal(symlink("/etc/passwd", below(path)), 0);
        } else {
            assert_int_equal(mknod(below(path), S_IFSOCK | 0600, 0), 0);
        }
        assert_int_equal(store_blob_open(store, &d, 5, &fd, NULL, &err), -ERR_CORRUPT);
        assert_non_null(strstr(err.text, path));
        assert_int_equal(store_blob_check(store, &d, 5, NULL, &err), -ERR_CORRUPT);
        assert_placed(&d);
    }
}

static void assert_is_here(struct store *of, const struct digest *d)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(store_blob_check(of, d, 5, NULL, &err), 0);
    assert_int_equal(store_blob_open(of, d, 5, &fd, NULL, &err), 0);
}

/* By whoever writes next; the other processes find the new ones. */
static void lost_folders_are_made_again(void **state)
{
    (void)state;
    struct store *other = NULL;
    struct digest d = digest("hello");
    int fd = -1;
    assert_int_equal(store_open(root, &other, &err), 0);
    assert_placed(&d);
    assert_is_here(other, &d);
    assert_int_equal(unlink(below(path_of_blob(&d))), 0);
    char folder[32];
    (void)snprintf(folder, sizeof(folder), "%.15s", path_of_blob(&d));
    assert_int_equal(rmdir(below(folder)), 0);
    assert_int_equal(rmdir(below("blobs/sha256")), 0);
    assert_int_equal(rmdir(below("blobs/sha512")), 0);
    assert_int_equal(rmdir(below("blobs")), 0);
    assert_int_equal(rmdir(below("uploads")), 0);
    assert_int_equal(store_blob_check(other, &d, 5, NULL, &err), -ERR_NOT_FOUND);
    assert_int_equal(store_file_create(other, PLACE_UPLOADS, "u9", &fd, &err), 0);
    fd_close(&fd);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u9", &fd, &err), 0);
    fd_close(&fd);
    assert_placed(&d);
    assert_is_here(store, &d);
    assert_is_here(other, &d);
    store_close(&other);
}

/* A push that was answered is found after a power cut: all names on the way to it are synced. */
static void folders_that_are_made_again_are_synced(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    assert_int_equal(rmdir(below("uploads")), 0);
    assert_int_equal(rmdir(below("blobs/sha256")), 0);
    syncs = 0;
    assert_placed(&d);
    assert_true(is_synced(below("blobs")));
    assert_true(is_synced(below("blobs/sha256")));
    assert_true(is_synced(root));
}

static void a_lost_or_replaced_folder_of_blobs_is_made_again(void **state)
{
    (void)state;
    struct digest d = digest("hello");
    char folder[32];
    assert_placed(&d);
    (void)snprintf(folder, sizeof(folder), "%.15s", path_of_blob(&d));
    assert_int_equal(unlink(below(path_of_blob(&d))), 0);
    assert_int_equal(rmdir(below(folder)), 0);
    assert_placed(&d);
    assert_int_equal(unlink(below(path_of_blob(&d))), 0);
    assert_int_equal(rmdir(below(folder)), 0);
    write_text(below(folder), "no folder");
    assert_int_equal(store_blob_check(store, &d, 5, NULL, &err), -ERR_CORRUPT);
    assert_placed(&d);
}

static void names_that_leave_the_folder_are_refused(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "../x", &fd, &err), -ERR_INVALID);
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "a/b", &fd, &err), -ERR_INVALID);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "", &fd, &err), -ERR_INVALID);
    assert_int_equal(store_file_remove(store, PLACE_UPLOADS, "..", &err), -ERR_INVALID);
}

static void files_are_made_once_and_listed(void **state)
{
    (void)state;
    int fd = -1;
    int again = -1;
    (void)make_file(PLACE_UPLOADS, "u1", "hello");
    assert_int_equal(store_file_create(store, PLACE_UPLOADS, "u1", &fd, &err), -ERR_CONFLICT);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u1", &fd, &err), 0);
    assert_int_equal(store_file_reopen_readonly(fd, &again, &err), 0);
    assert_int_equal(write(again, "x", 1), -1);
    fd_close(&again);
    fd_close(&fd);
    assert_int_equal(store_file_remove(store, PLACE_UPLOADS, "u1", &err), 0);
    assert_int_equal(store_file_open(store, PLACE_UPLOADS, "u1", &fd, &err), -ERR_NOT_FOUND);
}

static void on_file(const char *name, uint64_t size, uint64_t modified_ms, void *arg)
{
    uint64_t *sum = arg;

    assert_string_equal(name, "s1");
    assert_true(modified_ms > 0);
    *sum += size;
}

static void each_tells_names_and_sizes(void **state)
{
    (void)state;
    uint64_t sum = 0;
    (void)make_file(PLACE_SPOOL, "s1", "hello");
    assert_int_equal(store_file_each(store, PLACE_SPOOL, on_file, &sum, &err), 0);
    assert_int_equal(sum, 5);
}

static void spool_names_are_read_back(void **state)
{
    (void)state;
    struct digest back;
    unsigned take = 0;
    char name[STORE_NAME_SIZE];
    struct digest d;
    digest_of(HASH_SHA512, SLICE_LITERAL("x"), &d);
    store_spool_name(&d, 12, name);
    assert_true(store_spool_parse(name, &back, &take));
    assert_int_equal(take, 12);
    assert_true(digest_equal(&d, &back));
    assert_false(store_spool_parse("t-0011", &back, &take));
    assert_false(store_spool_parse("sha256-00.1", &back, &take));
    assert_false(store_spool_parse("sha256-", &back, &take));
    assert_false(store_spool_parse("", &back, &take));
}

static void upload_names_are_read_back(void **state)
{
    (void)state;
    struct upload_id id;
    struct upload_id back;
    uint64_t key = 0;
    char name[STORE_NAME_SIZE];
    assert_int_equal(upload_id_new(&id, &err), 0);
    store_upload_name(&id, 0xfedcba9876543210, name);
    assert_true(store_upload_parse(name, &back, &key));
    assert_true(upload_id_equal(&id, &back));
    assert_true(key == 0xfedcba9876543210);
    name[0] = 'x';
    assert_false(store_upload_parse(name, &back, &key));
    store_upload_name(&id, 1, name);
    name[strlen(name) - 1] = '\0';
    assert_false(store_upload_parse(name, &back, &key));
    assert_false(store_upload_parse("", &back, &key));
    assert_false(store_name_is_temporary(name));
    assert_int_equal(store_temporary_name(name, &err), 0);
    assert_true(store_name_is_temporary(name));
    assert_false(store_upload_parse(name, &back, &key));
}

static void space_is_told(void **state)
{
    (void)state;
    uint64_t available = 0;
    uint64_t total = 0;
    assert_int_equal(store_space(store, &available, &total, &err), 0);
    assert_true(total > 0 && available <= total);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(preparing_twice_changes_nothing),
        TEST(a_newer_layout_is_refused),
        TEST(a_folder_of_somebody_else_is_refused_untouched),
        TEST(folders_above_are_open_and_our_own_is_not),
        TEST(a_stock_registry_is_refused_and_named),
        TEST(a_hidden_file_is_somebody_elses_too),
        TEST(an_empty_file_system_and_a_killed_start_are_taken),
        TEST(blobs_without_a_ledger_are_refused),
        TEST(only_our_own_entries_change_hands),
        TEST(the_lock_names_who_has_it),
        TEST(the_lock_makes_the_folders_of_blobs),
        TEST(a_placed_file_is_found_by_its_digest),
        TEST(placing_again_is_done_already),
        TEST(a_folder_that_cannot_be_made_again_is_an_error_of_the_disk),
        TEST(lost_folders_are_made_again),
        TEST(folders_that_are_made_again_are_synced),
        TEST(placing_replaces_what_is_there),
        TEST(another_file_under_the_same_name_is_not_placed),
        TEST(a_file_that_was_written_to_since_is_not_placed),
        TEST(a_file_may_get_another_name),
        TEST(a_blob_that_is_no_regular_file_is_corrupt),
        TEST(whatever_stands_in_the_place_of_a_blob_is_replaced),
        TEST(a_lost_or_replaced_folder_of_blobs_is_made_again),
        TEST(names_that_leave_the_folder_are_refused),
        TEST(files_are_made_once_and_listed),
        TEST(each_tells_names_and_sizes),
        TEST(spool_names_are_read_back),
        TEST(upload_names_are_read_back),
        TEST(space_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
