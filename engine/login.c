#include "engine/login.h"

#include "upload/cloud.h"

#include <string.h>

void login_fill_template(const char *template, const char *user, char *out, size_t size)
{
	size_t n = 0;
	for (const char *p = template; *p && n + 1 < size; p++) {
		if (p[0] == '%' && p[1] == 'u') {
			for (const char *u = user; *u && n + 1 < size; u++)
				out[n++] = *u;
			p++;
		} else {
			out[n++] = *p;
		}
	}
	out[n] = 0;
}

#define CONNECT_MS 30000 /* conn.h's default */

/* Master users behind a separator (user*admin) exist for PLAIN and LOGIN only: Dovecot 2.3.19 answers SCRAM with AUTHORIZATIONFAILED. */
static enum auth_method template_auth(enum auth_method wanted, const char *template, enum tls_mode tls)
{
	return wanted == AUTH_ANY && template[0] && tls != TLS_NONE ? AUTH_PLAIN : wanted;
}

static void fill_source(struct source_login *l, const char *source_user)
{
	const struct endpoint *e = &l->endpoint;
	if (e->login_template[0])
		login_fill_template(e->login_template, source_user, l->user, sizeof l->user);
	else
		snprintf(l->user, sizeof l->user, "%s", e->admin_user[0] ? e->admin_user : source_user);
	snprintf(l->authzid, sizeof l->authzid, "%s", source_user);
	l->conf = (struct conn_conf){.host = e->host,
		.port = e->port,
		.tls = e->tls,
		.ca_file = e->ca_file[0] ? e->ca_file : NULL,
		.accept_any_certificate = e->accept_any_certificate,
		.auth = template_auth(e->auth, e->login_template, e->tls),
		.user = l->user,
		.authzid = e->admin_user[0] ? l->authzid : NULL,
		.secret = l->secret,
		.quirks = e->quirks,
		.reads_only = true,
		.silence_ms = (int)e->silence_ms,
		.connect_ms = e->silence_ms && e->silence_ms < CONNECT_MS ? (int)e->silence_ms : 0};
}

int source_login_with(struct source_login *l, const struct endpoint *e, const char *source_user,
	const struct secret *password, struct err *err)
{
	memset(l, 0, sizeof *l);
	l->endpoint = *e;
	if (!(l->secret = secret_copy(password)))
		return err_set(err, ERR_MEMORY, "no memory for a password");
	fill_source(l, source_user);
	return 0;
}

int source_login_init(struct source_login *l, struct store *s, const struct endpoint *e, const char *source_user,
	int64_t user_id, struct err *err)
{
	memset(l, 0, sizeof *l);
	l->endpoint = *e;
	e = &l->endpoint;
	/* The endpoint's own password is the administrator's or the test user's: it is never tried on somebody else's mailbox. */
	bool shared = !user_id || e->admin_user[0] || e->login_template[0] || strcmp(source_user, e->test_user) == 0;
	if (user_id && store_secret_get(s, "user", user_id, "password", &l->secret, err))
		return -1;
	if (!l->secret && shared && store_secret_get(s, "endpoint", e->id, "password", &l->secret, err))
		return -1;
	if (!l->secret) {
		err_set(err, ERR_CREDENTIALS, "no password is stored for %s at endpoint %s", source_user, e->name);
		if (user_id)
			err_hint(
				err, "give it in the CSV's Password column, or an administrator login on the endpoint");
		else
			err_hint(err, "nightferry endpoint set %s --password-file FILE tests and stores it", e->name);
		return -1;
	}
	fill_source(l, source_user);
	return 0;
}

void source_login_done(struct source_login *l)
{
	secret_free(&l->secret);
}

/* What the route mime needs, where the target has it. */
static int fill_graph(
	struct target_login *l, struct work *w, const struct cloud *cloud, int64_t user_id, struct err *err)
{
	const struct target_row *t = &l->row;
	struct user u;
	bool usable;
	/* Also where the route is not listed any more: what it began is finished by it. */
	bool can = cloud->has_mime || t->graph_url[0] || routes_have(t->routes, "mime");
	if (t->kind != TARGET_EXCHANGE || !can)
		return 0;
	snprintf(l->graph_url, sizeof l->graph_url, "%s", t->graph_url[0] ? t->graph_url : cloud->graph_url);
	if (user_id && store_user_by_id(w->store, user_id, &u, err))
		return -1;
	/* until it was resolved the address stands in for the id */
	if (user_id && strcmp(u.dest_id, l->mailbox))
		snprintf(l->user_id, sizeof l->user_id, "%s", u.dest_id);
	l->conf.graph_url = l->graph_url;
	l->conf.user_id = l->user_id[0] ? l->user_id : NULL;
	return store_proof_usable(w->store, t->id, "mime", &usable, &l->conf.max_mime_bytes, err) ||
			       work_token(w, t, WORK_TOKEN_GRAPH, &l->conf.graph_token, err)
		       ? -1
		       : 0;
}

int target_login_init(struct target_login *l, struct work *w, const struct target_row *t, const char *address,
	int64_t user_id, struct err *err)
{
	memset(l, 0, sizeof *l);
	l->row = *t;
	t = &l->row;
	snprintf(l->mailbox, sizeof l->mailbox, "%s", address);
	const struct cloud *cloud = cloud_find(t->cloud[0] ? t->cloud : NULL);
	bool exchange = t->kind == TARGET_EXCHANGE;
	if (!cloud)
		return err_set(err, ERR_USAGE, "target %s: there is no cloud \"%s\"", t->name, t->cloud);
	snprintf(l->host, sizeof l->host, "%s", t->imap_host[0] ? t->imap_host : cloud->imap_host);
	struct token *token = NULL;
	if (work_token(w, t, WORK_TOKEN_IMAP, &token, err))
		return -1;
	if (!exchange && user_id && store_secret_get(w->store, "user", user_id, "target_password", &l->password, err))
		return -1;
	if (!exchange && !l->password && store_secret_get(w->store, "target", t->id, "password", &l->password, err))
		return -1;
	if (t->login_template[0])
		login_fill_template(t->login_template, address, l->user, sizeof l->user);
	l->conf = (struct target_conf){.kind = t->kind,
		.name = t->name,
		.imap_host = l->host,
		.imap_port = t->imap_port ? t->imap_port : 993,
		.imap_tls = t->imap_tls,
		.ca_file = t->ca_file[0] ? t->ca_file : NULL,
		.accept_any_certificate = t->accept_any_certificate,
		.mailbox = l->mailbox,
		.auth = exchange ? AUTH_XOAUTH2 : template_auth(t->auth, t->login_template, t->imap_tls),
		.user = l->user[0] ? l->user : NULL,
		.password = l->password,
		.token = token,
		.spool_dir = w->spool_dir,
		.max_message_bytes = t->max_message_bytes};
	return fill_graph(l, w, cloud, user_id, err);
}

void target_login_done(struct target_login *l)
{
	secret_free(&l->password);
}
