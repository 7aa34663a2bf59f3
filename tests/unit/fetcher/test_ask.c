/* SPDX-License-Identifier: Apache-2.0 */
/* Asks: manifests, tags, lists, sizes and proofs. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "fetcher/fetcher.h"
#include "ipc/metrics.h"
#include "oci/media_type.h"
#include "stage.h"

/* What the upstream answers for its only manifest. */
static struct {
    struct slice manifest;
    int status;               /* instead of 200 */
    enum error_kind failure;  /* instead of a head */
    int head_status;          /* instead of `status`, for HEAD */
    uint64_t delay_ms;        /* before the head */
    uint64_t drip_ms;         /* between the bytes of the body */
    const char *content_type; /* NULL: the right one */
    bool lies_about_digest;
    const char *extra; /* headers */
    char headers[1000];
} script;

static void answer_manifest(const struct fake_request *request, struct fake_answer *answer,
                            void *arg)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest =
        stage_digest(script.lies_about_digest ? SLICE_LITERAL("x") : script.manifest);

    (void)arg;
    answer->failure = script.failure;
    answer->delay_ms = script.delay_ms;
    answer->pause_ms = script.drip_ms;
    answer->piece = script.drip_ms > 0 ? 1 : 0;
    if (script.failure)
        return;
    answer->status = script.status ? script.status : 200;
    if (request->method == TRANSFER_HEAD && script.head_status)
        answer->status = script.head_status;
    if (answer->status == 200 || answer->status == 206)
        answer->body = script.manifest;
    (void)snprintf(script.headers, sizeof(script.headers), "%sDocker-Content-Digest: %s\r\n%s",
                   script.content_type ? script.content_type : STAGE_MANIFEST_TYPE,
                   digest_print(&digest, text), script.extra ? script.extra : "");
    answer->headers = script.headers;
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  docker.io:\n    url: https://hub.test\n    default: true\n"
               "    tags:\n      - { match: \"*\", ttl: 60s, stale_if_error: 1h }\n");
    script.manifest = stage_manifest();
    fake_upstream_set(answer_manifest, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static struct seen *ask_tag(void)
{
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);

    stage_until(stage_is_over, request);
    return stage_seen(request);
}

/* The tag was asked, answered and stored, and the keeper's answer has come. */
static void bring_tag(void)
{
    ask_tag();
    stage_until(stage_has_commits, 1);
    stage_pass(10);
}

static void tag_is_fetched_answered_and_stored(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    const struct seen *seen = ask_tag();
    assert_int_equal(seen->answers, 1);
    assert_int_equal(seen->state, ANSWER_FRESH);
    assert_true(digest_equal(&seen->digest, &digest));
    assert_int_equal(seen->body_length, script.manifest.length);
    assert_memory_equal(seen->body, script.manifest.data, script.manifest.length);
    stage_until(stage_has_commits, 1);
    assert_int_equal(stage_messages(MESSAGE_MANIFEST_STORED), 1);
    assert_non_null(strstr(fake_upstream_at(0)->headers, "Accept: " MEDIA_TYPE_OCI_INDEX));
}

static void tag_asked_by_many_is_one_request(void **state)
{
    (void)state;
    uint64_t first = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    uint64_t second = stage_join(1, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_until(stage_is_over, first);
    stage_until(stage_is_over, second);
    uint64_t late = stage_join(1, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_until(stage_is_over, late);
    assert_true(fake_upstream_count() <= 2);
    assert_int_equal(stage_seen(late)->answers, 1);
}

static void tag_nobody_waits_for_is_asked_no_more(void **state)
{
    (void)state;
    script.delay_ms = 5000;
    uint64_t first = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    uint64_t second = stage_join(1, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_pass(10);
    stage_leave(0, first);
    stage_pass(10);
    assert_int_equal(fetcher_flights(stage_fetcher()), 1);
    stage_leave(1, second);
    stage_pass(10);
    assert_int_equal(fetcher_flights(stage_fetcher()), 0);
    stage_pass(10000);
    assert_int_equal(stage_messages(MESSAGE_MANIFEST_STORED), 0);
    assert_int_equal(fake_upstream_count(), 1);
    script.delay_ms = 0;
    assert_int_equal(ask_tag()->answers, 1);
}

static void tag_that_came_is_stored_though_nobody_waits(void **state)
{
    (void)state;
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    stage_kill_worker(0);
    stage_until(stage_has_commits, 1);
    assert_int_equal(stage_messages(MESSAGE_MANIFEST_STORED), 1);
}

static void digest_of_a_tag_that_is_being_stored_is_no_second_request(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    ask_tag();
    assert_int_equal(stage_messages(MESSAGE_MANIFEST_STORED), 0);
    uint64_t other = stage_join(1, JOIN_MANIFEST, "library/other", "", &digest, UINT64_MAX);
    uint64_t same = stage_join(1, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, same);
    assert_int_equal(stage_seen(same)->body_length, script.manifest.length);
    stage_until(stage_is_over, other);
    assert_int_equal(fake_upstream_count(), 2);
}

static void tag_that_is_here_is_checked_with_head(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    bring_tag();
    stage_pass(60000);
    const struct seen *seen = ask_tag();
    assert_int_equal(seen->state, ANSWER_FRESH);
    assert_int_equal(seen->body_length, 0);
    assert_int_equal(seen->body_size, script.manifest.length);
    assert_true(digest_equal(&seen->digest, &digest));
    assert_int_equal(fake_upstream_count(), 2);
    assert_int_equal(fake_upstream_at(1)->method, TRANSFER_HEAD);
    stage_until(stage_has_commits, 2);
    assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 1);
}

static void tag_that_moved_is_fetched(void **state)
{
    (void)state;
    bring_tag();
    script.manifest = SLICE_LITERAL("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                                    "\",\"manifests\":[]}");
    script.content_type = "Content-Type: " MEDIA_TYPE_OCI_INDEX "\r\n";
    struct digest digest = stage_digest(script.manifest);
    const struct seen *seen = ask_tag();
    assert_true(digest_equal(&seen->digest, &digest));
    assert_int_equal(seen->body_length, script.manifest.length);
}

static void tag_head_without_meaning_is_decided_by_get(void **state)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 406, 501, 501, 501, 501, 501, 501};

    (void)state;
    bring_tag();
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        script.head_status = statuses[i];
        const struct seen *seen = ask_tag();
        assert_int_equal(seen->answers, 1);
        assert_int_equal(seen->state, ANSWER_FRESH);
        assert_int_equal(seen->body_length, script.manifest.length);
        stage_until(stage_has_commits, i + 2);
        stage_pass(10);
    }
}

