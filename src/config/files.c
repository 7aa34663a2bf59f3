/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a configuration names: passwords, certificates, keys. They are read when the
 * configuration is, by a process that may be root; the fetcher gets what they contain. Later they
 * are read again when they change (config_read_files): one that cannot be used at that moment, as
 * while it is being replaced, keeps what it had.
 */
#include "files.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/certificate.h"
#include "base/error.h"
#include "config/config.h"
#include "reader.h"
#include "text_file.h"
#include "values.h"

#define FILE_MAX     (512ul * 1024)
#define PASSWORD_MAX (16ul * 1024)

/* ---- one file ---- */

static uint64_t mix(uint64_t stamp, uint64_t value)
{
    return (stamp ^ value) * 0x100000001b3u;
}

/* Another one, or another content, has another stamp. Never 0, which is for none. */
static uint64_t stamp_of(const struct stat *status)
{
    uint64_t stamp = 0xcbf29ce484222325u;

    stamp = mix(stamp, status->st_dev);
    stamp = mix(stamp, status->st_ino);
    stamp = mix(stamp, (uint64_t)status->st_size);
    stamp = mix(stamp, (uint64_t)status->st_mtim.tv_sec * 1000000000u);
    stamp = mix(stamp, (uint64_t)status->st_mtim.tv_nsec);
    stamp = mix(stamp, (uint64_t)status->st_ctim.tv_sec * 1000000000u);
    stamp = mix(stamp, (uint64_t)status->st_ctim.tv_nsec);
    return stamp | 1;
}

static uint64_t stamp_now(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? stamp_of(&status) : 0;
}

/* A password may have several lines, as the JSON keys of clouds have; line ends after it are not
 * part of it. */
static int take_password(struct slice text, const char *path, char **out, struct error *err)
{
    struct slice rest;
    struct slice line;

    while (slice_ends_with(text, "\n") || slice_ends_with(text, "\r"))
        text.length--;
    bool is_right = text.length > 0 && text.length <= PASSWORD_MAX;
    rest = text;
    while (is_right && slice_split(&rest, '\n', &line)) {
        if (slice_ends_with(line, "\r"))
            line.length--;
        for (struct slice part; slice_split(&line, '\t', &part);)
            is_right = is_right && value_is_text(part);
    }
    if (!is_right) {
        return error_set(err, ERR_INVALID,
                         "%s must contain a password of 1 to %lu bytes, as text (it has %zu)", path,
                         PASSWORD_MAX, text.length);
    }
    *out = slice_dup(text);
    return 0;
}

static int take_pem(struct slice text, const char *path, char **out, struct error *err)
{
    AUTO_BUF struct buf blocks;
    bool is_text = true;

    buf_init(&blocks, TEXT_FILE_BUF(FILE_MAX));
    pem_print_blocks(text, &blocks);
    for (size_t i = 0; i < blocks.length; i++) {
        char byte = buf_bytes(&blocks).data[i];

        is_text = is_text && (byte == '\n' || (byte >= ' ' && byte <= '~'));
    }
    if (blocks.length == 0 || !is_text) {
        return error_set(err, ERR_INVALID,
                         "%s is not PEM: it has no line like -----BEGIN CERTIFICATE-----", path);
    }
    *out = slice_dup(buf_bytes(&blocks));
    return 0;
}

/* Fills in text, and stamp also when it fails: that of what was tried, so that whatever is written
 * later is another. */
static int file_read(struct config_file *file, bool may_wait, bool *out_is_open, struct error *err)
{
    struct text_file source = {
        .path = file->path, .name = file->path, .max = FILE_MAX, .may_wait = may_wait};
    AUTO_BUF struct buf text;
    struct stat status;
    char *taken = NULL;

    buf_init(&text, TEXT_FILE_BUF(FILE_MAX));
    int rc = text_file_read(&source, &text, &status, err);
    file->stamp = status.st_mode != 0 ? stamp_of(&status) : 0;
    if (rc == 0 && file->is_pem)
        rc = take_pem(buf_bytes(&text), file->path, &taken, err);
    else if (rc == 0)
        rc = take_password(buf_bytes(&text), file->path, &taken, err);
    if (rc != 0)
        return rc;
    mem_free(file->text);
    file->text = taken;
    file->is_regular = S_ISREG(status.st_mode);
    *out_is_open = (status.st_mode & S_IROTH) != 0;
    return 0;
}

/* ---- all of them ---- */

