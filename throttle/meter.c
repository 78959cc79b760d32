/* How the pace is made: a window that is full empties at limit/window, so that is the pace; room in the window, which a fence or
   an idle time leaves behind, is given out over a part of the window on top. In the long run as much goes out as the window
   takes, and no burst fills it at once. */
#include "throttle/meter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define METER_WINDOW_MS 300000 /* where the server's window is not known: Exchange's */
#define METER_CATCH_UP 120.0   /* room is given out over such a part of the window, */
#define METER_MOST 6.0         /* but at so many times the limit's pace at most: a burst leaves the window as a burst */
#define METER_FILL 1.0         /* the first window is filled over its length */
#define METER_BURST 1.15       /* a pace so many times the limit's is a burst */
#define METER_WELL_BELOW 1.1   /* what is known is so many times what was in use */
#define METER_EASE_MS 300000   /* so long without a refusal of a burst: bursts are allowed again, step by step */
#define METER_RETRY_MS 1000    /* a refusal without a time: this, doubled each time */
#define METER_LOST 3           /* lost in a row until it waits */
#define METER_RETRY_MOST_MS 60000
#define METER_FENCE_MOST_MS 3600000 /* a server that asks for more is not believed: Exchange's longest is 50 minutes */
#define METER_TELLING_MS 30000      /* a pause of this length without a named limit is about an amount */
#define METER_EMPTY 0.02            /* a window of which less is in use is empty */
#define METER_RAMP 4
#define METER_TRUST_S 604800.0 /* how long what was learned counts */
#define METER_RECHECK_MS 1000  /* limits that move are looked at again */

/* How even the pace is. The server's window may be shorter than ours; what is refused in a burst although our window has room makes
   it more even. */
static const struct evenness {
	double most;   /* times the limit's pace */
	double refill; /* a window that was emptied by a pause is filled over so much of its length */
	double burst_s;
	double debt_s; /* the pace owes no more: the ledger has counted what is larger */
} evenness[] = {{METER_MOST, 0.4, 1, 1}, {2, 1, 1, 1}, {1.25, 1, 0.5, 10}, {1, 1, 0.1, 60}};
#define METER_EVENEST (sizeof evenness / sizeof *evenness - 1)

static uint64_t meter_ceiling(const struct meter *m, enum meter_kind kind)
{
	return kind == METER_BYTES ? m->limits.bytes : m->limits.requests;
}

static double meter_user_rate(const struct meter *m, enum meter_kind kind)
{
	return kind == METER_BYTES ? m->limits.bytes_per_s : m->limits.requests_per_s;
}

static uint64_t demand_of(const struct demand *d, enum meter_kind kind)
{
	return kind == METER_BYTES ? d->bytes : d->requests;
}

static enum dimension meter_dimension(enum meter_kind kind)
{
	return kind == METER_BYTES ? DIM_BYTES : DIM_REQUESTS;
}

static int64_t meter_window_ms(const struct scope_limits *l, enum meter_kind kind)
{
	uint64_t ms = kind == METER_BYTES ? l->bytes_window_ms : l->requests_window_ms;
	return ms && ms < (uint64_t)1 << 40 ? (int64_t)ms : METER_WINDOW_MS;
}

static bool window_is_published(const struct meter_window *w)
{
	return w->guess.best_ms == w->ledger.window_ms;
}

/* What is in use as the server counts it, as far as we know. */
static struct window_ledger *window_real(struct meter_window *w)
{
	return window_is_published(w) ? &w->ledger : &w->real;
}

/* Amounts in a window of the length that is believed, for each in one of the published length. */
static double window_scale(const struct meter_window *w)
{
	return (double)w->guess.best_ms / (double)w->ledger.window_ms;
}

static void window_set_ceiling(struct meter_window *w, double ceiling)
{
	adapt_set_ceiling(&w->adapt, ceiling * window_scale(w));
}

static void meter_set_rate(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	double per_s = meter_user_rate(m, kind) * m->share, least = kind == METER_BYTES ? 65536 : 1;
	double burst = per_s;
	bucket_set(&m->window[kind].rate, now_ms, per_s, burst > least ? burst : least);
}

