/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, passwords and redirects: which host is asked, and which one gets credentials. */
#include <stdio.h>
#include <string.h>

#include "breaker.h"
#include "config/config.h"
#include "fetcher/fetcher.h"
#include "ipc/metrics.h"
#include "oci/media_type.h"
#include "stage.h"

static struct {
    struct slice blob;
    const char *location; /* of a redirect */
    const char *challenge;
    const char *target_address;
    bool refuses_token;
    int status; /* if not 0, instead of what the other members say */
    const char *token_json;
    int token_status; /* instead of 200 */
    const char *token_headers;
    const char *token_location; /* the token server redirects there, until that says "moved" */
    uint64_t token_drip_ms;     /* between the bytes of the token server's answer */
    bool has_own_fault;         /* transfers end with ERR_INTERNAL */
    bool refuses_login;         /* the token server refuses whoever logs in */
    bool refuses_member;        /* the registry refuses the token of a login */
    int target_status; /* of a redirect's target, if not 0; with target_challenge: without a
                          token */
    const char *target_challenge;
    bool target_failure;
    int anonymous_status; /* if not 0, what a token without a login gets */
} script;

static const char *const bearer =
    "WWW-Authenticate: Bearer realm=\"https://hub.test/token\",service=\"hub\"\r\n";

static bool is_login(const struct fake_request *request)
{
    return strstr(request->headers, "Authorization: Basic ");
}

static void answer_token(const struct fake_request *request, struct fake_answer *answer)
{
    answer->status = script.token_status ? script.token_status : 200;
    if (script.token_location && !strstr(request->url, "moved")) {
        answer->status = 307;
        answer->headers = script.token_location;
        return;
    }
    if (script.refuses_login && is_login(request))
        answer->status = script.token_status ? script.token_status : 401;
    else if (script.refuses_login)
        answer->status = 200;
    answer->headers = script.token_headers;
    answer->pause_ms = script.token_drip_ms;
    answer->piece = script.token_drip_ms > 0 ? 1 : 0;
    if (answer->status != 200)
        return;
    answer->body = slice_of(
        script.token_json   ? script.token_json
        : is_login(request) ? "{\"token\":\"member\"}"
                            : "{\"token\":\"ticket\",\"access_token\":\"x\",\"expires_in\":300}");
}

static void answer_hub(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    static char headers[1000];
    bool is_home = strncmp(request->url, "https://hub.test/v2/", 20) == 0;

    (void)arg;
    if (script.has_own_fault) {
        answer->failure = ERR_INTERNAL;
    } else if (strstr(request->url, "/token?")) {
        answer_token(request, answer);
    } else if (!is_home) {
        bool is_welcome = !script.target_status;

        if (script.target_challenge)
            is_welcome = strstr(request->headers, "Bearer ticket");
        answer->status = is_welcome ? 200 : script.target_status;
        if (script.target_failure) {
            answer->status = 0;
            answer->failure = ERR_UPSTREAM;
        }
        if (is_welcome)
            answer->body = script.blob;
        else
            answer->headers = script.target_challenge;
        answer->address = script.target_address;
    } else if (script.status) {
        answer->status = script.status;
    } else if (script.challenge &&
               (script.refuses_token || !strstr(request->headers, "Authorization: "))) {
        answer->status = 401;
        answer->headers = script.challenge;
    } else if (script.refuses_member && strstr(request->headers, "Bearer member")) {
        answer->status = 401;
        answer->headers = script.challenge;
    } else if (script.anonymous_status && !strstr(request->headers, "Bearer member") &&
               !is_login(request)) {
        answer->status = script.anonymous_status;
    } else if (script.location) {
        answer->status = 307;
        (void)snprintf(headers, sizeof(headers), "Location: %s\r\n", script.location);
        answer->headers = headers;
    } else {
        answer->status = 200;
        answer->body = script.blob;
    }
}

static void answer_gitlab(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    if (strncmp(request->url, "https://gitlab.com/jwt/auth?", 28) == 0) {
        answer_token(request, answer);
    } else if (!strstr(request->headers, "Authorization: ")) {
        answer->status = 401;
        answer->headers = "WWW-Authenticate: Bearer realm=\"https://gitlab.com/jwt/auth\"\r\n";
    } else {
        answer->status = 200;
        answer->body = script.blob;
    }
}

/* It refuses every password, and asks for none. */
static void answer_open_hub(const struct fake_request *request, struct fake_answer *answer,
                            void *arg)
{
    (void)arg;
    answer->status = strstr(request->headers, "Authorization: ") ? 401 : 200;
    answer->body = script.blob;
    if (answer->status == 401)
        answer->headers = script.challenge;
}

