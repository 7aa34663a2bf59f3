/* SPDX-License-Identifier: Apache-2.0 */
/* The query of an API operation. */
#ifndef OCI_OPERATION_QUERY_H
#define OCI_OPERATION_QUERY_H

#include "oci/operation.h"

/* Decodes `text` to the end of operation->text, which has room for the whole target. Returns false
 * on a bad escape or a NUL. */
bool operation_decode(struct operation *operation, struct slice text, struct slice *out);
/* Reads operation->query; kind and method must be known. 0, or -1 with *error. */
int operation_parse_query(struct operation *operation, const struct operation_limits *limits,
                          struct api_error *error);

#endif
