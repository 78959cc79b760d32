#include "tests/bench/throttle_sender.h"

#include <stdlib.h>
#include <string.h>

#define AIMD_PER_S 0.01 /* of the published rate, each second */

struct worker {
	bool wants, ready;
	uint64_t bytes;
	int64_t since_ms, not_before_ms;
	unsigned refused_in_row;
	struct waiter waiter; /* ours */
	struct permit permit;
};

struct sender {
	struct bucket bytes, requests; /* fixed rate and AIMD */
	double factor;                 /* AIMD: of the published rate */
	int64_t factor_ms, fence_ms, halved_ms;
	unsigned in_flight, refused_in_row;
	struct scope *leaf; /* ours */
	int64_t next_ms;
};

struct senders {
	const struct scenario *scenario;
	enum policy policy;
	peek_fn peek;
	void *world;
	unsigned boxes;
	struct scope_limits published;
	struct sender *box;    /* owned */
	struct worker *worker; /* owned; boxes * WORLD_SENDERS */
	struct admit admit;    /* ours */
	struct scope *tenant;
	unsigned *ready; /* owned; a ring of workers that may go */
	size_t ready_first, ready_count, ready_room;
};

static bool is_ours(const struct senders *v)
{
	return v->policy == POLICY_OURS || v->policy >= POLICY_TOLD;
}

static struct scope_limits published(const struct scenario *s)
{
	struct limit_rules r = scenario_published(s);
	return (struct scope_limits){.requests = r.requests,
		.requests_window_ms = (uint64_t)r.requests_window_ms,
		.bytes = r.bytes,
		.bytes_window_ms = (uint64_t)r.bytes_window_ms,
		.in_flight = r.in_flight};
}

/* What the plain senders take for the limit on bytes and requests, a second. */
static double plain_bytes_per_s(const struct senders *v)
{
	return (double)v->published.bytes * 1000 / (double)v->published.bytes_window_ms;
}

static double plain_requests_per_s(const struct senders *v)
{
	return (double)v->published.requests * 1000 / (double)v->published.requests_window_ms;
}

struct senders *senders_new(const struct scenario *s, enum policy p, peek_fn peek, void *world)
{
	struct senders *v = calloc(1, sizeof *v);
	v->scenario = s;
	v->policy = p;
	v->peek = peek;
	v->world = world;
	v->boxes = s->boxes;
	v->box = calloc(s->boxes, sizeof *v->box);
	v->ready_room = (size_t)s->boxes * WORLD_SENDERS;
	v->worker = calloc(v->ready_room, sizeof *v->worker);
	v->ready = calloc(v->ready_room, sizeof *v->ready);
	struct scope_limits tenant = {.requests = 2000, .requests_window_ms = 1000};
	v->published = published(s);
	admit_init(&v->admit);
	v->tenant = admit_open(&v->admit, 0, NULL, "tenant", &tenant);
	for (unsigned i = 0; i < s->boxes; i++) {
		struct sender *b = &v->box[i];
		char name[16];
		snprintf(name, sizeof name, "box%u", i);
		b->leaf = admit_open(&v->admit, 0, v->tenant, name, &v->published);
		b->factor = 1;
		b->next_ms = SENDER_NEVER;
		bucket_init(&b->bytes, 0, plain_bytes_per_s(v), plain_bytes_per_s(v));
		bucket_init(&b->requests, 0, plain_requests_per_s(v), plain_requests_per_s(v));
	}
	return v;
}

void senders_free(struct senders **v)
{
	struct senders *s = *v;
	for (unsigned i = 0; is_ours(s) && i < s->boxes * WORLD_SENDERS; i++)
		if (s->worker[i].wants)
			admit_cancel(&s->admit, INT64_MAX / 2, s->box[i / WORLD_SENDERS].leaf, &s->worker[i].waiter);
	admit_done(&s->admit);
	free(s->box);
	free(s->worker);
	free(s->ready);
	free(s);
	*v = NULL;
}

static void push_ready(struct senders *v, unsigned worker)
{
	v->worker[worker].wants = false;
	v->ready[(v->ready_first + v->ready_count++) % v->ready_room] = worker;
}

