/* A discrete-event simulation: mailboxes with endless mail, senders, a network, and a server that limits (upload/exosim/limit).
   Hours pass in seconds, always the same for a seed. One thread. */
#ifndef NF_BENCH_THROTTLE_WORLD_H
#define NF_BENCH_THROTTLE_WORLD_H

#include "throttle/gate.h"
#include "upload/exosim/limit.h"

#define WORLD_SENDERS 4 /* per mailbox */
#define WORLD_SIZES_MOST 65536

enum policy { POLICY_ORACLE, POLICY_OURS, POLICY_FIXED, POLICY_RETRY, POLICY_AIMD, POLICIES };
const char *policy_name(enum policy p);

enum size_mix {
	SIZES_75K,
	SIZES_SMALL,
	SIZES_WIDE
}; /* average 75 KB; about 6 KB; 2 KB to 25 MB, evenly by magnitude */

struct world_change {
	int64_t at_s;
	double factor;
}; /* of the real limits, from then on */

struct scenario {
	const char *name, *what;
	unsigned boxes;
	int64_t seconds;
	enum size_mix sizes;
	double ceiling; /* times the published limits */
	double real;    /* times the published limits */
	struct world_change change[4];
	double other_low, other_high; /* share of the limit that another program takes, swinging every 20 minutes */
	unsigned in_flight;           /* real; 0: 4 */
	enum limit_retry retry;
	int64_t retry_ms;  /* 0: 1 s */
	bool imap_text;    /* a refusal does not say which limit it was */
	bool zero;         /* Retry-After is 0 */
	int64_t hour_at_s; /* from here on an hour is closed, as the server states at the first request; 0: never */
	bool bursts;       /* 503 for 5 to 30 s, every ten minutes or so */
	unsigned knee;     /* so many requests at once are served without delay; above twice that 503; 0: any number */
	int64_t event_s;   /* recovery is measured from here; 0: none */
	int64_t warm_s;    /* what comes before is not counted; 0: 600 */
};

struct outcome {
	double bytes, requests; /* taken, after the first ten minutes */
	double sent, refused;   /* requests over all, and refused of them */
	double jain;            /* over the mailboxes' bytes */
	double recovery_s;      /* from when on five minutes carry 95 % of the real limit again; -1: none or never */
	double worst_s;         /* the longest time in which nothing was taken */
	bool exceeded;          /* the ceiling was passed in some window */
	float *per_second;      /* owned; bytes taken */
	float *requests_per_second; /* owned */
};

void world_run(const struct scenario *s, enum policy p, unsigned seed, struct outcome *out);
void outcome_done(struct outcome *o);

#endif
