/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that speak to the administrator's socket, as rows of the table call them. */
#ifndef CLIENT_H
#define CLIENT_H

struct call;

int client_status(struct call *call);
int client_list(struct call *call);
int client_usage(struct call *call);
int client_remove(struct call *call);
int client_collect(struct call *call);
int client_pin(struct call *call);
int client_unpin(struct call *call);
int client_api(struct call *call);

#endif
