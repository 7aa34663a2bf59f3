/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the arguments and becomes a role. For the master, the configuration, the storage folder and
 * the shared memory are made here, while we may still be root; the master itself never touches the
 * store.
 */
#include <signal.h>
#include <stdio.h>
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

/* ---- the configuration ---- */

static struct config_sources sources_of(const struct cli_arguments *arguments)
{
    return (struct config_sources){
        .file = arguments->config_file,
        .settings = (const char *const *)arguments->settings,
        .environment = (const char *const *)environ,
        .is_root = geteuid() == 0,
    };
}

/* NULL: the problems were printed. */
static struct config *read_config_or_print(const struct cli_arguments *arguments,
                                           struct buf *warnings)
{
    AUTO_BUF struct buf problems;
    struct config *config = NULL;
    struct error err;

    struct config_sources sources = sources_of(arguments);
    buf_init(&problems, MESSAGES_MAX);
    if (config_load(&sources, &config, &problems, warnings, &err) != 0) {
        (void)fputs(buf_text(&problems), stderr);
        (void)fprintf(stderr, "entrepot: %s\n", err.text);
    }
    return config;
}

static void log_lines(enum log_level level, struct slice text)
{
    struct slice line;

    while (slice_split(&text, '\n', &line)) {
        if (line.length > 0)
            log_say(level, "%.*s", SLICE_PRINT(line));
    }
}

/* Reads the configuration again while the server runs; the problems are logged. */
static int reload_config(struct config **out, void *arg)
{
    const struct cli_arguments *arguments = arg;
    AUTO_BUF struct buf problems;
    AUTO_BUF struct buf warnings;
    struct error err;

    buf_init(&problems, MESSAGES_MAX);
    buf_init(&warnings, MESSAGES_MAX);
    struct config_sources sources = sources_of(arguments);
    sources.is_reload = true;
    int rc = config_load(&sources, out, &problems, &warnings, &err);
    log_lines(LOG_ERROR, buf_bytes(&problems));
    log_lines(LOG_WARN, buf_bytes(&warnings));
    if (rc != 0)
        log_say(LOG_ERROR, "reload: %s; the old configuration stays", err.text);
    return rc;
}

/* ---- commands ---- */

#define ROOT_WARNING                                                                               \
    "there is no user entrepot, so all processes run as root; add the user (useradd --system "     \
    "--no-create-home --shell /usr/sbin/nologin entrepot), or set user: NAME or UID:GID"

static unsigned print_problem(int rc, const char *setting, const struct error *err)
{
    if (rc != 0)
        (void)fprintf(stderr, "%s%s\n", setting, err->text);
    return rc != 0;
}

/* Prints what else a start would refuse: users, groups, the folder. Changes nothing. */
static unsigned examine(const struct config *config)
{
    struct identity identity = {0};
    struct error err;
    int rc = identity_resolve(config->user, &identity, &err);
    unsigned problems = print_problem(rc, "", &err);

    if (identity.is_fallback)
        (void)fprintf(stderr, "warning: %s\n", ROOT_WARNING);
    for (size_t i = 0; i < config->listen_count; i++) {
        gid_t ignored = 0;
        const char *group = config->listens[i].group;

        problems +=
            print_problem(group ? group_resolve(group, &ignored, &err) : 0, "listen: ", &err);
    }
    rc = store_examine(config->storage.path, &err);
    if (rc == 0 && identity.is_other)
        rc = store_may_give(config->storage.path, identity.uid, identity.gid, identity.name, &err);
    return problems + print_problem(rc, "", &err);
}

static int check(const struct cli_arguments *arguments)
{
    AUTO_BUF struct buf warnings;

    buf_init(&warnings, MESSAGES_MAX);
    struct config *config = read_config_or_print(arguments, &warnings);
    if (!config)
        return CLI_STATUS_FAILED;
    struct slice text = buf_bytes(&warnings);
    struct slice line;
    while (slice_split(&text, '\n', &line)) {
        if (line.length > 0)
            (void)fprintf(stderr, "warning: %.*s\n", SLICE_PRINT(line));
    }
    unsigned problems = cli_examine(config) + examine(config);
    if (problems > 0) {
        (void)fprintf(stderr, "entrepot: a start would fail: %u problem%s\n", problems,
                      problems == 1 ? "" : "s");
        config_unref(&config);
        return CLI_STATUS_FAILED;
    }
    struct config_sources sources = sources_of(arguments);
    const char *file = config_file(&sources);
    (void)printf("the configuration is right%s%s\n", file ? ": " : "", file ? file : "");
    config_unref(&config);
    return 0;
}

static int prepare(const struct config *config, struct identity *identity, int *uploads_fd,
                   struct error *err)
{
    int rc = limits_prepare(err);

    if (rc == 0)
        rc = identity_resolve(config->user, identity, err);
    if (rc == 0 && identity->is_fallback)
        log_say(LOG_WARN, "%s", ROOT_WARNING);
    if (rc == 0)
        rc = store_prepare(config->storage.path, err);
    if (rc == 0 && identity->is_other)
        rc = store_give(config->storage.path, identity->uid, identity->gid, identity->name, err);
    if (rc == 0)
        rc = upload_table_create((unsigned)config->limits.uploads, uploads_fd, err);
    return rc;
}

static void on_ready(const char *const *addresses, size_t count, void *arg)
{
    (void)arg;
    cli_print_welcome(addresses, count);
}

static int serve(struct cli_arguments *arguments)
{
    AUTO_BUF struct buf warnings;

    buf_init(&warnings, MESSAGES_MAX);
    struct config *config = read_config_or_print(arguments, &warnings);
    if (!config)
        return CLI_STATUS_FAILED;
    (void)umask(027);
    /* Until the master handles them: they must not end a server that is starting. */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
    log_open("master", -1, config->log.level, config->log.format);
    log_lines(LOG_WARN, buf_bytes(&warnings));
    struct identity identity = {0};
    AUTO_CLOSE int uploads_fd = -1;
    struct error err;
    int status = CLI_STATUS_FAILED;
    if (prepare(config, &identity, &uploads_fd, &err) != 0) {
        log_say(LOG_ERROR, "%s", err.text);
    } else {
        struct config_sources sources = sources_of(arguments);
        struct master_options options = {
            .config = config,
            .config_file = config_file(&sources),
            .identity = &identity,
            .version = ENTREPOT_VERSION,
            .uploads_fd = uploads_fd,
            .load = reload_config,
            .on_ready = on_ready,
            .arg = arguments,
        };

        status = master_run(&options);
    }
    log_close();
    config_unref(&config);
    return status;
}

static int call(struct cli_arguments *arguments)
{
    AUTO_BUF struct buf warnings;
    struct config *config = NULL;

    buf_init(&warnings, MESSAGES_MAX);
    if (cli_needs_config(arguments)) {
        config = read_config_or_print(arguments, &warnings);
        if (!config)
            return CLI_STATUS_FAILED;
    }
    int status = cli_call(arguments, config);
    config_unref(&config);
    return status;
}

int main(int argc, char **argv)
{
    struct cli_arguments arguments;

    mem_init();
    cli_parse(argc, argv, ENTREPOT_VERSION, &arguments);
    int status = arguments.status;
    if (arguments.command == CLI_SERVE)
        status = serve(&arguments);
    else if (arguments.command == CLI_CHECK)
        status = check(&arguments);
    else if (arguments.command == CLI_CALL)
        status = call(&arguments);
    else if (arguments.command == CLI_CHILD)
        status = child_run(arguments.role, arguments.slot);
    cli_arguments_free(&arguments);
    return status;
}
