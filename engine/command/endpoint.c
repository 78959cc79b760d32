/* nightferry endpoint ...: the stored, named connection settings of a source. */
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/budget_day.h"
#include "engine/command/daily.h"
#include "engine/login.h"
#include "engine/provider.h"
#include "imap/probe.h"

#include <stdlib.h>
#include <string.h>

#define SETTINGS \
	{.name = "host", .arg = "HOST", .help = "the IMAP server's name or address", .group = "Connection"}, \
		{.name = "port", .arg = "N", .help = "else 993, or 143 with starttls and none"}, \
		{.name = "tls", \
			.arg = "implicit|starttls|none", \
			.help = "none sends passwords and mail in clear: only by your explicit word"}, \
		{.name = "ca-file", \
			.arg = "FILE", \
			.help = "certificate authorities in PEM to trust instead of the system's"}, \
		{.name = "accept-any-certificate", \
			.help = "do not verify the server's certificate; said at each use"}, \
		{.name = "provider", \
			.arg = "NAME", \
			.help = "gmail, yahoo, yahoo-export, zoho, cpanel, courier or exchange: host, port, caps"}, \
		{.name = "auth", \
			.arg = "METHOD", \
			.help = "any (default), scram-sha-256, plain, login or xoauth2", \
			.group = "Sign-in"}, \
		{.name = "test-user", .arg = "USER", .help = "a mailbox that the test signs in to"}, \
		{.name = "password-file", \
			.arg = "FILE", \
			.help = "password of the test user or administrator; - reads standard input"}, \
		{.name = "admin-user", \
			.arg = "USER", \
			.help = "administrator who signs in for each mailbox (SASL authorization identity)"}, \
		{.name = "login-template", \
			.arg = "TEXT", \
			.help = "sign-in name made of the user's, such as %u*admin"}, \
		{.name = "max-mailboxes", \
			.arg = "N", \
			.help = "mailboxes moved at once from this host (default 20)", \
			.group = "Limits"}, \
		{.name = "max-connections", .arg = "N", .help = "connections to this host in total (default 20)"}, \
		{.name = "rate", .arg = "BYTES/s", .help = "most octets a second from this host, such as 2MB/s"}, \
		DAILY_OPTIONS, \
		{.name = "timeout", \
			.arg = "TIME", \
			.help = "give a connection up after so long without an answer (default 90s)"}, \
		{.name = "retry-delay", \
			.arg = "TIME", \
			.help = "first pause before a try again, doubled each time (default 500ms)"}, \
	{ \
		.name = "skip-test", .help = "save without a test that passed; stays visible", .group = "Test" \
	}

static const struct option_spec create_specs[] = {SETTINGS, {0}};
static const struct option_spec set_specs[] = {
	SETTINGS, {.name = "resume", .help = "let sign-ins go on after the breaker paused them"}, {0}};
static const struct option_spec test_specs[] = {
	{.name = "user", .arg = "USER", .help = "another mailbox than the stored test user"},
	{.name = "password-file", .arg = "FILE", .help = "its password; - reads standard input"}, {0}};
static const struct option_spec no_specs[] = {{0}};

