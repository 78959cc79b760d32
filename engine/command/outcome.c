#include "engine/command/outcome.h"

#include "engine/base/clock.h"
#include "engine/command/assess_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FAR 0.2 /* a deviation that wants a reason */

/* --- why ---------------------------------------------------------------------------------------- */

static void reason(struct outcome *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void reason(struct outcome *o, const char *fmt, ...)
{
	size_t n = strlen(o->why);
	va_list ap;
	if (n + 4 >= sizeof o->why)
		return;
	if (n)
		n += (size_t)snprintf(o->why + n, sizeof o->why - n, "; ");
	va_start(ap, fmt);
	vsnprintf(o->why + n, sizeof o->why - n, fmt, ap);
	va_end(ap);
}

static void find_reasons(struct outcome *o, const struct assessment *a, const struct effort *e, const struct user *u,
	const struct live_row *live)
{
	char takes[32];
	if (o->fenced_s)
		reason(o, "%s behind fences of a server", assess_duration(o->fenced_s, takes, sizeof takes));
	if (live->refused)
		reason(o, "%u request%s refused by a limit", live->refused, live->refused == 1 ? " was" : "s were");
	if (o->deferred_s)
		reason(o, "%s waiting for a window, a budget or room",
			assess_duration(o->deferred_s, takes, sizeof takes));
	if (o->failed_s)
		reason(o, "%s stopped or waiting after a failure", assess_duration(o->failed_s, takes, sizeof takes));
	if (e->jobs > 1)
		reason(o, "in %u parts", e->jobs);
	if (!o->compared)
		return;
	if (u->counts.adopted)
		reason(o, "%llu messages were there before", (unsigned long long)u->counts.adopted);
	if (u->counts.found > a->messages + a->messages / 20)
		reason(o, "%llu messages more than were assessed", (unsigned long long)(u->counts.found - a->messages));
	if (fabs(o->deviation) > FAR && a->bind[0])
		reason(o, "it was reckoned with %s", a->bind);
}

/* --- a mailbox ---------------------------------------------------------------------------------- */

static void fill(struct outcome *o, const struct assessment *a, const struct effort *e, int64_t now)
{
	*o = (struct outcome){.forecast_s = -1, .active_s = -1, .elapsed_s = -1};
	if (a->ends_at) {
		o->forecast_s = a->active_s;
		o->forecast_at = a->ends_at;
	}
	if (!e->begun_at)
		return;
	o->done = e->ended_at > 0;
	o->active_s = e->active_s;
	o->elapsed_s = (o->done ? e->ended_at : now) - e->begun_at;
	o->messages = e->messages;
	o->bytes = e->bytes;
	o->fenced_s = e->fenced_s;
	o->deferred_s = e->deferred_s;
	o->failed_s = e->failed_s;
	if (o->done) { /* less than a second counts as one */
		o->messages_per_s = (double)e->messages / (double)(e->active_s > 0 ? e->active_s : 1);
		o->bytes_per_s = (double)e->bytes / (double)(e->active_s > 0 ? e->active_s : 1);
	}
	o->compared = o->done && o->forecast_s > 0;
	if (o->compared)
		o->deviation = (double)o->active_s / (double)o->forecast_s - 1;
}

static void add_total(
	struct outcomes *all, const struct outcome *o, const struct effort *e, int64_t *first, int64_t *last)
{
	struct outcome *t = &all->total;
	all->begun += e->begun_at > 0;
	if (e->begun_at && (!*first || e->begun_at < *first))
		*first = e->begun_at;
	if (!o->done)
		return;
	all->done++;
	*last = e->ended_at > *last ? e->ended_at : *last;
	t->active_s += o->active_s;
	t->messages += o->messages;
	t->bytes += o->bytes;
	t->fenced_s += o->fenced_s;
	t->deferred_s += o->deferred_s;
	t->failed_s += o->failed_s;
	if (!o->compared)
		return;
	t->compared = true;
	t->forecast_s += o->forecast_s;
	t->deviation += (double)o->active_s; /* for now: the facts that have a forecast */
}

static void end_total(struct outcomes *all, int64_t first, int64_t last)
{
	struct outcome *t = &all->total;
	t->done = all->done > 0;
	t->elapsed_s = last > first ? last - first : 0;
	if (t->active_s > 0) {
		t->messages_per_s = (double)t->messages / (double)t->active_s;
		t->bytes_per_s = (double)t->bytes / (double)t->active_s;
	}
	t->deviation = t->compared ? t->deviation / (double)t->forecast_s - 1 : 0;
}

int outcome_load(struct outcomes *out, struct store *s, int64_t batch_id, struct err *err)
{
	struct assessment *a = NULL;
	struct effort *e = NULL;
	struct user *u = NULL;
	size_t n_a = 0, n_e = 0, n_u = 0;
	int64_t first = 0, last = 0, now = clock_wall_s();
	*out = (struct outcomes){0};
	int rc = store_assessment_list(s, batch_id, &a, &n_a, err) || store_effort_list(s, batch_id, &e, &n_e, err) ||
				 store_user_list(s, batch_id, &u, &n_u, err) ||
				 store_outlook_get(s, batch_id, &out->outlook, err)
			 ? -1
			 : 0;
	if (!rc && (n_a != n_e || n_a != n_u))
		rc = err_set(err, ERR_CONFLICT, "mailboxes of the batch came or went meanwhile: once more");
	if (!rc && !(out->v = calloc(n_a ? n_a : 1, sizeof *out->v)))
		rc = err_set(err, ERR_MEMORY, "no memory for a report");
	out->n = rc ? 0 : n_a;
	for (size_t i = 0; i < out->n && !rc; i++) {
		struct live_row live = {0};
		if (e[i].begun_at)
			rc = store_live_get(s, u[i].id, &live, err);
		fill(&out->v[i], &a[i], &e[i], now);
		out->v[i].fenced_s += (int64_t)(live.fenced_ms / 1000);
		find_reasons(&out->v[i], &a[i], &e[i], &u[i], &live);
		add_total(out, &out->v[i], &e[i], &first, &last);
	}
	end_total(out, first, last);
	free(a);
	free(e);
	free(u);
	if (rc)
		outcome_done(out);
	return rc;
}

void outcome_done(struct outcomes *o)
{
	free(o->v);
	outlook_done(&o->outlook);
	*o = (struct outcomes){0};
}

/* --- for people --------------------------------------------------------------------------------- */

static const char *deviation_text(const struct outcome *o, char *out, size_t size)
{
	out[0] = 0;
	if (o->compared)
		snprintf(out, size, ", %.0f %% %s", fabs(o->deviation) * 100,
			o->deviation < 0 ? "less than forecast" : "more than forecast");
	return out;
}

void outcome_print_user(const struct outcome *o)
{
	char forecast[32], took[32], elapsed[32], bytes[32], off[48];
	if (o->forecast_s < 0 && o->active_s < 0)
		return;
	printf("    ");
	if (o->forecast_s >= 0)
		printf("forecast %s at work%s", assess_duration(o->forecast_s, forecast, sizeof forecast),
			o->active_s < 0 ? "" : "; ");
	if (o->active_s >= 0 && o->done)
		printf("it took %s%s; %s from begin to end, %.1f messages/s, %s/s",
			assess_duration(o->active_s, took, sizeof took), deviation_text(o, off, sizeof off),
			assess_duration(o->elapsed_s, elapsed, sizeof elapsed), o->messages_per_s,
			cli_bytes((uint64_t)o->bytes_per_s, bytes, sizeof bytes));
	else if (o->active_s >= 0)
		printf("begun %s ago and not done", assess_duration(o->elapsed_s, elapsed, sizeof elapsed));
	printf("%s%s\n", o->why[0] ? ". Why: " : "", o->why);
}

void outcome_print_batch(const struct outcomes *o)
{
	char made[CLOCK_TEXT], ends[CLOCK_TEXT], bytes[32], took[32], elapsed[32], off[48];
	const struct outlook *l = &o->outlook;
	const struct outcome *t = &o->total;
	if (l->at) {
		printf("Forecast of %s: %u %s, %llu messages, %s, %u at once, ", cli_time(l->at, made, sizeof made),
			l->mailboxes, l->mailboxes == 1 ? "mailbox" : "mailboxes", (unsigned long long)l->messages,
			cli_bytes(l->bytes, bytes, sizeof bytes), l->at_once);
		if (l->ends_at == FORECAST_NEVER)
			puts("not done in the time that its windows leave");
		else
			printf("done by %s; what binds: %s\n", cli_time(l->ends_at, ends, sizeof ends), l->bind);
	}
	if (t->done)
		printf("Fact: %u %s moved in %s (%s at work%s): %llu messages, %s: %.1f messages/s, %s/s a mailbox\n",
			o->done, o->done == 1 ? "mailbox" : "mailboxes",
			assess_duration(t->elapsed_s, elapsed, sizeof elapsed),
			assess_duration(t->active_s, took, sizeof took), deviation_text(t, off, sizeof off),
			(unsigned long long)t->messages, cli_bytes(t->bytes, bytes, sizeof bytes), t->messages_per_s,
			cli_bytes((uint64_t)t->bytes_per_s, made, sizeof made));
}

/* --- for machines ------------------------------------------------------------------------------- */

static json_t *known(bool is, json_t *value)
{
	if (is)
		return value;
	json_decref(value);
	return json_null();
}

json_t *outcome_json(const struct outcome *o)
{
	if (o->forecast_s < 0 && o->active_s < 0)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:b,s:I,s:I,s:o,s:o,s:o,s:I,s:I,s:I,s:s}", "forecast_active_s",
		known(o->forecast_s >= 0, json_integer((json_int_t)o->forecast_s)), "forecast_done_at",
		known(o->forecast_at && o->forecast_at != FORECAST_NEVER, json_integer((json_int_t)o->forecast_at)),
		"active_s", known(o->active_s >= 0, json_integer((json_int_t)o->active_s)), "elapsed_s",
		known(o->elapsed_s >= 0, json_integer((json_int_t)o->elapsed_s)), "done", (int)o->done, "messages",
		(json_int_t)o->messages, "bytes", (json_int_t)o->bytes, "messages_per_s",
		known(o->done, json_real(o->messages_per_s)), "bytes_per_s", known(o->done, json_real(o->bytes_per_s)),
		"deviation", known(o->compared, json_real(o->deviation)), "fenced_s", (json_int_t)o->fenced_s,
		"deferred_s", (json_int_t)o->deferred_s, "failed_s", (json_int_t)o->failed_s, "why", o->why);
}

