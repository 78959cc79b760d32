/* A client of Microsoft Graph for one mailbox, over upload/http: token, permits, verdicts, errors. It belongs to one thread. */
#ifndef NF_UPLOAD_GRAPH_H
#define NF_UPLOAD_GRAPH_H

#include "upload/graph_json.h"
#include "upload/http.h"

struct graph;
struct token;

struct graph_conf {          /* borrowed; outlives the client */
	const char *url;     /* "https://graph.microsoft.com" */
	const char *ca_file; /* NULL: the system's */
	struct token *token; /* for Graph; shared between threads */
	const char *target;  /* name, for messages */
	const char *mailbox; /* address, for messages */
	const char *user;    /* id or address, for the paths */
};

/* gate NULL: one of its own, with Graph's published limits for a mailbox. */
int graph_new(struct graph **out, const struct graph_conf *conf, struct gate *gate, struct stop *stop, struct err *err);
void graph_free(struct graph **g);

struct graph_request { /* borrowed for the call */
	const char *method;
	const char *path;         /* template below the service ("/v1.0/users/{}/messages/{}"): see graph_url_format */
	const char *const *args;  /* the template's; NULL-terminated; may be NULL if it has none */
	const char *link;         /* instead of path: a link that the service gave; it must stay there */
	const char *json;         /* body; or: */
	const struct spool *mime; /* base64 of this */
	struct spool *into;       /* where the body of a 200 goes; NULL: into the reply */
	uint64_t into_cap;
};

struct graph_reply {
	int status; /* 0: no answer came */
	struct buf body;
	/* The request failed and may have been acted on all the same. False: certainly not. */
	bool maybe_done;
};
void graph_reply_done(struct graph_reply *r);

/* 0: status is 2xx. -1: err, with who and where; out->maybe_done. A token that is refused is renewed once. What only reads is asked again
   a few times when it was throttled (it waits in the gate), lost or the server was busy: a list of a thousand pages must not begin anew for
   one of them. out needs graph_reply_done in either case. */
int graph_send(struct graph *g, const struct graph_request *r, struct graph_reply *out, struct err *err);

/* Several requests under one permit that counts them all: a message and its state belong together, and a stop that comes between the
   two does not part them. Until graph_release no request takes a permit of its own. */
int graph_hold(struct graph *g, unsigned requests, uint64_t bytes, struct err *err);
void graph_release(struct graph *g);
const char *graph_user(const struct graph *g);

#endif
