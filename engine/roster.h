/* The batches that run, as the loop knows them: their rows, when they may run, how many mailboxes at once. The loop's thread. */
#ifndef NF_ENGINE_ROSTER_H
#define NF_ENGINE_ROSTER_H

#include "engine/limit.h"
#include "engine/live.h"
#include "engine/night.h"
#include "engine/ramp.h"

struct course { /* of one batch */
	struct batch batch;
	struct endpoint endpoint;
	struct target_row target;
	struct night night;
	struct schedule *schedule; /* owned; NULL: always */
	struct night_now now;
	struct err closed; /* why nothing of it may run now; kind NONE: it may */
	struct err bad;    /* its windows cannot be read: it is held back rather than run by day */
	struct ramp ramp;
	unsigned ramp_from; /* what the person said when it began */
	struct pace saved;
	bool has_saved, seen;
	/* summed up over its mailboxes at work; the loop sets them before roster_pace */
	unsigned active, held_back;
	unsigned troubles; /* ever */
	double per_s;
};

struct roster {
	struct course *v; /* owned */
	size_t n;
	int64_t stretch_ms; /* of the ramps */
};

void roster_done(struct roster *r);
/* Reads all rows anew: somebody changed the state, or the run begins. */
int roster_read(struct roster *r, struct store *s, struct err *err);
struct course *roster_find(struct roster *r, int64_t batch_id); /* NULL: it does not run */
/* Which are open at that moment; what changed is logged, and saved for the claims and for status. */
int roster_turn(struct roster *r, struct store *s, int64_t wall, struct err *err);
/* Looks at how they did, and steps up or back. waiting: there are mailboxes that wait for room. */
int roster_pace(struct roster *r, struct store *s, int64_t now_ms, bool waiting, struct err *err);
/* At once, now. */
unsigned course_mailboxes(const struct course *c);
void course_rates(const struct course *c, struct limit_rates *out);

#endif