/* One byte of 100, then nothing for an hour. */
static void answer_hub_slowly(const struct fake_request *request, struct fake_answer *answer,
                              void *arg)
{
    static char page[100];

    answer_hub(request, answer, arg);
    if (answer->status == 200)
        return;
    answer->body = slice_from(page, sizeof(page));
    answer->piece = 1;
    answer->pause_ms = 3600000;
}

static int setup_with(const char *yaml)
{
    memset(&script, 0, sizeof(script));
    stage_open(yaml);
    script.blob = stage_bytes(1, 1000);
    fake_upstream_set(answer_hub, NULL);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_with(NULL);
}

#define WITH_PASSWORD                                                                              \
    "  docker.io:\n    url: https://hub.test\n    default: true\n    username: me\n"               \
    "    password: secret\n"

#define NEWER_PASSWORD                                                                             \
    "  docker.io:\n    url: https://hub.test\n    default: true\n    username: me\n"               \
    "    password: newer\n"

static int setup_one_connection(void **state)
{
    (void)state;
    return setup_with(WITH_PASSWORD "    expose: true\nfetch: { connections: 1 }\n");
}

static int setup_password(void **state)
{
    (void)state;
    return setup_with(WITH_PASSWORD "    expose: true\n");
}

static int setup_hidden_password(void **state)
{
    (void)state;
    return setup_with(WITH_PASSWORD);
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static struct seen *pull_of(const char *repository)
{
    struct digest digest = stage_digest(script.blob);
    uint64_t request = stage_join(0, JOIN_BLOB, repository, "", &digest, script.blob.length);

    stage_until(stage_is_over, request);
    return stage_seen(request);
}

static struct seen *pull(void)
{
    return pull_of("library/app");
}

static const char basic[] = "Authorization: Basic bWU6c2VjcmV0";

static bool was_told(size_t index, const char *text)
{
    return strstr(fake_upstream_at(index)->headers, text);
}

static void exchange_gets_a_token_and_asks_again(void **state)
{
    (void)state;
    script.challenge = bearer;
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 3);
    assert_string_equal(fake_upstream_at(1)->url, "https://hub.test/token?service=hub&scope="
                                                  "repository:library/app:pull");
    assert_false(was_told(1, "Authorization"));
    assert_true(was_told(2, "Authorization: Bearer ticket\r\n"));
}

/* What the upstream of these tests has been counted for. */
static uint64_t count_of(enum metric_outcome outcome)
{
    unsigned upstream = metrics_name(METRIC_NAME_upstream, "docker.io");

    return metrics_sum_at(METRIC_upstream_answers, upstream, outcome);
}

static void exchange_counts_what_became_of_it(void **state)
{
    (void)state;
    unsigned upstream = metrics_name(METRIC_NAME_upstream, "docker.io");
    uint64_t bytes = metrics_sum_at(METRIC_upstream_received_bytes, upstream, 0);
    static const struct {
        int status;
        enum metric_outcome outcome;
    } cases[] = {
        {0, METRIC_OUTCOME_ok},       {404, METRIC_OUTCOME_not_found},
        {403, METRIC_OUTCOME_denied}, {429, METRIC_OUTCOME_limited},
        {500, METRIC_OUTCOME_failed},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = count_of(cases[i].outcome);

        script.blob = stage_bytes((unsigned)i + 10, 1000);
        script.status = cases[i].status;
        (void)pull();
        assert_true(count_of(cases[i].outcome) > before);
    }
    assert_int_equal(metrics_sum_at(METRIC_upstream_received_bytes, upstream, 0), bytes + 1000);
}

/* What libcurl refuses here says nothing about the upstream: its breaker stays closed. */
static void exchange_does_not_blame_the_upstream_for_our_faults(void **state)
{
    (void)state;
    script.has_own_fault = true;
    for (unsigned i = 0; i < 2 * BREAKER_FAILURES; i++) {
        script.blob = stage_bytes(i + 50, 1000);
        (void)pull();
    }
    script.has_own_fault = false;
    script.blob = stage_bytes(99, 1000);
    assert_int_equal(pull()->verifieds, 1);
}

