/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as texts: what they mean, and which problems are found where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

struct result {
    struct config *config;
    struct buf problems;
    struct buf warnings;
};

/* A memory file has a path under /proc/self/fd. */
static int load(const char *yaml, const char *const *settings, struct result *result)
{
    struct error err;
    int fd = -1;
    char path[64];

    assert_int_equal(fd_memory_file("config", slice_of(yaml), &fd, &err), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *result = (struct result){0};
    buf_init(&result->problems, 65536);
    buf_init(&result->warnings, 65536);
    struct config_sources sources = {.file = path, .settings = settings, .is_root = true};
    int rc = config_load(&sources, &result->config, &result->problems, &result->warnings, &err);
    fd_close(&fd);
    return rc;
}

static void result_free(struct result *result)
{
    config_unref(&result->config);
    buf_cleanup(&result->problems);
    buf_cleanup(&result->warnings);
}

static void an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(load("", NULL, &result), 0);
    const struct config *config = result.config;
    assert_int_equal(config->listen_count, 1);
    assert_string_equal(config->listens[0].address, "localhost:32000");
    assert_string_equal(config->admin, "127.0.0.1:32001");
    assert_string_equal(config->storage.path, "/var/lib/entrepot");
    assert_int_equal(config->storage.cache_limit_percent, 80);
    assert_int_equal(config->storage.grace_ms, 3600000);
    assert_int_equal(config->workers, 0);
    assert_true(config->hosted.may_delete);
    assert_true(config->log.access);
    assert_int_equal(config->limits.manifest_size, 4 << 20);
    assert_int_equal(config->fetch.deadline, 10000);
    assert_int_equal(config->upstream_count, 1);
    const struct config_upstream *hub = config_upstream_default(config);
    assert_non_null(hub);
    assert_string_equal(hub->name, "docker.io");
    assert_string_equal(hub->urls.items[0], "https://registry-1.docker.io");
    const struct config_tag_rule *rule = config_tag_rule(hub, SLICE_LITERAL("latest"));
    assert_int_equal(rule->ttl_ms, 60000);
    assert_true(rule->stale_if_error_ms == UINT64_MAX);
    assert_int_equal(buf_bytes(&result.warnings).length, 0);
    result_free(&result);
}

static const char full[] =
    "listen: [0.0.0.0:32000, { address: \"[::]:5000\", role: mirror, "
    "proxy_protocol: true }]\n"
    "admin: none\n"
    "trusted_proxies: [unix, 10.0.0.0/8, \"fd00::1\"]\n"
    "location: relative\n"
    "names: [Registry.Lab.example]\n"
    "workers: 3\n"
    "storage: { path: /srv/e, cache_limit: 200GiB, grace: 2h }\n"
    "upstreams:\n"
    "  index.docker.io:\n"
    "    tags:\n"
    "      - { match: \"v*\", immutable: true }\n"
    "      - { match: \"*\", ttl: 5m, stale_if_error: 30d }\n"
    "  ghcr.io: {}\n"
    "  quay.io:\n"
    "  lab.example:5000: { url: [http://A.example:5000/, https://b.example], default: true, "
    "verify: strict, redirects: cdn.example }\n"
    "hosted: { reserved: [\"acme/*\"], delete: no }\n"
    "log: { level: debug, format: json, access: false }\n";

