/* Between the files of the putter only: putter.c opens, puts and saves, putter_verdict.c says what the destination's answers mean,
   putter_reroute.c gives to another route what this one does not carry. */
#ifndef NF_ENGINE_PUTTER_PARTS_H
#define NF_ENGINE_PUTTER_PARTS_H

#include "engine/intent.h"
#include "engine/job.h"

#define RUN_ITEMS 256
#define RUN_BYTES ((uint64_t)2 * 1024 * 1024)
#define RUN_SECONDS 2
#define SAYS_FULL "Server Unavailable. 15"
_Static_assert(sizeof((struct parcel *)0)->key == PRINT_KEY_BYTES, "a parcel carries the key");

struct putter { /* one thread's */
	struct job *j;
	unsigned route;
	const struct target_ops *ops;
	struct gate *gate;      /* owned */
	struct target *target;  /* owned; NULL between connections */
	struct put_item *items; /* owned; RUN_ITEMS */
	struct item *records;   /* owned; RUN_ITEMS */
	struct tries tries;     /* connections lost and requests to come again or to wait, since a message was placed */
	unsigned full;          /* answers in a row that may mean a full mailbox */
	unsigned culprits;      /* messages set aside in a row because the destination fails with them */
};

/* Of one parcel of a run. */
enum fate { FATE_AGAIN, FATE_SETTLED, FATE_NEXT_ROUTE, FATE_NEXT_ROUND };

struct verdicts {           /* on a run that was put */
	size_t placed;      /* the first of p->records */
	size_t aside;       /* the last of its n */
	bool remake_folder; /* it went away */
	struct err fatal;   /* ends the mailbox; kind NONE: nothing does */
	struct err busy;    /* asks to come again; kind NONE: nothing does */
};

/* What became of the run's n parcels, which p->items tells: fates[i] of each, and what is to be saved, in p->records. */
void putter_judge(struct putter *p, struct parcel *run, size_t n, enum fate *fates, struct verdicts *v);

/* Remembers why this route does not carry the message. */
void putter_add_reason(struct putter *p, struct parcel *q, const struct err *why);
/* Gives messages to other routes: intended anew, then queued. None of them lies at the destination: refused, or never sent. *left: those that no
   other route takes. -1: all that is in *list is the caller's still. */
int putter_pass_on(struct putter *p, struct parcel **list, struct parcel **left, struct err *err);
/* The route is dead: what was to go by it goes by the next. 0; -1: it cannot, and the mailbox ends. */
int putter_leave_route(struct putter *p, struct parcel **run, const struct err *why, struct err *err);
/* Not sent: the intents are void, and the next walk over the folder finds the messages again. */
void putter_give_back(struct putter *p, struct parcel **list);

#endif