static json_t *outlook_json(const struct outlook *l)
{
	json_error_t ignored;
	json_t *nights = json_loads(l->nights ? l->nights : "[]", 0, &ignored);
	json_t *basis = json_loads(l->basis ? l->basis : "{}", 0, &ignored);
	json_t *j = json_pack("{s:I,s:I,s:o,s:I,s:I,s:i,s:i,s:s}", "made_at", (json_int_t)l->at, "begins_at",
		(json_int_t)l->begins_at, "ends_at",
		known(l->ends_at != FORECAST_NEVER, json_integer((json_int_t)l->ends_at)), "bytes",
		(json_int_t)l->bytes, "messages", (json_int_t)l->messages, "mailboxes", (int)l->mailboxes, "at_once",
		(int)l->at_once, "binds", l->bind);
	json_object_set_new(j, "nights", nights ? nights : json_array());
	json_object_set_new(j, "basis", basis ? basis : json_object());
	return j;
}

json_t *outcome_batch_json(const struct outcomes *o)
{
	return json_pack("{s:o,s:o}", "forecast", o->outlook.at ? outlook_json(&o->outlook) : json_null(), "fact",
		o->total.done ? outcome_json(&o->total) : json_null());
}

int outcome_tell_forecast(struct cli *c, const struct batch *b, struct err *err)
{
	char made[CLOCK_TEXT], ends[CLOCK_TEXT];
	struct outlook l;
	if (store_outlook_get(c->store, b->id, &l, err))
		return -1;
	json_object_set_new(c->out, "forecast", l.at ? outlook_json(&l) : json_null());
	if (l.at && !c->json) {
		bool never = l.ends_at == FORECAST_NEVER;
		printf("  forecast of %s: %s%s", cli_time(l.at, made, sizeof made),
			never ? "not done in the time that its windows leave" : "done by ",
			never ? "" : cli_time(l.ends_at, ends, sizeof ends));
		if (b->ended_at)
			printf("; ended %s (nightferry batch report compares)",
				cli_time(b->ended_at, ends, sizeof ends));
		puts("");
	}
	outlook_done(&l);
	return 0;
}

void outcome_row(const struct outcome *o, struct outcome_row *out)
{
	memset(out, 0, sizeof *out);
	const struct {
		bool known;
		double value;
		int digits;
	} cells[OUTCOME_COLUMNS - 1] = {{o->forecast_s >= 0, (double)o->forecast_s, 0},
		{o->active_s >= 0, (double)o->active_s, 0}, {o->elapsed_s >= 0, (double)o->elapsed_s, 0},
		{o->compared, o->deviation + 1, 2}, {o->done, o->messages_per_s, 2}, {o->done, o->bytes_per_s, 0},
		{o->active_s >= 0, (double)o->fenced_s, 0}, {o->active_s >= 0, (double)o->deferred_s, 0},
		{o->active_s >= 0, (double)o->failed_s, 0}};
	for (int i = 0; i < OUTCOME_COLUMNS - 1; i++) {
		if (cells[i].known)
			snprintf(out->text[i], sizeof out->text[i], "%.*f", cells[i].digits, cells[i].value);
		out->fields[i] = out->text[i];
	}
	out->fields[OUTCOME_COLUMNS - 1] = o->why;
}
