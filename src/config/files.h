/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader asks of the files that a configuration names (files.c). */
#ifndef FILES_H
#define FILES_H

struct config;
struct config_upstream;
struct node;
struct position;
struct reader;

/* Reads the files of one upstream, checks what they contain and puts it into the upstream. `path`
 * is for messages. */
void files_finish(struct reader *reader, struct config_upstream *upstream,
                  const struct position *at, const char *path);
/* Takes the contents that config_print printed: paths and texts. */
void files_read_printed(struct reader *reader, const struct node *map);
/* Gives each upstream what its files contain, as far as that is known. */
void files_link(struct config *config);
void files_clear(struct config *config);

#endif
