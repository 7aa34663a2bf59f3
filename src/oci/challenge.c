/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WWW-Authenticate may hold several challenges, and both challenges and their parameters are
 * separated by commas:
 *
 *   Negotiate YWJj==, Bearer realm="https://auth.example/token", scope="a,b", Basic realm="x"
 *   scheme    token68 scheme parameter                           parameter    scheme parameter
 *
 * A token that is followed by '=' and a value is a parameter of the challenge before it; another
 * one begins a challenge. Anything that does not fit makes the whole header invalid.
 */
#include "oci/challenge.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

#define HEADER_MAX     16384
#define CHALLENGES_MAX 50

struct challenge_reader {
    struct slice rest;
    struct challenge current;
    bool is_wanted; /* current is Bearer or Basic */
    bool has_challenge;
    bool has_realm;
    unsigned challenges;
    bool has_best;
    struct challenge best;
};

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static char peek(const struct challenge_reader *reader)
{
    if (reader->rest.length == 0)
        return '\0';
    return reader->rest.data[0];
}

static void skip_space(struct challenge_reader *reader)
{
    while (reader->rest.length > 0 && (peek(reader) == ' ' || peek(reader) == '\t'))
        reader->rest = slice_skip(reader->rest, 1);
}

static struct slice read_token(struct challenge_reader *reader)
{
    size_t length = 0;

    while (length < reader->rest.length && is_token_char(reader->rest.data[length]))
        length++;
    struct slice token = slice_from(reader->rest.data, length);
    reader->rest = slice_skip(reader->rest, length);
    return token;
}

/* Reads the value into `out`, without quotes and escapes. `size` counts the NUL. */
static int read_quoted(struct challenge_reader *reader, char *out, size_t size, struct error *err)
{
    size_t length = 0;
    size_t at = 1;

    for (; at < reader->rest.length && reader->rest.data[at] != '"'; at++) {
        if (reader->rest.data[at] == '\\') {
            at++;
            if (at == reader->rest.length)
                break;
        }
        unsigned char c = (unsigned char)reader->rest.data[at];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return error_set(err, ERR_INVALID, "control character in WWW-Authenticate");
        if (length + 1 >= size)
            return error_set(err, ERR_INVALID, "a value in WWW-Authenticate is too long");
        out[length++] = (char)c;
    }
    if (at >= reader->rest.length)
        return error_set(err, ERR_INVALID, "unterminated quotes in WWW-Authenticate");
    out[length] = '\0';
    reader->rest = slice_skip(reader->rest, at + 1);
    return 0;
}

static int read_value(struct challenge_reader *reader, char *out, size_t size, struct error *err)
{
    if (peek(reader) == '"')
        return read_quoted(reader, out, size, err);
    struct slice token = read_token(reader);
    if (token.length == 0 || token.length >= size)
        return error_set(err, ERR_INVALID, "a value in WWW-Authenticate is empty or too long");
    memcpy(out, token.data, token.length);
    out[token.length] = '\0';
    return 0;
}

/* Where a parameter of the current challenge is stored; NULL if it is not needed. */
static char *place_of(struct challenge_reader *reader, struct slice key, size_t *out_size)
{
    struct challenge *current = &reader->current;

    if (!reader->is_wanted)
        return NULL;
    if (slice_is_nocase(key, "realm")) {
        *out_size = sizeof(current->realm);
        reader->has_realm = true;
        return current->realm;
    }
    if (slice_is_nocase(key, "service")) {
        *out_size = sizeof(current->service);
        return current->service;
    }
    return NULL;
}

/* A scope is seldom needed: one that is too long, or a second one, makes no challenge invalid. */
static void keep_scope(struct challenge *challenge, struct slice scope)
{
    if (challenge->scope[0] != '\0' || scope.length >= sizeof(challenge->scope))
        return;
    memcpy(challenge->scope, scope.data, scope.length);
    challenge->scope[scope.length] = '\0';
}

/* Reads the value after the '='. */
static int read_parameter(struct challenge_reader *reader, struct slice key, struct error *err)
{
    char ignored[HEADER_MAX];
    size_t size = sizeof(ignored);
    char *place = place_of(reader, key, &size);

    if (place && place[0] != '\0')
        return error_set(err, ERR_INVALID, "a parameter appears twice in WWW-Authenticate");
    int rc = read_value(reader, place ? place : ignored, size, err);
    if (rc == 0 && !place && reader->is_wanted && slice_is_nocase(key, "scope"))
        keep_scope(&reader->current, slice_of(ignored));
    return rc;
}

