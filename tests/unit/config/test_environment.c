/* SPDX-License-Identifier: Apache-2.0 */
/* Environment, REGISTRY_* variables and --set: what wins, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

struct result {
    struct config *config;
    struct buf problems;
    struct buf warnings;
};

static int load(const char *yaml, const char *const *environment, const char *const *settings,
                struct result *result)
{
    struct error err;
    int fd = -1;
    char path[64];

    assert_int_equal(fd_memory_file("config", slice_of(yaml), &fd, &err), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *result = (struct result){0};
    buf_init(&result->problems, 65536);
    buf_init(&result->warnings, 65536);
    struct config_sources sources = {
        .file = path, .settings = settings, .environment = environment, .is_root = false};
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

static void flag_wins_over_environment_over_file(void **state)
{
    (void)state;
    const char *const environment[] = {"ENTREPOT_STORAGE_PATH=/env", "ENTREPOT_WORKERS=2",
                                       "ENTREPOT_NAMES=a.example, b.example", "PATH=/bin", NULL};
    const char *const settings[] = {"workers=5", NULL};
    struct result result;
    assert_int_equal(
        load("storage: { path: /file, grace: 2h }\nworkers: 9\n", environment, settings, &result),
        0);
    assert_string_equal(result.config->storage.path, "/env");
    assert_int_equal(result.config->storage.grace_ms, 7200000);
    assert_int_equal(result.config->workers, 5);
    assert_int_equal(result.config->names.count, 2);
    assert_string_equal(result.config->names.items[1], "b.example");
    result_free(&result);
}

static void unknown_variables_of_ours_warn_and_those_of_kubernetes_do_not(void **state)
{
    (void)state;
    const char *const environment[] = {"ENTREPOT_STORAGE_PTH=/x", "ENTREPOT_PORT=tcp://1.2.3.4:1",
                                       "ENTREPOT_SERVICE_HOST=1.2.3.4",
                                       "REGISTRY_PORT_5000_TCP=tcp://1.2.3.4:5000", NULL};
    struct result result;
    assert_int_equal(load("", environment, NULL, &result), 0);
    assert_string_equal(buf_text(&result.warnings),
                        "ENTREPOT_STORAGE_PTH: there is no such setting, "
                        "did you mean ENTREPOT_STORAGE_PATH? The "
                        "variable is ignored\n");
    result_free(&result);
}

static void variables_of_the_stock_registry_are_understood(void **state)
{
    (void)state;
    const char *const environment[] = {
        "REGISTRY_HTTP_ADDR=:5000",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/var/lib/registry",
        "REGISTRY_STORAGE_DELETE_ENABLED=yes",
        "REGISTRY_PROXY_REMOTEURL=https://registry-1.docker.io",
        "REGISTRY_PROXY_USERNAME=me",
        "REGISTRY_PROXY_PASSWORD=secret",
        "REGISTRY_LOG_LEVEL=debug",
        NULL};
    struct result result;
    assert_int_equal(load("", environment, NULL, &result), 0);
    assert_string_equal(result.config->listens[0].address, "[::]:5000");
    assert_string_equal(result.config->storage.path, "/var/lib/registry");
    assert_true(result.config->hosted.may_delete);
    assert_int_equal(result.config->upstream_count, 1);
    const struct config_upstream *upstream = config_upstream_default(result.config);
    assert_string_equal(upstream->name, "docker.io");
    assert_string_equal(upstream->password, "secret");
    assert_non_null(strstr(buf_text(&result.warnings), "REGISTRY_LOG_LEVEL: "));
    result_free(&result);
}

static void a_proxied_registry_becomes_the_default_upstream(void **state)
{
    (void)state;
    const char *const environment[] = {"REGISTRY_PROXY_REMOTEURL=http://Harbor.example:8080/",
                                       "REGISTRY_PROXY_TTL=168h0m0s", NULL};
    struct result result;
    assert_int_equal(load("upstreams: { docker.io: {} }\n", environment, NULL, &result), 0);
    assert_int_equal(result.config->upstream_count, 2);
    assert_string_equal(config_upstream_default(result.config)->name, "harbor.example:8080");
    assert_string_equal(config_upstream_default(result.config)->urls.items[0],
                        "http://harbor.example:8080");
    result_free(&result);

    const char *const in_a_path[] = {"REGISTRY_PROXY_REMOTEURL=https://a.example/docker/KEY/",
                                     NULL};
    assert_int_equal(load("", in_a_path, NULL, &result), 0);
    assert_string_equal(config_upstream_default(result.config)->name, "a.example");
    assert_string_equal(config_upstream_default(result.config)->urls.items[0],
                        "https://a.example/docker/KEY/v2");
    result_free(&result);
}

static void what_would_open_a_registry_is_refused(void **state)
{
    (void)state;
    static const char *const variables[] = {
        "REGISTRY_AUTH=htpasswd",
        "REGISTRY_AUTH_HTPASSWD_PATH=/x",
        "REGISTRY_HTTP_TLS_CERTIFICATE=/x",
        "REGISTRY_STORAGE=s3",
        "REGISTRY_STORAGE_S3_BUCKET=x",
        "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED=true",
        "REGISTRY_PROXY_REMOTEURL=registry-1.docker.io",
        "ENTREPOT_WORKERS=none",
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *const environment[] = {variables[i], NULL};
        struct result result;

        assert_int_equal(load("", environment, NULL, &result), -ERR_INVALID);
        char name[128] = {0};
        struct slice rest = slice_of(variables[i]);
        struct slice first;
        assert_true(slice_split(&rest, '=', &first));
        memcpy(name, first.data, first.length);
        assert_non_null(strstr(buf_text(&result.problems), name));
        result_free(&result);
    }
}

static void flags_reach_into_upstreams(void **state)
{
    (void)state;
    const char *const settings[] = {"upstreams.docker.io.url=http://127.0.0.1:5001",
                                    "upstreams.ghcr.io.expose=true", "upstreams.b.io.default=true",
                                    NULL};
    struct result result;
    assert_int_equal(load("", NULL, settings, &result), 0);
    assert_int_equal(result.config->upstream_count, 3);
    assert_string_equal(result.config->upstreams[0].urls.items[0], "http://127.0.0.1:5001");
    assert_true(result.config->upstreams[1].expose);
    assert_string_equal(config_upstream_default(result.config)->name, "b.io");
    result_free(&result);

    const char *const none[] = {"upstreams={}", NULL};
    assert_int_equal(load("", NULL, none, &result), 0);
    assert_int_equal(result.config->upstream_count, 0);
    assert_null(config_upstream_default(result.config));
    result_free(&result);
}

static void wrong_flags_are_refused(void **state)
{
    (void)state;
    static const char *const flags[][2] = {
        {"workers", "--set workers: expected KEY=VALUE"},
        {"storage=/data",
         "command line: storage: this is a group of settings; set one of storage.path, "},
        {"upstreams=a b", "command line: upstreams: \"a b\" is not a host name"},
        {"upstreams={", "names separated by commas, or a map as YAML"},
        {"storage.pth=x", "command line: storage.pth: unknown setting, did you mean storage.path?"},
        {"limits.connections=x", "command line: limits.connections: \"x\""},
        {"upstreams.ghcr.io.ulr=x", "expected upstreams.NAME.KEY=VALUE"},
        {"storage.path=a\x01", "control characters"},
        {"storage.path=a\xff", "not UTF-8"},
        {"storage.path=a\xed\xa0\x80", "not UTF-8"}, /* a surrogate */
        {"storage.path=a\xe0\x80\xaf", "not UTF-8"}, /* an overlong slash */
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const char *const settings[] = {flags[i][0], NULL};
        struct result result;

        assert_int_equal(load("", NULL, settings, &result), -ERR_INVALID);
        if (!strstr(buf_text(&result.problems), flags[i][1]))
            fail_msg("%s: %s", flags[i][0], buf_text(&result.problems));
        result_free(&result);
    }
}