static void exchange_keeps_the_token(void **state)
{
    (void)state;
    script.challenge = bearer;
    pull();
    uint64_t request = stage_join(0, JOIN_TAGS_LIST, "library/app", "", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(fake_upstream_count_of("/token?"), 1);
    assert_true(was_told(3, "Authorization: Bearer ticket\r\n"));
}

static void exchange_gives_up_when_the_token_is_refused(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.refuses_token = true;
    assert_int_equal(pull()->failure, ERR_UNAUTHORIZED);
    assert_int_equal(fake_upstream_count_of("/token?"), 1);
}

static void exchange_refuses_a_token_that_breaks_the_line(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.token_json = "{\"token\":\"a\\r\\nHost: evil\"}";
    assert_int_equal(pull()->failure, ERR_UPSTREAM);
}

static void exchange_refuses_realms_that_are_not_allowed(void **state)
{
    static const char *const realms[] = {"http://auth.test/token",    "https://127.0.0.1/token",
                                         "https://169.254.169.254/t", "https://[::1]/token",
                                         "https://me@hub.test/token", "file:///etc/passwd",
                                         "https://2130706433/token",  "https://10.0.0.1/token"};
    char challenge[300];

    (void)state;
    script.challenge = challenge;
    for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
        (void)snprintf(challenge, sizeof(challenge),
                       "WWW-Authenticate: Bearer realm=\"%s\",service=\"s\"\r\n", realms[i]);
        size_t before = fake_upstream_count();
        assert_int_equal(pull()->failure, ERR_UPSTREAM);
        assert_int_equal(fake_upstream_count_of("/token?"), 0);
        assert_true(fake_upstream_count() > before);
    }
}

static void exchange_gives_up_a_token_that_drips(void **state)
{
    struct digest digest = stage_digest(script.blob);

    (void)state;
    script.challenge = bearer;
    script.token_drip_ms = 1000;
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, script.blob.length);
    stage_pass(4 * 10000 + 3000);
    assert_int_equal(stage_seen(request)->failure, ERR_TIMEOUT);
}

static uint64_t pull_for(uint64_t ms)
{
    struct digest digest = stage_digest(script.blob);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, script.blob.length);

    stage_pass(ms);
    return request;
}

static void exchange_waits_for_no_body_it_does_not_need(void **state)
{
    static const int statuses[] = {404, 401, 403, 429};
    static const enum error_kind kinds[] = {ERR_NOT_FOUND, ERR_UNAUTHORIZED, ERR_DENIED, ERR_BUSY};

    (void)state;
    fake_upstream_set(answer_hub_slowly, NULL);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        script.status = statuses[i];
        assert_int_equal(stage_seen(pull_for(1100))->failure, kinds[i]);
    }
    script.status = 0;
    script.challenge = bearer;
    script.token_status = 403;
    assert_int_equal(stage_seen(pull_for(2100))->failure, ERR_UNAUTHORIZED);
    script.token_status = 0;
    script.location = "https://cdn.test/blob";
    assert_int_equal(stage_seen(pull_for(2100))->verifieds, 1);
}

static void exchange_obeys_the_429_of_a_token_server(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.token_status = 429;
    script.token_headers = "Retry-After: Tue, 14 Nov 2023 22:14:00 GMT\r\n";
    const struct seen *seen = pull();
    assert_int_equal(seen->failure, ERR_BUSY);
    assert_int_equal(seen->retry_after, 40);
    stage_pass(30000);
    seen = pull_of("library/other");
    assert_int_equal(seen->failure, ERR_BUSY);
    assert_in_range(seen->retry_after, 9, 10);
    assert_int_equal(fake_upstream_count_of("/token?"), 1);
    stage_pass(10000);
    script.token_status = 0;
    assert_int_equal(pull()->verifieds, 1);
}

static void exchange_gives_the_password_to_its_own_realm(void **state)
{
    (void)state;
    script.challenge = bearer;
    assert_int_equal(pull()->verifieds, 1);
    assert_true(was_told(1, basic));
    assert_non_null(strstr(fake_upstream_at(1)->url, "account=me"));
    assert_false(was_told(0, "Basic"));
    assert_false(was_told(2, "Basic"));
}

static void exchange_gives_no_password_to_another_realm(void **state)
{
    (void)state;
    script.challenge =
        "WWW-Authenticate: Bearer realm=\"https://auth.test/token\",service=\"hub\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    assert_false(was_told(1, "Authorization"));
}

