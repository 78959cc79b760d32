/* nightferry copy: one mailbox, now. Endpoint, target and batch are made from the options under a name that the options give, so that the same
   command line goes on where it stopped. */
#include "engine/command/cli.h"
#include "engine/command/target.h"

#include "engine/base/clock.h"
#include "engine/command/attend.h"
#include "engine/command/window.h"

#include <openssl/evp.h>
#include <string.h>

static const struct option_spec copy_specs[] = {
	{.name = "endpoint", .arg = "NAME", .help = "a stored source; else the options below", .group = "Source"},
	{.name = "source-host", .arg = "HOST", .help = "the IMAP server"},
	{.name = "source-port", .arg = "N", .help = "else 993, or 143 with starttls and none"},
	{.name = "source-tls", .arg = "implicit|starttls|none", .help = "none sends passwords and mail in clear"},
	{.name = "source-ca-file", .arg = "FILE", .help = "certificate authorities to trust instead of the system's"},
	{.name = "source-accept-any-certificate", .help = "do not verify the source's certificate"},
	{.name = "source-auth", .arg = "METHOD", .help = "any (default), scram-sha-256, plain, login or xoauth2"},
	{.name = "source-user", .arg = "USER", .help = "the mailbox"},
	{.name = "source-password-file",
		.arg = "FILE",
		.help = "its password, or the administrator's; - reads standard input"},
	{.name = "source-admin-user", .arg = "USER", .help = "administrator who signs in for the mailbox"},
	{.name = "source-login-template", .arg = "TEXT", .help = "sign-in name made of the user's, such as %u*admin"},
	{.name = "source-root", .arg = "FOLDER", .help = "only what is below this folder"},
	{.name = "timeout",
		.arg = "TIME",
		.help = "give a connection up after so long without an answer (default 90s)"},
	{.name = "retry-delay",
		.arg = "TIME",
		.help = "first pause before a try again, doubled each time (default 500ms)"},
	{.name = "target", .arg = "NAME", .help = "a stored target; else the options below", .group = "Destination"},
	{.name = "address", .arg = "ADDRESS", .help = "the destination mailbox"},
	{.name = "tenant", .arg = "ID", .help = "Exchange Online: tenant"},
	{.name = "client-id", .arg = "ID", .help = "... application"},
	{.name = "client-secret-file", .arg = "FILE", .help = "... its client secret"},
	{.name = "certificate", .arg = "FILE", .help = "... or certificate"},
	{.name = "private-key", .arg = "FILE", .help = "... and key"},
	{.name = "login-url", .arg = "URL", .help = "... token service"},
	{.name = "target-host", .arg = "HOST", .help = "any IMAP host instead (or Exchange's, with --tenant)"},
	{.name = "target-port", .arg = "N", .help = "else 993, or 143 with starttls and none"},
	{.name = "target-tls", .arg = "implicit|starttls|none", .help = "none sends passwords and mail in clear"},
	{.name = "target-ca-file", .arg = "FILE", .help = "certificate authorities to trust instead of the system's"},
	{.name = "target-accept-any-certificate", .help = "do not verify the destination's certificate"},
	{.name = "target-auth", .arg = "METHOD", .help = "any (default), scram-sha-256, plain, login or xoauth2"},
	{.name = "target-password-file", .arg = "FILE", .help = "password of the destination mailbox or administrator"},
	{.name = "target-login-template", .arg = "TEXT", .help = "sign-in name made of the address, such as %u*admin"},
	{.name = "max-message-size", .arg = "SIZE", .help = "largest message the destination takes"},
	{.name = "settle-after", .arg = "TIME", .help = "how long a message whose answer was lost may still appear"},
	{.name = "existing",
		.arg = "adopt|copy|refuse",
		.help = "mail that is at the destination already",
		.group = "How"},
	{.name = "include", .arg = "PATTERNS", .help = "only these folders"},
	{.name = "exclude", .arg = "PATTERNS", .help = "not these folders"},
	{.name = "copy-deleted", .help = "take messages marked \\Deleted too"},
	{.name = "date-from-header", .help = "received date from the Date field"},
	{.name = "uploads", .arg = "N", .help = "connections that write, 1 to 4 (default 1)"},
	{.name = "rate", .arg = "BYTES/s", .help = "most octets a second"}, WINDOW_OPTIONS, {0}};

