#include "engine/line.h"

#include "engine/job.h"

#include <string.h>

static int open_way(struct lines *l, struct job *j, enum line_way way, const char *names[LINE_PLACES], struct err *err)
{
	const struct scope_limits none = {0};
	for (int place = LINE_ALL; place < LINE_PLACES; place++) {
		struct scope *above = place ? l->at[way][place - 1] : NULL;
		if (!(l->at[way][place] = scope_open(j->work->throttle, above, names[place], &none)))
			return err_set(err, ERR_MEMORY, "no memory for the throttle");
	}
	return 0;
}

int line_open(struct lines *l, struct job *j, struct err *err)
{
	char source[MODEL_NAME + 16], batch[MODEL_NAME + 16], from[MODEL_TEXT + 16], target[LIMIT_SCOPE],
		to[MODEL_TEXT + 16];
	snprintf(source, sizeof source, "source %s", j->source_login.endpoint.name);
	snprintf(batch, sizeof batch, "batch %s", j->batch.name);
	snprintf(from, sizeof from, "mailbox %s", j->user.source_user);
	snprintf(to, sizeof to, "mailbox %s", j->user.address);
	limit_target_scope(j->target_login.row.name, target, sizeof target);
	const char *down[LINE_PLACES] = {"down", source, batch, from}, *up[LINE_PLACES] = {"up", target, batch, to};
	return open_way(l, j, LINE_DOWN, down, err) || open_way(l, j, LINE_UP, up, err) ? -1 : 0;
}

void line_close(struct lines *l)
{
	for (int way = 0; way < LINE_WAYS; way++)
		for (int place = LINE_PLACES; place-- > 0;)
			scope_close(&l->at[way][place]);
}

static double narrower(double a, double b)
{
	return a > 0 && (b <= 0 || a < b) ? a : b;
}

void line_set(struct lines *l, const struct limit_rates *rates)
{
	/* A share is of the narrowest rate that was set, wherever that was. */
	double narrowest = narrower(rates->batch, narrower(rates->endpoint, rates->target));
	const struct scope_limits source = {.bytes_per_s = rates->endpoint}, target = {.bytes_per_s = rates->target},
				  batch = {.bytes_per_s = rates->share < 1 ? narrowest * rates->share : rates->batch};
	scope_set_limits(l->at[LINE_DOWN][LINE_SERVER], &source);
	scope_set_limits(l->at[LINE_UP][LINE_SERVER], &target);
	/* A window that closes ends the jobs: what is under way goes on, or is given up, by the rate that was. */
	for (int way = 0; way < LINE_WAYS && rates->share > 0; way++)
		scope_set_limits(l->at[way][LINE_BATCH], &batch);
}

/* The way up first: what is read and not sent on waits there. */
void line_look(struct lines *l, struct line_view *out)
{
	struct scope_view v;
	*out = (struct line_view){0};
	for (int way = LINE_WAYS; way-- > 0;) {
		for (int place = LINE_SERVER; place <= LINE_BATCH; place++) {
			scope_look(l->at[way][place], &v);
			out->limit_per_s = narrower(v.allowed_bytes_per_s, out->limit_per_s);
		}
		scope_look(l->at[way][LINE_MAILBOX], &v);
		if (way == LINE_UP)
			out->per_s = v.bytes_per_s;
		if (out->waits || !v.waiting || !v.binding_scope[0])
			continue;
		out->waits = true;
		snprintf(out->scope, sizeof out->scope, "%s", v.binding_scope);
		bool by_batch = strncmp(v.binding_scope, "batch ", 6) == 0;
		scope_look(l->at[way][by_batch ? LINE_BATCH : LINE_SERVER], &v);
		out->rate = v.allowed_bytes_per_s;
	}
}
