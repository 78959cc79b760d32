/* How the pace is made: a window that is full empties at limit/window, so that is the pace; room in the window, which a fence or
   an idle time leaves behind, is given out over a part of the window on top. In the long run as much goes out as the window
   takes, and no burst fills it at once. */
#include "throttle/amount.h"

#include <math.h>
#include <string.h>

#define AMOUNT_CATCH_UP 120.0  /* room is given out over such a part of the window, */
#define AMOUNT_MOST 6.0        /* but at so many times the limit's pace at most: a burst leaves the window as a burst */
#define AMOUNT_FILL 1.0        /* the first window is filled over its length */
#define AMOUNT_BURST 1.15      /* a pace so many times the limit's is a burst */
#define AMOUNT_WELL_BELOW 1.1  /* what is known is so many times what was in use */
#define AMOUNT_EASE_MS 300000  /* so long without a refusal of a burst: bursts are allowed again, step by step */
#define AMOUNT_EMPTY 0.02      /* a window of which less is in use is empty */
#define AMOUNT_SAME 0.02       /* amounts that are nearer to each other are the same, */
#define AMOUNT_SINCE 0.2       /* if so much of it was sent between */
#define AMOUNT_LATE 64         /* requests, over which the usual difference is taken */
#define AMOUNT_RECHECK_MS 1000 /* limits that move are looked at again */

/* How even the pace is. The server's window may be shorter than ours; what is refused in a burst although our window has room makes
   it more even. */
static const struct evenness {
	double most;   /* times the limit's pace */
	double refill; /* a window that was emptied by a pause is filled over so much of its length */
	double burst_s;
	double debt_s; /* the pace owes no more: the ledger has counted what is larger */
} evenness[] = {{AMOUNT_MOST, 0.4, 0.05, 1}, {2, 1, 0.05, 1}, {1.25, 1, 0.5, 10}, {1, 1, 0.1, 60}};
#define AMOUNT_EVENEST (sizeof evenness / sizeof *evenness - 1)

static bool amount_is_published(const struct amount *a)
{
	return a->guess.best_ms == a->ledger.window_ms;
}

static struct window_ledger *amount_real(struct amount *a)
{
	return amount_is_published(a) ? &a->ledger : &a->real;
}

double amount_used(struct amount *a, int64_t now_ms)
{
	return (double)ledger_used(amount_real(a), now_ms);
}

double amount_scale(const struct amount *a)
{
	return (double)a->guess.best_ms / (double)a->ledger.window_ms;
}

void amount_init(struct amount *a, int64_t now_ms, double ceiling, int64_t length_ms)
{
	a->ceiling = ceiling;
	a->begun_ms = -1;
	a->fill = AMOUNT_FILL;
	ledger_init(&a->ledger, now_ms, length_ms);
	guess_init(&a->guess, now_ms, a->ledger.window_ms);
	adapt_init(&a->adapt, ceiling);
	bucket_init(&a->pace, now_ms, 0, 0);
	bucket_init(&a->rate, now_ms, 0, 0);
}

void amount_set_limit(struct amount *a, int64_t now_ms, double ceiling, int64_t length_ms)
{
	if (length_ms != a->ledger.window_ms)
		guess_init(&a->guess, now_ms, length_ms);
	ledger_set_window(&a->ledger, now_ms, length_ms);
	a->ceiling = ceiling;
	adapt_set_ceiling(&a->adapt, ceiling * amount_scale(a));
}

/* How much of the window may be in use: all, but one that was empty (at the start, after an idle time or a long fence) is filled
   evenly. What is sent in a burst leaves in a burst, and every window after it would be as uneven. */
static double amount_filled(int64_t now_ms, const struct amount *a, double aim)
{
	double age = a->begun_ms < 0 ? 0 : (double)(now_ms - a->begun_ms) / ((double)a->guess.best_ms * a->fill);
	return age < 1 ? aim * age : aim;
}