void meter_init(struct meter *m, int64_t now_ms, const struct scope_limits *limits)
{
	memset(m, 0, sizeof *m);
	m->limits = *limits;
	m->share = 1;
	m->ramp = METER_RAMP;
	m->used_ms = now_ms;
	flight_init(&m->flight, limits->in_flight);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct meter_window *w = &m->window[k];
		ledger_init(&w->ledger, now_ms, meter_window_ms(limits, k));
		guess_init(&w->guess, now_ms, w->ledger.window_ms);
		adapt_init(&w->adapt, (double)meter_ceiling(m, k));
		w->begun_ms = -1;
		w->fill = METER_FILL;
		bucket_init(&w->pace, now_ms, 0, 0);
		bucket_init(&w->rate, now_ms, 0, 0);
		meter_set_rate(m, now_ms, k);
	}
}

void meter_set_limits(struct meter *m, int64_t now_ms, const struct scope_limits *limits)
{
	m->limits = *limits;
	flight_set_ceiling(&m->flight, limits->in_flight);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct meter_window *w = &m->window[k];
		int64_t window_ms = meter_window_ms(limits, k);
		if (window_ms != w->ledger.window_ms)
			guess_init(&w->guess, now_ms, window_ms);
		ledger_set_window(&w->ledger, now_ms, window_ms);
		window_set_ceiling(w, (double)meter_ceiling(m, k));
		meter_set_rate(m, now_ms, k);
	}
}

void meter_set_share(struct meter *m, int64_t now_ms, double share)
{
	m->share = share < 0 ? 0 : share > 1 ? 1 : share;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
		meter_set_rate(m, now_ms, k);
}

/* How much of the window may be in use: all, but one that was empty (at the start, after an idle time or a long fence) is filled
   evenly. What is sent in a burst leaves in a burst, and every window after it would be as uneven. */
static double window_filled(int64_t now_ms, const struct meter_window *w, double aim)
{
	double age = w->begun_ms < 0 ? 0 : (double)(now_ms - w->begun_ms) / ((double)w->guess.best_ms * w->fill);
	return age < 1 ? aim * age : aim;
}

/* What the window lets out a second, by its limit, its share and its room. */
static double window_pace(
	const struct meter *m, int64_t now_ms, const struct meter_window *w, double limit, double used)
{
	double seconds = (double)w->guess.best_ms / 1000.0, aim = limit * m->share;
	double filled = window_filled(now_ms, w, aim), room = filled > used ? filled - used : 0;
	double pace = aim + room * METER_CATCH_UP, most = aim * evenness[w->even].most;
	return (pace < most ? pace : most) / seconds;
}

static int64_t window_pace_wait(struct meter *m, int64_t now_ms, struct meter_window *w, double limit, double used)
{
	if (w->even && now_ms - w->evened_ms > METER_EASE_MS) {
		w->even--;
		w->evened_ms = now_ms;
	}
	double pace = window_pace(m, now_ms, w, limit, used), aim = limit * m->share;
	double burst = pace * evenness[w->even].burst_s;
	bucket_set(&w->pace, now_ms, pace, burst);
	int64_t wait = bucket_wait_ms(&w->pace, now_ms);
	double ahead = used - window_filled(now_ms, w, aim) - burst;
	int64_t even = ahead > 0 && w->begun_ms > now_ms - w->guess.best_ms && pace > 0
			       ? (int64_t)(ahead / pace * 1000) + 1
			       : 0;
	return even > wait ? even : wait;
}

static void block_until(struct meter_block *block, int64_t until_ms, enum dimension why)
{
	if (until_ms <= block->until_ms)
		return;
	block->until_ms = until_ms;
	block->why = why;
}