static void exchange_follows_a_redirect_of_the_token_server(void **state)
{
    static const struct {
        const char *headers;
        const char *asked; /* NULL: nothing else is asked */
        bool gets_password;
    } rows[] = {
        {"Location: /token?moved\r\n", "https://hub.test/token?moved", true},
        {"Location: ?moved\r\n", "https://hub.test/token?moved", true},
        {"Location: http://hub.test/token?moved\r\n", "https://hub.test/token?moved", true},
        {"Location: https://auth.test/token?moved\r\n", "https://auth.test/token?moved", false},
        {"Location: http://auth.test/token?moved\r\n", NULL, false},
        {"Location: https://10.0.0.1/token?moved\r\n", NULL, false},
        {"Location: data:moved\r\n", NULL, false},
        {"X: y\r\n", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stage_close();
        setup_password(NULL);
        script.challenge = bearer;
        script.token_location = rows[i].headers;
        const struct seen *seen = pull();
        if ((seen->verifieds == 0) != !rows[i].asked)
            fail_msg("%s", rows[i].headers);
        assert_true(was_told(1, basic));
        if (rows[i].asked) {
            assert_string_equal(fake_upstream_at(2)->url, rows[i].asked);
            assert_int_equal(was_told(2, "Basic"), rows[i].gets_password);
            assert_true(was_told(3, "Authorization: Bearer "));
        } else {
            assert_int_equal(seen->failure, ERR_UPSTREAM);
        }
    }
}

static void exchange_ends_a_loop_of_the_token_server(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.token_location = "Location: /token?again\r\n";
    struct digest digest = stage_digest(script.blob);
    uint64_t request = stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, 0);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_UPSTREAM);
    assert_int_equal(fake_upstream_count_of("/token?") % 6, 0); /* the first and five redirects */
}

static int setup_auth_hosts(void **state)
{
    (void)state;
    return setup_with(WITH_PASSWORD "    expose: true\n    auth_hosts: [ auth.test ]\n");
}

static void exchange_gives_the_password_to_the_hosts_that_one_names(void **state)
{
    static const struct {
        const char *realm;
        bool is_trusted;
    } rows[] = {
        {"https://auth.test/token", true},
        {"https://auth.test.evil.test/token", false},
        {"https://xauth.test/token", false},
        {"https://gitlab.com/token", false},
    };
    char challenge[200];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char repository[20];

        (void)snprintf(challenge, sizeof(challenge), "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
                       rows[i].realm);
        (void)snprintf(repository, sizeof(repository), "library/%zu", i);
        script.challenge = challenge;
        script.blob = stage_bytes((unsigned)i + 600, 1000);
        size_t before = fake_upstream_count();
        assert_int_equal(pull_of(repository)->verifieds, 1);
        assert_int_equal(was_told(before + 1, basic), rows[i].is_trusted);
    }
}

static int setup_gitlab(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  registry.gitlab.com:\n    default: true\n    username: me\n"
               "    password: secret\n    expose: true\n");
    script.blob = stage_bytes(1, 1000);
    fake_upstream_set(answer_gitlab, NULL);
    stage_use_origin("registry.gitlab.com");
    return 0;
}

static void exchange_knows_the_token_server_of_gitlab(void **state)
{
    (void)state;
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count_of("https://gitlab.com/jwt/auth?"), 1);
    assert_true(was_told(1, basic));
}

/* Upstream, URL, address, reason and setting; never a query, which may be a signature. */
static void exchange_says_what_has_failed(void **state)
{
    (void)state;
    script.target_failure = true;
    script.location = "https://cdn.test/data?signature=secret";
    script.target_address = "192.0.2.7";
    const char *text = pull()->text;
    assert_non_null(strstr(text, "docker.io: https://cdn.test/data at 192.0.2.7:"));
    assert_non_null(strstr(text, "connection refused"));
    assert_non_null(strstr(text, "(see upstreams.docker.io.url)"));
    assert_null(strstr(text, "secret"));
    script.target_failure = false;
    script.status = 500;
    script.blob = stage_bytes(7, 1000);
    text = pull()->text;
    assert_non_null(strstr(text, "docker.io answered 500 for https://hub.test/v2/library/app/"));
}

static void exchange_uses_no_password_unless_exposed(void **state)
{
    (void)state;
    script.challenge = bearer;
    assert_int_equal(pull()->verifieds, 1);
    for (size_t i = 0; i < fake_upstream_count(); i++)
        assert_false(was_told(i, "Basic"));
}

static void exchange_answers_a_basic_challenge(void **state)
{
    (void)state;
    script.challenge = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    assert_true(was_told(1, basic));
}

static void exchange_sends_the_password_unasked_from_the_second_request_on(void **state)
{
    (void)state;
    script.challenge = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 2);
    script.blob = stage_bytes(700, 1000);
    script.location = "https://cdn.test/data";
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 4);
    assert_true(was_told(2, basic));
    assert_false(was_told(3, "Authorization"));
}

