/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an upload: read in blocks of 256 KiB, hashed and written by the pool in order, while
 * the next block is read. */
#ifndef WORKER_UPLOAD_BODY_H
#define WORKER_UPLOAD_BODY_H

#include <stdbool.h>
#include <stddef.h>

struct request;
struct upload;
struct upload_block;

/* Begin to read. upload_on_received (upload.h) comes when all is written, and for a PUT compared
 * and synced; or with an error. */
void upload_receive(struct upload *upload);
/* The step's. */
void upload_on_body(struct request *request, size_t length, bool is_end);
/* Give its memory back. */
void upload_block_release(struct upload_block *block);

#endif