static void window_may(struct meter *m, int64_t now_ms, enum meter_kind kind, uint64_t n, struct meter_block *block)
{
	struct meter_window *w = &m->window[kind];
	if (n == 0) /* it does not count here */
		return;
	int64_t wait = bucket_wait_ms(&w->rate, now_ms);
	if (wait)
		block_until(block, now_ms + wait, meter_dimension(kind));
	adapt_advance(&w->adapt, now_ms);
	double limit = adapt_limit(&w->adapt, now_ms);
	if (!isfinite(limit))
		return;
	struct window_ledger *real = window_real(w);
	double used = (double)ledger_used(real, now_ms);
	wait = window_pace_wait(m, now_ms, w, limit, used);
	int64_t until = wait ? now_ms + wait : now_ms;
	int64_t fits = ledger_fits_at(real, now_ms, n, (uint64_t)limit);
	if (real != &w->ledger && meter_ceiling(m, kind)) {
		int64_t published = ledger_fits_at(&w->ledger, now_ms, n, meter_ceiling(m, kind));
		fits = published > fits ? published : fits;
	}
	if (used > 0 && adapt_is_trial(&w->adapt, used + (double)n)) { /* an empty window takes anything */
		if (w->adapt.trying && !adapt_may_try(&w->adapt, now_ms, used, (double)n))
			fits = LEDGER_NEVER; /* the trial in flight ends first */
		else if (!adapt_may_try(&w->adapt, now_ms, used, (double)n) && fits <= now_ms)
			fits = now_ms +
			       METER_RECHECK_MS / 2; /* too large to be one: until there is room that is known */
	}
	if (fits > until)
		until = fits;
	if (until > now_ms + METER_RECHECK_MS && until != LEDGER_NEVER && adapt_is_moving(&w->adapt))
		until = now_ms + METER_RECHECK_MS;
	if (until > now_ms)
		block_until(block, until, meter_dimension(kind));
}

bool meter_may(struct meter *m, int64_t now_ms, const struct demand *d, struct meter_block *block)
{
	*block = (struct meter_block){.until_ms = now_ms, .why = DIM_NONE};
	if (m->share <= 0)
		block_until(block, LEDGER_NEVER, DIM_NONE);
	if (m->fence_end_ms > now_ms) {
		block_until(block, m->fence_end_ms, DIM_NONE);
		return false;
	}
	unsigned most = flight_limit(&m->flight, now_ms);
	if (m->ramp && m->ramp < most)
		most = m->ramp;
	if (m->in_flight >= most)
		block_until(block, LEDGER_NEVER, DIM_IN_FLIGHT);
	if (block->until_ms != LEDGER_NEVER)
		for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
			window_may(m, now_ms, k, demand_of(d, k), block);
	return block->until_ms <= now_ms;
}

static void window_begin(struct meter_window *w, int64_t now_ms)
{

	w->fill = w->begun_ms < 0 ? METER_FILL : evenness[w->even].refill;
	w->begun_ms = now_ms;
}

void meter_start(struct meter *m, int64_t now_ms, const struct demand *d, struct meter_booking *b)
{
	m->used_ms = now_ms;
	b->n = ++m->in_flight;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct meter_window *w = &m->window[k];
		uint64_t n = demand_of(d, k);
		double limit = adapt_limit(&w->adapt, now_ms);
		bool filling = w->begun_ms >= 0 && now_ms - w->begun_ms < w->guess.best_ms;
		double used = (double)ledger_used(window_real(w), now_ms);
		if (!filling && (isfinite(limit) ? used <= limit * m->share * METER_EMPTY : used <= 0))
			window_begin(w, now_ms);
		ledger_hold(&w->ledger, n);
		if (!window_is_published(w))
			ledger_hold(&w->real, n);
		bucket_take(&w->rate, now_ms, (double)n);
		double most = w->pace.tokens + w->pace.per_s * evenness[w->even].debt_s;
		bucket_take(&w->pace, now_ms, (double)n < most ? (double)n : most > 0 ? most : 0);
		b->used[k] = (double)ledger_used(window_real(w), now_ms);
		b->trial[k] = n > 0 && adapt_is_trial(&w->adapt, b->used[k]);
		if (b->trial[k])
			adapt_start_trial(&w->adapt);
	}
}

