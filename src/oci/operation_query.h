/* SPDX-License-Identifier: Apache-2.0 */
/* The query of an API operation. */
#ifndef OCI_OPERATION_QUERY_H
#define OCI_OPERATION_QUERY_H

#include "oci/operation.h"

/* Decode `text` behind what is in operation->text, which has room for all of the target. False on
 * a bad escape or a NUL. */
bool operation_decode(struct operation *operation, struct slice text, struct slice *out);
/* operation->query. Kind and method are known by now. 0 or -1. */
int operation_parse_query(struct operation *operation, const struct operation_limits *limits,
                          struct api_error *error);

#endif
