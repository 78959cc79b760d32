/* nightferry target ...: an Exchange Online tenant, or any IMAP host, as a destination. */
#include "engine/command/target.h"

#include "engine/base/clock.h"

#include <stdlib.h>
#include <string.h>

static const struct option_spec test_specs[] = {
	{.name = "user", .arg = "ADDRESS", .help = "another pilot mailbox"}, TARGET_PROBE_OPTION, {0}};
static const struct option_spec no_specs[] = {{0}};

/* before: what the target was, with its secrets; NULL: it was not there. */
static void take_back(struct cli *c, const struct target_row *t, const struct target_row *before,
	struct secret *const kept[TARGET_SECRETS])
{
	struct err undo = ERR_INIT;
	struct target_row old;
	if (before)
		old = *before;
	if (before ? store_target_save(c->store, &old, &undo) || target_restore_secrets(c, old.id, kept, &undo)
		   : store_target_delete(c->store, t->id, &undo))
		cli_print_error(c, &undo);
}

/* Takes the lines of a test as what --json prints. */
static void set_out(struct cli *c, const struct target_row *t, struct target_trial *trial)
{
	if (!trial->lines)
		return;
	json_decref(c->out);
	c->out = json_pack(
		"{s:s,s:b,s:O}", "target", t->name, "passed", (int)(trial->passed && trial->n), "lines", trial->lines);
	target_trial_done(trial);
}

/* Saves, tests, and takes back what failed. */
static int save_and_test(struct cli *c, struct target_row *t, const struct target_row *before,
	struct secret *const kept[TARGET_SECRETS], const char *verb, struct err *err)
{
	bool skip = option_is_given(&c->opt, "skip-test");
	uint64_t probe_bytes;
	struct target_trial trial = {.passed = true};
	t->test_passed = false;
	t->test_skipped = skip;
	if (!skip && !t->test_user[0]) {
		err_set(err, ERR_USAGE, "the target is tested before it is saved: --test-user is missing");
		err_hint(err, "--skip-test saves it without a test, and says so wherever it is shown");
		return -1;
	}
	if (target_probe_size(c, &probe_bytes, err) || store_target_save(c->store, t, err))
		return -1;
	int rc = target_save_secrets(c, t, err);
	if (!rc && !skip)
		rc = target_try(c, t, t->test_user, probe_bytes, &trial, err);
	if (rc || !trial.passed) {
		take_back(c, t, before, kept);
		set_out(c, t, &trial);
		if (rc)
			return -1;
		if (!c->json)
			fprintf(stderr, "nightferry: target %s is not %s: the test failed\n", t->name,
				before ? "changed" : "saved");
		return cli_exit_code(trial.why.kind);
	}
	set_out(c, t, &trial);
	/* What was proved of other settings proves nothing of these. */
	if (store_proof_drop(c->store, t->id, err) || target_trial_save(c, t, &trial, err) ||
		store_target_save(c->store, t, err) ||
		store_audit(c->store, verb, t->name, skip ? "without a test" : "test passed", err))
		return -1;
	char word[MODEL_NAME + 2];
	if (!c->json)
		printf("Target %s is %s%s%s\n", t->name, before ? "changed" : "saved",
			skip ? " WITHOUT a test; next: nightferry target test " : "",
			skip ? cli_word(t->name, word, sizeof word) : ".");
	else if (!c->out)
		c->out = json_pack("{s:s,s:b}", "target", t->name, "test_skipped", 1);
	return EXIT_DONE;
}

static int run_create(struct cli *c, struct err *err)
{
	struct target_row t = {.settle_after_ms = -1,
				  .max_mailboxes = 50,
				  .created_at = clock_wall_s(),
				  .routes = "imap"},
			  other;
	struct err none = ERR_INIT;
	const char *name = cli_operand(c, 0);
	if (cli_check_name(name, err))
		return -1;
	if (!store_target_get(c->store, name, &other, &none)) {
		err_set(err, ERR_CONFLICT, "target %s exists already", name);
		err_hint(err, "nightferry target set %s ... changes it after a new test", name);
		return -1;
	}
	snprintf(t.name, sizeof t.name, "%s", name);
	return target_read_settings(c, &t, err) ? -1 : save_and_test(c, &t, NULL, NULL, "target create", err);
}