int senders_take(struct senders *v)
{
	if (!v->ready_count)
		return -1;
	unsigned w = v->ready[v->ready_first];
	v->ready_first = (v->ready_first + 1) % v->ready_room;
	v->ready_count--;
	return (int)w;
}

/* --- ours: throttle/admit, as gate.c uses it -------------------------------------------------------------------------------- */

static void ours_wake(struct senders *v)
{
	struct waiter *w;
	while ((w = admit_take_wake(&v->admit))) {
		struct worker *k = (struct worker *)((char *)w - offsetof(struct worker, waiter));
		if (w->granted)
			push_ready(v, (unsigned)(k - v->worker));
		else
			w->armed_ms = INT64_MIN; /* senders_next_ms asks the leaf */
	}
}

static void ours_want(struct senders *v, int64_t now_ms, unsigned worker)
{
	struct worker *k = &v->worker[worker];
	k->waiter.demand = (struct demand){.bytes = k->bytes, .requests = 1};
	admit_enter(&v->admit, now_ms, v->box[worker / WORLD_SENDERS].leaf, &k->waiter, &k->permit);
	bool queued = k->waiter.to_wake;
	if (k->waiter.granted && !queued)
		push_ready(v, worker);
	ours_wake(v);
}

void senders_tell(struct senders *v, int64_t now_ms, unsigned box, uint64_t bytes)
{
	struct scope *leaf = v->box[box].leaf;
	struct scope_limits l = v->published;
	if (bytes < l.bytes)
		l.bytes = bytes;
	if (v->policy == POLICY_TOLD_RARELY) /* now it is known: what was learned before counts no more */
		adapt_forget(&leaf->meter.amount[METER_BYTES].adapt);
	meter_set_limits(&leaf->meter, now_ms, &l);
	admit_touch(&v->admit, now_ms, leaf);
	ours_wake(v);
}

void senders_trace(struct senders *v, int64_t now_ms, uint64_t level, FILE *trace)
{
	struct meter *m = &v->box[0].leaf->meter;
	fprintf(trace, "%8.1f", (double)now_ms / 1000);
	for (enum meter_kind k = METER_REQUESTS; k < METER_KINDS; k++) {
		struct amount *w = &m->amount[k];
		double in = k == METER_BYTES ? 1e6 : 1;
		if (w->guess.best_ms != w->ledger.window_ms)
			fprintf(trace, "  window %.0f s", (double)w->guess.best_ms / 1000);
		fprintf(trace, "  %s used %.2f limit %.2f level %.2f proven %.2f credit %.1f",
			k == METER_BYTES ? "MB" : "requests", amount_used(w, now_ms) / in,
			adapt_limit(&w->adapt, now_ms) / in, w->adapt.level / in, w->adapt.proven / in,
			w->adapt.patience.credit);
	}
	fprintf(trace, "  at once %u of %u, fence %.1f, real %.2f\n", m->in_flight, flight_limit(&m->flight, now_ms),
		m->fence_end_ms > now_ms ? (double)(m->fence_end_ms - now_ms) / 1000 : 0, (double)level / 1e6);
}

/* --- the others: a pace, a fence, four at once ------------------------------------------------------------------------------- */

static void plain_pace(struct senders *v, struct sender *b, int64_t now_ms)
{
	if (v->policy != POLICY_AIMD)
		return;
	b->factor += AIMD_PER_S * (double)(now_ms - b->factor_ms) / 1000.0;
	b->factor_ms = now_ms;
	if (b->factor > 1)
		b->factor = 1;
	double bytes = plain_bytes_per_s(v) * b->factor, requests = plain_requests_per_s(v) * b->factor;
	bucket_set(&b->bytes, now_ms, bytes, bytes);
	bucket_set(&b->requests, now_ms, requests, requests);
}

/* When that worker may send; now_ms: at once. */
static int64_t plain_may_at(struct senders *v, unsigned box, struct worker *k, int64_t now_ms)
{
	struct sender *b = &v->box[box];
	if (v->policy == POLICY_ORACLE)
		return v->peek(v->world, box, now_ms, k->bytes);
	if (v->policy == POLICY_RETRY)
		return k->not_before_ms > now_ms ? k->not_before_ms : now_ms;
	if (b->in_flight >= 4)
		return SENDER_NEVER;
	if (b->fence_ms > now_ms)
		return b->fence_ms;
	int64_t wait = bucket_wait_ms(&b->bytes, now_ms), other = bucket_wait_ms(&b->requests, now_ms);
	return now_ms + (wait > other ? wait : other);
}

