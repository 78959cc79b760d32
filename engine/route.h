/* The routes of a job: its ways into the target mailbox, in the person's order of preference. One that turns out dead is left for the rest of the run,
   and the next takes over. A route is named by its place in job.routes. */
#ifndef NF_ENGINE_ROUTE_H
#define NF_ENGINE_ROUTE_H

#include "upload/target.h"

#include <stdatomic.h>

struct job;
struct route_folder;
struct tries;

#define JOB_ROUTES 4
#define ROUTE_NONE JOB_ROUTES

struct job_route {
	const struct target_ops *ops; /* borrowed */
	bool listed; /* new mail may go by it: the person allows it and its test passed. Others only finish what they began */
	_Atomic bool lost; /* not usable for the rest of this run */
	bool reached;      /* opened at least once in this run */
	struct gate *gate; /* owned; the job thread's */
	struct target *
		target; /* owned; the job thread's own, for folders, lists and reading back; NULL between connections */
	struct err why; /* guarded by job.lock: of the loss */
};

/* Fills job.routes from the target's row and proofs: those that may carry mail first. ERR_RIGHTS: none may. */
int route_plan(struct job *j, struct err *err);
/* Opens every route that may carry mail; one that cannot be opened is lost where another can. */
int route_open_all(struct job *j, struct err *err);
void route_close_all(struct job *j);
/* ROUTE_NONE: the target has no such route, or its settings are gone. */
unsigned route_named(const struct job *j, const char *name);
bool route_carries(struct job *j, unsigned r);
/* The first that carries; ROUTE_NONE: none does any more. */
unsigned route_lead(struct job *j);
/* The job thread's open target, with retries. A loss is told to route_lose by the caller. */
int route_target(struct job *j, unsigned r, struct err *err);
void route_drop(struct job *j, unsigned r);
/* After a step by the route failed (err): 0: it may pass, and was waited for; the session is dropped. -1: it does not, or too often in a row (a server
   that asks to wait is waited for as often as it asks), or the job is over. The job thread's. */
int route_again(struct job *j, unsigned r, struct tries *t, struct err *err);
/* The route is of no use for that error (err): 0 where it alone is to blame and another carries on, err is empty; else -1. */
int route_leave(struct job *j, unsigned r, struct err *err);
/* The open target and its view of the folder (folder_ref_done it), for a look at what is there; nothing is made. 0; -1: as route_target, or the folder
   cannot be looked at. */
enum reach { REACH_OK, REACH_NO_ROUTE /* it cannot be used in this run */, REACH_NO_FOLDER };
int route_reach(
	struct job *j, struct route_folder *f, unsigned r, struct folder_ref *ref, enum reach *how, struct err *err);
/* One try; any thread. */
int route_open(struct job *j, unsigned r, struct gate *gate, struct target **out, struct err *err);
/* Is that an error that another route would not have? */
bool route_is_to_blame(enum err_kind kind);
/* Leaves the route for the rest of the run, with a note. True: another one carries on. Any thread. */
bool route_lose(struct job *j, unsigned r, const struct err *why);
/* The first route in order that takes the message into the folder and is not in the mask `tried`. ROUTE_NONE: why says, for each, why not. Any thread;
   f is opened. */
unsigned route_choose(struct job *j, struct route_folder *f, const struct mail *m, unsigned tried, struct err *why);
int64_t route_settle_after_ms(const struct job *j, unsigned r);
/* How many at once; 0: as many as the batch says (--uploads). */
unsigned route_putters(const struct job *j, unsigned r);
/* What tells folders of one name apart: as the route says, else made of its own handle. */
void route_generation(const struct folder_ref *ref, char *out, size_t size);

#endif
