/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "oci/digest.h"

#define LIMIT ((size_t)1000)

static struct answer_bodies *bodies;

static int set_up(void **state)
{
    (void)state;
    bodies = answer_bodies_new(LIMIT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    answer_bodies_free(&bodies);
    return 0;
}

static struct answer_body *take(size_t length)
{
    AUTO_BUF struct buf bytes;

    buf_init(&bytes, 2 * LIMIT);
    for (size_t i = 0; i < length; i++)
        buf_append_byte(&bytes, 'x');
    struct answer_body *body = answer_body_take(bodies, &bytes);
    assert_int_equal(buf_bytes(&bytes).length, body ? 0 : length);
    return body;
}

static void bodies_fit_up_to_the_limit(void **state)
{
    (void)state;
    struct answer_body *first = take(600);
    struct answer_body *second = take(400);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(take(1));
    answer_body_unref(&first);
    assert_null(first);
    assert_null(take(601));
    first = take(600);
    assert_int_equal(answer_body_bytes(first).length, 600);
    answer_body_unref(&first);
    answer_body_unref(&second);
}

static void one_body_is_taken_however_large(void **state)
{
    (void)state;
    struct answer_body *body = take(2 * LIMIT);
    assert_non_null(body);
    assert_null(take(1));
    answer_body_unref(&body);
}

static void a_shared_body_is_held_once(void **state)
{
    (void)state;
    struct slice bytes = SLICE_LITERAL("0123456789");
    struct digest digest;
    struct answer_body *shared[100];
    digest_of(HASH_SHA256, bytes, &digest);
    struct answer_body *most = take(LIMIT - bytes.length);
    for (unsigned i = 0; i < 100; i++) {
        shared[i] = answer_body_share(bodies, &digest, bytes);
        assert_ptr_equal(shared[i], shared[0]);
    }
    assert_true(slice_equal(answer_body_bytes(shared[0]), bytes));
    for (unsigned i = 0; i < 100; i++)
        answer_body_unref(&shared[i]);
    answer_body_unref(&most);
}

static void equal_bytes_of_unknown_digest_are_held_once(void **state)
{
    (void)state;
    struct slice bytes = SLICE_LITERAL("0123456789");
    struct digest digest;
    digest_of(HASH_SHA256, bytes, &digest);
    struct answer_body *taken = take(10);
    struct answer_body *first = answer_body_share(bodies, NULL, bytes);
    struct answer_body *second = answer_body_share(bodies, NULL, bytes);
    struct answer_body *other = answer_body_share(bodies, NULL, SLICE_LITERAL("xxxxxxxxxx"));
    struct answer_body *known = answer_body_share(bodies, &digest, bytes);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_ptr_not_equal(taken, other); /* the buffer of one client alone */
    assert_ptr_not_equal(first, known);
    answer_body_unref(&taken);
    answer_body_unref(&first);
    answer_body_unref(&second);
    answer_body_unref(&other);
    answer_body_unref(&known);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bodies_fit_up_to_the_limit),
        TEST(one_body_is_taken_however_large),
        TEST(a_shared_body_is_held_once),
        TEST(equal_bytes_of_unknown_digest_are_held_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
