/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive list. Invariant: link->next->previous == link, for heads, members and removed links. */
#include "base/list.h"

void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

void list_append(struct list *head, struct list *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

size_t list_length(const struct list *head)
{
    size_t length = 0;

    for (const struct list *link = head->next; link != head; link = link->next)
        length++;
    return length;
}
