#include "engine/command/assess_view.h"

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/command/csv_file.h"
#include "engine/pilot.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MOST 40     /* mailboxes on a terminal */
#define FINDINGS_MOST 60 /* lines of findings there */
#define NIGHTS_MOST 40
#define NAMES_MOST 6 /* mailboxes named a night */

const char *assess_duration(int64_t s, char *out, size_t size)
{
	long long t = s > 0 ? s : 0;
	if (t < 90)
		snprintf(out, size, "%lld s", t);
	else if (t < 90 * 60)
		snprintf(out, size, "%lld min", (t + 30) / 60);
	else if (t < 48 * 3600)
		snprintf(out, size, "%lld h %02lld min", t / 3600, t % 3600 / 60);
	else
		snprintf(out, size, "%lld d %lld h", t / 86400, t % 86400 / 3600);
	return out;
}

/* In the batch's zone, else UTC. */
static const char *moment(const struct assess_view *x, int64_t at, char *out, size_t size)
{
	const struct zone *z = x->basis->schedule ? schedule_zone(x->basis->schedule) : NULL;
	if (at == FORECAST_NEVER) {
		snprintf(out, size, "not in time");
		return out;
	}
	struct clock_fields f;
	clock_split(z ? zone_to_local(z, at) : at, &f);
	snprintf(out, size, "%04lld-%02d-%02d %02d:%02d", (long long)f.year, f.month, f.day, f.hour, f.minute);
	return out;
}

/* --- mailboxes ---------------------------------------------------------------------------------- */

