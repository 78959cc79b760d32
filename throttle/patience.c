#include "throttle/patience.h"

#include <math.h>

#define PATIENCE_HOLD_MS 35000.0 /* at least so long, */
#define PATIENCE_MORE_MS 7000.0  /* more for each trial in a row that gained nothing, */
#define PATIENCE_MORE_MOST 5
#define PATIENCE_COSTS 100.0      /* and so many times what a refusal costs */
#define PATIENCE_UNSURE 100.0     /* less where the refused was so large that the limit may be farther up */
#define PATIENCE_OWING 7.0        /* and so many times longer for each refusal that is not paid for, */
#define PATIENCE_LONGEST_MS 1.2e6 /* but not longer than this, */
#define PATIENCE_FAILED 2         /* and where so many gained nothing */
#define PATIENCE_VAIN 0.1         /* (more must be paid for, the more did), */
#define PATIENCE_REQUESTS 250     /* not before so many times that were taken, */
#define PATIENCE_RARELY_MS 7.2e6  /* or so long has gone: where little is sent that is for ever */
#define PATIENCE_CREDIT 0.0032    /* refusals that a taken request pays for */
#define PATIENCE_CREDIT_FIRST 5.0 /* at the start most is to be learned */
#define PATIENCE_CREDIT_MOST 20.0
#define PATIENCE_CREDIT_LEAST 2.0
#define PATIENCE_COST 0.7 /* of what a fence empties, half while it empties, the rest while it is filled again; */
#define PATIENCE_COST_UNSURE 0.05 /* of that, before the first trial */
#define PATIENCE_FALLEN 1.05      /* a level that was so many times higher has fallen */
#define PATIENCE_HIGH 0.95        /* and one that is so near to the highest is as high */
#define PATIENCE_AWAY_MS 3.6e6 /* how long a limit stays down as a rule; if it did for longer, then for longer still */
#define PATIENCE_AWAY_COST_MS 30e3   /* what a refusal is worth as such while it is down */
#define PATIENCE_AWAY_OWING_MS 300e3 /* and not more often than this, where it was in vain and is not paid for */
#define PATIENCE_SAME 0.02           /* levels that are nearer to each other are the same */

void patience_init(struct patience *p)
{
	*p = (struct patience){.credit = PATIENCE_CREDIT_FIRST, .idle = -1};
}

void patience_forget(struct patience *p)
{
	*p = (struct patience){.credit = p->credit, .idle = p->idle};
}

void patience_taken(struct patience *p, double requests)
{
	p->taken += requests;
	p->credit += PATIENCE_CREDIT * requests;
	if (p->credit > PATIENCE_CREDIT_MOST)
		p->credit = PATIENCE_CREDIT_MOST;
}

void patience_pay(struct patience *p)
{
	p->credit -= 1;
	if (p->credit < -PATIENCE_CREDIT_LEAST)
		p->credit = -PATIENCE_CREDIT_LEAST;
}

void patience_refused(struct patience *p, const struct patience_refusal *r)
{
	bool same = r->tried && r->was > 0 && fabs(r->level - r->was) < PATIENCE_SAME * r->was;
	p->failed = same ? p->failed + 1 : 0;
	if (r->level != r->was)
		p->unsure = r->part > 0 && r->part < 1 ? r->part : 0;
	if (r->proven >= p->high * PATIENCE_HIGH) {
		p->high = r->proven;
		p->high_ms = r->now_ms;
	}
	p->window_ms = r->window_ms;
	p->fence_idle = r->idle;
	p->fence_tried = r->tried || r->tells;
	p->taken = 0;
}

/* What is missing, in time at full pace, until a window is full again that a pause empties in part. A limit that has fallen makes a long
   pause, too: only trials tell what trials cost, and those only when it is clear that it had not fallen. */
void patience_weigh(struct patience *p)
{
	if (p->fence_tried)
		p->idle = p->fence_idle;
	double known = p->idle < 0 ? p->fence_idle : p->idle;
	p->cost_ms = known * known * (double)p->window_ms * PATIENCE_COST * (p->idle < 0 ? PATIENCE_COST_UNSURE : 1);
}

void patience_content(struct patience *p)
{
	p->failed = 0;
}

/* A limit that has fallen may come back. What a trial costs, once in this time, is then as much as what is missed while it is back and
   nobody looks; the longer it was away the less likely it comes in the next minute. */
static double patience_away_ms(const struct patience *p, int64_t now_ms, double level, double cost_ms)
{
	if (p->high <= level * PATIENCE_FALLEN)
		return HUGE_VAL;
	double stays_ms = PATIENCE_AWAY_MS + (double)(now_ms - p->high_ms);
	return sqrt(2 * cost_ms * stays_ms * level / (p->high - level));
}

bool patience_is_over(const struct patience *p, int64_t now_ms, int64_t since_ms, double level)
{
	double since = (double)since_ms;
	double hold =
		PATIENCE_HOLD_MS + PATIENCE_MORE_MS * (p->failed < PATIENCE_MORE_MOST ? p->failed : PATIENCE_MORE_MOST);
	double dear = PATIENCE_COSTS / (1 + PATIENCE_UNSURE * p->unsure) * p->cost_ms;
	if (since < hold || (since < dear && since < patience_away_ms(p, now_ms, level, p->cost_ms)))
		return false;
	bool vain = p->failed >= PATIENCE_FAILED && p->credit < PATIENCE_VAIN * (p->failed - PATIENCE_FAILED);
	double away = patience_away_ms(p, now_ms, level, p->cost_ms + PATIENCE_AWAY_COST_MS);
	if (p->credit >= 1 || (since >= away && (!vain || since >= PATIENCE_AWAY_OWING_MS)))
		return true;
	if (vain && p->taken < PATIENCE_REQUESTS * (p->failed - PATIENCE_FAILED + 1) && since < PATIENCE_RARELY_MS)
		return false;
	double owing = hold * pow(PATIENCE_OWING, 1 - p->credit);
	return since >= (owing < PATIENCE_LONGEST_MS ? owing : PATIENCE_LONGEST_MS);
}
