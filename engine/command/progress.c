#include "engine/command/progress.h"

#include "engine/base/clock.h"
#include "engine/command/cli.h"
#include "engine/command/window.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINES 12      /* mailboxes shown at once on a terminal */
#define PLAIN_MS 5000 /* between plain lines */
#define RATE_MS 10000 /* the rate is over so long */
#define SAMPLES 32
#define STOPPING "Finishing what is in flight; Ctrl-C again stops at once."

struct progress {
	struct store *store; /* borrowed */
	int64_t batch_id;
	bool quiet, terminal, said_stopping;
	const bool *stopping; /* borrowed; NULL: nobody tells */
	unsigned drawn;       /* lines to go up before drawing again */
	int64_t began_ms, plain_ms;
	struct {
		int64_t at_ms;
		uint64_t bytes, messages;
	} samples[SAMPLES];
	size_t n_samples;
	char last_plain[512];
	char closed[320], said_closed[320]; /* why nothing of it may run now; "": it may */
	uint64_t allowed_per_s;             /* by the rates and limits that are known; 0: no limit */
	uint64_t flow_per_s;                /* octets on their way into the mailboxes at work */
};

int progress_new(struct progress **out, struct store *store, int64_t batch_id, bool quiet, struct err *err)
{
	struct progress *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory");
	p->store = store;
	p->batch_id = batch_id;
	p->quiet = quiet;
	const char *term = getenv("TERM");
	p->terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
	p->began_ms = clock_mono_ms();
	*out = p;
	return 0;
}

void progress_watch(struct progress *p, const bool *stopping)
{
	p->stopping = stopping;
}

void progress_free(struct progress **p)
{
	free(*p);
	*p = NULL;
}

static uint64_t handled(const struct user_counts *c)
{
	return c->copied + c->adopted + c->skipped + c->refused + c->gone;
}

static void rates(struct progress *p, const struct user_counts *c, double *bytes_per_s, double *messages_per_s)
{
	int64_t now = clock_mono_ms();
	if (p->n_samples == SAMPLES) {
		memmove(p->samples, p->samples + 1, sizeof p->samples - sizeof p->samples[0]);
		p->n_samples--;
	}
	p->samples[p->n_samples].at_ms = now;
	p->samples[p->n_samples].bytes = c->copied_bytes;
	p->samples[p->n_samples++].messages = handled(c);
	size_t first = 0;
	while (first + 1 < p->n_samples && now - p->samples[first].at_ms > RATE_MS)
		first++;
	double s = (double)(now - p->samples[first].at_ms) / 1000;
	*bytes_per_s = s > 0 ? (double)(c->copied_bytes - p->samples[first].bytes) / s : 0;
	*messages_per_s = s > 0 ? (double)(handled(c) - p->samples[first].messages) / s : 0;
}

static void bar(uint64_t done, uint64_t all, char *out, size_t width)
{
	size_t full = all ? (size_t)((double)done / (double)all * (double)width) : 0;
	if (full > width)
		full = width;
	memset(out, '#', full);
	memset(out + full, '.', width - full);
	out[width] = 0;
}

static unsigned count_state(const struct batch_summary *s, enum user_state state)
{
	return s->by_state[state];
}

/* " of 2.0 MB/s (97%)" */
static const char *share_text(const struct progress *p, double bps, char *out, size_t size)
{
	char limit[32];
	out[0] = 0;
	if (p->allowed_per_s)
		snprintf(out, size, " of %s/s (%.0f%%)", cli_bytes(p->allowed_per_s, limit, sizeof limit),
			bps * 100 / (double)p->allowed_per_s);
	return out;
}

static void summary_text(
	const struct progress *p, const struct batch_summary *s, double bps, double mps, char *out, size_t size)
{
	char rate[32], bytes[32], share[64];
	unsigned done = count_state(s, USER_SYNCED) + count_state(s, USER_COMPLETED) +
			count_state(s, USER_COMPLETED_WITH_WARNINGS);
	snprintf(out, size,
		"%u of %u mailboxes synced, %u failed; %llu of %llu messages seen, %s copied; %.0f messages/s, %s/s%s",
		done, s->users, count_state(s, USER_FAILED), (unsigned long long)handled(&s->counts),
		(unsigned long long)s->counts.found, cli_bytes(s->counts.copied_bytes, bytes, sizeof bytes), mps,
		cli_bytes((uint64_t)bps, rate, sizeof rate), share_text(p, bps, share, sizeof share));
}