static void rate_count(struct meter_window *w, int64_t now_ms, uint64_t n)
{
	int64_t s = now_ms / 1000;
	if (s > w->second_at + METER_RATE_SECONDS) {
		memset(w->second, 0, sizeof w->second);
		w->second_at = s;
	}
	while (w->second_at < s)
		w->second[(size_t)(++w->second_at) % (METER_RATE_SECONDS + 1)] = 0;
	w->second[(size_t)s % (METER_RATE_SECONDS + 1)] += n;
}

/* The server did not name a limit but wants a long pause: the amount that is nearest to its limit, if one is near. A limit that is
   known must really be reached, else it is an outage. */
static enum dimension meter_suspect(struct meter *m, int64_t now_ms, int64_t stated_ms)
{
	enum dimension worst = DIM_NONE;
	double most = 0;
	if (stated_ms < METER_TELLING_MS)
		return DIM_NONE;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct meter_window *w = &m->window[k];
		double used = (double)ledger_used(window_real(w), now_ms), part = used / adapt_limit(&w->adapt, now_ms);
		if (adapt_is_near(&w->adapt, used) && part > most) {
			most = part;
			worst = meter_dimension(k);
		}
	}
	return worst;
}

void meter_fence(struct meter *m, int64_t now_ms, int64_t ms, const char *reason)
{
	if (ms > METER_FENCE_MOST_MS)
		ms = METER_FENCE_MOST_MS;
	if (ms < 0 || now_ms + ms <= m->fence_end_ms)
		return;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
		adapt_pause(&m->window[k].adapt, m->fence_end_ms > now_ms ? m->fence_end_ms : now_ms, now_ms + ms);
	m->fence_end_ms = now_ms + ms;
	m->ramp = 1;
	snprintf(m->reason, sizeof m->reason, "%s", reason ? reason : "");
	for (char *c = m->reason; *c;
		c++) /* a peer's words: cut in mid character at worst, never a control character */
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

/* Whether the pace of late was faster than the limit's. */
static bool window_is_burst(struct meter_window *w, int64_t now_ms)
{
	double limit = adapt_limit(&w->adapt, now_ms), sum = 0;
	rate_count(w, now_ms, 0);
	for (int i = 0; i <= METER_RATE_SECONDS; i++)
		sum += (double)w->second[i];
	return isfinite(limit) &&
	       sum / (METER_RATE_SECONDS + 0.5) > METER_BURST * limit * 1000 / (double)w->guess.best_ms;
}

/* The server's window is of another length than was believed: what was learned is void. */
static void window_change(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	struct meter_window *w = &m->window[kind];
	guess_fill(&w->guess, now_ms, w->ledger.held, &w->real);
	adapt_forget(&w->adapt);
	window_set_ceiling(w, (double)meter_ceiling(m, kind));
	w->guessed_ms = now_ms;
}

/* A refusal about this amount. Where so much is known to be taken, it was the burst. */
static void window_refused(struct meter *m, int64_t now_ms, enum meter_kind kind, const struct demand *d,
	const struct meter_booking *b, const struct meter_end *end)
{
	struct meter_window *w = &m->window[kind];
	double n = (double)demand_of(d, kind), used = b->used[kind] - n;
	if (guess_refused(&w->guess, now_ms, end->started_ms, m->fence_end_ms, (double)w->ledger.held)) {
		window_change(m, now_ms, kind);
		used = (double)ledger_used(window_real(w), now_ms) - n;
	} else if (end->started_ms < w->guessed_ms) {
		adapt_unknown(&w->adapt, b->trial[kind]);
		return;
	}
	int64_t window_ms = w->guess.best_ms, span_ms = end->started_ms - w->begun_ms;
	/* where a refusal is dear it is not doubted that our window is right */
	int64_t fence_ms = m->fence_end_ms - now_ms;
	bool doubtful = span_ms < window_ms && fence_ms * 2 < window_ms - span_ms;
	if (fence_ms * 2 < window_ms && adapt_is_known(&w->adapt, (used + n) * METER_WELL_BELOW) &&
		w->even < METER_EVENEST && window_is_burst(w, now_ms)) {
		if (end->started_ms >= w->evened_ms)
			w->even++;
		w->evened_ms = now_ms;
		adapt_unknown(&w->adapt, b->trial[kind]);
		return;
	}
	/* what it could not have sent in any case is no loss */
	double left = (double)ledger_left_at(window_real(w), now_ms, m->fence_end_ms),
	       idle = 1 - (left + 2 * n) / (used + n);
	struct adapt_refusal r = {.now_ms = now_ms,
		.started_ms = end->started_ms,
		.fence_end_ms = m->fence_end_ms,
		.window_ms = window_ms,
		.used = used,
		.n = n,
		.idle = idle > 0 ? idle : 0,
		.reach = doubtful ? used * (double)window_ms / (double)(span_ms > 100 ? span_ms : 100) : used,
		.trial = b->trial[kind],
		.blind = end->hint->dimension == DIM_NONE && fence_ms <= window_ms};
	adapt_refused(&w->adapt, &r);
}

/* No limit on a window can ask for more than the window is long. Who states more is believed when it refuses again after that. */
static int64_t meter_believed_ms(const struct meter *m, const struct throttle_hint *hint)
{
	int64_t most = hint->dimension == DIM_REQUESTS ? m->window[METER_REQUESTS].guess.best_ms
		       : hint->dimension == DIM_BYTES  ? m->window[METER_BYTES].guess.best_ms
						       : METER_WINDOW_MS;
	bool named = hint->dimension != DIM_NONE && m->refused_in_row < 2;
	return named && hint->retry_after_ms > most ? most : hint->retry_after_ms;
}

static void meter_refused(struct meter *m, int64_t now_ms, const struct demand *d, const struct meter_booking *b,
	const struct meter_end *end)
{
	const struct throttle_hint *hint = end->hint;
	bool first = m->refused_in_row == 0 || end->started_ms >= m->fenced_at_ms;
	if (first && m->refused_in_row < 32)
		m->refused_in_row++;
	unsigned doubled = m->refused_in_row > 1 ? m->refused_in_row - 1 : 0;
	int64_t own = METER_RETRY_MS << (doubled > 6 ? 6 : doubled);
	if (own > METER_RETRY_MOST_MS)
		own = METER_RETRY_MOST_MS;
	int64_t stated = meter_believed_ms(m, hint);
	m->fenced_at_ms = now_ms;
	meter_fence(m, now_ms, stated > own || (stated > 0 && m->refused_in_row < 2) ? stated : own, hint->words);
	enum dimension dim = hint->dimension == DIM_NONE ? meter_suspect(m, now_ms, stated) : hint->dimension;
	bool fl = dim == DIM_IN_FLIGHT || dim == DIM_NONE;
	if (fl) /* who of those in flight is refused is chance: the most that were at once */
		flight_refused(&m->flight, now_ms, end->started_ms, b->n > m->in_flight ? b->n : m->in_flight,
			m->fence_end_ms, dim == DIM_NONE);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct adapt *a = &m->window[k].adapt;
		if (dim == meter_dimension(k))
			window_refused(m, now_ms, k, d, b, end);
		else
			adapt_unknown(a, b->trial[k]);
	}
}

