/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: exact ends, nonsense ignored, nothing wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "oci/byte_range.h"

static enum byte_range_verdict resolve(const char *header, uint64_t size, struct byte_range *out,
                                       unsigned *count)
{
    struct byte_range *ranges = NULL;
    enum byte_range_verdict verdict = byte_range_resolve(slice_of(header), size, &ranges, count);

    assert_int_equal(verdict == RANGE_SATISFIABLE, ranges ? 1 : 0);
    if (ranges)
        memcpy(out, ranges, *count * sizeof(*ranges));
    mem_free(ranges);
    return verdict;
}

static void expect_one(const char *header, uint64_t size, uint64_t first, uint64_t last)
{
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned count = 0;

    assert_int_equal(resolve(header, size, ranges, &count), RANGE_SATISFIABLE);
    assert_int_equal(count, 1);
    assert_true(ranges[0].first == first);
    assert_true(ranges[0].last == last);
}

static void expect_verdict(const char *header, uint64_t size, enum byte_range_verdict verdict)
{
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned count = 0;

    assert_int_equal(resolve(header, size, ranges, &count), verdict);
}

static void byte_range_resolve_gives_exact_ends(void **state)
{
    (void)state;

    expect_one("bytes=0-0", 10, 0, 0);
    expect_one("bytes=5-", 10, 5, 9);
    expect_one("bytes=-5", 10, 5, 9);
    expect_one("bytes=-50", 10, 0, 9);
    expect_one("bytes=0-100", 10, 0, 9);
    expect_one("Bytes= 2-3 ", 10, 2, 3);
}

static void byte_range_resolve_clamps_what_would_wrap(void **state)
{
    (void)state;

    expect_one("bytes=-18446744073709551615", 10, 0, 9);
    expect_one("bytes=-18446744073709551616", 10, 0, 9);
    expect_one("bytes=0-9223372036854775808", 10, 0, 9);
    expect_one("bytes=0-99999999999999999999999999", 10, 0, 9);
    expect_verdict("bytes=99999999999999999999999999-", 10, RANGE_UNSATISFIABLE);
    expect_one("bytes=-1", UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1);
}

static void byte_range_resolve_skips_empty_elements(void **state)
{
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned count = 0;

    (void)state;

    assert_int_equal(resolve("bytes=,0-1, ,,5-6,", 10, ranges, &count), RANGE_SATISFIABLE);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[1].first, 5);
}

static void byte_range_resolve_tells_unsatisfiable(void **state)
{
    (void)state;

    expect_verdict("bytes=10-", 10, RANGE_UNSATISFIABLE);
    expect_verdict("bytes=-0", 10, RANGE_UNSATISFIABLE);
    expect_verdict("bytes=5-2", 10, RANGE_UNSATISFIABLE);
    expect_verdict("bytes=0-0", 0, RANGE_UNSATISFIABLE);
    expect_verdict("bytes=-1", 0, RANGE_UNSATISFIABLE);
    expect_verdict("bytes=10-11,12-", 10, RANGE_UNSATISFIABLE);
}

static void byte_range_resolve_ignores_malformed_headers(void **state)
{
    static const char *const bad[] = {
        "",           "bytes",       "bytes=",     "bits=0-1", "bytes 0-1",   "bytes=+1-2",
        "bytes=1 -2", "bytes=a-b",   "bytes=1-2x", "bytes=-",  "bytes=0x0-1", "bytes=1",
        "bytes=,, ,", "bytes=0-1,x", "bytes=--1",
    };

    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_verdict(bad[i], 10, RANGE_NONE);
}

static void byte_range_resolve_keeps_the_order_of_several(void **state)
{
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned count = 0;

    (void)state;

    assert_int_equal(resolve("bytes=5-6, 0-1 ,-1,90-99", 10, ranges, &count), RANGE_SATISFIABLE);
    assert_int_equal(count, 3); /* the unsatisfiable one is left out */
    assert_true(ranges[0].first == 5 && ranges[1].last == 1 && ranges[2].first == 9);
}

static void byte_range_resolve_answers_the_whole_to_overlapping_ones(void **state)
{
    (void)state;

    expect_verdict("bytes=0-5,5-6", 10, RANGE_NONE);
    expect_verdict("bytes=5-6,0-5", 10, RANGE_NONE);
    expect_verdict("bytes=0-9,0-9", 10, RANGE_NONE);
    expect_verdict("bytes=8-9,0-0,4-5,2-4", 10, RANGE_NONE);
    expect_verdict("bytes=2-3,-8", 10, RANGE_NONE);
    expect_verdict("bytes=-1,5-", 10, RANGE_NONE);
    expect_verdict("bytes=5-20,90-,0-4", 10, RANGE_SATISFIABLE); /* adjacent ones do not */
}