/* A Service called registry-auth, or entrepot-storage, makes these in every container. */
static void what_kubernetes_makes_is_no_wish(void **state)
{
    (void)state;
    const char *const environment[] = {"REGISTRY_AUTH_PORT=tcp://10.0.0.1:80",
                                       "REGISTRY_AUTH_SERVICE_HOST=10.0.0.1",
                                       "REGISTRY_AUTH_SERVICE_PORT=80",
                                       "REGISTRY_AUTH_SERVICE_PORT_HTTP=80",
                                       "REGISTRY_AUTH_PORT_80_TCP=tcp://10.0.0.1:80",
                                       "REGISTRY_AUTH_PORT_80_TCP_PROTO=tcp",
                                       "REGISTRY_AUTH_PORT_80_TCP_ADDR=10.0.0.1",
                                       "REGISTRY_HTTP_TLS_PORT_53_UDP_PORT=53",
                                       "ENTREPOT_STORAGE_PORT=udp://10.0.0.1:80",
                                       "ENTREPOT_LIMITS_SERVICE_HOST=10.0.0.1",
                                       NULL};
    struct result result;
    assert_int_equal(load("", environment, NULL, &result), 0);
    assert_string_equal(buf_text(&result.warnings), "");
    result_free(&result);
}

static void false_and_empty_are_no_wish(void **state)
{
    (void)state;
    const char *const environment[] = {"REGISTRY_AUTH=",
                                       "REGISTRY_HTTP_ADDR=",
                                       "REGISTRY_HTTP_TLS_CERTIFICATE=",
                                       "REGISTRY_STORAGE=",
                                       "REGISTRY_STORAGE_DELETE_ENABLED=",
                                       "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=",
                                       "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED=false",
                                       "REGISTRY_STORAGE_MAINTENANCE_READONLY={\"enabled\":false}",
                                       "REGISTRY_HTTP_TLS_LETSENCRYPT=False",
                                       "ENTREPOT_WORKERS=",
                                       "ENTREPOT_LISTEN=",
                                       "ENTREPOT_UPSTREAMS=",
                                       "ENTREPOT_CONFIG=",
                                       NULL};
    struct result result;
    assert_int_equal(load("", environment, NULL, &result), 0);
    assert_string_equal(result.config->listens[0].address, "localhost:32000");
    assert_int_equal(result.config->upstream_count, 1);
    result_free(&result);
}