static int compare_sizes(const struct assessment *a, const struct assessment *b)
{
	bool a_ok = a->at && a->error_kind == ERR_NONE, b_ok = b->at && b->error_kind == ERR_NONE;
	if (a_ok != b_ok)
		return a_ok ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int by_size(const void *x, const void *y)
{
	return compare_sizes(*(const struct assessment *const *)x, *(const struct assessment *const *)y);
}

/* The worst first: what could not be looked at, problems, what is left out. */
static int by_risk(const void *x, const void *y)
{
	const struct assessment *a = *(const struct assessment *const *)x, *b = *(const struct assessment *const *)y;
	bool a_bad = a->error_kind != ERR_NONE, b_bad = b->error_kind != ERR_NONE;
	if (a_bad != b_bad)
		return a_bad ? -1 : 1;
	if (a->problems != b->problems)
		return a->problems > b->problems ? -1 : 1;
	if (a->left_out != b->left_out)
		return a->left_out > b->left_out ? -1 : 1;
	return compare_sizes(a, b);
}

static const struct assessment **sorted(const struct assess_view *x, int (*compare)(const void *, const void *))
{
	const struct assessment **v = calloc(x->n ? x->n : 1, sizeof(*v));
	for (size_t i = 0; v && i < x->n; i++)
		v[i] = &x->v[i];
	if (v)
		qsort(v, x->n, sizeof(*v), compare);
	return v;
}

static void risks(const struct assessment *a, char *out, size_t size)
{
	size_t n = 0;
	out[0] = 0;
	if (a->problems)
		n += (size_t)snprintf(out, size, "%u %s", a->problems, a->problems == 1 ? "problem" : "problems");
	if (a->left_out && n < size)
		n += (size_t)snprintf(out + n, size - n, "%s%u left out", n ? ", " : "", a->left_out);
	if (a->notes && n < size)
		snprintf(out + n, size - n, "%s%u %s", n ? ", " : "", a->notes, a->notes == 1 ? "note" : "notes");
}

static void print_mailbox(const struct assess_view *x, const struct assessment *a)
{
	char who[28 * 5], bytes[32], largest[32], takes[32] = "-", by[32] = "-", risk[64];
	const struct user *u = &x->users[a - x->v];
	cli_pad(u->source_user, 28, who, sizeof who);
	if (!a->at || a->error_kind != ERR_NONE) {
		printf("%s %s\n", cli_column(u->source_user, 28, who, sizeof who),
			a->at ? "could not be looked at" : "not looked at yet");
		return;
	}
	if (a->ends_at) {
		assess_duration(a->active_s, takes, sizeof takes);
		moment(x, a->ends_at, by, sizeof by);
	} else if (u->synced_at) {
		snprintf(by, sizeof by, "is moved");
	}
	risks(a, risk, sizeof risk);
	printf("%s %7u %9llu %10s %10s  %-12s %-16s %s\n", cli_column(u->source_user, 28, who, sizeof who),
		a->folders_moved, (unsigned long long)a->messages, cli_bytes(a->bytes, bytes, sizeof bytes),
		cli_bytes(a->largest, largest, sizeof largest), takes, by, risk);
}

struct totals {
	unsigned folders, known, failed, unknown;
	uint64_t messages, bytes, largest;
	unsigned problems, left_out, notes;
};

static struct totals add_up(const struct assess_view *x)
{
	struct totals t = {0};
	for (size_t i = 0; i < x->n; i++) {
		const struct assessment *a = &x->v[i];
		t.known += a->at && a->error_kind == ERR_NONE;
		t.failed += a->at && a->error_kind != ERR_NONE;
		t.unknown += !a->at;
		t.folders += a->folders_moved;
		t.messages += a->messages;
		t.bytes += a->bytes;
		t.largest = a->largest > t.largest ? a->largest : t.largest;
		t.problems += a->problems;
		t.left_out += a->left_out;
		t.notes += a->notes;
	}
	return t;
}

static int print_mailboxes(const struct assess_view *x, struct err *err)
{
	const struct assessment **v = sorted(x, by_size);
	struct totals t = add_up(x);
	char bytes[32], largest[32];
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for a list");
	printf("%-28s %7s %9s %10s %10s  %-12s %-16s %s\n", "MAILBOX", "FOLDERS", "MESSAGES", "SIZE", "LARGEST",
		"TAKES", "DONE BY", "RISKS");
	size_t most = x->all || x->n <= ROWS_MOST ? x->n : ROWS_MOST;
	for (size_t i = 0; i < most; i++)
		print_mailbox(x, v[i]);
	if (most < x->n)
		printf("... and %zu smaller (--all, --csv and --json have every one)\n", x->n - most);
	printf("%-28s %7u %9llu %10s %10s\n", "= together", t.folders, (unsigned long long)t.messages,
		cli_bytes(t.bytes, bytes, sizeof bytes), cli_bytes(t.largest, largest, sizeof largest));
	free(v);
	return 0;
}

/* --- findings ----------------------------------------------------------------------------------- */

static void print_finding(const char *who, const char *weight, const char *text, const char *remedy)
{
	printf("  %-9s %s: %s\n", weight, who, text);
	if (remedy[0])
		printf("            -> %s\n", remedy);
}

static int print_risks_of(
	const struct assess_view *x, const struct assessment *a, size_t *shown, size_t most, struct err *err)
{
	const struct user *u = &x->users[a - x->v];
	struct finding *f = NULL;
	size_t n = 0;
	if (a->error_kind != ERR_NONE && (*shown)++ < most)
		print_finding(u->source_user, err_kind_name(a->error_kind), a->error, "");
	if (store_findings(x->c->store, a->user_id, &f, &n, err))
		return -1;
	for (int w = FINDING_PROBLEM; w <= FINDING_NOTE; w++)
		for (size_t i = 0; i < n; i++)
			if ((int)f[i].weight == w && (*shown)++ < most)
				print_finding(u->source_user, finding_weight_name(f[i].weight), f[i].text, f[i].remedy);
	free(f);
	return 0;
}

static int print_risks(const struct assess_view *x, struct err *err)
{
	const struct assessment **v = sorted(x, by_risk);
	size_t shown = 0, most = x->all ? SIZE_MAX : FINDINGS_MOST, left = 0;
	struct totals t = add_up(x);
	int rc = v ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	if (!rc && t.failed + t.problems + t.left_out + t.notes)
		puts("\nWhat to know, the worst first:");
	for (size_t i = 0; !rc && i < x->n; i++) {
		const struct assessment *a = v[i];
		if (shown < most && (a->error_kind != ERR_NONE || a->problems + a->left_out + a->notes))
			rc = print_risks_of(x, a, &shown, most, err);
		else
			left += (a->error_kind != ERR_NONE) + a->problems + a->left_out + a->notes;
	}
	left += shown > most ? shown - most : 0;
	if (!rc && left)
		printf("  (%zu more: --all, --csv and --json have every one)\n", left);
	free(v);
	return rc;
}

/* --- the forecast ------------------------------------------------------------------------------- */

static void print_night(const struct assess_view *x, size_t night)
{
	const struct forecast_night *n = &x->forecast->nights[night];
	char begins[32], ends[32], bytes[32], share[16] = "";
	moment(x, n->begins_at, begins, sizeof begins);
	moment(x, n->ends_at, ends, sizeof ends);
	bool last = x->forecast->ends_at != FORECAST_NEVER && x->forecast->ends_at < n->ends_at;
	if (last)
		moment(x, x->forecast->ends_at, ends, sizeof ends);
	if (n->share < 1)
		snprintf(share, sizeof share, " at %.0f %%", n->share * 100);
	printf("  %s to %s%s  %10s  %9llu messages  %u done", begins, strncmp(begins, ends, 10) ? ends : ends + 11,
		share, cli_bytes(n->bytes, bytes, sizeof bytes), (unsigned long long)n->messages, n->finished);
	unsigned named = 0;
	for (size_t i = 0; i < x->forecast_n && n->finished; i++) {
		const struct forecast_user *u = &x->forecast_v[i];
		if (u->ends_at == FORECAST_NEVER || u->night != night || named++ >= NAMES_MOST)
			continue;
		printf("%s%s", named == 1 ? ": " : ", ", x->users[x->forecast_users[i]].source_user);
	}
	if (named > NAMES_MOST)
		printf(" and %u more", named - NAMES_MOST);
	puts("");
}

static void print_nights(const struct assess_view *x)
{
	const struct forecast *f = x->forecast;
	printf("\nForecast%s%s, with %u at once:\n",
		x->basis->schedule ? ", night by night, in " : ", day by day, in UTC",
		x->basis->schedule ? x->basis->zone_name : "", x->basis->conf.at_once);
	for (size_t i = 0; i < f->n_nights; i++) {
		if (x->all || f->n_nights <= NIGHTS_MOST || i < NIGHTS_MOST / 2 || i >= f->n_nights - NIGHTS_MOST / 2)
			print_night(x, i);
		else if (i == NIGHTS_MOST / 2)
			printf("  ... %zu more ...\n", f->n_nights - NIGHTS_MOST);
	}
}

static void print_end(const struct assess_view *x)
{
	const struct forecast *f = x->forecast;
	char at[32], takes[32], bytes[32];
	if (f->unfinished)
		printf("  Not done in the time that its windows leave: %u of %zu mailboxes.\n", f->unfinished,
			x->forecast_n);
	else
		printf("  All done by %s%s.\n", moment(x, f->ends_at, at, sizeof at), x->basis->schedule ? "" : " UTC");
	if (f->largest < x->forecast_n) {
		const struct forecast_user *u = &x->forecast_v[f->largest];
		printf("  The largest is %s: %s, %s at work%s; what binds it: %s.\n",
			x->users[x->forecast_users[f->largest]].source_user, cli_bytes(u->bytes, bytes, sizeof bytes),
			assess_duration((int64_t)u->active_s, takes, sizeof takes),
			f->largest == f->last ? ", and it ends last" : "",
			forecast_bind_text(&x->basis->conf, u->bind));
	}
	printf("  What binds: %s (%.0f %% of the mailboxes' time)", forecast_bind_text(&x->basis->conf, f->bind),
		f->bind_part * 100);
	if (f->waiting_part > 0.05)
		printf("; others wait for their turn %.0f %% of the time (at once: %s)", f->waiting_part * 100,
			x->basis->at_once_text);
	puts(".");
	if (x->wider && x->wider->ends_at < f->ends_at)
		printf("  With %u at once: %s%s. It may make a host refuse: raise it after a clean pilot.\n",
			x->wider_at_once, moment(x, x->wider->ends_at, at, sizeof at),
			x->basis->schedule ? "" : " UTC");
}

static void print_basis(const struct assess_view *x)
{
	puts("It goes by:");
	for (size_t i = 0; i < x->basis->conf.n_limits; i++)
		printf("  - %s (%s)\n", x->basis->conf.limits[i].text,
			forecast_origin_name(x->basis->conf.limits[i].origin));
	for (size_t i = 0; i < x->basis->n_notes; i++)
		printf("  - %s\n", x->basis->notes[i]);
	puts("  - long lines, NUL octets and raw 8-bit headers are seen when a message is read: during the run");
}

static void print_pilot(const struct assess_view *x)
{
	char why[160], word[MODEL_NAME + 2];
	size_t best = pilot_choose(x->v, x->n, why, sizeof why);
	if (x->n < 2 || best == x->n || x->batch->pilot || x->batch->started_at)
		return;
	printf("A good pilot: %s (%s).\n", x->users[best].source_user, why);
	printf("Next: nightferry batch create PILOT --pilot with it, or nightferry batch start %s --wait\n",
		cli_word(x->batch->name, word, sizeof word));
}

static void print_ended(const struct assess_view *x)
{
	if (x->ended->kind == ERR_NONE)
		return;
	printf("\nNot all were looked at: %s\n", x->ended->text);
	if (x->ended->hint[0])
		printf("  -> %s\n", x->ended->hint);
}

int assess_view_print(const struct assess_view *x, struct err *err)
{
	struct totals t = add_up(x);
	char bytes[32];
	printf("Batch %s: %u of %zu mailboxes known, %llu messages, %s in %u folders", x->batch->name, t.known, x->n,
		(unsigned long long)t.messages, cli_bytes(t.bytes, bytes, sizeof bytes), t.folders);
	if (t.failed)
		printf("; %u could not be looked at", t.failed);
	if (x->left_alone)
		printf("; %u are completed", x->left_alone);
	puts("");
	if (print_mailboxes(x, err) || print_risks(x, err))
		return -1;
	print_ended(x);
	if (x->forecast_n) {
		print_nights(x);
		print_end(x);
		if (t.known < x->n)
			printf("  Without %zu mailboxes whose size is not known.\n", x->n - t.known);
		print_basis(x);
	}
	print_pilot(x);
	return 0;
}

/* --- JSON --------------------------------------------------------------------------------------- */

static json_t *time_json(int64_t at)
{
	return at && at != FORECAST_NEVER ? json_integer((json_int_t)at) : json_null();
}

json_t *assess_basis_json(const struct basis *b)
{
	json_t *limits = json_array(), *notes = json_array();
	for (size_t i = 0; i < b->conf.n_limits; i++) {
		const struct forecast_limit *l = &b->conf.limits[i];
		json_array_append_new(
			limits, json_pack("{s:s,s:s,s:f,s:s,s:b}", "text", l->text, "unit",
					l->unit == UNIT_BYTES ? "bytes" : "messages", "per_s", l->per_s, "origin",
					forecast_origin_name(l->origin), "shared", (int)l->shared));
	}
	for (size_t i = 0; i < b->n_notes; i++)
		json_array_append_new(notes, json_string(b->notes[i]));
	return json_pack("{s:i,s:s,s:o,s:o}", "at_once", (int)b->conf.at_once, "at_once_by", b->at_once_text, "limits",
		limits, "notes", notes);
}

json_t *assess_nights_json(const struct forecast *f)
{
	json_t *v = json_array();
	for (size_t i = 0; i < f->n_nights; i++) {
		const struct forecast_night *n = &f->nights[i];
		json_array_append_new(
			v, json_pack("{s:I,s:I,s:f,s:I,s:I,s:i,s:i}", "begins_at", (json_int_t)n->begins_at, "ends_at",
				   (json_int_t)n->ends_at, "share", n->share, "bytes", (json_int_t)n->bytes, "messages",
				   (json_int_t)n->messages, "finished", (int)n->finished, "at_work", (int)n->at_work));
	}
	return v;
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "weight", finding_weight_name(f->weight), "kind", f->kind, "text",
		f->text, "remedy", f->remedy);
}