static int read_settings(struct cli *c, struct endpoint *e, struct err *err)
{
	if (cli_copy_option(c, "provider", e->provider, sizeof e->provider, err))
		return -1;
	const struct provider *p = e->provider[0] ? provider_find(e->provider) : NULL;
	if (e->provider[0] && !p)
		return err_set(err, ERR_USAGE,
			"--provider %s is not known; nightferry endpoint create --help lists them", e->provider);
	if (p && p->host && !e->host[0])
		snprintf(e->host, sizeof e->host, "%s", p->host);
	const char *tls = option_get(&c->opt, "tls"), *auth = option_get(&c->opt, "auth");
	if (tls && tls_mode_parse(tls) < 0)
		return err_set(err, ERR_USAGE, "--tls is implicit, starttls or none");
	if (auth && auth_method_parse(auth) < 0)
		return err_set(err, ERR_USAGE, "--auth is any, scram-sha-256, plain, login or xoauth2");
	if (tls) {
		e->tls = (enum tls_mode)tls_mode_parse(tls);
		if (!option_is_given(&c->opt, "port"))
			e->port = 0;
	}
	if (auth)
		e->auth = (enum auth_method)auth_method_parse(auth);
	if (option_is_given(&c->opt, "accept-any-certificate"))
		e->accept_any_certificate = true;
	if (cli_copy_option(c, "host", e->host, sizeof e->host, err) ||
		cli_uint_option(c, "port", 1, 65535, &e->port, err) ||
		cli_path_option(c, "ca-file", e->ca_file, sizeof e->ca_file, err) ||
		cli_copy_option(c, "test-user", e->test_user, sizeof e->test_user, err) ||
		cli_copy_option(c, "admin-user", e->admin_user, sizeof e->admin_user, err) ||
		cli_copy_option(c, "login-template", e->login_template, sizeof e->login_template, err) ||
		cli_uint_option(c, "max-mailboxes", 1, 1000, &e->max_mailboxes, err) ||
		cli_uint_option(c, "max-connections", 1, 1000, &e->max_connections, err) ||
		cli_rate_option(c, "rate", &e->bytes_per_s, err) ||
		cli_size_option(c, "daily-bytes", &e->bytes_per_day, err))
		return -1;
	if (daily_check(c, err) || cli_ms_option(c, "timeout", &e->silence_ms, err) ||
		cli_ms_option(c, "retry-delay", &e->retry_ms, err))
		return -1;
	if (!e->port)
		e->port = e->tls == TLS_IMPLICIT ? 993 : 143;
	if (!e->host[0])
		return err_set(err, ERR_USAGE, "--host is missing");
	if (e->login_template[0] && !strstr(e->login_template, "%u"))
		return err_set(err, ERR_USAGE, "--login-template needs %%u where the user's name goes");
	return 0;
}

static json_t *probe_json(const struct probe_report *r)
{
	static const char *const outcome[] = {"ok", "warning", "failed", "skipped"};
	json_t *lines = json_array();
	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(lines, json_pack("{s:s,s:s,s:s,s:s,s:s}", "step", r->v[i].step, "outcome",
						     outcome[r->v[i].outcome], "text", r->v[i].text, "blame",
						     r->v[i].blame ? r->v[i].blame : "", "hint", r->v[i].hint));
	return json_pack("{s:b,s:o}", "passed", r->passed, "lines", lines);
}

static void probe_print(const struct probe_report *r)
{
	static const char *const sign[] = {"ok  ", "note", "FAIL", "skip"};
	for (size_t i = 0; i < r->n; i++) {
		const struct probe_line *l = &r->v[i];
		printf("%s  %-15s %s%s%s\n", sign[l->outcome], l->step,
			l->outcome == PROBE_FAILED && l->blame ? l->blame : "",
			l->outcome == PROBE_FAILED && l->blame ? ": " : "", l->text);
		if (l->hint[0])
			printf("      %-15s -> %s\n", "", l->hint);
	}
}

static const struct probe_line *failed_line(const struct probe_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].outcome == PROBE_FAILED)
			return &r->v[i];
	return NULL;
}

/* Tests e with the given password (or the stored one) and notes the result in it. */
static int test_endpoint(struct cli *c, struct endpoint *e, const char *user, const struct secret *password,
	struct probe_report *r, struct err *err)
{
	struct source_login login;
	struct stop *stop = stop_new(NULL);
	if (password) {
		if (source_login_with(&login, e, user, password, err)) {
			stop_free(&stop);
			return -1;
		}
	} else if (source_login_init(&login, c->store, e, user, 0, err)) {
		stop_free(&stop);
		return -1;
	}
	probe_endpoint(&login.conf, NULL, stop, r);
	source_login_done(&login);
	stop_free(&stop);
	e->tested_at = clock_wall_s();
	e->test_passed = r->passed;
	const struct probe_line *f = failed_line(r);
	snprintf(e->test_text, sizeof e->test_text, "%s%s%s", f ? f->step : "", f ? ": " : "", f ? f->text : "");
	return 0;
}