static void every_part_of_a_file_is_read(void **state)
{
    (void)state;
    struct result result;
    int rc = load(full, NULL, &result);
    if (rc != 0)
        print_error("%s", buf_text(&result.problems));
    assert_int_equal(rc, 0);
    const struct config *config = result.config;
    assert_int_equal(config->listen_count, 2);
    assert_false(config->listens[0].is_mirror);
    assert_true(config->listens[1].is_mirror);
    assert_false(config->listens[0].is_proxied);
    assert_true(config->listens[1].is_proxied);
    assert_int_equal(config->trusted_proxies.count, 3);
    assert_string_equal(config->trusted_proxies.items[1], "10.0.0.0/8");
    assert_int_equal(config->location, LOCATION_RELATIVE);
    assert_null(config->admin);
    assert_string_equal(config->names.items[0], "registry.lab.example");
    assert_int_equal(config->workers, 3);
    assert_true(config->storage.cache_limit == 200ull << 30);
    assert_int_equal(config->upstream_count, 4);
    assert_string_equal(config_upstream_default(config)->name, "lab.example:5000");
    assert_string_equal(config_upstream_default(config)->urls.items[0], "http://a.example:5000");
    assert_true(config_upstream_default(config)->is_strict);
    const struct config_upstream *hub = config_upstream_find(config, SLICE_LITERAL("docker.io"));
    assert_non_null(hub);
    assert_true(config_tag_rule(hub, SLICE_LITERAL("v1"))->is_immutable);
    assert_int_equal(config_tag_rule(hub, SLICE_LITERAL("latest"))->ttl_ms, 300000);
    assert_string_equal(config_upstream_find(config, SLICE_LITERAL("ghcr.io"))->urls.items[0],
                        "https://ghcr.io");
    assert_true(config_list_matches(&config->hosted.reserved, SLICE_LITERAL("acme/app")));
    assert_false(config->hosted.may_delete);
    assert_int_equal(config->log.level, LOG_DEBUG);
    result_free(&result);
}

static void a_url_says_where_the_api_is_and_what_stands_before_names(void **state)
{
    (void)state;
    char longest[256];
    static const struct {
        const char *written;
        const char *kept;
    } rows[] = {
        {"https://Harbor.example/hub", "https://harbor.example/v2/hub"},
        {"https://harbor.example:8443/hub///", "https://harbor.example:8443/v2/hub"},
        {"https://harbor.example/v2/hub/", "https://harbor.example/v2/hub"},
        {"https://harbor.example/v2/", "https://harbor.example"},
        {"https://harbor.example//", "https://harbor.example"},
        {"https://gitlab.example/group/sub/dependency_proxy/containers",
         "https://gitlab.example/v2/group/sub/dependency_proxy/containers"},
        {"https://a.example/artifactory/api/docker/KEY/v2",
         "https://a.example/artifactory/api/docker/KEY/v2"},
        {"https://a.example/artifactory/api/docker/KEY/v2/sub/v2",
         "https://a.example/artifactory/api/docker/KEY/v2/sub/v2"},
        {"http://[::1]:5000/ghcr.io", "http://[::1]:5000/v2/ghcr.io"},
        {"http://cache:32000/v2x", "http://cache:32000/v2/v2x"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[512];
        struct result result;

        (void)snprintf(yaml, sizeof(yaml), "upstreams: { a.io: { url: \"%s\" } }\n",
                       rows[i].written);
        if (load(yaml, NULL, &result) != 0)
            fail_msg("%s: %s", rows[i].written, buf_text(&result.problems));
        assert_string_equal(result.config->upstreams[0].urls.items[0], rows[i].kept);
        result_free(&result);
    }
    for (int over = 0; over < 2; over++) { /* of the part before /v2, and of the part after it */
        for (int is_after = 0; is_after < 2; is_after++) {
            char yaml[512];
            struct result result;

            memset(longest, 'a', sizeof(longest));
            longest[254 + over] = '\0';
            longest[sizeof(longest) - 1] = '\0';
            (void)snprintf(yaml, sizeof(yaml),
                           "upstreams: { a.io: { url: \"https://h/%sa%s\" } }\n", longest,
                           is_after ? "" : "/v2");
            assert_int_equal(load(yaml, NULL, &result), over ? -ERR_INVALID : 0);
            result_free(&result);
        }
    }
}

static void what_is_printed_is_read_back_the_same(void **state)
{
    (void)state;
    static const char *const odd[] = {"storage.path=/srv/with \"quotes\" \\ and # : {",
                                      "workers=auto", "storage.blob_max=12345678",
                                      "fetch.hold_time=1234ms", NULL};
    const char *const *const flags[] = {NULL, odd};
    for (size_t i = 0; i < 2; i++) {
        struct result result;

        assert_int_equal(load(i == 0 ? "" : full, flags[i], &result), 0);
        AUTO_BUF struct buf once;
        AUTO_BUF struct buf twice;
        buf_init(&once, 1 << 20);
        buf_init(&twice, 1 << 20);
        config_print(result.config, true, &once);
        struct config *again = NULL;
        struct error err = {0};
        int rc = config_parse(buf_bytes(&once), &again, &err);
        if (rc != 0)
            print_error("%s\n%s", err.text, buf_text(&once));
        assert_int_equal(rc, 0);
        config_print(again, true, &twice);
        assert_string_equal(buf_text(&once), buf_text(&twice));
        config_unref(&again);
        result_free(&result);
    }
}

static void passwords_are_printed_only_when_asked_for(void **state)
{
    (void)state;
    char secret[] = "/tmp/entrepot-test-XXXXXX";
    int fd = mkstemp(secret);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cr3t\n", 7), 7);
    assert_int_equal(fchmod(fd, 0644), 0);
    char yaml[256];
    (void)snprintf(yaml, sizeof(yaml),
                   "upstreams: { docker.io: { username: me, password_file: %s } }\n", secret);
    struct result result;
    assert_int_equal(load(yaml, NULL, &result), 0);
    assert_string_equal(result.config->upstreams[0].password, "s3cr3t");
    assert_non_null(strstr(buf_text(&result.warnings), "chmod"));
    assert_non_null(strstr(buf_text(&result.warnings), "expose: true"));
    AUTO_BUF struct buf without;
    AUTO_BUF struct buf with;
    buf_init(&without, 65536);
    buf_init(&with, 65536);
    config_print(result.config, false, &without);
    config_print(result.config, true, &with);
    assert_null(strstr(buf_text(&without), "s3cr3t"));
    assert_non_null(strstr(buf_text(&with), "password: \"s3cr3t\""));
    struct config *parsed = NULL;
    struct error err;
    assert_int_equal(config_parse(buf_bytes(&with), &parsed, &err), 0);
    assert_string_equal(parsed->upstreams[0].password, "s3cr3t");
    config_unref(&parsed);
    result_free(&result);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(secret), 0);
}

