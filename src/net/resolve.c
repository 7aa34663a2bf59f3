/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver and its cache. A host is one name; it is settled while its result is recent enough.
 *
 *              ask               a thread                answer or failure
 *   expired ---------> queued ------------> queried ------------------------> settled for 30 s or 5
 * s |                  |   |                             |
 *                         +------ 1.8 s -----+   +-- 3 s --> hanging           +--> ask: the
 * result, |                          |                    after this turn late +--> another query
 * may start
 *                                   |
 *                                   +--> waits and asks get the old answer; the query goes on
 *
 * Invariants: a host with waits has a query queued or running, or a deferred call to
 * on_host_settled. Hosts are queued only while QUERIES_MAX queries run that do not hang, or
 * THREADS_MAX in all; so each query that was submitted has a thread at once.
 */
#include "net/resolve.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/detached.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "net/loop.h"
#include "resolve_query.h"

#define QUERIES_MAX     8  /* that run at a time, not counting those that hang */
#define THREADS_MAX     64 /* in all */
#define HOSTS_MAX       1024
#define NAME_LENGTH_MAX 255
#define FRESH_MS        30000    /* how long an answer is used without a new query */
#define FAILED_MS       5000     /* the same for a failure, or a name that does not exist */
#define USABLE_MS       86400000 /* how long an answer is used when a new query fails */
#define PATIENCE_MS     1800     /* for a new answer while an old one is usable (RFC 8767 5) */
#define SLOW_MS         2000     /* a query that took longer is logged */
#define HANG_MS         3000     /* a query that runs longer hangs: it holds up no other name */

struct host {
    struct list link; /* in the resolver's list, the least recently used first */
    struct resolver *resolver;
    char *name; /* in lower case */
    struct list waits;
    struct list queued;       /* in the resolver's queue: a query is due, but may not run yet */
    struct name_query *query; /* running; NULL: none */
    struct monotime asked_at; /* when it began to run */
    struct timer *patience;   /* runs while an old answer is held back */
    bool is_late;             /* the query under way takes too long: do not wait for it */
    struct timer *hang;
    bool is_hanging; /* the query runs for HANG_MS or longer */
    struct resolved_name *answer;
    struct monotime answered_at;
    struct error err; /* of the last query; ERR_NONE: it succeeded */
    struct monotime settled_until;
};

struct name_wait {
    struct list link; /* in the host's waits, or the resolver's refused */
    struct resolver *resolver;
    name_fn *fn;
    void *arg;
    struct error err; /* of a refused wait */
};

struct resolver {
    struct loop *loop;
    struct detached *threads;
    struct watch *watch;
    struct map *by_name;
    struct list hosts;
    struct list queue;   /* hosts whose query may not run yet, the first to ask first */
    unsigned running;    /* queries that have a thread */
    unsigned hanging;    /* of those, the ones that hang */
    struct list refused; /* waits without a host; they fail after the turn */
};

/* ---- hosts ---- */

static void host_free(struct host *host)
{
    struct resolver *resolver = host->resolver;

    CHECK(list_is_empty(&host->waits));
    loop_cancel_deferred(resolver->loop, host);
    map_remove(resolver->by_name, slice_of(host->name));
    list_remove(&host->link);
    list_remove(&host->queued);
    timer_free(&host->patience);
    timer_free(&host->hang);
    mem_free(host->answer);
    mem_free(host->name);
    mem_free(host);
}

static bool has_usable_answer(const struct host *host)
{
    return host->answer && monotime_since(clock_mono(), host->answered_at) < USABLE_MS;
}

/* Queued or running. */
static bool is_under_way(const struct host *host)
{
    return host->query || !list_is_empty(&host->queued);
}

static bool is_settled(const struct host *host)
{
    return !is_under_way(host) && clock_mono().ms < host->settled_until.ms;
}

/* A callback may cancel other waits, and may ask for another name, which can evict this host. So
 * the waits are moved to a list of our own, and the result is copied. */
static void tell_waits(struct host *host)
{
    bool is_known = has_usable_answer(host);
    struct resolved_name answer;
    struct error err = host->err;
    struct list waits;

    if (!is_known && is_under_way(host)) /* there is no result yet */
        return;
    if (is_known)
        answer = *host->answer;
    list_init(&waits);
    LIST_EACH (link, &host->waits) {
        list_remove(link);
        list_append(&waits, link);
    }
    while (!list_is_empty(&waits)) {
        struct name_wait *wait = LIST_ITEM(waits.next, struct name_wait, link);
        name_fn *fn = wait->fn;
        void *arg = wait->arg;

        list_remove(&wait->link);
        mem_free(wait);
        fn(is_known ? &answer : NULL, is_known ? NULL : &err, arg);
    }
}

static void on_host_settled(void *arg)
{
    tell_waits(arg);
}

