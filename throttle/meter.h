/* All that limits one scope: ledgers, paces, what is in flight, the fence, and what was learned. Pure: decides for a time that is
   given, keeps no lock and wakes nobody. */
#ifndef NF_THROTTLE_METER_H
#define NF_THROTTLE_METER_H

#include "throttle/amount.h"
#include "throttle/flight.h"
#include "throttle/gate.h"

enum meter_kind { METER_REQUESTS, METER_BYTES, METER_KINDS };

struct meter {
	struct scope_limits limits;
	double share;
	struct amount amount[METER_KINDS];
	struct flight flight;
	unsigned in_flight;
	unsigned ramp; /* after a fence: at most so many at once, one more for each that is taken; 0: over */
	unsigned refused_in_row;
	unsigned lost_in_row;
	int64_t lost_at_ms;
	uint64_t refused; /* requests in it and below that were throttled */
	int64_t fence_end_ms;
	int64_t fenced_at_ms;
	int64_t used_ms; /* last use */
	char reason[160];
};

struct meter_booking { /* what a permit holds in one scope */
	struct amount_booking amount[METER_KINDS];
	unsigned n; /* in flight, itself included */
};

struct meter_block {
	int64_t until_ms;   /* LEDGER_NEVER: until something changes */
	enum dimension why; /* DIM_NONE: the fence */
};

/* m is zero. */
void meter_init(struct meter *m, int64_t now_ms, const struct scope_limits *limits);
void meter_set_limits(struct meter *m, int64_t now_ms, const struct scope_limits *limits);
/* Share of the rate, 0..1; 0 closes. */
void meter_set_share(struct meter *m, int64_t now_ms, double share);
/* True: it may start now. Else *block says until when it is worth waiting. */
bool meter_may(struct meter *m, int64_t now_ms, const struct demand *d, struct meter_block *block);
void meter_start(struct meter *m, int64_t now_ms, const struct demand *d, struct meter_booking *b);

struct meter_end {
	enum verdict verdict;
	const struct throttle_hint *hint; /* NULL: none, or about another scope */
	uint64_t bytes_sent;
	unsigned latency_ms;
	int64_t started_ms;
};
void meter_stop(struct meter *m, int64_t now_ms, const struct demand *d, const struct meter_booking *b,
	const struct meter_end *end);
void meter_fence(struct meter *m, int64_t now_ms, int64_t ms, const char *reason);
/* Bytes or requests a second that are let in at this moment; 0: no limit. */
double meter_allowed_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind);
double meter_rate_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind);
void meter_get_learned(const struct meter *m, struct scope_learned *out);
void meter_set_learned(struct meter *m, int64_t now_ms, const struct scope_learned *l, int64_t age_s);

#endif