static int read_password(struct cli *c, struct secret **out, struct err *err)
{
	const char *path = option_get(&c->opt, "password-file");
	*out = NULL;
	return path && secret_read_file(out, path, err) ? err_wrap(err, "--password-file") : 0;
}

static void warn_insecure(const struct endpoint *e)
{
	if (e->accept_any_certificate)
		fprintf(stderr,
			"nightferry: warning: endpoint %s accepts any certificate: anybody in between can read and "
			"change the mail\n",
			e->name);
	if (e->tls == TLS_NONE)
		fprintf(stderr,
			"nightferry: warning: endpoint %s is not encrypted: passwords and mail travel in clear\n",
			e->name);
}

/* Test, then save; what fails is not saved unless the person said so. old_id: a successor is made and takes its place. */
static int test_and_save(struct cli *c, struct endpoint *e, int64_t old_id, const char *verb, struct err *err)
{
	struct secret *password = NULL;
	struct probe_report *report = calloc(1, sizeof *report);
	bool skip = option_is_given(&c->opt, "skip-test");
	bool is_change = e->id;
	int rc = -1;
	warn_insecure(e);
	if (!report || read_password(c, &password, err))
		goto out;
	if (!password && e->id && store_secret_get(c->store, "endpoint", e->id, "password", &password, err))
		goto out;
	e->test_skipped = skip;
	e->test_passed = false;
	e->tested_at = 0;
	if (!skip) {
		if (!e->test_user[0] || !password) {
			err_set(err, ERR_USAGE, "the endpoint is tested before it is saved: %s is missing",
				e->test_user[0] ? "--password-file" : "--test-user");
			err_hint(err, "--skip-test saves it without a test, and says so wherever it is shown");
			goto out;
		}
		if (test_endpoint(c, e, e->test_user, password, report, err))
			goto out;
		if (!c->json)
			probe_print(report);
		else
			c->out = json_pack("{s:s,s:o}", "endpoint", e->name, "test", probe_json(report));
		if (!report->passed) {
			const struct probe_line *f = failed_line(report);
			if (!c->json)
				fprintf(stderr, "nightferry: endpoint %s is not %s: the test failed%s%s\n", e->name,
					e->id ? "changed" : "saved", f ? " at: " : "", f ? f->step : "");
			rc = f && f->blame && (!strcmp(f->blame, "credentials") || !strcmp(f->blame, "rights"))
				     ? EXIT_SIGN_IN
				     : EXIT_NETWORK;
			goto out;
		}
	}
	if (old_id) {
		e->id = 0;
		snprintf(e->name, sizeof e->name, "%.60s~successor", cli_operand(c, 0));
	}
	if (store_endpoint_save(c->store, e, err) || daily_save(c, e, err))
		goto out;
	if (password && store_secret_put(c->store, "endpoint", e->id, "password", password, err))
		goto out;
	if (old_id && store_endpoint_replace(c->store, old_id, e->id, err))
		goto out;
	if (store_audit(c->store, verb, cli_operand(c, 0), skip ? "without a test" : "test passed", err))
		goto out;
	char word[MODEL_NAME + 2];
	if (!c->json)
		printf("Endpoint %s is %s%s%s\n", cli_operand(c, 0), is_change ? "changed" : "saved",
			skip ? " WITHOUT a test; next: nightferry endpoint test " : "",
			skip ? cli_word(cli_operand(c, 0), word, sizeof word) : ".");
	else if (!c->out)
		c->out = json_pack("{s:s,s:b}", "endpoint", cli_operand(c, 0), "test_skipped", 1);
	rc = EXIT_DONE;
out:
	secret_free(&password);
	free(report);
	return rc;
}

