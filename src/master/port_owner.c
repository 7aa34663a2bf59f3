/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's tables of sockets have the inode of each; the process that has a descriptor of that
 * inode is the owner. */
#include "port_owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

#define INODES_MAX      16
#define LINES_MAX       100000 /* of a table */
#define DESCRIPTORS_MAX 200000 /* that are looked at in all */

/* What listens on a port, or on a path. */
struct sockets {
    uint64_t inodes[INODES_MAX];
    size_t count;
};

/* ---- tables of sockets ---- */

/* The address as /proc/net/tcp writes it: words of 32 bits, in hexadecimal, as the machine has
 * them. Empty: it is no number. */
static void print_hex_address(struct slice host, char out[33])
{
    char text[INET6_ADDRSTRLEN] = "";
    uint32_t words[4] = {0};
    bool is_v6 = host.length >= 2 && host.data[0] == '[';

    out[0] = '\0';
    if (is_v6)
        host = slice_from(host.data + 1, host.length - 2);
    if (host.length >= sizeof(text))
        return;
    memcpy(text, host.data, host.length);
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, words) != 1)
        return;
    for (size_t i = 0; i < (is_v6 ? 4U : 1U); i++)
        (void)snprintf(out + 8 * i, 9, "%08" PRIX32, words[i]);
}

static bool is_any(struct slice hex)
{
    for (size_t i = 0; i < hex.length; i++) {
        if (hex.data[i] != '0')
            return false;
    }
    return hex.length > 0;
}

/* Takes the next word of a line. */
static struct slice take_word(struct slice *line)
{
    struct slice word = {NULL, 0};

    while (word.length == 0 && slice_split(line, ' ', &word))
        continue;
    return word;
}

/* Takes `count` words, and returns the last of them. */
static struct slice take_words(struct slice *line, unsigned count)
{
    struct slice word = {NULL, 0};

    for (unsigned i = 0; i < count; i++)
        word = take_word(line);
    return word;
}

static void add_inode(struct sockets *sockets, struct slice text)
{
    uint64_t inode = 0;
    struct error ignored;

    if (text_parse_u64(text, &inode, &ignored) == 0 && inode != 0 && sockets->count < INODES_MAX)
        sockets->inodes[sockets->count++] = inode;
}

/* A line is "NUMBER: ADDRESS:PORT REMOTE:PORT STATE QUEUES TIMER RETRANSMITS UID TIMEOUT INODE …";
 * state 0A is LISTEN. */
static void read_tcp_line(struct slice line, unsigned port, const char *wanted,
                          struct sockets *sockets)
{
    struct slice local = take_words(&line, 2);
    struct slice state = take_words(&line, 2);
    struct slice inode = take_words(&line, 6);
    ptrdiff_t colon = slice_find_last(local, ':');
    char hex[8];

    (void)snprintf(hex, sizeof(hex), "%04X", port & 0xffffU);
    if (colon < 0 || !slice_is(state, "0A") || !slice_is(slice_skip(local, (size_t)colon + 1), hex))
        return;
    local.length = (size_t)colon;
    if (wanted[0] == '\0' || is_any(slice_of(wanted)) || is_any(local) || slice_is(local, wanted))
        add_inode(sockets, inode);
}

/* A line is "NUM: REFERENCES PROTOCOL FLAGS TYPE STATE INODE PATH". */
static void read_unix_line(struct slice line, const char *path, struct sockets *sockets)
{
    struct slice inode = take_words(&line, 7);

    if (slice_is(slice_trim(line), path))
        add_inode(sockets, inode);
}

/* `port` is 0 for the table of unix sockets; then `wanted` is a path. */
static void read_table(const char *file, unsigned port, const char *wanted, struct sockets *sockets)
{
    char line[512];
    FILE *table = fopen(file, "re");

    for (int i = 0; table && i < LINES_MAX && fgets(line, sizeof(line), table); i++) {
        line[strcspn(line, "\n")] = '\0';
        if (port != 0)
            read_tcp_line(slice_of(line), port, wanted, sockets);
        else
            read_unix_line(slice_of(line), wanted, sockets);
    }
    if (table)
        (void)fclose(table);
}

static void find_sockets(struct slice address, struct sockets *sockets)
{
    ptrdiff_t colon = slice_find_last(address, ':');
    uint64_t port = 0;
    char path[128] = "";
    char hex[33] = "";
    struct error ignored;

    if (slice_starts_with(address, "unix:")) {
        (void)snprintf(path, sizeof(path), "%.*s", SLICE_PRINT(slice_skip(address, 5)));
        if (path[0] != '\0')
            read_table("/proc/net/unix", 0, path, sockets);
        return;
    }
    if (colon < 0 || text_parse_u64(slice_skip(address, (size_t)colon + 1), &port, &ignored) != 0 ||
        port == 0 || port > UINT16_MAX)
        return;
    print_hex_address(slice_from(address.data, (size_t)colon), hex);
    read_table("/proc/net/tcp", (unsigned)port, hex, sockets);
    read_table("/proc/net/tcp6", (unsigned)port, hex, sockets);
}

/* ---- descriptors of processes ---- */

static bool has_socket(const struct sockets *sockets, const char *link)
{
    for (size_t i = 0; i < sockets->count; i++) {
        char text[40];

        (void)snprintf(text, sizeof(text), "socket:[%" PRIu64 "]", sockets->inodes[i]);
        if (strcmp(link, text) == 0)
            return true;
    }
    return false;
}

/* Does a process, by its folder under /proc, have one of the sockets? */
static bool is_owner(int process_fd, const struct sockets *sockets, unsigned *looked)
{
    int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry = NULL;
    bool is = false;

    if (!entries) {
        fd_close(&fd);
        return false;
    }
    while (!is && *looked < DESCRIPTORS_MAX &&
           (entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe) */
        char link[64];
        ssize_t length = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

        ++*looked;
        if (length <= 0)
            continue;
        link[length] = '\0';
        is = has_socket(sockets, link);
    }
    (void)closedir(entries);
    return is;
}

static void read_name(int process_fd, char out[17])
{
    AUTO_CLOSE int fd = openat(process_fd, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, out, 16);

    out[length < 0 ? 0 : length] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

bool port_owner_find(struct slice address, struct port_owner *out)
{
    struct sockets sockets = {.count = 0};
    unsigned looked = 0;
    const struct dirent *entry = NULL;
    bool is_found = false;

    find_sockets(address, &sockets);
    DIR *processes = sockets.count > 0 ? opendir("/proc") : NULL;
    while (processes && !is_found &&
           (entry = readdir(processes))) { /* NOLINT(concurrency-mt-unsafe) */
        uint64_t pid = 0;
        struct error ignored;

        if (text_parse_u64(slice_of(entry->d_name), &pid, &ignored) != 0)
            continue;
        AUTO_CLOSE int fd =
            openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        is_found = fd >= 0 && is_owner(fd, &sockets, &looked);
        if (is_found) {
            out->pid = (pid_t)pid;
            read_name(fd, out->name);
        }
    }
    if (processes)
        (void)closedir(processes);
    return is_found;
}
