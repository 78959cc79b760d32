/* Inside imap/ only, for conn.c, session.c and auth.c: the fields of a conn. */
#ifndef NF_IMAP_CONN_STATE_H
#define NF_IMAP_CONN_STATE_H

#include "engine/base/buf.h"
#include "imap/conn.h"
#include "imap/net.h"
#include "imap/session.h"

struct conn {
	struct conn_conf conf; /* copy of the struct; what it points to is borrowed from conn_open's caller */
	struct stop *stop;     /* borrowed; may be NULL */
	struct net *net;       /* owned */
	mailstream *stream;    /* owned; borrows net */
	mailimap *imap;        /* owned; borrows stream */
	struct conn_facts facts;
	struct repair_status answer; /* the last tagged answer */
	struct repair_status no;     /* the last tagged NO or BAD, tag "" once a command was done after it */
	int64_t no_at_ms;            /* mono clock */
	struct buf line;             /* scratch for session_send */
	struct buf challenge;        /* text of the last "+" line */
	unsigned in_flight;          /* commands of session_send without an answer yet */
	bool signing_in;             /* a refusal is about credentials */
	bool is_dead;
	bool only_libetpan; /* session_receive_plain is session_receive: for tests that compare the two */
};

/* conn_open over a socket that is connected (non-blocking, consumed; -1: none, then it dials): for tests and fuzzers, whose server is
   a socketpair. */
int conn_open_over(struct conn **out, int fd, const struct conn_conf *conf, struct stop *stop, enum conn_step *reached,
	struct conn_facts *facts, struct err *err);
/* Sets up the scratch buffers of a new conn. */
void session_prepare(struct conn *c);
/* The "+" line's text; borrowed until the next session_continuation. */
const char *session_challenge(const struct conn *c);
/* Waits for the greeting. *preauth: no sign-in is needed (or wanted). */
int session_greet(struct conn *c, bool *preauth, struct err *err);
/* What ended the stream, typed; always returns -1 and marks the conn dead. */
int session_lost(struct conn *c, const char *doing, struct err *err);
/* Drops what was learnt about capabilities. */
void session_forget_capabilities(struct conn *c);

#endif
