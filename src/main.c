/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the arguments and becomes a role. For the master: configuration, storage folder and shared
 * memory are made here, while we may still be root; the master itself never touches the store.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "child.h"
#include "cli/cli.h"
#include "config/config.h"
#include "master/master.h"
#include "store/store.h"
#include "store/upload_table.h"

_Static_assert(CONFIG_UPLOADS_MAX == UPLOAD_SLOTS_MAX, "limits.uploads");

#define MESSAGES_MAX ((size_t)256 * 1024)

static void log_lines(enum log_level level, struct slice text)
{
    struct slice line;
    while (slice_split(&text, '\n', &line)) {
        if (line.length > 0)
            log_say(level, "%.*s", SLICE_PRINT(line));
    }
}

/* NULL: what is wrong was printed. */
static struct config *load(const struct cli_arguments *arguments, struct buf *warnings)
{
    AUTO_BUF struct buf problems;
    buf_init(&problems, MESSAGES_MAX);
    struct config_sources sources = {
        .file = arguments->config_file,
        .settings = (const char *const *)arguments->settings,
        .environment = (const char *const *)environ,
        .is_root = geteuid() == 0,
    };
    struct config *config = NULL;
    struct error err;
    if (config_load(&sources, &config, &problems, warnings, &err) != 0) {
        (void)fputs(buf_text(&problems), stderr);
        (void)fprintf(stderr, "entrepot: %s\n", err.text);
    }
    return config;
}

static int check(const struct cli_arguments *arguments)
{
    AUTO_BUF struct buf warnings;
    buf_init(&warnings, MESSAGES_MAX);
    struct config *config = load(arguments, &warnings);
    if (config == NULL)
        return CLI_STATUS_FAILED;
    if (buf_bytes(&warnings).length > 0)
        (void)fprintf(stderr, "%s", buf_text(&warnings));
    (void)printf("configuration is right%s%s\n", arguments->config_file != NULL ? ": " : "",
                 arguments->config_file != NULL ? arguments->config_file : "");
    config_unref(&config);
    return 0;
}

/* ---- the storage folder's owner ---- */

#define GIVE_DEPTH  3 /* ROOT/blobs/sha256/ab */
#define GIVE_ALWAYS 2 /* ROOT and its folders are looked at even when they are the user's */

static int give_folder(int at, const char *name, const struct identity *identity, unsigned depth,
                       struct error *err);

/* A file with a second name is left alone: it may be another's, linked here to be given away. */
static int give_entry(int folder, const char *name, const struct identity *identity, unsigned depth,
                      struct error *err)
{
    struct stat status;
    if (name[0] == '.' || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    bool is_roots = status.st_uid == 0;
    if (S_ISDIR(status.st_mode) && depth > 0 && (is_roots || depth > GIVE_ALWAYS)) {
        return give_folder(folder, name, identity, depth - 1, err);
    }
    if (S_ISREG(status.st_mode) && is_roots && status.st_nlink == 1 &&
        fchownat(folder, name, identity->uid, identity->gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_set_errno(err, errno, "cannot give %s to %s", name, identity->name);
    }
    return 0;
}

/* What belongs to root in the folder, and then the folder itself, is given to the user: what
 * store_prepare has just made, and what a run as root has left. Contents first: a folder that is
 * the user's is done, and a start does not look at every blob. */
static int give_folder(int at, const char *name, const struct identity *identity, unsigned depth,
                       struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW);
    int fd = openat(at, name, flags);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        int rc = error_set_errno(err, errno, "cannot read folder %s", name);
        fd_close(&fd);
        return rc;
    }
    int rc = 0;
    const struct dirent *entry = NULL;
    while (rc == 0 && (entry = readdir(folder)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        rc = give_entry(fd, entry->d_name, identity, depth, err);
    }
    struct stat status;
    if (rc == 0 && fstat(fd, &status) == 0 && status.st_uid == 0 &&
        fchown(fd, identity->uid, identity->gid) != 0) {
        rc = error_set_errno(err, errno, "cannot give folder %s to %s", name, identity->name);
    }
    (void)closedir(folder);
    return rc;
}

static int prepare(const struct config *config, struct identity *identity, int *uploads_fd,
                   struct error *err)
{
    int rc = identity_resolve(config->user, identity, err);
    if (rc == 0)
        rc = store_prepare(config->storage.path, err);
    if (rc == 0 && identity->is_other)
        rc = give_folder(AT_FDCWD, config->storage.path, identity, GIVE_DEPTH, err);
    if (rc == 0)
        rc = upload_table_create((unsigned)config->limits.uploads, uploads_fd, err);
    return rc;
}

static void on_ready(const char *const *addresses, size_t count, void *arg)
{
    (void)arg;
    cli_print_welcome(addresses, count);
}

static int serve(const struct cli_arguments *arguments)
{
    AUTO_BUF struct buf warnings;
    buf_init(&warnings, MESSAGES_MAX);
    struct config *config = load(arguments, &warnings);
    if (config == NULL)
        return CLI_STATUS_FAILED;
    (void)umask(027);
    log_open("master", -1, config->log.level, config->log.format);
    log_lines(LOG_WARN, buf_bytes(&warnings));
    struct identity identity = {0};
    AUTO_CLOSE int uploads_fd = -1;
    struct error err;
    int status = CLI_STATUS_FAILED;
    if (prepare(config, &identity, &uploads_fd, &err) != 0) {
        log_say(LOG_ERROR, "%s", err.text);
    } else {
        struct master_options options = {
            .config = config,
            .identity = &identity,
            .version = ENTREPOT_VERSION,
            .uploads_fd = uploads_fd,
            .on_ready = on_ready,
        };
        status = master_run(&options);
    }
    log_close();
    config_unref(&config);
    return status;
}

int main(int argc, char **argv)
{
    struct cli_arguments arguments;
    mem_init();
    cli_parse(argc, argv, ENTREPOT_VERSION, &arguments);
    int status = arguments.status;
    if (arguments.command == CLI_SERVE) {
        status = serve(&arguments);
    } else if (arguments.command == CLI_CHECK) {
        status = check(&arguments);
    } else if (arguments.command == CLI_CHILD) {
        status = child_run(arguments.role, arguments.slot);
    }
    cli_arguments_free(&arguments);
    return status;
}
