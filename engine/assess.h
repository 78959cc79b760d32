/* The mailboxes of a batch looked at before it is started, several at once: sign-in at the source and at the destination, folders,
   messages, what will be refused. Nothing is written at either side, and in the state only the assessments. */
#ifndef NF_ENGINE_ASSESS_H
#define NF_ENGINE_ASSESS_H

#include "engine/store/assess.h"
#include "engine/work.h"

struct assess_conf { /* borrowed */
	struct work *work;
	struct stop *stop;
	const struct batch *batch;
	const struct endpoint *endpoint;
	const struct target_row *target;
	unsigned at_once;
	bool source_only; /* the destination is not signed in to */
	/* Called by one thread at a time, after each mailbox was stored; may be NULL. */
	void (*looked)(void *ctx, const struct user *u, const struct assessment *a);
	void *ctx;
};

/* Fills out[i] for users[i] and stores each, with its findings, as soon as it is known; the findings are then only in the state. What could not be looked at has
   its error; one that was not reached keeps at = 0: the person stopped, or *ended says why (sign-ins are paused, the host cannot be
   reached; kind NONE else). -1: the state cannot be written; threads are out. */
int assess_run(const struct assess_conf *conf, const struct user *users, struct assessment *out, size_t n,
	struct err *ended, struct err *err);

#endif