/* What the window lets out a second, by its limit, its share and its room. */
static double amount_pace(const struct amount *a, int64_t now_ms, double share, double limit, double used)
{
	double seconds = (double)a->guess.best_ms / 1000.0, aim = limit * share;
	double filled = amount_filled(now_ms, a, aim), room = filled > used ? filled - used : 0;
	double pace = aim + room * AMOUNT_CATCH_UP, most = aim * evenness[a->even].most;
	return (pace < most ? pace : most) / seconds;
}

static int64_t amount_pace_wait(struct amount *a, int64_t now_ms, double share, double limit, double used)
{
	if (a->even && now_ms - a->evened_ms > AMOUNT_EASE_MS) {
		a->even--;
		a->evened_ms = now_ms;
	}
	double pace = amount_pace(a, now_ms, share, limit, used), aim = limit * share;
	double burst = pace * evenness[a->even].burst_s;
	bucket_set(&a->pace, now_ms, pace, burst);
	int64_t wait = bucket_wait_ms(&a->pace, now_ms);
	double ahead = used - amount_filled(now_ms, a, aim) - burst;
	int64_t even = ahead > 0 && a->begun_ms > now_ms - a->guess.best_ms && pace > 0
			       ? (int64_t)(ahead / pace * 1000) + 1
			       : 0;
	return even > wait ? even : wait;
}

static int64_t amount_room_at(struct amount *a, int64_t now_ms, double used, uint64_t n, double limit)
{
	struct window_ledger *real = amount_real(a);
	int64_t fits = ledger_fits_at(real, now_ms, n, (uint64_t)limit);
	if (real != &a->ledger && a->ceiling > 0) {
		int64_t published = ledger_fits_at(&a->ledger, now_ms, n, (uint64_t)a->ceiling);
		fits = published > fits ? published : fits;
	}
	if (used <= 0 || !adapt_is_trial(&a->adapt, used + (double)n)) /* an empty window takes anything */
		return fits;
	bool may = adapt_may_try(&a->adapt, now_ms, used, (double)n);
	if (a->adapt.trying && !may)
		return LEDGER_NEVER; /* the trial in flight ends first */
	if (!may && fits <= now_ms)
		return now_ms + AMOUNT_RECHECK_MS / 2; /* too large to be one: until there is room that is known */
	return fits;
}

int64_t amount_may_at(struct amount *a, int64_t now_ms, double share, uint64_t n)
{
	if (n == 0) /* it does not count here */
		return now_ms;
	int64_t rate = now_ms + bucket_wait_ms(&a->rate, now_ms);
	adapt_advance(&a->adapt, now_ms);
	double limit = adapt_limit(&a->adapt, now_ms);
	if (!isfinite(limit))
		return rate;
	double used = amount_used(a, now_ms);
	int64_t until = now_ms + amount_pace_wait(a, now_ms, share, limit, used);
	int64_t room = amount_room_at(a, now_ms, used, n, adapt_limit_for(&a->adapt, now_ms, (double)n));
	until = room > until ? room : until;
	if (until > now_ms + AMOUNT_RECHECK_MS && until != LEDGER_NEVER && adapt_is_moving(&a->adapt))
		until = now_ms + AMOUNT_RECHECK_MS;
	return until > rate ? until : rate;
}

static void amount_begin(struct amount *a, int64_t now_ms)
{
	a->fill = a->begun_ms < 0 ? AMOUNT_FILL : evenness[a->even].refill;
	a->begun_ms = now_ms;
}

/* We count a request from its start until a window after its end. The server may count it from its start, so that it leaves earlier: what was
   taken proves no more than what the server held for sure. The usual difference is in every amount that we compare, so only what exceeds
   it (a large message that was long on its way) is taken off. */
static double amount_sure(struct amount *a, int64_t now_ms, double used)
{
	double late = used - guess_since(&a->guess, now_ms) - (double)a->ledger.held;
	double sure = used - (late > a->late ? late - a->late : 0);
	a->late += (late - a->late) / AMOUNT_LATE;
	return sure;
}

