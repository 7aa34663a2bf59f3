/* SPDX-License-Identifier: Apache-2.0 */
/* Many requests in one transaction, and what is left of it after a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "fakes/loop.h"
#include "ipc/channel.h"
#include "journal_table.h"
#include "keeper/keeper.h"
#include "ledger_table.h"
#include "net/loop.h"
#include "records.h"
#include "store/journal.h"
#include "world.h"

static const char *const image[] = {"config", "layer", NULL};
static struct error err;

static void what_comes_together_is_one_commit(void **state)
{
    (void)state;
    uint64_t requests[20];
    for (unsigned i = 0; i < 20; i++) {
        char content[16];

        (void)snprintf(content, sizeof(content), "blob %u", i);
        struct message_blob_stored stored = world_blob("team/app", content);
        requests[i] = world_post(i % 2 == 0 ? WORKER_0 : WORKER_1, MESSAGE_BLOB_STORED, &stored);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct answer answer = world_await(requests[i]);

        assert_int_equal(answer.type, MESSAGE_DONE);
        assert_int_equal(answer.number, 1);
    }
    assert_int_equal(world_number(), 1);
    assert_int_equal(world_repository("", "team/app").links, 20);
}

static void a_push_in_one_batch_finds_its_own_blobs(void **state)
{
    (void)state;
    struct message_blob_stored config = world_blob("team/app", "config");
    struct message_blob_stored layer = world_blob("team/app", "layer");
    struct message_manifest_put put = world_manifest("team/app", "v1", "one", image);
    (void)world_post(WORKER_0, MESSAGE_BLOB_STORED, &config);
    (void)world_post(WORKER_0, MESSAGE_BLOB_STORED, &layer);
    uint64_t request = world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &put);
    struct answer answer = world_await(request);
    assert_int_equal(answer.type, MESSAGE_DONE);
    assert_int_equal(answer.number, 1);
}

static void one_refused_request_spoils_no_other(void **state)
{
    (void)state;
    struct message_blob_stored good = world_blob("team/app", "good");
    struct message_manifest_put bad = world_manifest("team/app", "v1", "one", image);
    struct message_blob_stored gone = world_blob("team/app", "gone");
    struct message_blob_stored last = world_blob("team/app", "last");
    assert_int_equal(store_file_remove(world_store, PLACE_UPLOADS, gone.file.data, &err), 0);
    uint64_t requests[4] = {world_post(WORKER_0, MESSAGE_BLOB_STORED, &good),
                            world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &bad),
                            world_post(WORKER_1, MESSAGE_BLOB_STORED, &gone),
                            world_post(WORKER_1, MESSAGE_BLOB_STORED, &last)};
    assert_int_equal(world_await(requests[0]).type, MESSAGE_DONE);
    assert_int_equal(world_await(requests[1]).kind, ERR_NOT_FOUND);
    assert_int_equal(world_await(requests[2]).kind, ERR_NOT_FOUND);
    assert_int_equal(world_await(requests[3]).type, MESSAGE_DONE);
    assert_int_equal(world_repository("", "team/app").links, 2);
}

/* A tag's record that nobody can read. */
static void spoil_tag(const char *name)
{
    struct ledger_txn *txn = NULL;
    struct record key;
    struct repository repository;

    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    repository_get(txn, slice_from("", 0), SLICE_LITERAL("team/app"), &repository);
    record_init(&key);
    record_add_u32(&key, repository.id);
    record_add_bytes(&key, slice_of(name));
    ledger_put(txn, TABLE_TAG, record_bytes(&key), SLICE_LITERAL("\x63"));
    assert_int_equal(ledger_commit(&txn, &err), 0);
}

static void a_transaction_that_fails_is_tried_one_by_one(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    spoil_tag("bad");
    struct message_blob_stored first = world_blob("team/app", "first");
    struct message_manifest_put bad = world_manifest("team/app", "bad", "bad", image);
    struct message_manifest_put good = world_manifest("team/app", "good", "good", image);
    uint64_t requests[3] = {world_post(WORKER_0, MESSAGE_BLOB_STORED, &first),
                            world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &bad),
                            world_post(WORKER_1, MESSAGE_MANIFEST_PUT, &good)};
    struct answer a = world_await(requests[0]);
    struct answer b = world_await(requests[1]);
    struct answer c = world_await(requests[2]);
    assert_int_equal(a.type, MESSAGE_DONE);
    assert_int_equal(b.kind, ERR_CORRUPT);
    assert_int_equal(c.type, MESSAGE_DONE);
    assert_int_equal(c.number, a.number + 1);
    assert_int_equal(world_link("", "team/app", &bad.digest), 0);
    assert_int_equal(world_link("", "team/app", &good.digest), LINK_MANIFEST);
}

/* The same manifest to two repositories, of which one lacks its layers. Each is tried in a
 * transaction of its own; the first is refused before the second makes the record. */