static void tag_is_stale_when_the_upstream_is_down(void **state)
{
    (void)state;
    bring_tag();
    stage_pass(300000);
    script.failure = ERR_UPSTREAM;
    const struct seen *seen = ask_tag();
    assert_int_equal(seen->state, ANSWER_STALE);
    assert_non_null(
        strstr(seen->text, "docker.io could not be asked (docker.io: https://hub.test/"));
    assert_non_null(strstr(seen->text, "connection refused"));
    assert_non_null(strstr(seen->text, "; checked 5 minutes ago"));
    assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 0);
}

static void tag_is_stale_when_a_token_server_is_not_allowed(void **state)
{
    static const char *const realms[] = {"http://hub.test/t", "https://10.0.0.1/t", "nowhere"};
    char challenge[200];

    (void)state;
    bring_tag();
    script.status = 401;
    script.extra = challenge;
    for (size_t i = 0; i < sizeof(realms) / sizeof(realms[0]); i++) {
        (void)snprintf(challenge, sizeof(challenge),
                       "WWW-Authenticate: Bearer realm=\"%s\",service=\"s\"\r\n", realms[i]);
        assert_int_equal(ask_tag()->state, ANSWER_STALE);
    }
    assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 0);
}

static void tag_is_stale_on_429_and_the_upstream_is_left_alone(void **state)
{
    (void)state;
    bring_tag();
    script.status = 429;
    script.extra = "Retry-After: 30\r\n";
    assert_int_equal(ask_tag()->state, ANSWER_STALE);
    size_t before = fake_upstream_count();
    assert_int_equal(ask_tag()->state, ANSWER_STALE);
    assert_int_equal(fake_upstream_count(), before);
    stage_pass(31000);
    script.status = 0;
    assert_int_equal(ask_tag()->state, ANSWER_FRESH);
}

static void upstream_that_is_busy_is_left_alone(void **state)
{
    static const struct {
        const char *header;
        uint64_t seconds;
    } cases[] = {
        {"", 5},
        {"Retry-After: 0\r\n", 5},
        {"Retry-After: soon\r\n", 5},
        {"Retry-After: -1\r\n", 5},
        {"Retry-After:\r\n", 5},
        {"Retry-After: 1\r\n", 1},
        {"Retry-After: 301\r\n", 300},
        {"Retry-After: 100000000000000000000\r\n", 300},
        {"Retry-After: Tue, 14 Nov 2023 22:00:00 GMT\r\n", 5},
        {"Retry-After: Wed, 14 Nov 2029 22:00:00 GMT\r\n", 300},
    };

    (void)state;
    script.status = 429;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        script.extra = cases[i].header;
        const struct seen *seen = ask_tag();
        assert_int_equal(seen->failure, ERR_BUSY);
        assert_int_equal(seen->retry_after, cases[i].seconds);
        assert_int_equal(fake_upstream_count(), i + 1);
        stage_pass(cases[i].seconds * 1000 - 100);
        assert_int_equal(ask_tag()->retry_after, 1);
        assert_int_equal(fake_upstream_count(), i + 1);
        stage_pass(100);
    }
}

static void answers_that_drip_are_given_up(void **state)
{
    static const enum join_kind kinds[] = {JOIN_TAG, JOIN_MANIFEST, JOIN_TAGS_LIST, JOIN_REFERRERS};
    struct digest digest = stage_digest(script.manifest);

    (void)state;
    script.drip_ms = 1000;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool is_named = kinds[i] == JOIN_TAG;
        uint64_t request = stage_join(0, kinds[i], "library/app", is_named ? "latest" : "",
                                      is_named ? NULL : &digest, UINT64_MAX);

        stage_pass(4 * 20000 + 3000);
        assert_int_equal(stage_seen(request)->failure, ERR_TIMEOUT);
    }
}

static int setup_few_connections(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  docker.io:\n    url: https://hub.test\n    default: true\n"
               "fetch:\n  connections: 4\n");
    script.manifest = stage_manifest();
    fake_upstream_set(answer_manifest, NULL);
    return 0;
}

