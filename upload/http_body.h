/* Inside upload/http only: the octets of a request on their way out, from memory or from a spool, base64 as they go. */
#ifndef NF_UPLOAD_HTTP_BODY_H
#define NF_UPLOAD_HTTP_BODY_H

#include "upload/http.h"

struct http_body {
	const struct request *request; /* borrowed */
	uint64_t total;                /* octets on the wire, known before the first leaves */
	uint64_t handed;               /* of them given away */
	uint64_t raw_read;             /* octets of the spool already in the stage */
	char *stage;                   /* owned; NULL until a spool is read */
	size_t stage_len, stage_at;
	bool failed; /* reading the spool failed */
	struct err err;
};

void http_body_init(struct http_body *b, const struct request *r);
void http_body_done(struct http_body *b);
/* Up to room octets into to; false: b->err. */
bool http_body_read(struct http_body *b, char *to, size_t room, size_t *got);
void http_body_rewind(struct http_body *b);

#endif