/* For a terminal: what fits into 80 columns, with the time left. */
static void short_text(
	const struct progress *p, const struct batch_summary *s, double bps, double mps, char *out, size_t size)
{
	char rate[32], bytes[32], left[32] = "", share[64];
	unsigned done = count_state(s, USER_SYNCED) + count_state(s, USER_COMPLETED) +
			count_state(s, USER_COMPLETED_WITH_WARNINGS);
	unsigned failed = count_state(s, USER_FAILED);
	char fail[32] = "";
	if (failed)
		snprintf(fail, sizeof fail, ", %u failed", failed);
	uint64_t to_go = s->counts.found > handled(&s->counts) ? s->counts.found - handled(&s->counts) : 0;
	double seconds = mps > 0 ? (double)to_go / mps : 0;
	if (to_go && seconds >= 5400)
		snprintf(left, sizeof left, ", %.0f h left", seconds / 3600);
	else if (to_go && seconds >= 90)
		snprintf(left, sizeof left, ", %.0f min left", seconds / 60);
	else if (to_go && mps > 0)
		snprintf(left, sizeof left, ", %.0f s left", seconds);
	snprintf(out, size, "%u/%u mailboxes%s  %llu/%llu messages  %s  %.0f/s %s/s%s%s", done, s->users, fail,
		(unsigned long long)handled(&s->counts), (unsigned long long)s->counts.found,
		cli_bytes(s->counts.copied_bytes, bytes, sizeof bytes), mps,
		cli_bytes((uint64_t)bps, rate, sizeof rate), share_text(p, bps, share, sizeof share), left);
}

static void draw(
	struct progress *p, const struct batch_summary *s, const struct user *active, size_t n, double bps, double mps)
{
	char text[1024], b[21];
	struct winsize ws = {0};
	int width = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_col ? ws.ws_col : 80;
	if (p->drawn)
		printf("\033[%uA", p->drawn);
	p->drawn = 0;
	for (size_t i = 0; i < n && i < LINES; i++, p->drawn++) {
		const struct user_counts *c = &active[i].counts;
		bar(handled(c), c->found, b, 20);
		char who[28 * 5], where[60 * 5], doing[MODEL_TEXT + 40];
		struct live_row row = {0};
		struct err ignored = ERR_INIT;
		store_live_get(p->store, active[i].id, &row, &ignored);
		bool held = row.binding != BIND_NOTHING;
		snprintf(doing, sizeof doing, "%s%s%s", held ? binding_name(row.binding) : "", held ? ": " : "",
			active[i].now_folder);
		snprintf(text, sizeof text, "%s [%s] %7llu/%-7llu %s",
			cli_column(active[i].source_user, 28, who, sizeof who), b, (unsigned long long)handled(c),
			(unsigned long long)c->found,
			cli_column(doing,
				width < 72    ? 1
				: width > 130 ? 58
					      : width - 72,
				where, sizeof where));
		printf("\033[2K%s\n", text);
	}
	short_text(p, s, bps, mps, text, sizeof text);
	if (!n && p->closed[0])
		snprintf(text, sizeof text, "%s", p->closed);
	printf("\033[2K%.*s\n\033[J", width - 1, text);
	p->drawn++;
	if (n && p->stopping && *p->stopping) {
		printf("%.*s\n", width - 1, STOPPING);
		p->drawn++;
	}
	fflush(stdout);
}

static void print_plain(struct progress *p, const struct batch_summary *s, double bps, double mps, bool last)
{
	char text[512];
	int64_t now = clock_mono_ms();
	if (!last && p->stopping && *p->stopping && !p->said_stopping) {
		p->said_stopping = true;
		puts(STOPPING);
		fflush(stdout);
	}
	if (!last && strcmp(p->closed, p->said_closed) != 0) {
		memcpy(p->said_closed, p->closed, sizeof p->said_closed);
		if (p->closed[0]) {
			puts(p->closed);
			fflush(stdout);
		}
	}
	if (!last && (now - p->plain_ms < PLAIN_MS || !s->counts.found))
		return;
	p->plain_ms = now;
	summary_text(p, s, bps, mps, text, sizeof text);
	if (!last && strcmp(text, p->last_plain) == 0)
		return;
	snprintf(p->last_plain, sizeof p->last_plain, "%s", text);
	puts(text);
	fflush(stdout);
}

/* Is the batch closed, or does all that is left wait for a new day? */
static void look_at_clock(struct progress *p, size_t n_active)
{
	struct night n;
	struct err ignored = ERR_INIT;
	int64_t at = clock_wall_s(), next_at = 0;
	char moment[CLOCK_TEXT];
	p->closed[0] = 0;
	if (!store_night_get(p->store, p->batch_id, &n, &ignored)) {
		char state[sizeof p->closed];
		window_state(&n, at, state, sizeof state);
		if (strncmp(state, "deferred", 8) == 0)
			memcpy(p->closed, state, sizeof p->closed);
	}
	if (!p->closed[0] && !n_active && !store_deferred_next(p->store, p->batch_id, &next_at, &ignored) &&
		next_at > at)
		snprintf(p->closed, sizeof p->closed, "deferred until %s: daily budgets are spent",
			clock_format(next_at, moment, sizeof moment));
}

