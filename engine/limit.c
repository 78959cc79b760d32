#include "engine/limit.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/job.h"

#include <stdlib.h>
#include <string.h>

#define MB ((uint64_t)1000 * 1000) /* Microsoft does not say which: the smaller one is never too much */

/* Exchange counts its APIs apart: what Graph is asked for does not weigh on IMAP. */
enum api { API_IMAP, API_GRAPH };
_Static_assert(API_GRAPH + 1 == LIMIT_APIS, "one scope each");

/* Graph, Outlook service, per application and mailbox (spec/exchange-online.md 4). IMAP publishes nothing: its pace is what is proven. */
static const struct {
	const char *name;
	struct scope_limits limits;
} apis[LIMIT_APIS] = {[API_IMAP] = {.name = "imap"},
	[API_GRAPH] = {.name = "graph",
		.limits = {.requests = 10000,
			.requests_window_ms = 600000,
			.bytes = 150 * MB,
			.bytes_window_ms = 300000,
			.in_flight = 4}}};

/* A run in real time cannot last for hours: with NF_FAILPOINTS, NIGHTFERRY_LIMIT_SCALE=0.1 makes windows, and what is published for
   them, ten times smaller (make bench-throttle-real); 0: nothing is published (make bench). */
static struct scope_limits published(enum api api)
{
	struct scope_limits l = apis[api].limits;
#ifdef NF_FAILPOINTS
	const char *text = getenv("NIGHTFERRY_LIMIT_SCALE");
	double scale = text ? strtod(text, NULL) : 1;
	uint64_t *const v[] = {&l.requests, &l.requests_window_ms, &l.bytes, &l.bytes_window_ms};
	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
		*v[i] = (uint64_t)((double)*v[i] * scale);
#endif
	return l;
}

/* The roots first. */
enum place { SOURCE, SOURCE_MAILBOX, TARGET, TARGET_MAILBOX, API };
_Static_assert(API + LIMIT_APIS == LIMIT_SCOPES, "each scope has its place");

static struct scope **at(struct limits *l, int place)
{
	switch (place) {
	case SOURCE:
		return &l->source;
	case SOURCE_MAILBOX:
		return &l->source_mailbox;
	case TARGET:
		return &l->target;
	case TARGET_MAILBOX:
		return &l->target_mailbox;
	default:
		return &l->api[place - API];
	}
}

static int parent_of(int place)
{
	return place == SOURCE || place == TARGET ? -1 : place >= API ? TARGET_MAILBOX : place - 1;
}

static enum api api_of(const char *route)
{
	return strcmp(route, "imap") == 0 ? API_IMAP : API_GRAPH;
}

const char *limit_target_scope(const char *target_name, char *out, size_t size)
{
	snprintf(out, size, "target %s", target_name);
	return out;
}

/* What earlier nights taught. A store that cannot be read is the job's trouble soon enough. */
static void recall(struct job *j, struct limits *l, int place)
{
	struct err err = ERR_INIT;
	struct scope_learned learned;
	int64_t age_s;
	if (store_learned_get(j->work->store, l->path[place], clock_wall_s(), &learned, &age_s, &err))
		log_err(LOG_WARN, &err, "what was learned about %s", l->path[place]);
	else if (age_s >= 0)
		scope_set_learned(*at(l, place), &learned, age_s);
	scope_get_learned(*at(l, place), &l->known[place]);
}

static int open_place(struct job *j, int place, const char *name, const struct scope_limits *limits, struct err *err)
{
	struct limits *l = &j->limits;
	int parent = parent_of(place);
	struct scope *above = parent < 0 ? NULL : *at(l, parent);
	if (!(*at(l, place) = scope_open(j->work->throttle, above, name, limits)))
		return err_set(err, ERR_MEMORY, "no memory for the throttle");
	snprintf(l->path[place], LIMIT_PATH, "%.600s%s%.340s", parent < 0 ? "" : l->path[parent], parent < 0 ? "" : "/",
		name);
	recall(j, l, place);
	return 0;
}

