#include "tests/bench/throttle_world.h"

#include "tests/bench/throttle_sender.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BASE_MS 150.0          /* a request without its octets */
#define LINE_BYTES_PER_MS 5000 /* a connection's */
#define BURSTS 256

const char *policy_name(enum policy p)
{
	static const char *const names[POLICIES] = {"oracle", "nightferry", "fixed rate", "retry", "AIMD"};
	return names[p];
}

struct task { /* a worker's request */
	uint64_t bytes;
	int64_t end_ms, started_ms;
	enum verdict verdict;
	enum limit_kind kind;
	int64_t retry_after_ms;
	bool retry; /* the message was refused and comes again */
	bool admitted;
};

struct world {
	const struct scenario *s;
	enum policy policy;
	struct senders *senders;
	struct limit *limit;   /* owned; by mailbox */
	struct limit *monitor; /* owned: what we sent, against the ceiling */
	uint64_t *random;      /* owned; by mailbox */
	double *taken;         /* owned; bytes, by mailbox */
	struct task *task;     /* owned; by worker */
	unsigned *heap;        /* owned; workers by end_ms */
	size_t heap_count;
	unsigned in_flight;
	struct {
		int64_t from, to;
	} burst[BURSTS];
	size_t bursts, burst_now;
	double factor;
	size_t changes;
	int64_t last_taken_ms;
	struct outcome *out;
};

