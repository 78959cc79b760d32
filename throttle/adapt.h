/* Finds the real limit on an amount in a window (requests, bytes) below a ceiling. Pure; its owner's thread or lock.
   Nothing is known: the ceiling (the published limit) is the limit. A refusal tells what was in use when the server had enough:
   that is the level. The limit drops below it, comes back quickly to just under it, holds there, the longer the less what was taken
   pays for one more refusal, and then goes past it, first slowly, then faster as long as the server takes it (the shape of
   CUBIC, RFC 9438). Whatever lies above what was proven goes in trials, one at first, so that a wrong guess costs one refusal.
   After a pause that emptied part of the window nothing is known any more above what is still in use: it goes on from there. */
#ifndef NF_THROTTLE_ADAPT_H
#define NF_THROTTLE_ADAPT_H

#include "throttle/patience.h"

#include <stdbool.h>
#include <stdint.h>

struct adapt {
	double ceiling;     /* 0: none */
	double level;       /* in use at the last refusal, without the refused; 0: not refused, or forgotten */
	double proven;      /* most that was in use when something was taken since */
	double alone;       /* the largest that was taken since with nothing else in use */
	int64_t lowered_ms; /* the refusal, or the end of its fence */
	int64_t past_ms;    /* since when it goes past the level; 0: it does not */
	double drop;        /* how far it dropped at the last refusal */
	struct patience patience;
	double away;       /* a limit that falls: how much farther to stay below */
	bool weighing;     /* nothing was taken since the last one, */
	double refused_at; /* when so much was in use, */
	double left;       /* and the fence let so much stay in use, with the refused */
	double refused_with; /* what would have been in use with the smallest that was refused above what is known; 0: unknown */
	double large_with; /* what would have been in use with the large one that was refused last, the least of a row */
	unsigned large_row;    /* so many of those in a row */
	double fell_from;      /* the level before a pause after which it goes on from less; 0: none */
	unsigned room, trying; /* trials at once; in flight */
	unsigned wins;         /* trials that were taken since */
	unsigned doubts;       /* refusals in a row while the window was being filled */
};

void adapt_init(struct adapt *a, double ceiling);
void adapt_set_ceiling(struct adapt *a, double ceiling);
/* The limit now; HUGE_VAL: none. */
double adapt_limit(const struct adapt *a, int64_t now_ms);
/* And for a request of n: lower for a large one after such were refused. */
double adapt_limit_for(const struct adapt *a, int64_t now_ms, double n);
/* Starts to go past the level when it is time. */
void adapt_advance(struct adapt *a, int64_t now_ms);
/* Nothing can be sent until then, whatever the reason. */
void adapt_pause(struct adapt *a, int64_t now_ms, int64_t until_ms);
/* Whether so much in use may be what a refusal without a reason is about. */
bool adapt_is_near(const struct adapt *a, double used);
/* Whether so much is known to be taken: a refusal then is about something else, or the limit has fallen. */
bool adapt_is_known(const struct adapt *a, double used);
/* Whether the limit changes by itself with time. */
bool adapt_is_moving(const struct adapt *a);
/* Whether a request after which `used` is in use is a trial; whether a trial may start now. */
bool adapt_is_trial(const struct adapt *a, double used);
/* n: its own amount; large ones are no good trials, but where a large one was refused. */
bool adapt_may_try(const struct adapt *a, int64_t now_ms, double used, double n);
void adapt_start_trial(struct adapt *a);
/* What became of a request. */
struct adapt_taking {
	int64_t started_ms;
	double used; /* in use after its start, itself included: as we count, */
	double sure; /* and what of that the server counted for sure, then */
	double n;    /* its own amount */
	double requests;
	bool trial;
};
void adapt_taken(struct adapt *a, const struct adapt_taking *t);

struct adapt_refusal {
	int64_t now_ms, started_ms;
	int64_t fence_end_ms; /* when the next may go */
	int64_t window_ms;
	double used, n; /* in use without it; its own amount */
	double left;    /* what is still in use when the next may go */
	double idle;    /* what part of that the fence lets leave the window unused */
	double reach; /* what a full window would hold at the pace of late; more than used while a window is being filled */
	bool trial;
	bool blind; /* it names no limit, but a time that is usual: that says nothing about how far this one has fallen */
};
void adapt_refused(struct adapt *a, const struct adapt_refusal *r);
/* Starts with a level that was learned before, as if it had just been found. */
void adapt_recall(struct adapt *a, int64_t now_ms, double level);
/* What was learned is void; refusals are still to be paid for. */
void adapt_forget(struct adapt *a);
void adapt_unknown(struct adapt *a, bool trial); /* no answer, or nothing was sent, or it was about something else */

#endif
