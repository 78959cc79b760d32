#include "throttle/window_guess.h"

#include <math.h>
#include <string.h>

/* Times the published. */
static const double guesses[GUESSES] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2};
#define GUESS_PUBLISHED 6
#define GUESS_LONGEST 2
#define GUESS_FORGET 0.3 /* of what was not explained before, when a refusal tells as much as it can */
#define GUESS_MOST 0.5   /* that much: limits change, too */
#define GUESS_EMPTY \
	0.7 /* an empty window takes anything: so much is wrong with a length that says it was refused in one, */
#define GUESS_VOID 0.03  /* of the most that was taken: less is empty */
#define GUESS_FIXED 0.04 /* each that is not explained, besides how far it is off */
#define GUESS_DUST 0.006 /* amounts that are nearer to each other are the same */
#define GUESS_DOUBT 0.04 /* so much a length must explain better for each doubling that it is off the published, */
#define GUESS_BACK 0.25  /* and the published one to be believed again, */
#define GUESS_CHANGE 0.4 /* or another instead, */
#define GUESS_PART 0.35  /* to which so little of that is left to explain: a limit that moves is explained by none; */
#define GUESS_CHANGE_LONGER 0.6 /* a longer one must explain nearly all: it evens out what others use, too */
#define GUESS_PART_LONGER 0.1

void guess_init(struct window_guess *g, int64_t now_ms, int64_t published_ms)
{
	memset(g->refused, 0, sizeof g->refused);
	memset(g->taken, 0, sizeof g->taken);
	memset(g->wrong, 0, sizeof g->wrong);
	g->published_ms = published_ms;
	g->best = GUESS_PUBLISHED;
	g->best_ms = published_ms;
	g->open_ms = now_ms;
	ledger_init(&g->history, now_ms, published_ms * GUESS_LONGEST);
}

void guess_book(struct window_guess *g, int64_t now_ms, int64_t started_ms, uint64_t n)
{
	(void)ledger_used(&g->history, now_ms);
	ledger_add(&g->history, started_ms, n);
}

static double history_at(const struct window_guess *g, int64_t slot)
{
	return (double)g->history.slot[(uint64_t)slot % LEDGER_SLOTS];
}

double guess_since(struct window_guess *g, int64_t now_ms)
{
	struct window_ledger *h = &g->history;
	(void)ledger_used(h, now_ms);
	double sum = 0;
	for (int64_t k = h->newest - g->best_ms / h->slot_ms + 1; k <= h->newest; k++)
		sum += history_at(g, k);
	return sum;
}

struct span_use {
	double now,
		most; /* in use now, at most; the most since the last refusal's fence with something that was taken, at least */
};

static struct span_use window_use(const struct window_guess *g, int64_t window_ms)
{
	const struct window_ledger *h = &g->history;
	struct span_use u = {0};
	double sum = 0;
	int64_t open = g->open_ms / h->slot_ms + 1, slots = window_ms / h->slot_ms; /* whole ones */
	if (slots < 1)
		slots = 1;
	for (int64_t k = h->oldest; k <= h->newest; k++) {
		sum += history_at(g, k);
		if (k - slots >= h->oldest)
			sum -= history_at(g, k - slots);
		if (k >= open && k < h->newest && sum > u.most && history_at(g, k) > 0)
			u.most = sum;
	}
	u.now = sum;
	for (int64_t k = h->newest - slots; k >= h->oldest && k > h->newest - slots - 2; k--)
		u.now += history_at(g, k);
	return u;
}

/* By how much more was taken than what was refused, as a logarithm. */
static double excess(double taken, double refused)
{
	if (taken <= 0 || refused <= 0)
		return 0;
	double by = log(taken / refused) - GUESS_DUST;
	return by < 0 ? 0 : by + GUESS_FIXED > GUESS_MOST ? GUESS_MOST : by + GUESS_FIXED;
}

/* What that length does not explain of this refusal. */
static double guess_ask(struct window_guess *g, unsigned i, double held, double n)
{
	struct span_use u = window_use(g, (int64_t)(guesses[i] * (double)g->published_ms));
	double taken = u.most > g->taken[i] ? u.most : g->taken[i], now = u.now + held;
	double by = excess(taken, now) + excess(u.most, g->refused[i]);
	if (now <= n * (1 + GUESS_DUST) || now <= GUESS_VOID * taken)
		by += GUESS_EMPTY;
	g->refused[i] = now;
	g->taken[i] = taken < now ? taken : now;
	return by;
}

static bool guess_believe(struct window_guess *g)
{
	unsigned best = 0, was = g->best;
	double score[GUESSES];
	for (unsigned i = 0; i < GUESSES; i++) {
		score[i] = g->wrong[i] + GUESS_DOUBT * fabs(log2(guesses[i]));
		best = score[i] < score[best] ? i : best;
	}
	bool longer = best > was;
	double change = longer ? GUESS_CHANGE_LONGER : GUESS_CHANGE, part = longer ? GUESS_PART_LONGER : GUESS_PART;
	if (score[was] <= score[best] + (best == GUESS_PUBLISHED ? GUESS_BACK : change))
		return false;
	if (best != GUESS_PUBLISHED && g->wrong[best] > part * g->wrong[was])
		return false;
	g->best = best;
	g->best_ms = (int64_t)(guesses[best] * (double)g->published_ms);
	if (g->best_ms < 1)
		g->best_ms = 1;
	return true;
}

bool guess_refused(
	struct window_guess *g, int64_t now_ms, int64_t started_ms, int64_t fence_end_ms, double held, double n)
{
	double by[GUESSES], least = HUGE_VAL, most = 0;
	bool again = started_ms < g->open_ms; /* in flight when the last was refused: the same event */
	(void)ledger_used(&g->history, now_ms);
	for (unsigned i = 0; i < GUESSES && !again; i++) {
		by[i] = guess_ask(g, i, held, n);
		least = by[i] < least ? by[i] : least;
		most = by[i] > most ? by[i] : most;
	}
	g->open_ms = fence_end_ms > now_ms ? fence_end_ms : now_ms;
	if (again)
		return false;
	double keep = 1 - GUESS_FORGET * (most - least < GUESS_MOST ? (most - least) / GUESS_MOST : 1);
	for (unsigned i = 0; i < GUESSES; i++) /* what none explains is a limit that changed */
		g->wrong[i] = g->wrong[i] * keep + by[i] - least;
	return guess_believe(g);
}

void guess_fill(const struct window_guess *g, int64_t now_ms, uint64_t held, struct window_ledger *l)
{
	const struct window_ledger *h = &g->history;
	ledger_init(l, now_ms, g->best_ms);
	for (int64_t k = h->oldest; k <= h->newest; k++) {
		int64_t at = (k + 1) * h->slot_ms - 1;
		ledger_add(l, at < now_ms ? at : now_ms, h->slot[(uint64_t)k % LEDGER_SLOTS]);
	}
	ledger_hold(l, held);
}