static json_t *findings_json(const struct finding *f, size_t n)
{
	json_t *v = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(v, finding_json(&f[i]));
	return v;
}

int assess_view_findings(struct cli *c, const struct user *u, struct err *err)
{
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(c->store, u->id, &f, &n, err))
		return -1;
	for (size_t i = 0; i < n && !c->json; i++) {
		printf("assessed: %s: %s\n", finding_weight_name(f[i].weight), f[i].text);
		if (f[i].remedy[0])
			printf("    -> %s\n", f[i].remedy);
	}
	json_object_set_new(c->out, "assessed", findings_json(f, n));
	free(f);
	return 0;
}

static json_t *mailbox_json(const struct assess_view *x, size_t i, struct err *err)
{
	const struct assessment *a = &x->v[i];
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(x->c->store, a->user_id, &f, &n, err))
		return NULL;
	json_t *findings = findings_json(f, n);
	free(f);
	json_t *j = json_pack("{s:s,s:s,s:I,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "source_user",
		x->users[i].source_user, "address", x->users[i].address, "assessed_at", (json_int_t)a->at, "error_kind",
		a->error_kind == ERR_NONE ? "" : err_kind_name(a->error_kind), "error", a->error, "folders",
		(int)a->folders, "folders_moved", (int)a->folders_moved, "messages", (json_int_t)a->messages, "bytes",
		(json_int_t)a->bytes, "largest", (json_int_t)a->largest, "deleted", (json_int_t)a->deleted, "drafts",
		(json_int_t)a->drafts, "too_big", (json_int_t)a->too_big, "too_big_bytes",
		(json_int_t)a->too_big_bytes);
	json_object_set_new(j, "findings", findings);
	json_object_set_new(j, "forecast",
		a->ends_at ? json_pack("{s:o,s:o,s:I,s:s}", "begins_at", time_json(a->begins_at), "ends_at",
				     time_json(a->ends_at), "active_s", (json_int_t)a->active_s, "binds", a->bind)
			   : json_null());
	return j;
}

