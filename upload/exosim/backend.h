/* The real server behind: signing in there as a mailbox through the master user. One connection, one thread. */
#ifndef NF_EXOSIM_BACKEND_H
#define NF_EXOSIM_BACKEND_H

#include "engine/base/spool.h"
#include "upload/exosim/exosim.h"

/* Connected and signed in as that mailbox. */
int backend_open(struct wire **out, struct exosim *x, const char *mailbox, struct stop *stop, struct err *err);
/* One line with its end cut off; waits. Borrowed until the next call that reads. *len octets. ERR_LOST. Not for lines longer than
   WIRE_ROOM. Call wire_skip(w, *used) when done with it. */
int backend_line(struct wire *w, const char **line, size_t *len, size_t *used, struct err *err);
/* Sends "x9 <command>" and reads to its answer; 0 only for OK. each: called with every untagged line, may be NULL. */
int backend_command(struct wire *w, const char *command, void (*each)(void *ctx, const char *line, size_t len),
	void *ctx, struct err *err);
/* The octets of a spool onto the wire. */
int backend_put_spool(struct wire *w, const struct spool *body, struct err *err);
/* command: "APPEND name (flags) date" without the literal. */
int backend_append(struct wire *w, const char *command, const struct spool *body, struct err *err);

#endif
