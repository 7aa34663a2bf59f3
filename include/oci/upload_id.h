/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of upload sessions: a random UUID, a version and a replica. Their text form is in
 * upload_id.c. */
#ifndef OCI_UPLOAD_ID_H
#define OCI_UPLOAD_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

#define UPLOAD_ID_TEXT_SIZE 46

struct upload_id {
    uint8_t version;    /* 1 */
    uint8_t replica[3]; /* zero: there is only one */
    uint8_t random[16]; /* a UUID of version 4 */
};

/* An id that cannot be guessed. ERR_IO when there is no entropy. */
int upload_id_new(struct upload_id *out, struct error *err);
/* False if it is not an id of this form. */
bool upload_id_parse(struct slice text, struct upload_id *out);
/* Returns out. */
const char *upload_id_print(const struct upload_id *id, char out[UPLOAD_ID_TEXT_SIZE]);
/* Do both name the same session? */
bool upload_id_equal(const struct upload_id *a, const struct upload_id *b);

#endif
