/* A discrete-event simulation: mailboxes with endless mail, senders, a network, and a server that limits. Hours pass in seconds,
   always the same for a seed. One thread. */
#ifndef NF_BENCH_THROTTLE_WORLD_H
#define NF_BENCH_THROTTLE_WORLD_H

#include "tests/bench/throttle_scenario.h"
#include "throttle/gate.h"

#include <stdio.h>

#define WORLD_SENDERS 4 /* per mailbox */

/* The last two are ours as it would be if somebody told it the limit: every second, or only as often as it may be refused (once for
   WORLD_TOLD_EACH requests), free of charge: whoever learns the limit from refusals only knows no more than the last one. */
enum policy {
	POLICY_ORACLE,
	POLICY_OURS,
	POLICY_FIXED,
	POLICY_RETRY,
	POLICY_AIMD,
	POLICY_TOLD,
	POLICY_TOLD_RARELY,
	POLICIES
};
#define WORLD_TOLD_EACH 200
#define POLICIES_SHOWN POLICY_TOLD
const char *policy_name(enum policy p);

struct outcome {
	double bytes, requests;     /* taken, after the first ten minutes */
	double sent, refused;       /* requests over all, and refused of them */
	double jain;                /* over the mailboxes' bytes */
	double worst_s;             /* the longest time in which nothing was taken */
	bool exceeded;              /* the ceiling was passed in some window */
	float *per_second;          /* owned; bytes taken */
	float *requests_per_second; /* owned */
};

/* trace: what happens to the first mailbox goes there; NULL: nowhere. */
void world_run(const struct scenario *s, enum policy p, unsigned seed, FILE *trace, struct outcome *out);
void outcome_done(struct outcome *o);

/* Of what the oracle sent, in the dimension that binds it. */
double outcome_share(const struct scenario *s, const struct outcome *o, const struct outcome *oracle);
/* Whether requests bind the oracle rather than bytes. */
bool outcome_by_requests(const struct scenario *s, const struct outcome *oracle);
/* The longest time from a rise of the limit or the end of a stated fence until five minutes carry 95 % of what the oracle then sends
   on average. -1: never. NAN: nothing rose. */
double outcome_recovery(const struct scenario *s, const struct outcome *o, const struct outcome *oracle);

#endif