static int bad_enum(const char *option, const char *values, struct err *err)
{
	return err_set(err, ERR_USAGE, "--%s is %s", option, values);
}

#define TLS_VALUES "implicit, starttls or none"
#define AUTH_VALUES "any, scram-sha-256, plain, login or xoauth2"

static int read_endpoint(struct cli *c, struct endpoint *e, struct err *err)
{
	const char *tls = option_get(&c->opt, "source-tls"), *auth = option_get(&c->opt, "source-auth");
	*e = (struct endpoint){
		.max_mailboxes = 20, .max_connections = 20, .test_skipped = true, .created_at = clock_wall_s()};
	if (tls && tls_mode_parse(tls) < 0)
		return bad_enum("source-tls", TLS_VALUES, err);
	if (auth && auth_method_parse(auth) < 0)
		return bad_enum("source-auth", AUTH_VALUES, err);
	e->tls = tls ? (enum tls_mode)tls_mode_parse(tls) : TLS_IMPLICIT;
	e->auth = auth ? (enum auth_method)auth_method_parse(auth) : AUTH_ANY;
	e->accept_any_certificate = option_is_given(&c->opt, "source-accept-any-certificate");
	e->port = e->tls == TLS_IMPLICIT ? 993 : 143;
	if (!option_get(&c->opt, "source-host"))
		return err_set(err, ERR_USAGE, "--source-host (or --endpoint) is missing");
	if (cli_ms_option(c, "timeout", &e->silence_ms, err) || cli_ms_option(c, "retry-delay", &e->retry_ms, err))
		return -1;
	return cli_copy_option(c, "source-host", e->host, sizeof e->host, err) ||
			       cli_uint_option(c, "source-port", 1, 65535, &e->port, err) ||
			       cli_path_option(c, "source-ca-file", e->ca_file, sizeof e->ca_file, err) ||
			       cli_copy_option(c, "source-user", e->test_user, sizeof e->test_user, err) ||
			       cli_copy_option(c, "source-admin-user", e->admin_user, sizeof e->admin_user, err) ||
			       cli_copy_option(
				       c, "source-login-template", e->login_template, sizeof e->login_template, err)
		       ? -1
		       : 0;
}

static int read_target(struct cli *c, struct target_row *t, struct err *err)
{
	const char *tls = option_get(&c->opt, "target-tls"), *auth = option_get(&c->opt, "target-auth");
	const char *settle = option_get(&c->opt, "settle-after");
	*t = (struct target_row){.kind = option_get(&c->opt, "tenant") ? TARGET_EXCHANGE : TARGET_IMAP,
		.settle_after_ms = -1,
		.max_mailboxes = 50,
		.test_skipped = true,
		.routes = "imap",
		.created_at = clock_wall_s()};
	if (tls && tls_mode_parse(tls) < 0)
		return bad_enum("target-tls", TLS_VALUES, err);
	if (auth && auth_method_parse(auth) < 0)
		return bad_enum("target-auth", AUTH_VALUES, err);
	t->imap_tls = tls ? (enum tls_mode)tls_mode_parse(tls) : TLS_IMPLICIT;
	t->auth = auth ? (enum auth_method)auth_method_parse(auth) : AUTH_ANY;
	t->accept_any_certificate = option_is_given(&c->opt, "target-accept-any-certificate");
	t->imap_port = t->imap_tls == TLS_IMPLICIT ? 993 : 143;
	if (settle && option_parse_duration_ms("--settle-after", settle, &t->settle_after_ms, err))
		return -1;
	if (t->kind == TARGET_IMAP && !option_get(&c->opt, "target-host"))
		return err_set(err, ERR_USAGE, "--target-host, --tenant or --target is missing");
	return cli_copy_option(c, "tenant", t->tenant, sizeof t->tenant, err) ||
			       cli_copy_option(c, "client-id", t->client_id, sizeof t->client_id, err) ||
			       cli_copy_option(c, "login-url", t->login_url, sizeof t->login_url, err) ||
			       cli_copy_option(c, "target-host", t->imap_host, sizeof t->imap_host, err) ||
			       cli_uint_option(c, "target-port", 1, 65535, &t->imap_port, err) ||
			       cli_path_option(c, "target-ca-file", t->ca_file, sizeof t->ca_file, err) ||
			       cli_copy_option(
				       c, "target-login-template", t->login_template, sizeof t->login_template, err) ||
			       cli_size_option(c, "max-message-size", &t->max_message_bytes, err)
		       ? -1
		       : 0;
}

