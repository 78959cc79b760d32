#include "engine/binding.h"

#include "engine/job.h"

#include <string.h>

enum binding binding_say(struct finding *f, enum binding b, const char *text)
{
	snprintf(f->detail, sizeof f->detail, "%s", text);
	return f->binding = b;
}

/* A rate that a person set binds where it was set; below a window's share, the window does. */
static enum binding say_rate(struct finding *f, double share, const char *scope, double per_s)
{
	char rate[32];
	snprintf(rate, sizeof rate, "%.3g MB/s", per_s / share / 1e6);
	if (share < 1)
		snprintf(f->detail, sizeof f->detail,
			"the window leaves %.0f%% of the rate (%s for %s); it ends by itself, or: nightferry batch set "
			"--window",
			share * 100, rate, scope);
	else
		snprintf(f->detail, sizeof f->detail,
			"the rate that was set for %s, %s; --rate raises it while it runs", scope, rate);
	return f->binding = share < 1 ? BIND_WINDOW : BIND_RATE;
}

/* more: more uploads may help. */
static enum binding say_network(struct finding *f, bool more, const char *text)
{
	snprintf(f->detail, sizeof f->detail, "%s%s", text, more ? "; --uploads may help" : "");
	return f->binding = BIND_NETWORK;
}

static enum binding find_at_target(const struct limit_view *v, bool more, struct finding *f)
{
	switch (v->target_wait) {
	case DIM_BYTES:
		return binding_say(f, BIND_TARGET_BYTES,
			v->target_learned ? "the destination takes so many bytes in a time, as its refusals taught"
					  : "the destination's published limit of bytes in a time");
	case DIM_REQUESTS:
		return binding_say(f, BIND_TARGET_REQUESTS,
			v->target_learned ? "the destination takes so many requests in a time, as its refusals taught"
					  : "the destination's published limit of requests in a time");
	case DIM_IN_FLIGHT:
		return binding_say(f, BIND_TARGET_CONCURRENCY,
			"the destination takes no more requests of this mailbox at once; more uploads do not help");
	case DIM_NONE:
		break;
	}
	return say_network(f, more, "the destination or the line to it takes no more");
}

static void find_unlimited(const struct limit_view *v, const struct parcel_view *q, bool more, struct finding *f)
{
	if (q->full || (!q->empty && q->bytes > q->cap / 2))
		say_network(f, more, "messages wait to be sent: the destination or the line to it takes no more");
	else if (q->empty && v->source_in_flight)
		binding_say(f, BIND_SOURCE, "the source, or the line to it, gives no more");
	else if (q->empty)
		binding_say(f, BIND_SOURCE, "the source's folders are being listed and compared");
	else if (v->in_flight)
		binding_say(f, BIND_NETWORK, "an answer of the destination is awaited");
	else
		binding_say(f, BIND_NOTHING, "nothing holds it back");
}

/* It, or the line, hangs, or a large message is slow. Told as long as it lasts: what waits is given up and tried again by itself. */
static void say_quiet(struct finding *f, int64_t quiet_ms)
{
	f->binding = BIND_NETWORK;
	snprintf(f->detail, sizeof f->detail,
		"the destination has taken and answered nothing for %lld s: it, or the line to it, hangs (or a large "
		"message "
		"is slow); what waits is tried again by itself",
		(long long)(quiet_ms / 1000));
}

void binding_find(const struct limit_view *v, const struct parcel_view *q, double share, unsigned uploads,
	int64_t quiet_ms, struct finding *f)
{
	/* By Graph so many are in flight as it allows, and where a limit was learned more uploads run against it. */
	bool more = !v->in_flight_limit && uploads < JOB_UPLOADS;
	if (quiet_ms >= BINDING_QUIET_MS) {
		say_quiet(f, quiet_ms);
		return;
	}
	if (v->fenced_ms > 0) {
		snprintf(f->detail, sizeof f->detail, "%s asked to wait", v->fence_scope);
		f->binding = BIND_FENCE;
	} else if (v->line.waits) {
		say_rate(f, share, v->line.scope, v->line.rate);
	} else if (v->target_waiting) {
		find_at_target(v, more, f);
	} else if (v->source_waiting) {
		binding_say(f, BIND_SOURCE, "the source lets so much through in a time, as its refusals taught");
	} else {
		find_unlimited(v, q, more, f);
	}
}
