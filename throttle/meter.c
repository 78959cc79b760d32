#include "throttle/meter.h"

#include <stdio.h>
#include <string.h>

#define METER_WINDOW_MS 300000 /* where the server's window is not known: Exchange's */
#define METER_RETRY_MS 1000    /* a refusal without a time: this, doubled each time */
#define METER_LOST 3           /* lost in a row until it waits */
#define METER_RETRY_MOST_MS 60000
#define METER_FENCE_MOST_MS 3600000 /* a server that asks for more is not believed: Exchange's longest is 50 minutes */
#define METER_TELLING_MS 30000      /* a pause of this length without a named limit is about an amount */
#define METER_PAUSE_MS 5000         /* and of this length if as much was in use before */
#define METER_RAMP 4
#define METER_TRUST_S 604800.0 /* how long what was learned counts */

static double meter_ceiling(const struct meter *m, enum meter_kind kind)
{
	return (double)(kind == METER_BYTES ? m->limits.bytes : m->limits.requests);
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

static unsigned meter_bit(enum dimension d)
{
	return d == DIM_REQUESTS ? 1u << METER_REQUESTS : d == DIM_BYTES ? 1u << METER_BYTES : 0;
}

static int64_t meter_window_ms(const struct scope_limits *l, enum meter_kind kind)
{
	uint64_t ms = kind == METER_BYTES ? l->bytes_window_ms : l->requests_window_ms;
	return ms && ms < (uint64_t)1 << 40 ? (int64_t)ms : METER_WINDOW_MS;
}

static void meter_set_rate(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	double per_s = meter_user_rate(m, kind) * m->share;
	bucket_set(&m->amount[kind].rate, now_ms, per_s, per_s > 1 ? per_s : 1); /* a second's worth */
}

void meter_init(struct meter *m, int64_t now_ms, const struct scope_limits *limits)
{
	m->limits = *limits;
	m->share = 1;
	m->ramp = METER_RAMP;
	m->used_ms = now_ms;
	flight_init(&m->flight, limits->in_flight);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		amount_init(&m->amount[k], now_ms, meter_ceiling(m, k), meter_window_ms(limits, k));
		meter_set_rate(m, now_ms, k);
	}
}

void meter_set_limits(struct meter *m, int64_t now_ms, const struct scope_limits *limits)
{
	m->limits = *limits;
	flight_set_ceiling(&m->flight, limits->in_flight);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		amount_set_limit(&m->amount[k], now_ms, meter_ceiling(m, k), meter_window_ms(limits, k));
		meter_set_rate(m, now_ms, k);
	}
}

void meter_set_share(struct meter *m, int64_t now_ms, double share)
{
	m->share = share < 0 ? 0 : share > 1 ? 1 : share;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
		meter_set_rate(m, now_ms, k);
}

static void block_until(struct meter_block *block, int64_t until_ms, enum dimension why)
{
	if (until_ms <= block->until_ms)
		return;
	block->until_ms = until_ms;
	block->why = why;
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
			block_until(block, amount_may_at(&m->amount[k], now_ms, m->share, demand_of(d, k)),
				meter_dimension(k));
	return block->until_ms <= now_ms;
}

void meter_start(struct meter *m, int64_t now_ms, const struct demand *d, struct meter_booking *b)
{
	m->used_ms = now_ms;
	b->n = ++m->in_flight;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
		amount_start(&m->amount[k], now_ms, m->share, demand_of(d, k), &b->amount[k]);
}

/* The server did not name a limit but wants a pause. Whose limit was it? Those that are at a limit that was learned; else those of which
   as much was in use when it was refused before, too, which is no chance; else the one that is nearest to the published limit, where the
   pause is a long one. Several, where nothing tells them apart: each is held where it was, which costs nothing until their proportion
   changes. A limit that is known must really be reached, else it is an outage. One bit for each kind. */
static unsigned meter_suspects(struct meter *m, int64_t now_ms, int64_t stated_ms)
{
	unsigned learned = 0, same = 0, nearest = 0;
	double most = 0;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct amount *a = &m->amount[k];
		double part = amount_suspect(a, now_ms);
		if (amount_same(a, now_ms) && m->refused_in_row < 2)
			same |= 1u << k;
		if (part > 0 && amount_is_learned(a))
			learned |= 1u << k;
		if (part > most) {
			most = part;
			nearest = 1u << k;
		}
	}
	if (stated_ms >= METER_TELLING_MS)
		return learned ? learned : same ? same : nearest;
	return stated_ms >= METER_PAUSE_MS ? same : 0;
}

