#include "engine/basis.h"

#include "engine/budget_day.h"
#include "engine/limit.h"
#include "engine/night.h"
#include "engine/store/assess.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Published by Microsoft for an application and a mailbox (spec/exchange-online.md, section 4): 150 MB and 10,000 requests. */
#define GRAPH_BYTES_WINDOW_S 300
#define GRAPH_REQUESTS_WINDOW_S 600
#define GRAPH_BYTES_PER_S (150e6 / GRAPH_BYTES_WINDOW_S)
#define GRAPH_REQUESTS_PER_S (10000.0 / GRAPH_REQUESTS_WINDOW_S)
#define BASE64 0.75      /* octets of a message in one of its request */
#define GRAPH_REQUESTS 2 /* importMime, then read state and categories */
#define EXCHANGE_IMAP_PACE \
	4 /* messages a second: what users of other tools report (peers.md, 1.1); nothing is published */
#define EXCHANGE_IMAP_BYTES 1e6
#define GENERIC_PACE 20
#define GENERIC_BYTES 5e6
#define PER_MAILBOX_S 5
#define PER_FOLDER_S 0.3
#define MEASURED_MESSAGES 100 /* fewer, or in less time, say nothing */
#define MEASURED_S 5

static void limit(struct basis *b, bool shared, enum forecast_unit unit, double per_s, enum forecast_origin origin,
	const char *fmt, ...) __attribute__((format(printf, 6, 7)));
static void limit(struct basis *b, bool shared, enum forecast_unit unit, double per_s, enum forecast_origin origin,
	const char *fmt, ...)
{
	/* A window leaves a share of what a person set, and of Graph's published limits; nobody paces what is only assumed or measured. */
	bool by_share = origin == FROM_SETTING || origin == FROM_PUBLISHED || origin == FROM_LEARNED;
	va_list ap;
	if (!(per_s > 0) || b->conf.n_limits == FORECAST_LIMITS)
		return;
	struct forecast_limit *l = &b->conf.limits[b->conf.n_limits++];
	*l = (struct forecast_limit){
		.shared = shared, .unit = unit, .by_share = by_share, .per_s = per_s, .origin = origin};
	va_start(ap, fmt);
	vsnprintf(l->text, sizeof l->text, fmt, ap);
	va_end(ap);
}