/* The registry no longer takes the password, and would give the blob to anybody. */
static void exchange_leaves_a_refused_password_out(void **state)
{
    (void)state;
    script.challenge = "WWW-Authenticate: Basic realm=\"hub\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    fake_upstream_set(answer_open_hub, NULL);
    script.blob = stage_bytes(701, 1000);
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 2);
    assert_true(was_told(0, basic));
    assert_false(was_told(1, "Authorization"));
}

static void exchange_finds_its_challenge_among_several_fields(void **state)
{
    static const char *const others[] = {"Negotiate", "Basic realm=\"x\"", "",        "Bearer \"",
                                         "=",         "Bearer realm=\"a",  "NTLM a b"};
    char challenge[400];

    (void)state;
    script.challenge = challenge;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char repository[20];

        (void)snprintf(challenge, sizeof(challenge), "WWW-Authenticate: %s\r\n%s%s", others[i],
                       bearer, "WWW-Authenticate: Bearer realm=\"https://other.test/token\"\r\n");
        (void)snprintf(repository, sizeof(repository), "library/%zu", i);
        script.blob = stage_bytes((unsigned)i + 2, 1000);
        assert_int_equal(pull_of(repository)->verifieds, 1);
        assert_int_equal(fake_upstream_count_of("https://hub.test/token?"), i + 1);
    }
}

static void exchange_answers_a_basic_challenge_in_a_later_field(void **state)
{
    (void)state;
    script.challenge = "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"hub\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    assert_true(was_told(1, basic));
}

static void exchange_needs_no_scope_of_a_challenge(void **state)
{
    char challenge[4000];

    (void)state;
    (void)snprintf(challenge, sizeof(challenge),
                   "WWW-Authenticate: Bearer realm=\"https://hub.test/token\",scope=\"%02000d\","
                   "service=\"%0500d\",scope=\"a\"\r\n",
                   1, 1);
    script.challenge = challenge;
    assert_int_equal(pull()->verifieds, 1);
    assert_non_null(strstr(fake_upstream_at(1)->url, "scope=repository:library/app:pull"));
}

/* A challenge's own scopes are asked for first, what we want too, and no right to write. */
static void exchange_asks_for_the_scopes_of_a_challenge(void **state)
{
    (void)state;
    static const struct {
        const char *named;
        const char *asked;
    } rows[] = {
        {"repository:library/app:pull", "repository:library/app:pull"},
        {"repository:library/app:pull,push", "repository:library/app:pull"},
        {"repository:behind/app:metadata_read",
         "repository:behind/app:metadata_read&scope=repository:library/app:pull"},
        {"repository:a:push,pull,delete repository:b:*",
         "repository:a:pull&scope=repository:b:pull&scope=repository:library/app:pull"},
        {"", "repository:library/app:pull"},
        {" : x", ":pull&scope=x&scope=repository:library/app:pull"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char challenge[500];
        char url[500];

        stage_close();
        setup(NULL);
        (void)snprintf(challenge, sizeof(challenge),
                       "WWW-Authenticate: Bearer realm=\"https://hub.test/token\","
                       "service=\"hub\",scope=\"%s\"\r\n",
                       rows[i].named);
        script.challenge = challenge;
        assert_int_equal(pull()->verifieds, 1);
        (void)snprintf(url, sizeof(url), "https://hub.test/token?service=hub&scope=%s",
                       rows[i].asked);
        assert_string_equal(fake_upstream_at(1)->url, url);
    }
}

static void exchange_follows_a_redirect_without_credentials(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.location = "https://cdn.test/blob?signature=1";
    assert_int_equal(pull()->verifieds, 1);
    size_t last = fake_upstream_count() - 1;
    assert_string_equal(fake_upstream_at(last)->url, script.location);
    assert_false(was_told(last, "Authorization"));
}

static void exchange_tries_anonymously_when_its_login_is_refused(void **state)
{
    static const int statuses[] = {400, 401, 403, 404};

    (void)state;
    script.challenge = bearer;
    script.refuses_login = true;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        char repository[40];

        (void)snprintf(repository, sizeof(repository), "library/app%zu", i);
        script.token_status = statuses[i];
        script.blob = stage_bytes((unsigned)i + 200, 1000);
        size_t before = fake_upstream_count();
        assert_int_equal(pull_of(repository)->verifieds, 1);
        assert_int_equal(fake_upstream_count(), before + 4);
        assert_true(was_told(before + 1, basic));
        assert_false(was_told(before + 2, "Authorization"));
        assert_true(was_told(before + 3, "Authorization: Bearer ticket\r\n"));
    }
}

