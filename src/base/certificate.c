/* SPDX-License-Identifier: Apache-2.0 */
/* See base/certificate.h. OpenSSL's queue of errors is left empty. */
#include "base/certificate.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

static BIO *open_text(struct slice text)
{
    CHECK(text.length < INT_MAX);
    BIO *bio = BIO_new_mem_buf(text.data ? text.data : "", (int)text.length);
    CHECK(bio);
    return bio;
}

/* Has the last read found nothing more, and not something broken? */
static bool is_at_end(void)
{
    bool is = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

    ERR_clear_error();
    return is;
}

int certificates_count(struct slice pem, size_t *out_count, size_t *out_expired, struct error *err)
{
    BIO *bio = open_text(pem);
    size_t count = 0;
    size_t expired = 0;

    ERR_clear_error();
    for (;;) {
        X509 *one = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);

        if (!one)
            break;
        count++;
        expired += X509_cmp_current_time(X509_get0_notAfter(one)) < 0;
        X509_free(one);
    }
    bool is_whole = is_at_end();
    BIO_free(bio);
    if (!is_whole)
        return error_set(err, ERR_INVALID, "certificate %zu is broken", count + 1);
    if (count == 0) {
        return error_set(err, ERR_INVALID,
                         "there is no certificate in it (-----BEGIN CERTIFICATE-----)");
    }
    *out_count = count;
    *out_expired = expired;
    return 0;
}

/* Called only for a key that is encrypted. The shape is OpenSSL's. */
static int on_passphrase(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    *(bool *)arg = true;
    return -1;
}

static int read_key(struct slice text, EVP_PKEY **out, struct error *err)
{
    bool is_encrypted = false;
    BIO *bio = open_text(text);

    *out = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &is_encrypted);
    BIO_free(bio);
    ERR_clear_error();
    if (*out)
        return 0;
    if (is_encrypted) {
        return error_set(err, ERR_INVALID,
                         "the private key needs a passphrase, which nobody types here; write it "
                         "without one (openssl pkey -in OLD -out NEW)");
    }
    return error_set(err, ERR_INVALID,
                     "there is no private key in it (-----BEGIN PRIVATE KEY-----)");
}

int certificate_fits(struct slice pem, struct slice key, struct error *err)
{
    EVP_PKEY *private = NULL;
    int rc = read_key(key, &private, err);

    if (rc != 0)
        return rc;
    BIO *bio = open_text(pem);
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!certificate || X509_check_private_key(certificate, private) != 1)
        rc = error_set(err, ERR_INVALID, "the private key is not that of the certificate");
    X509_free(certificate);
    EVP_PKEY_free(private);
    ERR_clear_error();
    return rc;
}

void pem_print_blocks(struct slice text, struct buf *out)
{
    static const char begin[] = "-----BEGIN ";
    static const char end[] = "-----END ";
    struct slice line;
    bool is_inside = false;

    while (slice_split(&text, '\n', &line)) {
        if (slice_ends_with(line, "\r"))
            line.length--;
        is_inside = is_inside || slice_starts_with(line, begin);
        if (is_inside) {
            buf_append_slice(out, line);
            buf_append_byte(out, '\n');
        }
        is_inside = is_inside && !slice_starts_with(line, end);
    }
}