static void on_host_late(void *arg)
{
    struct host *host = arg;

    host->is_late = true;
    tell_waits(host);
}

/* ---- queries ---- */

static void log_query(const struct host *host, uint64_t took_ms)
{
    struct log_line line;

    log_begin(&line, LOG_WARN);
    log_text(&line, "host", host->name);
    log_u64(&line, "took_ms", took_ms);
    if (host->err.kind == ERR_NONE) {
        log_end(&line, "the name server is slow");
    } else if (has_usable_answer(host)) {
        log_u64(&line, "age_ms", monotime_since(clock_mono(), host->answered_at));
        log_end(&line, "%s; using the last known addresses", host->err.text);
    } else {
        log_end(&line, "%s", host->err.text);
    }
}

static void host_set_answer(struct host *host, const struct resolved_name *answer)
{
    if (!host->answer)
        host->answer = NEW(struct resolved_name);
    *host->answer = *answer;
    host->answered_at = clock_mono();
    host->err.kind = ERR_NONE;
}

static void log_hanging(const struct host *host)
{
    struct log_line line;

    log_begin(&line, LOG_WARN);
    log_text(&line, "host", host->name);
    log_u64(&line, "took_ms", monotime_since(clock_mono(), host->asked_at));
    log_u64(&line, "hanging", host->resolver->hanging);
    log_u64(&line, "queued", list_length(&host->resolver->queue));
    if (host->resolver->running < THREADS_MAX)
        log_end(&line, "the lookup of this name hangs; other names do not wait for it");
    else
        log_end(&line, "the lookup of this name hangs; no more than %d are run", THREADS_MAX);
}

static void start_queued(struct resolver *resolver);

static void on_query_hangs(void *arg)
{
    struct host *host = arg;

    host->is_hanging = true;
    host->resolver->hanging++;
    log_hanging(host);
    start_queued(host->resolver);
}

static void free_thread(struct host *host)
{
    struct resolver *resolver = host->resolver;

    host->query = NULL;
    resolver->running--;
    resolver->hanging -= host->is_hanging ? 1 : 0;
    host->is_hanging = false;
    timer_stop(host->hang);
}

static void on_query_done(struct detached_call *call)
{
    struct name_query *query = (struct name_query *)(void *)call;
    struct host *host = query->owner;
    struct resolver *resolver = host->resolver;
    uint64_t took_ms = monotime_since(clock_mono(), host->asked_at);
    int rc = name_query_judge(query, &host->err);

    free_thread(host);
    host->is_late = false;
    timer_stop(host->patience);
    if (rc == 0) {
        host_set_answer(host, &query->result);
    } else if (rc == -ERR_NOT_FOUND) { /* the name server says so: the old answer is wrong */
        mem_free(TAKE(host->answer));
    }
    host->settled_until = monotime_add(clock_mono(), rc == 0 ? FRESH_MS : FAILED_MS);
    if (rc != 0 || took_ms >= SLOW_MS)
        log_query(host, took_ms);
    name_query_free(&query);
    start_queued(resolver);
    tell_waits(host); /* last: a callback may ask for names, and evict this host */
}

static void host_start_query(struct host *host)
{
    struct resolver *resolver = host->resolver;
    struct name_query *query = name_query_new(slice_of(host->name), on_query_done, host);

    host->asked_at = clock_mono();
    if (detached_submit(resolver->threads, &query->call, &host->err) != 0) {
        timer_stop(host->patience);
        host->is_late = false;
        host->settled_until = monotime_add(clock_mono(), FAILED_MS);
        log_query(host, 0);
        name_query_free(&query);
        loop_defer(resolver->loop, on_host_settled, host);
        return;
    }
    host->query = query;
    resolver->running++;
    timer_start(host->hang, HANG_MS);
}

static void start_queued(struct resolver *resolver)
{
    while (!list_is_empty(&resolver->queue) && resolver->running < THREADS_MAX &&
           resolver->running - resolver->hanging < QUERIES_MAX) {
        struct host *host = LIST_ITEM(resolver->queue.next, struct host, queued);

        list_remove(&host->queued);
        host_start_query(host);
    }
}

static void host_queue_query(struct host *host)
{
    list_append(&host->resolver->queue, &host->queued);
    if (has_usable_answer(host))
        timer_start(host->patience, PATIENCE_MS);
    start_queued(host->resolver);
}

static void on_threads_ready(unsigned ready, void *arg)
{
    struct resolver *resolver = arg;

    (void)ready;
    detached_run_done(resolver->threads);
}

/* ---- asking ---- */

static bool is_below_localhost(struct slice host)
{
    static const char localhost[] = ".localhost";
    size_t length = sizeof(localhost) - 1;

    return host.length > length &&
           slice_is_nocase(slice_skip(host, host.length - length), localhost);
}

