/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list: the link is a member of what is listed. The head is a link too. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The struct that `link` is the member `member` of. The arguments are names, not expressions. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Removing the current item inside the loop is allowed; removing the next one is not. */
#define LIST_EACH(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

/* Of a head: empty. Of a link: in no list. */
void list_init(struct list *head);
/* Of a link: whether it is in no list. */
bool list_is_empty(const struct list *head);
/* At the end. */
void list_append(struct list *head, struct list *link);
/* Takes it out and leaves the link pointing to itself, so that a second call is harmless. */
void list_remove(struct list *link);
/* Walks it: for tests and small lists. */
size_t list_length(const struct list *head);

#endif