/* Its answer is good for a second, however often somebody wants to know. */
static void exchange_asks_the_master_once_a_second(void **state)
{
    static const unsigned questions[] = {1, 1, 2, 2, 3};

    (void)state;
    script.challenge = bearer;
    script.refuses_login = true;
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        char repository[40];

        (void)snprintf(repository, sizeof(repository), "library/app%zu", i);
        script.blob = stage_bytes((unsigned)i + 200, 1000);
        assert_int_equal(pull_of(repository)->verifieds, 1);
        assert_int_equal(stage_questions(), questions[i]);
        stage_pass(600);
    }
}

static void exchange_tries_anonymously_when_the_token_of_its_login_is_refused(void **state)
{
    (void)state;
    script.challenge = bearer;
    script.refuses_member = true;
    assert_int_equal(pull()->verifieds, 1);
    assert_true(was_told(fake_upstream_count() - 1, "Authorization: Bearer ticket\r\n"));
    assert_true(fake_upstream_count() <= 5);
}

static void answer_newer_password(const struct fake_request *request, struct fake_answer *answer,
                                  void *arg)
{
    static const char newer[] = "Authorization: Basic bWU6bmV3ZXI=\r\n";

    (void)arg;
    answer->status = strstr(request->headers, "Authorization: ") ? 403 : 401;
    if (answer->status == 401)
        answer->headers = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    answer->delay_ms = 100;
    if (!strstr(request->headers, newer))
        return;
    answer->status = 200;
    answer->body = script.blob;
}

/* A password that was replaced meanwhile: what ran and what waited for its connection goes on with
 * the new one, and nobody is told that the old one was refused. */
static void exchange_goes_on_with_a_newer_password(void **state)
{
    struct config *config = NULL;
    struct error err;
    struct slice other = stage_bytes(2, 1000);
    struct digest digests[] = {stage_digest(script.blob), stage_digest(other)};
    uint64_t requests[2];

    (void)state;
    fake_upstream_set(answer_newer_password, NULL);
    for (size_t i = 0; i < 2; i++)
        requests[i] = stage_join(0, JOIN_BLOB, "library/app", "", &digests[i], 0);
    stage_pass(150);
    assert_int_equal(config_parse(SLICE_LITERAL("upstreams:\n" NEWER_PASSWORD
                                                "    expose: true\nfetch: { connections: 1 "
                                                "}\n"),
                                  &config, &err),
                     0);
    fetcher_set_config(stage_fetcher(), config);
    config_unref(&config);
    stage_until(stage_is_over, requests[0]);
    assert_int_equal(stage_seen(requests[0])->verifieds, 1);
    script.blob = other;
    stage_until(stage_is_over, requests[1]);
    assert_int_equal(stage_seen(requests[1])->verifieds, 1);
}

/* Without its login, what an upstream does not show may be there. */
static void exchange_believes_no_absence_when_its_login_is_refused(void **state)
{
    static const int statuses[] = {401, 403, 404};

    (void)state;
    script.challenge = bearer;
    script.refuses_login = true;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        script.anonymous_status = statuses[i];
        assert_int_equal(pull()->failure, ERR_UNAUTHORIZED);
    }
}

/* A registry behind a TLS front writes http:// for itself. */
static void exchange_uses_https_where_the_upstream_itself_says_http(void **state)
{
    static const char *const realms[] = {"http://hub.test/token", "http://hub.test:80/token",
                                         "http://hub.test:443/token"};
    char challenge[200];

    (void)state;
    script.challenge = challenge;
    for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
        char repository[20];

        (void)snprintf(challenge, sizeof(challenge), "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
                       realms[i]);
        (void)snprintf(repository, sizeof(repository), "library/%zu", i);
        script.blob = stage_bytes((unsigned)i + 800, 1000);
        assert_int_equal(pull_of(repository)->verifieds, 1);
    }
    assert_int_equal(fake_upstream_count_of("https://hub.test/token?"), 3);
    script.location = "http://hub.test/data/blob";
    script.blob = stage_bytes(810, 1000);
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count_of("https://hub.test/data/blob"), 1);
    assert_int_equal(fake_upstream_count_of("http://"), 0);
    script.location = "http://hub.test:8080/data/blob";
    script.blob = stage_bytes(811, 1000);
    assert_int_equal(pull()->failure, ERR_UPSTREAM);
}

static int setup_http_hosts(void **state)
{
    (void)state;
    return setup_with("  docker.io:\n    url: https://hub.test\n    default: true\n"
                      "    http_hosts: [ cdn.test ]\n");
}