static int setup_patient(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  docker.io:\n    url: https://hub.test\n    default: true\n"
               "fetch:\n  head_timeout: 2m\n");
    script.manifest = stage_manifest();
    fake_upstream_set(answer_manifest, NULL);
    return 0;
}

static void upstream_may_take_as_long_as_one_says(void **state)
{
    (void)state;
    script.delay_ms = 110000;
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", "latest", NULL, UINT64_MAX);
    stage_pass(110500);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->answers, 1);
    assert_int_equal(fake_upstream_count(), 1);
}

static void downloads_leave_a_connection_to_questions(void **state)
{
    (void)state;
    script.delay_ms = 9000;
    for (unsigned i = 0; i < 8; i++) {
        struct digest digest = stage_digest(stage_bytes(i, 10));

        stage_join(0, JOIN_BLOB, "library/app", "", &digest, 10);
    }
    stage_pass(10);
    assert_int_equal(fake_upstream_count(), 3);
    script.delay_ms = 100;
    assert_int_equal(ask_tag()->answers, 1);
    assert_int_equal(fake_upstream_count_of("/blobs/"), 3);
    assert_int_equal(fake_upstream_count_of("/manifests/"), 1);
    stage_pass(9000);
    assert_true(fake_upstream_count_of("/blobs/") > 3);
}

static void part_of_an_answer_is_none(void **state)
{
    static const enum join_kind kinds[] = {JOIN_TAG, JOIN_MANIFEST, JOIN_BLOB_SIZE, JOIN_TAGS_LIST,
                                           JOIN_REFERRERS};
    struct digest digest = stage_digest(script.manifest);

    (void)state;
    script.status = 206;
    script.extra = "Content-Range: bytes 0-447/1448\r\n";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool is_named = kinds[i] == JOIN_TAG;
        uint64_t request = stage_join(0, kinds[i], "library/app", is_named ? "latest" : "",
                                      is_named ? NULL : &digest, UINT64_MAX);

        stage_until(stage_is_over, request);
        assert_int_equal(stage_seen(request)->failure, ERR_UPSTREAM);
    }
    assert_int_equal(stage_commits(), 0);
}

static void tag_is_stale_when_a_check_gives_a_part(void **state)
{
    (void)state;
    bring_tag();
    script.head_status = 206;
    assert_int_equal(ask_tag()->state, ANSWER_STALE);
}

static void tag_is_not_stale_for_longer_than_allowed(void **state)
{
    (void)state;
    bring_tag();
    stage_pass(3700000);
    script.failure = ERR_UPSTREAM;
    assert_int_equal(ask_tag()->failure, ERR_UPSTREAM);
}

static void tag_that_is_refused_is_hidden_and_not_forgotten(void **state)
{
    static const struct {
        int status;
        enum error_kind kind;
    } cases[] = {{403, ERR_DENIED}, {404, ERR_NOT_FOUND}, {410, ERR_NOT_FOUND}, {451, ERR_DENIED}};

    (void)state;
    bring_tag();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        script.status = cases[i].status;
        assert_int_equal(ask_tag()->failure, cases[i].kind);
        size_t before = fake_upstream_count();
        stage_pass(9000);
        assert_int_equal(ask_tag()->failure, cases[i].kind);
        assert_int_equal(fake_upstream_count(), before);
        assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 0);
        stage_pass(2000);
        script.status = 0;
        script.failure = ERR_UPSTREAM;
        assert_int_equal(ask_tag()->state, ANSWER_STALE);
        script.failure = 0;
        stage_pass(40000); /* the breaker */
    }
    assert_int_equal(ask_tag()->state, ANSWER_FRESH);
}

static void tag_is_stale_when_the_login_is_refused(void **state)
{
    (void)state;
    bring_tag();
    script.status = 401;
    const struct seen *seen = ask_tag();
    assert_int_equal(seen->state, ANSWER_STALE);
    assert_non_null(strstr(seen->text, "answered 401"));
    assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 0);
}

static void tag_without_a_copy_is_refused_when_the_login_is(void **state)
{
    (void)state;
    script.status = 401;
    assert_int_equal(ask_tag()->failure, ERR_UNAUTHORIZED);
    script.status = 0;
    assert_int_equal(ask_tag()->answers, 1);
}

static int setup_keep(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open("  docker.io:\n    url: https://hub.test\n    default: true\n"
               "    tags:\n      - { match: \"*\", ttl: 60s, deleted: keep }\n");
    script.manifest = stage_manifest();
    fake_upstream_set(answer_manifest, NULL);
    return 0;
}

static void tag_that_is_refused_is_kept_where_one_says_so(void **state)
{
    static const int statuses[] = {403, 404, 410, 451};

    (void)state;
    script.status = 404;
    assert_int_equal(ask_tag()->failure, ERR_NOT_FOUND);
    stage_pass(11000);
    script.status = 0;
    bring_tag();
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        script.status = statuses[i];
        assert_int_equal(ask_tag()->state, ANSWER_STALE);
        size_t before = fake_upstream_count();
        assert_int_equal(ask_tag()->state, ANSWER_STALE);
        assert_int_equal(fake_upstream_count(), before);
        stage_pass(11000);
    }
    assert_int_equal(stage_messages(MESSAGE_TAG_CHECKED), 0);
}