/* "bytes=0-0,2-2,…" with `count` ranges; from the last to the first if `is_down`. */
static char *print_many(unsigned count, bool is_down)
{
    struct buf text;

    buf_init(&text, 1024UL * 1024);
    buf_append_text(&text, "bytes=");
    for (unsigned i = 0; i < count; i++) {
        unsigned at = 2 * (is_down ? count - 1 - i : i);

        buf_printf(&text, "%s%u-%u", i == 0 ? "" : ",", at, at);
    }
    char *copy = mem_strdup(buf_text(&text));
    buf_cleanup(&text);
    return copy;
}

static void byte_range_resolve_takes_as_many_as_there_may_be(void **state)
{
    struct byte_range ranges[BYTE_RANGES_MAX];
    unsigned count = 0;

    (void)state;

    for (int is_down = 0; is_down < 2; is_down++) {
        char *most = print_many(BYTE_RANGES_MAX, is_down);
        char *more = print_many(BYTE_RANGES_MAX + 1, is_down);

        assert_int_equal(resolve(most, UINT64_MAX, ranges, &count), RANGE_SATISFIABLE);
        assert_int_equal(count, BYTE_RANGES_MAX);
        assert_int_equal(ranges[1].first, is_down ? 2 * (BYTE_RANGES_MAX - 2) : 2);
        assert_int_equal(byte_range_count(slice_of(most)), BYTE_RANGES_MAX);
        assert_int_equal(byte_range_count(slice_of(more)), BYTE_RANGES_MAX + 1);
        expect_verdict(more, UINT64_MAX, RANGE_NONE);
        mem_free(most);
        mem_free(more);
    }
}

static void byte_range_count_counts_what_is_no_range_too(void **state)
{
    (void)state;

    assert_int_equal(byte_range_count(slice_of("bytes=0-1,,x, 5-")), 3);
    assert_int_equal(byte_range_count(slice_of("bytes=,, ,")), 0);
    assert_int_equal(byte_range_count(slice_of("lines=0-1,2-3")), 0);
    assert_int_equal(byte_range_count(slice_of("")), 0);
}

static void content_range_parse_upload_takes_all_the_forms_of_clients(void **state)
{
    static const char *const good[] = {"5-9",         "bytes 5-9", "5-9/10",
                                       "bytes 5-9/*", " 5-9 ",     "5-9/9"};
    static const char *const bad[] = {
        "",      "0-",     "-9",    "a-b",       "0-99999999999999999999",
        "5 - 9", "5-9/9x", "5-9/8", "bytes=5-9", "5-18446744073709551615"};
    struct byte_range range = {0, 0};
    struct error err;

    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(content_range_parse_upload(slice_of(good[i]), &range, &err), 0);
        assert_true(range.first == 5 && range.last == 9);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(content_range_parse_upload(slice_of(bad[i]), &range, &err), -ERR_INVALID);
    assert_int_equal(content_range_parse_upload(slice_of("9-0"), &range, &err), -ERR_CONFLICT);
}

static void content_range_parse_reads_an_upstreams_answer(void **state)
{
    static const char *const bad[] = {
        "",           "bytes 0-9",  "0-9/10",      "bytes 0-9/9", "bytes 9-0/10",
        "bytes */10", "bytes 0-9/", "bytes a-9/10"};
    struct byte_range range = {0, 0};
    uint64_t size = 0;
    struct error err;

    (void)state;

    assert_int_equal(content_range_parse(slice_of("bytes 0-9/10"), &range, &size, &err), 0);
    assert_true(range.first == 0 && range.last == 9 && size == 10);
    assert_int_equal(content_range_parse(slice_of("bytes 3-4/*"), &range, &size, &err), 0);
    assert_true(range.first == 3 && range.last == 4 && size == UINT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(content_range_parse(slice_of(bad[i]), &range, &size, &err), -ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_range_resolve_gives_exact_ends),
        cmocka_unit_test(byte_range_resolve_clamps_what_would_wrap),
        cmocka_unit_test(byte_range_resolve_skips_empty_elements),
        cmocka_unit_test(byte_range_resolve_tells_unsatisfiable),
        cmocka_unit_test(byte_range_resolve_ignores_malformed_headers),
        cmocka_unit_test(byte_range_resolve_keeps_the_order_of_several),
        cmocka_unit_test(byte_range_resolve_answers_the_whole_to_overlapping_ones),
        cmocka_unit_test(byte_range_resolve_takes_as_many_as_there_may_be),
        cmocka_unit_test(byte_range_count_counts_what_is_no_range_too),
        cmocka_unit_test(content_range_parse_upload_takes_all_the_forms_of_clients),
        cmocka_unit_test(content_range_parse_reads_an_upstreams_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