/* A text, and what must be said about it: each a part of the problems, up to four. */
struct wrong {
    const char *yaml;
    const char *said[4];
};

static const struct wrong wrongs[] = {
    {"storag:\n  path: x\n", {":1:1: storag: unknown setting, did you mean storage?"}},
    {"path: /x\n", {"did you mean storage.path?"}},
    {"storage:\n  pat: /x\n", {":2:3: storage.pat: ", "did you mean storage.path?"}},
    {"storage:\n  path: [a, b]\n", {":2:9: storage.path: expected one value, not a list"}},
    {"storage: 5\n", {":1:10: ", "expected settings (key: value)"}},
    {"workers: 65\n", {":1:10: workers: \"65\"", "auto or a number from 1 to 64"}},
    {"workers: -1\n", {"workers"}},
    {"workers: 1\nworkers: 2\n", {":2:1: ", "workers is set twice, first in line 1"}},
    {"listen: x\n", {":1:9: listen: \"x\" is not an address"}},
    {"listen: 127.0.0.1:65536\n", {":1:9: listen: ", "a port is a number from 0 to 65535"}},
    {"listen: 65536\n", {":1:9: listen: ", "a port is a number from 0 to 65535"}},
    {"listen: http://0.0.0.0:5000\n", {"an address has no scheme; write 0.0.0.0:5000"}},
    {"listen: https://a:5000\n", {"let a proxy in front terminate TLS"}},
    {"listen: 127.0.0.1:5\nadmin: 127.0.0.1:5\n",
     {":2:8: admin: 127.0.0.1:5 (listen) and 127.0.0.1:5 (admin) are the same port",
      "admin: none"}},
    {"listen: [127.0.0.1:5, 127.0.0.1:5]\n", {"127.0.0.1:5 is listed twice"}},
    {"upstreams: [ghcr.io]\n", {":1:12: upstreams: expected a map, not a list", "ghcr.io: {}"}},
    {"upstreams: ghcr.io\n", {"expected a map, not a text"}},
    {"listen: { address: \"unix:/x\", mode: 0888 }\n", {"listen.mode: expected a mode like 0660"}},
    {"listen: { address: \"127.0.0.1:1\", mode: 0660 }\n",
     {"mode and group are for unix:/path only"}},
    {"listen: { address: 127.0.0.1:1, proxy_protocol: v2 }\n",
     {"listen.proxy_protocol: \"v2\" is neither true nor false"}},
    {"trusted_proxies: [10.0.0.0/33]\n",
     {":1:18: trusted_proxies: \"10.0.0.0/33\" is no address of a proxy; write 10.0.0.7"}},
    {"trusted_proxies: proxy.example\n", {"is no address of a proxy"}},
    {"location: always\n", {"expected auto, relative or absolute"}},
    {"tls: {}\n", {":1:1: tls: this version speaks plain HTTP only"}},
    {"auth: {}\n", {":1:1: auth: this version has no authentication"}},
    {"redis: {}\n", {":1:1: redis: nothing is kept in Redis"}},
    {"port: 5000\n", {"port: addresses are set by listen: ADDRESS:PORT"}},
    {"version: 0.1\nstorage: { filesystem: { rootdirectory: /x } }\nhttp: { addr: x }\n",
     {":1:1: this is a configuration of the stock registry"}},
    {"storage: { path: ~/data }\n", {"storage.path: \"~/data\": ~ is not replaced here"}},
    {"storage: { path: $HOME/data }\n", {"$ is not replaced here; write the whole path"}},
    {"hosted: { reserved: [ '^team/.*$' ] }\n", {"is a regular expression", "team/*"}},
    {"upstreams: { a.io: { tags: [ { match: 'v[0-9]+' } ] } }\n", {"is a regular expression"}},
    {"upstreams: { a.io: { ca_file: /nonexistent/x } }\n",
     {":1:12: upstreams.a.io: ca_file: /nonexistent/x cannot be read: No such file"}},
    {"listen: \"::1:32000\"\n", {"in brackets: [::1]:32000"}},
    {"listen: registry.example:5000\n", {"\"registry.example:5000\" is not an address"}},
    {"listen: 1.2.3:5000\n", {"is not an address"}},
    {"admin: \"[::g]:5000\"\n", {"is not an address"}},
    {"listen: []\n", {"0 entries; expected 1 to 16"}},
    {"listen: { address: \"a:1\", role: mirrow }\n", {"expected full or mirror"}},
    {"storage:\n  grace: 1ms\n", {":2:10: storage.grace: \"1ms\"", "at least 1s"}},
    {"storage:\n  cache_limit: 120%\n", {"1% to 99%"}},
    {"log: { level: loud }\n", {"expected error, warn, info or debug"}},
    {"log: { access: maybe }\n", {"neither true nor false"}},
    {"workers: x\nlog: { level: loud }\nfoo: 1\n", {":1:10:", ":2:15:", ":3:1:"}},
    {"a: &x 1\nb: *x\n", {":1:4: anchors"}},
    {"a: !!str 1\n", {"tags"}},
    {"a: [\n", {"this is not valid YAML"}},
    {"--- {}\n--- {}\n", {"only one YAML document"}},
    {"- a\n", {":1:1: ", "expected settings"}},
    {"[[[[[[[[[[[[[[[[[[[[[[[[", {"nested too deeply"}},
    {"upstreams: { \"http://x\": {} }\n", {"is not a host name"}},
    {"upstreams: { ghcr.io: 5 }\n", {"expected the settings of the upstream"}},
    {"upstreams: { ghcr.io: { ulr: x } }\n", {"upstreams.ghcr.io.ulr: ", "did you mean url?"}},
    {"upstreams: { ghcr.io: { url: ghcr.io } }\n", {"is not a URL"}},
    {"upstreams: { ghcr.io: { url: https://user@ghcr.io } }\n", {"has a user", "username"}},
    {"upstreams: { ghcr.io: { url: https:///path } }\n", {"a host, and perhaps a port"}},
    {"upstreams: { ghcr.io: { url: \"https://ghcr.io/a?b=c\" } }\n", {"path \"a?b=c\"", "query"}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io?b } }\n", {"a host, and perhaps a port"}},
    {"upstreams: { ghcr.io: { url: \"https://ghcr.io/a#b\" } }\n", {"path \"a#b\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/a%2Fb } }\n", {"path \"a%2Fb\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/a/../b } }\n", {"path \"a/../b\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/./v2/b } }\n", {"path \"./v2/b\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/a//b } }\n", {"path \"a//b\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io//v2 } }\n", {"path \"/v2\""}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/Team/x } }\n",
     {"\"Team/x\" is no beginning", "lower case", "Team/x/v2"}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/v2/Team } }\n", {"\"Team\" is no beginning"}},
    {"upstreams: { ghcr.io: { url: https://ghcr.io/localhost:5000 } }\n", {"\"localhost:5000\""}},
    {"upstreams: { ghcr.io: { password: x } }\n", {"password_file"}},
    {"upstreams: { ghcr.io: { username: x } }\n", {"set both username and password_file"}},
    {"upstreams: { ghcr.io: { username: x, password_file: /nonexistent/x } }\n",
     {"/nonexistent/x"}},
    {"upstreams: { a.io: { default: true }, b.io: { default: true } }\n",
     {"upstreams.b.io.default: a.io is the default already"}},
    {"upstreams: { docker.io: {}, index.docker.io: {} }\n", {"docker.io is listed twice"}},
    {"upstreams: { a.io: { tags: [ { ttl: x } ] } }\n", {"upstreams.a.io.tags[0].ttl: \"x\""}},
    {"upstreams: { a.io: { tags: [ { tll: 5s } ] } }\n", {"did you mean ttl?"}},
    {"names: [ghcr.io]\nupstreams: { ghcr.io: {} }\n", {":1:8: names: ghcr.io is an upstream"}},
    {"limits: { request_line: 64KiB }\n", {":1:25: limits.request_line: it is more than"}},
    {"fetch: { head_timeout: 61m }\n", {"at most 1h"}},
};

