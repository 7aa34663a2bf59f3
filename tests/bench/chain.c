/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain FOLDER COUNT BYTES: what a durable push costs without a server: write a file, sync it,
 * rename it, sync the folder, commit four records to LMDB. Prints p50 and p99 of the whole and the
 * CPU of one. The floor that pushes are compared with, in one run.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, rc > 0 ? mdb_strerror(rc) : strerror(errno));
        exit(1);
    }
}

static void commit(MDB_env *env, MDB_dbi table, int number)
{
    MDB_txn *txn;

    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    for (int i = 0; i < 4; i++) {
        int key[2] = {number, i};
        char record[64] = {0};
        MDB_val k = {sizeof(key), key}, v = {sizeof(record), record};

        must(mdb_put(txn, table, &k, &v, 0), "put");
    }
    must(mdb_txn_commit(txn), "commit");
}

static void store(int folder, const char *data, size_t size, int number)
{
    char from[32], to[32];
    int fd;

    snprintf(from, sizeof(from), "t%d", number);
    snprintf(to, sizeof(to), "b%d", number);
    fd = openat(folder, from, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    must(fd < 0 ? -1 : 0, "create");
    must(write(fd, data, size) == (ssize_t)size ? 0 : -1, "write");
    must(fdatasync(fd), "sync");
    close(fd);
    must(renameat(folder, from, folder, to), "rename");
    must(fsync(folder), "sync folder");
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    int folder, count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

    if (count < 1 || size < 1) {
        fprintf(stderr, "usage: chain FOLDER COUNT BYTES\n");
        return 2;
    }
    double *times = calloc((size_t)count, sizeof(double));
    char *data = calloc(1, size);

    if (!times || !data || (mkdir(argv[1], 0700) != 0 && errno != EEXIST))
        return 1;
    folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(folder < 0 ? -1 : 0, argv[1]);
    must(mdb_env_create(&env), "env");
    must(mdb_env_set_mapsize(env, 1ul << 30), "map");
    must(mdb_env_open(env, argv[1], 0, 0600), "open");
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &table), "table");
    must(mdb_txn_commit(txn), "commit");

    double cpu = cpu_ms();

    for (int i = 0; i < count; i++) {
        double start = now_ms();

        store(folder, data, size, i);
        commit(env, table, i);
        times[i] = now_ms() - start;
    }
    cpu = cpu_ms() - cpu;
    qsort(times, (size_t)count, sizeof(double), by_value);
    printf("chain: p50 %.2f ms, p99 %.2f ms, cpu %.0f us\n", times[count / 2],
           times[(int)(count * 0.99)], cpu * 1e3 / count);
    free(times);
    free(data);
    mdb_env_close(env);
    close(folder);
    return 0;
}
