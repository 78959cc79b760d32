/* nightferry batch assess: look at the mailboxes before they are moved, and tell how long it will take. */
#include "engine/assess.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/command/assess_view.h"
#include "engine/command/inventory_check.h"
#include "engine/command/supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 4        /* mailboxes looked at together, unless told otherwise */
#define WAITS_ENOUGH 0.2 /* of the time: more at once would help */
#define PROGRESS_MS 500
#define PROGRESS_PLAIN_MS 10000

static const struct option_spec assess_specs[] = {
	{.name = "user",
		.arg = "USER",
		.help = "look at this mailbox only (may be given several times)",
		.group = "What"},
	{.name = "stored", .help = "sign in nowhere: forecast and checks again, from what was found before"},
	{.name = "source-only", .help = "do not sign in to the destination mailboxes"},
	{.name = "inventory",
		.arg = "FILE",
		.help = "check against the CSV that an administrator exported at the destination (nightferry target "
			"inventory "
			"prints how)"},
	{.name = "concurrency",
		.arg = "N",
		.help = "mailboxes looked at together (default 4), within the endpoint's limits",
		.group = "How"},
	{.name = "max-concurrent",
		.arg = "N",
		.help = "forecast for so many mailboxes moved at once; it is not kept then"},
	{.name = "csv",
		.arg = "FILE",
		.help = "write a row a mailbox there, safe to open in a spreadsheet",
		.group = "Output"},
	{.name = "all", .help = "print every mailbox and finding, not only the largest and worst"}, {0}};

struct assess {
	struct cli *c;
	struct batch batch;
	struct endpoint endpoint;
	struct target_row target;
	struct user *users;
	size_t n;
	struct assessment *v; /* of each user */
	struct stop *stop;
	struct err ended;
	unsigned looked_at, left_alone;
	/* progress */
	size_t to_look, looked;
	int64_t told_ms;
	bool terminal;
};

/* --- looking ------------------------------------------------------------------------------------ */

static void on_looked(void *ctx, const struct user *u, const struct assessment *a)
{
	struct assess *x = ctx;
	int64_t now = clock_mono_ms();
	x->looked++;
	if (x->c->json || now - x->told_ms < (x->terminal ? PROGRESS_MS : PROGRESS_PLAIN_MS))
		return;
	x->told_ms = now;
	fprintf(stderr, "%s%zu of %zu mailboxes looked at%s%s", x->terminal ? "\r\033[2K" : "", x->looked, x->to_look,
		x->terminal ? ", the last: " : "", x->terminal ? u->source_user : "");
	fprintf(stderr, "%s%s", a->error_kind == ERR_NONE || !x->terminal ? "" : " (failed)", x->terminal ? "" : "\n");
}

