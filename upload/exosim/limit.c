#include "upload/exosim/limit.h"

#include <stdlib.h>

#define LIMIT_GRAIN_MS 10

const char *limit_name(enum limit_kind kind)
{
	static const char *const names[] = {
#define X(k, n) n,
		LIMIT_KINDS(X)
#undef X
	};
	return names[kind];
}

struct limit_rules limit_documented(void)
{
	return (struct limit_rules){.requests = 10000,
		.requests_window_ms = 600000,
		.bytes = 150000000,
		.bytes_window_ms = 300000,
		.in_flight = 4,
		.retry_ms = 1000};
}

void limit_init(struct limit *l, const struct limit_rules *rules)
{
	*l = (struct limit){.rules = *rules};
}

void limit_done(struct limit *l)
{
	free(l->requests.entry);
	free(l->bytes.entry);
	*l = (struct limit){0};
}

void limit_set_rules(struct limit *l, const struct limit_rules *rules)
{
	l->rules = *rules;
}

static struct limit_entry *log_at(struct limit_log *g, size_t i)
{
	return &g->entry[(g->first + i) % g->room];
}

static void log_expire(struct limit_log *g, int64_t now_ms, int64_t window_ms)
{
	while (g->count && log_at(g, 0)->at_ms + window_ms <= now_ms) {
		g->sum -= log_at(g, 0)->n;
		g->first = (g->first + 1) % g->room;
		g->count--;
	}
}

static void log_add(struct limit_log *g, int64_t now_ms, int64_t window_ms, uint64_t n)
{
	log_expire(g, now_ms, window_ms);
	g->sum += n;
	if (g->sum > g->peak)
		g->peak = g->sum;
	if (g->count && now_ms - log_at(g, g->count - 1)->at_ms < LIMIT_GRAIN_MS) {
		log_at(g, g->count - 1)->n += n;
		return;
	}
	if (g->count == g->room) { /* bounded: a window has so many grains */
		size_t room = g->room ? g->room * 2 : 256;
		struct limit_entry *v = malloc(room * sizeof *v);
		if (!v)
			abort(); /* a simulator, and a few KB */
		for (size_t i = 0; i < g->count; i++)
			v[i] = *log_at(g, i);
		free(g->entry);
		g->entry = v;
		g->room = room;
		g->first = 0;
	}
	g->count++;
	*log_at(g, g->count - 1) = (struct limit_entry){now_ms, n};
}

static int64_t log_fits_at(struct limit_log *g, int64_t now_ms, int64_t window_ms, uint64_t n, uint64_t limit)
{
	if (!limit)
		return now_ms;
	log_expire(g, now_ms, window_ms);
	uint64_t left = g->sum;
	int64_t at = now_ms;
	for (size_t i = 0; i < g->count && left && (n > limit || left > limit - n); i++) {
		left -= log_at(g, i)->n;
		at = log_at(g, i)->at_ms + window_ms;
	}
	return at;
}

int64_t limit_fits_at(struct limit *l, int64_t now_ms, uint64_t bytes, enum limit_kind *why)
{
	const struct limit_rules *r = &l->rules;
	*why = LIMIT_NONE;
	if (r->in_flight && l->in_flight >= r->in_flight) {
		*why = LIMIT_CONCURRENCY;
		return LIMIT_NEVER;
	}
	int64_t at = log_fits_at(&l->requests, now_ms, r->requests_window_ms, 1, r->requests);
	if (at > now_ms)
		*why = LIMIT_REQUESTS;
	/* The limit is of uploads: a request without a body passes, however full its window is. */
	int64_t bytes_at = bytes ? log_fits_at(&l->bytes, now_ms, r->bytes_window_ms, bytes, r->bytes) : now_ms;
	if (bytes_at > at) {
		*why = LIMIT_BYTES;
		at = bytes_at;
	}
	return at;
}

void limit_use(struct limit *l, int64_t now_ms, uint64_t requests, uint64_t bytes)
{
	if (requests && l->rules.requests_window_ms)
		log_add(&l->requests, now_ms, l->rules.requests_window_ms, requests);
	if (bytes && l->rules.bytes_window_ms)
		log_add(&l->bytes, now_ms, l->rules.bytes_window_ms, bytes);
}

static int64_t limit_retry_ms(const struct limit *l, int64_t now_ms, int64_t fits_at)
{
	int64_t ms = l->rules.retry_ms;
	if (l->rules.retry == LIMIT_RETRY_MISSING)
		return -1;
	if (l->rules.retry == LIMIT_RETRY_FIT && fits_at != LIMIT_NEVER && fits_at - now_ms > ms)
		ms = fits_at - now_ms;
	return (ms + 999) / 1000 * 1000;
}

enum limit_kind limit_begin(struct limit *l, int64_t now_ms, uint64_t bytes, int64_t *retry_after_ms)
{
	enum limit_kind why;
	int64_t at = limit_fits_at(l, now_ms, bytes, &why);
	limit_use(l, now_ms, 1, why != LIMIT_NONE && l->rules.refused_bytes_free ? 0 : bytes);
	*retry_after_ms = -1;
	if (why != LIMIT_NONE) {
		if (at != LIMIT_NEVER) /* with itself counted */
			at = limit_fits_at(l, now_ms, bytes, &(enum limit_kind){LIMIT_NONE});
		*retry_after_ms = limit_retry_ms(l, now_ms, at);
		return why;
	}
	l->in_flight++;
	return LIMIT_NONE;
}

void limit_end(struct limit *l)
{
	if (l->in_flight)
		l->in_flight--;
}