static void upstreams_come_from_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        size_t count;
        const char *preferred; /* NULL: there is no default */
    } rows[] = {
        {"ENTREPOT_UPSTREAMS=ghcr.io, docker.io", 2, "docker.io"},
        {"ENTREPOT_UPSTREAMS=localhost:5000", 1, NULL},
        {"ENTREPOT_UPSTREAMS=[ghcr.io, quay.io]", 2, NULL},
        {"ENTREPOT_UPSTREAMS={}", 0, NULL},
        {"ENTREPOT_UPSTREAMS={ ghcr.io: { default: true }, quay.io: {} }", 2, "ghcr.io"},
        {"ENTREPOT_UPSTREAMS=ghcr.io:\n  url: http://a:1\n", 1, NULL},
        {"ENTREPOT_UPSTREAMS={ docker.io: { url: https://h/hub, default: true } }", 1, "docker.io"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const environment[] = {rows[i].variable, NULL};
        struct result result;

        if (load("upstreams: { a.io: {} }\n", environment, NULL, &result) != 0)
            fail_msg("%s: %s", rows[i].variable, buf_text(&result.problems));
        assert_int_equal(result.config->upstream_count, rows[i].count);
        const struct config_upstream *preferred = config_upstream_default(result.config);
        assert_int_equal(!preferred, !rows[i].preferred);
        if (preferred)
            assert_string_equal(preferred->name, rows[i].preferred);
        result_free(&result);
    }
}

static void the_file_may_be_named_by_the_environment(void **state)
{
    (void)state;
    static const char *const environment[] = {"ENTREPOT_CONFIG=/nonexistent/a.yaml", NULL};
    struct config_sources sources = {.environment = environment};
    AUTO_BUF struct buf problems;
    AUTO_BUF struct buf warnings;
    struct config *config = NULL;
    struct error err;
    buf_init(&problems, 65536);
    buf_init(&warnings, 65536);
    assert_string_equal(config_file(&sources), "/nonexistent/a.yaml");
    assert_int_equal(config_load(&sources, &config, &problems, &warnings, &err), -ERR_INVALID);
    assert_string_equal(buf_text(&problems),
                        "/nonexistent/a.yaml: the configuration file cannot be read: No such file "
                        "or directory; ENTREPOT_CONFIG names it\n");
    sources.file = "/b.yaml";
    assert_string_equal(config_file(&sources), "/b.yaml");
}

static void a_port_alone_is_on_this_machine(void **state)
{
    (void)state;
    const char *const settings[] = {"listen=5000", NULL};
    struct result result;
    assert_int_equal(load("", NULL, settings, &result), 0);
    assert_string_equal(result.config->listens[0].address, "localhost:5000");
    result_free(&result);
}

static const char *proxy_of(const struct config *config, const char *name, bool is_https,
                            const char *host, unsigned port)
{
    const struct config_upstream *upstream = config_upstream_find(config, slice_of(name));

    assert_non_null(upstream);
    return config_proxy(config, upstream, is_https, slice_of(host), port);
}