static int run_create(struct cli *c, struct err *err)
{
	struct endpoint e = {.max_mailboxes = 20, .max_connections = 20, .created_at = clock_wall_s()}, other;
	struct err none = ERR_INIT;
	const char *name = cli_operand(c, 0);
	if (cli_check_name(name, err))
		return -1;
	if (!store_endpoint_get(c->store, name, &other, &none)) {
		err_set(err, ERR_CONFLICT, "endpoint %s exists already", name);
		err_hint(err, "nightferry endpoint replace %s ... changes it safely", name);
		return -1;
	}
	snprintf(e.name, sizeof e.name, "%s", name);
	if (read_settings(c, &e, err))
		return -1;
	const struct provider *p = e.provider[0] ? provider_find(e.provider) : provider_by_host(e.host);
	if (p && !c->json) {
		snprintf(e.provider, sizeof e.provider, "%s", p->name);
		printf("%s: %s\n", p->title, p->note);
	}
	if (p && p->max_connections && !option_is_given(&c->opt, "max-connections"))
		e.max_connections = p->max_connections;
	if (p && p->bytes_per_day && !option_is_given(&c->opt, "daily-bytes"))
		e.bytes_per_day = p->bytes_per_day;
	return test_and_save(c, &e, 0, "endpoint create", err);
}

static int run_replace(struct cli *c, struct err *err)
{
	struct endpoint e;
	if (store_endpoint_get(c->store, cli_operand(c, 0), &e, err))
		return -1;
	int64_t old = e.id;
	return read_settings(c, &e, err) ? -1 : test_and_save(c, &e, old, "endpoint replace", err);
}

static int run_set(struct cli *c, struct err *err)
{
	struct endpoint e, before;
	if (store_endpoint_get(c->store, cli_operand(c, 0), &e, err))
		return -1;
	before = e;
	if (cli_no_setting(c, err))
		return -1;
	if (option_is_given(&c->opt, "resume") && store_endpoint_resume(c->store, e.id, err))
		return -1;
	if (read_settings(c, &e, err))
		return -1;
	/* What only paces needs no test; what decides whether a sign-in works does. */
	bool same = !strcmp(e.host, before.host) && e.port == before.port && e.tls == before.tls &&
		    !strcmp(e.ca_file, before.ca_file) && e.accept_any_certificate == before.accept_any_certificate &&
		    e.auth == before.auth && !strcmp(e.admin_user, before.admin_user) &&
		    !strcmp(e.login_template, before.login_template) && !strcmp(e.test_user, before.test_user) &&
		    !option_is_given(&c->opt, "password-file");
	if (!same)
		return test_and_save(c, &e, 0, "endpoint set", err);
	if (store_endpoint_save(c->store, &e, err) || daily_save(c, &e, err) ||
		store_audit(c->store, "endpoint set", e.name, "limits", err))
		return -1;
	if (!c->json)
		printf("Endpoint %s is changed.\n", e.name);
	else
		c->out = json_pack("{s:s}", "endpoint", e.name);
	return EXIT_DONE;
}

static int run_test(struct cli *c, struct err *err)
{
	struct endpoint e;
	struct secret *password = NULL;
	if (store_endpoint_get(c->store, cli_operand(c, 0), &e, err) || read_password(c, &password, err))
		return -1;
	const char *user = option_get(&c->opt, "user");
	struct probe_report *r = calloc(1, sizeof *r);
	warn_insecure(&e);
	if (!user && !e.test_user[0]) {
		err_set(err, ERR_USAGE, "endpoint %s has no test user", e.name);
		err_hint(err, "nightferry endpoint test %s --user U --password-file F", e.name);
	}
	int rc = !r || (!user && !e.test_user[0]) ? -1
						  : test_endpoint(c, &e, user ? user : e.test_user, password, r, err);
	/* The verdict on another mailbox is not the endpoint's. */
	if (!rc && !user)
		rc = store_endpoint_save(c->store, &e, err) || (r->passed && store_endpoint_resume(c->store, e.id, err))
			     ? -1
			     : 0;
	if (!rc && c->json)
		c->out = json_pack("{s:s,s:o}", "endpoint", e.name, "test", probe_json(r));
	else if (!rc)
		probe_print(r);
	if (!rc && !r->passed) {
		const struct probe_line *f = failed_line(r);
		rc = f && f->blame && (!strcmp(f->blame, "credentials") || !strcmp(f->blame, "rights")) ? EXIT_SIGN_IN
													: EXIT_NETWORK;
	}
	secret_free(&password);
	free(r);
	return rc;
}

