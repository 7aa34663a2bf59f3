/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: always close-on-exec; a function that takes one over takes its address and sets it
 * to -1. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct slice;

void fd_close(int *fd); /* -1 is allowed */
#define AUTO_CLOSE __attribute__((cleanup(fd_close)))
/* Returns the descriptor and leaves -1. */
int fd_take(int *fd);
/* A second descriptor, 3 or higher, of the same open file. ERR_BUSY when there are none left;
 * ERR_IO. */
int fd_dup(int fd, int *out_fd, struct error *err);
/* How many this process may have open. */
uint64_t fd_limit(void);
/* Clear close-on-exec: for what a child shall inherit. */
int fd_set_inherited(int fd, struct error *err);

/* All of it, EINTR and short writes handled; ERR_NO_SPACE, ERR_IO. For files, not for sockets. */
int fd_write_all(int fd, const void *data, size_t length, struct error *err);
int fd_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, struct error *err);
/* Exactly `length` bytes; ERR_CORRUPT if the file is shorter. */
int fd_pread_all(int fd, void *data, size_t length, uint64_t offset, struct error *err);
int fd_size(int fd, uint64_t *out, struct error *err);
/* A sealed, read-only memory file with these bytes. */
int fd_memory_file(const char *name, struct slice bytes, int *out_fd, struct error *err);

#endif