/* One lost answer says nothing. A server that limits and drops us again and again has had enough, or is down. Where no limit is known, as of a
   source, whoever lost its connections waits by itself, as a person told it to (--retry-delay). */
static void meter_lost(struct meter *m, int64_t now_ms, int64_t started_ms)
{
	if (!m->limits.requests && !m->limits.bytes && !m->limits.in_flight)
		return;
	if (started_ms < m->lost_at_ms) /* the same connection's */
		return;
	m->lost_at_ms = now_ms;
	if (++m->lost_in_row < METER_LOST)
		return;
	unsigned doubled = m->lost_in_row - METER_LOST;
	int64_t ms = (int64_t)METER_RETRY_MS << (doubled > 6 ? 6 : doubled);
	meter_fence(m, now_ms, ms > METER_RETRY_MOST_MS ? METER_RETRY_MOST_MS : ms,
		"no answers: the connection is lost again and again");
}

void meter_stop(struct meter *m, int64_t now_ms, const struct demand *d, const struct meter_booking *b,
	const struct meter_end *end)
{
	bool sent = end->verdict != VERDICT_UNUSED;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct meter_window *w = &m->window[k];
		uint64_t n = demand_of(d, k), real = !sent ? 0 : k == METER_BYTES ? end->bytes_sent : n;
		ledger_settle(&w->ledger, now_ms, n, real);
		if (!window_is_published(w))
			ledger_settle(&w->real, now_ms, n, real);
		guess_book(&w->guess, now_ms, end->started_ms, real);
		bucket_give(&w->rate, (double)n - (double)real);
		bucket_give(&w->pace, (double)n - (double)real);
		if (real)
			rate_count(w, now_ms, real);
	}
	m->refused += end->verdict == VERDICT_REFUSED;
	if (end->verdict == VERDICT_REFUSED && end->hint) {
		meter_refused(m, now_ms, d, b, end);
	} else if (end->verdict == VERDICT_OK) {
		for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
			if (end->started_ms < m->window[k].guessed_ms)
				adapt_unknown(&m->window[k].adapt, b->trial[k]);
			else
				adapt_taken(&m->window[k].adapt, end->started_ms, b->used[k], (double)demand_of(d, k),
					d->requests, b->trial[k]);
		flight_taken(&m->flight, now_ms, b->n, m->in_flight, end->bytes_sent, end->latency_ms);
		m->refused_in_row = m->lost_in_row = 0;
		if (m->ramp && ++m->ramp > 64 && m->ramp > flight_limit(&m->flight, now_ms))
			m->ramp = 0;
	} else {
		for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
			adapt_unknown(&m->window[k].adapt, b->trial[k]);
		if (end->verdict == VERDICT_LOST)
			meter_lost(m, now_ms, end->started_ms);
	}
	m->in_flight--;
	m->used_ms = now_ms;
}

