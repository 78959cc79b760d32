#include "engine/command/assess_view.h"

#include "engine/base/clock.h"
#include "engine/pilot.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MOST 40   /* mailboxes on a terminal */
#define FAILED_MOST 40 /* that could not be looked at: one line each */
#define ALIKE 4        /* findings of one kind */
#define KINDS 64
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
const char *assess_view_moment(const struct assess_view *x, int64_t at, char *out, size_t size)
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

const struct assessment **assess_view_by_size(const struct assess_view *x)
{
	return sorted(x, by_size);
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
		assess_view_moment(x, a->ends_at, by, sizeof by);
	} else if (u->synced_at) {
		snprintf(by, sizeof by, "is moved");
	}
	risks(a, risk, sizeof risk);
	printf("%s %7u %9llu %10s %10s  %-12s %-16s %s\n", cli_column(u->source_user, 28, who, sizeof who),
		a->folders_moved, (unsigned long long)a->messages, cli_bytes(a->bytes, bytes, sizeof bytes),
		cli_bytes(a->largest, largest, sizeof largest), takes, by, risk);
}

struct assess_totals assess_view_add_up(const struct assess_view *x)
{
	struct assess_totals t = {0};
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
	struct assess_totals t = assess_view_add_up(x);
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

static void print_finding(const char *weight, const char *who, const char *text, const char *remedy)
{
	printf("  %-9s %s: %s\n", weight, who, text);
	if (remedy[0])
		printf("            -> %s\n", remedy);
}

/* What is alike is told of the first mailboxes, and counted of the others. */
struct kind {
	char name[sizeof((struct finding *)0)->kind];
	unsigned shown, more;
};
struct kinds {
	struct kind v[KINDS];
	size_t n;
};

static bool is_shown(struct kinds *k, const char *name, bool all)
{
	size_t i = 0;
	while (i < k->n && strcmp(k->v[i].name, name) != 0)
		i++;
	if (i == KINDS)
		return all;
	if (i == k->n)
		snprintf(k->v[k->n++].name, sizeof k->v[0].name, "%s", name);
	if (all || k->v[i].shown < ALIKE) {
		k->v[i].shown++;
		return true;
	}
	k->v[i].more++;
	return false;
}

static void print_more(const struct kinds *k, const char *weight)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].more)
			printf("  %-9s %s: %u more like these\n", weight, k->v[i].name, k->v[i].more);
}

static unsigned count_of(const struct assessment *a, enum finding_weight w)
{
	return w == FINDING_PROBLEM ? a->problems : w == FINDING_LEFT_OUT ? a->left_out : a->notes;
}

static int print_weight(
	const struct assess_view *x, const struct assessment **v, enum finding_weight w, struct err *err)
{
	struct kinds kinds = {0};
	for (size_t i = 0; i < x->n; i++) {
		struct finding *f = NULL;
		size_t n = 0;
		if (!count_of(v[i], w))
			continue;
		if (store_findings(x->c->store, v[i]->user_id, &f, &n, err))
			return -1;
		for (size_t k = 0; k < n; k++)
			if (f[k].weight == w && is_shown(&kinds, f[k].kind, x->all))
				print_finding(finding_weight_name(w), x->users[v[i] - x->v].source_user, f[k].text,
					f[k].remedy);
		free(f);
	}
	print_more(&kinds, finding_weight_name(w));
	return 0;
}

static int print_risks(const struct assess_view *x, struct err *err)
{
	const struct assessment **v = sorted(x, by_risk);
	struct kinds kinds = {0};
	struct assess_totals t = assess_view_add_up(x);
	int rc = v ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	if (!rc && t.failed + t.problems + t.left_out + t.notes)
		puts("\nWhat to know, the worst first:");
	for (size_t i = 0; !rc && i < x->n; i++)
		if (v[i]->error_kind != ERR_NONE &&
			is_shown(&kinds, err_kind_name(v[i]->error_kind), x->all || t.failed <= FAILED_MOST))
			print_finding("failed", x->users[v[i] - x->v].source_user, v[i]->error, "");
	print_more(&kinds, "failed");
	for (int w = FINDING_PROBLEM; w <= FINDING_NOTE && !rc; w++)
		rc = print_weight(x, v, (enum finding_weight)w, err);
	free(v);
	return rc;
}

/* --- the forecast ------------------------------------------------------------------------------- */

static void print_night(const struct assess_view *x, size_t night)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	const struct forecast_night *n = &x->forecast->nights[night];
	const struct zone *z = x->basis->schedule ? schedule_zone(x->basis->schedule) : NULL;
	char begins[32], ends[32], bytes[32], share[16] = "";
	int64_t day = (z ? zone_to_local(z, n->begins_at) : n->begins_at) / 86400;
	bool last = x->forecast->ends_at != FORECAST_NEVER && x->forecast->ends_at < n->ends_at;
	assess_view_moment(x, n->begins_at, begins, sizeof begins);
	assess_view_moment(x, last ? x->forecast->ends_at : n->ends_at, ends, sizeof ends);
	if (n->share < 1)
		snprintf(share, sizeof share, " at %.0f %%", n->share * 100);
	printf("  %s %s-%s%s %10s %9llu messages  %u done", days[(day + 3) % 7], begins, ends + 11, share,
		cli_bytes(n->bytes, bytes, sizeof bytes), (unsigned long long)n->messages, n->finished);
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
		printf("  All done by %s%s.\n", assess_view_moment(x, f->ends_at, at, sizeof at),
			x->basis->schedule ? "" : " UTC");
	if (!f->n_nights && f->unfinished) { /* nothing was reckoned: there is nothing that binds */
		puts("  No window opens any more: batch set --window, --blackout, --until.");
		return;
	}
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
			x->wider_at_once, assess_view_moment(x, x->wider->ends_at, at, sizeof at),
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

static void print_next(const struct assess_view *x, const struct assess_totals *t)
{
	char why[160], word[MODEL_NAME + 2];
	size_t best = pilot_choose(x->v, x->n, why, sizeof why);
	cli_word(x->batch->name, word, sizeof word);
	bool fresh = !x->batch->started_at && !x->batch->pilot;
	if (fresh && x->n > 1 && best < x->n)
		printf("A good pilot would be %s: %s.\n", x->users[best].source_user, why);
	if (t->failed || t->problems)
		printf("Next: mend what is wrong above, then nightferry batch assess %s again.\n", word);
	else if (t->unknown)
		printf("Next: nightferry batch assess %s, which looks at the others.\n", word);
	else if (!x->batch->started_at)
		printf("Next: nightferry batch start %s --wait%s\n", word, fresh ? ", after a clean pilot" : "");
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
	struct assess_totals t = assess_view_add_up(x);
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
			printf("  Without %zu %s whose size is not known.\n", x->n - t.known,
				x->n - t.known == 1 ? "mailbox" : "mailboxes");
		print_basis(x);
	}
	print_next(x, &t);
	return 0;
}
