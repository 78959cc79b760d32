/* HTTPS by libcurl: verified TLS, no redirect followed, answers capped, nothing secret in a log. A struct http belongs to one thread. */
#ifndef NF_UPLOAD_HTTP_H
#define NF_UPLOAD_HTTP_H

#include "engine/base/buf.h"
#include "engine/base/secret.h"
#include "engine/base/spool.h"
#include "engine/base/stop.h"
#include "throttle/gate.h"

struct http;

struct http_conf {
	const char *ca_file;
	int connect_ms, silence_ms;
	struct gate *gate; /* borrowed: its line paces the bodies */
};                         /* copied; NULL, 0: defaults (system store; 30,000; 120,000) */
int http_new(struct http **out, const struct http_conf *conf, struct stop *stop, struct err *err);
void http_free(struct http **h);
void http_init(void); /* once before any thread */
/* A random GUID in text, for client-request-id and assertions. */
#define HTTP_GUID 37
void http_guid(char out[HTTP_GUID]);
/* Retry-After's value: seconds or an HTTP date, in ms from now_s; -1 when it makes no sense. Pure. */
int64_t http_parse_retry_after(const char *value, int64_t now_s);

struct request {                     /* borrowed for the call */
	const char *method, *url;    /* url may hold a token (pre-authenticated): it is never logged beyond its path */
	const char *const *headers;  /* "Name: value", NULL-terminated; may be NULL */
	const struct secret *bearer; /* NULL: no Authorization */
	const char *content_type;    /* NULL: no body */
	const void *body;
	size_t body_len;
	const struct spool *spool;
	bool base64;       /* or: streamed from the spool, base64 on the fly, exact Content-Length, rewindable */
	size_t answer_cap; /* 0: 1 MiB */
	struct spool *
		into; /* where the body of an answer 200 goes, into_cap octets of it at most; NULL: into the response */
	uint64_t into_cap;
};

struct response {
	int status;
	struct buf body;        /* response_done frees */
	int64_t retry_after_ms; /* -1: none */
	char request_id[64], client_request_id[40];
	uint64_t sent_bytes; /* body octets that left */
	bool body_sent;      /* the whole request left: its fate is unknown if no answer came */
	unsigned latency_ms;
};
void response_done(struct response *r);

/* permit may be NULL only for the token endpoint (a request without a bearer). 0: an answer came, whatever its status; the caller
   judges it and leaves the gate. -1: none came: DNS, FIREWALL, TLS, CERTIFICATE, LOST, STOPPED, PROTOCOL (the answer passed a cap),
   USAGE (URL or CA file), DISK (a spool); out->body_sent tells whether it may have been acted on. out needs response_done in
   either case. A request whose last octet left is never sent a second time by itself, also not on a kept connection that died. */
int http_send(struct http *h, const struct request *r, struct permit *permit, struct response *out, struct err *err);

#endif
