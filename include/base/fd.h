/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors. All are close-on-exec. A function that takes a descriptor over takes its address and
 * sets it to -1. */
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
/* Returns the descriptor and sets *fd to -1. */
int fd_take(int *fd);
/* A second descriptor, 3 or higher, of the same open file. ERR_BUSY if the process has none left;
 * ERR_IO. */
int fd_dup(int fd, int *out_fd, struct error *err);
/* How many descriptors this process may have. */
uint64_t fd_limit(void);
/* Clear close-on-exec, so that a child inherits the descriptor. */
int fd_set_inherited(int fd, struct error *err);

/* Write all bytes, also after EINTR and short writes. For files, not for sockets. ERR_NO_SPACE,
 * ERR_IO. */
int fd_write_all(int fd, const void *data, size_t length, struct error *err);
int fd_pwrite_all(int fd, const void *data, size_t length, uint64_t offset, struct error *err);
/* Read exactly `length` bytes. ERR_CORRUPT if the file is shorter; ERR_IO. */
int fd_pread_all(int fd, void *data, size_t length, uint64_t offset, struct error *err);
int fd_size(int fd, uint64_t *out, struct error *err);
/* Make a sealed, read-only memory file with these bytes. */
int fd_memory_file(const char *name, struct slice bytes, int *out_fd, struct error *err);

#endif