static void exchange_uses_http_only_where_one_says_so(void **state)
{
    (void)state;
    script.location = "http://cdn.test/blob";
    assert_int_equal(pull()->verifieds, 1);
    script.location = "http://other.test/blob";
    script.blob = stage_bytes(820, 1000);
    const struct seen *seen = pull();
    assert_int_equal(seen->failure, ERR_UPSTREAM);
    assert_non_null(
        strstr(seen->text, "other.test is not https (see upstreams.docker.io.http_hosts)"));
}

static void exchange_refuses_redirects_that_are_not_allowed(void **state)
{
    static const char *const targets[] = {"http://cdn.test/blob",
                                          "https://127.0.0.1/blob",
                                          "https://[::ffff:127.0.0.1]/blob",
                                          "https://169.254.169.254/latest",
                                          "file:///etc/passwd",
                                          "gopher://cdn.test/",
                                          "https://0x7f000001/blob"};

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        script.location = targets[i];
        assert_int_equal(pull()->failure, ERR_UPSTREAM);
        assert_int_equal(fake_upstream_count_of(targets[i]), 0);
    }
}

static void exchange_refuses_names_that_lead_to_private_addresses(void **state)
{
    (void)state;
    script.location = "https://rebound.test/blob";
    script.target_address = "127.0.0.1";
    assert_int_equal(pull()->failure, ERR_UPSTREAM);
    assert_true(fake_upstream_at(1)->is_refused);
}

static void exchange_believes_the_last_host_of_a_redirect(void **state)
{
    static const struct {
        int status;
        enum error_kind kind;
    } cases[] = {
        {404, ERR_NOT_FOUND}, {410, ERR_NOT_FOUND},    {403, ERR_DENIED},
        {451, ERR_DENIED},    {401, ERR_UNAUTHORIZED},
    };

    (void)state;
    script.location = "https://cdn.test/blob";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        script.target_status = cases[i].status;
        size_t before = fake_upstream_count();
        script.blob = stage_bytes((unsigned)i + 300, 1000);
        assert_int_equal(pull()->failure, cases[i].kind);
        assert_int_equal(fake_upstream_count(), before + 2);
        before = fake_upstream_count();
        uint64_t request = stage_join(0, JOIN_TAG, "library/app",
                                      cases[i].status == 404 ? "a" : "b", NULL, UINT64_MAX);
        stage_until(stage_is_over, request);
        assert_int_equal(stage_seen(request)->failure, cases[i].kind);
        stage_pass(11000);
    }
    script.target_status = 404;
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "c", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    size_t before = fake_upstream_count();
    request = stage_join(0, JOIN_TAG, "library/app", "c", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_NOT_FOUND);
    assert_int_equal(fake_upstream_count(), before);
}

/* A host in front of a registry: the registry behind it asks for a token of its own. */
static void exchange_answers_the_challenge_behind_a_redirect_anonymously(void **state)
{
    (void)state;
    script.location = "https://behind.test/v2/their/app/blobs/x";
    script.target_status = 401;
    script.target_challenge = "WWW-Authenticate: Bearer realm=\"https://auth.behind.test/token\","
                              "service=\"behind\",scope=\"repository:their/app:pull\"\r\n";
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 4);
    assert_string_equal(fake_upstream_at(2)->url, "https://auth.behind.test/token?service=behind&"
                                                  "scope=repository:their/app:pull");
    assert_false(was_told(0, "Authorization"));
    assert_false(was_told(2, "Authorization"));
    assert_true(was_told(3, "Authorization: Bearer ticket\r\n"));
    /* The token is that host's: the upstream does not get it, and the host is not asked in vain. */
    script.blob = stage_bytes(400, 1000);
    assert_int_equal(pull()->verifieds, 1);
    assert_int_equal(fake_upstream_count(), 6);
    assert_false(was_told(4, "Authorization"));
    assert_true(was_told(5, "Authorization: Bearer ticket\r\n"));
}

static void exchange_gives_no_password_behind_a_redirect(void **state)
{
    static const char *const challenges[] = {
        "WWW-Authenticate: Basic realm=\"x\"\r\n",
        "WWW-Authenticate: Bearer realm=\"https://169.254.169.254/token\"\r\n",
        "WWW-Authenticate: Bearer realm=\"https://behind.test/none\",scope=\"a\"\r\n"};

    (void)state;
    script.location = "https://behind.test/blob";
    script.target_status = 401;
    for (size_t i = 0; i < sizeof(challenges) / sizeof(challenges[0]); i++) {
        script.target_challenge = challenges[i];
        script.blob = stage_bytes((unsigned)i + 500, 1000);
        enum error_kind kind = pull()->failure;
        assert_true(kind == ERR_UNAUTHORIZED || kind == ERR_UPSTREAM);
    }
    for (size_t i = 0; i < fake_upstream_count(); i++)
        assert_false(was_told(i, "Authorization"));
}

