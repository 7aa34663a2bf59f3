/* SPDX-License-Identifier: Apache-2.0 */
/* Answers about upload sessions, with their headers Location, Range and Docker-Upload-UUID. The
 * request must be there. */
#ifndef WORKER_UPLOAD_ANSWER_H
#define WORKER_UPLOAD_ANSWER_H

struct upload;

/* 202, 204 and 416, with how far the session is. */
void upload_answer_progress(struct upload *upload, int status);
/* 409: another request is writing to the session. */
void upload_answer_busy(struct upload *upload);
/* 201: the blob is stored or mounted. */
void upload_answer_stored(struct upload *upload);
/* 204: the session was ended. */
void upload_answer_cancelled(struct upload *upload);

#endif