static struct gate *open_gate(struct scope *leaf, struct scope *line, struct stop *stop)
{
	struct gate *g = gate_new(leaf, stop);
	if (g && gate_set_line(g, line))
		gate_free(&g);
	return g;
}

int limit_open(struct job *j, struct err *err)
{
	struct limits *l = &j->limits;
	const struct endpoint *e = &j->source_login.endpoint;
	const struct target_row *t = &j->target_login.row;
	struct scope_limits none = {0};
	char source[MODEL_NAME + 16], from[MODEL_TEXT + 16], target[LIMIT_SCOPE], to[MODEL_TEXT + 16];
	snprintf(source, sizeof source, "source %s", e->name);
	snprintf(from, sizeof from, "mailbox %s", j->user.source_user);
	limit_target_scope(t->name, target, sizeof target);
	snprintf(to, sizeof to, "mailbox %s", j->user.address);
	if (open_place(j, SOURCE, source, &none, err) || open_place(j, SOURCE_MAILBOX, from, &none, err) ||
		open_place(j, TARGET, target, &none, err) || open_place(j, TARGET_MAILBOX, to, &none, err) ||
		line_open(&l->lines, j, err))
		return -1;
	for (int a = 0; a < LIMIT_APIS; a++) {
		struct scope_limits api = published((enum api)a);
		if (open_place(j, API + a, apis[a].name, &api, err))
			return -1;
	}
	struct limit_rates rates = {.endpoint = (double)e->bytes_per_s,
		.batch = (double)j->batch.bytes_per_s,
		.target = (double)t->bytes_per_s,
		.share = 1,
		.ceiling = limit_ceiling(t)};
	limit_set(l, &rates);
	if (!(l->source_gate = open_gate(l->source_mailbox, l->lines.at[LINE_DOWN][LINE_MAILBOX], j->stop)))
		return err_set(err, ERR_MEMORY, "no memory for the throttle");
	j->source_login.conf.gate = l->source_gate;
	return 0;
}

void limit_close(struct job *j)
{
	struct limits *l = &j->limits;
	struct limit_lesson lessons[LIMIT_SCOPES];
	struct err err = ERR_INIT;
	size_t n = l->api[LIMIT_APIS - 1] ? limit_lessons(l, lessons) : 0;
	for (size_t i = 0; i < n; i++)
		if (store_learned_save(j->work->store, lessons[i].path, &lessons[i].learned, clock_wall_s(), &err))
			log_err(LOG_WARN, &err, "what was learned about %s", lessons[i].path);
	gate_free(&l->source_gate);
	line_close(&l->lines);
	for (int place = LIMIT_SCOPES; place-- > 0;)
		scope_close(at(l, place));
}

struct gate *limit_gate(struct job *j, const char *route)
{
	struct limits *l = &j->limits;
	return open_gate(l->api[api_of(route)], l->lines.at[LINE_UP][LINE_MAILBOX], j->stop);
}

void limit_source_refused(struct job *j, const struct err *why)
{
	if (err_action(why->kind) != ACT_RETRY && err_action(why->kind) != ACT_WAIT)
		return;
	live_note_trouble(j->live);
	if (why->kind == ERR_THROTTLED && why->retry_after_ms > 0)
		scope_fence(j->limits.source, why->retry_after_ms, why->server[0] ? why->server : why->text);
}

/* --- while it runs --- */

static double narrower(double a, double b)
{
	return a > 0 && (b <= 0 || a < b) ? a : b;
}

double limit_ceiling(const struct target_row *t)
{
	return t->graph_ceiling ? t->graph_ceiling / 100.0 : 1;
}

/* Requests at once too: a person who says more knows of more. */
static void set_ceiling(struct limits *l, double factor)
{
	for (int a = 0; a < LIMIT_APIS; a++) {
		struct scope_limits raised = published((enum api)a);
		raised.requests = (uint64_t)((double)raised.requests * factor);
		raised.bytes = (uint64_t)((double)raised.bytes * factor);
		if (raised.in_flight)
			raised.in_flight =
				(unsigned)(raised.in_flight * factor) > 0 ? (unsigned)(raised.in_flight * factor) : 1;
		scope_set_limits(l->api[a], &raised);
	}
}