/* The same two mailboxes give the same name. */
static void make_name(const struct endpoint *e, const struct target_row *t, const char *user, const char *address,
	char *out, size_t size)
{
	char text[MODEL_TEXT * 8];
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int len = snprintf(text, sizeof text, "%s\n%u\n%s\n%s\n%u\n%s\n%s\n%s", e->host, e->port, user, t->imap_host,
		t->imap_port, t->tenant, address, t->client_id);
	EVP_Digest(text, (size_t)len, hash, &n, EVP_sha256(), NULL);
	snprintf(out, size, "copy-%02x%02x%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3], hash[4], hash[5]);
}

static int save_endpoint(struct cli *c, struct endpoint *e, const char *name, struct err *err)
{
	struct endpoint old;
	struct err none = ERR_INIT;
	if (e->id)
		return 0;
	if (!store_endpoint_get(c->store, name, &old, &none))
		e->id = old.id;
	snprintf(e->name, sizeof e->name, "%s", name);
	return store_endpoint_save(c->store, e, err) ||
			       cli_store_secret(c, "source-password-file", "endpoint", e->id, "password", err)
		       ? -1
		       : 0;
}

static int save_target(struct cli *c, struct target_row *t, const char *name, struct err *err)
{
	struct target_row old;
	struct err none = ERR_INIT;
	if (t->id)
		return 0;
	if (!store_target_get(c->store, name, &old, &none))
		t->id = old.id;
	snprintf(t->name, sizeof t->name, "%s", name);
	return store_target_save(c->store, t, err) ||
			       cli_store_secret(c, "target-password-file", "target", t->id, "password", err) ||
			       cli_store_secret(c, "client-secret-file", "target", t->id, "client_secret", err) ||
			       cli_store_secret(c, "certificate", "target", t->id, "certificate", err) ||
			       cli_store_secret(c, "private-key", "target", t->id, "private_key", err)
		       ? -1
		       : 0;
}

/* What was said before holds on only for rate and uploads; the rest is as this command line says. */
static int read_batch(struct cli *c, struct batch *b, const char *name, struct err *err)
{
	struct err none = ERR_INIT;
	const char *existing = option_get(&c->opt, "existing");
	bool there = !store_batch_get(c->store, name, b, &none);
	if (!there)
		*b = (struct batch){
			.max_mailboxes = 1, .uploads = 1, .without_pilot = true, .created_at = clock_wall_s()};
	if (existing && strcmp(existing, "adopt") && strcmp(existing, "copy") && strcmp(existing, "refuse"))
		return bad_enum("existing", "adopt, copy or refuse", err);
	if (existing)
		b->existing = !strcmp(existing, "copy")     ? EXISTING_COPY
			      : !strcmp(existing, "refuse") ? EXISTING_REFUSE
							    : EXISTING_ADOPT;
	b->copy_deleted = option_is_given(&c->opt, "copy-deleted");
	b->date_from_header = option_is_given(&c->opt, "date-from-header");
	b->include[0] = b->exclude[0] = 0;
	snprintf(b->name, sizeof b->name, "%s", name);
	return cli_copy_option(c, "include", b->include, sizeof b->include, err) ||
			       cli_copy_option(c, "exclude", b->exclude, sizeof b->exclude, err) ||
			       cli_uint_option(c, "uploads", 1, 4, &b->uploads, err) ||
			       cli_rate_option(c, "rate", &b->bytes_per_s, err)
		       ? -1
		       : 0;
}

static int save_batch(struct cli *c, struct batch *b, const struct endpoint *e, const struct target_row *t,
	const char *user, const char *address, struct err *err)
{
	b->endpoint_id = e->id;
	b->target_id = t->id;
	if (b->id)
		return store_batch_save(c->store, b, err);
	struct user u = {.row = 1};
	const struct secret *passwords[1] = {NULL};
	snprintf(u.source_user, sizeof u.source_user, "%s", user);
	snprintf(u.address, sizeof u.address, "%s", address);
	if (cli_copy_option(c, "source-root", u.user_root, sizeof u.user_root, err))
		return -1;
	return store_batch_create(c->store, b, &u, passwords, 1, err);
}

/* With a stored endpoint the mailbox's own password is the user's, not the endpoint's. */
static int save_user_password(struct cli *c, const struct batch *b, const char *user, struct err *err)
{
	struct user u;
	if (!option_get(&c->opt, "endpoint") || !option_get(&c->opt, "source-password-file"))
		return 0;
	return store_user_get(c->store, b->id, user, &u, err) ||
			       cli_store_secret(c, "source-password-file", "user", u.id, "password", err)
		       ? -1
		       : 0;
}

static int run_copy(struct cli *c, struct err *err)
{
	struct endpoint e;
	struct target_row t;
	struct batch b;
	char name[MODEL_NAME], user[MODEL_TEXT], address[MODEL_TEXT];
	const char *endpoint = option_get(&c->opt, "endpoint"), *target = option_get(&c->opt, "target");
	if (!option_get(&c->opt, "source-user"))
		return err_set(err, ERR_USAGE, "--source-user is missing");
	if (cli_copy(user, sizeof user, "--source-user", option_get(&c->opt, "source-user"), err) ||
		cli_copy(address, sizeof address, "--address",
			option_get(&c->opt, "address") ? option_get(&c->opt, "address") : user, err) ||
		(endpoint ? store_endpoint_get(c->store, endpoint, &e, err) : read_endpoint(c, &e, err)) ||
		(target ? store_target_get(c->store, target, &t, err) : read_target(c, &t, err)))
		return -1;
	make_name(&e, &t, user, address, name, sizeof name);
	struct night night = {0};
	bool given;
	if (read_batch(c, &b, name, err) || window_read(c, &night, &given, err) ||
		window_check_share(&night, &b, &e, &t, err))
		return -1;
	if (save_endpoint(c, &e, name, err) || save_target(c, &t, name, err) ||
		save_batch(c, &b, &e, &t, user, address, err) || save_user_password(c, &b, user, err) ||
		store_night_save(c->store, b.id, &night, err) || target_prove_once(c, &t, address, err))
		return -1;
	if (e.accept_any_certificate || t.accept_any_certificate)
		fprintf(stderr, "nightferry: warning: any certificate is accepted: anybody in between can read and "
				"change the mail\n");
	if (e.tls == TLS_NONE || t.imap_tls == TLS_NONE)
		fprintf(stderr,
			"nightferry: warning: a connection is not encrypted: passwords and mail travel in clear\n");
	unsigned changed = 0;
	struct user u;
	if (store_user_get(c->store, b.id, user, &u, err))
		return -1;
	bool again = u.state == USER_SYNCED || u.state == USER_COMPLETED || u.state == USER_COMPLETED_WITH_WARNINGS;
	if (store_batch_want(
		    c->store, b.id, 0, again ? WANT_INCREMENTAL : WANT_SYNC, again ? "sync" : "start", &changed, err))
		return -1;
	if (!c->json) {
		printf("%s -> %s (batch %s in %s)\n", user, address, name, c->state);
		window_say(&night);
	}
	return attend_batch(c, &b, err);
}

const struct command commands_copy[] = {{"copy", NULL, "", 0, 0, "one mailbox, now",
						"Moves one mailbox with settings given here (or a stored --endpoint "
						"and --target). The same command again goes on where it stopped, and "
						"brings a finished copy up to date.",
						copy_specs, CLI_STORE_CREATE, run_copy},
	{0}};
