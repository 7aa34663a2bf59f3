/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration. It is read from YAML, environment and flags through one table of settings
 * (settings.def), checked as a whole, and constant from then on. The master prints it as YAML for
 * the other roles, which parse it again. (door: libyaml)
 *
 * A running process may get a new one at any time. So a configuration is counted: code that
 * keeps a pointer to it, or to anything inside it, from one turn of the loop to the next holds a
 * reference.
 * References are taken and dropped on the loop's thread only; threads of the pool may read.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/slice.h"

struct buf;
struct error;

/* Maxima that the program is built for; the parts that have arrays of that size compare them. */
#define CONFIG_LISTENS_MAX       16
#define CONFIG_PROXIES_MAX       64
#define CONFIG_WORKERS_MAX       64
#define CONFIG_HEADER_FIELDS_MAX 100
#define CONFIG_UPLOADS_MAX       65536
#define CONFIG_TEXT_MAX          (1u << 20) /* bytes that config_print writes */

struct config_list { /* of text; NUL-terminated, owned by the configuration */
    char **items;
    size_t count;
};

/* An address to listen on. */
struct config_listen {
    char *address;
    bool is_mirror;  /* read-only; a bare path is the default upstream's */
    unsigned mode;   /* of a unix socket; 0: 0600 */
    char *group;     /* of a unix socket: a name or a number; NULL: ours */
    bool is_proxied; /* each connection begins with the PROXY protocol */
};

enum location_form { /* location */
    LOCATION_AUTO,
    LOCATION_RELATIVE,
    LOCATION_ABSOLUTE,
};

enum shadow_check { /* hosted.shadow_check */
    SHADOW_CHECK_ASK,
    SHADOW_CHECK_STRICT,
    SHADOW_CHECK_OFF,
};

struct config_tag_rule { /* the first whose `match` fits wins */
    char *match;
    uint64_t ttl_ms;
    uint64_t stale_if_error_ms; /* UINT64_MAX: without end */
    bool is_immutable;          /* never asked again */
    bool is_offline;            /* never asked at all */
    bool keeps_deleted;         /* served though the upstream says that it is gone */
};

/* A file that the configuration names. It is read by the process that reads the configuration. */
struct config_file {
    char *path;
    char *text;      /* a password without line ends after it, or the blocks of a PEM file */
    uint64_t stamp;  /* of the file when it was read; 0: it was not there */
    bool is_regular; /* it can be read again */
    bool is_pem;     /* else it has a password */
};

/* A registry that we mirror, and how to reach it. */
struct config_upstream {
    char *name;              /* "docker.io": canonical */
    struct config_list urls; /* tried in turn; a URL with a path has "/v2" in it */
    bool is_default;
    uint64_t cache_limit; /* bytes; 0: none */
    char *username;       /* NULL: anonymous */
    char *password;       /* of password_file; only in the fetcher's copy */
    char *password_file;
    char *ca_file;
    char *client_cert;
    char *client_key; /* NULL: it is in client_cert */
    bool verifies_tls;
    const char
        *ca; /* what is in these files, PEM; in config->files; NULL: none, or not known here */
    const char *cert;
    const char *key;
    char *proxy;                   /* a URL, or "none" */
    struct config_list redirects;  /* hosts, perhaps with a port, that it may redirect to */
    struct config_list auth_hosts; /* of its token server: they get the password */
    struct config_list http_hosts; /* that an https upstream may lead to over http */
    bool expose;                   /* everybody may get what was fetched with the credentials */
    bool is_strict;                /* nothing leaves before its digest is verified */
    struct config_tag_rule *tags;
    size_t tag_count;
};

struct config {
    unsigned references;
    struct config_listen *listens;
    size_t listen_count;
    char *admin; /* NULL: disabled */
    struct {
        char *address; /* a path, "auto" or "none": config_control_path */
        unsigned mode;
        char *group; /* NULL: the processes' */
    } control;
    struct config_list names;
    enum location_form location;
    struct config_list trusted_proxies; /* addresses, networks, "unix" */
    unsigned workers;                   /* 0: auto, resolved by the master */
    char *user;                         /* NULL: default */
    struct {
        char *path;
        uint64_t cache_limit; /* bytes; 0 when it is a share */
        unsigned cache_limit_percent;
        uint64_t cache_max_age_ms; /* UINT64_MAX: forever */
        uint64_t min_free;
        uint64_t grace_ms;
        uint64_t memory_limit;
        uint64_t blob_max;
    } storage;
    struct config_file *files; /* only where it was read, and (PEM) in the fetcher's copy */
    size_t file_count;
    struct config_upstream *upstreams;
    size_t upstream_count;
    struct {
        struct config_list reserved, protect, allow, sparse;
        bool may_delete;
        enum shadow_check shadow_check;
    } hosted;
    struct {
        enum log_level level;
        enum log_format format;
        bool access;
    } log;
    struct { /* limits of the front; times in ms */
        uint64_t request_line, request_head, header_value, range_value, header_fields;
        uint64_t query_parameters, ranges, page;
        uint64_t head_timeout, body_timeout, keep_alive_timeout, send_timeout;
        uint64_t body_grace, body_rate;
        uint64_t connections, uploads, uploads_per_repository, upload_idle, upload_expiry;
        uint64_t manifest_size, manifest_entries, manifest_memory, answer_memory;
        uint64_t tags_per_push;
        uint64_t drain_timeout, drain_delay;
    } limits;
    struct {               /* towards upstreams; times in ms */
        uint64_t deadline; /* head or error for the client */
        uint64_t known_down_deadline;
        uint64_t tag_check_wait; /* a tag that is here waits so long for its check */
        uint64_t connect_timeout, head_timeout, stall_timeout;
        uint64_t hold_max; /* blobs up to this are answered when verified */
        uint64_t hold_time;
        uint64_t negative_ttl;
        uint64_t retries;
        uint64_t connections, questions;
        uint64_t rate_min; /* bytes a second */
        uint64_t memory;   /* bytes on their way to the disk */
        char *https_proxy; /* for https URLs: a proxy's URL, or "none"; NULL: there is none */
        char *http_proxy;
        struct config_list no_proxy;
        uint64_t partial_limit;
        char *ca_file; /* of upstreams that have none */
    } fetch;
};

