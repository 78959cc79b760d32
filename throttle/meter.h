/* All that limits one scope: ledgers, paces, what is in flight, the fence, and what was learned. Pure: decides for a time that is
   given, keeps no lock and wakes nobody. */
#ifndef NF_THROTTLE_METER_H
#define NF_THROTTLE_METER_H

#include "throttle/adapt.h"
#include "throttle/bucket.h"
#include "throttle/flight.h"
#include "throttle/gate.h"
#include "throttle/window_guess.h"
#include "throttle/window_ledger.h"

#define METER_RATE_SECONDS 10

enum meter_kind { METER_REQUESTS, METER_BYTES, METER_KINDS };

struct meter_window {                /* one kind of amount */
	struct window_ledger ledger; /* of the published length: the ceiling is never passed */
	struct window_ledger real;   /* of the length that is believed, where it is another */
	struct window_guess guess;
	int64_t guessed_ms;                      /* since when it is believed */
	struct adapt adapt;                      /* of a window of the length that is believed */
	struct bucket pace;                      /* below the ledger */
	int64_t begun_ms;                        /* when the window was last empty; -1: not used yet */
	double fill;                             /* over which part of its length it is filled from there */
	unsigned even;                           /* 0: bursts are taken; more: they were refused */
	int64_t evened_ms;                       /* when one was refused last */
	struct bucket rate;                      /* the person's */
	uint64_t second[METER_RATE_SECONDS + 1]; /* what was sent in the seconds up to second_at */
	int64_t second_at;
};

struct meter {
	struct scope_limits limits;
	double share;
	struct meter_window window[METER_KINDS];
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

struct meter_booking {            /* what a permit holds in one scope */
	double used[METER_KINDS]; /* in use after its start, itself included */
	bool trial[METER_KINDS];
	unsigned n; /* in flight, itself included */
};

struct meter_block {
	int64_t until_ms;   /* LEDGER_NEVER: until something changes */
	enum dimension why; /* DIM_NONE: the fence */
};

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
