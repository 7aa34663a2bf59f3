/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory. Small, fixed allocations cannot fail: they abort, and the role is restarted. What has its
 * size from outside uses mem_try_alloc and answers an error. The AUTO_ macros free a local when it
 * leaves its scope; TAKE hands it over first.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Once, when a process begins: what is large goes back to the system when it is freed. */
void mem_init(void);
/* Uninitialized. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed; count * size is checked. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* NULL memory is allowed; the contents are kept as far as they fit. */
void *mem_realloc(void *memory, size_t size) __attribute__((returns_nonnull));
/* A copy that the caller frees. */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
/* A NUL-terminated copy of length bytes. */
char *mem_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
/* NULL when there is none. */
void *mem_try_alloc(size_t size) __attribute__((malloc));
/* NULL is allowed. */
void mem_free(void *memory);
/* Free memory between what is held goes back to the system: after tens of MiB of small pieces.
 * Takes milliseconds; not on a loop. */
void mem_trim(void);

#define NEW(type) ((type *)mem_zalloc(1, sizeof(type)))

/* What AUTO_FREE calls: frees what the variable points to. */
void auto_free(void *pointer_to_pointer);
#define AUTO_FREE __attribute__((cleanup(auto_free)))

#define TAKE(variable)                                                                             \
    __extension__({                                                                                \
        __typeof__(variable) taken = (variable);                                                   \
        (variable) = NULL;                                                                         \
        taken;                                                                                     \
    })

#endif