static json_t *forecast_json(const struct assess_view *x)
{
	const struct forecast *f = x->forecast;
	json_t *j = json_pack("{s:o,s:o,s:I,s:I,s:i,s:i,s:s,s:f,s:f,s:o,s:o}", "begins_at", time_json(f->begins_at),
		"ends_at", time_json(f->ends_at), "bytes", (json_int_t)f->bytes, "messages", (json_int_t)f->messages,
		"mailboxes", (int)x->forecast_n, "not_done", (int)f->unfinished, "binds",
		forecast_bind_text(&x->basis->conf, f->bind), "binds_part", f->bind_part, "waiting_part",
		f->waiting_part, "nights", assess_nights_json(f), "basis", assess_basis_json(x->basis));
	if (f->largest < x->forecast_n)
		json_object_set_new(j, "largest", json_string(x->users[x->forecast_users[f->largest]].source_user));
	if (x->wider)
		json_object_set_new(j, "with_more_at_once",
			json_pack("{s:i,s:o}", "at_once", (int)x->wider_at_once, "ends_at",
				time_json(x->wider->ends_at)));
	return j;
}

json_t *assess_view_json(const struct assess_view *x, struct err *err)
{
	struct totals t = add_up(x);
	char why[160];
	json_t *users = json_array();
	for (size_t i = 0; i < x->n; i++) {
		json_t *j = mailbox_json(x, i, err);
		if (!j) {
			json_decref(users);
			return NULL;
		}
		json_array_append_new(users, j);
	}
	json_t *out = json_pack("{s:s,s:i,s:i,s:i,s:i,s:I,s:I,s:i,s:i,s:i,s:o}", "batch", x->batch->name, "looked_at",
		(int)x->looked_at, "known", (int)t.known, "failed", (int)t.failed, "not_looked_at", (int)t.unknown,
		"messages", (json_int_t)t.messages, "bytes", (json_int_t)t.bytes, "problems", (int)t.problems,
		"left_out", (int)t.left_out, "notes", (int)t.notes, "users", users);
	size_t best = pilot_choose(x->v, x->n, why, sizeof why);
	json_object_set_new(out, "pilot",
		best < x->n ? json_pack("{s:s,s:s}", "source_user", x->users[best].source_user, "why", why)
			    : json_null());
	json_object_set_new(out, "forecast", x->forecast_n ? forecast_json(x) : json_null());
	json_object_set_new(out, "ended", x->ended->kind == ERR_NONE ? json_null() : json_string(x->ended->text));
	return out;
}