void files_clear(struct config *config)
{
    for (size_t i = 0; i < config->file_count; i++) {
        mem_free(config->files[i].path);
        mem_free(config->files[i].text);
    }
    mem_free(config->files);
    config->files = NULL;
    config->file_count = 0;
}

static struct config_file *file_find(const struct config *config, const char *path, bool is_pem)
{
    for (size_t i = 0; path && i < config->file_count; i++) {
        struct config_file *file = &config->files[i];

        if (file->is_pem == is_pem && strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}

static struct config_file *file_add(struct config *config, const char *path, bool is_pem)
{
    config->files = mem_realloc(config->files, (config->file_count + 1) * sizeof(*config->files));
    struct config_file *file = &config->files[config->file_count++];
    *file = (struct config_file){.path = mem_strdup(path), .is_pem = is_pem};
    return file;
}

static const char *text_find(const struct config *config, const char *path)
{
    const struct config_file *file = file_find(config, path, true);

    return file ? file->text : NULL;
}

static const char *ca_path(const struct config *config, const struct config_upstream *upstream)
{
    return upstream->ca_file ? upstream->ca_file : config->fetch.ca_file;
}

static const char *key_path(const struct config_upstream *upstream)
{
    return upstream->client_key ? upstream->client_key : upstream->client_cert;
}

void files_link(struct config *config)
{
    for (size_t i = 0; i < config->upstream_count; i++) {
        struct config_upstream *upstream = &config->upstreams[i];
        const struct config_file *password = file_find(config, upstream->password_file, false);

        if (password) {
            mem_free(upstream->password);
            upstream->password = mem_strdup(password->text);
        }
        upstream->ca = text_find(config, ca_path(config, upstream));
        upstream->cert = text_find(config, upstream->client_cert);
        upstream->key = text_find(config, key_path(upstream));
    }
}

/* Is what the upstream's files contain of use, each by itself and together? */
static int judge_ca(const struct config_upstream *upstream, struct error *err)
{
    size_t count = 0;
    size_t expired = 0;

    return upstream->ca && upstream->ca[0]
               ? certificates_count(slice_of(upstream->ca), &count, &expired, err)
               : 0;
}

static int judge_client(const struct config_upstream *upstream, size_t *out_expired,
                        struct error *err)
{
    size_t count = 0;

    if (!upstream->cert || !upstream->key || !upstream->cert[0] || !upstream->key[0])
        return 0; /* there is none, or a problem was noted */
    int rc = certificates_count(slice_of(upstream->cert), &count, out_expired, err);
    if (rc != 0)
        return error_wrap(err, "client_cert: %s", upstream->client_cert);
    rc = certificate_fits(slice_of(upstream->cert), slice_of(upstream->key), err);
    return rc == 0 ? 0 : error_wrap(err, "client_key: %s", key_path(upstream));
}

/* ---- the first time ---- */

struct place { /* for messages */
    struct reader *reader;
    const struct position *at;
    const char *path; /* upstreams.NAME */
};

static void read_first_time(const struct place *place, const char *key, const char *path,
                            bool is_pem, bool is_secret)
{
    struct config *config = place->reader->config;
    struct error err;
    bool is_open = false;

    if (!path || file_find(config, path, is_pem))
        return;
    struct config_file *file = file_add(config, path, is_pem);
    if (file_read(file, !place->reader->is_reload, &is_open, &err) != 0) {
        file->text = mem_strdup("");
        reader_problem(place->reader, place->at, place->path, "%s: %s", key, err.text);
    } else if (is_open && is_secret) {
        reader_warning(place->reader, place->at, place->path,
                       "every user of this machine can read %s; run chmod o-r on it", path);
    } else if (!is_pem && strchr(file->text, '\n') && file->text[0] != '{') {
        reader_warning(place->reader, place->at, place->path,
                       "%s has several lines, and all of them are the password", path);
    }
}

static void check_client(const struct place *place, const struct config_upstream *upstream)
{
    size_t expired = 0;
    struct error err;

    if (upstream->client_key && !upstream->client_cert) {
        reader_problem(place->reader, place->at, place->path,
                       "client_key: set client_cert as well, or neither");
    } else if (judge_client(upstream, &expired, &err) != 0) {
        reader_problem(place->reader, place->at, place->path, "%s", err.text);
    } else if (expired > 0) {
        reader_warning(place->reader, place->at, place->path,
                       "client_cert: %s has an expired certificate", upstream->client_cert);
    }
    if (upstream->client_cert && !upstream->expose) {
        reader_warning(place->reader, place->at, place->path,
                       "the client certificate is not used unless expose: true says that "
                       "everybody who may pull from here may get what it brings");
    }
    if (!upstream->verifies_tls) {
        reader_warning(place->reader, place->at, place->path,
                       "tls_verify: false: anybody between here and %s can read the password and "
                       "give us other images; use ca_file outside a laboratory",
                       upstream->name);
    }
}

void files_finish(struct reader *reader, struct config_upstream *upstream,
                  const struct position *at, const char *path)
{
    struct place place = {reader, at, path};
    struct config *config = reader->config;
    struct error err;

    read_first_time(&place, "password_file", upstream->password_file, false, true);
    read_first_time(&place, upstream->ca_file ? "ca_file" : "fetch.ca_file",
                    ca_path(config, upstream), true, false);
    read_first_time(&place, "client_key", key_path(upstream), true, true);
    read_first_time(&place, "client_cert", upstream->client_cert, true, false);
    files_link(config);
    if (judge_ca(upstream, &err) != 0) {
        reader_problem(reader, at, path, "ca_file: %s: %s", ca_path(config, upstream), err.text);
        return;
    }
    check_client(&place, upstream);
}

/* ---- what the master printed ---- */

void files_read_printed(struct reader *reader, const struct node *map)
{
    for (size_t i = 0; map->kind == NODE_MAP && i + 1 < map->count; i += 2) {
        struct config_file *file = file_add(reader->config, map->items[i]->text, true);

        file->text = slice_dup(node_text(map->items[i + 1]));
    }
}

/* ---- again ---- */

bool config_files_have_changed(const struct config *config)
{
    for (size_t i = 0; i < config->file_count; i++) {
        const struct config_file *file = &config->files[i];

        if (file->is_regular && stamp_now(file->path) != file->stamp)
            return true;
    }
    return false;
}

static void keep(struct config *next, const struct config *old, const char *path)
{
    struct config_file *file = file_find(next, path, true);
    const struct config_file *before = file_find(old, path, true);

    if (!file || !before)
        return;
    mem_free(file->text);
    file->text = mem_strdup(before->text);
}

static void warn_of_kept(struct buf *warnings, const char *name, const struct error *err)
{
    buf_printf(warnings, "%s%s%s; what was read before stays in use\n", name ? name : "",
               name ? ": " : "", err->text);
}

/* What is of no use is kept as it was; a pair only together. */
static void judge_again(struct config *next, const struct config *old, struct buf *warnings)
{
    struct error err;
    size_t expired = 0;

    for (size_t i = 0; i < next->upstream_count; i++) {
        const struct config_upstream *upstream = &next->upstreams[i];

        if (judge_ca(upstream, &err) != 0) {
            warn_of_kept(warnings, ca_path(next, upstream), &err);
            keep(next, old, ca_path(next, upstream));
            files_link(next);
        }
        if (judge_client(upstream, &expired, &err) != 0) {
            warn_of_kept(warnings, NULL, &err);
            keep(next, old, upstream->client_cert);
            keep(next, old, key_path(upstream));
            files_link(next);
        }
    }
}

static void read_again(struct config *next, const struct config_file *old, struct buf *warnings)
{
    struct config_file *file = file_add(next, old->path, old->is_pem);
    struct error err;
    bool is_open = false;

    file->text = mem_strdup(old->text);
    file->stamp = old->stamp;
    file->is_regular = old->is_regular;
    if (!old->is_regular || file_read(file, false, &is_open, &err) == 0)
        return;
    /* It is told once for each change: not again before the file changes once more. */
    if (file->stamp != old->stamp)
        warn_of_kept(warnings, NULL, &err);
}

static bool is_same_text(const struct config *a, const struct config *b)
{
    bool is = true;

    for (size_t i = 0; i < a->file_count; i++)
        is = is && strcmp(a->files[i].text, b->files[i].text) == 0;
    return is;
}

int config_read_files(const struct config *config, struct config **out, bool *out_has_changed,
                      struct buf *warnings, struct error *err)
{
    AUTO_BUF struct buf text;
    struct config *next = NULL;

    buf_init(&text, CONFIG_TEXT_MAX);
    config_print(config, true, &text);
    int rc = config_parse(buf_bytes(&text), &next, err);
    if (rc != 0)
        return rc;
    files_clear(next);
    for (size_t i = 0; i < config->file_count; i++)
        read_again(next, &config->files[i], warnings);
    files_link(next);
    judge_again(next, config, warnings);
    *out_has_changed = !is_same_text(config, next);
    *out = next;
    return 0;
}
