/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

#define SIZE 1000u

static void set_ranges(struct blob_parts *parts, const struct byte_range *ranges, unsigned count)
{
    struct byte_range *copy = mem_alloc(count * sizeof(*copy));

    memcpy(copy, ranges, count * sizeof(*copy));
    blob_parts_ranges(parts, SIZE, &copy, count);
    assert_null(copy);
}

/* Bytes of text and blob until nothing more comes. */
static uint64_t drain(struct blob_parts *parts, uint64_t limit, uint64_t max)
{
    struct blob_piece piece;
    uint64_t length = 0;

    while (blob_parts_next(parts, limit, max, &piece)) {
        assert_true(piece.length <= max);
        assert_true(piece.length == 0 || piece.first + piece.length <= limit);
        length += piece.text_length + piece.length;
    }
    return length;
}

static void whole_blob_is_one_piece(void **state)
{
    (void)state;
    struct blob_parts parts;
    struct blob_piece piece;
    blob_parts_whole(&parts, SIZE);
    assert_int_equal(blob_parts_length(&parts), SIZE);
    assert_true(blob_parts_next(&parts, SIZE, SIZE, &piece));
    assert_int_equal(piece.first, 0);
    assert_int_equal(piece.length, SIZE);
    assert_int_equal(piece.text_length, 0);
    assert_true(blob_parts_is_over(&parts));
}

static void empty_blob_is_over_at_once(void **state)
{
    (void)state;
    struct blob_parts parts;
    blob_parts_whole(&parts, 0);
    assert_true(blob_parts_is_over(&parts));
    assert_int_equal(blob_parts_length(&parts), 0);
}

static void nothing_leaves_beyond_the_limit(void **state)
{
    (void)state;
    struct blob_parts parts;
    struct blob_piece piece;
    struct byte_range range = {.first = 100, .last = 199};
    set_ranges(&parts, &range, 1);
    assert_false(blob_parts_next(&parts, 100, SIZE, &piece));
    assert_true(blob_parts_next(&parts, 150, SIZE, &piece));
    assert_int_equal(piece.length, 50);
    assert_int_equal(parts.furthest, 150);
    assert_false(blob_parts_next(&parts, 150, SIZE, &piece));
    assert_false(blob_parts_is_over(&parts));
    assert_int_equal(drain(&parts, SIZE, 7), 50);
    assert_true(blob_parts_is_over(&parts));
}

static void several_ranges_are_as_long_as_they_say(void **state)
{
    (void)state;
    struct blob_parts parts;
    const struct byte_range ranges[] = {{0, 9}, {500, 999}, {3, 3}};
    for (uint64_t max = 1; max < SIZE; max += 13) {
        set_ranges(&parts, ranges, 3);
        uint64_t length = blob_parts_length(&parts);
        assert_int_equal(drain(&parts, SIZE, max), length);
        assert_true(blob_parts_is_over(&parts));
        assert_int_equal(parts.furthest, SIZE);
        assert_null(parts.several);
    }
}

static void parts_have_heads_and_a_closing_boundary(void **state)
{
    (void)state;
    struct blob_parts parts;
    struct blob_piece piece;
    const struct byte_range ranges[] = {{0, 0}, {5, 6}};
    set_ranges(&parts, ranges, 2);
    assert_true(blob_parts_next(&parts, SIZE, SIZE, &piece));
    assert_non_null(strstr(piece.text, "Content-Range: bytes 0-0/1000\r\n\r\n"));
    assert_true(blob_parts_next(&parts, SIZE, SIZE, &piece));
    assert_non_null(strstr(piece.text, "Content-Range: bytes 5-6/1000\r\n\r\n"));
    assert_true(blob_parts_next(&parts, SIZE, SIZE, &piece));
    assert_int_equal(piece.length, 0);
    assert_non_null(strstr(piece.text, "--\r\n"));
    assert_false(blob_parts_next(&parts, SIZE, SIZE, &piece));
}

static void head_of_a_part_may_leave_before_its_bytes(void **state)
{
    (void)state;
    struct blob_parts parts;
    struct blob_piece piece;
    const struct byte_range ranges[] = {{0, 9}, {500, 509}};
    set_ranges(&parts, ranges, 2);
    (void)drain(&parts, 400, SIZE);
    assert_int_equal(parts.index, 1);
    assert_true(parts.has_head);
    assert_true(blob_parts_next(&parts, SIZE, SIZE, &piece));
    assert_int_equal(piece.text_length, 0);
    assert_int_equal(piece.first, 500);
    assert_int_equal(piece.length, 10);
    assert_null(parts.several); /* nothing is kept while the last part leaves */
}

static void a_thousand_ranges_are_as_long_as_they_say(void **state)
{
    (void)state;
    struct blob_parts parts;
    struct byte_range ranges[BYTE_RANGES_MAX];
    for (unsigned i = 0; i < BYTE_RANGES_MAX; i++)
        ranges[i].first = ranges[i].last = i % SIZE; /* of one digit, two, three */
    set_ranges(&parts, ranges, BYTE_RANGES_MAX);
    uint64_t length = blob_parts_length(&parts);
    assert_int_equal(drain(&parts, SIZE, SIZE), length);
    set_ranges(&parts, ranges, BYTE_RANGES_MAX);
    blob_parts_cleanup(&parts); /* the client has gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_blob_is_one_piece),
        cmocka_unit_test(empty_blob_is_over_at_once),
        cmocka_unit_test(nothing_leaves_beyond_the_limit),
        cmocka_unit_test(several_ranges_are_as_long_as_they_say),
        cmocka_unit_test(parts_have_heads_and_a_closing_boundary),
        cmocka_unit_test(head_of_a_part_may_leave_before_its_bytes),
        cmocka_unit_test(a_thousand_ranges_are_as_long_as_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