/* --- CSV ---------------------------------------------------------------------------------------- */

/* All findings of a mailbox in two cells: a spreadsheet shows one row a mailbox. */
static int join_findings(
	const struct assess_view *x, int64_t user_id, struct buf *texts, struct buf *remedies, struct err *err)
{
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(x->c->store, user_id, &f, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = buf_printf(
			texts, err, "%s%s: %s", texts->len ? " | " : "", finding_weight_name(f[i].weight), f[i].text);
		if (!rc && f[i].remedy[0])
			rc = buf_printf(remedies, err, "%s%s", remedies->len ? " | " : "", f[i].remedy);
	}
	free(f);
	return rc;
}

static int csv_mailbox(const struct assess_view *x, FILE *f, size_t i, struct err *err)
{
	const struct assessment *a = &x->v[i];
	const struct user *u = &x->users[i];
	char n[11][24], by[32] = "", takes[24] = "";
	const uint64_t v[11] = {a->folders, a->folders_moved, a->messages, a->bytes, a->largest, a->deleted, a->drafts,
		a->too_big, a->problems, a->left_out, a->notes};
	for (size_t k = 0; k < 11; k++)
		snprintf(n[k], sizeof n[k], "%llu", (unsigned long long)v[k]);
	if (a->ends_at) {
		moment(x, a->ends_at, by, sizeof by);
		snprintf(takes, sizeof takes, "%lld", (long long)a->active_s);
	}
	struct buf texts, remedies;
	buf_init(&texts, 200 * 1024);
	buf_init(&remedies, 100 * 1024);
	int rc = join_findings(x, a->user_id, &texts, &remedies, err);
	const char *fields[] = {u->source_user, u->address,
		!a->at                      ? "not looked at"
		: a->error_kind == ERR_NONE ? "ok"
					    : a->error,
		n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], takes, by, a->bind, n[8], n[9], n[10], buf_str(&texts),
		buf_str(&remedies)};
	if (!rc)
		rc = csv_file_row(f, fields, sizeof fields / sizeof fields[0], err);
	buf_done(&texts);
	buf_done(&remedies);
	return rc;
}

int assess_view_csv(const struct assess_view *x, const char *path, struct err *err)
{
	const struct assessment **v = sorted(x, by_size);
	FILE *f = csv_file_open(path,
		"UserName,EmailAddress,State,Folders,FoldersMoved,Messages,Bytes,LargestBytes,Deleted,Drafts,TooBig,"
		"TakesSeconds,"
		"DoneBy,Binds,Problems,LeftOut,Notes,Findings,WhatToDo",
		err);
	int rc = !f ? -1 : v ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	for (size_t i = 0; !rc && i < x->n; i++)
		rc = csv_mailbox(x, f, (size_t)(v[i] - x->v), err);
	free(v);
	return csv_file_close(&f, err) || rc ? -1 : 0;
}
