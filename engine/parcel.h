/* Messages on their way from the puller to the putters: a queue bounded in octets. Any thread. */
#ifndef NF_ENGINE_PARCEL_H
#define NF_ENGINE_PARCEL_H

#include "engine/base/mail.h"
#include "engine/base/stop.h"

struct budget;       /* engine/base/spool.h */
struct route_folder; /* engine/job.h */

struct parcel {
	struct mail *mail;           /* owned */
	uint8_t key[16];             /* print_key of the mail, computed once */
	struct route_folder *folder; /* borrowed */
	unsigned route;              /* that is to put it; durable in its intent */
	unsigned refused_by;         /* bit r: route r refused it */
	char *reasons;               /* owned: of those refusals; NULL: none yet */
	unsigned tries;              /* puts of it alone that ended in a lost connection or a refusal to come again */
	unsigned remakes;            /* puts that found no folder */
	bool alone;                  /* put by itself: it was in doubt more than once */
	struct parcel *next;
};

#define PARCEL_ROUTES 4

/* Gives back what its mail holds of the memory budget, and frees both. */
void parcel_release(struct budget *memory, struct parcel **p);

struct parcel_queue;

struct parcel_queue *parcel_queue_new(uint64_t cap_bytes, struct stop *stop);
/* Consumes the list. Blocks while the queue is full (one list always fits an empty queue). ERR_STOPPED: not taken, the list is still yours. */
int parcel_queue_put(struct parcel_queue *q, struct parcel **list, struct err *err);
/* A run of parcels of one folder for that route (below PARCEL_ROUTES), at most max_items and about max_bytes; NULL when the queue is closed and holds
   none for it, or at stop. *busy is the taker's own, false at first: has it a run now? */
struct parcel *parcel_queue_take(
	struct parcel_queue *q, unsigned route, bool *busy, size_t max_items, uint64_t max_bytes);
/* Takes back what was taken (for another route now); never waits. */
void parcel_queue_return(struct parcel_queue *q, struct parcel **list);
/* So many takers of a route may have a run at once; the others wait in parcel_queue_take. Takes effect as runs end. At first any number. A route with
   fixed seats keeps them, whatever parcel_queue_set_takers says for all others. */
void parcel_queue_fix_takers(struct parcel_queue *q, unsigned route, unsigned n);
void parcel_queue_set_takers(struct parcel_queue *q, unsigned n);
struct parcel_view {
	bool full;  /* somebody waits to put */
	bool empty; /* a taker that may have a run waits for one */
	uint64_t bytes, cap;
};
void parcel_queue_look(struct parcel_queue *q, struct parcel_view *out);
/* What was taken is done with: parcel_queue_drain waits until nothing is queued or taken. */
void parcel_queue_done_with(struct parcel_queue *q, size_t n);
int parcel_queue_drain(struct parcel_queue *q, struct err *err);
void parcel_queue_close(struct parcel_queue *q);
/* After the takers have ended: what is left. */
struct parcel *parcel_queue_rest(struct parcel_queue *q);
void parcel_queue_free(struct parcel_queue **q);

#endif