void amount_start(struct amount *a, int64_t now_ms, double share, uint64_t n, struct amount_booking *b)
{
	double limit = adapt_limit(&a->adapt, now_ms), used = amount_used(a, now_ms);
	bool filling = a->begun_ms >= 0 && now_ms - a->begun_ms < a->guess.best_ms;
	if (!filling && (isfinite(limit) ? used <= limit * share * AMOUNT_EMPTY : used <= 0))
		amount_begin(a, now_ms);
	ledger_hold(&a->ledger, n);
	if (!amount_is_published(a))
		ledger_hold(&a->real, n);
	bucket_take(&a->rate, now_ms, (double)n);
	double most = a->pace.tokens + a->pace.per_s * evenness[a->even].debt_s;
	bucket_take(&a->pace, now_ms, (double)n < most ? (double)n : most > 0 ? most : 0);
	b->used = amount_used(a, now_ms);
	b->sure = amount_sure(a, now_ms, b->used);
	b->trial = n > 0 && adapt_is_trial(&a->adapt, b->used);
	if (b->trial)
		adapt_start_trial(&a->adapt);
}

static void amount_count(struct amount *a, int64_t now_ms, uint64_t n)
{
	int64_t s = now_ms / 1000;
	if (s > a->second_at + AMOUNT_RATE_SECONDS) {
		memset(a->second, 0, sizeof a->second);
		a->second_at = s;
	}
	while (a->second_at < s)
		a->second[(size_t)(++a->second_at) % (AMOUNT_RATE_SECONDS + 1)] = 0;
	a->second[(size_t)s % (AMOUNT_RATE_SECONDS + 1)] += n;
}

void amount_settle(struct amount *a, int64_t now_ms, int64_t started_ms, uint64_t n, uint64_t real)
{
	ledger_settle(&a->ledger, now_ms, n, real);
	if (!amount_is_published(a))
		ledger_settle(&a->real, now_ms, n, real);
	guess_book(&a->guess, now_ms, started_ms, real);
	a->sent += (double)real;
	bucket_give(&a->rate, (double)n - (double)real);
	bucket_give(&a->pace, (double)n - (double)real);
	if (real)
		amount_count(a, now_ms, real);
}

void amount_unknown(struct amount *a, const struct amount_booking *b)
{
	adapt_unknown(&a->adapt, b->trial);
}

void amount_taken(struct amount *a, int64_t started_ms, uint64_t n, unsigned requests, const struct amount_booking *b)
{
	if (started_ms < a->guessed_ms)
		amount_unknown(a, b);
	else
		adapt_taken(&a->adapt, &(struct adapt_taking){.started_ms = started_ms,
					       .used = b->used,
					       .sure = b->sure,
					       .n = (double)n,
					       .requests = requests,
					       .trial = b->trial});
}

/* Whether the pace of late was faster than the limit's. */
static bool amount_is_burst(struct amount *a, int64_t now_ms)
{
	double limit = adapt_limit(&a->adapt, now_ms), sum = 0;
	amount_count(a, now_ms, 0);
	for (int i = 0; i <= AMOUNT_RATE_SECONDS; i++)
		sum += (double)a->second[i];
	return isfinite(limit) &&
	       sum / (AMOUNT_RATE_SECONDS + 0.5) > AMOUNT_BURST * limit * 1000 / (double)a->guess.best_ms;
}

/* The server's window is of another length than was believed: what was learned is void. */
static void amount_change(struct amount *a, int64_t now_ms)
{
	guess_fill(&a->guess, now_ms, a->ledger.held, &a->real);
	adapt_forget(&a->adapt);
	adapt_set_ceiling(&a->adapt, a->ceiling * amount_scale(a));
	a->guessed_ms = now_ms;
}

/* It was the burst: so much is known to be taken. True: so the pace is more even from now on. */
static bool amount_blame_burst(struct amount *a, const struct amount_refusal *r, double used, int64_t fence_ms)
{
	if (fence_ms * 2 >= a->guess.best_ms || a->even >= AMOUNT_EVENEST ||
		!adapt_is_known(&a->adapt, used * AMOUNT_WELL_BELOW) || !amount_is_burst(a, r->now_ms))
		return false;
	if (r->started_ms >= a->evened_ms)
		a->even++;
	a->evened_ms = r->now_ms;
	return true;
}