static void tag_digest_of_the_upstream_is_never_relayed(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    script.lies_about_digest = true;
    const struct seen *seen = ask_tag();
    assert_true(digest_equal(&seen->digest, &digest));
}

static void tag_of_a_web_page_fails(void **state)
{
    (void)state;
    script.content_type = "Content-Type: text/html; charset=utf-8\r\n";
    assert_int_equal(ask_tag()->failure, ERR_UPSTREAM);
}

static void tag_of_a_coded_manifest_fails(void **state)
{
    static const char *const coded[] = {
        "Content-Encoding: gzip\r\n",
        "Content-Encoding: aws-chunked, GZIP\r\n",
        "Content-Encoding: br\r\n",
        "Content-Encoding: x-compress\r\n",
    };
    static const char *const plain[] = {
        "Content-Encoding: identity\r\n",
        "Content-Encoding: aws-chunked\r\n",
        "Content-Encoding: utf-8\r\n",
        "Content-Encoding:\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(coded) / sizeof(coded[0]); i++) {
        script.extra = coded[i];
        assert_int_equal(ask_tag()->failure, ERR_UPSTREAM);
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        script.extra = plain[i];
        assert_int_equal(ask_tag()->state, ANSWER_FRESH);
    }
}

static void manifest_by_digest_is_answered_then_here(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    uint64_t first = stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, first);
    assert_int_equal(stage_seen(first)->answers, 1);
    stage_until(stage_has_commits, 1);
    stage_pass(10);
    uint64_t second = stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, second);
    assert_int_equal(stage_seen(second)->heres, 1);
    assert_int_equal(fake_upstream_count(), 1);
}

static void public_manifest_is_here_for_all_but_checked_where_it_must_be_linked(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    bring_tag();
    unsigned before = (unsigned)fake_upstream_count();
    uint64_t served = stage_join(0, JOIN_MANIFEST, "library/other", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, served);
    assert_int_equal(stage_seen(served)->heres, 1);
    uint64_t linked = stage_join_own(0, JOIN_MANIFEST, "library/app", &digest);
    stage_until(stage_is_over, linked);
    assert_int_equal(stage_seen(linked)->heres, 1);
    assert_int_equal(fake_upstream_count(), before);
    script.status = 404;
    uint64_t checked = stage_join_own(0, JOIN_MANIFEST, "library/other", &digest);
    stage_until(stage_is_over, checked);
    assert_int_equal(stage_seen(checked)->failure, ERR_NOT_FOUND);
    assert_int_equal(fake_upstream_count(), before + 1);
}

static void manifest_with_other_bytes_is_refused(void **state)
{
    (void)state;
    struct digest digest = stage_digest(SLICE_LITERAL("another"));
    uint64_t request = stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_DIGEST_MISMATCH);
    assert_int_equal(stage_messages(MESSAGE_MANIFEST_STORED), 0);
}

/* All get the same memory file, also the one that joins when the bytes are written already. */
static void large_manifest_is_answered_whole_to_all(void **state)
{
    (void)state;
    const char *rest = ",\"annotations\":{\"a\":\"";
    AUTO_BUF struct buf body;
    buf_init(&body, (size_t)1024 * 1024);
    buf_append_slice(&body, slice_from(script.manifest.data, script.manifest.length - 1));
    buf_append_text(&body, rest);
    while (body.length < 600000)
        buf_append_text(&body, "0123456789");
    buf_append_text(&body, "\"}}");
    script.manifest = buf_bytes(&body);
    struct digest digest = stage_digest(script.manifest);
    stage_hold_keeper(true);
    uint64_t requests[3] = {
        stage_join(0, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX),
        stage_join(1, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX),
    };
    stage_until(stage_is_over, requests[0]);
    stage_pass(10);
    requests[2] = stage_join(1, JOIN_MANIFEST, "library/app", "", &digest, UINT64_MAX);
    for (size_t i = 0; i < 3; i++) {
        stage_until(stage_is_over, requests[i]);
        const struct seen *seen = stage_seen(requests[i]);
        assert_int_equal(seen->answers, 1);
        assert_int_equal(seen->body_size, body.length);
        assert_true(digest_equal(&seen->body_digest, &digest));
    }
    stage_hold_keeper(false);
}

/* The repository's name has a component that is also in the path of a blob. */
static void limit_for_a_repository_called_blobs_is_obeyed(void **state)
{
    (void)state;
    script.status = 429;
    script.extra = "Retry-After: 30\r\n";
    for (unsigned i = 0; i < 2; i++) {
        uint64_t request = stage_join(0, JOIN_TAG, "team/blobs/app", "latest", NULL, UINT64_MAX);

        stage_until(stage_is_over, request);
        assert_int_equal(stage_seen(request)->failure, ERR_BUSY);
        assert_int_equal(fake_upstream_count(), 1);
    }
}

static void blob_size_is_asked_with_head(void **state)
{
    (void)state;
    struct digest digest = stage_digest(script.manifest);
    uint64_t request = stage_join(0, JOIN_BLOB_SIZE, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->body_size, script.manifest.length);
    assert_int_equal(fake_upstream_at(0)->method, TRANSFER_HEAD);
}