static void exchange_ends_a_loop_of_redirects(void **state)
{
    (void)state;
    script.location = "/v2/again";
    assert_int_equal(pull()->failure, ERR_UPSTREAM);
    assert_true(fake_upstream_count() <= 24);
}

static void private_bytes_need_a_proof_for_another_repository(void **state)
{
    (void)state;
    script.challenge = bearer;
    assert_int_equal(pull()->verifieds, 1);
    stage_until(stage_has_commits, 1);
    struct seen *seen = pull_of("library/other");
    assert_int_equal(seen->heres, 1);
    assert_int_equal(stage_messages(MESSAGE_LINK), 1);
    size_t last = fake_upstream_count() - 1;
    assert_int_equal(fake_upstream_at(last)->method, TRANSFER_HEAD);
    script.refuses_token = true;
    assert_int_equal(pull_of("library/third")->failure, ERR_UNAUTHORIZED);
}

static void public_bytes_are_public(void **state)
{
    (void)state;
    assert_int_equal(pull()->verifieds, 1);
    stage_until(stage_has_commits, 1);
    assert_int_equal(pull_of("library/other")->heres, 1);
    assert_int_equal(fake_upstream_count(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(exchange_gets_a_token_and_asks_again, setup),
        TEST(exchange_counts_what_became_of_it, setup),
        TEST(exchange_does_not_blame_the_upstream_for_our_faults, setup),
        TEST(exchange_keeps_the_token, setup),
        TEST(exchange_gives_up_when_the_token_is_refused, setup),
        TEST(exchange_refuses_a_token_that_breaks_the_line, setup),
        TEST(exchange_refuses_realms_that_are_not_allowed, setup),
        TEST(exchange_gives_up_a_token_that_drips, setup),
        TEST(exchange_waits_for_no_body_it_does_not_need, setup),
        TEST(exchange_obeys_the_429_of_a_token_server, setup),
        TEST(exchange_follows_a_redirect_of_the_token_server, setup_password),
        TEST(exchange_ends_a_loop_of_the_token_server, setup),
        TEST(exchange_gives_the_password_to_its_own_realm, setup_password),
        TEST(exchange_gives_no_password_to_another_realm, setup_password),
        TEST(exchange_gives_the_password_to_the_hosts_that_one_names, setup_auth_hosts),
        TEST(exchange_knows_the_token_server_of_gitlab, setup_gitlab),
        TEST(exchange_says_what_has_failed, setup),
        TEST(exchange_uses_no_password_unless_exposed, setup_hidden_password),
        TEST(exchange_answers_a_basic_challenge, setup_password),
        TEST(exchange_sends_the_password_unasked_from_the_second_request_on, setup_password),
        TEST(exchange_leaves_a_refused_password_out, setup_password),
        TEST(exchange_finds_its_challenge_among_several_fields, setup),
        TEST(exchange_answers_a_basic_challenge_in_a_later_field, setup_password),
        TEST(exchange_needs_no_scope_of_a_challenge, setup),
        TEST(exchange_asks_for_the_scopes_of_a_challenge, setup),
        TEST(exchange_follows_a_redirect_without_credentials, setup_password),
        TEST(exchange_tries_anonymously_when_its_login_is_refused, setup_password),
        TEST(exchange_asks_the_master_once_a_second, setup_password),
        TEST(exchange_tries_anonymously_when_the_token_of_its_login_is_refused, setup_password),
        TEST(exchange_goes_on_with_a_newer_password, setup_one_connection),
        TEST(exchange_believes_no_absence_when_its_login_is_refused, setup_password),
        TEST(exchange_uses_https_where_the_upstream_itself_says_http, setup),
        TEST(exchange_uses_http_only_where_one_says_so, setup_http_hosts),
        TEST(exchange_refuses_redirects_that_are_not_allowed, setup),
        TEST(exchange_refuses_names_that_lead_to_private_addresses, setup),
        TEST(exchange_believes_the_last_host_of_a_redirect, setup),
        TEST(exchange_answers_the_challenge_behind_a_redirect_anonymously, setup_password),
        TEST(exchange_gives_no_password_behind_a_redirect, setup_password),
        TEST(exchange_ends_a_loop_of_redirects, setup),
        TEST(private_bytes_need_a_proof_for_another_repository, setup_password),
        TEST(public_bytes_are_public, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