/* A Bearer challenge without realm only says what was wrong; another one may be of use. */
static void end_challenge(struct challenge_reader *reader)
{
    if (!reader->has_challenge || !reader->is_wanted ||
        (reader->current.scheme == CHALLENGE_BEARER && !reader->has_realm))
        return;
    bool is_better = !reader->has_best || (reader->best.scheme == CHALLENGE_BASIC &&
                                           reader->current.scheme == CHALLENGE_BEARER);
    if (is_better) {
        reader->best = reader->current;
        reader->has_best = true;
    }
}

static int begin_challenge(struct challenge_reader *reader, struct slice scheme, struct error *err)
{
    if (++reader->challenges > CHALLENGES_MAX)
        return error_set(err, ERR_INVALID, "too many challenges in WWW-Authenticate");
    memset(&reader->current, 0, sizeof(reader->current));
    reader->has_challenge = true;
    reader->has_realm = false;
    reader->is_wanted = slice_is_nocase(scheme, "Bearer") || slice_is_nocase(scheme, "Basic");
    reader->current.scheme = slice_is_nocase(scheme, "Bearer") ? CHALLENGE_BEARER : CHALLENGE_BASIC;
    return 0;
}

/* At the start of a token68 that stands alone: skips it. False leaves the reader where it is. */
static bool skip_token68(struct challenge_reader *reader)
{
    size_t length = 0;
    struct slice rest = reader->rest;

    while (length < rest.length && (is_token_char(rest.data[length]) || rest.data[length] == '/'))
        length++;
    if (length == 0)
        return false;
    while (length < rest.length && rest.data[length] == '=')
        length++;
    struct slice after = slice_trim(slice_skip(rest, length));
    if (after.length > 0 && after.data[0] != ',')
        return false;
    reader->rest = after;
    return true;
}

/* One element of the list: "scheme", "scheme token68", "scheme key=value" or "key=value". */
static int read_element(struct challenge_reader *reader, struct error *err)
{
    struct slice token = read_token(reader);

    if (token.length == 0)
        return error_set(err, ERR_INVALID, "WWW-Authenticate is malformed");
    bool has_space = peek(reader) == ' ' || peek(reader) == '\t';
    skip_space(reader);
    if (peek(reader) == '=') {
        if (!reader->has_challenge)
            return error_set(err, ERR_INVALID, "WWW-Authenticate begins with a parameter");
        reader->rest = slice_skip(reader->rest, 1);
        skip_space(reader);
        return read_parameter(reader, token, err);
    }
    end_challenge(reader);
    if (begin_challenge(reader, token, err) != 0)
        return -(int)err->kind;
    if (reader->rest.length == 0 || peek(reader) == ',')
        return 0;
    if (!has_space)
        return error_set(err, ERR_INVALID, "WWW-Authenticate is malformed");
    if (skip_token68(reader))
        return 0;
    struct slice key = read_token(reader);
    skip_space(reader);
    if (key.length == 0 || peek(reader) != '=')
        return error_set(err, ERR_INVALID, "WWW-Authenticate is malformed");
    reader->rest = slice_skip(reader->rest, 1);
    skip_space(reader);
    return read_parameter(reader, key, err);
}

int challenge_parse(struct slice header, struct challenge *out, struct error *err)
{
    struct challenge_reader reader = {.rest = header};

    if (header.length > HEADER_MAX)
        return error_set(err, ERR_INVALID, "WWW-Authenticate is too long");
    for (;;) {
        skip_space(&reader);
        if (peek(&reader) == ',') {
            reader.rest = slice_skip(reader.rest, 1);
            continue;
        }
        if (reader.rest.length == 0)
            break;
        if (read_element(&reader, err) != 0)
            return -(int)err->kind;
        skip_space(&reader);
        if (reader.rest.length > 0 && peek(&reader) != ',')
            return error_set(err, ERR_INVALID, "WWW-Authenticate is malformed");
    }
    end_challenge(&reader);
    if (!reader.has_best) {
        return error_set(err, ERR_UNSUPPORTED,
                         "the upstream asks for neither Bearer authentication with a realm nor "
                         "Basic");
    }
    *out = reader.best;
    return 0;
}