static json_t *endpoint_json(const struct endpoint *e)
{
	return json_pack("{s:s,s:s,s:i,s:s,s:s,s:b,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:b,s:b,s:s,s:I,s:s}",
		"name", e->name, "host", e->host, "port", (int)e->port, "tls", tls_mode_name(e->tls), "ca_file",
		e->ca_file, "accept_any_certificate", (int)e->accept_any_certificate, "auth", auth_method_name(e->auth),
		"provider", e->provider, "test_user", e->test_user, "admin_user", e->admin_user, "login_template",
		e->login_template, "max_mailboxes", (int)e->max_mailboxes, "max_connections", (int)e->max_connections,
		"bytes_per_s", (json_int_t)e->bytes_per_s, "bytes_per_day", (json_int_t)e->bytes_per_day, "tested_at",
		(json_int_t)e->tested_at, "test_passed", (int)e->test_passed, "test_skipped", (int)e->test_skipped,
		"test_text", e->test_text, "paused_at", (json_int_t)e->paused_at, "paused_text", e->paused_text);
}

static const char *test_state(const struct endpoint *e)
{
	return e->test_passed ? "passed" : e->test_skipped ? "SKIPPED" : e->tested_at ? "FAILED" : "never";
}

static int run_list(struct cli *c, struct err *err)
{
	struct endpoint *v = NULL;
	size_t n = 0;
	if (store_endpoint_list(c->store, &v, &n, err))
		return -1;
	c->out = json_array();
	if (!c->json && n)
		printf("%-24s %-32s %-9s %-9s %s\n", "NAME", "HOST", "TLS", "TEST", "AT ONCE");
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(c->out, endpoint_json(&v[i]));
		char host[MODEL_TEXT + 8], name[24 * 5];
		snprintf(host, sizeof host, "%s:%u", v[i].host, v[i].port);
		if (!c->json)
			printf("%s %-32s %-9s %-9s %u\n", cli_pad(v[i].name, 24, name, sizeof name), host,
				tls_mode_name(v[i].tls), test_state(&v[i]), v[i].max_mailboxes);
	}
	if (!c->json && !n)
		puts("No endpoint yet: nightferry endpoint create NAME --host HOST --test-user U --password-file F");
	free(v);
	return EXIT_DONE;
}