static void problems_say_where_and_what_was_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct result result;
        int rc = load(wrongs[i].yaml, NULL, &result);
        const char *problems = buf_text(&result.problems);

        for (size_t k = 0; k < 4 && wrongs[i].said[k]; k++) {
            if (!strstr(problems, wrongs[i].said[k]))
                fail_msg("%s\nsaid: %s\nnot: %s", wrongs[i].yaml, problems, wrongs[i].said[k]);
        }
        assert_int_equal(rc, -ERR_INVALID);
        assert_null(result.config);
        result_free(&result);
    }
}

static void a_file_over_a_mebibyte_is_refused(void **state)
{
    (void)state;
    size_t length = (1u << 20) + 1;
    AUTO_FREE char *text = mem_zalloc(length + 1, 1);
    memset(text, '#', length);
    struct result result;
    assert_int_equal(load(text, NULL, &result), -ERR_INVALID);
    assert_non_null(strstr(buf_text(&result.problems), "longer than 1048576 bytes"));
    result_free(&result);
}

static void a_missing_file_is_a_problem(void **state)
{
    (void)state;
    AUTO_BUF struct buf problems;
    AUTO_BUF struct buf warnings;
    buf_init(&problems, 65536);
    buf_init(&warnings, 65536);
    struct config_sources sources = {.file = "/nonexistent/entrepot.yaml"};
    struct config *config = NULL;
    struct error err;
    assert_int_equal(config_load(&sources, &config, &problems, &warnings, &err), -ERR_INVALID);
    assert_non_null(strstr(buf_text(&problems), "/nonexistent/entrepot.yaml"));
}

