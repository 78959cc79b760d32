#include "tests/bench/throttle_world.h"

#include "tests/bench/throttle_sender.h"
#include "tests/bench/throttle_server.h"

#include <math.h>
#include <stdlib.h>

const char *policy_name(enum policy p)
{
	static const char *const names[POLICIES] = {
		"oracle", "nightferry", "fixed rate", "retry", "AIMD", "told", "told rarely"};
	return names[p];
}

struct task { /* a worker's request */
	uint64_t bytes;
	int64_t end_ms, started_ms;
	struct answer answer;
	bool again; /* the message was not taken and comes again */
};

struct world {
	const struct scenario *s;
	enum policy policy;
	struct senders *senders;
	struct server server;
	struct limit *monitor; /* owned: what we sent, against the ceiling */
	uint64_t *random;      /* owned; by mailbox */
	double *taken;         /* owned; bytes, by mailbox */
	struct task *task;     /* owned; by worker */
	unsigned *heap;        /* owned; workers by end_ms */
	size_t heap_count;
	int64_t last_taken_ms;
	double told; /* so often, at most once for WORLD_TOLD_EACH requests */
	FILE *trace;
	struct outcome *out;
};

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

/* --- a request's way -------------------------------------------------------------------------------------------------------- */

/* The oracle's eye: the server's limit, and the ceiling that nobody may pass. */
static int64_t world_peek(void *world, unsigned box, int64_t now_ms, uint64_t bytes)
{
	struct world *w = world;
	enum limit_kind why;
	int64_t at = server_peek(&w->server, box, now_ms, bytes),
		own = limit_fits_at(&w->monitor[box], now_ms, bytes, &why);
	return at > own ? at : own;
}

static void watch_ceiling(struct world *w, unsigned box, int64_t now_ms, uint64_t bytes)
{
	enum limit_kind why;
	if (w->monitor[box].requests.sum + w->monitor[box].bytes.sum &&
		limit_fits_at(&w->monitor[box], now_ms, bytes, &why) > now_ms)
		w->out->exceeded = true;
	limit_use(&w->monitor[box], now_ms, 1, bytes);
}

static void count_taken(struct world *w, unsigned box, int64_t now_ms, uint64_t bytes)
{
	if ((double)(now_ms - w->last_taken_ms) / 1000.0 > w->out->worst_s)
		w->out->worst_s = (double)(now_ms - w->last_taken_ms) / 1000.0;
	w->last_taken_ms = now_ms;
	w->out->per_second[now_ms / 1000] += (float)bytes;
	w->out->requests_per_second[now_ms / 1000] += 1;
	if (now_ms < (w->s->warm_s ? w->s->warm_s : 600) * 1000)
		return;
	w->out->bytes += (double)bytes;
	w->out->requests++;
	w->taken[box] += (double)bytes;
}

static void world_begin(struct world *w, unsigned worker, int64_t now_ms)
{
	struct task *t = &w->task[worker];
	unsigned box = worker / WORLD_SENDERS;
	t->started_ms = now_ms;
	watch_ceiling(w, box, now_ms, t->bytes);
	server_begin(&w->server, box, now_ms, t->bytes, &t->answer);
	w->out->sent++;
	w->out->refused += t->answer.what == ANSWER_REFUSED;
	t->end_ms = now_ms + (int64_t)t->answer.ms;
	heap_push(w, worker);
	if (t->answer.what == ANSWER_TAKEN)
		count_taken(w, box, now_ms, t->bytes);
	else if (w->trace && box == 0)
		fprintf(w->trace, "%8.1f %s %s of %.0f KB, retry after %.0f s\n", (double)now_ms / 1000,
			t->answer.what == ANSWER_REFUSED ? "refused" : "lost", limit_name(t->answer.kind),
			(double)t->bytes / 1000, (double)t->answer.retry_after_ms / 1000);
}

static void world_flow(struct world *w, int64_t now_ms)
{
	int worker;
	while ((worker = senders_take(w->senders)) >= 0)
		world_begin(w, (unsigned)worker, now_ms);
}

