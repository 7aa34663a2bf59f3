/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the texts in a configuration. Each function returns the form in which a text is kept.
 */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>

#include "base/slice.h"

struct error;

/* Is it valid UTF-8 without control characters? Only such a text survives being printed as YAML. */
bool value_is_text(struct slice text);
/* Each makes an owned, NUL-terminated copy. ERR_INVALID: the text says what is wrong. */
int value_address(struct slice text, char **out, struct error *err);
int value_host(struct slice text, char **out, struct error *err);
/* "https://host:port", host in lower case, no slash at the end. With a path it says where "/v2" is:
 * "https://host/BASE/v2/PREFIX", where either part may be missing; a path without it is a PREFIX.
 */
int value_url(struct slice text, char **out, struct error *err);
/* A proxy's URL with scheme and port, or "none". The text of an error has no password. */
int value_proxy(struct slice text, char **out, struct error *err);
/* A host, a domain, an address or a network, perhaps with a port, or "*"; in lower case. */
int value_no_proxy(struct slice text, char **out, struct error *err);
/* A shell's ~ and $NAME are refused: nobody expands them here. */
int value_path(struct slice text, char **out, struct error *err);
/* "10.0.0.7", "10.0.0.0/8", "fd00::/8", or "unix". */
int value_network(struct slice text, char **out, struct error *err);
/* A pattern has * and ?; what can only be a regular expression is refused. */
int value_pattern(struct slice text, char **out, struct error *err);
/* A pattern for names of repositories; one that fits none is refused. */
int value_name_pattern(struct slice text, char **out, struct error *err);
/* The path of a socket file, with or without "unix:", or "auto" or "none". */
int value_socket(struct slice text, char **out, struct error *err);
/* "0660" or "660". */
int value_mode(struct slice text, unsigned *out, struct error *err);
int value_bool(struct slice text, bool *out, struct error *err);

#endif