static void plain_serve(struct senders *v, unsigned box, int64_t now_ms)
{
	struct sender *b = &v->box[box];
	plain_pace(v, b, now_ms);
	for (;;) {
		struct worker *first = NULL;
		int64_t best = SENDER_NEVER;
		for (unsigned i = box * WORLD_SENDERS; i < (box + 1) * WORLD_SENDERS; i++) {
			struct worker *k = &v->worker[i];
			if (!k->wants)
				continue;
			if (v->policy != POLICY_RETRY) { /* first come, first served */
				if (!first || k->since_ms < first->since_ms)
					first = k;
				continue;
			}
			int64_t at = plain_may_at(v, box, k, now_ms);
			if (at < best) {
				best = at;
				first = k;
			}
		}
		if (first && v->policy != POLICY_RETRY)
			best = plain_may_at(v, box, first, now_ms);
		b->next_ms = best;
		if (!first || best > now_ms)
			return;
		b->in_flight++;
		bucket_take(&b->bytes, now_ms, (double)first->bytes);
		bucket_take(&b->requests, now_ms, 1);
		push_ready(v, (unsigned)(first - v->worker));
		if (v->policy == POLICY_ORACLE) { /* the world must see it before the next is asked */
			b->next_ms = now_ms;
			return;
		}
	}
}

static void plain_refused(struct senders *v, unsigned worker, int64_t now_ms, const struct throttle_hint *hint)
{
	struct sender *b = &v->box[worker / WORLD_SENDERS];
	struct worker *k = &v->worker[worker];
	unsigned *row = v->policy == POLICY_RETRY ? &k->refused_in_row : &b->refused_in_row;
	int64_t wait = hint->retry_after_ms;
	if (wait < 0)
		wait = (int64_t)1000 << (*row < 6 ? *row : 6);
	if (wait < 100)
		wait = 100;
	++*row;
	k->not_before_ms = now_ms + wait;
	if (now_ms + wait > b->fence_ms)
		b->fence_ms = now_ms + wait;
	if (v->policy == POLICY_AIMD && now_ms - b->halved_ms > 1000) {
		b->factor /= 2;
		b->halved_ms = b->fence_ms;
	}
}

/* --- the same for all ------------------------------------------------------------------------------------------------------- */

void senders_want(struct senders *v, int64_t now_ms, unsigned worker, uint64_t bytes)
{
	struct worker *k = &v->worker[worker];
	k->wants = true;
	k->bytes = bytes;
	k->since_ms = now_ms;
	if (is_ours(v))
		ours_want(v, now_ms, worker);
	else
		plain_serve(v, worker / WORLD_SENDERS, now_ms);
}

int64_t senders_next_ms(struct senders *v)
{
	int64_t next = SENDER_NEVER;
	for (unsigned i = 0; i < v->boxes; i++) {
		int64_t at = is_ours(v) ? admit_retry_at(v->box[i].leaf) : v->box[i].next_ms;
		if (at < next)
			next = at;
	}
	return next;
}

void senders_tick(struct senders *v, int64_t now_ms)
{
	if (is_ours(v)) {
		admit_run(&v->admit, now_ms);
		ours_wake(v);
		return;
	}
	for (unsigned i = 0; i < v->boxes; i++)
		if (v->box[i].next_ms <= now_ms)
			plain_serve(v, i, now_ms);
}

void senders_done(struct senders *v, int64_t now_ms, unsigned worker, enum verdict verdict,
	const struct throttle_hint *hint, uint64_t bytes, unsigned latency_ms)
{
	struct worker *k = &v->worker[worker];
	struct sender *b = &v->box[worker / WORLD_SENDERS];
	if (is_ours(v)) {
		admit_leave(&v->admit, now_ms, &k->permit, verdict, hint, bytes, latency_ms);
		ours_wake(v);
		return;
	}
	b->in_flight--;
	if (verdict == VERDICT_REFUSED)
		plain_refused(v, worker, now_ms, hint);
	else
		b->refused_in_row = k->refused_in_row = 0;
	plain_serve(v, worker / WORLD_SENDERS, now_ms);
}
