/* nightferry batch status. */
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/base/lock.h"
#include "engine/base/stop.h"
#include "engine/command/bind.h"
#include "engine/command/carried.h"
#include "engine/command/left_behind.h"
#include "engine/command/outcome.h"
#include "engine/command/progress.h"
#include "engine/command/target.h"
#include "engine/command/window.h"

#include <stdlib.h>
#include <string.h>

static const struct option_spec status_specs[] = {
	{.name = "all", .help = "every mailbox, not only those at work or in trouble"}, {0}};

static void print_states(const struct user *v, size_t n)
{
	unsigned created = 0, in[USER_FAILED + 1] = {0};
	for (size_t i = 0; i < n; i++)
		*(v[i].state == USER_STOPPED && !v[i].started_at ? &created : &in[v[i].state]) += 1;
	if (created)
		printf("  %-22s %u\n", "Created", created);
	for (unsigned i = 0; i <= USER_FAILED; i++)
		if (in[i])
			printf("  %-22s %u\n", user_state_name((enum user_state)i), in[i]);
}

/* What decides on the next step, beside the batch's state. */
struct standing {
	bool engine; /* one runs */
	bool aside;  /* items were left out */
	bool over;   /* its deadline has passed */
	struct progress_refusals refused;
};

/* "@" stands for the batch's name, "#" for its target's. */
static const char *next_step(const struct batch *b, const struct standing *now)
{
	bool engine = now->engine;
	bool failed = b->state == BATCH_FAILED || b->state == BATCH_SYNCED_WITH_ERRORS;
	if (now->refused.target && failed)
		return engine ? "nightferry target test #, then nightferry batch start @"
			      : "nightferry target test #, then nightferry batch start @ --wait";
	if (now->refused.source && failed)
		return engine ? "new passwords with nightferry batch set @ --csv FILE, then nightferry batch start @"
			      : "new passwords with nightferry batch set @ --csv FILE, then nightferry batch start @ "
				"--wait";
	bool waits = b->state != BATCH_SYNCED && b->state != BATCH_SYNCED_WITH_ERRORS && b->state != BATCH_COMPLETED;
	if (now->over && waits)
		return "nightferry batch set @ --until MOMENT (a later one, or none): its deadline has passed";
	switch (b->state) {
	case BATCH_CREATED:
	case BATCH_STOPPED:
	case BATCH_FAILED:
		return engine ? "nightferry batch start @" : "nightferry batch start @ --wait";
	case BATCH_SYNCING:
	case BATCH_STOPPING:
	case BATCH_COMPLETING:
		return engine ? NULL : "no engine runs: nightferry run, or nightferry batch start @ --wait";
	case BATCH_SYNCED:
		if (!b->verdict[0])
			return "nightferry batch verify @";
		if (strcmp(b->verdict, "Perfect") && strcmp(b->verdict, "Good"))
			return engine ? "nightferry batch report @, nightferry batch sync @, then nightferry batch "
					"verify @ again"
				      : "nightferry batch report @, nightferry batch sync @ --wait, then nightferry "
					"batch "
					"verify @ again";
		if (b->pilot && now->aside && !b->skips_acknowledged)
			return "nightferry batch report @, then nightferry batch set @ --acknowledge-skips: the other "
			       "batches wait "
			       "for it";
		return "nightferry batch sync @ until the MX switches, then nightferry batch complete @";
	case BATCH_SYNCED_WITH_ERRORS:
		return engine ? "nightferry batch report @, then nightferry batch start @ to try the failed ones again"
			      : "nightferry batch report @, then nightferry batch start @ --wait to try the failed "
				"ones again";
	case BATCH_COMPLETED:
		return "nightferry batch report @, and keep it";
	}
	return NULL;
}

static int print_next(struct cli *c, const struct batch *b, const struct standing *now, struct err *err)
{
	const char *step = next_step(b, now);
	struct target_row t;
	char word[MODEL_NAME + 2];
	if (!step)
		return 0;
	if (store_target_by_id(c->store, b->target_id, &t, err))
		return -1;
	printf("Next: ");
	for (; *step; step++)
		if (*step == '@' || *step == '#')
			fputs(cli_word(*step == '@' ? b->name : t.name, word, sizeof word), stdout);
		else
			putchar(*step);
	puts("");
	return 0;
}

