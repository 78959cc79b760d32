/* How many mailboxes of a batch at once: begins low, says after a clean stretch what it would raise it to, does so where it may, and steps
   back when more did not help, the source slowed down or refused. Pure: time and sights are given. */
#ifndef NF_ENGINE_RAMP_H
#define NF_ENGINE_RAMP_H

#include <stdbool.h>
#include <stdint.h>

#define RAMP_STRETCH_MS 60000 /* of this length a stretch is judged */

struct ramp {
	int64_t stretch_ms;
	unsigned now;      /* so many at once; 0: not begun */
	int64_t begun_ms;  /* of the stretch that runs */
	unsigned n_sights; /* in it */
	double sum;        /* of what was done a second in them */
	double before; /* what was done a second with fewer, in the stretch before a step up; 0: no step is on trial */
	double best;   /* a second, in the best stretch with this number */
	int64_t hold_until;  /* no step up before */
	int64_t spell_until; /* trouble before it belongs to the step back that was made */
	unsigned steps_back;
	unsigned troubles; /* seen so far */
	unsigned advice;   /* so many it would allow; 0: nothing to say */
};

struct ramp_sight {
	unsigned active;
	unsigned most;     /* that the endpoint, the target and the batch's queue allow */
	double per_s;      /* what is done a second, over all its mailboxes */
	unsigned troubles; /* refusals and losses at the source, ever */
	bool held_back;    /* by a rate, a window, a budget or the destination: more mailboxes would not help */
};

enum ramp_step { RAMP_STAY, RAMP_ADVISE, RAMP_UP, RAMP_BACK };

#define RAMP_TEXT 256
void ramp_init(struct ramp *r, unsigned begin_with, int64_t now_ms, int64_t stretch_ms);
/* automatic: it may step up by itself. text: why, where it is not RAMP_STAY. */
enum ramp_step ramp_see(
	struct ramp *r, int64_t now_ms, const struct ramp_sight *s, bool automatic, char text[RAMP_TEXT]);

#endif
