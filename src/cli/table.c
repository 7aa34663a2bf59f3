/* SPDX-License-Identifier: Apache-2.0 */
/* The whole table is kept until it is printed: columns are as wide as their longest field. */
#include "table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define TEXT_MAX ((size_t)1 << 30)

struct table {
    const char *const *heads;
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX];
    size_t at; /* the next field's column */
    bool is_terminal;
    struct buf fields; /* each ended by a zero byte */
};

bool table_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

struct table *table_new(const char *const *heads)
{
    struct table *table = NEW(struct table);

    table->heads = heads;
    table->is_terminal = table_is_terminal();
    buf_init(&table->fields, TEXT_MAX);
    while (table->columns < TABLE_COLUMNS_MAX && heads[table->columns]) {
        table->widths[table->columns] = strlen(heads[table->columns]);
        table->columns++;
    }
    return table;
}

void table_text(struct table *table, struct slice text)
{
    if (text.length > table->widths[table->at])
        table->widths[table->at] = text.length;
    buf_append_slice(&table->fields, text);
    buf_append_byte(&table->fields, '\0');
    table->at = (table->at + 1) % table->columns;
}

const char *table_size_text(uint64_t bytes, char out[TABLE_SIZE_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double shown = (double)bytes;
    size_t unit = 0;

    while (shown >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        shown /= 1024;
        unit++;
    }
    (void)snprintf(out, TABLE_SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", shown, units[unit]);
    return out;
}

void table_size(struct table *table, uint64_t bytes)
{
    char text[TABLE_SIZE_TEXT];

    if (table->is_terminal)
        table_text(table, slice_of(table_size_text(bytes, text)));
    else
        table_number(table, bytes);
}

void table_number(struct table *table, uint64_t number)
{
    char text[TABLE_SIZE_TEXT];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    table_text(table, slice_of(text));
}

static void print_field(const struct table *table, size_t column, const char *text)
{
    bool is_last = column + 1 == table->columns;

    if (!table->is_terminal)
        (void)printf("%s%s", text, is_last ? "\n" : "\t");
    else if (is_last)
        (void)printf("%s\n", text);
    else
        (void)printf("%-*s  ", (int)table->widths[column], text);
}

void table_print(struct table **table)
{
    struct table *gone = TAKE(*table);
    struct slice rest = buf_bytes(&gone->fields);
    struct slice field;

    for (size_t i = 0; gone->is_terminal && rest.length > 0 && i < gone->columns; i++)
        print_field(gone, i, gone->heads[i]);
    for (size_t column = 0; rest.length > 0; column = (column + 1) % gone->columns) {
        (void)slice_split(&rest, '\0', &field);
        print_field(gone, column, field.data); /* its zero byte is behind it */
    }
    buf_cleanup(&gone->fields);
    mem_free(gone);
}
