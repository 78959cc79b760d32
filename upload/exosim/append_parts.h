/* What append.c (reading and judging) and append_send.c (giving to the backend) share. The session's thread. */
#ifndef NF_EXOSIM_APPEND_PARTS_H
#define NF_EXOSIM_APPEND_PARTS_H

#include "engine/base/spool.h"
#include "upload/exosim/check.h"
#include "upload/exosim/session.h"

#define STREAM_FROM ((uint64_t)64 * 1024)

struct append {
	char *name, *key, *raw;  /* owned */
	struct span flags, date; /* within the command; len 0: not given */
	struct check check;
	struct spool *body; /* owned; NULL: it streams */
	bool streams;
	uint64_t n; /* of our tag at the backend, once it streams */
};

/* Starts the APPEND of size octets at the backend, up to its literal; its answer comes in its turn (append_answered). */
int append_begin(struct session *s, const struct command *c, struct append *a, const struct fault_hit *hit,
	uint64_t size, struct err *err);
/* Ends one that streamed. refusal: the backend gives the message up and this is answered instead; NULL: it is stored. */
void append_end(struct session *s, struct append *a, const char *refusal);
/* All of it from the spool. */
int append_commit(
	struct session *s, const struct command *c, struct append *a, const struct fault_hit *hit, struct err *err);
/* Stored ms later by another connection; takes the body. */
int append_late(struct session *s, struct append *a, int64_t ms, struct err *err);

#endif
