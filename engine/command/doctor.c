/* nightferry doctor: this machine, the state, every endpoint and target. */
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/base/lock.h"
#include "engine/login.h"
#include "imap/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

static const struct option_spec doctor_specs[] = {{.name = "offline", .help = "no connection is made"}, {0}};

struct doctor {
	struct cli *c;
	json_t *lines;
	bool sick;
};

static void say(struct doctor *d, const char *what, bool ok, const char *text)
{
	char column[22 * 5];
	d->sick |= !ok;
	json_array_append_new(d->lines, json_pack("{s:s,s:b,s:s}", "what", what, "ok", (int)ok, "text", text));
	if (!d->c->json)
		printf("%s  %s %s\n", ok ? "ok  " : "FAIL", cli_pad(what, 22, column, sizeof column), text);
}

static void look_at_machine(struct doctor *d)
{
	char text[MODEL_ERROR], dir[MODEL_PATH], bytes[32], at[CLOCK_TEXT];
	struct rlimit files;
	struct statvfs fs;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		snprintf(text, sizeof text, "%llu open files allowed; about 20 are needed for each mailbox at once",
			(unsigned long long)files.rlim_cur);
		say(d, "open files", files.rlim_cur >= 256, text);
	}
	snprintf(dir, sizeof dir, "%s", d->c->state);
	char *slash = strrchr(dir, '/');
	if (slash && slash != dir)
		*slash = 0;
	if (!statvfs(dir, &fs)) {
		uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
		snprintf(text, sizeof text, "%s free in %s; a large message is spooled there while it moves",
			cli_bytes(room, bytes, sizeof bytes), dir);
		say(d, "disk", room > (uint64_t)1024 * 1024 * 1024, text);
	}
	int64_t now = clock_wall_s();
	snprintf(text, sizeof text, "%s; certificates and tokens need it right", clock_format(now, at, sizeof at));
	say(d, "clock", now > 1700000000, text);
}

static int look_at_state(struct doctor *d, struct err *err)
{
	char path[MODEL_PATH + 8], text[MODEL_ERROR];
	int pid = 0;
	struct batch *v = NULL;
	size_t n = 0;
	snprintf(path, sizeof path, "%s.lock", d->c->state);
	say(d, "state", true, d->c->state);
	bool held = lock_is_held(path, &pid);
	if (held)
		snprintf(text, sizeof text, "an engine runs (process %d)", pid);
	say(d, "engine", true, held ? text : "no engine runs");
	if (store_batch_list(d->c->store, &v, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!held && (v[i].state == BATCH_SYNCING || v[i].state == BATCH_COMPLETING)) {
			snprintf(text, sizeof text, "batch %s is started, and no engine runs: nightferry run",
				v[i].name);
			say(d, "batch", false, text);
		}
	free(v);
	return 0;
}

static void probe_one(struct doctor *d, struct endpoint *e, struct stop *stop)
{
	struct source_login login;
	struct err err = ERR_INIT;
	char what[MODEL_NAME + 16], text[MODEL_ERROR];
	snprintf(what, sizeof what, "endpoint %s", e->name);
	if (!e->test_user[0] || source_login_init(&login, d->c->store, e, e->test_user, 0, &err)) {
		say(d, what, false, e->test_user[0] ? err.text : "has no test user: it cannot be looked at");
		return;
	}
	struct probe_report *r = calloc(1, sizeof *r);
	if (r) {
		probe_endpoint(&login.conf, NULL, stop, r);
		snprintf(text, sizeof text, "all steps passed%s", e->test_skipped ? " (was saved without a test)" : "");
		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].outcome == PROBE_FAILED)
				snprintf(text, sizeof text, "%s: %s: %s", r->v[i].step,
					r->v[i].blame ? r->v[i].blame : "", r->v[i].text);
		say(d, what, r->passed, text);
	}
	free(r);
	source_login_done(&login);
}

