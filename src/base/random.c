/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers from the kernel. Nothing is kept between calls, so a fork cannot repeat them. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"

int random_bytes(void *out, size_t length, struct error *err)
{
    char *next = out;

    while (length) {
        ssize_t got = getrandom(next, length, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(err, ERR_IO, "the kernel gives no random bytes");
        next += got;
        length -= (size_t)got;
    }
    return 0;
}

uint32_t random_below(uint32_t limit)
{
    uint32_t number;

    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
        number = (uint32_t)(clock_mono_us() * 2654435761u);
    return (uint32_t)((uint64_t)number * limit >> 32);
}