/* What the clock and the ramp say about the batch as a whole. */
static int tell_night(struct cli *c, const struct batch *b, struct night_now *now, struct err *err)
{
	struct night n;
	struct pace p;
	char state[320], word[MODEL_NAME + 2];
	struct schedule *s = NULL;
	int64_t at = clock_wall_s();
	if (store_night_get(c->store, b->id, &n, err) || store_pace_get(c->store, b->id, &p, err))
		return -1;
	if (!night_schedule(&n, &s, err))
		night_look(&n, s, at, now);
	schedule_free(&s);
	json_object_set_new(c->out, "night", window_json(&n, at));
	json_object_set_new(
		c->out, "max_mailboxes", json_integer(n.auto_ramp && p.mailboxes ? p.mailboxes : b->max_mailboxes));
	json_object_set_new(c->out, "advice", p.advice ? json_integer(p.advice) : json_null());
	json_object_set_new(c->out, "ramp", json_string(p.text));
	if (c->json || b->state == BATCH_COMPLETED) /* nothing is to come: when it might is of no use */
		return 0;
	if (window_state(&n, at, state, sizeof state)[0])
		printf("  window: %s\n", state);
	if (n.auto_ramp && p.mailboxes)
		printf("  %u mailbox%s at once (auto-ramp)%s%s\n", p.mailboxes, p.mailboxes == 1 ? "" : "es",
			p.text[0] ? ": " : "", p.text);
	else if (p.advice > b->max_mailboxes)
		printf("  %s: nightferry batch set %s --max-mailboxes %u, or --auto-ramp on\n", p.text,
			cli_word(b->name, word, sizeof word), p.advice);
	return 0;
}

/* Why those in the queue have not begun: how many there are, and what allows no more at once. */
static int tell_queue(struct cli *c, const struct batch *b, const struct endpoint *e, unsigned waiting, struct err *err)
{
	struct target_row t;
	struct pace p;
	struct night n;
	char who[MODEL_NAME + 64], word[MODEL_NAME + 2];
	if (!waiting)
		return 0;
	if (store_target_by_id(c->store, b->target_id, &t, err) || store_night_get(c->store, b->id, &n, err) ||
		store_pace_get(c->store, b->id, &p, err))
		return -1;
	unsigned most = n.auto_ramp && p.mailboxes ? p.mailboxes : b->max_mailboxes;
	snprintf(who, sizeof who, n.auto_ramp ? "--auto-ramp of the batch" : "--max-mailboxes of the batch");
	if (e->max_mailboxes && (!most || e->max_mailboxes < most)) {
		most = e->max_mailboxes;
		snprintf(who, sizeof who, "--max-mailboxes of endpoint %s", cli_word(e->name, word, sizeof word));
	}
	if (e->max_connections && (!most || e->max_connections < most)) {
		most = e->max_connections;
		snprintf(who, sizeof who, "--max-connections of endpoint %s", cli_word(e->name, word, sizeof word));
	}
	if (t.max_mailboxes && (!most || t.max_mailboxes < most)) {
		most = t.max_mailboxes;
		snprintf(who, sizeof who, "--max-mailboxes of target %s", cli_word(t.name, word, sizeof word));
	}
	json_object_set_new(c->out, "at_once", json_integer(most));
	json_object_set_new(c->out, "at_once_by", json_string(most ? who : ""));
	if (!c->json && most)
		printf("  %u wait%s for a turn: %u at once, by %s\n", waiting, waiting == 1 ? "s" : "", most, who);
	return 0;
}

/* Mail that stays behind is told where the eye falls, not only in the report. */
static int tell_left(struct cli *c, const struct batch *b, struct left_behind *left, struct err *err)
{
	char word[MODEL_NAME + 2], text[256];
	if (store_left_behind(c->store, b->id, 0, left, err))
		return -1;
	json_object_set_new(c->out, "folders_left", json_integer((json_int_t)left->folders));
	json_object_set_new(c->out, "patterns_unmatched", json_integer((json_int_t)left->patterns));
	if (left_behind_any(left) && !c->json)
		printf("  %s: nightferry batch report %s\n", left_behind_text(left, text, sizeof text),
			cli_word(b->name, word, sizeof word));
	return 0;
}

static int tell_user(struct cli *c, const struct user *u, bool busy, const struct night_now *now, json_t *users,
	bool show, struct err *err)
{
	struct live_row row;
	json_t *j = progress_user_json(u);
	json_array_append_new(users, j);
	if (store_live_get(c->store, u->id, &row, err))
		return -1;
	bool deferred = u->state == USER_QUEUED && (u->error_kind == ERR_DEFERRED || now->share <= 0);
	if (u->state == USER_QUEUED && now->share <= 0)
		row.binding = BIND_WINDOW;
	if (row.at || deferred)
		json_object_set_new(j, "live", bind_json(&row));
	if (c->json || !show)
		return 0;
	progress_print_user(u);
	if (busy)
		bind_print(&row);
	else if (deferred && u->error_kind != ERR_DEFERRED)
		puts("    deferred with its batch: see its window above");
	return 0;
}

