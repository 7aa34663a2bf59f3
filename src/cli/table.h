/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command prints: on a terminal a table with a head and sizes for people; elsewhere one line
 * an entry, separated by tabs, with sizes in bytes, for other programs.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define TABLE_COLUMNS_MAX 6

struct table;

/* The heads of the columns, NULL-terminated; borrowed. */
struct table *table_new(const char *const *heads);
/* Prints it and frees it. */
void table_print(struct table **table);
/* The next field of the row; the row ends with its last column. */
void table_text(struct table *table, struct slice text);
void table_size(struct table *table, uint64_t bytes);
void table_number(struct table *table, uint64_t number);

/* "12.3 MiB". */
#define TABLE_SIZE_TEXT 32
const char *table_size_text(uint64_t bytes, char out[TABLE_SIZE_TEXT]);
/* Is standard output a terminal? */
bool table_is_terminal(void);

#endif
