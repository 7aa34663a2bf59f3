/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and private keys as PEM text: is it what a setting says it is? (door: OpenSSL) */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include <stddef.h>

#include "base/slice.h"

struct buf;
struct error;

/* The number of certificates, and how many of them have expired. ERR_INVALID: there is none, or one
 * is broken. */
int certificates_count(struct slice pem, size_t *out_count, size_t *out_expired, struct error *err);
/* Is there a private key in `key`, without a passphrase, that belongs to the first certificate in
 * `pem`? ERR_INVALID says what is wrong. */
int certificate_fits(struct slice pem, struct slice key, struct error *err);
/* Append the blocks from -----BEGIN to -----END, without what is between them. */
void pem_print_blocks(struct slice text, struct buf *out);

#endif