static int run_set(struct cli *c, struct err *err)
{
	struct target_row t, before;
	if (store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	before = t;
	struct secret *kept[TARGET_SECRETS] = {NULL};
	int rc = cli_no_setting(c, err) || target_read_settings(c, &t, err) || target_keep_secrets(c, t.id, kept, err)
			 ? -1
			 : save_and_test(c, &t, &before, kept, "target set", err);
	for (size_t i = 0; i < TARGET_SECRETS; i++)
		secret_free(&kept[i]);
	return rc;
}

static int run_test(struct cli *c, struct err *err)
{
	struct target_row t;
	uint64_t probe_bytes;
	struct target_trial trial;
	if (target_probe_size(c, &probe_bytes, err) || store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	const char *user = option_get(&c->opt, "user");
	if (!user && !t.test_user[0])
		return err_set(err, ERR_USAGE, "target %s has no test user: --user ADDRESS", t.name);
	int rc = target_try(c, &t, user ? user : t.test_user, probe_bytes, &trial, err);
	set_out(c, &t, &trial);
	if (rc)
		return -1;
	bool passed = trial.passed;
	int code = passed ? EXIT_DONE : cli_exit_code(trial.why.kind);
	/* A key or disk that is missing here says nothing about the target, nor does another mailbox's failure. */
	if ((passed || !user || !strcmp(user, t.test_user)) && code != EXIT_STORE &&
		(target_trial_save(c, &t, &trial, err) || store_target_save(c->store, &t, err)))
		return -1;
	return code;
}

static json_t *target_json(const struct target_row *t)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:I,s:I,s:i,s:I,s:s,s:I,s:b,s:b,s:s,s:i}",
		"name", t->name, "kind", t->kind == TARGET_IMAP ? "imap" : "exchange", "tenant", t->tenant, "client_id",
		t->client_id, "cloud", t->cloud, "login_url", t->login_url, "graph_url", t->graph_url, "imap_host",
		t->imap_host, "imap_port", (int)t->imap_port, "ca_file", t->ca_file, "routes", t->routes,
		"max_message_bytes", (json_int_t)t->max_message_bytes, "settle_after_ms",
		(json_int_t)t->settle_after_ms, "max_mailboxes", (int)t->max_mailboxes, "bytes_per_s",
		(json_int_t)t->bytes_per_s, "test_user", t->test_user, "tested_at", (json_int_t)t->tested_at,
		"test_passed", (int)t->test_passed, "test_skipped", (int)t->test_skipped, "test_text", t->test_text,
		"graph_ceiling", t->graph_ceiling ? (int)t->graph_ceiling : 100);
}

static const char *test_state(const struct target_row *t)
{
	return t->test_passed ? "passed" : t->test_skipped ? "SKIPPED" : t->tested_at ? "FAILED" : "never";
}

static int run_list(struct cli *c, struct err *err)
{
	struct target_row *v = NULL;
	size_t n = 0;
	if (store_target_list(c->store, &v, &n, err))
		return -1;
	char name[24 * 5];
	c->out = json_array();
	if (!c->json && n)
		printf("%-24s %-9s %-36s %s\n", "NAME", "KIND", "TENANT OR HOST", "TEST");
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(c->out, target_json(&v[i]));
		if (!c->json)
			printf("%s %-9s %-36s %s\n", cli_pad(v[i].name, 24, name, sizeof name),
				v[i].kind == TARGET_IMAP ? "imap" : "exchange",
				v[i].kind == TARGET_IMAP ? v[i].imap_host : v[i].tenant, test_state(&v[i]));
	}
	if (!c->json && !n)
		puts("No target yet: nightferry target create NAME --tenant T --client-id C --client-secret-file F "
		     "--test-user ADDRESS");
	free(v);
	return EXIT_DONE;
}

static const char *age_text(int64_t s, char *out, size_t size)
{
	if (s < 3600)
		snprintf(out, size, "%lld min", (long long)(s < 0 ? 0 : s / 60));
	else if (s < 2 * 86400)
		snprintf(out, size, "%lld h", (long long)(s / 3600));
	else
		snprintf(out, size, "%lld days", (long long)(s / 86400));
	return out;
}

/* What each route was seen to do, and how long ago. */
static void show_proofs(const struct target_row *t, const struct proof *v, size_t n)
{
	char one[16], at[CLOCK_TEXT], size[32], age[32];
	for (size_t i = 0; routes_at(t->routes, i, one, sizeof one); i++) {
		const struct proof *p = NULL;
		for (size_t k = 0; k < n; k++)
			p = strcmp(v[k].route, one) ? p : &v[k];
		if (!p) {
			printf("Route %-9s never proved%s: nightferry target test %s\n", one,
				t->kind == TARGET_EXCHANGE ? ", carries no mail" : "", t->name);
			continue;
		}
		printf("Route %-9s %s, %s (%s ago, mailbox %s): %s\n", one, target_proof_state(p),
			cli_time(p->at, at, sizeof at), age_text(clock_wall_s() - p->at, age, sizeof age), p->mailbox,
			p->text);
		if (p->passed && p->refused)
			printf("%-15s %.2f MB arrive, %.2f MB do not\n", "", (double)p->largest / 1e6,
				(double)p->refused / 1e6);
		else if (p->passed && p->largest)
			printf("%-15s messages of %s arrive; no larger one was tried\n", "",
				cli_bytes(p->largest, size, sizeof size));
		if (p->suspect_at)
			printf("%-15s in doubt since %s: %s; proved again at the next batch start or target test\n", "",
				cli_time(p->suspect_at, at, sizeof at), p->suspect_text);
	}
}