void meter_fence(struct meter *m, int64_t now_ms, int64_t ms, const char *reason)
{
	if (ms > METER_FENCE_MOST_MS)
		ms = METER_FENCE_MOST_MS;
	if (ms < 0 || now_ms + ms <= m->fence_end_ms)
		return;
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
		adapt_pause(&m->amount[k].adapt, m->fence_end_ms > now_ms ? m->fence_end_ms : now_ms, now_ms + ms);
	m->fence_end_ms = now_ms + ms;
	m->ramp = 1;
	snprintf(m->reason, sizeof m->reason, "%s", reason ? reason : "");
	for (char *c = m->reason; *c;
		c++) /* a peer's words: cut in mid character at worst, never a control character */
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

/* No limit on a window can ask for more than the window is long. Who states more is believed when it refuses again after that. */
static int64_t meter_believed_ms(const struct meter *m, const struct throttle_hint *hint)
{
	int64_t most = hint->dimension == DIM_REQUESTS ? m->amount[METER_REQUESTS].guess.best_ms
		       : hint->dimension == DIM_BYTES  ? m->amount[METER_BYTES].guess.best_ms
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
	bool named = hint->dimension != DIM_NONE;
	unsigned blamed = named ? meter_bit(hint->dimension) : meter_suspects(m, now_ms, stated);
	if (!blamed) /* who of those in flight is refused is chance: the most that were at once */
		flight_refused(&m->flight, now_ms, end->started_ms, b->n > m->in_flight ? b->n : m->in_flight,
			m->fence_end_ms, !named);
	struct amount_refusal r = {
		.now_ms = now_ms, .started_ms = end->started_ms, .fence_end_ms = m->fence_end_ms, .unnamed = !named};
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		r.n = demand_of(d, k);
		if (blamed & 1u << k)
			amount_refused(&m->amount[k], &r, &b->amount[k]);
		else
			amount_unknown(&m->amount[k], &b->amount[k]);
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
		uint64_t n = demand_of(d, k), real = !sent ? 0 : k == METER_BYTES ? end->bytes_sent : n;
		amount_settle(&m->amount[k], now_ms, end->started_ms, n, real);
	}
	m->refused += end->verdict == VERDICT_REFUSED;
	if (end->verdict == VERDICT_REFUSED && end->hint) {
		meter_refused(m, now_ms, d, b, end);
	} else if (end->verdict == VERDICT_OK) {
		for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
			amount_taken(&m->amount[k], end->started_ms, demand_of(d, k), d->requests, &b->amount[k]);
		flight_taken(&m->flight, now_ms, b->n, m->in_flight, end->bytes_sent, end->latency_ms);
		m->refused_in_row = m->lost_in_row = 0;
		if (m->ramp && ++m->ramp > 64 && m->ramp > flight_limit(&m->flight, now_ms))
			m->ramp = 0;
	} else {
		for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++)
			amount_unknown(&m->amount[k], &b->amount[k]);
		if (end->verdict == VERDICT_LOST)
			meter_lost(m, now_ms, end->started_ms);
	}
	m->in_flight--;
	m->used_ms = now_ms;
}

double meter_allowed_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	return amount_allowed_per_s(&m->amount[kind], now_ms, m->share);
}

double meter_rate_per_s(struct meter *m, int64_t now_ms, enum meter_kind kind)
{
	return amount_rate_per_s(&m->amount[kind], now_ms);
}

void meter_get_learned(const struct meter *m, struct scope_learned *out)
{
	*out = (struct scope_learned){.requests = amount_get_learned(&m->amount[METER_REQUESTS]),
		.bytes = amount_get_learned(&m->amount[METER_BYTES]),
		.in_flight = m->flight.level};
}

void meter_set_learned(struct meter *m, int64_t now_ms, const struct scope_learned *l, int64_t age_s)
{
	double trust = 1 - (double)(age_s < 0 ? 0 : age_s) / METER_TRUST_S;
	if (trust <= 0)
		return;
	amount_set_learned(&m->amount[METER_REQUESTS], now_ms, l->requests, trust);
	amount_set_learned(&m->amount[METER_BYTES], now_ms, l->bytes, trust);
	if (l->in_flight && !m->flight.level && (!m->limits.in_flight || l->in_flight < m->limits.in_flight))
		flight_recall(&m->flight, now_ms, l->in_flight);
}
