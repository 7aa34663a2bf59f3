/* SPDX-License-Identifier: Apache-2.0 */
/* The answers about upload sessions and their headers: Location, Range, Docker-Upload-UUID. */
#ifndef WORKER_UPLOAD_ANSWER_H
#define WORKER_UPLOAD_ANSWER_H

struct upload;

/* 202, 204 and 416: how far it is. */
void upload_answer_progress(struct upload *upload, int status);
/* 409: another request has it. */
void upload_answer_busy(struct upload *upload);
/* 201: the blob is here. */
void upload_answer_stored(struct upload *upload);
void upload_answer_cancelled(struct upload *upload);

#endif
