/* nightferry target ...: an Exchange Online tenant, or any IMAP host, as a destination. */
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/login.h"
#include "upload/cloud.h"

#include <stdlib.h>
#include <string.h>

#define SETTINGS \
	{.name = "kind", \
		.arg = "exchange|imap", \
		.help = "Exchange Online (default), or any IMAP host", \
		.group = "Exchange Online"}, \
		{.name = "tenant", .arg = "ID", .help = "tenant id or domain"}, \
		{.name = "client-id", .arg = "ID", .help = "the Entra application"}, \
		{.name = "client-secret-file", .arg = "FILE", .help = "its client secret; - reads standard input"}, \
		{.name = "certificate", .arg = "FILE", .help = "or its certificate (PEM) ..."}, \
		{.name = "private-key", .arg = "FILE", .help = "... with the private key (PEM, not encrypted)"}, \
		{.name = "cloud", .arg = "NAME", .help = "global (default), usgov, dod or china"}, \
		{.name = "routes", \
			.arg = "LIST", \
			.help = "imap, mime, or both in order of preference (default imap; mime is Graph's " \
				"importMime)"}, \
		{.name = "login-url", .arg = "URL", .help = "token service, where it is not the cloud's"}, \
		{.name = "graph-url", .arg = "URL", .help = "Microsoft Graph, where it is not the cloud's"}, \
		{.name = "imap-host", .arg = "HOST", .help = "IMAP server, where it is not the cloud's"}, \
		{.name = "imap-port", .arg = "N", .help = "else 993"}, \
		{.name = "host", .arg = "HOST", .help = "the IMAP host (--kind imap)", .group = "Any IMAP host"}, \
		{.name = "port", .arg = "N", .help = "else 993, or 143 with starttls and none"}, \
		{.name = "tls", .arg = "implicit|starttls|none", .help = "none sends passwords and mail in clear"}, \
		{.name = "auth", .arg = "METHOD", .help = "any (default), scram-sha-256, plain, login or xoauth2"}, \
		{.name = "password-file", .arg = "FILE", .help = "password of all mailboxes or of the administrator"}, \
		{.name = "login-template", \
			.arg = "TEXT", \
			.help = "sign-in name made of the address, such as %u*admin"}, \
		{.name = "ca-file", \
			.arg = "FILE", \
			.help = "certificate authorities in PEM to trust instead of the system's", \
			.group = "Both"}, \
		{.name = "accept-any-certificate", \
			.help = "do not verify the server's certificate; said at each use"}, \
		{.name = "test-user", \
			.arg = "ADDRESS", \
			.help = "a pilot mailbox: the test puts a probe message there and removes it"}, \
		{.name = "max-message-size", \
			.arg = "SIZE", \
			.help = "largest message the mailboxes take (MaxReceiveSize; default 36MB for exchange)"}, \
		{.name = "max-mailboxes", .arg = "N", .help = "mailboxes written to at once (default 50)"}, \
		{.name = "rate", .arg = "BYTES/s", .help = "most octets a second into this target"}, \
		{.name = "settle-after", \
			.arg = "TIME", \
			.help = "how long a message whose answer was lost may still appear (default: the route's)"}, \
	{ \
		.name = "skip-test", .help = "save without a test that passed; stays visible" \
	}

static const struct option_spec settings_specs[] = {SETTINGS, {0}};
static const struct option_spec test_specs[] = {
	{.name = "user", .arg = "ADDRESS", .help = "another pilot mailbox"}, {0}};
static const struct option_spec no_specs[] = {{0}};
/* MaxReceiveSize's default is "about 35 MB" (spec/exchange-online.md section 1, D): 36,700,160 octets. */
#define EXCHANGE_DEFAULT_SIZE ((uint64_t)35 * 1024 * 1024)

static int read_enums(struct cli *c, struct target_row *t, struct err *err)
{
	const char *kind = option_get(&c->opt, "kind"), *tls = option_get(&c->opt, "tls"),
		   *auth = option_get(&c->opt, "auth");
	if (kind && strcmp(kind, "exchange") != 0 && strcmp(kind, "imap") != 0)
		return err_set(err, ERR_USAGE, "--kind is exchange or imap");
	if (kind)
		t->kind = strcmp(kind, "imap") ? TARGET_EXCHANGE : TARGET_IMAP;
	if (tls && tls_mode_parse(tls) < 0)
		return err_set(err, ERR_USAGE, "--tls is implicit, starttls or none");
	if (auth && auth_method_parse(auth) < 0)
		return err_set(err, ERR_USAGE, "--auth is any, scram-sha-256, plain, login or xoauth2");
	if (tls)
		t->imap_tls = (enum tls_mode)tls_mode_parse(tls);
	if (auth)
		t->auth = (enum auth_method)auth_method_parse(auth);
	return 0;
}

