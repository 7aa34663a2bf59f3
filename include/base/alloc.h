/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory. Small allocations of a fixed size cannot fail: they abort, and the process is restarted.
 * Where the size comes from outside, mem_try_alloc is used and its failure answered with an error.
 * AUTO_FREE frees a local variable when it leaves its scope; TAKE hands it over before that.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Call once when the process begins. From then on large pieces go back to the system when they are
 * freed. */
void mem_init(void);
/* Uninitialized. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed; count * size is checked. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* `memory` may be NULL. The contents are kept as far as they fit. */
void *mem_realloc(void *memory, size_t size) __attribute__((returns_nonnull));
/* A copy that the caller frees. */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
/* A NUL-terminated copy of length bytes. */
char *mem_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
/* NULL if there is no memory, or `size` is over 1 GiB. */
void *mem_try_alloc(size_t size) __attribute__((malloc));
/* NULL is allowed. */
void mem_free(void *memory);
/* Whole pages that go back to the system when they are freed, wherever they are; zeroed. It is a
 * system call each time. */
void *mem_alloc_pages(size_t size) __attribute__((returns_nonnull));
/* `size` as it was allocated. NULL is allowed. */
void mem_free_pages(void *memory, size_t size);
/* Give free memory between pieces in use back to the system, after tens of MiB of small pieces were
 * freed. It takes milliseconds: do not call it on a loop. */
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
