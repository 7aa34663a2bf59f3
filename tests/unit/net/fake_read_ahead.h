/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose pages are in memory when the test says so. */
#ifndef TESTS_UNIT_NET_FAKE_READ_AHEAD_H
#define TESTS_UNIT_NET_FAKE_READ_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

struct fake_disk {
    bool is_silent; /* a file system that does not tell */
    uint64_t warm;  /* in memory up to here */
    unsigned probes;
    unsigned started;
    unsigned cancelled;
    uint64_t offset; /* of what is being brought */
    uint64_t length;
    bool is_working;
};

extern struct fake_disk fake_disk;
/* What was asked for is here. */
void fake_disk_finish(void);

#endif