/* "#key: value" lines of the example, without the mark. */
static void uncomment(struct slice text, struct buf *out)
{
    struct slice line;

    while (slice_split(&text, '\n', &line)) {
        ptrdiff_t mark = slice_find(line, '#');
        bool is_setting = mark >= 0 && (size_t)mark + 1 < line.length &&
                          line.data[mark + 1] >= 'a' && line.data[mark + 1] <= 'z';

        if (slice_is(line, "#upstreams:"))
            return;
        if (is_setting) {
            buf_append(out, line.data, (size_t)mark);
            line = slice_skip(line, (size_t)mark + 1);
        }
        buf_append_slice(out, line);
        buf_append_byte(out, '\n');
    }
}

static void the_example_is_right_and_gives_the_defaults(void **state)
{
    (void)state;
    AUTO_BUF struct buf example;
    AUTO_BUF struct buf bare;
    AUTO_BUF struct buf expected;
    buf_init(&example, 65536);
    buf_init(&bare, 65536);
    buf_init(&expected, 65536);
    config_print_example(&example);
    uncomment(buf_bytes(&example), &bare);
    struct result result;
    assert_int_equal(load("", NULL, &result), 0);
    config_print(result.config, true, &expected);
    result_free(&result);
    const char *texts[] = {buf_text(&example), buf_text(&bare)};
    for (size_t i = 0; i < 2; i++) {
        AUTO_BUF struct buf printed;

        buf_init(&printed, 65536);
        int rc = load(texts[i], NULL, &result);
        if (rc != 0)
            print_error("%s", buf_text(&result.problems));
        assert_int_equal(rc, 0);
        config_print(result.config, true, &printed);
        assert_string_equal(buf_text(&printed), buf_text(&expected));
        result_free(&result);
    }
}

