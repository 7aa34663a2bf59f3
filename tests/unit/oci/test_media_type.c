/* SPDX-License-Identifier: Apache-2.0 */
/* Media types: which are manifests, which layers need not be here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oci/media_type.h"

static void media_kind_of_knows_manifests_and_ignores_parameters(void **state)
{
    (void)state;

    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_OCI_MANIFEST)), MEDIA_IMAGE);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_DOCKER_MANIFEST)), MEDIA_IMAGE);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_OCI_INDEX)), MEDIA_INDEX);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_DOCKER_LIST)), MEDIA_INDEX);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_OCI_INDEX " ; charset=utf-8")), MEDIA_INDEX);
    assert_int_equal(media_kind_of(slice_of("text/html")), MEDIA_UNKNOWN);
    assert_int_equal(media_kind_of(slice_of("")), MEDIA_UNKNOWN);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_OCI_INDEX "x")), MEDIA_UNKNOWN);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_SCHEMA1_SIGNED)), MEDIA_SCHEMA1);
    assert_int_equal(media_kind_of(slice_of(MEDIA_TYPE_SCHEMA1 "; charset=utf-8")), MEDIA_SCHEMA1);
}

static void media_type_bare_cuts_parameters_and_space(void **state)
{
    (void)state;

    assert_true(slice_is(media_type_bare(slice_of("  a/b ;q=1")), "a/b"));
    assert_true(slice_is(media_type_bare(slice_of("a/b")), "a/b"));
    assert_int_equal(media_type_bare(slice_of(";x")).length, 0);
}

static void foreign_layers_are_told_from_others(void **state)
{
    (void)state;

    assert_true(media_type_is_foreign_layer(
        slice_of("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")));
    assert_true(media_type_is_foreign_layer(
        slice_of("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")));
    assert_false(
        media_type_is_foreign_layer(slice_of("application/vnd.oci.image.layer.v1.tar+gzip")));
    assert_false(media_type_is_foreign_layer(slice_of("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_kind_of_knows_manifests_and_ignores_parameters),
        cmocka_unit_test(media_type_bare_cuts_parameters_and_space),
        cmocka_unit_test(foreign_layers_are_told_from_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
