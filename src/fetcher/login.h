/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a login is called refused: are there newer passwords or certificates? The master is asked
 * to read the files again, once for all who want to know, and not again within a second after it
 * had nothing new.
 */
#ifndef FETCHER_LOGIN_H
#define FETCHER_LOGIN_H

#include <stdbool.h>

struct fetcher;
struct login_wait;
struct logins;

typedef void login_fn(void *arg);

struct logins *logins_new(struct fetcher *fetcher);
/* Nobody may wait any more. */
void logins_free(struct logins **logins);
/* fn comes once, never from inside this call: when the newest configuration is in use, or after two
 * seconds without an answer. upstream_heir says whether it is of help. */
struct login_wait *login_ask(struct logins *logins, login_fn *fn, void *arg);
/* Sets *wait to NULL; NULL is allowed. */
void login_cancel(struct login_wait **wait);
/* A configuration has come, and is in use. has_news: some upstream is reached in another way now.
 */
void logins_answered(struct logins *logins, bool has_news);

#endif