static int run_show(struct cli *c, struct err *err)
{
	struct endpoint e;
	struct audit_row *a = NULL;
	size_t n = 0;
	char at[CLOCK_TEXT], size[32];
	if (store_endpoint_get(c->store, cli_operand(c, 0), &e, err) || store_audit_list(c->store, e.name, &a, &n, err))
		return -1;
	json_t *trail = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(trail, json_pack("{s:I,s:s,s:s,s:s}", "at", (json_int_t)a[i].at, "who", a[i].who,
						     "action", a[i].action, "detail", a[i].detail));
	struct day_rule rule;
	if (budget_day_rule(c->store, &e, &rule, err)) {
		json_decref(trail);
		free(a);
		return -1;
	}
	const char *zone = rule.zone[0] ? rule.zone : "UTC";
	c->out = endpoint_json(&e);
	json_object_set_new(c->out, "audit", trail);
	json_object_set_new(c->out, "daily_of", json_string(rule.of_host ? "host" : "mailbox"));
	json_object_set_new(c->out, "daily_zone", json_string(zone));
	if (!c->json) {
		warn_insecure(&e);
		printf("Endpoint        %s\nHost            %s:%u, TLS %s%s\n", e.name, e.host, e.port,
			tls_mode_name(e.tls), e.accept_any_certificate ? ", ANY CERTIFICATE ACCEPTED" : "");
		if (e.ca_file[0])
			printf("Trusts          %s\n", e.ca_file);
		printf("Sign-in         %s%s%s%s%s, test user %s\n",
			e.auth == AUTH_ANY ? "the best way the host offers" : auth_method_name(e.auth),
			e.admin_user[0] ? ", administrator " : "", e.admin_user,
			e.login_template[0] ? ", template " : "", e.login_template,
			e.test_user[0] ? e.test_user : "none");
		printf("Test            %s%s%s%s%s\n", test_state(&e), e.tested_at ? ", " : "",
			e.tested_at ? cli_time(e.tested_at, at, sizeof at) : "", e.test_text[0] ? ": " : "",
			e.test_text);
		printf("Limits          %u mailboxes at once, %u connections", e.max_mailboxes, e.max_connections);
		if (e.bytes_per_s)
			printf(", %s/s", cli_bytes(e.bytes_per_s, size, sizeof size));
		if (e.bytes_per_day)
			printf(", %s a day from %s (a day begins at midnight %s)",
				cli_bytes(e.bytes_per_day, size, sizeof size),
				rule.of_host ? "the host" : "each mailbox", zone);
		puts("");
		if (e.paused_at)
			printf("Paused          %s: %s\n                nightferry endpoint set %s --resume lets "
			       "sign-ins go on\n",
				cli_time(e.paused_at, at, sizeof at), e.paused_text, e.name);
		for (size_t i = 0; i < n; i++)
			printf("%s           %s  %s  %s  %s\n", i ? "     " : "Audit",
				clock_format(a[i].at, at, sizeof at), a[i].who, a[i].action, a[i].detail);
	}
	free(a);
	return EXIT_DONE;
}

static int run_delete(struct cli *c, struct err *err)
{
	struct endpoint e;
	if (store_endpoint_get(c->store, cli_operand(c, 0), &e, err) || store_endpoint_delete(c->store, e.id, err) ||
		store_audit(c->store, "endpoint delete", e.name, "", err))
		return -1;
	if (!c->json)
		printf("Endpoint %s is deleted.\n", e.name);
	else
		c->out = json_pack("{s:s}", "deleted", e.name);
	return EXIT_DONE;
}

const struct command commands_endpoint[] = {
	{"endpoint", "create", "NAME", 1, 1, "store the connection settings of a source, after a test",
		"Tests the source (name, connection, TLS, greeting, capabilities, sign-in, folders, one fetch, limits) "
		"and saves its settings under "
		"NAME. What fails is not saved, unless --skip-test says so. Nothing at the source is changed.",
		create_specs, CLI_STORE_CREATE, run_create},
	{"endpoint", "test", "NAME", 1, 1, "walk the connection step by step",
		"Says in one line a step whether it is DNS, the firewall, the "
		"certificate, the credentials or the rights.",
		test_specs, CLI_STORE, run_test},
	{"endpoint", "list", "", 0, 0, "all endpoints", NULL, no_specs, CLI_STORE, run_list},
	{"endpoint", "show", "NAME", 1, 1, "one endpoint with its audit trail", NULL, no_specs, CLI_STORE, run_show},
	{"endpoint", "set", "NAME", 1, 1, "change limits, or settings after a new test", NULL, set_specs, CLI_STORE,
		run_set},
	{"endpoint", "replace", "NAME", 1, 1, "make a successor, test it, then put it in place",
		"The successor is tested and saved first; then it takes the name and every batch of the old one in one "
		"transaction.",
		create_specs, CLI_STORE, run_replace},
	{"endpoint", "delete", "NAME", 1, 1, "refused while a batch refers to it", NULL, no_specs, CLI_STORE,
		run_delete},
	{0}};