static void note(struct basis *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct basis *b, const char *fmt, ...)
{
	va_list ap;
	if (b->n_notes == BASIS_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(b->notes[b->n_notes], sizeof b->notes[0], fmt, ap);
	va_end(ap);
	b->n_notes++;
}

/* --- what a mailbox takes ----------------------------------------------------------------------- */

static bool add_measured(struct basis *b, const struct effort *e)
{
	if (e->messages < MEASURED_MESSAGES || e->active_s < MEASURED_S)
		return false;
	double messages = (double)e->messages / (double)e->active_s, bytes = (double)e->bytes / (double)e->active_s;
	limit(b, false, UNIT_MESSAGES, messages, FROM_MEASURED, "%.3g messages a second a mailbox, as %u moved %s took",
		messages, e->jobs, e->jobs == 1 ? "mailbox" : "mailboxes");
	limit(b, false, UNIT_BYTES, bytes, FROM_MEASURED, "%.3g MB a second a mailbox, as %u moved %s took",
		bytes / 1e6, e->jobs, e->jobs == 1 ? "mailbox" : "mailboxes");
	note(b,
		"measured: the first passes of %u %s of this endpoint and target, %llu messages, %.1f MB, in %lld s at "
		"work",
		e->jobs, e->jobs == 1 ? "mailbox" : "mailboxes", (unsigned long long)e->messages,
		(double)e->bytes / 1e6, (long long)e->active_s);
	return true;
}

/* What was published, or what mailboxes of this target taught since. */
static void add_graph(struct basis *b, const struct scope_learned *learned)
{
	double bytes = GRAPH_BYTES_PER_S * GRAPH_BYTES_WINDOW_S,
	       requests = GRAPH_REQUESTS_PER_S * GRAPH_REQUESTS_WINDOW_S;
	if (learned->bytes > 0 && learned->bytes < bytes)
		limit(b, false, UNIT_BYTES, learned->bytes / GRAPH_BYTES_WINDOW_S * BASE64, FROM_LEARNED,
			"the %.0f MB per 5 minutes a mailbox that the destination took (Graph)", learned->bytes / 1e6);
	else
		limit(b, false, UNIT_BYTES, GRAPH_BYTES_PER_S * BASE64, FROM_PUBLISHED,
			"the destination's 150 MB per 5 minutes a mailbox (Graph)");
	if (learned->requests > 0 && learned->requests < requests)
		limit(b, false, UNIT_MESSAGES, learned->requests / GRAPH_REQUESTS_WINDOW_S / GRAPH_REQUESTS,
			FROM_LEARNED, "the %.0f requests per 10 minutes a mailbox that the destination took (Graph)",
			learned->requests);
	else
		limit(b, false, UNIT_MESSAGES, GRAPH_REQUESTS_PER_S / GRAPH_REQUESTS, FROM_PUBLISHED,
			"the destination's 10,000 requests per 10 minutes a mailbox (Graph)");
}

/* The route that is tried first carries nearly all. */
static bool leads_by_graph(const struct target_row *t)
{
	return t->kind == TARGET_EXCHANGE && strncmp(t->routes, "mime", 4) == 0;
}

static void add_target(struct basis *b, const struct target_row *t, bool measured, const struct scope_learned *learned)
{
	if (leads_by_graph(t)) {
		add_graph(b, learned);
		note(b, "a message by Graph is %d requests and a third larger, as base64", GRAPH_REQUESTS);
	} else if (!measured && t->kind == TARGET_EXCHANGE) {
		limit(b, false, UNIT_MESSAGES, EXCHANGE_IMAP_PACE, FROM_ASSUMPTION,
			"%d messages a second into a mailbox by IMAP", EXCHANGE_IMAP_PACE);
		limit(b, false, UNIT_BYTES, EXCHANGE_IMAP_BYTES, FROM_ASSUMPTION,
			"1 MB a second into a mailbox by IMAP");
		note(b, "nothing is published about Exchange Online's IMAP; 4 messages a second is what users of other "
			"tools "
			"report. A pilot that was moved replaces both figures");
	} else if (!measured) {
		limit(b, false, UNIT_MESSAGES, GENERIC_PACE, FROM_ASSUMPTION, "%d messages a second into a mailbox",
			GENERIC_PACE);
		limit(b, false, UNIT_BYTES, GENERIC_BYTES, FROM_ASSUMPTION, "5 MB a second into a mailbox");
		note(b, "nothing is known about this destination's speed. A pilot that was moved replaces both "
			"figures");
	}
	limit(b, true, UNIT_BYTES, (double)t->bytes_per_s, FROM_SETTING, "the rate set for target %s", t->name);
}

static void add_source(struct basis *b, const struct batch *batch, const struct endpoint *e)
{
	limit(b, true, UNIT_BYTES, (double)batch->bytes_per_s, FROM_SETTING, "the rate set for batch %s", batch->name);
	limit(b, true, UNIT_BYTES, (double)e->bytes_per_s, FROM_SETTING, "the rate set for endpoint %s", e->name);
}

static int add_budget(struct basis *b, struct store *s, const struct endpoint *e, int64_t now, struct err *err)
{
	struct day_rule rule;
	if (!e->bytes_per_day)
		return 0;
	if (budget_day_rule(s, e, &rule, err) || zone_load(&b->zone, rule.zone[0] ? rule.zone : "UTC", err))
		return -1;
	b->conf.budget_zone = b->zone;
	if (rule.of_host)
		b->conf.host_bytes_per_day = e->bytes_per_day;
	else
		b->conf.mailbox_bytes_per_day = e->bytes_per_day;
	note(b, "the source gives %.4g MB a day%s; a day ends at midnight in %s", (double)e->bytes_per_day / 1e6,
		rule.of_host ? " in all" : " from each mailbox", rule.zone[0] ? rule.zone : "UTC");
	return rule.of_host ? store_spent_get(s, e->id, "", b->zone, now, &b->conf.host_spent_today, err) : 0;
}

static int add_windows(struct basis *b, struct store *s, const struct batch *batch, struct err *err)
{
	struct night night;
	if (store_night_get(s, batch->id, &night, err) || night_schedule(&night, &b->schedule, err))
		return -1;
	b->conf.schedule = b->schedule;
	snprintf(b->zone_name, sizeof b->zone_name, "%s", night.zone[0] ? night.zone : "UTC");
	if (night.auto_ramp)
		note(b, "--auto-ramp may move more mailboxes at once than this reckons with");
	return 0;
}

/* --- how many at once --------------------------------------------------------------------------- */

static void bound(struct basis *b, unsigned n, const char *what, const char *name)
{
	if (!n || n >= b->conf.at_once)
		return;
	b->conf.at_once = n;
	snprintf(b->at_once_text, sizeof b->at_once_text, "%s %s", what, name);
}

static void add_at_once(struct basis *b, const struct batch *batch, const struct endpoint *e,
	const struct target_row *t, unsigned at_once)
{
	b->conf.at_once = at_once ? at_once : batch->max_mailboxes ? batch->max_mailboxes : 1000;
	snprintf(b->at_once_text, sizeof b->at_once_text, at_once ? "as asked" : "batch %s", batch->name);
	bound(b, e->max_mailboxes, "mailboxes of endpoint", e->name);
	bound(b, e->max_connections, "connections of endpoint", e->name);
	bound(b, t->max_mailboxes, "mailboxes of target", t->name);
}

int basis_load(struct basis *out, struct store *s, const struct batch *b, const struct endpoint *e,
	const struct target_row *t, unsigned at_once, int64_t now, struct err *err)
{
	struct effort measured;
	struct scope_learned learned;
	char scope[LIMIT_SCOPE];
	memset(out, 0, sizeof *out);
	if (store_effort_sum(s, e->id, t->id, &measured, err) ||
		store_learned_usual(
			s, limit_target_scope(t->name, scope, sizeof scope), "/graph", now, &learned, err) ||
		add_budget(out, s, e, now, err) || add_windows(out, s, b, err)) {
		basis_done(out);
		return -1;
	}
	out->conf.per_mailbox_s = PER_MAILBOX_S;
	out->conf.per_folder_s = PER_FOLDER_S;
	bool known = add_measured(out, &measured);
	add_target(out, t, known, &learned);
	add_source(out, b, e);
	add_at_once(out, b, e, t, at_once);
	note(out,
		"%d s to sign in to a mailbox and %.1f s to open a folder; nobody else uses the line, and nothing is "
		"refused",
		PER_MAILBOX_S, PER_FOLDER_S);
	return 0;
}

void basis_done(struct basis *b)
{
	schedule_free(&b->schedule);
	zone_free(&b->zone);
}