double meter_allowed_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	struct meter_window *w = &m->window[kind];
	double limit = adapt_limit(&w->adapt, now_ms), own = meter_user_rate(m, kind) * m->share;
	double pace = isfinite(limit) ? limit * m->share * 1000.0 / (double)w->guess.best_ms : 0;
	return pace > 0 && (own <= 0 || pace < own) ? pace : own;
}

double meter_rate_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	struct meter_window *w = &m->window[kind];
	uint64_t sum = 0;
	rate_count(w, now_ms, 0);
	for (int i = 1; i <= METER_RATE_SECONDS; i++) /* whole seconds only: not the one that runs */
		sum += w->second[(size_t)(w->second_at - i + METER_RATE_SECONDS + 1) % (METER_RATE_SECONDS + 1)];
	return (double)sum / METER_RATE_SECONDS;
}

void meter_get_learned(const struct meter *m, struct scope_learned *out)
{
	const struct meter_window *requests = &m->window[METER_REQUESTS], *bytes = &m->window[METER_BYTES];
	*out = (struct scope_learned){.requests = requests->adapt.level / window_scale(requests),
		.bytes = bytes->adapt.level / window_scale(bytes),
		.in_flight = m->flight.level};
}

/* Old knowledge leans towards the ceiling: the true limit of last week is anywhere between. */
static void window_set_learned(struct meter_window *w, int64_t now_ms, double level, double trust)
{
	struct adapt *a = &w->adapt;
	if (!(level > 0) || !isfinite(level) || a->level > 0)
		return;
	if (a->ceiling > 0)
		level += (a->ceiling - level) * (1 - trust);
	if (a->ceiling <= 0 || level < a->ceiling * 0.995)
		adapt_recall(a, now_ms, level);
}

void meter_set_learned(struct meter *m, int64_t now_ms, const struct scope_learned *l, int64_t age_s)
{
	double trust = 1 - (double)(age_s < 0 ? 0 : age_s) / METER_TRUST_S;
	if (trust <= 0)
		return;
	window_set_learned(&m->window[METER_REQUESTS], now_ms, l->requests, trust);
	window_set_learned(&m->window[METER_BYTES], now_ms, l->bytes, trust);
	if (l->in_flight && !m->flight.level && (!m->limits.in_flight || l->in_flight < m->limits.in_flight))
		flight_recall(&m->flight, now_ms, l->in_flight);
}
