/* One kind of amount (requests, bytes) in one scope: what its sliding window holds, how long that window really is, what limit was
   learned, and the pace below it. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_AMOUNT_H
#define NF_THROTTLE_AMOUNT_H

#include "throttle/adapt.h"
#include "throttle/bucket.h"
#include "throttle/window_guess.h"
#include "throttle/window_ledger.h"

#define AMOUNT_RATE_SECONDS 10

struct amount {
	double ceiling;              /* the published limit; 0: none */
	struct window_ledger ledger; /* of the published length: the ceiling is never passed */
	struct window_ledger real;   /* of the length that is believed, where it is another */
	double late;                 /* how much less is in use, as a rule, if each counts from its start only */
	struct window_guess guess;
	int64_t guessed_ms;                       /* since when it is believed */
	struct adapt adapt;                       /* of a window of the length that is believed */
	struct bucket pace;                       /* below the ledger */
	struct bucket rate;                       /* the person's */
	int64_t begun_ms;                         /* when the window was last empty; -1: not used yet */
	double fill;                              /* over which part of its length it is filled from there */
	unsigned even;                            /* 0: bursts are taken; more: they were refused */
	int64_t evened_ms;                        /* when one was refused last */
	double sent;                              /* ever */
	double unnamed, unnamed_sent;             /* in use, and sent, when a refusal named no limit last */
	uint64_t second[AMOUNT_RATE_SECONDS + 1]; /* what was sent in the seconds up to second_at */
	int64_t second_at;
};

/* a is zero. */
void amount_init(struct amount *a, int64_t now_ms, double ceiling, int64_t length_ms);
void amount_set_limit(struct amount *a, int64_t now_ms, double ceiling, int64_t length_ms);
/* What is in use as the server counts it, as far as we know. */
double amount_used(struct amount *a, int64_t now_ms);
/* Amounts in a window of the length that is believed, for each in one of the published length. */
double amount_scale(const struct amount *a);
/* When n may be sent: now or before, or until when it is worth waiting (LEDGER_NEVER: until something changes). */
int64_t amount_may_at(struct amount *a, int64_t now_ms, double share, uint64_t n);

struct amount_booking {
	double used; /* in use after its start, itself included: as we count, */
	double sure; /* and what of that the server counts for sure */
	bool trial;
};
void amount_start(struct amount *a, int64_t now_ms, double share, uint64_t n, struct amount_booking *b);
/* What was booked for n ends: real was sent. */
void amount_settle(struct amount *a, int64_t now_ms, int64_t started_ms, uint64_t n, uint64_t real);
/* Then one of these three. */
void amount_taken(struct amount *a, int64_t started_ms, uint64_t n, unsigned requests, const struct amount_booking *b);
void amount_unknown(struct amount *a, const struct amount_booking *b);
struct amount_refusal {
	int64_t now_ms, started_ms, fence_end_ms;
	uint64_t n;
	bool unnamed; /* the server did not say that it was this limit */
};
void amount_refused(struct amount *a, const struct amount_refusal *r, const struct amount_booking *b);

/* A refusal without a name: how near the limit is (1: reached), if so near that it may be this one; else 0. */
double amount_suspect(struct amount *a, int64_t now_ms);
/* Whether as much was in use at the last such refusal, and more was sent since; remembers this one for the next. */
bool amount_same(struct amount *a, int64_t now_ms);
bool amount_is_learned(const struct amount *a);
/* A second, that are let in at this moment; 0: no limit. */
double amount_allowed_per_s(struct amount *a, int64_t now_ms, double share);
double amount_rate_per_s(struct amount *a, int64_t now_ms);
/* The limit that was learned, of a window of the published length; 0: none. */
double amount_get_learned(const struct amount *a);
/* trust: 0 to 1. */
void amount_set_learned(struct amount *a, int64_t now_ms, double level, double trust);

#endif