static void check_proxy(const char *found, const char *wanted)
{
    if (!wanted)
        assert_null(found);
    else
        assert_string_equal(found ? found : "none", wanted);
}

static void variables_of_curl_name_the_proxy(void **state)
{
    static const struct variable_case {
        const char *environment[4];
        const char *https; /* what follows for https:// URLs; NULL: no proxy */
        const char *http;
    } cases[] = {
        {{"HTTPS_PROXY=p:1", NULL}, "http://p:1", NULL},
        {{"HTTPS_PROXY=p:1", "https_proxy=q:2", NULL}, "http://q:2", NULL},
        {{"HTTP_PROXY=p:1", NULL}, NULL, NULL},
        {{"http_proxy=p:1", NULL}, NULL, "http://p:1"},
        {{"ALL_PROXY=socks5h://p", NULL}, "socks5h://p:1080", "socks5h://p:1080"},
        {{"all_proxy=p:1", "HTTPS_PROXY=q:2", NULL}, "http://q:2", "http://p:1"},
        {{"HTTPS_PROXY=", "all_proxy=p:1", NULL}, "http://p:1", "http://p:1"},
        {{"HTTPS_PROXY=p:1", "ENTREPOT_FETCH_HTTPS_PROXY=none", NULL}, NULL, NULL},
        {{"HTTPS_PROXY=p:1", "ENTREPOT_FETCH_HTTPS_PROXY=q:2", NULL}, "http://q:2", NULL},
        {{"ALL_PROXY=p:1", "ENTREPOT_FETCH_NO_PROXY=*", NULL}, NULL, NULL},
        {{"ALL_PROXY=p:1", "NO_PROXY=a.test", "no_proxy=b.test", NULL}, "http://p:1", "http://p:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result result;

        assert_int_equal(load("", cases[i].environment, NULL, &result), 0);
        check_proxy(proxy_of(result.config, "docker.io", true, "a.test", 443), cases[i].https);
        check_proxy(proxy_of(result.config, "docker.io", false, "a.test", 80), cases[i].http);
        result_free(&result);
    }
}

static void hosts_without_a_proxy(void **state)
{
    static const struct host_case {
        const char *entry;
        const char *host;
        unsigned port;
        bool is_excepted;
    } cases[] = {
        {"example.com", "example.com", 443, true},
        {"example.com", "a.example.com", 443, true},
        {"example.com", "aexample.com", 443, false},
        {".example.com", "example.com", 443, true},
        {".example.com", "a.b.EXAMPLE.com.", 443, true},
        {"*.example.com", "a.example.com", 443, true},
        {"Example.Com.", "example.com", 443, true},
        {"a.example.com", "example.com", 443, false},
        {"example.com:5000", "example.com", 5000, true},
        {"example.com:5000", "example.com", 443, false},
        {"example.com:x", "example.com", 443, false},
        {"*", "anything", 1, true},
        {"com", "example.com", 443, true},
        {".", "example.com", 443, false},
        {"10.1.2.3", "10.1.2.3", 443, true},
        {"1.2.3", "10.1.2.3", 443, false},
        {"10.0.0.0/8", "10.255.0.1", 443, true},
        {"10.0.0.0/8", "11.0.0.1", 443, false},
        {"10.128.0.0/9", "10.127.0.1", 443, false},
        {"0.0.0.0/0", "1.2.3.4", 443, true},
        {"10.0.0.0/33", "10.0.0.1", 443, false},
        {"10.0.0.0/x", "10.0.0.1", 443, false},
        {"10.0.0.0/8", "ten.example.com", 443, false},
        {"fd00::/8", "fd12::1", 443, true},
        {"fd00::/8", "fe12::1", 443, false},
        {"::1", "::1", 443, true},
        {"[fd00::1]:5000", "fd00::1", 5000, true},
        {"[fd00::1]:5000", "fd00::1", 443, false},
        {"[fd00::1", "fd00::1", 443, false},
        {"fd00::/8", "10.0.0.1", 443, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const environment[] = {"HTTPS_PROXY=p:1", NULL};
        char flag[100];
        const char *const settings[] = {"upstreams.docker.io.proxy=q:2", flag, NULL};
        struct result result;

        (void)snprintf(flag, sizeof(flag), "fetch.no_proxy=%s", cases[i].entry);
        assert_int_equal(load("", environment, settings, &result), 0);
        const char *found =
            proxy_of(result.config, "docker.io", true, cases[i].host, cases[i].port);
        if (cases[i].is_excepted != !found)
            fail_msg("%s for %s:%u", cases[i].entry, cases[i].host, cases[i].port);
        result_free(&result);
    }
}

static void this_machine_needs_no_general_proxy(void **state)
{
    static const char *const hosts[] = {"localhost", "LOCALHOST", "a.localhost",
                                        "127.0.0.1", "127.9.9.9", "::1"};
    const char *const environment[] = {"HTTPS_PROXY=p:1", NULL};
    struct result result;

    (void)state;
    assert_int_equal(load("upstreams: { docker.io: {}, a.test: { proxy: q:2 }, b.test: { proxy: "
                          "none } }\n",
                          environment, NULL, &result),
                     0);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        assert_null(proxy_of(result.config, "docker.io", true, hosts[i], 443));
        check_proxy(proxy_of(result.config, "a.test", true, hosts[i], 443), "http://q:2");
        check_proxy(proxy_of(result.config, "a.test", false, "x.test", 443), "http://q:2");
        assert_null(proxy_of(result.config, "b.test", true, "x.test", 443));
    }
    check_proxy(proxy_of(result.config, "docker.io", true, "128.0.0.1", 443), "http://p:1");
    result_free(&result);
}

/* Workers connect nowhere. */
static void proxies_are_for_the_fetcher_alone(void **state)
{
    const char *const environment[] = {"HTTPS_PROXY=http://me:secret1@p:1", NULL};
    const char *const settings[] = {"upstreams.docker.io.proxy=me:secret2@p:1",
                                    "fetch.http_proxy=me:secret3@p:1", NULL};
    struct result result;
    struct config *again = NULL;
    struct error err;

    (void)state;
    AUTO_BUF struct buf with;
    AUTO_BUF struct buf without;
    buf_init(&with, CONFIG_TEXT_MAX);
    buf_init(&without, CONFIG_TEXT_MAX);
    assert_int_equal(load("", environment, settings, &result), 0);
    config_print(result.config, true, &with);
    config_print(result.config, false, &without);
    assert_null(strstr(buf_text(&without), "secret"));
    assert_int_equal(config_parse(buf_bytes(&with), &again, &err), 0);
    check_proxy(again->fetch.https_proxy, "http://me:secret1@p:1");
    check_proxy(again->fetch.http_proxy, "http://me:secret3@p:1");
    check_proxy(proxy_of(again, "docker.io", true, "a.test", 1), "http://me:secret2@p:1");
    config_unref(&again);
    result_free(&result);
}

static void variables_of_a_configuration_are_known(void **state)
{
    static const char *const ours[] = {"ENTREPOT_FETCH_HTTPS_PROXY=x",
                                       "ENTREPOT_=",
                                       "REGISTRY_PROXY_PASSWORD=x",
                                       "https_proxy=x",
                                       "ALL_PROXY=x",
                                       "no_proxy="};
    static const char *const others[] = {"PATH=/bin", "TZ=UTC",
                                         "ENTREPOT",  "MY_REGISTRY_X=ALL_PROXY",
                                         "",          "ENTREPOT_FAILPOINTS=@/tmp/x"};

    (void)state;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        assert_true(config_is_variable(ours[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(config_is_variable(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_wins_over_environment_over_file),
        cmocka_unit_test(variables_of_curl_name_the_proxy),
        cmocka_unit_test(hosts_without_a_proxy),
        cmocka_unit_test(this_machine_needs_no_general_proxy),
        cmocka_unit_test(proxies_are_for_the_fetcher_alone),
        cmocka_unit_test(unknown_variables_of_ours_warn_and_those_of_kubernetes_do_not),
        cmocka_unit_test(variables_of_the_stock_registry_are_understood),
        cmocka_unit_test(a_proxied_registry_becomes_the_default_upstream),
        cmocka_unit_test(what_would_open_a_registry_is_refused),
        cmocka_unit_test(what_kubernetes_makes_is_no_wish),
        cmocka_unit_test(false_and_empty_are_no_wish),
        cmocka_unit_test(upstreams_come_from_the_environment),
        cmocka_unit_test(the_file_may_be_named_by_the_environment),
        cmocka_unit_test(a_port_alone_is_on_this_machine),
        cmocka_unit_test(flags_reach_into_upstreams),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(variables_of_a_configuration_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