void limit_set(struct limits *l, const struct limit_rates *rates)
{
	const struct limit_rates *old = &l->rates;
	if (rates->endpoint == old->endpoint && rates->batch == old->batch && rates->target == old->target &&
		rates->share == old->share && rates->ceiling == old->ceiling)
		return;
	line_set(&l->lines, rates);
	if (rates->ceiling != old->ceiling)
		set_ceiling(l, rates->ceiling);
	if (rates->share > 0)
		scope_set_share(l->api[API_GRAPH], rates->share);
	l->rates = *rates;
}

size_t limit_lessons(struct limits *l, struct limit_lesson out[LIMIT_SCOPES])
{
	size_t n = 0;
	for (int place = 0; place < LIMIT_SCOPES; place++) {
		struct scope_learned now, *known = &l->known[place];
		scope_get_learned(*at(l, place), &now);
		bool any = now.requests > 0 || now.bytes > 0 || now.in_flight;
		/* What was only recalled keeps its age: else it would never be forgotten. */
		if (!any || (now.requests == known->requests && now.bytes == known->bytes &&
				    now.in_flight == known->in_flight))
			continue;
		*known = now;
		out[n].learned = now;
		snprintf(out[n++].path, LIMIT_PATH, "%s", l->path[place]);
	}
	return n;
}

/* --- what people see --- */

static void look_fences(struct limits *l, struct limit_view *out)
{
	static const int order[] = {API + API_IMAP, API + API_GRAPH, TARGET_MAILBOX, TARGET, SOURCE_MAILBOX, SOURCE};
	struct scope_view v;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		scope_look(*at(l, order[i]), &v);
		bool target = order[i] >= TARGET, api = order[i] >= API,
		     idle = !v.in_flight && !v.waiting && v.requests_per_s <= 0;
		if (!(api && idle)) /* the limits of an API that no route uses bind nobody */
			out->limit_per_s = narrower(v.allowed_bytes_per_s, out->limit_per_s);
		if (api && !idle) {
			out->requests_limit_per_s = v.allowed_requests_per_s;
			out->in_flight = v.in_flight;
			out->in_flight_limit = v.allowed_in_flight;
		}
		if (order[i] == TARGET_MAILBOX || order[i] == SOURCE_MAILBOX)
			out->refused += v.refused;
		if (v.fenced && v.fenced_ms > out->fenced_ms) {
			out->fenced_ms = v.fenced_ms;
			out->fence_is_own = api || order[i] == TARGET_MAILBOX || order[i] == SOURCE_MAILBOX;
			snprintf(out->fence_words, sizeof out->fence_words, "%s", v.reason);
			snprintf(
				out->fence_scope, sizeof out->fence_scope, "the %s", target ? "destination" : "source");
		}
	}
}

static void look_target(struct limits *l, struct limit_view *out)
{
	struct scope_view v;
	for (int a = 0; a < LIMIT_APIS; a++) {
		scope_look(l->api[a], &v);
		if (!v.waiting || !v.binding_scope[0])
			continue;
		out->target_waiting = true;
		out->target_wait = v.binding;
		out->target_learned = v.binding_learned;
		snprintf(out->target_scope, sizeof out->target_scope, "%s", v.binding_scope);
	}
	scope_look(l->target_mailbox, &v);
	out->target_in_flight = v.in_flight;
	out->requests_per_s = v.requests_per_s;
}

static void look_source(struct limits *l, struct limit_view *out)
{
	struct scope_view v;
	scope_look(l->source_mailbox, &v);
	out->source_in_flight = v.in_flight;
	out->source_waiting = v.waiting && v.binding_scope[0];
	snprintf(out->source_scope, sizeof out->source_scope, "%s", v.binding_scope);
}

void limit_look(struct limits *l, struct limit_view *out)
{
	*out = (struct limit_view){.target_wait = DIM_NONE};
	look_fences(l, out);
	look_target(l, out);
	look_source(l, out);
	line_look(&l->lines, &out->line);
	out->bytes_per_s = out->line.per_s;
	out->limit_per_s = narrower(out->line.limit_per_s, out->limit_per_s);
}