static void
the_bytes_of_an_accepted_manifest_stay_when_another_push_of_them_is_refused(void **state)
{
    (void)state;
    (void)world_push_blob("team/app", "config");
    (void)world_push_blob("team/app", "layer");
    struct message_manifest_put refused = world_manifest("team/other", "v1", "same", image);
    struct message_manifest_put accepted = world_manifest("team/app", "v1", "same", image);
    failpoint_arm("ledger.commit", 0, 1);
    uint64_t first = world_post(WORKER_0, MESSAGE_MANIFEST_PUT, &refused);
    uint64_t second = world_post(WORKER_1, MESSAGE_MANIFEST_PUT, &accepted);
    assert_int_equal(world_await(first).kind, ERR_NOT_FOUND);
    assert_int_equal(world_await(second).type, MESSAGE_DONE);
    failpoint_clear();
    assert_true(world_has_file(&accepted.digest));
}

static void the_bytes_of_a_refused_manifest_are_removed(void **state)
{
    (void)state;
    struct message_manifest_put refused = world_manifest("team/app", "v1", "one", image);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &refused).kind, ERR_NOT_FOUND);
    assert_false(world_has_file(&refused.digest));
}

/* What the ledger cannot tell is left alone. */
static void nothing_is_removed_when_the_ledger_cannot_be_read(void **state)
{
    (void)state;
    struct message_manifest_put refused = world_manifest("team/app", "v1", "one", image);
    failpoint_arm("ledger.read", 0, 0);
    assert_int_equal(world_ask(WORKER_0, MESSAGE_MANIFEST_PUT, &refused).kind, ERR_NOT_FOUND);
    failpoint_clear();
    assert_true(world_has_file(&refused.digest));
}

static void all_that_was_answered_is_there_after_a_crash(void **state)
{
    (void)state;
    struct digest digests[10];
    for (unsigned i = 0; i < 10; i++) {
        char tag[16];
        char content[16];

        (void)snprintf(tag, sizeof(tag), "v%u", i);
        (void)snprintf(content, sizeof(content), "layer %u", i);
        const char *const contents[] = {"config", content, NULL};
        digests[i] = world_push("team/app", tag, tag, contents);
        if (i % 3 == 0)
            world_restart();
    }
    struct message_blob_stored late = world_blob("team/app", "late");
    uint64_t request = world_post(WORKER_0, MESSAGE_BLOB_STORED, &late);
    world_restart(); /* not answered: there or not, but nothing half */
    (void)request;
    for (unsigned i = 0; i < 10; i++) {
        char tag[16];
        int fd = -1;

        (void)snprintf(tag, sizeof(tag), "v%u", i);
        struct digest found = world_tag("", "team/app", tag);
        assert_true(digest_equal(&found, &digests[i]));
        assert_int_equal(
            store_blob_open(world_store, &found, world_blob_record(&found).size, &fd, NULL, &err),
            0);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(world_repository("", "team/app").links, 10 + 10 + 1);
}

/* Its line is closed while it lives, so that it would wait for a new one for ever. */
static void a_fetcher_that_sends_nonsense_is_reported(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(channel_pair(fds, &err), 0);
    keeper_set_peer(world_keeper, ROLE_FETCHER, 0, 99, &fds[1]);
    assert_int_equal(send(fds[0], "\x10\xff\x7f", 3, 0), 3);
    world_kill(FETCHER); /* its successor is read now */
    world_turns(20);
    assert_int_equal(world_liar, 99);
    assert_int_equal(close(fds[0]), 0);
}

/* Somebody else's code may run in a worker. */
static void a_worker_speaks_of_hosted_repositories_alone(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("library/app", "wrong");
    stored.origin = SLICE_LITERAL("docker.io");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).kind, ERR_DENIED);
    assert_int_equal(world_liar, WORKER_0 + 1);
    world_liar = 0;
    stored.origin = SLICE_LITERAL("");
    stored.is_public = 1;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).kind, ERR_DENIED);
    stored.is_public = 0;
    stored.place = PLACE_SPOOL;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).kind, ERR_DENIED);
    assert_int_equal(world_liar, WORKER_0 + 1);
    struct message_link link = {
        .digest = world_push_blob("team/app", "hello"),
        .origin = SLICE_LITERAL("docker.io"),
        .repository = SLICE_LITERAL("library/app"),
    };
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).kind, ERR_DENIED);
    link.origin = SLICE_LITERAL("");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).type, MESSAGE_DONE);
    stored.place = PLACE_UPLOADS;
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).type, MESSAGE_DONE);
}