/* What the last test of a route found, and whether a token for it is issued today. */
static void look_at_route(struct doctor *d, struct work *work, const struct target_row *t, const char *route,
	const struct proof *p, bool online)
{
	struct token *token = NULL;
	struct secret *access = NULL;
	struct err err = ERR_INIT;
	char what[MODEL_NAME + 32], text[MODEL_ERROR + 128], at[CLOCK_TEXT];
	enum work_audience audience = strcmp(route, "mime") ? WORK_TOKEN_IMAP : WORK_TOKEN_GRAPH;
	snprintf(what, sizeof what, "target %s, %s", t->name, route);
	if (!p || !p->passed || p->suspect_at) {
		const char *why = !p ? "the route was never proved" : p->suspect_at ? p->suspect_text : p->text;
		snprintf(text, sizeof text, "%s%s: nightferry target test %s",
			!p              ? ""
			: p->suspect_at ? "in doubt: "
					: "its last test failed: ",
			why, t->name);
		say(d, what, false, text);
		return;
	}
	bool ok = !online || (!work_token(work, t, audience, &token, &err) &&
				     (!token || !token_get(token, NULL, work->stop, &access, &err)));
	snprintf(text, sizeof text, "%sproved on %s", token ? "a token is issued; " : "",
		cli_time(p->at, at, sizeof at));
	say(d, what, ok, ok ? text : err_line(&err, text, sizeof text));
	secret_free(&access);
}

static int look_at_target(struct doctor *d, const struct target_row *t, struct stop *stop, bool online, struct err *err)
{
	struct work work;
	struct proof *v = NULL;
	size_t n = 0;
	char route[16];
	if (store_proof_list(d->c->store, t->id, &v, &n, err))
		return -1;
	if (work_init(&work, d->c->store, stop, err)) {
		free(v);
		return -1;
	}
	for (size_t i = 0; routes_at(t->routes, i, route, sizeof route); i++) {
		const struct proof *p = NULL;
		for (size_t k = 0; k < n; k++)
			p = strcmp(v[k].route, route) ? p : &v[k];
		look_at_route(d, &work, t, route, p, online);
	}
	work_done(&work);
	free(v);
	return 0;
}

/* Can every secret of endpoints and targets be unsealed? The first that cannot says why. */
static void look_at_key(struct doctor *d, const struct endpoint *e, size_t n_e, const struct target_row *t, size_t n_t)
{
	static const char *const names[] = {"password", "client_secret", "certificate", "private_key"};
	struct err err = ERR_INIT;
	char text[MODEL_ERROR];
	bool ok = true;
	for (size_t i = 0; ok && i < n_e + n_t; i++)
		for (size_t k = 0; ok && k < sizeof names / sizeof names[0]; k++) {
			struct secret *s = NULL;
			bool is_endpoint = i < n_e;
			ok = !store_secret_get(d->c->store, is_endpoint ? "endpoint" : "target",
				is_endpoint ? e[i].id : t[i - n_e].id, names[k], &s, &err);
			secret_free(&s);
		}
	say(d, "vault key", ok, ok ? "the stored secrets can be read" : err_line(&err, text, sizeof text));
}

static int run_doctor(struct cli *c, struct err *err)
{
	struct doctor d = {.c = c, .lines = json_array()};
	struct endpoint *e = NULL;
	struct target_row *t = NULL;
	size_t n_e = 0, n_t = 0;
	c->out = json_pack("{s:o}", "lines", d.lines);
	look_at_machine(&d);
	if (look_at_state(&d, err) || store_endpoint_list(c->store, &e, &n_e, err))
		return -1;
	if (store_target_list(c->store, &t, &n_t, err)) {
		free(e);
		return -1;
	}
	look_at_key(&d, e, n_e, t, n_t);
	struct stop *stop = stop_new(NULL);
	bool online = !option_is_given(&c->opt, "offline");
	int rc = 0;
	for (size_t i = 0; online && i < n_e; i++)
		probe_one(&d, &e[i], stop);
	for (size_t i = 0; rc == 0 && i < n_t; i++)
		rc = look_at_target(&d, &t[i], stop, online, err);
	stop_free(&stop);
	free(e);
	free(t);
	return rc ? -1 : d.sick ? EXIT_NOT_GOOD : EXIT_DONE;
}

const struct command commands_doctor[] = {
	{"doctor", NULL, "", 0, 0, "look at this machine, the state, every endpoint and target", NULL, doctor_specs,
		CLI_STORE, run_doctor},
	{0}};
