/* An HTTP server: one thread a connection, the whole body in memory up to a cap. The only file that knows libmicrohttpd. */
#ifndef NF_EXOSIM_HTTP_H
#define NF_EXOSIM_HTTP_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

struct http_request {              /* borrowed for the call */
	const char *method, *path; /* the path with its escapes taken out */
	const char *body;          /* NUL-terminated behind len */
	size_t len;
	uint64_t received; /* octets of the body, kept or not */
	bool too_big;      /* the body passed the cap; body holds none of it */
	void *connection;
	void *state; /* what the begin hook returned */
};
/* NULL: not sent. */
const char *http_header(const struct http_request *r, const char *name);
/* Every argument behind "?", unescaped; value NULL: no "=". Stops when each returns false. */
void http_each_query(
	const struct http_request *r, bool (*each)(void *ctx, const char *name, const char *value), void *ctx);

#define HTTP_HEADERS 8
struct http_reply {
	unsigned status;
	char *body;       /* malloc'd, the server frees it; NULL: empty */
	size_t body_len;  /* 0: up to its NUL */
	const char *type; /* content type; NULL: application/json */
	struct {
		char name[48], value[700];
	} header[HTTP_HEADERS]; /* further ones; "" ends */
	bool drop;              /* close the connection without an answer */
	/* What faults do to the body: */
	bool is_cut;   /* the connection breaks behind `cut` octets of it */
	uint64_t cut;  /* */
	uint64_t rate; /* octets per second; 0: at once */
	uint64_t more; /* so many blanks behind it */
};
void http_reply_header(struct http_reply *out, const char *name, const char *value);

struct http_hooks {
	void (*handle)(void *ctx, const struct http_request *in, struct http_reply *out);
	/* May be NULL. The headers are there, the body is not: what is returned comes back as in->state; *body_cap may be lowered. */
	void *(*begin)(void *ctx, const struct http_request *in, size_t *body_cap);
	/* May be NULL. The request is over: answered, or its connection broke. */
	void (*end)(void *ctx, void *state);
};

/* listen_fd is taken over. cert and key (PEM texts): TLS; NULL: plain. hooks: borrowed for good. */
int http_open(struct http **out, int listen_fd, const char *cert, const char *key, size_t body_cap,
	const struct http_hooks *hooks, void *ctx, struct err *err);
void http_close(struct http **h);

#endif