static int run_status(struct cli *c, struct err *err)
{
	struct batch b;
	struct batch_summary s;
	struct endpoint e;
	struct user *active = NULL, *all = NULL;
	size_t n_active = 0, n = 0;
	char path[MODEL_PATH + 8], bytes[32], at[CLOCK_TEXT];
	int pid = 0;
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) ||
		store_batch_summary(c->store, b.id, &s, &active, &n_active, err))
		return -1;
	free(active);
	if (store_endpoint_by_id(c->store, b.endpoint_id, &e, err) || store_user_list(c->store, b.id, &all, &n, err))
		return -1;
	snprintf(path, sizeof path, "%s.lock", c->state);
	bool engine = lock_is_held(path, &pid);
	bool show_all = option_is_given(&c->opt, "all") || n <= 25;
	json_t *users = json_array();
	c->out = json_pack("{s:s,s:s,s:b,s:I,s:o,s:o}", "batch", b.name, "state", batch_state_name(b.state),
		"engine_runs", (int)engine, "users_total", (json_int_t)s.users, "counts",
		progress_counts_json(&s.counts), "users", users);
	json_t *routes = NULL;
	char by[128];
	if (carried_look(c->store, b.id, 0, &routes, by, sizeof by, err)) {
		free(all);
		return -1;
	}
	json_object_set_new(c->out, "routes", routes);
	if (!c->json) {
		printf("Batch %s: %s%s\n", b.name, batch_state_name(b.state), b.pilot ? " (pilot)" : "");
		printf("  started %s; %s\n", cli_time(b.started_at, at, sizeof at),
			engine ? "an engine runs" : "no engine runs");
		print_states(all, n);
		printf("  %llu messages found, %llu copied, %llu there before, %llu skipped, %llu refused, %llu in "
		       "flight or doubt; %s copied\n",
			(unsigned long long)s.counts.found, (unsigned long long)s.counts.copied,
			(unsigned long long)s.counts.adopted, (unsigned long long)s.counts.skipped,
			(unsigned long long)s.counts.refused, (unsigned long long)s.counts.in_doubt,
			cli_bytes(s.counts.copied_bytes, bytes, sizeof bytes));
		if (by[0])
			printf("  copied %s\n", by);
	}
	struct night_now now = {.share = 1};
	struct left_behind left = {0};
	int rc = tell_left(c, &b, &left, err) || outcome_tell_forecast(c, &b, err) || tell_night(c, &b, &now, err) ? -1
														   : 0;
	unsigned waiting = 0;
	for (size_t i = 0; i < n && engine && now.share > 0 && !e.paused_at; i++)
		waiting += all[i].state == USER_QUEUED && all[i].error_kind == ERR_NONE;
	json_object_set_new(c->out, "waiting", json_integer(waiting));
	if (!rc)
		rc = tell_queue(c, &b, &e, waiting, err);
	for (size_t i = 0; i < n && !rc; i++) {
		bool busy = all[i].state == USER_SYNCING || all[i].state == USER_VALIDATING ||
			    all[i].state == USER_INCREMENTAL_SYNCING || all[i].state == USER_COMPLETING;
		rc = tell_user(c, &all[i], busy && engine, &now, users,
			show_all || busy || all[i].error_kind != ERR_NONE, err);
	}
	struct progress_refusals refused = progress_find_refusals(all, n);
	free(all);
	if (rc)
		return -1;
	json_object_set_new(c->out, "endpoint_paused", json_boolean(e.paused_at > 0));
	if (!c->json && e.paused_at)
		printf("Sign-ins at endpoint %s are paused: %s. Check the passwords, then: nightferry endpoint test "
		       "%s\n",
			e.name, e.paused_text, e.name);
	if (target_say_doubts(c, b.target_id, err))
		return -1;
	struct standing standing = {
		engine, s.counts.skipped || s.counts.refused || left_behind_any(&left), now.over, refused};
	if (!c->json && print_next(c, &b, &standing, err))
		return -1;
	return EXIT_DONE;
}

const struct command commands_progress[] = {{"batch", "status", "NAME", 1, 1, "what is going on, and what to do next",
						    NULL, status_specs, CLI_STORE, run_status},
	{0}};
