/* An HTTP server: one thread a connection, the whole body in memory up to a cap. The only file that knows libmicrohttpd. */
#ifndef NF_EXOSIM_HTTP_H
#define NF_EXOSIM_HTTP_H

#include "engine/base/err.h"

#include <stdbool.h>

struct http;

struct http_request { /* borrowed for the call */
	const char *method, *path;
	const char *body; /* NUL-terminated behind len */
	size_t len;
	bool too_big; /* the body passed the cap; body holds none of it */
	void *connection;
};
/* NULL: not sent. */
const char *http_header(const struct http_request *r, const char *name);
const char *http_query(const struct http_request *r, const char *name);

struct http_reply {
	unsigned status;
	char *body;       /* malloc'd, the server frees it; NULL: empty */
	const char *type; /* content type; NULL: application/json */
	struct {
		char name[48], value[200];
	} header[4]; /* further ones; "" ends */
	bool drop;   /* close the connection without an answer */
};
typedef void http_handler(void *ctx, const struct http_request *in, struct http_reply *out);

/* listen_fd is taken over. cert and key (PEM texts): TLS; NULL: plain. */
int http_open(struct http **out, int listen_fd, const char *cert, const char *key, size_t body_cap,
	http_handler *handle, void *ctx, struct err *err);
void http_close(struct http **h);

#endif