/* Connections that an engine has at the endpoint now are not ours. */
static int count_busy(struct assess *x, unsigned *busy, struct err *err)
{
	struct batch *v = NULL;
	size_t n = 0;
	*busy = 0;
	if (store_batch_list(x->c->store, &v, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		struct batch_summary s;
		struct user *active = NULL;
		size_t n_active = 0;
		if (v[i].endpoint_id != x->endpoint.id)
			continue;
		rc = store_batch_summary(x->c->store, v[i].id, &s, &active, &n_active, err);
		*busy += (unsigned)n_active;
		free(active);
	}
	free(v);
	return rc;
}

static int find_at_once(struct assess *x, unsigned *at_once, struct err *err)
{
	unsigned busy;
	*at_once = AT_ONCE;
	if (cli_uint_option(x->c, "concurrency", 1, 1000, at_once, err) || count_busy(x, &busy, err))
		return -1;
	const unsigned limits[] = {x->endpoint.max_mailboxes, x->endpoint.max_connections};
	for (size_t i = 0; i < 2; i++) {
		unsigned left = limits[i] > busy ? limits[i] - busy : 1;
		if (limits[i] && left < *at_once)
			*at_once = left;
	}
	return 0;
}

/* Those that are to be looked at; the passwords of completed ones are forgotten. */
static int choose(struct assess *x, struct user *out, size_t *n, struct err *err)
{
	size_t given = option_count(&x->c->opt, "user");
	*n = 0;
	for (size_t i = 0; i < given; i++) {
		struct user u;
		if (store_user_get(x->c->store, x->batch.id, option_at(&x->c->opt, "user", i), &u, err))
			return -1;
		bool twice = false;
		for (size_t k = 0; k < *n; k++)
			twice |= out[k].id == u.id;
		if (!twice && *n < x->n)
			out[(*n)++] = u;
	}
	for (size_t i = 0; i < x->n && !given; i++) {
		bool completed =
			x->users[i].state == USER_COMPLETED || x->users[i].state == USER_COMPLETED_WITH_WARNINGS;
		x->left_alone += completed;
		if (!completed)
			out[(*n)++] = x->users[i];
	}
	return 0;
}

static int look(struct assess *x, struct err *err)
{
	struct work work = {0};
	struct assess_conf conf = {.work = &work,
		.stop = x->stop,
		.batch = &x->batch,
		.endpoint = &x->endpoint,
		.target = &x->target,
		.source_only = option_is_given(&x->c->opt, "source-only"),
		.looked = on_looked,
		.ctx = x};
	struct user *users = calloc(x->n ? x->n : 1, sizeof *users);
	struct assessment *out = calloc(x->n ? x->n : 1, sizeof *out);
	size_t n = 0;
	if (!users || !out) {
		free(users);
		free(out);
		return err_set(err, ERR_MEMORY, "no memory for %zu mailboxes", x->n);
	}
	int rc = choose(x, users, &n, err) || find_at_once(x, &conf.at_once, err) ? -1 : 0;
	if (!rc) {
		x->to_look = n;
		rc = work_init(&work, x->c->store, x->stop, err);
		if (!rc)
			rc = assess_run(&conf, users, out, n, &x->ended, err);
		work_done(&work);
	}
	if (x->terminal && x->looked)
		fputs("\r\033[2K", stderr);
	for (size_t i = 0; i < n; i++)
		x->looked_at += out[i].at > 0;
	free(users);
	free(out);
	return rc;
}

/* --- the inventory ------------------------------------------------------------------------------ */

/* What an older inventory said goes. */
static int load_without_inventory(struct assess *x, struct assessment *a, struct err *err)
{
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(x->c->store, a->user_id, &f, &n, err))
		return -1;
	a->problems = a->left_out = a->notes = 0;
	for (size_t i = 0; i < n; i++)
		if (strncmp(f[i].kind, INVENTORY_KIND, strlen(INVENTORY_KIND)) != 0)
			assessment_add(a, f[i].weight, f[i].kind, f[i].remedy, "%s", f[i].text);
	free(f);
	return 0;
}

static int check_inventory(struct assess *x, struct err *err)
{
	struct inventory *inventory = NULL;
	size_t *same = calloc(x->n ? x->n : 1, sizeof *same);
	int rc = same ? inventory_load(&inventory, option_get(&x->c->opt, "inventory"), err)
		      : err_set(err, ERR_MEMORY, "no memory for the inventory");
	if (!rc)
		rc = inventory_same(inventory, x->users, x->n, same, err);
	for (size_t i = 0; i < x->n && !rc; i++) {
		struct assessment *a = &x->v[i];
		if ((rc = load_without_inventory(x, a, err)))
			break;
		inventory_check(inventory, &x->users[i], &x->target, a);
		if (same[i] < x->n)
			assessment_add(a, FINDING_PROBLEM, INVENTORY_KIND "same",
				"leave one of them out of the batch's CSV",
				"%s and %s are one mailbox at the destination", x->users[i].address,
				x->users[same[i]].address);
		rc = store_assessment_put(x->c->store, a, err);
		assessment_done(a);
	}
	free(same);
	inventory_free(&inventory);
	return rc;
}

/* --- the forecast ------------------------------------------------------------------------------- */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What is known and not moved yet. */
static int fill_forecast(struct assess *x, const struct basis *basis, struct forecast_user *out, size_t *index,
	size_t *count, int64_t now, struct err *err)
{
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++) {
		const struct assessment *a = &x->v[i];
		const struct user *u = &x->users[i];
		const struct user_counts *c = &u->counts;
		if (!a->at || a->error_kind != ERR_NONE || u->synced_at)
			continue;
		index[n] = i;
		out[n] = (struct forecast_user){.bytes = less(less(a->bytes, a->too_big_bytes), c->copied_bytes),
			.messages = less(less(a->messages, a->too_big), c->copied + c->adopted),
			.folders = a->folders_moved};
		if (basis->conf.mailbox_bytes_per_day && store_spent_get(x->c->store, x->endpoint.id, u->source_user,
								 basis->zone, now, &out[n].spent_today, err))
			return -1;
		n++;
	}
	*count = n;
	return 0;
}

