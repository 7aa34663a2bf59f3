/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fetcher with all that it needs: virtual time, a scripted upstream, a real store and ledger in a
 * scratch folder, two workers that note the messages they get, and a small keeper that applies what
 * it is told, unless the test holds it.
 */
#ifndef TESTS_FETCHER_STAGE_H
#define TESTS_FETCHER_STAGE_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"
#include "fakes/transfer.h"
#include "ipc/message.h"
#include "oci/digest.h"

struct fetcher;

#define STAGE_WORKERS 2

/* What a worker was told about one request. */
struct seen {
    uint64_t request;
    unsigned opens, grews, takens, verifieds, heres, faileds, answers;
    uint64_t size;
    uint64_t bytes;      /* of the last message that says it */
    uint64_t same_until; /* of TAKEN */
    bool is_strict;
    int fd; /* of OPEN or TAKEN */
    enum error_kind failure;
    char text[300]; /* of FAILED; the warning of ANSWER */
    uint64_t retry_after;
    uint64_t state;
    struct digest digest;
    char body[4096]; /* its beginning */
    struct digest body_digest;
    size_t body_length;
    uint64_t body_size;
    char link[300];
};

/* `yaml` is put below "upstreams:"; NULL: docker.io at https://hub.test. */
void stage_open(const char *yaml);
void stage_close(void);
/* The fetcher dies and a new one comes; workers and keeper get new channels. */
void stage_restart_fetcher(void);
void stage_stop_fetcher(void);
void stage_start_fetcher(bool with_keeper);
struct fetcher *stage_fetcher(void);
void stage_kill_worker(unsigned worker);
/* A second process of the slot starts. The first one keeps its channel until stage_end_predecessor.
 */
void stage_succeed_worker(unsigned worker);
void stage_end_predecessor(unsigned worker);
void stage_replace_keeper(void);
bool stage_was_repeated(void); /* was the last BLOB_STORED marked as repeated? */
bool stage_is_drained(uint64_t unused);
/* How often the master was asked for newer passwords; it answers that there are none. */
unsigned stage_questions(void);

/* Send a JOIN from worker 0 or 1; returns its number. */
uint64_t stage_join(unsigned worker, enum join_kind kind, const char *repository,
                    const char *reference, const struct digest *digest, uint64_t size);
/* The upstream that the next JOINs name; docker.io at first. */
void stage_use_origin(const char *origin);
/* A JOIN for a blob or manifest that the repository itself must have. */
uint64_t stage_join_own(unsigned worker, enum join_kind kind, const char *repository,
                        const struct digest *digest);
void stage_leave(unsigned worker, uint64_t request);
/* Never NULL: zeroed when nothing has come yet. */
struct seen *stage_seen(uint64_t request);

/* Turn the loop until the condition holds; fails the test after many turns. */
void stage_until(bool (*holds)(uint64_t number), uint64_t number);
bool stage_is_over(uint64_t request); /* VERIFIED, HERE, FAILED or ANSWER */
bool stage_is_verified(uint64_t request);
bool stage_is_open(uint64_t request);
bool stage_has_commits(uint64_t count);
bool stage_has_taken(uint64_t request);
/* Let virtual time pass. */
void stage_pass(uint64_t ms);

void stage_hold_keeper(bool is_held);            /* held: it answers only BARRIER */
uint64_t stage_commits(void);                    /* number of requests applied */
unsigned stage_messages(enum message_type type); /* number of them that the keeper got */

/* Content that depends on a number only. Borrowed until the next stage_open. */
struct slice stage_bytes(unsigned number, size_t length);
struct digest stage_digest(struct slice bytes);
/* Damage the stored file of that digest (sha256): give it another size. */
void stage_damage(const struct digest *digest, uint64_t size);
/* The open file has exactly these bytes. */
void stage_assert_file(int fd, struct slice bytes);
/* An image manifest without layers. */
struct slice stage_manifest(void);
#define STAGE_MANIFEST_TYPE "Content-Type: " MEDIA_TYPE_OCI_MANIFEST "\r\n"

#endif
