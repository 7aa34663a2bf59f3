/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds every file of a corpus to a fuzz target, without libFuzzer: usage: fuzz_NAME FOLDER. Each
 * input is also tried cut to every eighth of its length. Inputs lie in memory of exactly their
 * size, so that the address sanitizer sees a read beyond the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "fuzz/fuzz.h"

#define INPUT_MAX ((size_t)16 * 1024 * 1024)

static void feed(const char *bytes, size_t length)
{
    uint8_t *copy = mem_alloc(length + 1);
    uint8_t *exact = mem_realloc(copy, length > 0 ? length : 1);

    if (length > 0)
        memcpy(exact, bytes, length);
    (void)LLVMFuzzerTestOneInput(exact, length);
    mem_free(exact);
}

static int replay_file(int folder, const char *name, struct error *err)
{
    AUTO_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    uint64_t size = 0;

    if (fd < 0)
        return error_set(err, ERR_IO, "cannot open it");
    if (fd_size(fd, &size, err) != 0)
        return -(int)err->kind;
    if (size > INPUT_MAX)
        return error_set(err, ERR_TOO_LARGE, "too large");
    AUTO_FREE char *bytes = mem_alloc((size_t)size + 1);
    int rc = fd_pread_all(fd, bytes, (size_t)size, 0, err);
    for (size_t i = 0; rc == 0 && i <= 8; i++)
        feed(bytes, (size_t)size * i / 8);
    return rc;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    unsigned count = 0;
    int status = 0;

    if (!folder) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argc > 0 ? argv[0] : "fuzz");
        return 2;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        struct error err = {.kind = ERR_NONE};

        if (entry->d_name[0] == '.')
            continue;
        if (replay_file(dirfd(folder), entry->d_name, &err) != 0) {
            (void)fprintf(stderr, "%s: %s\n", entry->d_name, err.text);
            status = 1;
        }
        count++;
    }
    (void)closedir(folder);
    (void)printf("%u inputs\n", count);
    return count == 0 ? 1 : status;
}