static int keep_forecast(
	struct assess *x, const struct basis *basis, const struct forecast *f, size_t n, int64_t now, struct err *err)
{
	json_t *notes = assess_basis_json(basis), *nights = assess_nights_json(f);
	struct outlook o = {.at = now,
		.begins_at = f->begins_at,
		.ends_at = f->ends_at,
		.open_s = (int64_t)f->open_s,
		.bytes = f->bytes,
		.messages = f->messages,
		.mailboxes = (unsigned)n,
		.at_once = basis->conf.at_once,
		.basis = json_dumps(notes, JSON_COMPACT),
		.nights = json_dumps(nights, JSON_COMPACT)};
	snprintf(o.bind, sizeof o.bind, "%s", forecast_bind_text(&basis->conf, f->bind));
	int rc = o.basis && o.nights ? store_outlook_put(x->c->store, x->batch.id, &o, x->v, x->n, err)
				     : err_set(err, ERR_MEMORY, "no memory for the forecast");
	json_decref(notes);
	json_decref(nights);
	outlook_done(&o);
	return rc;
}

/* The same with twice as many at once, where that is what others wait for. */
static int try_wider(struct assess *x, const struct basis *basis, const struct forecast *f,
	const struct forecast_user *v, size_t n, int64_t now, struct assess_view *view, struct forecast *wider,
	struct err *err)
{
	struct basis more;
	if (f->waiting_part < WAITS_ENOUGH || n <= basis->conf.at_once)
		return 0;
	if (basis_load(&more, x->c->store, &x->batch, &x->endpoint, &x->target, basis->conf.at_once * 2, now, err))
		return -1;
	struct forecast_user *copy = calloc(n, sizeof *copy);
	int rc = copy ? 0 : err_set(err, ERR_MEMORY, "no memory for a forecast");
	if (copy)
		memcpy(copy, v, n * sizeof *copy);
	if (!rc && more.conf.at_once > basis->conf.at_once &&
		!(rc = forecast_make(wider, &more.conf, copy, n, now, err))) {
		view->wider = wider;
		view->wider_at_once = more.conf.at_once;
	}
	free(copy);
	basis_done(&more);
	return rc;
}

static void take_forecast(
	struct assess *x, const struct basis *basis, const struct forecast_user *v, const size_t *index, size_t n)
{
	for (size_t i = 0; i < x->n; i++)
		x->v[i].begins_at = x->v[i].ends_at = 0;
	for (size_t k = 0; k < n; k++) {
		struct assessment *a = &x->v[index[k]];
		a->begins_at = v[k].begins_at;
		a->ends_at = v[k].ends_at;
		a->active_s = (int64_t)(v[k].active_s + 0.5);
		snprintf(a->bind, sizeof a->bind, "%s", forecast_bind_text(&basis->conf, v[k].bind));
	}
}

/* --- output ------------------------------------------------------------------------------------- */

static int show(struct assess *x, const struct assess_view *view, struct err *err)
{
	const char *csv = option_get(&x->c->opt, "csv");
	if (csv && assess_view_csv(view, csv, err))
		return -1;
	if (x->c->json)
		return (x->c->out = assess_view_json(view, err)) ? 0 : -1;
	if (assess_view_print(view, err))
		return -1;
	if (csv)
		printf("Written: %s\n", csv);
	return 0;
}

static int forecast_and_show(struct assess *x, struct err *err)
{
	unsigned at_once = 0;
	struct basis basis;
	struct forecast f = {0}, wider = {0};
	int64_t now = clock_wall_s();
	struct forecast_user *v = calloc(x->n ? x->n : 1, sizeof *v);
	size_t *index = calloc(x->n ? x->n : 1, sizeof *index);
	memset(&basis, 0, sizeof basis);
	int rc = v && index ? 0 : err_set(err, ERR_MEMORY, "no memory for a forecast");
	if (!rc)
		rc = cli_uint_option(x->c, "max-concurrent", 1, 1000, &at_once, err);
	if (!rc)
		rc = basis_load(&basis, x->c->store, &x->batch, &x->endpoint, &x->target, at_once, now, err);
	size_t n = 0;
	if (!rc)
		rc = fill_forecast(x, &basis, v, index, &n, now, err);
	struct assess_view view = {.c = x->c,
		.batch = &x->batch,
		.users = x->users,
		.v = x->v,
		.n = x->n,
		.basis = &basis,
		.forecast = &f,
		.forecast_users = index,
		.forecast_n = n,
		.forecast_v = v,
		.looked_at = x->looked_at,
		.left_alone = x->left_alone,
		.all = option_is_given(&x->c->opt, "all"),
		.ended = &x->ended};
	if (!rc && !(rc = forecast_make(&f, &basis.conf, v, n, now, err))) {
		take_forecast(x, &basis, v, index, n);
		if (n && !at_once)
			rc = keep_forecast(x, &basis, &f, n, now, err);
		if (!rc)
			rc = try_wider(x, &basis, &f, v, n, now, &view, &wider, err);
		if (!rc)
			rc = show(x, &view, err);
	}
	forecast_done(&f);
	forecast_done(&wider);
	basis_done(&basis);
	free(v);
	free(index);
	return rc;
}

