/* SPDX-License-Identifier: Apache-2.0 */
/* The only caller of malloc and free. Invariant: malloc is never asked for zero bytes, so NULL
 * always means that there is no memory. */
#include "base/alloc.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

/* Far above anything that is held in memory: a larger size from outside is nonsense. */
#define TRY_MAX ((size_t)1 << 30)

/* glibc raises its threshold to the largest piece that was ever freed, and keeps that much for
 * ever: a burst of manifests of 4 MiB left 50 MiB in each process. Pieces in its fast bins join the
 * end of a thread's heap without a check of that threshold: a manifest of 150,000 values left 33
 * MiB. */
#define LARGE     (1 << 20)
#define KEPT_FREE (2 << 20)

void mem_init(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there are no threads yet */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    (void)mallopt(M_MXFAST, 0);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

static _Noreturn void out_of_memory(size_t size)
{
    log_say(LOG_ERROR, "out of memory, asked for %zu bytes", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);

    if (!memory)
        out_of_memory(size);
    return memory;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *memory;
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory(SIZE_MAX);
    memory = calloc(1, total ? total : 1);
    if (!memory)
        out_of_memory(total);
    return memory;
}

void *mem_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size ? size : 1);

    if (!moved)
        out_of_memory(size);
    return moved;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t length)
{
    char *copy = mem_alloc(length + 1);

    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void *mem_try_alloc(size_t size)
{
    if (size > TRY_MAX)
        return NULL;
    return malloc(size ? size : 1);
}

void mem_free(void *memory)
{
    free(memory);
}

void auto_free(void *pointer_to_pointer)
{
    void *memory;

    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    free(memory);
}

void *mem_alloc_pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        out_of_memory(size);
    return memory;
}

void mem_free_pages(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size);
}

void mem_trim(void)
{
    (void)malloc_trim(0);
}
