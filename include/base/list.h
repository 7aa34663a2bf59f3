/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists: the link is a member of the listed struct. The head is a link too.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The struct of which `link` is the member `member`. The arguments are names, not expressions. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Removing the current item inside the loop is allowed; removing the next one is not. */
#define LIST_EACH(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

/* An empty list, or a link that is in no list. */
void list_init(struct list *head);
/* Is the list empty? For a link: is it in no list? */
bool list_is_empty(const struct list *head);
/* Insert before `head`, which is the end of the list. */
void list_append(struct list *head, struct list *link);
/* Take the link out of its list. A second call is harmless. */
void list_remove(struct list *link);
/* Counts by walking the list: for tests and short lists. */
size_t list_length(const struct list *head);

#endif
