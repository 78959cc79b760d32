/* Finds the real limit below a ceiling. Pure; its owner's thread or lock.
   Nothing is known: the ceiling (the published limit) is the limit. A refusal tells what was in use when the server had enough:
   that is the level. The limit drops below it, comes back quickly to just under it, holds there, and then, when enough was taken
   since to pay for one more refusal, goes past it, first slowly, then faster as long as the server takes it (the shape of
   CUBIC, RFC 9438). Whatever lies above what was proven goes in trials, one at first, so that a wrong guess costs one refusal. */
#ifndef NF_THROTTLE_ADAPT_H
#define NF_THROTTLE_ADAPT_H

#include <stdbool.h>
#include <stdint.h>

/* For an amount in a window (requests, bytes). */
struct adapt {
	double ceiling;     /* 0: none */
	double level;       /* in use at the last refusal, without the refused; 0: not refused, or forgotten */
	double proven;      /* most that was in use when something was taken since */
	int64_t lowered_ms; /* the refusal, or the end of its fence */
	int64_t past_ms;    /* since when it goes past the level; 0: it does not */
	double credit;      /* refusals that what was taken pays for */
	double away;        /* a limit that falls: how much farther to stay below */
	double cost_ms;     /* what a refusal costs beyond what is caught up afterwards, smoothed */
	bool weighing;      /* the last one's cost is not known yet */
	int64_t window_ms;
	unsigned room, trying; /* trials at once; in flight */
	unsigned wins;         /* trials that were taken since */
};

void adapt_init(struct adapt *a, double ceiling);
void adapt_set_ceiling(struct adapt *a, double ceiling);
/* The limit now; HUGE_VAL: none. Starts to go past the level when it is time. */
double adapt_limit(struct adapt *a, int64_t now_ms);
/* Whether so much in use may be what a refusal without a reason is about. */
bool adapt_is_near(const struct adapt *a, double used);
/* Whether the limit changes by itself with time. */
bool adapt_is_moving(const struct adapt *a);
/* Whether a request after which `used` is in use is a trial; whether a trial may start now. */
bool adapt_is_trial(const struct adapt *a, double used);
bool adapt_may_try(
	const struct adapt *a, int64_t now_ms, double n); /* n: its own amount; large ones are no good trials */
void adapt_start_trial(struct adapt *a);
/* What became of a request after whose start `used` was in use, itself included. */
void adapt_taken(struct adapt *a, int64_t started_ms, double used, double requests, bool trial);
/* n: its amount; used: without it. fence_end_ms: when the next may go. */
void adapt_refused(struct adapt *a, int64_t now_ms, int64_t started_ms, double used, double n, int64_t fence_end_ms,
	int64_t window_ms, bool trial);
/* Starts with a level that was learned before, as if it had just been found. */
void adapt_recall(struct adapt *a, int64_t now_ms, double level);
void adapt_unknown(struct adapt *a, bool trial); /* no answer, or nothing was sent */

/* For what is in flight at once: whole numbers, and the latency has a say. Latency rises before a server refuses: when a request
   takes more than twice as long as one of its size takes at best, fewer are let in. The best is learned and slowly forgotten,
   so that a server that is always slow is not held against itself: the gradient counts, not the level. */
#define FLIGHT_CLASSES 12
struct flight {
	unsigned ceiling; /* 0: none */
	unsigned level;   /* known good; 0: not refused */
	int64_t lowered_ms;
	double credit;
	unsigned wins; /* taken at one above the level */
	double steer;  /* what latency allows; 0: all */
	int64_t steered_ms;
	double ratio; /* latency to the best of its size, smoothed; 0: unknown */
	double best_ms[FLIGHT_CLASSES];
	int64_t best_at_ms[FLIGHT_CLASSES];
};

void flight_init(struct flight *f, unsigned ceiling);
void flight_set_ceiling(struct flight *f, unsigned ceiling);
/* At once, now; at least 1. UINT32_MAX: any number. */
unsigned flight_limit(const struct flight *f, int64_t now_ms);
/* A request that was the n-th in flight was taken; in_flight now, itself included. latency_ms 0: unknown. */
void flight_taken(
	struct flight *f, int64_t now_ms, unsigned n, unsigned in_flight, uint64_t bytes, unsigned latency_ms);
/* mild: the server did not say that this was the reason. */
void flight_refused(struct flight *f, int64_t now_ms, int64_t started_ms, unsigned n, int64_t fence_end_ms, bool mild);
void flight_recall(struct flight *f, int64_t now_ms, unsigned level);

#endif
