#include "upload/exosim/graph_limit.h"

static struct limit_rules rules_of(struct mailbox *m, struct profile *p)
{
	return (struct limit_rules){.requests = (uint64_t)mailbox_limit(m, p, SW_GRAPH_REQUESTS),
		.requests_window_ms = profile_get(p, SW_GRAPH_REQUESTS_WINDOW_MS),
		.bytes = (uint64_t)mailbox_limit(m, p, SW_GRAPH_BYTES),
		.bytes_window_ms = profile_get(p, SW_GRAPH_BYTES_WINDOW_MS),
		.in_flight = (unsigned)mailbox_limit(m, p, SW_GRAPH_IN_FLIGHT),
		.retry = profile_get(p, SW_GRAPH_RETRY) == 0   ? LIMIT_RETRY_FIT
			 : profile_get(p, SW_GRAPH_RETRY) == 1 ? LIMIT_RETRY_FIXED
							       : LIMIT_RETRY_MISSING,
		.retry_ms = profile_get(p, SW_GRAPH_RETRY_MS),
		.refused_bytes_free = profile_get(p, SW_GRAPH_REFUSED_FREE)};
}

enum limit_kind graph_limit_begin(struct mailbox *m, const struct app *app, struct profile *p, int64_t now_ms,
	uint64_t bytes, int64_t *retry_after_ms)
{
	struct app_use *u = &m->use[app->index];
	struct limit_rules rules;
	enum limit_kind why;

	pthread_mutex_lock(&m->lock);
	rules = rules_of(m, p);
	limit_set_rules(&u->graph, &rules);
	m->count.graph_requests++;
	m->count.graph_bytes += bytes;
	m->count.graph_while_fenced += now_ms < u->graph_fence_until_ms;
	why = limit_begin(&u->graph, now_ms, bytes, retry_after_ms);
	if (why == LIMIT_NONE) {
		if (++m->count.graph_in_flight > m->count.graph_in_flight_peak)
			m->count.graph_in_flight_peak = m->count.graph_in_flight;
	} else {
		m->count.graph_throttled++;
		m->count.graph_bytes_refused += bytes;
		if (*retry_after_ms > 0)
			u->graph_fence_until_ms = now_ms + *retry_after_ms;
	}
	pthread_mutex_unlock(&m->lock);
	return why;
}

void graph_limit_use(struct mailbox *m, const struct app *app, int64_t now_ms, uint64_t bytes)
{
	pthread_mutex_lock(&m->lock);
	m->count.graph_bytes += bytes;
	limit_use(&m->use[app->index].graph, now_ms, 0, bytes);
	pthread_mutex_unlock(&m->lock);
}

void graph_limit_end(struct mailbox *m, const struct app *app)
{
	pthread_mutex_lock(&m->lock);
	limit_end(&m->use[app->index].graph);
	m->count.graph_in_flight--;
	pthread_mutex_unlock(&m->lock);
}

void graph_limit_fence(struct mailbox *m, const struct app *app, int64_t until_ms)
{
	pthread_mutex_lock(&m->lock);
	m->count.graph_throttled++;
	m->use[app->index].graph_fence_until_ms = until_ms;
	pthread_mutex_unlock(&m->lock);
}