static void show_target(const struct target_row *t, const struct proof *proofs, size_t n)
{
	char at[CLOCK_TEXT], size[32];
	printf("Target          %s (%s)\n", t->name, t->kind == TARGET_IMAP ? "any IMAP host" : "Exchange Online");
	if (t->kind == TARGET_EXCHANGE)
		printf("Tenant          %s, application %s, cloud %s\n", t->tenant, t->client_id,
			t->cloud[0] ? t->cloud : "global");
	if (t->imap_host[0])
		printf("IMAP host       %s:%u, TLS %s\n", t->imap_host, t->imap_port, tls_mode_name(t->imap_tls));
	printf("Routes          %s\nLargest message %s\n", t->routes,
		t->max_message_bytes ? cli_bytes(t->max_message_bytes, size, sizeof size) : "not known");
	printf("Limits          %u mailboxes at once", t->max_mailboxes);
	if (t->bytes_per_s)
		printf(", %s/s", cli_bytes(t->bytes_per_s, size, sizeof size));
	if (t->graph_ceiling)
		printf(", up to %u%% of Graph's published limits", t->graph_ceiling);
	if (t->settle_after_ms >= 0)
		printf(", settles after %.3g s", (double)t->settle_after_ms / 1000);
	printf("\nTest user       %s\n", t->test_user[0] ? t->test_user : "none");
	printf("Test            %s%s%s%s%s\n", test_state(t), t->tested_at ? ", " : "",
		t->tested_at ? cli_time(t->tested_at, at, sizeof at) : "", t->test_text[0] ? ": " : "", t->test_text);
	show_proofs(t, proofs, n);
}

static int run_show(struct cli *c, struct err *err)
{
	struct target_row t;
	if (store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	struct proof *proofs = NULL;
	size_t n = 0;
	if (store_proof_list(c->store, t.id, &proofs, &n, err))
		return -1;
	c->out = target_json(&t);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, target_proof_json(&proofs[i]));
	json_object_set_new(c->out, "proofs", list);
	if (!c->json)
		show_target(&t, proofs, n);
	free(proofs);
	return EXIT_DONE;
}

static int run_delete(struct cli *c, struct err *err)
{
	struct target_row t;
	if (store_target_get(c->store, cli_operand(c, 0), &t, err) || store_target_delete(c->store, t.id, err) ||
		store_audit(c->store, "target delete", t.name, "", err))
		return -1;
	if (!c->json)
		printf("Target %s is deleted.\n", t.name);
	else
		c->out = json_pack("{s:s}", "deleted", t.name);
	return EXIT_DONE;
}

const struct command commands_target[] = {
	{"target", "create", "NAME", 1, 1, "store a destination, after a test that puts and reads back a probe message",
		"Gets a token, signs in to the pilot mailbox, puts messages with an old date into a folder of its "
		"own, reads them back and removes all of it, for each of --routes. "
		"What fails is not saved, unless --skip-test says so.",
		target_settings, CLI_STORE_CREATE, run_create},
	{"target", "test", "NAME", 1, 1, "prove each route on a pilot mailbox",
		"Puts probe messages into a folder of its own, reads them back and removes all of it. A route carries "
		"no mail "
		"into Exchange Online until its test passed; what was found is shown by target show.",
		test_specs, CLI_STORE, run_test},
	{"target", "setup", "NAME", 1, 1, "print what an administrator runs in PowerShell",
		"Prints a script: permissions with consent, the certificate, the service principal, access to the "
		"mailboxes, IMAP, size "
		"limits, retention hold. It may run again, and writes down what was there before for target teardown. "
		"Nothing is run from "
		"here; read it before you run it.",
		target_setup_specs, CLI_STORE, target_setup},
	{"target", "teardown", "NAME", 1, 1, "print the inverse of setup",
		"Prints a script that restores what setup wrote down, from its last step to its first. With --batch "
		"only the mailboxes of "
		"that batch, while another one is not completed.",
		target_setup_specs, CLI_STORE, target_teardown},
	{"target", "inventory", "NAME", 1, 1, "print PowerShell that exports what only an administrator sees",
		"The script changes nothing; it writes a CSV for nightferry batch assess --inventory.",
		target_inventory_specs, CLI_STORE, target_inventory},
	{"target", "list", "", 0, 0, "all targets", NULL, no_specs, CLI_STORE, run_list},
	{"target", "show", "NAME", 1, 1, "one target", NULL, no_specs, CLI_STORE, run_show},
	{"target", "set", "NAME", 1, 1, "change settings, after a new test", NULL, target_settings, CLI_STORE, run_set},
	{"target", "delete", "NAME", 1, 1, "refused while a batch refers to it", NULL, no_specs, CLI_STORE, run_delete},
	{0}};