static void world_want(struct world *w, unsigned worker, int64_t now_ms)
{
	struct task *t = &w->task[worker];
	if (!t->again)
		t->bytes = mail_bytes(&w->s->mail, &w->random[worker / WORLD_SENDERS]);
	senders_want(w->senders, now_ms, worker, t->bytes);
	world_flow(w, now_ms);
}

static void world_end(struct world *w, unsigned worker, int64_t now_ms)
{
	static const enum dimension dims[] = {[LIMIT_NONE] = DIM_NONE,
		[LIMIT_CONCURRENCY] = DIM_IN_FLIGHT,
		[LIMIT_REQUESTS] = DIM_REQUESTS,
		[LIMIT_BYTES] = DIM_BYTES};
	static const enum verdict verdicts[] = {
		[ANSWER_TAKEN] = VERDICT_OK, [ANSWER_REFUSED] = VERDICT_REFUSED, [ANSWER_NONE] = VERDICT_LOST};
	struct task *t = &w->task[worker];
	const struct answer *a = &t->answer;
	struct throttle_hint hint = {.dimension = w->s->unnamed ? DIM_NONE : dims[a->kind],
		.retry_after_ms = a->retry_after_ms,
		.scope_name = a->tenant ? "tenant" : NULL,
		.words = "refused"};
	server_end(&w->server, worker / WORLD_SENDERS, a);
	t->again = a->what != ANSWER_TAKEN;
	senders_done(w->senders, now_ms, worker, verdicts[a->what], a->what == ANSWER_REFUSED ? &hint : NULL, t->bytes,
		(unsigned)(now_ms - t->started_ms));
	world_flow(w, now_ms);
	world_want(w, worker, now_ms);
}

/* --- the run ---------------------------------------------------------------------------------------------------------------- */

static void world_second(struct world *w, int64_t second)
{
	server_second(&w->server, second);
	if (w->policy == POLICY_TOLD || (w->policy == POLICY_TOLD_RARELY && w->out->sent >= w->told * WORLD_TOLD_EACH))
		for (unsigned i = 0; i < w->s->boxes; i++)
			senders_tell(w->senders, second * 1000, i, server_level(&w->server, i, second));
	w->told += w->out->sent >= w->told * WORLD_TOLD_EACH;
	if (w->trace && second % 5 == 0)
		senders_trace(w->senders, second * 1000, server_level(&w->server, 0, second), w->trace);
}

static void world_loop(struct world *w)
{
	int64_t end = w->s->seconds * 1000, second = 0, now = 0;
	for (unsigned i = 0; i < w->s->boxes * WORLD_SENDERS; i++)
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

void world_run(const struct scenario *s, enum policy p, unsigned seed, FILE *trace, struct outcome *out)
{
	struct world w = {.s = s, .policy = p, .out = out, .trace = trace};
	unsigned workers = s->boxes * WORLD_SENDERS;
	*out = (struct outcome){.per_second = calloc((size_t)s->seconds + 1, sizeof(float)),
		.requests_per_second = calloc((size_t)s->seconds + 1, sizeof(float))};
	w.monitor = calloc(s->boxes, sizeof *w.monitor);
	w.random = calloc(s->boxes, sizeof *w.random);
	w.taken = calloc(s->boxes, sizeof *w.taken);
	w.task = calloc(workers, sizeof *w.task);
	w.heap = calloc(workers, sizeof *w.heap);
	struct limit_rules ceiling = scenario_published(s);
	ceiling.in_flight = 0;
	for (unsigned i = 0; i < s->boxes; i++) {
		limit_init(&w.monitor[i], &ceiling);
		w.random[i] = random_start((uint64_t)seed * 1000003 + i * 7777u + 1);
	}
	server_init(&w.server, s, seed);
	w.senders = senders_new(s, p, world_peek, &w);
	world_loop(&w);
	senders_free(&w.senders);
	server_done(&w.server);
	double sum = 0, squares = 0;
	for (unsigned i = 0; i < s->boxes; i++) {
		sum += w.taken[i];
		squares += w.taken[i] * w.taken[i];
		limit_done(&w.monitor[i]);
	}
	out->jain = squares > 0 ? sum * sum / (s->boxes * squares) : 0;
	free(w.monitor);
	free(w.random);
	free(w.taken);
	free(w.task);
	free(w.heap);
}
