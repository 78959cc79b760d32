/* The settings of a target as options, and its secrets. */
#include "engine/command/target.h"

#include "upload/cloud.h"

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
		{.name = "graph-ceiling", \
			.arg = "PERCENT", \
			.help = "of Graph's published limits, what is never passed (default 100, up to 1000)"}, \
		{.name = "settle-after", \
			.arg = "TIME", \
			.help = "how long a message whose answer was lost may still appear (default: the route's)"}, \
		TARGET_PROBE_OPTION, \
	{ \
		.name = "skip-test", .help = "save without a test that passed; stays visible" \
	}

const struct option_spec target_settings[] = {SETTINGS, {0}};
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

int target_read_settings(struct cli *c, struct target_row *t, struct err *err)
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
		cli_uint_option(c, "graph-ceiling", 10, 1000, &t->graph_ceiling, err) ||
		cli_rate_option(c, "rate", &t->bytes_per_s, err))
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

int target_save_secrets(struct cli *c, const struct target_row *t, struct err *err)
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

static const char *const secret_names[TARGET_SECRETS] = {"client_secret", "certificate", "private_key", "password"};

int target_keep_secrets(struct cli *c, int64_t id, struct secret *kept[TARGET_SECRETS], struct err *err)
{
	for (size_t i = 0; i < TARGET_SECRETS; i++)
		if (store_secret_get(c->store, "target", id, secret_names[i], &kept[i], err))
			return -1;
	return 0;
}

int target_restore_secrets(struct cli *c, int64_t id, struct secret *const kept[TARGET_SECRETS], struct err *err)
{
	for (size_t i = 0; i < TARGET_SECRETS; i++)
		if (kept[i] ? store_secret_put(c->store, "target", id, secret_names[i], kept[i], err)
			    : store_secret_drop(c->store, "target", id, secret_names[i], err))
			return -1;
	return 0;
}
