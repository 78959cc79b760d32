/* When is a trial of more than is known to be taken worth it? A trial that is refused costs a refusal, of which few are wanted, and the
   pause that the server then asks for. What it may gain is small as long as nothing changed, and large where the limit was higher before.
   Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_PATIENCE_H
#define NF_THROTTLE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

struct patience {
	double credit;   /* refusals that what was taken pays for */
	double taken;    /* requests since the last refusal */
	unsigned failed; /* trials refused in a row, with nothing gained */
	double unsure;   /* the limit may be by such a part higher than the level, which a large request found */
	double high;     /* the highest level that was seen, of late */
	int64_t high_ms; /* when */
	int64_t window_ms;
	double cost_ms;    /* what a refusal costs beyond what is caught up afterwards */
	double idle;       /* what part of the window the last trial's fence emptied; below 0: none yet */
	double fence_idle; /* the same of the last fence: not a trial's cost if it turns out that the limit had fallen */
	bool fence_tried;
};

void patience_init(struct patience *p);
/* What was learned about the limit is void: what refusals cost, and those that are still to be paid for, are not. */
void patience_forget(struct patience *p);
/* Requests were taken. */
void patience_taken(struct patience *p, double requests);
/* One was refused. */
void patience_pay(struct patience *p);

struct patience_refusal {
	int64_t now_ms, window_ms;
	double level, was; /* now and before; 0: none */
	double proven;     /* what was really taken, now or before */
	double part;       /* the refused, of all that would have been in use */
	double idle;       /* what part of the window its fence empties */
	bool tried;        /* it was a trial, */
	bool tells;        /* or for another reason its fence is what a trial's would be */
};
/* And it was not one of several at once. */
void patience_refused(struct patience *p, const struct patience_refusal *r);
/* The limit had not fallen: so that is what a refusal costs. */
void patience_weigh(struct patience *p);
/* The level was the published one after all. */
void patience_content(struct patience *p);
/* Whether it is time, so long after the last refusal's fence. */
bool patience_is_over(const struct patience *p, int64_t now_ms, int64_t since_ms, double level);

#endif
