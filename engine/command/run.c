/* The verbs that move mail: batch start, stop, sync, complete; user start, stop; and the engine itself. */
#include "engine/command/cli.h"
#include "engine/command/target.h"

#include "engine/base/lock.h"
#include "engine/base/log.h"
#include "engine/command/attend.h"
#include "engine/command/left_behind.h"
#include "engine/command/supervisor.h"
#include "engine/pool.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec verb_specs[] = {
	{.name = "wait",
		.help = "run the engine here until the batch is done (or look on where one runs), with progress"},
	{0}};
static const struct option_spec start_specs[] = {
	{.name = "wait",
		.help = "run the engine here until the batch is done (or look on where one runs), with progress"},
	{.name = "without-pilot",
		.help = "start although no pilot of this endpoint and target is clean; written into the audit trail"},
	{0}};
static const struct option_spec stop_specs[] = {{0}};

static int check_pilot(struct cli *c, const struct batch *b, struct err *err)
{
	struct batch *v = NULL;
	size_t n = 0;
	char why[MODEL_ERROR] = "there is none";
	bool clean = false, any = false;
	if (b->pilot || b->without_pilot || b->started_at)
		return 0;
	if (store_batch_list(c->store, &v, &n, err))
		return -1;
	for (size_t i = 0; i < n && !clean; i++) {
		const struct batch *p = &v[i];
		struct batch_summary s = {0};
		struct user *active = NULL;
		size_t n_active;
		if (!p->pilot || p->endpoint_id != b->endpoint_id || p->target_id != b->target_id)
			continue;
		any = true;
		struct left_behind left;
		if (store_left_behind(c->store, p->id, 0, &left, err) ||
			store_batch_summary(c->store, p->id, &s, &active, &n_active, err)) {
			free(v);
			return -1;
		}
		free(active);
		char word[MODEL_NAME + 2];
		bool aside = s.counts.skipped || s.counts.refused || left_behind_any(&left);
		bool good = !strcmp(p->verdict, "Perfect") || !strcmp(p->verdict, "Good");
		if (p->state != BATCH_SYNCED && p->state != BATCH_COMPLETED)
			snprintf(why, sizeof why, "%s is %s", p->name, batch_state_name(p->state));
		else if (aside && !p->skips_acknowledged)
			snprintf(why, sizeof why,
				"%s left items out that nobody acknowledged: nightferry batch report %s, then batch "
				"set %s "
				"--acknowledge-skips",
				p->name, cli_word(p->name, word, sizeof word), word);
		else if (!good)
			snprintf(why, sizeof why, "%s is not verified as Good: nightferry batch verify %s", p->name,
				cli_word(p->name, word, sizeof word));
		else
			clean = true;
	}
	free(v);
	if (clean)
		return 0;
	err_set(err, ERR_CONFLICT, "batch %s needs a clean pilot of the same endpoint and target first: %s", b->name,
		why);
	err_hint(err, "%s--without-pilot starts it all the same, and is written into the audit trail",
		any ? ""
		    : "make one of a few mailboxes that are in no other batch (batch create --pilot) and start it; ");
	return -1;
}

static int check_ready(struct cli *c, struct batch *b, struct err *err)
{
	struct endpoint e;
	struct target_row t;
	if (store_endpoint_by_id(c->store, b->endpoint_id, &e, err) ||
		store_target_by_id(c->store, b->target_id, &t, err))
		return -1;
	if (target_ready(c, &t, err))
		return -1;
	if (e.test_skipped && !e.test_passed)
		fprintf(stderr, "nightferry: note: endpoint %s was saved without a test and not tested since\n",
			e.name);
	if (t.test_skipped && !t.test_passed)
		fprintf(stderr, "nightferry: note: target %s was saved without a test and not tested since\n", t.name);
	if (e.accept_any_certificate || t.accept_any_certificate)
		fprintf(stderr, "nightferry: warning: %s accepts any certificate\n",
			e.accept_any_certificate ? e.name : t.name);
	return 0;
}

static int say_engine(struct cli *c)
{
	char path[MODEL_PATH + 8];
	int pid = 0;
	snprintf(path, sizeof path, "%s.lock", c->state);
	if (lock_is_held(path, &pid)) {
		if (!c->json)
			printf("The engine (process %d) takes it up now.\n", pid);
	} else {
		fprintf(stderr,
			"nightferry: note: no engine runs. Start one with: nightferry run --state %s   (or give "
			"--wait)\n",
			c->state);
	}
	return EXIT_DONE;
}

static int want(struct cli *c, enum user_want what, const char *verb, const char *past, struct err *err)
{
	struct batch b;
	struct user u = {0};
	unsigned changed = 0;
	const char *who = cli_operand(c, 1);
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) ||
		(who && store_user_get(c->store, b.id, who, &u, err)))
		return -1;
	if (what == WANT_SYNC && !strcmp(verb, "start")) {
		if (option_is_given(&c->opt, "without-pilot") && !b.pilot && !b.without_pilot) {
			b.without_pilot = true;
			if (store_batch_save(c->store, &b, err) ||
				store_audit(c->store, "batch start", b.name, "--without-pilot", err))
				return -1;
		}
		if (check_ready(c, &b, err) || check_pilot(c, &b, err))
			return -1;
	}
	if (store_batch_want(c->store, b.id, u.id, what, verb, &changed, err))
		return -1;
	if (!c->json && changed)
		printf("Batch %s: %u more %s %s.\n", b.name, changed, changed == 1 ? "mailbox" : "mailboxes", past);
	else if (!c->json)
		printf("Batch %s: nothing to %s: %s.\n", b.name, verb,
			what == WANT_NOTHING ? "no mailbox of it waits or moves" : "all is done or under way");
	if (what != WANT_NOTHING && option_is_given(&c->opt, "wait"))
		return attend_batch(c, &b, err);
	if (c->json)
		c->out = json_pack("{s:s,s:s,s:i}", "batch", b.name, "verb", verb, "users", (int)changed);
	return what != WANT_NOTHING && changed ? say_engine(c) : EXIT_DONE;
}