bool resolve_is_needed(struct slice host)
{
    char text[64];
    struct in_addr v4;
    struct in6_addr v6;

    if (slice_is_nocase(host, "localhost") || is_below_localhost(host))
        return false;
    if (host.length >= sizeof(text))
        return true;
    memcpy(text, host.data, host.length);
    text[host.length] = '\0';
    return inet_aton(text, &v4) == 0 && inet_pton(AF_INET6, text, &v6) != 1;
}

/* Makes room for one more host; false when all are being looked up. */
static bool evict_host(struct resolver *resolver)
{
    if (map_count(resolver->by_name) < HOSTS_MAX)
        return true;
    LIST_EACH (link, &resolver->hosts) {
        struct host *host = LIST_ITEM(link, struct host, link);

        if (!is_under_way(host) && list_is_empty(&host->waits)) {
            host_free(host);
            return true;
        }
    }
    return false;
}

static struct host *host_new(struct resolver *resolver, const char *name)
{
    struct host *host = NEW(struct host);

    host->resolver = resolver;
    host->name = mem_strdup(name);
    host->patience = timer_new(resolver->loop, on_host_late, host);
    host->hang = timer_new(resolver->loop, on_query_hangs, host);
    list_init(&host->queued);
    list_init(&host->waits);
    list_append(&resolver->hosts, &host->link);
    map_set(resolver->by_name, slice_of(name), host);
    return host;
}

static char to_lower(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte | 0x20);
    return byte;
}

static struct host *find_host(struct resolver *resolver, struct slice text, struct error *err)
{
    char name[NAME_LENGTH_MAX + 1];

    if (text.length == 0 || text.length > NAME_LENGTH_MAX || memchr(text.data, '\0', text.length)) {
        error_set(err, ERR_NOT_FOUND, "a host name has 1 to %d bytes", NAME_LENGTH_MAX);
        return NULL;
    }
    for (size_t i = 0; i < text.length; i++)
        name[i] = to_lower(text.data[i]);
    name[text.length] = '\0';
    struct host *host = map_find(resolver->by_name, slice_of(name));
    if (!host && !evict_host(resolver)) {
        error_set(err, ERR_BUSY, "%d names are being looked up", HOSTS_MAX);
        return NULL;
    }
    return host ? host : host_new(resolver, name);
}

static void on_refused(void *arg)
{
    struct name_wait *wait = arg;
    struct error err = wait->err;
    name_fn *fn = wait->fn;
    void *fn_arg = wait->arg;

    list_remove(&wait->link);
    mem_free(wait);
    fn(NULL, &err, fn_arg);
}

struct name_wait *resolver_ask(struct resolver *resolver, struct slice name, name_fn *fn, void *arg)
{
    struct name_wait *wait = NEW(struct name_wait);
    struct host *host = find_host(resolver, name, &wait->err);

    wait->resolver = resolver;
    wait->fn = fn;
    wait->arg = arg;
    list_init(&wait->link);
    if (!host) {
        list_append(&resolver->refused, &wait->link);
        loop_defer(resolver->loop, on_refused, wait);
        return wait;
    }
    list_append(&host->waits, &wait->link);
    list_remove(&host->link);
    list_append(&resolver->hosts, &host->link);
    if (!is_under_way(host) && !is_settled(host))
        host_queue_query(host);
    if (!is_under_way(host) || host->is_late)
        loop_defer(resolver->loop, on_host_settled, host);
    return wait;
}

void resolver_cancel(struct name_wait **wait)
{
    struct name_wait *gone = TAKE(*wait);

    if (!gone)
        return;
    loop_cancel_deferred(gone->resolver->loop, gone);
    list_remove(&gone->link);
    mem_free(gone);
}

/* ---- life ---- */

struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *resolver = NEW(struct resolver);

    resolver->loop = loop;
    resolver->threads = detached_new(THREADS_MAX);
    resolver->watch =
        watch_new(loop, detached_descriptor(resolver->threads), on_threads_ready, resolver);
    watch_set(resolver->watch, WATCH_READ);
    resolver->by_name = map_new();
    list_init(&resolver->hosts);
    list_init(&resolver->queue);
    list_init(&resolver->refused);
    return resolver;
}

static void cancel_all(struct list *waits)
{
    while (!list_is_empty(waits)) {
        struct name_wait *wait = LIST_ITEM(waits->next, struct name_wait, link);

        resolver_cancel(&wait);
    }
}

void resolver_free(struct resolver **resolver)
{
    struct resolver *gone = TAKE(*resolver);

    if (!gone)
        return;
    watch_free(&gone->watch);
    detached_free(&gone->threads);
    cancel_all(&gone->refused);
    LIST_EACH (link, &gone->hosts) {
        struct host *host = LIST_ITEM(link, struct host, link);

        cancel_all(&host->waits);
        host_free(host);
    }
    map_free(&gone->by_name);
    mem_free(gone);
}
