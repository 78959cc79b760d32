/* The simulated far side: the limits of exosim (upload/exosim/limit) for each mailbox, and what else may go wrong there. One thread. */
#ifndef NF_BENCH_THROTTLE_SERVER_H
#define NF_BENCH_THROTTLE_SERVER_H

#include "tests/bench/throttle_scenario.h"

#define SERVER_BURSTS 256

struct server {
	const struct scenario *s; /* borrowed */
	struct limit *limit;      /* owned; by mailbox */
	double factor;            /* of the real limits, now */
	unsigned changes;
	unsigned in_flight;
	struct {
		int64_t from, to;
	} burst[SERVER_BURSTS];
	unsigned bursts, burst_now;
	uint64_t random;
	double other; /* the other program's share now */
};

struct answer {
	enum { ANSWER_TAKEN, ANSWER_REFUSED, ANSWER_NONE } what;
	enum limit_kind kind; /* refused for */
	bool tenant;          /* refused for all mailboxes together */
	int64_t retry_after_ms;
	double ms; /* until it is there */
};

void server_init(struct server *v, const struct scenario *s, unsigned seed);
void server_done(struct server *v);
/* Once a second. */
void server_second(struct server *v, int64_t second);
void server_begin(struct server *v, unsigned box, int64_t now_ms, uint64_t bytes, struct answer *a);
void server_end(struct server *v, unsigned box, const struct answer *a);
/* When it would take so many bytes of that mailbox; INT64_MAX: not before something ends. */
int64_t server_peek(struct server *v, unsigned box, int64_t now_ms, uint64_t bytes);
/* What is left of the limit on bytes for us. */
uint64_t server_level(struct server *v, unsigned box, int64_t second);

#endif