static uint64_t next_random(uint64_t *s)
{
	uint64_t x = *s;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

static double uniform(uint64_t *s)
{
	return (double)(next_random(s) >> 11) / 9007199254740992.0;
}

static uint64_t message_bytes(enum size_mix mix, uint64_t *s)
{
	double a = uniform(s), b = uniform(s), bytes = 0;
	double normal = sqrt(-2 * log(a > 0 ? a : 1e-12)) * cos(6.283185307 * b);
	switch (mix) {
	case SIZES_SMALL:
		bytes = 5000 * exp(0.6 * normal);
		break;
	case SIZES_WIDE:
		bytes = 2000 * exp(a * log(12500));
		break;
	case SIZES_75K:
		bytes = 20000 * exp(1.625 * normal); /* the mean is 75 KB */
		break;
	}
	return bytes < 500 ? 500 : bytes > 25e6 ? 25000000 : (uint64_t)bytes;
}

/* --- the heap of what ends next --------------------------------------------------------------------------------------------- */

static bool ends_before(const struct world *w, unsigned a, unsigned b)
{
	const int64_t x = w->task[a].end_ms, y = w->task[b].end_ms;
	return x != y ? x < y : a < b;
}

static void heap_push(struct world *w, unsigned worker)
{
	size_t i = w->heap_count++;
	for (; i && ends_before(w, worker, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = worker;
}

static unsigned heap_pop(struct world *w)
{
	unsigned top = w->heap[0], last = w->heap[--w->heap_count];
	size_t i = 0;
	for (;;) {
		size_t c = 2 * i + 1;
		if (c >= w->heap_count)
			break;
		if (c + 1 < w->heap_count && ends_before(w, w->heap[c + 1], w->heap[c]))
			c++;
		if (!ends_before(w, w->heap[c], last))
			break;
		w->heap[i] = w->heap[c];
		i = c;
	}
	w->heap[i] = last;
	return top;
}

/* --- the server ------------------------------------------------------------------------------------------------------------- */

static void set_rules(struct world *w)
{
	struct limit_rules r = limit_documented();
	double f = w->s->real * w->factor;
	r.requests = (uint64_t)((double)r.requests * f);
	r.bytes = (uint64_t)((double)r.bytes * f);
	if (w->s->in_flight)
		r.in_flight = w->s->in_flight;
	r.retry = w->s->retry;
	if (w->s->retry_ms)
		r.retry_ms = w->s->retry_ms;
	for (unsigned i = 0; i < w->s->boxes; i++)
		limit_set_rules(&w->limit[i], &r);
}

static bool in_burst(struct world *w, int64_t now_ms)
{
	while (w->burst_now < w->bursts && w->burst[w->burst_now].to <= now_ms)
		w->burst_now++;
	return w->burst_now < w->bursts && w->burst[w->burst_now].from <= now_ms;
}

static int64_t hour_end_ms(const struct world *w)
{
	return (w->s->hour_at_s + 3600) * 1000;
}

static bool in_hour(const struct world *w, int64_t now_ms)
{
	return w->s->hour_at_s && now_ms >= w->s->hour_at_s * 1000 && now_ms < hour_end_ms(w);
}

/* The oracle's eye. */
static int64_t world_peek(void *world, unsigned box, int64_t now_ms, uint64_t bytes)
{
	struct world *w = world;
	enum limit_kind why;
	if (in_burst(w, now_ms))
		return w->burst[w->burst_now].to;
	if (in_hour(w, now_ms))
		return hour_end_ms(w);
	if (w->s->knee && w->in_flight >= w->s->knee * 2)
		return now_ms + 5;
	return limit_fits_at(&w->limit[box], now_ms, bytes, &why);
}

static void world_begin(struct world *w, unsigned worker, int64_t now_ms)
{
	struct task *t = &w->task[worker];
	unsigned box = worker / WORLD_SENDERS;
	double load = w->s->knee ? (double)(w->in_flight + 1) / w->s->knee : 0;
	t->started_ms = now_ms;
	t->retry_after_ms = -1;
	t->kind = LIMIT_NONE;
	t->admitted = false;
	t->verdict = VERDICT_REFUSED;
	double ms = BASE_MS * (load > 1 ? load : 1);
	if (!in_burst(w, now_ms) && !in_hour(w, now_ms) && load <= 2) {
		t->kind = limit_begin(&w->limit[box], now_ms, t->bytes, &t->retry_after_ms);
		if (t->kind == LIMIT_NONE) {
			t->verdict = VERDICT_OK;
			t->admitted = true;
			ms += (double)t->bytes / LINE_BYTES_PER_MS;
		}
	}
	if (t->verdict == VERDICT_REFUSED && in_hour(w, now_ms))
		t->retry_after_ms = (hour_end_ms(w) - now_ms + 999) / 1000 * 1000;
	else if (t->verdict == VERDICT_REFUSED && w->s->zero)
		t->retry_after_ms = 0;
	if (w->policy == POLICY_OURS) {
		enum limit_kind why;
		if (w->monitor[box].requests.sum + w->monitor[box].bytes.sum &&
			limit_fits_at(&w->monitor[box], now_ms, t->bytes, &why) > now_ms)
			w->out->exceeded = true;
		limit_use(&w->monitor[box], now_ms, 1, t->bytes);
	}
	w->in_flight++;
	w->out->sent++;
	w->out->refused += t->verdict == VERDICT_REFUSED;
	t->end_ms = now_ms + (int64_t)ms;
	heap_push(w, worker);
	if (t->verdict != VERDICT_OK)
		return;
	if ((now_ms - w->last_taken_ms) / 1000.0 > w->out->worst_s)
		w->out->worst_s = (double)(now_ms - w->last_taken_ms) / 1000.0;
	w->last_taken_ms = now_ms;
	w->out->per_second[now_ms / 1000] += (float)t->bytes;
	w->out->requests_per_second[now_ms / 1000] += 1;
	int64_t warm = w->s->warm_s ? w->s->warm_s : 600;
	if (now_ms >= warm * 1000) {
		w->out->bytes += (double)t->bytes;
		w->out->requests++;
		w->taken[box] += (double)t->bytes;
	}
}

static void world_flow(struct world *w, int64_t now_ms)
{
	int worker;
	while ((worker = senders_take(w->senders, now_ms)) >= 0)
		world_begin(w, (unsigned)worker, now_ms);
}

static void world_want(struct world *w, unsigned worker, int64_t now_ms)
{
	struct task *t = &w->task[worker];
	if (!t->retry)
		t->bytes = message_bytes(w->s->sizes, &w->random[worker / WORLD_SENDERS]);
	senders_want(w->senders, now_ms, worker, t->bytes);
	world_flow(w, now_ms);
}

static void world_end(struct world *w, unsigned worker, int64_t now_ms)
{
	struct task *t = &w->task[worker];
	static const enum dimension dims[] = {[LIMIT_NONE] = DIM_NONE,
		[LIMIT_CONCURRENCY] = DIM_IN_FLIGHT,
		[LIMIT_REQUESTS] = DIM_REQUESTS,
		[LIMIT_BYTES] = DIM_BYTES};
	struct throttle_hint hint = {.dimension = w->s->imap_text ? DIM_NONE : dims[t->kind],
		.retry_after_ms = t->retry_after_ms,
		.scope_name = w->s->knee && t->kind == LIMIT_NONE ? "tenant" : NULL,
		.words = "refused"};
	if (t->admitted)
		limit_end(&w->limit[worker / WORLD_SENDERS]);
	w->in_flight--;
	t->retry = t->verdict == VERDICT_REFUSED;
	senders_done(w->senders, now_ms, worker, t->verdict, t->retry ? &hint : NULL, t->bytes,
		(unsigned)(now_ms - t->started_ms));
	world_flow(w, now_ms);
	world_want(w, worker, now_ms);
}

/* Once a second: limits that change, the other program. */
static void world_second(struct world *w, int64_t second)
{
	const struct scenario *s = w->s;
	while (w->changes < 4 && s->change[w->changes].factor > 0 && s->change[w->changes].at_s <= second) {
		w->factor = s->change[w->changes++].factor;
		set_rules(w);
	}
	if (s->other_high <= 0)
		return;
	double mid = (s->other_high + s->other_low) / 2, swing = (s->other_high - s->other_low) / 2;
	double share = mid + swing * sin(6.283185307 * (double)second / 1200.0);
	for (unsigned i = 0; i < s->boxes; i++)
		limit_use(&w->limit[i], second * 1000, (uint64_t)(share * 10000 / 600 * s->real),
			(uint64_t)(share * 500000 * s->real));
}

static void world_loop(struct world *w)
{
	int64_t end = w->s->seconds * 1000, second = 0, now = 0;
	unsigned workers = w->s->boxes * WORLD_SENDERS;
	set_rules(w);
	for (unsigned i = 0; i < workers; i++)
		world_want(w, i, 0);
	while (now < end) {
		int64_t next = senders_next_ms(w->senders);
		if (next <= now && w->policy != POLICY_ORACLE)
			next = now + 1;
		if (w->heap_count && w->task[w->heap[0]].end_ms < next)
			next = w->task[w->heap[0]].end_ms;
		if (second * 1000 < next)
			next = second * 1000;
		if (next > now)
			now = next;
		if (now >= end)
			break;
		if (now >= second * 1000)
			world_second(w, second++);
		if (w->heap_count && w->task[w->heap[0]].end_ms <= now)
			world_end(w, heap_pop(w), now);
		senders_tick(w->senders, now);
		world_flow(w, now);
	}
}

static void make_bursts(struct world *w, unsigned seed)
{
	uint64_t r = seed * 7919u + 17;
	int64_t at = 0;
	for (int i = 0; i < 20; i++)
		next_random(&r);
	while (w->s->bursts && w->bursts < BURSTS && at < w->s->seconds * 1000) {
		at += 300000 + (int64_t)(uniform(&r) * 600000);
		w->burst[w->bursts].from = at;
		at += 5000 + (int64_t)(uniform(&r) * 25000);
		w->burst[w->bursts++].to = at;
	}
}

static void measure(struct world *w)
{
	double sum = 0, squares = 0, limit = 500000 * w->s->real * w->factor;
	for (unsigned i = 0; i < w->s->boxes; i++) {
		sum += w->taken[i];
		squares += w->taken[i] * w->taken[i];
	}
	w->out->jain = squares > 0 ? sum * sum / (w->s->boxes * squares) : 0;
	w->out->recovery_s = -1;
	for (int64_t d = 0; w->s->event_s && w->s->event_s + d + 300 < w->s->seconds; d++) {
		double five = 0;
		for (int64_t k = 0; k < 300; k++)
			five += w->out->per_second[w->s->event_s + d + k];
		if (five >= 0.95 * 300 * limit * w->s->boxes) {
			w->out->recovery_s = (double)d;
			return;
		}
	}
}

void world_run(const struct scenario *s, enum policy p, unsigned seed, struct outcome *out)
{
	struct world w = {.s = s, .policy = p, .factor = 1, .out = out};
	unsigned workers = s->boxes * WORLD_SENDERS;
	*out = (struct outcome){.per_second = calloc((size_t)s->seconds + 1, sizeof(float)),
		.requests_per_second = calloc((size_t)s->seconds + 1, sizeof(float))};
	w.limit = calloc(s->boxes, sizeof *w.limit);
	w.monitor = calloc(s->boxes, sizeof *w.monitor);
	w.random = calloc(s->boxes, sizeof *w.random);
	w.taken = calloc(s->boxes, sizeof *w.taken);
	w.task = calloc(workers, sizeof *w.task);
	w.heap = calloc(workers, sizeof *w.heap);
	struct limit_rules ceiling = limit_documented();
	ceiling.requests = (uint64_t)((double)ceiling.requests * s->ceiling);
	ceiling.bytes = (uint64_t)((double)ceiling.bytes * s->ceiling);
	ceiling.in_flight = 0;
	for (unsigned i = 0; i < s->boxes; i++) {
		limit_init(&w.limit[i], &ceiling);
		limit_init(&w.monitor[i], &ceiling);
		w.random[i] = (uint64_t)seed * 1000003 + i * 7777u + 1;
		for (int k = 0; k < 20; k++)
			next_random(&w.random[i]);
	}
	make_bursts(&w, seed);
	w.senders = senders_new(s, p, world_peek, &w);
	world_loop(&w);
	senders_free(&w.senders);
	measure(&w);
	for (unsigned i = 0; i < s->boxes; i++) {
		limit_done(&w.limit[i]);
		limit_done(&w.monitor[i]);
	}
	free(w.limit);
	free(w.monitor);
	free(w.random);
	free(w.taken);
	free(w.task);
	free(w.heap);
}

void outcome_done(struct outcome *o)
{
	free(o->per_second);
	free(o->requests_per_second);
	*o = (struct outcome){0};
}