static uint64_t narrower(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* What the mailboxes do and may do. Limits add up, below the rates that were set for all of them. */
static void look_at_limits(struct progress *p, const struct user *active, size_t n)
{
	struct batch b;
	struct endpoint e;
	struct target_row t;
	struct err ignored = ERR_INIT;
	uint64_t sum = 0;
	bool all = n > 0;
	p->flow_per_s = 0;
	for (size_t i = 0; i < n; i++) {
		struct live_row row = {0};
		all = !store_live_get(p->store, active[i].id, &row, &ignored) && row.limit_per_s && all;
		sum += row.limit_per_s;
		p->flow_per_s += row.bytes_per_s;
	}
	p->allowed_per_s = all ? sum : 0;
	if (!store_batch_by_id(p->store, p->batch_id, &b, &ignored) &&
		!store_endpoint_by_id(p->store, b.endpoint_id, &e, &ignored) &&
		!store_target_by_id(p->store, b.target_id, &t, &ignored))
		p->allowed_per_s =
			narrower(narrower(b.bytes_per_s, e.bytes_per_s), narrower(t.bytes_per_s, p->allowed_per_s));
}

void progress_tick(void *ctx, bool last)
{
	struct progress *p = ctx;
	struct batch_summary s;
	struct user *active = NULL;
	size_t n = 0;
	struct err ignored = ERR_INIT; /* a busy store: the next tick shows it */
	double bps, mps;
	if (p->quiet || store_batch_summary(p->store, p->batch_id, &s, &active, &n, &ignored))
		return;
	rates(p, &s.counts, &bps, &mps);
	look_at_clock(p, n);
	look_at_limits(p, active, n);
	if (p->flow_per_s) /* a large message counts as copied all at once, and flows for minutes */
		bps = (double)p->flow_per_s;
	if (p->terminal)
		draw(p, &s, active, last ? 0 : n, bps, mps);
	else
		print_plain(p, &s, bps, mps, last);
	free(active);
}

const char *progress_state_name(const struct user *u)
{
	return u->state == USER_STOPPED && !u->started_at ? "Created" : user_state_name(u->state);
}

/* Of one that was stopped while it waited, what it waited for is no news any more. */
static bool has_trouble(const struct user *u)
{
	return u->error_kind != ERR_NONE && !(u->state == USER_STOPPED && u->error_kind == ERR_DEFERRED);
}

void progress_print_user(const struct user *u)
{
	char bytes[32], who[28 * 5];
	const struct user_counts *c = &u->counts;
	printf("%s %-20s %7llu found %7llu copied", cli_pad(u->source_user, 28, who, sizeof who),
		progress_state_name(u), (unsigned long long)c->found, (unsigned long long)c->copied);
	if (c->adopted)
		printf(" %llu there before", (unsigned long long)c->adopted);
	if (c->skipped)
		printf(" %llu skipped", (unsigned long long)c->skipped);
	if (c->refused)
		printf(" %llu refused", (unsigned long long)c->refused);
	if (c->gone)
		printf(" %llu gone", (unsigned long long)c->gone);
	if (c->in_doubt)
		printf(" %llu in flight or doubt", (unsigned long long)c->in_doubt);
	printf("  %s\n", cli_bytes(c->copied_bytes, bytes, sizeof bytes));
	if (has_trouble(u)) {
		char at[CLOCK_TEXT];
		bool deferred = u->error_kind == ERR_DEFERRED; /* no error, and the text says until when */
		printf("    %s%s%s\n", deferred ? "" : err_kind_name(u->error_kind), deferred ? "" : ": ", u->error);
		if (u->retry_at && !deferred)
			printf("    tried again at %s\n", clock_format(u->retry_at, at, sizeof at));
	}
	if (u->now_folder[0] &&
		(u->state == USER_SYNCING || u->state == USER_INCREMENTAL_SYNCING || u->state == USER_COMPLETING))
		printf("    now in %s\n", u->now_folder);
}

json_t *progress_counts_json(const struct user_counts *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "found", (json_int_t)c->found, "copied",
		(json_int_t)c->copied, "adopted", (json_int_t)c->adopted, "skipped", (json_int_t)c->skipped, "refused",
		(json_int_t)c->refused, "gone", (json_int_t)c->gone, "in_doubt", (json_int_t)c->in_doubt, "found_bytes",
		(json_int_t)c->found_bytes, "copied_bytes", (json_int_t)c->copied_bytes);
}

json_t *progress_user_json(const struct user *u)
{
	bool trouble = has_trouble(u);
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:o,s:s,s:s,s:I,s:I,s:s}", "id", (json_int_t)u->id, "source_user",
		u->source_user, "address", u->address, "destination_id", u->dest_id, "state", progress_state_name(u),
		"counts", progress_counts_json(&u->counts), "error_kind", trouble ? err_kind_name(u->error_kind) : "",
		"error", trouble ? u->error : "", "retry_at", (json_int_t)u->retry_at, "synced_at",
		(json_int_t)u->synced_at, "folder", u->now_folder);
}

struct progress_refusals progress_find_refusals(const struct user *v, size_t n)
{
	struct progress_refusals r = {0};
	for (size_t i = 0; i < n; i++) {
		if (v[i].state != USER_FAILED || v[i].error_kind != ERR_CREDENTIALS)
			continue;
		/* each layer says who and where, the outer one first */
		const char *source = strstr(v[i].error, "source "), *target = strstr(v[i].error, "target ");
		bool is_target = target && (!source || target < source);
		r.target |= is_target;
		r.source |= !is_target;
	}
	return r;
}
