/* nightferry target test: every route of a target proved on a pilot mailbox, and what is kept of it. */
#include "engine/command/target.h"

#include "engine/base/clock.h"
#include "engine/command/fence_watch.h"
#include "engine/login.h"
#include "upload/prove.h"

#include <string.h>

/* How much is tried unless --probe-size says: what mailboxes can be set to take, but no upload of many minutes. */
#define MOST_BY_IMAP ((uint64_t)64 * 1024 * 1024)
#define MOST_BY_MIME ((uint64_t)4 * 1024 * 1024) /* Graph's limit of a request (spec/exchange-online.md section 4, D) */

int target_probe_size(struct cli *c, uint64_t *out, struct err *err)
{
	*out = TARGET_PROBE_DEFAULT;
	return cli_size_option(c, "probe-size", out, err);
}

static uint64_t probe_bound(const struct target_row *t, const char *route, uint64_t asked)
{
	uint64_t most = strcmp(route, "mime") ? MOST_BY_IMAP : MOST_BY_MIME;
	if (asked != TARGET_PROBE_DEFAULT)
		return asked;
	return t->max_message_bytes < most ? t->max_message_bytes : most; /* not known: not tried */
}

static const char *const outcome_names[] = {
	[PROVE_OK] = "ok", [PROVE_NOTE] = "note", [PROVE_FAILED] = "FAIL", [PROVE_SKIPPED] = "skip"};

static void show(struct cli *c, const char *route, const struct prove_line *line)
{
	const struct err *e = &line->err;
	if (c->json)
		return;
	if (line->outcome == PROVE_FAILED && e->server[0])
		printf("FAIL  %-5s %-11s %s: %s: the server said \"%s\"\n", route, line->step, line->blame, e->text,
			e->server);
	else if (line->outcome == PROVE_FAILED)
		printf("FAIL  %-5s %-11s %s: %s\n", route, line->step, line->blame, e->text);
	else
		printf("%-5s %-5s %-11s %s\n", outcome_names[line->outcome], route, line->step, line->text);
	if (line->outcome == PROVE_FAILED && e->hint[0])
		printf("      %-5s %-11s -> %s\n", "", "", e->hint);
	fflush(stdout); /* a large message takes its time: what came before it is seen */
}

static void add_line(struct target_trial *out, const char *route, const struct prove_line *line)
{
	char text[MODEL_ERROR];
	snprintf(text, sizeof text, "%s", line->text);
	if (line->outcome == PROVE_FAILED)
		err_line(&line->err, text, sizeof text);
	json_array_append_new(
		out->lines, json_pack("{s:s,s:s,s:b,s:s,s:s,s:s,s:s}", "route", route, "step", line->step, "ok",
				    line->outcome == PROVE_OK || line->outcome == PROVE_NOTE, "outcome",
				    outcome_names[line->outcome], "text", text, "blame", line->blame ? line->blame : "",
				    "kind", line->outcome == PROVE_FAILED ? err_kind_name(line->err.kind) : ""));
}

/* Is this the route's fault, and not this machine's, the network's or the hour's? */
static bool is_conclusive(const struct err *e)
{
	switch (err_action(e->kind)) {
	case ACT_RETRY:
		return e->kind == ERR_PROTOCOL;
	case ACT_WAIT:
	case ACT_STOP_RUN:
	case ACT_DRAIN:
		return false;
	case ACT_STOP_MAILBOX:
		return e->kind != ERR_MEMORY && e->kind != ERR_INTERNAL && e->kind != ERR_CERTIFICATE;
	case ACT_PAUSE_ENDPOINT:
	case ACT_SKIP_MESSAGE:
	case ACT_SKIP_FOLDER:
		break;
	}
	return true;
}

static void fill_proof(struct proof *to, const struct prove_facts *f)
{
	to->passed = f->passed;
	to->largest = f->largest;
	to->refused = f->refused;
	to->date_kept = f->date_kept;
	to->flags_kept = f->flags_kept;
	to->categories_kept = f->categories_kept;
	to->content_kept = f->content_kept;
	snprintf(to->text, sizeof to->text, "%s", f->text);
}

static void failed(struct target_trial *out, size_t i, const struct err *why)
{
	out->conclusive[i] = is_conclusive(why);
	if (out->passed)
		out->why = *why;
	out->passed = false;
}