static void what_needs_a_restart_keeps_its_value(void **state)
{
    (void)state;
    struct result running;
    struct result next;
    AUTO_BUF struct buf paths;
    buf_init(&paths, 4096);
    assert_int_equal(load("listen: [127.0.0.1:1, { address: 127.0.0.1:2, role: mirror, "
                          "proxy_protocol: true }]\n"
                          "workers: 3\n",
                          NULL, &running),
                     0);
    assert_int_equal(load("listen: 127.0.0.1:3\n"
                          "admin: none\n"
                          "user: somebody\n"
                          "storage: { path: /elsewhere, grace: 2h }\n"
                          "limits: { uploads: 7, uploads_per_repository: 7 }\n"
                          "log: { level: debug }\n",
                          NULL, &next),
                     0);
    config_keep_until_restart(next.config, running.config, &paths);
    assert_string_equal(buf_text(&paths), "listen, admin, user, storage.path, limits.uploads");
    assert_int_equal(next.config->listen_count, 2);
    assert_string_equal(next.config->listens[1].address, "127.0.0.1:2");
    assert_true(next.config->listens[1].is_mirror);
    assert_true(next.config->listens[1].is_proxied);
    assert_string_equal(next.config->admin, "127.0.0.1:32001");
    assert_null(next.config->user);
    assert_string_equal(next.config->storage.path, "/var/lib/entrepot");
    assert_int_equal(next.config->workers, 3);
    assert_int_equal(next.config->limits.uploads, 4096);
    assert_int_equal(next.config->storage.grace_ms, 7200000);
    assert_int_equal(next.config->log.level, LOG_DEBUG);
    buf_clear(&paths);
    config_keep_until_restart(next.config, running.config, &paths);
    assert_int_equal(buf_bytes(&paths).length, 0);
    result_free(&running);
    result_free(&next);
}

static void a_configuration_is_freed_with_its_last_reference(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(load("", NULL, &result), 0);
    struct config *again = config_ref(result.config);
    assert_ptr_equal(again, result.config);
    config_unref(&result.config);
    assert_null(result.config);
    assert_string_equal(again->listens[0].address, "localhost:32000");
    config_unref(&again);
    config_unref(&again);
    result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_a_restart_keeps_its_value),
        cmocka_unit_test(a_configuration_is_freed_with_its_last_reference),
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(every_part_of_a_file_is_read),
        cmocka_unit_test(a_url_says_where_the_api_is_and_what_stands_before_names),
        cmocka_unit_test(what_is_printed_is_read_back_the_same),
        cmocka_unit_test(passwords_are_printed_only_when_asked_for),
        cmocka_unit_test(problems_say_where_and_what_was_expected),
        cmocka_unit_test(a_file_over_a_mebibyte_is_refused),
        cmocka_unit_test(a_missing_file_is_a_problem),
        cmocka_unit_test(the_example_is_right_and_gives_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
