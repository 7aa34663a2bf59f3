/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_read_ahead.h"

#include <stddef.h>

#include "base/check.h"
#include "read_ahead.h"

struct read_ahead {
    read_ahead_fn *fn;
    void *arg;
};

struct fake_disk fake_disk;
static struct read_ahead current;

enum read_ahead_state read_ahead_probe(int fd, uint64_t offset)
{
    (void)fd;
    fake_disk.probes++;
    if (fake_disk.is_silent)
        return READ_AHEAD_UNKNOWN;
    return offset < fake_disk.warm ? READ_AHEAD_HERE : READ_AHEAD_COLD;
}

struct read_ahead *read_ahead_start(struct pool *pool, int fd, uint64_t offset, uint64_t length,
                                    read_ahead_fn *fn, void *arg)
{
    (void)pool;
    (void)fd;
    CHECK(!fake_disk.is_working);
    fake_disk.is_working = true;
    fake_disk.started++;
    fake_disk.offset = offset;
    fake_disk.length = length;
    current = (struct read_ahead){.fn = fn, .arg = arg};
    return &current;
}

void read_ahead_cancel(struct read_ahead **ahead)
{
    if (*ahead) {
        fake_disk.cancelled++;
        fake_disk.is_working = false;
    }
    *ahead = NULL;
}

void fake_disk_finish(void)
{
    CHECK(fake_disk.is_working);
    fake_disk.is_working = false;
    fake_disk.warm = fake_disk.offset + fake_disk.length;
    current.fn(current.arg);
}