static int run_start(struct cli *c, struct err *err)
{
	return want(c, WANT_SYNC, "start", "to move", err);
}

static int run_sync(struct cli *c, struct err *err)
{
	return want(c, WANT_INCREMENTAL, "sync", "to bring up to date", err);
}

static int run_complete(struct cli *c, struct err *err)
{
	return want(c, WANT_COMPLETE, "complete", "to bring up to date and complete", err);
}

static int run_stop(struct cli *c, struct err *err)
{
	return want(c, WANT_NOTHING, "stop", "asked to stop; what is in flight ends in good order", err);
}

/* --- the engine --------------------------------------------------------------------------------- */

static const struct option_spec run_specs[] = {{.name = "once", .help = "end when nothing can run any more"},
	{.name = "log-file", .arg = "FILE", .help = "log there instead of to standard error"},
	{.name = "worker", .arg = "PID", .help = NULL}, {.name = "worker-batch", .arg = "ID", .help = NULL},
	{.name = "crashed", .help = NULL}, {0}};

/* Bodies come and go in every thread: few arenas, and large blocks of their own that go back to the system at once, keep the process
   at what it uses now instead of at the sum of what each thread ever used. */
static void keep_memory_small(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

/* Tests of the ramp do not wait for minutes. */
static int64_t test_stretch_ms(void)
{
#ifdef NF_FAILPOINTS
	const char *ms = getenv("NIGHTFERRY_STRETCH_MS");
	return ms ? strtoll(ms, NULL, 10) : 0;
#else
	return 0;
#endif
}

static int run_worker(struct cli *c, struct err *err)
{
	keep_memory_small();
	uint64_t parent = 0, batch = 0;
	const char *b = option_get(&c->opt, "worker-batch");
	if (option_parse_uint("--worker", option_get(&c->opt, "worker"), 0, INT32_MAX, &parent, err) ||
		(b && option_parse_uint("--worker-batch", b, 0, INT64_MAX, &batch, err)))
		return -1;
	struct stop *stop = stop_new(NULL);
	if (!stop)
		return err_set(err, ERR_INTERNAL, "no descriptor for the stop token");
	struct pool_conf conf = {.batch_id = (int64_t)batch,
		.once = option_is_given(&c->opt, "once"),
		.crashed = option_is_given(&c->opt, "crashed"),
		.stretch_ms = test_stretch_ms()};
	struct store_conf sc = {.path = c->state, .key_file = c->key_file};
	/* Signals are blocked before the store makes its thread, so that only the waiter takes them. */
	int rc = supervisor_worker_signals(stop, (int64_t)parent, err);
	if (!rc && !(rc = store_open(&c->store, &sc, err)))
		rc = pool_run(c->store, &conf, stop, err);
	if (rc)
		log_err(LOG_ERROR, err, "engine");
	store_close(&c->store);
	/* The token stays: the signal thread may use it until the process ends. */
	if (rc && supervisor_worker_says(err)) /* the parent tells the person */
		return cli_exit_code(err->kind);
	return rc ? -1 : EXIT_DONE;
}

static int run_engine(struct cli *c, struct err *err)
{
	const char *log = option_get(&c->opt, "log-file");
	bool verbose = option_is_given(&c->opt, "verbose"), worker = option_is_given(&c->opt, "worker");
	if (store_find(option_get(&c->opt, "state"), true, c->state, sizeof c->state, err))
		return -1;
	if (log_init(log, verbose || !worker || !log ? LOG_INFO : LOG_INFO, false, err))
		return -1;
	if (worker)
		return run_worker(c, err);
	struct supervisor_conf conf = {.state = c->state,
		.key_file = c->key_file,
		.once = option_is_given(&c->opt, "once"),
		.log_path = log,
		.verbose = verbose};
	int code = EXIT_DONE;
	bool stopped = false;
	struct err said;
	if (supervisor_run(&conf, &code, &stopped, &said, err))
		return -1;
	if (said.kind != ERR_NONE) {
		*err = said;
		return -1;
	}
	if (stopped && code >= 128)
		code = EXIT_STOPPED;
	if (c->json)
		c->out = json_pack("{s:b,s:i}", "stopped", (int)stopped, "exit_code", code);
	return code;
}

const struct command commands_run[] = {
	{"batch", "start", "NAME [USER]", 1, 2, "move the mailboxes; again after a stop; retries what failed",
		"Starts all mailboxes of the batch, or one. What was moved is not moved again. Needs a clean pilot "
		"first (or --without-pilot).",
		start_specs, CLI_STORE, run_start},
	{"batch", "stop", "NAME [USER]", 1, 2, "finish what is in flight, then pause", NULL, stop_specs, CLI_STORE,
		run_stop},
	{"batch", "sync", "NAME [USER]", 1, 2, "an incremental pass over synced mailboxes now", NULL, verb_specs,
		CLI_STORE, run_sync},
	{"batch", "complete", "NAME [USER]", 1, 2, "a last pass, then forget the passwords", NULL, verb_specs,
		CLI_STORE, run_complete},
	{"run", NULL, "", 0, 0, "the engine: moves whatever is started, until it is stopped",
		"A long-lived process that takes up started mailboxes and moves them. SIGTERM and Ctrl-C finish what "
		"is in flight; twice stops at once. "
		"A crash of its worker process is survived.",
		run_specs, CLI_NO_STORE, run_engine},
	{0}};