static int try_route(struct cli *c, const struct target_row *t, const struct prove_conf *conf, struct target_trial *out,
	size_t i, struct err *err)
{
	struct prove *p;
	struct prove_line line;
	(void)t;
	if (prove_new(&p, conf, err))
		return -1;
	while (prove_next(p, &line)) {
		show(c, conf->ops->name, &line);
		add_line(out, conf->ops->name, &line);
		if (line.outcome == PROVE_FAILED && out->conclusive[i])
			failed(out, i, &line.err);
	}
	fill_proof(&out->proofs[i], prove_facts(p));
	prove_free(&p);
	return 0;
}

/* A route that this program or the settings cannot even open. */
static void refuse_route(struct cli *c, const char *route, const struct err *why, struct target_trial *out, size_t i)
{
	struct prove_line line = {
		.step = "settings", .outcome = PROVE_FAILED, .err = *why, .blame = err_kind_name(why->kind)};
	show(c, route, &line);
	add_line(out, route, &line);
	failed(out, i, why);
	err_line(why, out->proofs[i].text, sizeof out->proofs[i].text);
}

static int try_routes(struct cli *c, struct target_row *t, const char *user, uint64_t probe_bytes, struct work *work,
	struct target_trial *out, struct err *err)
{
	struct scope_limits none = {0};
	struct scope *scope = scope_open(work->throttle, NULL, "test", &none);
	struct gate *gate = gate_new(scope, work->stop);
	struct target_login login = {0};
	struct err why = ERR_INIT;
	int rc = 0;
	if (!scope || !gate)
		rc = err_set(err, ERR_MEMORY, "no memory for a test");
	bool ready = rc == 0 && target_login_init(&login, work, t, user, 0, &why) == 0;
	struct fence_watch *watch = rc == 0 ? fence_watch_new(scope, "the test") : NULL;
	for (size_t i = 0; rc == 0 && i < out->n; i++) {
		const struct target_ops *ops = target_route(out->proofs[i].route);
		struct prove_conf conf = {.ops = ops,
			.conf = &login.conf,
			.gate = gate,
			.stop = work->stop,
			.most_bytes = probe_bound(t, out->proofs[i].route, probe_bytes)};
		if (ready && !ops)
			err_set(&why, ERR_USAGE, "this nightferry has no route \"%s\"", out->proofs[i].route);
		if (ready && ops)
			rc = try_route(c, t, &conf, out, i, err);
		else
			refuse_route(c, out->proofs[i].route, &why, out, i);
	}
	fence_watch_free(&watch);
	target_login_done(&login);
	gate_free(&gate);
	scope_close(&scope);
	return rc;
}

int target_try(struct cli *c, struct target_row *t, const char *user, uint64_t probe_bytes, struct target_trial *out,
	struct err *err)
{
	struct stop *stop = stop_new(NULL);
	struct work work;
	*out = (struct target_trial){.lines = json_array(), .passed = true, .why = ERR_INIT};
	t->tested_at = clock_wall_s();
	for (; out->n < TARGET_ROUTES &&
		routes_at(t->routes, out->n, out->proofs[out->n].route, sizeof out->proofs[0].route);
		out->n++) {
		struct proof *p = &out->proofs[out->n];
		p->target_id = t->id;
		p->at = t->tested_at;
		snprintf(p->mailbox, sizeof p->mailbox, "%s", user);
		out->conclusive[out->n] = true;
	}
	if (t->accept_any_certificate || t->imap_tls == TLS_NONE)
		fprintf(stderr, "nightferry: warning: target %s is not protected against anybody in between\n",
			t->name);
	int rc = stop ? work_init(&work, c->store, stop, err) : err_set(err, ERR_MEMORY, "no memory for a test");
	if (rc == 0) {
		rc = try_routes(c, t, user, probe_bytes, &work, out, err);
		work_done(&work);
	}
	stop_free(&stop);
	t->test_passed = rc == 0 && out->passed;
	t->test_text[0] = 0;
	if (rc == 0 && !out->passed)
		err_line(&out->why, t->test_text, sizeof t->test_text);
	return rc;
}

int target_trial_save(struct cli *c, const struct target_row *t, const struct target_trial *trial, struct err *err)
{
	for (size_t i = 0; i < trial->n; i++) {
		struct proof p = trial->proofs[i];
		p.target_id = t->id;
		if (trial->conclusive[i] && store_proof_save(c->store, &p, err))
			return -1;
	}
	return 0;
}

void target_trial_done(struct target_trial *trial)
{
	json_decref(trial->lines);
	trial->lines = NULL;
}