static int check_complete(const struct cli *c, const struct target_row *t, struct err *err)
{
	if (t->kind == TARGET_IMAP && t->imap_host[0] && !t->id && !option_is_given(&c->opt, "password-file") &&
		!option_is_given(&c->opt, "skip-test"))
		return err_set(err, ERR_USAGE, "--password-file is missing");
	if (t->kind == TARGET_IMAP)
		return t->imap_host[0] ? 0 : err_set(err, ERR_USAGE, "--host is missing");
	if (!t->tenant[0] || !t->client_id[0])
		return err_set(err, ERR_USAGE, "%s is missing", t->tenant[0] ? "--client-id" : "--tenant");
	bool certificate = option_is_given(&c->opt, "certificate"), key = option_is_given(&c->opt, "private-key");
	if (certificate != key)
		return err_set(err, ERR_USAGE, "--certificate and --private-key go together");
	if (!t->id && !certificate && !option_is_given(&c->opt, "client-secret-file"))
		return err_set(err, ERR_USAGE, "--client-secret-file, or --certificate with --private-key, is missing");
	return 0;
}

static int check_cloud(const struct target_row *t, struct err *err)
{
	size_t n, used = 0;
	char names[128] = "";
	const struct cloud *all = cloud_table(&n);
	if (cloud_find(t->cloud[0] ? t->cloud : NULL))
		return 0;
	for (size_t i = 0; i < n && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", all[i].name);
	return err_set(err, ERR_USAGE, "there is no cloud \"%s\"; there are %s", t->cloud, names);
}

/* Each name once, and only where it exists. */
static int check_routes(const struct target_row *t, struct err *err)
{
	const struct cloud *cloud = cloud_find(t->cloud[0] ? t->cloud : NULL);
	char one[16], before[16];
	size_t n = 0;
	for (; routes_at(t->routes, n, one, sizeof one); n++) {
		if (!strcmp(one, "mime") && t->kind == TARGET_IMAP)
			return err_set(err, ERR_USAGE, "an IMAP host has the route imap only");
		if (!strcmp(one, "mime") && !cloud->has_mime) {
			err_set(err, ERR_USAGE, "the route mime does not exist in the cloud %s (%s)", cloud->name,
				cloud->title);
			err_hint(err, "Microsoft offers Graph's importMime in the worldwide cloud only: --routes imap");
			return -1;
		}
		if (!target_route(one))
			return err_set(
				err, ERR_USAGE, "there is no route \"%s\"; --routes is imap, mime, or both", one);
		for (size_t i = 0; i < n && routes_at(t->routes, i, before, sizeof before); i++)
			if (!strcmp(before, one))
				return err_set(err, ERR_USAGE, "--routes names %s twice", one);
	}
	size_t length = strlen(t->routes), commas = 0;
	for (const char *p = t->routes; *p; p++)
		commas += *p == ',';
	return n > 0 && commas == n - 1 && t->routes[length - 1] != ',' && t->routes[0] != ','
		       ? 0
		       : err_set(err, ERR_USAGE, "--routes is imap, mime, or both with a comma between");
}

/* An address of a service, without a slash at its end. */
static int read_graph_url(struct cli *c, struct target_row *t, struct err *err)
{
	if (cli_copy_option(c, "graph-url", t->graph_url, sizeof t->graph_url, err))
		return -1;
	for (size_t n = strlen(t->graph_url); n && t->graph_url[n - 1] == '/'; n--)
		t->graph_url[n - 1] = 0;
	if (t->graph_url[0] && strncmp(t->graph_url, "https://", 8))
		return err_set(err, ERR_USAGE, "--graph-url begins with https://");
	return 0;
}

static int read_settings(struct cli *c, struct target_row *t, struct err *err)
{
	const char *settle = option_get(&c->opt, "settle-after");
	if (read_enums(c, t, err) || cli_copy_option(c, "tenant", t->tenant, sizeof t->tenant, err) ||
		cli_copy_option(c, "client-id", t->client_id, sizeof t->client_id, err) ||
		cli_copy_option(c, "cloud", t->cloud, sizeof t->cloud, err) || check_cloud(t, err) ||
		cli_copy_option(c, "routes", t->routes, sizeof t->routes, err) || check_routes(t, err) ||
		read_graph_url(c, t, err) || cli_copy_option(c, "login-url", t->login_url, sizeof t->login_url, err) ||
		cli_copy_option(c, "imap-host", t->imap_host, sizeof t->imap_host, err) ||
		cli_copy_option(c, "host", t->imap_host, sizeof t->imap_host, err) ||
		cli_uint_option(c, "imap-port", 1, 65535, &t->imap_port, err) ||
		cli_uint_option(c, "port", 1, 65535, &t->imap_port, err) ||
		cli_path_option(c, "ca-file", t->ca_file, sizeof t->ca_file, err) ||
		cli_copy_option(c, "login-template", t->login_template, sizeof t->login_template, err) ||
		cli_copy_option(c, "test-user", t->test_user, sizeof t->test_user, err) ||
		cli_size_option(c, "max-message-size", &t->max_message_bytes, err) ||
		cli_uint_option(c, "max-mailboxes", 1, 1000, &t->max_mailboxes, err) ||
		cli_size_option(c, "rate", &t->bytes_per_s, err))
		return -1;
	if (settle && option_parse_duration_ms("--settle-after", settle, &t->settle_after_ms, err))
		return -1;
	if (option_is_given(&c->opt, "accept-any-certificate"))
		t->accept_any_certificate = true;
	if (!t->imap_port)
		t->imap_port = t->imap_tls == TLS_IMPLICIT ? 993 : 143;
	if (!t->max_message_bytes && t->kind == TARGET_EXCHANGE)
		t->max_message_bytes = EXCHANGE_DEFAULT_SIZE;
	if (t->login_template[0] && !strstr(t->login_template, "%u"))
		return err_set(err, ERR_USAGE, "--login-template needs %%u where the address goes");
	return check_complete(c, t, err);
}

static int save_secrets(struct cli *c, const struct target_row *t, struct err *err)
{
	if (option_is_given(&c->opt, "client-secret-file") &&
		(store_secret_drop(c->store, "target", t->id, "certificate", err) ||
			store_secret_drop(c->store, "target", t->id, "private_key", err)))
		return -1;
	if (option_is_given(&c->opt, "certificate") &&
		store_secret_drop(c->store, "target", t->id, "client_secret", err))
		return -1;
	return cli_store_secret(c, "client-secret-file", "target", t->id, "client_secret", err) ||
			       cli_store_secret(c, "certificate", "target", t->id, "certificate", err) ||
			       cli_store_secret(c, "private-key", "target", t->id, "private_key", err) ||
			       cli_store_secret(c, "password-file", "target", t->id, "password", err)
		       ? -1
		       : 0;
}

#define SECRETS 4
static const char *const secret_names[SECRETS] = {"client_secret", "certificate", "private_key", "password"};

static int keep_secrets(struct cli *c, int64_t id, struct secret *kept[SECRETS], struct err *err)
{
	for (size_t i = 0; i < SECRETS; i++)
		if (store_secret_get(c->store, "target", id, secret_names[i], &kept[i], err))
			return -1;
	return 0;
}

static int restore_secrets(struct cli *c, int64_t id, struct secret *const kept[SECRETS], struct err *err)
{
	for (size_t i = 0; i < SECRETS; i++)
		if (kept[i] ? store_secret_put(c->store, "target", id, secret_names[i], kept[i], err)
			    : store_secret_drop(c->store, "target", id, secret_names[i], err))
			return -1;
	return 0;
}

static void add_line(struct cli *c, json_t *lines, const char *step, const struct err *why, const char *good)
{
	char text[MODEL_ERROR];
	snprintf(text, sizeof text, "%s", good);
	if (why)
		err_line(why, text, sizeof text);
	json_array_append_new(lines, json_pack("{s:s,s:b,s:s,s:s}", "step", step, "ok", why == NULL, "text", text,
					     "blame", why ? err_kind_name(why->kind) : ""));
	if (c->json)
		return;
	if (why && why->server[0])
		printf("FAIL  %-12s %s: the server said \"%s\"\n", step, why->text, why->server);
	else
		printf("%s  %-12s %s\n", why ? "FAIL" : "ok  ", step, why ? why->text : good);
	if (why && why->hint[0])
		printf("      %-12s -> %s\n", "", why->hint);
}

/* Token, sign-in, probe message. *passed tells; lines go to the terminal or into c->out. why: of the step that failed. */
static int test_target(
	struct cli *c, struct target_row *t, const char *user, bool *passed, struct err *why, struct err *err)
{
	struct stop *stop = stop_new(NULL);
	struct work work;
	struct target_login login = {0};
	struct token *token = NULL;
	struct secret *access = NULL;
	struct target *target = NULL;
	struct scope_limits none = {0};
	json_t *lines = json_array();
	*passed = false;
	if (work_init(&work, c->store, stop, err))
		return -1;
	struct scope *scope = scope_open(work.throttle, NULL, "test", &none);
	struct gate *gate = gate_new(scope, stop);
	*why = ERR_INIT;
	if (t->accept_any_certificate || t->imap_tls == TLS_NONE)
		fprintf(stderr, "nightferry: warning: target %s is not protected against anybody in between\n",
			t->name);
	bool ok = !work_token(&work, t, WORK_TOKEN_IMAP, &token, why) &&
		  (!token || !token_get(token, NULL, stop, &access, why));
	if (t->kind == TARGET_EXCHANGE)
		add_line(c, lines, "token", ok ? NULL : why, "issued for this application");
	if (ok && !(ok = !target_login_init(&login, &work, t, user, 0, why)))
		add_line(c, lines, "sign-in", why, "");
	if (ok) {
		char good[MODEL_TEXT * 2];
		snprintf(good, sizeof good, "%s at %s:%u", user, login.conf.imap_host, login.conf.imap_port);
		ok = !target_imap_ops.open(&target, &login.conf, gate, stop, why);
		add_line(c, lines, "sign-in", ok ? NULL : why, good);
	}
	if (ok) {
		ok = !target_imap_ops.prove(target, why);
		add_line(c, lines, "probe", ok ? NULL : why,
			"a message with an old date was put, read back the same, not a draft, and removed");
	}
	if (target)
		target_imap_ops.close(&target);
	secret_free(&access);
	target_login_done(&login);
	gate_free(&gate);
	scope_close(&scope);
	work_done(&work);
	stop_free(&stop);
	json_decref(c->out);
	c->out = json_pack("{s:s,s:b,s:o}", "target", t->name, "passed", (int)ok, "lines", lines);
	t->tested_at = clock_wall_s();
	*passed = t->test_passed = ok;
	if (ok)
		t->test_text[0] = 0;
	else
		err_line(why, t->test_text, sizeof t->test_text);
	return 0;
}

/* before: what the target was, with its secrets; NULL: it was not there. */
static void take_back(
	struct cli *c, const struct target_row *t, const struct target_row *before, struct secret *const kept[SECRETS])
{
	struct err undo = ERR_INIT;
	struct target_row old;
	if (before)
		old = *before;
	if (before ? store_target_save(c->store, &old, &undo) || restore_secrets(c, old.id, kept, &undo)
		   : store_target_delete(c->store, t->id, &undo))
		cli_print_error(c, &undo);
}

/* Saves, tests, and takes back what failed. */
static int save_and_test(struct cli *c, struct target_row *t, const struct target_row *before,
	struct secret *const kept[SECRETS], const char *verb, struct err *err)
{
	bool skip = option_is_given(&c->opt, "skip-test"), passed = false;
	struct err why = ERR_INIT;
	t->test_passed = false;
	t->test_skipped = skip;
	if (!skip && !t->test_user[0]) {
		err_set(err, ERR_USAGE, "the target is tested before it is saved: --test-user is missing");
		err_hint(err, "--skip-test saves it without a test, and says so wherever it is shown");
		return -1;
	}
	if (store_target_save(c->store, t, err))
		return -1;
	int rc = save_secrets(c, t, err);
	if (!rc && !skip)
		rc = test_target(c, t, t->test_user, &passed, &why, err);
	if (rc || (!skip && !passed)) {
		take_back(c, t, before, kept);
		if (rc)
			return -1;
		if (!c->json)
			fprintf(stderr, "nightferry: target %s is not %s: the test failed\n", t->name,
				before ? "changed" : "saved");
		return cli_exit_code(why.kind);
	}
	if (store_target_save(c->store, t, err) ||
		store_audit(c->store, verb, t->name, skip ? "without a test" : "test passed", err))
		return -1;
	if (!c->json)
		printf("Target %s is %s%s.\n", t->name, before ? "changed" : "saved",
			skip ? " WITHOUT a test: nightferry target test" : "");
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
	return read_settings(c, &t, err) ? -1 : save_and_test(c, &t, NULL, NULL, "target create", err);
}

static int run_set(struct cli *c, struct err *err)
{
	struct target_row t, before;
	if (store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	before = t;
	struct secret *kept[SECRETS] = {NULL};
	int rc = cli_no_setting(c, err) || read_settings(c, &t, err) || keep_secrets(c, t.id, kept, err)
			 ? -1
			 : save_and_test(c, &t, &before, kept, "target set", err);
	for (size_t i = 0; i < SECRETS; i++)
		secret_free(&kept[i]);
	return rc;
}

static int run_test(struct cli *c, struct err *err)
{
	struct target_row t;
	struct err why;
	bool passed;
	if (store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	const char *user = option_get(&c->opt, "user");
	if (!user && !t.test_user[0])
		return err_set(err, ERR_USAGE, "target %s has no test user: --user ADDRESS", t.name);
	if (test_target(c, &t, user ? user : t.test_user, &passed, &why, err))
		return -1;
	/* A key or disk that is missing here says nothing about the target, nor does another mailbox's failure. */
	if ((passed || !user || !strcmp(user, t.test_user)) && (passed || cli_exit_code(why.kind) != EXIT_STORE) &&
		store_target_save(c->store, &t, err))
		return -1;
	return passed ? EXIT_DONE : cli_exit_code(why.kind);
}

static json_t *target_json(const struct target_row *t)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:I,s:I,s:i,s:I,s:s,s:I,s:b,s:b,s:s}", "name",
		t->name, "kind", t->kind == TARGET_IMAP ? "imap" : "exchange", "tenant", t->tenant, "client_id",
		t->client_id, "cloud", t->cloud, "login_url", t->login_url, "graph_url", t->graph_url, "imap_host",
		t->imap_host, "imap_port", (int)t->imap_port, "ca_file", t->ca_file, "routes", t->routes,
		"max_message_bytes", (json_int_t)t->max_message_bytes, "settle_after_ms",
		(json_int_t)t->settle_after_ms, "max_mailboxes", (int)t->max_mailboxes, "bytes_per_s",
		(json_int_t)t->bytes_per_s, "test_user", t->test_user, "tested_at", (json_int_t)t->tested_at,
		"test_passed", (int)t->test_passed, "test_skipped", (int)t->test_skipped, "test_text", t->test_text);
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

static int run_show(struct cli *c, struct err *err)
{
	struct target_row t;
	char at[CLOCK_TEXT], size[32];
	if (store_target_get(c->store, cli_operand(c, 0), &t, err))
		return -1;
	c->out = target_json(&t);
	if (c->json)
		return EXIT_DONE;
	printf("Target          %s (%s)\n", t.name, t.kind == TARGET_IMAP ? "any IMAP host" : "Exchange Online");
	if (t.kind == TARGET_EXCHANGE)
		printf("Tenant          %s, application %s, cloud %s\n", t.tenant, t.client_id,
			t.cloud[0] ? t.cloud : "global");
	if (t.imap_host[0])
		printf("IMAP host       %s:%u, TLS %s\n", t.imap_host, t.imap_port, tls_mode_name(t.imap_tls));
	printf("Routes          %s\nLargest message %s\n", t.routes,
		t.max_message_bytes ? cli_bytes(t.max_message_bytes, size, sizeof size) : "not known");
	printf("Limits          %u mailboxes at once", t.max_mailboxes);
	if (t.bytes_per_s)
		printf(", %s/s", cli_bytes(t.bytes_per_s, size, sizeof size));
	if (t.settle_after_ms >= 0)
		printf(", settles after %.3g s", (double)t.settle_after_ms / 1000);
	printf("\nTest user       %s\n", t.test_user[0] ? t.test_user : "none");
	printf("Test            %s, %s%s%s\n", test_state(&t), cli_time(t.tested_at, at, sizeof at),
		t.test_text[0] ? ": " : "", t.test_text);
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
		"Gets a token, signs in to the pilot mailbox, puts a message with an old date into a folder of its "
		"own, reads it back and removes both. "
		"What fails is not saved, unless --skip-test says so.",
		settings_specs, CLI_STORE_CREATE, run_create},
	{"target", "test", "NAME", 1, 1, "prove the route again", NULL, test_specs, CLI_STORE, run_test},
	{"target", "list", "", 0, 0, "all targets", NULL, no_specs, CLI_STORE, run_list},
	{"target", "show", "NAME", 1, 1, "one target", NULL, no_specs, CLI_STORE, run_show},
	{"target", "set", "NAME", 1, 1, "change settings, after a new test", NULL, settings_specs, CLI_STORE, run_set},
	{"target", "delete", "NAME", 1, 1, "refused while a batch refers to it", NULL, no_specs, CLI_STORE, run_delete},
	{0}};