void amount_refused(struct amount *a, const struct amount_refusal *r, const struct amount_booking *b)
{
	double n = (double)r->n, used = b->used - n;
	if (guess_refused(&a->guess, r->now_ms, r->started_ms, r->fence_end_ms, (double)a->ledger.held, n)) {
		amount_change(a, r->now_ms);
		used = amount_used(a, r->now_ms) - n; /* less was sent of what was refused: below nothing */
		used = used > 0 ? used : 0;
	} else if (r->started_ms < a->guessed_ms) {
		amount_unknown(a, b);
		return;
	}
	int64_t window_ms = a->guess.best_ms, span_ms = r->started_ms - a->begun_ms;
	int64_t fence_ms = r->fence_end_ms - r->now_ms;
	/* where a refusal is dear it is not doubted that our window is right */
	bool doubtful = span_ms < window_ms && fence_ms * 2 < window_ms - span_ms;
	if (amount_blame_burst(a, r, used + n, fence_ms)) {
		amount_unknown(a, b);
		return;
	}
	/* what it could not have sent in any case is no loss */
	double left = (double)ledger_left_at(amount_real(a), r->now_ms, r->fence_end_ms),
	       idle = 1 - (left + 2 * n) / (used + n);
	struct adapt_refusal refusal = {.now_ms = r->now_ms,
		.started_ms = r->started_ms,
		.fence_end_ms = r->fence_end_ms,
		.window_ms = window_ms,
		.used = used,
		.n = n,
		.left = left,
		.idle = idle > 0 ? idle : 0,
		.reach = doubtful ? used * (double)window_ms / (double)(span_ms > 100 ? span_ms : 100) : used,
		.trial = b->trial,
		.blind = r->unnamed && fence_ms <= window_ms};
	adapt_refused(&a->adapt, &refusal);
}

double amount_suspect(struct amount *a, int64_t now_ms)
{
	double used = amount_used(a, now_ms);
	return adapt_is_near(&a->adapt, used) ? used / adapt_limit(&a->adapt, now_ms) : 0;
}

bool amount_same(struct amount *a, int64_t now_ms)
{
	double used = amount_used(a, now_ms), was = a->unnamed, since = a->sent - a->unnamed_sent;
	a->unnamed = used;
	a->unnamed_sent = a->sent;
	return used > 0 && fabs(was - used) < AMOUNT_SAME * used && since > AMOUNT_SINCE * used;
}

bool amount_is_learned(const struct amount *a)
{
	return a->adapt.level > 0;
}

double amount_allowed_per_s(struct amount *a, int64_t now_ms, double share)
{
	double limit = adapt_limit(&a->adapt, now_ms), own = a->rate.per_s;
	double pace = isfinite(limit) ? limit * share * 1000.0 / (double)a->guess.best_ms : 0;
	return pace > 0 && (own <= 0 || pace < own) ? pace : own;
}

double amount_rate_per_s(struct amount *a, int64_t now_ms)
{
	uint64_t sum = 0;
	amount_count(a, now_ms, 0);
	for (int i = 1; i <= AMOUNT_RATE_SECONDS; i++) /* whole seconds only: not the one that runs */
		sum += a->second[(size_t)(a->second_at - i + AMOUNT_RATE_SECONDS + 1) % (AMOUNT_RATE_SECONDS + 1)];
	return (double)sum / AMOUNT_RATE_SECONDS;
}

double amount_get_learned(const struct amount *a)
{
	return a->adapt.level / amount_scale(a);
}

/* Old knowledge leans towards the ceiling: the true limit of last week is anywhere between. */
void amount_set_learned(struct amount *a, int64_t now_ms, double level, double trust)
{
	struct adapt *adapt = &a->adapt;
	if (!(level > 0) || !isfinite(level) || adapt->level > 0)
		return;
	if (adapt->ceiling > 0)
		level += (adapt->ceiling - level) * (1 - trust);
	if (adapt->ceiling <= 0 || level < adapt->ceiling * 0.995)
		adapt_recall(adapt, now_ms, level);
}