static void bad_messages_are_refused(void **state)
{
    (void)state;
    struct message_blob_stored stored = world_blob("team/app", "hello");
    stored.place = 77;
    assert_int_equal(world_ask(FETCHER, MESSAGE_BLOB_STORED, &stored).kind, ERR_INVALID);
    assert_int_equal(world_liar, 0); /* only workers talk to strangers */
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).kind, ERR_INVALID);
    assert_int_equal(world_liar, WORKER_0 + 1);
    stored.place = PLACE_UPLOADS;
    stored.file = SLICE_LITERAL("../ledger/data.mdb");
    assert_int_equal(world_ask(WORKER_0, MESSAGE_BLOB_STORED, &stored).kind, ERR_INVALID);
    struct message_link link = {.repository = SLICE_LITERAL("team/app")};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_LINK, &link).kind, ERR_INVALID);
    struct message_push_begun begun = {.repository = SLICE_LITERAL("")};
    assert_int_equal(world_ask(WORKER_0, MESSAGE_PUSH_BEGUN, &begun).kind, ERR_INVALID);
}

static bool count_entry(const struct journal_entry *entry, void *arg)
{
    unsigned *count = arg;

    (void)entry;
    (*count)++;
    return true;
}

static unsigned journal_length(void)
{
    unsigned count = 0;
    struct journal_position position = journal_trimmed(world_read());

    world_read_end();
    assert_int_equal(journal_read(world_read(), &position, 10000, count_entry, &count),
                     JOURNAL_END);
    world_read_end();
    return count;
}

static void the_journal_is_trimmed_after_a_week(void **state)
{
    (void)state;
    (void)world_push("team/app", "v1", "one", image);
    assert_int_equal(journal_length(), 4);
    clock_advance(7ull * 24 * 3600 * 1000 - 100000);
    (void)world_push_blob("team/app", "more");
    fake_loop_hold_clock(world_loop, 200000);
    world_turns(2000);
    assert_int_equal(journal_length(), 1);
}

/* More of them than one transaction trims. */
static void a_long_journal_is_trimmed_to_its_age_at_once(void **state)
{
    (void)state;
    struct ledger_txn *txn = NULL;
    struct journal_entry entry = {.kind = JOURNAL_TAG, .when_ms = clock_wall().ms};
    assert_int_equal(ledger_write(world_ledger, &txn, &err), 0);
    for (unsigned i = 0; i < 4500; i++)
        journal_add(txn, &entry);
    assert_int_equal(ledger_commit(&txn, &err), 0);
    clock_advance(7ull * 24 * 3600 * 1000 + 1);
    (void)world_push_blob("team/app", "new");
    fake_loop_hold_clock(world_loop, 40000);
    world_turns(200);
    assert_int_equal(journal_length(), 1);
}

static void an_upstream_that_would_hide_images_is_refused(void **state)
{
    (void)state;
    struct keeper_options options = {.config = &world_config, .ledger = world_ledger};
    (void)world_push("team/docker.io", "v1", "one", image);
    (void)world_push_blob("docker.io/only/blobs", "blob");
    assert_int_equal(keeper_check(&options, &err), 0);
    (void)world_push("docker.io/app", "v1", "one", image);
    assert_int_equal(keeper_check(&options, &err), -ERR_CONFLICT);
    assert_non_null(strstr(err.text, "docker.io"));
}

static void an_unreadable_ledger_allows_no_configuration(void **state)
{
    (void)state;
    struct keeper_options options = {.config = &world_config, .ledger = world_ledger};
    (void)world_push("docker.io/app", "v1", "one", image);
    failpoint_arm("ledger.read", 0, 1);
    assert_int_equal(keeper_check(&options, &err), -ERR_IO);
    failpoint_clear();
    assert_int_equal(keeper_check(&options, &err), -ERR_CONFLICT);
}

static void a_drained_keeper_finishes_what_it_took(void **state)
{
    (void)state;
    struct message_blob_stored first = world_blob("team/app", "first");
    struct message_blob_stored second = world_blob("team/app", "second");
    uint64_t request = world_post(WORKER_0, MESSAGE_BLOB_STORED, &first);
    world_turns(1);
    keeper_drain(world_keeper, 1000);
    assert_int_equal(world_await(request).type, MESSAGE_DONE);
    request = world_post(WORKER_0, MESSAGE_BLOB_STORED, &second);
    world_turns(50);
    assert_int_equal(world_link("", "team/app", &second.digest), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_together_is_one_commit),
        TEST(a_push_in_one_batch_finds_its_own_blobs),
        TEST(one_refused_request_spoils_no_other),
        TEST(a_transaction_that_fails_is_tried_one_by_one),
        TEST(the_bytes_of_an_accepted_manifest_stay_when_another_push_of_them_is_refused),
        TEST(the_bytes_of_a_refused_manifest_are_removed),
        TEST(nothing_is_removed_when_the_ledger_cannot_be_read),
        TEST(all_that_was_answered_is_there_after_a_crash),
        TEST(a_fetcher_that_sends_nonsense_is_reported),
        TEST(a_worker_speaks_of_hosted_repositories_alone),
        TEST(bad_messages_are_refused),
        TEST(the_journal_is_trimmed_after_a_week),
        TEST(a_long_journal_is_trimmed_to_its_age_at_once),
        TEST(an_upstream_that_would_hide_images_is_refused),
        TEST(an_unreadable_ledger_allows_no_configuration),
        TEST(a_drained_keeper_finishes_what_it_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
