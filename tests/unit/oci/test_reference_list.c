/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"

static void fill(struct descriptor *out)
{
    out[0] = (struct descriptor){.role = DESCRIPTOR_CONFIG, .size = 1};
    out[1] = (struct descriptor){.role = DESCRIPTOR_LAYER, .size = UINT64_MAX, .is_foreign = true};
    out[2] = (struct descriptor){.role = DESCRIPTOR_CHILD, .size = 0};
    digest_of(HASH_SHA256, slice_of("a"), &out[0].digest);
    digest_of(HASH_SHA512, slice_of("b"), &out[1].digest);
    digest_of(HASH_SHA256, slice_of("c"), &out[2].digest);
}

static void reference_list_next_reads_back_what_was_encoded(void **state)
{
    struct descriptor descriptors[3];
    struct manifest manifest = {.descriptors = descriptors, .descriptor_count = 3};
    struct reference reference;
    AUTO_BUF struct buf out;

    (void)state;

    fill(descriptors);
    buf_init(&out, 1000);
    reference_list_encode(&manifest, &out);
    struct slice list = buf_bytes(&out);
    for (size_t i = 0; i < 3; i++) {
        assert_true(reference_list_next(&list, &reference));
        assert_int_equal(reference.role, descriptors[i].role);
        assert_int_equal(reference.is_foreign, descriptors[i].is_foreign);
        assert_true(reference.size == descriptors[i].size);
        assert_true(digest_equal(&reference.digest, &descriptors[i].digest));
    }
    assert_false(reference_list_next(&list, &reference));
}

static void reference_list_next_stops_at_what_is_malformed(void **state)
{
    struct descriptor descriptors[3];
    struct manifest manifest = {.descriptors = descriptors, .descriptor_count = 1};
    struct reference reference;
    AUTO_BUF struct buf out;

    (void)state;

    fill(descriptors);
    buf_init(&out, 1000);
    reference_list_encode(&manifest, &out);
    for (size_t length = 0; length < out.length; length++) {
        struct slice list = slice_from(out.data, length);

        assert_false(reference_list_next(&list, &reference));
        assert_int_equal(list.length, length);
    }
    out.data[0] = 3; /* no role */
    struct slice list = buf_bytes(&out);
    assert_false(reference_list_next(&list, &reference));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_list_next_reads_back_what_was_encoded),
        cmocka_unit_test(reference_list_next_stops_at_what_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
