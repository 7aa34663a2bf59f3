/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed for people, docs/configuration.md and conf/entrepot.yaml, is the committed file.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

static void expect_file(const char *path, struct buf *expected, const char *topic)
{
    struct error err;
    uint64_t size = 0;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fd_size(fd, &size, &err), 0);
    AUTO_FREE char *text = mem_zalloc((size_t)size + 1, 1);
    assert_int_equal(fd_pread_all(fd, text, (size_t)size, 0, &err), 0);
    if (!slice_is(buf_bytes(expected), text))
        fail_msg("%s is not up to date: entrepot help %s > %s", path, topic, path);
}

static void the_manual_is_up_to_date(void **state)
{
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, 1u << 20);
    config_print_manual(&text);
    expect_file(SOURCE_DIR "/docs/configuration.md", &text, "settings");
}

static void the_example_is_up_to_date(void **state)
{
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, 1u << 20);
    config_print_example(&text);
    expect_file(SOURCE_DIR "/conf/entrepot.yaml", &text, "example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_is_up_to_date),
        cmocka_unit_test(the_example_is_up_to_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