/* Where settings come from. Later sources override earlier ones. */
struct config_sources {
    const char *file;               /* NULL: /etc/entrepot/entrepot.yaml if it exists */
    const char *const *settings;    /* --set key=value, NULL at the end; may be NULL */
    const char *const *environment; /* environ */
    bool is_root;
    bool is_reload; /* the server runs: pipes are refused, because it must not wait for them */
};

/* The file that is read: the one of the sources, that of ENTREPOT_CONFIG, or the usual one if it is
 * there. NULL: none. Borrowed from the sources. */
const char *config_file(const struct config_sources *sources);
/* Is this variable of the environment, "NAME=VALUE", one that a configuration is read from? It may
 * contain a password, so no other process gets it. */
bool config_is_variable(const char *entry);
/* Appends every problem to *problems, one a line: "file:line:column: path: what is wrong, and what
 * is expected"; and warnings to *warnings likewise. ERR_INVALID when there is any problem. Files of
 * passwords are read here. */
int config_load(const struct config_sources *sources, struct config **out, struct buf *problems,
                struct buf *warnings, struct error *err);
/* Has one of the files that the configuration names (passwords, certificates, keys) been written,
 * replaced or removed since it was read? A link counts as what it leads to. */
bool config_files_have_changed(const struct config *config);
/* Makes a copy of a configuration from config_load with what its files contain now. What cannot be
 * read, is empty, or does not fit together keeps what it had, with a line in *warnings.
 * *out_has_changed: something is different. ERR_INVALID when there is no copy. */
int config_read_files(const struct config *config, struct config **out, bool *out_has_changed,
                      struct buf *warnings, struct error *err);
/* Reads the text that config_print made. */
int config_parse(struct slice text, struct config **out, struct error *err);
/* Another reference to the same configuration. Returns its argument. */
struct config *config_ref(struct config *config);
/* Drops a reference and sets the pointer to NULL, which may be NULL already; the last one frees. */
void config_unref(struct config **config);
/* Gives the settings of `next` that need a restart the values that they have in `running`, and
 * appends the paths of those that differed, "listen, workers". `auto` workers in `next` are no
 * difference. */
void config_keep_until_restart(struct config *next, const struct config *running,
                               struct buf *out_paths);
/* Does the setting at `path` have its default? */
bool config_is_initial(const struct config *config, const char *path);
/* The path of the setting that somebody wrote with other marks between its words: "log-level" is
 * log.level. NULL: there is none. */
const char *config_setting_like(struct slice name);
/* Appends YAML that config_parse reads back as an equal configuration, with secrets only if asked
 * for. */
void config_print(const struct config *config, bool with_secrets, struct buf *out);
/* Appends the manual page of the settings, as Markdown. */
void config_print_manual(struct buf *out);
/* Appends conf/entrepot.yaml: every setting as a comment, at its default. */
void config_print_example(struct buf *out);

/* By its name or an alias. NULL: there is none. */
const struct config_upstream *config_upstream_find(const struct config *config, struct slice name);
const struct config_upstream *
config_upstream_default(const struct config *config); /* may be NULL */
/* Do both say the same of where the upstream is and how we log in there? Rules for tags, `default`
 * and `verify` may differ. */
bool config_upstream_is_reached_alike(const struct config_upstream *a,
                                      const struct config_upstream *b);
/* Do both have the same user and password? */
bool config_upstream_has_same_login(const struct config_upstream *a,
                                    const struct config_upstream *b);
/* The proxy for a URL of this scheme, host and port, which the upstream leads to; NULL: none. It
 * may contain a password; proxy_url_print prints it without. */
const char *config_proxy(const struct config *config, const struct config_upstream *upstream,
                         bool is_https, struct slice host, unsigned port);
/* The rule for a tag; never NULL. */
const struct config_tag_rule *config_tag_rule(const struct config_upstream *upstream,
                                              struct slice tag);
/* The path of the administrator's socket. ERR_NOT_FOUND: control.address is none. ERR_INVALID: the
 * path is too long for a socket. */
#define CONFIG_SOCKET_SIZE 108
int config_control_path(const struct config *config, char out[CONFIG_SOCKET_SIZE],
                        struct error *err);
bool config_list_matches(const struct config_list *patterns, struct slice text);

#endif