/* The worst that holds for the whole batch. */
static int exit_code(const struct assess *x)
{
	bool failed = false, all_sign_in = true, problems = false, left_out = false, missing = false;
	for (size_t i = 0; i < x->n; i++) {
		const struct assessment *a = &x->v[i];
		missing |= !a->at && !option_is_given(&x->c->opt, "user");
		problems |= a->problems > 0;
		left_out |= a->left_out > 0;
		if (a->error_kind == ERR_NONE)
			continue;
		failed = true;
		all_sign_in &=
			a->error_kind == ERR_CREDENTIALS || a->error_kind == ERR_BANNED || a->error_kind == ERR_RIGHTS;
	}
	if (x->ended.kind != ERR_NONE)
		return cli_exit_code(x->ended.kind);
	if (stop_is_asked(x->stop))
		return EXIT_STOPPED;
	if (failed)
		return all_sign_in ? EXIT_SIGN_IN : EXIT_FAILED;
	if (problems)
		return EXIT_NOT_GOOD;
	if (missing && option_is_given(&x->c->opt, "stored"))
		return EXIT_FAILED;
	return left_out ? EXIT_SKIPPED : EXIT_DONE;
}

static int assess(struct assess *x, struct err *err)
{
	struct store *s = x->c->store;
	size_t n = 0;
	if (store_batch_get(s, cli_operand(x->c, 0), &x->batch, err) ||
		store_endpoint_by_id(s, x->batch.endpoint_id, &x->endpoint, err) ||
		store_target_by_id(s, x->batch.target_id, &x->target, err) ||
		store_user_list(s, x->batch.id, &x->users, &x->n, err))
		return -1;
	if (!option_is_given(&x->c->opt, "stored") && look(x, err))
		return -1;
	if (store_assessment_list(s, x->batch.id, &x->v, &n, err))
		return -1;
	if (n != x->n)
		return err_set(err, ERR_CONFLICT, "mailboxes of the batch came or went meanwhile: assess it again");
	if (option_get(&x->c->opt, "inventory") && check_inventory(x, err))
		return -1;
	return forecast_and_show(x, err) ? -1 : exit_code(x);
}

static int run_assess(struct cli *c, struct err *err)
{
	struct assess x = {.c = c, .ended = ERR_INIT, .terminal = isatty(STDERR_FILENO) && !c->json};
	const bool stored = option_is_given(&c->opt, "stored");
	struct store_conf conf = {.path = c->state, .key_file = c->key_file};
	if (stored && (option_is_given(&c->opt, "user") || option_is_given(&c->opt, "source-only") ||
			      option_is_given(&c->opt, "concurrency")))
		return err_set(err, ERR_USAGE,
			"--stored looks at no mailbox: it goes without --user, --source-only and --concurrency");
	if (!(x.stop = stop_new(NULL)))
		return err_set(err, ERR_INTERNAL, "no descriptor for the stop token");
	/* Signals are blocked before the store makes its thread. The token stays: their thread may use it until the process ends. */
	if (supervisor_worker_signals(x.stop, 0, err) ||
		store_find(option_get(&c->opt, "state"), true, c->state, sizeof c->state, err) ||
		store_open(&c->store, &conf, err))
		return -1;
	int rc = assess(&x, err);
	free(x.users);
	free(x.v);
	return rc;
}

const struct command commands_assess[] = {
	{"batch", "assess", "NAME", 1, 1, "look at the mailboxes first: sizes, risks, how long it will take",
		"Signs in to every mailbox of the batch, and at the destination; counts folders, messages and octets; "
		"finds what "
		"the destination would refuse and what else to know; and tells night by night how long the move will "
		"take. Nothing "
		"is written at either side. What was found is kept, and batch report compares it with what happened.",
		assess_specs, CLI_NO_STORE, run_assess},
	{0}};
