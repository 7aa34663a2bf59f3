/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill FOLDER blobs COUNT BYTES: a data folder with so many blobs that nobody needs, each a file.
 * fill FOLDER images COUNT LAYERS: so many images in repositories of 100, each with so many layers
 * of its repository, and all of them waiting to go. They have no files.
 *
 * What the server does with them is measured by space.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "oci/manifest.h"
#include "oci/reference_list.h"
#include "store/ledger.h"
#include "store/store.h"

#define OF_REPOSITORY 100u
#define OF_COMMIT     20000u

static struct ledger *ledger;
static struct ledger_txn *txn;
static struct error err;

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "fill: %s\n", err.text);
    exit(1);
}

/* The map may be full: then it is doubled, and the same is done again by the caller's next part. */
static void commit_some(unsigned done)
{
    if (done % OF_COMMIT != 0)
        return;
    must(ledger_commit(&txn, &err));
    must(ledger_write(ledger, &txn, &err));
}

static void put_blob(const struct digest *digest, uint64_t size, uint64_t kept_since_ms)
{
    struct blob_record blob = {.size = size,
                               .kept_since_ms = kept_since_ms,
                               .stored_ms = clock_wall().ms,
                               .where = BLOB_HERE};

    blob_put(txn, digest, &blob);
}

static void write_blob(struct store *store, const char *data, size_t size, struct digest *out)
{
    struct store_file file = {.place = PLACE_UPLOADS, .name = "t-fill", .size = size};
    int fd = -1;

    digest_of(HASH_SHA256, slice_from(data, size), out);
    must(store_file_create(store, file.place, file.name, &fd, &err));
    must(write(fd, data, size) == (ssize_t)size ? 0 : error_set(&err, ERR_IO, "short write"));
    must(store_file_inode(fd, &file.inode, &err));
    (void)close(fd);
    must(store_place(store, &file, out, &err));
}

static void fill_blobs(struct store *store, unsigned count, size_t size)
{
    AUTO_FREE char *data = mem_zalloc(1, size);

    for (unsigned i = 0; i < count; i++) {
        struct digest digest;

        (void)snprintf(data, size, "%u", i);
        write_blob(store, data, size, &digest);
        put_blob(&digest, size, clock_wall().ms);
        commit_some(i + 1);
    }
}

static struct digest digest_of_number(const char *what, unsigned number)
{
    char text[64];
    struct digest digest;
    int length = snprintf(text, sizeof(text), "%s %u", what, number);

    digest_of(HASH_SHA256, slice_from(text, (size_t)length), &digest);
    return digest;
}

static void put_layers(uint32_t repository, unsigned layers)
{
    for (unsigned i = 0; i < OF_REPOSITORY * layers; i++) {
        struct digest digest = digest_of_number("layer", i);

        put_blob(&digest, 1000, 0);
        link_put(txn, repository, &digest, LINK_BLOB, slice_of(""));
    }
}

static void put_image(uint32_t repository, unsigned number, unsigned layers)
{
    struct descriptor descriptors[64];
    struct manifest manifest = {.descriptors = descriptors, .descriptor_count = layers};
    struct digest digest = digest_of_number("image", number);
    AUTO_BUF struct buf references;

    buf_init(&references, REFERENCE_LIST_MAX);
    for (unsigned i = 0; i < layers; i++) {
        descriptors[i] = (struct descriptor){
            .role = DESCRIPTOR_LAYER,
            .size = 1000,
            .digest = digest_of_number("layer", number % OF_REPOSITORY * layers + i)};
        referred_put(txn, repository, &descriptors[i].digest, &digest);
    }
    reference_list_encode(&manifest, &references);
    struct manifest_record record = {.size = 10,
                                     .media_type = SLICE_LITERAL("application/x"),
                                     .references = buf_bytes(&references)};
    manifest_put(txn, &digest, &record);
    put_blob(&digest, 10, 0);
    link_put(txn, repository, &digest, LINK_MANIFEST, record.media_type);
    struct due due = {
        .since_ms = DUE_AT_ONCE, .kind = DUE_MANIFEST, .repository = repository, .digest = digest};
    due_enter(txn, &due);
}

static void fill_images(unsigned count, unsigned layers)
{
    for (unsigned i = 0; i < count; i++) {
        static struct repository repository;
        char name[32];
        int length = snprintf(name, sizeof(name), "filled/r%u", i / OF_REPOSITORY);

        if (i % OF_REPOSITORY == 0) {
            repository_get(txn, slice_of(""), slice_from(name, (size_t)length), &repository);
            repository.is_hosted = true;
            repository.links = OF_REPOSITORY * (layers + 1);
            repository.bytes = OF_REPOSITORY * (1000ull * layers + 10);
            repository_put(txn, slice_of(""), slice_from(name, (size_t)length), &repository);
            put_layers(repository.id, layers);
        }
        put_image(repository.id, i, layers);
        commit_some((i + 1) * 20);
    }
}

int main(int argc, char **argv)
{
    struct store *store = NULL;

    if (argc != 5 || atoi(argv[4]) > 64 * 1024) {
        fprintf(stderr, "fill FOLDER blobs COUNT BYTES, or images COUNT LAYERS\n");
        return 2;
    }
    must(store_prepare(argv[1], &err));
    must(store_open(argv[1], &store, &err));
    must(store_lock(store, 0, &err));
    must(ledger_open(store_ledger_folder(store), true, &ledger, &err));
    must(ledger_write(ledger, &txn, &err));
    if (strcmp(argv[2], "blobs") == 0)
        fill_blobs(store, (unsigned)atoi(argv[3]), (size_t)atoi(argv[4]));
    else
        fill_images((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
    must(ledger_commit(&txn, &err));
    ledger_close(&ledger);
    store_close(&store);
    return 0;
}