static void tags_list_gives_the_body_and_the_next_query(void **state)
{
    (void)state;
    script.manifest = SLICE_LITERAL("{\"name\":\"library/app\",\"tags\":[\"a\"]}");
    script.content_type = "Content-Type: application/json\r\n";
    script.extra = "Link: </v2/library/app/tags/list?last=a&n=1>; rel=\"next\"\r\n";
    uint64_t request = stage_join(0, JOIN_TAGS_LIST, "library/app", "n=1", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_string_equal(stage_seen(request)->link, "last=a&n=1");
    assert_int_equal(stage_seen(request)->body_length, script.manifest.length);
    assert_string_equal(fake_upstream_at(0)->url, "https://hub.test/v2/library/app/tags/list?n=1");
}

static const struct seen *page(const char *query, const char *body, const char *link)
{
    script.manifest = slice_of(body);
    script.content_type = "Content-Type: application/json\r\n";
    script.extra = link;
    uint64_t request = stage_join(0, JOIN_TAGS_LIST, "library/app", query, NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    return stage_seen(request);
}

static const struct seen *list(const char *body, const char *link)
{
    return page("", body, link);
}

static void tags_list_has_what_can_be_a_tag_under_our_name(void **state)
{
    (void)state;
    const char *theirs = "{\"name\":\"an/other\",\"tags\":[\"ok\",\"../x\",7,\"a b\",\"also.ok\"]}";
    const char *ours = "{\"name\":\"library/app\",\"tags\":[\"ok\",\"also.ok\"]}";
    assert_int_equal(list(theirs, "")->body_length, strlen(ours));
    const char *empty = "{\"name\":\"library/app\",\"tags\":[]}";
    assert_int_equal(list("{\"tags\":null}", "")->body_length, strlen(empty));
    assert_int_equal(list("{\"name\":\"an/other\"}", "")->body_length, strlen(empty));
}

static void tags_list_may_be_long(void **state)
{
    (void)state;
    const char *ours = "{\"name\":\"library/app\",\"tags\":[\"ok\"]}";
    AUTO_BUF struct buf body;
    buf_init(&body, (size_t)1024 * 1024);
    buf_append_text(&body, "{\"tags\":[\"ok\"");
    for (unsigned i = 0; i < 60000; i++)
        buf_append_text(&body, ",7");
    buf_append_text(&body, "]}");
    assert_int_equal(list(buf_text(&body), "")->body_length, strlen(ours));
}

static void tags_list_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_int_equal(list("<html>", "")->failure, ERR_UPSTREAM);
    assert_int_equal(list("{\"tags\":{\"a\":1}}", "")->failure, ERR_UPSTREAM);
    assert_int_equal(list("[]", "")->failure, ERR_UPSTREAM);
    assert_int_equal(list("{\"errors\":[]}", "")->failure, ERR_UPSTREAM);
}

static void tags_list_has_no_next_page_that_cannot_be_a_query(void **state)
{
    (void)state;
    const char *body = "{\"tags\":[\"a\"]}";
    assert_string_equal(list(body, "Link: </v2/x/tags/list?a=\"b>; rel=\"next\"\r\n")->link, "");
    assert_string_equal(list(body, "Link: </v2/x/tags/list?a= b>; rel=\"next\"\r\n")->link, "");
    assert_string_equal(list(body, "Link: >;<\r\n")->link, "");
}

/* `expected` is the next page's query after "n=2&last=a" was asked. */
static void assert_next(const char *link, const char *expected)
{
    char text[500];

    (void)snprintf(text, sizeof(text), "%s\r\n", link);
    assert_string_equal(page("n=2&last=a", "{\"tags\":[\"b\"]}", text)->link, expected);
}

static void tags_list_goes_on_with_rel_next_alone(void **state)
{
    (void)state;
    assert_next("Link: </v2/x?last=p>; rel=\"prev\", </v2/x?last=q>; rel=\"next\"", "last=q");
    assert_next("Link: </v2/x?last=p>; rel=first\r\nlink: </v2/x?last=q>;REL=Next", "last=q");
    assert_next("Link: </v2/x?last=p,q>; title=\"a, <b>; rel=prev\"; rel=\"last next\"",
                "last=p,q");
    assert_next("Link: </v2/x?last=p>; rel=\"first\"", "");
    assert_next("Link: </v2/x?last=p>; rel=prev", "");
    assert_next("Link: </v2/x?last=p>; rel=\"next", "");
    assert_next("Link: </v2/x?last=p>; rel=prev; rel=next", "");
    assert_next("Link: </v2/x?last=p>; title=\"\\", "");
    assert_next("Link: </v2/x?last=p>", "");
    assert_next("Link: ,, </v2/x?last=p>;;rel = next ;", "last=p");
}

static void tags_list_does_not_lead_where_it_came_from(void **state)
{
    (void)state;
    assert_next("Link: </v2/x?n=2&last=a>; rel=next", "");
    assert_next("Link: </v2/x?last=%61&n=2&>; rel=next", "");
    assert_next("Link: </v2/x?last=a&n=3>; rel=next", "last=a&n=3");
    assert_next("Link: </v2/x?ns=evil.test&n=2&n=9&last=c&last=d>; rel=next", "n=2&last=c");
    assert_next("Link: <//evil.test/v2/x?last=p>; rel=next", "");
    assert_next("Link: <ftp://hub.test/v2/x?last=p>; rel=next", "");
    assert_next("Link: <https://evil.test/v2/x?last=p>; rel=next", "");
    assert_next("Link: <https://hub.test/v2/x?last=p>; rel=next", "last=p");
    assert_next("Link: <http://hub.test/v2/x?last=p>; rel=next", "last=p");
    assert_next("Link: <http://evil.test/v2/x?last=p>; rel=next", "");
    assert_next("Link: <list?last=p:q>; rel=next", "last=p:q");
    assert_next("Link: <referrers/sha256:1?last=p>; rel=next", "last=p");
    assert_next("Link: </v2/x/referrers/sha256:1?last=p>; rel=next", "last=p");
    assert_next("Link: <../tags/list?last=p>; rel=next", "last=p");
    assert_next("Link: <ftp:list?last=p>; rel=next", "");
}

static void tags_list_drops_what_json_can_say_and_a_tag_cannot(void **state)
{
    (void)state;
    const char *theirs = "{\"tags\":[\"a\",\"b\\u0000\",\"\\ud800\",\"\\udc00\",\"\\uD83D\\uDE00\","
                         "\"\\ud83dx\",\"\\\\u0000\",\"\\u0062\"]}";
    const char *ours = "{\"name\":\"library/app\",\"tags\":[\"a\",\"b\"]}";
    const struct seen *seen = list(theirs, "");
    assert_int_equal(seen->failure, 0);
    assert_int_equal(seen->body_length, strlen(ours));
    assert_memory_equal(seen->body, ours, strlen(ours));
}

static void assert_page(const char *query, const char *expected, const char *link)
{
    const struct seen *seen =
        page(query, "{\"tags\":[\"c\",\"../x\",\"a\",\"b\",\"d\",\"e\"]}", "");
    AUTO_BUF struct buf body;

    buf_init(&body, 1000);
    buf_printf(&body, "{\"name\":\"library/app\",\"tags\":[%s]}", expected);
    assert_int_equal(seen->body_length, body.length);
    assert_memory_equal(seen->body, buf_text(&body), body.length);
    assert_string_equal(seen->link, link);
}

static void tags_list_of_all_is_cut_into_pages(void **state)
{
    (void)state;
    assert_page("n=2", "\"c\",\"a\"", "n=2&last=a");
    assert_page("n=2&last=a&x=y", "\"b\",\"d\"", "n=2&x=y&last=d");
    assert_page("n=2&last=d", "\"e\"", "");
    assert_page("n=2&last=zzz", "\"c\",\"a\"", "n=2&last=a");
    assert_page("n=5", "\"c\",\"a\",\"b\",\"d\",\"e\"", "");
    assert_page("n=0", "", "");
    assert_page("", "\"c\",\"a\",\"b\",\"d\",\"e\"", "");
}

static const struct seen *referrers(const char *body)
{
    struct digest digest = stage_digest(SLICE_LITERAL("subject"));

    script.manifest = slice_of(body);
    script.content_type = "Content-Type: " MEDIA_TYPE_OCI_INDEX "\r\n";
    uint64_t request = stage_join(0, JOIN_REFERRERS, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    return stage_seen(request);
}

#define GOOD                                                                                       \
    "{\"mediaType\":\"a/"                                                                          \
    "b\",\"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c0"                 \
    "60f61caaff8a\",\"size\":2,\"annotations\":{\"x\":\"\\u0001\"}}"

static void referrers_have_descriptors_alone(void **state)
{
    (void)state;
    const char *whole = "{\"schemaVersion\": 2, \"manifests\": [" GOOD "]}";
    const char *theirs =
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[7," GOOD
        ",{\"mediaType\":\"a/b\",\"size\":1},[]," GOOD ",null],\"x\":1.5}";
    const char *ours = "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
                       "\",\"manifests\":[" GOOD "," GOOD "],\"x\":1.5}";
    const struct seen *seen = referrers(whole);
    assert_int_equal(seen->body_length, strlen(whole));
    assert_memory_equal(seen->body, whole, strlen(whole));
    seen = referrers(theirs);
    assert_int_equal(seen->body_length, strlen(ours));
    assert_memory_equal(seen->body, ours, strlen(ours));
    assert_int_equal(
        referrers("{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"manifests\":[]}")->failure,
        ERR_UPSTREAM);
    assert_int_equal(referrers("{\"mediaType\":7,\"manifests\":[]}")->failure, ERR_UPSTREAM);
    const char *none = "{\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}";
    seen = referrers("{\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":null}");
    assert_int_equal(seen->body_length, strlen(none));
    assert_memory_equal(seen->body, none, strlen(none));
    assert_int_equal(referrers("{\"manifests\":null}")->failure, ERR_UPSTREAM);
    assert_int_equal(referrers("{\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\"}")->failure,
                     ERR_UPSTREAM);
}

static enum error_kind referrers_after(int status, const char *content_type)
{
    struct digest digest = stage_digest(SLICE_LITERAL("subject"));

    script.status = status;
    script.content_type = content_type;
    uint64_t request = stage_join(0, JOIN_REFERRERS, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    stage_pass(60000);
    return stage_seen(request)->failure;
}

/* NOT_FOUND makes the worker ask for the tag that clients keep such lists under. */
static void referrers_address_that_is_no_use_is_told_from_a_failure(void **state)
{
    static const int no_use[] = {400, 401, 403, 404, 405, 406, 410, 501};
    static const int failures[] = {500, 502, 503, 504};

    (void)state;
    for (size_t i = 0; i < sizeof(no_use) / sizeof(no_use[0]); i++)
        assert_int_equal(referrers_after(no_use[i], NULL), ERR_NOT_FOUND);
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        assert_int_equal(referrers_after(failures[i], NULL), ERR_UPSTREAM);
    assert_int_equal(referrers_after(429, NULL), ERR_BUSY);
    assert_int_equal(referrers_after(200, "Content-Type: text/html\r\n"), ERR_NOT_FOUND);
}

static void referrers_are_not_emptied(void **state)
{
    (void)state;
    assert_int_equal(referrers("{\"schemaVersion\":2,\"manifests\":[7,{}]}")->failure,
                     ERR_UPSTREAM);
    assert_int_equal(referrers("{\"schemaVersion\":2,\"manifests\":[]}")->answers, 1);
}

static void tags_list_with_a_bad_query_is_refused(void **state)
{
    (void)state;
    uint64_t request =
        stage_join(0, JOIN_TAGS_LIST, "library/app", "n=1\r\nX: y", NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    assert_int_equal(stage_seen(request)->failure, ERR_INVALID);
    assert_int_equal(fake_upstream_count(), 0);
}

static void join_of_nonsense_is_refused(void **state)
{
    (void)state;
    uint64_t name = stage_join(0, JOIN_TAG, "../etc", "latest", NULL, UINT64_MAX);
    uint64_t tag = stage_join(0, JOIN_TAG, "library/app", "a/b", NULL, UINT64_MAX);
    stage_use_origin("nowhere.test");
    uint64_t origin = stage_join(0, JOIN_TAG, "library/app", "a", NULL, UINT64_MAX);
    stage_until(stage_is_over, origin);
    assert_int_equal(stage_seen(name)->failure, ERR_INVALID);
    assert_int_equal(stage_seen(tag)->failure, ERR_INVALID);
    assert_int_equal(stage_seen(origin)->failure, ERR_NOT_FOUND);
}

static void fetcher_stops_asking_an_upstream_that_is_down(void **state)
{
    (void)state;
    script.failure = ERR_UPSTREAM;
    ask_tag();
    ask_tag();
    size_t before = fake_upstream_count();
    assert_true(before >= 5);
    const struct seen *told = ask_tag();
    assert_int_equal(told->failure, ERR_UPSTREAM);
    assert_non_null(strstr(told->text, "is known to be down: https://"));
    assert_null(strstr(told->text, "library")); /* it may be another repository's failure */
    assert_true(fake_upstream_count() - before <= 1);
    script.failure = ERR_NONE;
    stage_pass(31000);
    assert_int_equal(ask_tag()->answers, 1);
}

static void fetcher_asks_an_upstream_with_trouble_in_one_repository(void **state)
{
    (void)state;
    script.status = 500;
    ask_tag();
    ask_tag();
    size_t before = fake_upstream_count();
    assert_true(before > 5);
    ask_tag();
    assert_true(fake_upstream_count() - before > 1);
    script.status = 503;
    ask_tag();
    ask_tag();
    before = fake_upstream_count();
    ask_tag();
    assert_true(fake_upstream_count() - before <= 1);
}

/* ---- two addresses ---- */

static struct {
    int statuses[2]; /* 0: the connection is refused */
    const char *headers;
} pair;

static void answer_pair(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    int status = pair.statuses[strncmp(request->url, "https://a.test/", 15) == 0 ? 0 : 1];

    answer_manifest(request, answer, arg);
    answer->status = status;
    answer->failure = status ? ERR_NONE : ERR_UPSTREAM;
    if (status == 200)
        return;
    answer->body = (struct slice){0};
    answer->headers = pair.headers;
}

static int setup_pair(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    memset(&pair, 0, sizeof(pair));
    stage_open("  docker.io:\n    url: [ https://a.test, https://b.test ]\n    default: true\n");
    script.manifest = stage_manifest();
    fake_upstream_set(answer_pair, NULL);
    return 0;
}

static struct seen *ask_pair(int first, int second)
{
    static unsigned number;
    char tag[20];

    pair.statuses[0] = first;
    pair.statuses[1] = second;
    (void)snprintf(tag, sizeof(tag), "v%u", ++number);
    uint64_t request = stage_join(0, JOIN_TAG, "library/app", tag, NULL, UINT64_MAX);
    stage_until(stage_is_over, request);
    return stage_seen(request);
}

static void address_that_says_no_is_followed_by_the_next(void **state)
{
    static const int refusals[] = {401, 403, 404, 410, 400, 501, 429};

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        assert_int_equal(ask_pair(refusals[i], 200)->answers, 1);
        assert_int_equal(fake_upstream_count(), 2 * (i + 1));
    }
}

static void no_of_all_addresses_is_believed(void **state)
{
    (void)state;
    assert_int_equal(ask_pair(404, 404)->failure, ERR_NOT_FOUND);
    assert_int_equal(ask_pair(403, 403)->failure, ERR_DENIED);
    assert_int_equal(fake_upstream_count(), 4);
    assert_int_equal(ask_pair(401, 404)->failure, ERR_UNAUTHORIZED);
    assert_int_equal(ask_pair(404, 401)->failure, ERR_UNAUTHORIZED);
}

static void no_of_one_address_is_not_that_of_all(void **state)
{
    (void)state;
    assert_int_equal(ask_pair(404, 503)->failure, ERR_UPSTREAM);
    assert_int_equal(ask_pair(0, 404)->failure, ERR_UPSTREAM);
    assert_int_equal(ask_pair(404, 429)->failure, ERR_BUSY);
    stage_pass(6000);
    assert_int_equal(ask_pair(429, 404)->failure, ERR_BUSY);
}

static void address_that_is_known_to_be_down_leaves_a_doubt(void **state)
{
    (void)state;
    ask_pair(0, 0);
    ask_pair(0, 0);
    ask_pair(0, 0);
    size_t before = fake_upstream_count_of("https://a.test/");
    stage_pass(2100);
    ask_pair(0, 404); /* the probe */
    assert_int_equal(fake_upstream_count_of("https://a.test/"), before + 1);
    assert_int_equal(ask_pair(0, 404)->failure, ERR_UPSTREAM);
    assert_int_equal(fake_upstream_count_of("https://a.test/"), before + 1);
}

static void busy_address_alone_is_left_alone(void **state)
{
    (void)state;
    pair.headers = "Retry-After: 30\r\n";
    assert_int_equal(ask_pair(429, 200)->answers, 1);
    assert_int_equal(ask_pair(200, 200)->answers, 1);
    assert_int_equal(fake_upstream_count_of("https://a.test/"), 1);
    const struct seen *seen = ask_pair(200, 429);
    assert_int_equal(seen->failure, ERR_BUSY);
    assert_int_equal(seen->retry_after, 30);
    size_t before = fake_upstream_count();
    assert_int_equal(ask_pair(200, 200)->failure, ERR_BUSY);
    assert_int_equal(fake_upstream_count(), before);
    stage_pass(31000);
    assert_int_equal(ask_pair(200, 404)->answers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(tag_is_fetched_answered_and_stored),
        TEST(tag_asked_by_many_is_one_request),
        TEST(tag_nobody_waits_for_is_asked_no_more),
        TEST(tag_that_came_is_stored_though_nobody_waits),
        TEST(digest_of_a_tag_that_is_being_stored_is_no_second_request),
        TEST(tag_that_is_here_is_checked_with_head),
        TEST(tag_that_moved_is_fetched),
        TEST(tag_head_without_meaning_is_decided_by_get),
        TEST(tag_is_stale_when_the_upstream_is_down),
        TEST(tag_is_stale_when_a_token_server_is_not_allowed),
        TEST(tag_is_stale_on_429_and_the_upstream_is_left_alone),
        TEST(upstream_that_is_busy_is_left_alone),
        TEST(answers_that_drip_are_given_up),
        cmocka_unit_test_setup_teardown(upstream_may_take_as_long_as_one_says, setup_patient,
                                        teardown),
        cmocka_unit_test_setup_teardown(downloads_leave_a_connection_to_questions,
                                        setup_few_connections, teardown),
        TEST(part_of_an_answer_is_none),
        TEST(tag_is_stale_when_a_check_gives_a_part),
        TEST(tag_is_not_stale_for_longer_than_allowed),
        TEST(tag_that_is_refused_is_hidden_and_not_forgotten),
        TEST(tag_is_stale_when_the_login_is_refused),
        TEST(tag_without_a_copy_is_refused_when_the_login_is),
        cmocka_unit_test_setup_teardown(tag_that_is_refused_is_kept_where_one_says_so, setup_keep,
                                        teardown),
        TEST(tag_digest_of_the_upstream_is_never_relayed),
        TEST(tag_of_a_web_page_fails),
        TEST(tag_of_a_coded_manifest_fails),
        TEST(manifest_by_digest_is_answered_then_here),
        TEST(public_manifest_is_here_for_all_but_checked_where_it_must_be_linked),
        TEST(manifest_with_other_bytes_is_refused),
        TEST(large_manifest_is_answered_whole_to_all),
        TEST(limit_for_a_repository_called_blobs_is_obeyed),
        TEST(blob_size_is_asked_with_head),
        TEST(tags_list_gives_the_body_and_the_next_query),
        TEST(tags_list_has_what_can_be_a_tag_under_our_name),
        TEST(tags_list_may_be_long),
        TEST(tags_list_that_is_none_is_refused),
        TEST(tags_list_has_no_next_page_that_cannot_be_a_query),
        TEST(tags_list_goes_on_with_rel_next_alone),
        TEST(tags_list_does_not_lead_where_it_came_from),
        TEST(tags_list_drops_what_json_can_say_and_a_tag_cannot),
        TEST(tags_list_of_all_is_cut_into_pages),
        TEST(referrers_have_descriptors_alone),
        TEST(referrers_address_that_is_no_use_is_told_from_a_failure),
        TEST(referrers_are_not_emptied),
        TEST(tags_list_with_a_bad_query_is_refused),
        TEST(join_of_nonsense_is_refused),
        TEST(fetcher_stops_asking_an_upstream_that_is_down),
#define TEST_PAIR(name) cmocka_unit_test_setup_teardown(name, setup_pair, teardown)
        TEST_PAIR(address_that_says_no_is_followed_by_the_next),
        TEST_PAIR(no_of_all_addresses_is_believed),
        TEST_PAIR(no_of_one_address_is_not_that_of_all),
        TEST_PAIR(address_that_is_known_to_be_down_leaves_a_doubt),
        TEST_PAIR(busy_address_alone_is_left_alone),
        TEST(fetcher_asks_an_upstream_with_trouble_in_one_repository),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
