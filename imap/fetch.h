/* Inside imap/ only: FETCH answers of libetpan's parser as plain values, and message bodies as they stream by. */
#ifndef NF_IMAP_FETCH_H
#define NF_IMAP_FETCH_H

#include "engine/base/mail.h"
#include "imap/session.h"

/* One whole "* n FETCH (...)" line, bodies included. */
struct fetch_line {
	uint32_t seq;
	uint32_t uid; /* 0: not told */
	bool has_size, has_flags;
	uint64_t size;
	unsigned flags;               /* enum mail_flag */
	char keywords[MAIL_KEYWORDS]; /* separated by blanks; cut at whole words: */
	bool keywords_cut;
	struct mail_date date; /* not known unless told and possible */
	bool has_body;         /* BODY[] or a piece of it was told */
	bool body_is_nil;
};

/* Where octets belong that begin now. */
struct fetch_place {
	uint32_t seq, uid; /* uid 0: the server tells it after the octets, or not at all */
	bool whole;        /* BODY[] or a piece of it; else another section (header fields) */
	bool is_sized;     /* octets is the literal's length; a quoted string has none */
	uint64_t octets;
};

struct fetch_sink {
	void (*line)(void *ctx, const struct fetch_line *line);
	/* begins: non-NULL with the first octets of a string. NULL function: octets are dropped. false gives up: the connection
	   is dead then. An empty string or NIL brings no call, only its line. */
	bool (*octets)(void *ctx, const struct fetch_place *begins, const char *data, size_t n);
	void *ctx;
};

/* session_receive, with FETCH lines given to sink as they come: nothing piles up, whatever the server sends. */
int fetch_receive(struct conn *c, int tag, const struct fetch_sink *sink, enum reply *reply, struct err *err);
/* The same for one command, flushed. */
int fetch_ask(struct conn *c, const struct fetch_sink *sink, enum reply *reply, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* A date as it was written: zone +0530 is 530. Impossible ones are not known afterwards. */
struct fetch_date {
	int year, month, day, hour, minute, second, zone;
};
void fetch_join_date(const struct fetch_date *d, struct mail_date *out);
/* Adds a word to the line's keywords, or drops it where they are full, and says so there. */
void fetch_add_keyword(struct fetch_line *line, const char *word);

/* What the end of the parser's text, n octets, says about the string that begins behind it. Pure; for tests. */
void fetch_peek(const char *text, size_t n, struct fetch_place *out);

#endif
