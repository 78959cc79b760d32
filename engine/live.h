/* One mailbox at work, as the loop sees it: what the loop tells the job, what the job shows of itself, and what holds it back. The loop's
   thread owns it, but what says otherwise. */
#ifndef NF_ENGINE_LIVE_H
#define NF_ENGINE_LIVE_H

#include "engine/parcel.h"
#include "engine/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

struct limits;

#define LIVE_VOTES 15 /* looks of which the most frequent finding is shown: about three seconds of them */

enum live_side { LIVE_SOURCE, LIVE_TARGET, LIVE_SIDES };

/* Threads of the job that sleep before they try again; what they wait for is seen at no gate. */
struct live_wait {
	unsigned n;       /* threads that sleep */
	int64_t until_ms; /* mono clock */
	struct err why;   /* of the one that sleeps longest; kind NONE: nothing failed, the text says it all */
};

struct live {
	int64_t user_id;
	char who[MODEL_TEXT];       /* for the log */
	pthread_mutex_t lock;       /* guards the next six, and what the loop writes of `row` */
	struct limits *limits;      /* borrowed from the job while it is attached; NULL: not */
	struct parcel_queue *queue; /* likewise */
	struct err parting;         /* why the job is to end; kind NONE: nobody said */
	enum binding parting_binding;
	bool concluded; /* the last row was queued: none follows */
	struct live_wait waits[LIVE_SIDES];
	_Atomic unsigned troubles; /* refusals and losses at the source; any thread */
	/* Pauses in a row before the source was tried again, from this job and from those before it that gave their place away; any thread. */
	_Atomic unsigned source_pauses;
	int64_t gave_until; /* wall clock; the mailbox is shut for so long, and its job ends because of that; 0: it does not */
	/* what was seen */
	enum binding votes[LIVE_VOTES];
	unsigned n_votes, next_vote;
	unsigned uploads;
	struct live_row row;
	int64_t looked_ms, saved_ms; /* mono clock */
	int64_t quiet_since_ms;      /* likewise: since when the destination gives nothing; 0: it does */
	uint64_t refused_before;     /* by jobs of this user before this one */
	bool is_shut;      /* a server asked to wait, for this mailbox alone, and nothing moves: row.fenced_until */
	double work_per_s; /* octets, and a bit for each message: for comparing one minute with another */
};

void live_begin(struct live *l, struct store *s, const struct user *u);
void live_end(struct live *l, struct store *s); /* after the job; concludes if the job could not */

/* --- the job's side --- */
void live_attach(struct live *l, struct limits *limits, struct parcel_queue *queue);
void live_detach(struct live *l); /* before either goes; may be called twice */
/* Why the mailbox ends now, if the loop or a budget said so: replaces *err. */
void live_take_parting(struct live *l, struct err *err);
/* Tells what became of it: queued before the user's state is saved, so that whoever sees the state sees this too. */
void live_conclude(struct live *l, struct store *s);
/* A thread is going to sleep until then (mono clock), because of *why; and it woke up. Any thread. */
void live_wait(struct live *l, enum live_side side, int64_t until_ms, const struct err *why);
void live_woke(struct live *l, enum live_side side);
static inline void live_note_trouble(struct live *l)
{
	atomic_fetch_add(&l->troubles, 1);
}

/* --- the loop's side --- */
/* To be said before the job is asked to stop; any thread. The first word stays. why->retry_after_ms: when it may go on; -1: as the batch may. */
void live_part(struct live *l, enum binding binding, const struct err *why);
bool live_is_parting(struct live *l);
/* What a person set and a window leaves; and so many uploads. */
struct limit_rates;
void live_set(struct live *l, const struct limit_rates *rates, unsigned uploads);
/* Saves what the scopes learned. */
void live_save_lessons(struct live *l, struct store *s);
/* Looks at the scopes and the queue, and saves the row about once a second. share: of the rate, as the window leaves it. */
void live_look(struct live *l, struct store *s, double share);

#endif
