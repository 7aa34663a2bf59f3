/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs whose size is not what a manifest, or an earlier answer, said. */
#include <stdio.h>
#include <string.h>

#include "stage.h"

#define MIB  (1024ul * 1024)
#define SIZE (2 * MIB)

static struct {
    struct slice blob;
    struct slice others[2]; /* what the second and third answers have instead */
    bool has_no_length;
    bool resume_has_no_length;
    uint64_t cut_at; /* of the first answer */
    uint64_t pause_ms;
    unsigned answers;
} script;

static void answer_blob(const struct fake_request *request, struct fake_answer *answer, void *arg)
{
    (void)arg;
    unsigned number = script.answers++;

    (void)request; /* Range is ignored */
    answer->status = 200;
    answer->body = script.blob;
    answer->has_no_length = number == 0 ? script.has_no_length : script.resume_has_no_length;
    answer->is_cut = number == 0 && script.cut_at > 0;
    answer->cut_at = script.cut_at;
    answer->pause_ms = script.pause_ms;
    if (number > 0 && number < 3 && script.others[number - 1].data)
        answer->body = script.others[number - 1];
}

static int setup(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    stage_open(NULL);
    fake_upstream_set(answer_blob, NULL);
    script.blob = stage_bytes(1, SIZE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

static uint64_t join(unsigned worker, uint64_t size)
{
    struct digest digest = stage_digest(script.blob);

    return stage_join(worker, JOIN_BLOB, "library/app", "", &digest, size);
}

static void assert_got_all(uint64_t request)
{
    stage_until(stage_is_over, request);
    assert_string_equal(stage_seen(request)->text, "");
    assert_int_equal(stage_seen(request)->verifieds, 1);
    assert_int_equal(stage_seen(request)->size, SIZE);
    stage_assert_file(stage_seen(request)->fd, script.blob);
}

static void size_of_the_upstream_counts_not_the_manifests(void **state)
{
    (void)state;
    uint64_t request = join(0, 77);
    assert_got_all(request);
    assert_int_equal(fake_upstream_count(), 1);
    assert_int_equal(stage_seen(request)->opens, 1);
}

static void blob_without_length_may_be_longer_than_its_manifest_says(void **state)
{
    (void)state;
    script.has_no_length = true;
    assert_got_all(join(0, 77));
    assert_int_equal(fake_upstream_count(), 1);
}

static void blob_without_length_may_be_shorter_than_its_manifest_says(void **state)
{
    (void)state;
    script.has_no_length = true;
    assert_got_all(join(0, 3 * MIB));
    assert_int_equal(fake_upstream_count(), 1);
}

static void join_with_another_size_is_served(void **state)
{
    (void)state;
    script.pause_ms = 10;
    uint64_t first = join(0, SIZE);
    stage_until(stage_is_open, first);
    uint64_t other = join(1, 77);
    assert_got_all(first);
    assert_got_all(other);
}

static void size_stays_when_the_upstream_starts_over_without_one(void **state)
{
    (void)state;
    script.cut_at = MIB;
    script.resume_has_no_length = true;
    uint64_t request = join(0, UINT64_MAX);
    stage_until(stage_has_taken, request);
    assert_int_equal(stage_seen(request)->size, SIZE);
    assert_got_all(request);
}

static void answer_of_another_size_is_a_failed_try(void **state)
{
    (void)state;
    script.cut_at = MIB;
    script.others[0] = stage_bytes(2, SIZE - 1);
    uint64_t request = join(0, UINT64_MAX);
    stage_until(stage_has_taken, request);
    assert_int_equal(stage_seen(request)->size, SIZE);
    assert_int_equal(stage_seen(request)->same_until > 0, 1);
    assert_got_all(request);
    assert_int_equal(fake_upstream_count(), 3);
}

static void another_size_is_believed_when_it_is_said_again(void **state)
{
    (void)state;
    struct slice truth = script.blob;
    script.others[0] = truth;
    script.others[1] = truth;
    script.blob = stage_bytes(2, SIZE + 5);
    script.cut_at = MIB;
    struct digest digest = stage_digest(truth);
    uint64_t request = stage_join(0, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_open, request);
    bool was_strict = stage_seen(request)->is_strict;
    stage_until(stage_has_taken, request);
    uint64_t late = stage_join(1, JOIN_BLOB, "library/app", "", &digest, UINT64_MAX);
    stage_until(stage_is_over, request);
    stage_until(stage_is_over, late);
    script.blob = truth;
    assert_got_all(request);
    assert_int_equal(fake_upstream_count(), 3);
    assert_false(was_strict);
    assert_true(stage_seen(late)->is_strict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(size_of_the_upstream_counts_not_the_manifests),
        TEST(blob_without_length_may_be_longer_than_its_manifest_says),
        TEST(blob_without_length_may_be_shorter_than_its_manifest_says),
        TEST(join_with_another_size_is_served),
        TEST(size_stays_when_the_upstream_starts_over_without_one),
        TEST(answer_of_another_size_is_a_failed_try),
        TEST(another_size_is_believed_when_it_is_said_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