const char *target_proof_state(const struct proof *p)
{
	return !p->passed ? "FAILED" : p->suspect_at ? "passed, in doubt" : "passed";
}

json_t *target_proof_json(const struct proof *p)
{
	return json_pack("{s:s,s:I,s:b,s:s,s:s,s:I,s:I,s:b,s:b,s:b,s:b,s:I,s:s}", "route", p->route, "at",
		(json_int_t)p->at, "passed", (int)p->passed, "mailbox", p->mailbox, "text", p->text, "largest",
		(json_int_t)p->largest, "refused", (json_int_t)p->refused, "date_kept", (int)p->date_kept, "flags_kept",
		(int)p->flags_kept, "categories_kept", (int)p->categories_kept, "content_kept", (int)p->content_kept,
		"suspect_at", (json_int_t)p->suspect_at, "suspect_text", p->suspect_text);
}

/* --- before a batch starts --- */

/* *usable: routes that may carry mail; *doubted: those that a run spoke against. */
static int look_at_proofs(
	struct cli *c, const struct target_row *t, unsigned *usable, unsigned *doubted, struct err *err)
{
	struct proof *v = NULL;
	size_t n = 0;
	*usable = *doubted = 0;
	if (store_proof_list(c->store, t->id, &v, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!routes_have(t->routes, v[i].route))
			continue;
		*usable += v[i].passed;
		if (v[i].passed && v[i].suspect_at) {
			++*doubted;
			if (!c->json)
				printf("The route %s of target %s is proved again: %s\n", v[i].route, t->name,
					v[i].suspect_text);
		}
	}
	free(v);
	return 0;
}

static int prove_again(struct cli *c, struct target_row *t, struct err *err)
{
	struct target_trial trial;
	int rc = target_try(c, t, t->test_user, TARGET_PROBE_DEFAULT, &trial, err);
	if (rc == 0 && !trial.passed)
		fprintf(stderr, "nightferry: note: %s\n", t->test_text);
	if (rc == 0)
		rc = target_trial_save(c, t, &trial, err) || store_target_save(c->store, t, err) ? -1 : 0;
	target_trial_done(&trial);
	return rc;
}

int target_ready(struct cli *c, struct target_row *t, struct err *err)
{
	unsigned usable, doubted;
	if (t->kind != TARGET_EXCHANGE)
		return 0;
	if (look_at_proofs(c, t, &usable, &doubted, err))
		return -1;
	if (doubted && t->test_user[0] && (prove_again(c, t, err) || look_at_proofs(c, t, &usable, &doubted, err)))
		return -1;
	if (usable)
		return 0;
	err_set(err, ERR_CONFLICT,
		"no route of target %s is proved: no mail is put there before a probe message was read back", t->name);
	err_hint(err, "nightferry target test %s%s", t->name, t->test_user[0] ? "" : " --user ADDRESS");
	return -1;
}

int target_prove_once(struct cli *c, struct target_row *t, const char *address, struct err *err)
{
	unsigned usable, doubted;
	struct target_trial trial;
	if (t->kind != TARGET_EXCHANGE)
		return 0;
	if (look_at_proofs(c, t, &usable, &doubted, err))
		return -1;
	if (usable)
		return 0;
	int rc = target_try(c, t, address, 0, &trial, err);
	bool any = false;
	for (size_t i = 0; rc == 0 && i < trial.n; i++)
		any |= trial.proofs[i].passed;
	if (rc == 0)
		rc = target_trial_save(c, t, &trial, err) || store_target_save(c->store, t, err) ? -1 : 0;
	if (rc == 0 && !any) {
		*err = trial.why;
		rc = -1;
	}
	target_trial_done(&trial);
	return rc;
}

int target_say_doubts(struct cli *c, int64_t target_id, struct err *err)
{
	struct target_row t;
	struct proof *v = NULL;
	size_t n = 0;
	json_t *doubts = json_array();
	if (store_target_by_id(c->store, target_id, &t, err) || store_proof_list(c->store, target_id, &v, &n, err)) {
		json_decref(doubts);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!v[i].suspect_at || !v[i].passed || !routes_have(t.routes, v[i].route))
			continue;
		json_array_append_new(doubts, target_proof_json(&v[i]));
		if (!c->json)
			printf("The route %s of target %s is in doubt: %s. It is proved again at the next batch start, "
			       "or now: nightferry "
			       "target test %s\n",
				v[i].route, t.name, v[i].suspect_text, t.name);
	}
	json_object_set_new(c->out, "doubts", doubts);
	free(v);
	return 0;
}
