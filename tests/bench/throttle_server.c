#include "tests/bench/throttle_server.h"

#include <math.h>
#include <stdlib.h>

#define BASE_MS 150.0          /* a request without its octets */
#define LINE_BYTES_PER_MS 5000 /* a connection's */
#define LOST_MS 5000           /* until we give up on an answer */

static void server_set_rules(struct server *v)
{
	struct limit_rules r = scenario_real(v->s, v->factor);
	for (unsigned i = 0; i < v->s->boxes; i++)
		limit_set_rules(&v->limit[i], &r);
}

static void make_bursts(struct server *v)
{
	int64_t at = 0;
	while (v->s->bursts && v->bursts < SERVER_BURSTS && at < v->s->seconds * 1000) {
		at += (int64_t)random_between(&v->random, 300000, 900000);
		v->burst[v->bursts].from = at;
		at += (int64_t)random_between(&v->random, 5000, 30000);
		v->burst[v->bursts++].to = at;
	}
}

void server_init(struct server *v, const struct scenario *s, unsigned seed)
{
	*v = (struct server){.s = s, .factor = 1, .random = random_start(seed * 7919u + 17)};
	v->limit = calloc(s->boxes, sizeof *v->limit);
	v->other = (s->other.low + s->other.high) / 2;
	struct limit_rules r = scenario_real(s, 1);
	for (unsigned i = 0; i < s->boxes; i++)
		limit_init(&v->limit[i], &r);
	make_bursts(v);
}

void server_done(struct server *v)
{
	for (unsigned i = 0; i < v->s->boxes; i++)
		limit_done(&v->limit[i]);
	free(v->limit);
}

static double other_share(struct server *v, int64_t second)
{
	const struct other *o = &v->s->other;
	double mid = (o->high + o->low) / 2, swing = (o->high - o->low) / 2;
	switch (o->shape) {
	case OTHER_NONE:
		return 0;
	case OTHER_SINE:
		return mid + swing * sin(6.283185307 * (double)second / (double)o->period_s);
	case OTHER_SQUARE:
		return second % o->period_s < o->period_s / 2 ? o->low : o->high;
	case OTHER_WALK: /* goes from end to end in about a period */
		v->other += random_between(&v->random, -1, 1) * (o->high - o->low) * sqrt(3.0 / (double)o->period_s);
		v->other = v->other < o->low ? o->low : v->other > o->high ? o->high : v->other;
		return v->other;
	}
	return 0;
}

void server_second(struct server *v, int64_t second)
{
	const struct scenario *s = v->s;
	while (v->changes < SCENARIO_CHANGES && s->change[v->changes].factor > 0 &&
		s->change[v->changes].at_s <= second) {
		v->factor = s->change[v->changes++].factor;
		server_set_rules(v);
	}
	if (!s->other.shape)
		return;
	struct limit_rules r = scenario_real(s, v->factor);
	v->other = other_share(v, second);
	for (unsigned i = 0; i < s->boxes; i++)
		limit_use(&v->limit[i], second * 1000,
			(uint64_t)(v->other * (double)r.requests * 1000 / (double)r.requests_window_ms),
			(uint64_t)(v->other * (double)r.bytes * 1000 / (double)r.bytes_window_ms));
}

uint64_t server_level(struct server *v, unsigned box, int64_t second)
{
	struct limit_rules r = scenario_real(v->s, v->factor);
	struct server past = *v;
	double others = 0;
	(void)box;
	if (v->s->other.shape == OTHER_WALK)
		return r.bytes; /* not kept */
	for (int64_t k = 0; v->s->other.shape && k < r.bytes_window_ms / 1000 && k <= second; k++)
		others += other_share(&past, second - k) * (double)r.bytes * 1000 / (double)r.bytes_window_ms;
	return others < (double)r.bytes ? r.bytes - (uint64_t)others : 1;
}

static bool in_burst(struct server *v, int64_t now_ms)
{
	while (v->burst_now < v->bursts && v->burst[v->burst_now].to <= now_ms)
		v->burst_now++;
	return v->burst_now < v->bursts && v->burst[v->burst_now].from <= now_ms;
}

static int64_t hour_end_ms(const struct server *v)
{
	return (v->s->hour_at_s + 3600) * 1000;
}

static bool in_hour(const struct server *v, int64_t now_ms)
{
	return v->s->hour_at_s && now_ms >= v->s->hour_at_s * 1000 && now_ms < hour_end_ms(v);
}

int64_t server_peek(struct server *v, unsigned box, int64_t now_ms, uint64_t bytes)
{
	enum limit_kind why;
	if (in_burst(v, now_ms))
		return v->burst[v->burst_now].to;
	if (in_hour(v, now_ms))
		return hour_end_ms(v);
	if (v->s->knee && v->in_flight >= v->s->knee * 2)
		return now_ms + 5;
	return limit_fits_at(&v->limit[box], now_ms, bytes, &why);
}

static double server_load(const struct server *v)
{
	return v->s->knee ? (double)(v->in_flight + 1) / v->s->knee : 0;
}

static void server_refuse(struct server *v, int64_t now_ms, struct answer *a)
{
	a->what = ANSWER_REFUSED;
	a->tenant = v->s->knee && a->kind == LIMIT_NONE;
	if (in_hour(v, now_ms))
		a->retry_after_ms = (hour_end_ms(v) - now_ms + 999) / 1000 * 1000;
	else if (v->s->zero)
		a->retry_after_ms = 0;
}

void server_begin(struct server *v, unsigned box, int64_t now_ms, uint64_t bytes, struct answer *a)
{
	double load = server_load(v), base = v->s->latency_ms > 0 ? v->s->latency_ms : BASE_MS;
	*a = (struct answer){
		.what = ANSWER_TAKEN, .kind = LIMIT_NONE, .retry_after_ms = -1, .ms = base * (load > 1 ? load : 1)};
	v->in_flight++;
	if (v->s->lost > 0 && random_share(&v->random) < v->s->lost) {
		limit_use(&v->limit[box], now_ms, 1, bytes);
		a->what = ANSWER_NONE;
		a->ms = LOST_MS;
		return;
	}
	bool open = !in_burst(v, now_ms) && !in_hour(v, now_ms) && load <= 2;
	if (open)
		a->kind = limit_begin(&v->limit[box], now_ms, bytes, &a->retry_after_ms);
	if (open && a->kind == LIMIT_NONE)
		a->ms += (double)bytes / LINE_BYTES_PER_MS;
	else
		server_refuse(v, now_ms, a);
}

void server_end(struct server *v, unsigned box, const struct answer *a)
{
	v->in_flight--;
	if (a->what == ANSWER_TAKEN)
		limit_end(&v->limit[box]);
}
