#include "imap/conn_state.h"

#include "imap/auth.h"
#include "imap/dial.h"
#include "imap/quirk.h"
#include "imap/tolerate.h"

#include "engine/base/clock.h"

#include <signal.h>
#include <strings.h>
#include <unistd.h>

#define CONNECT_MS 30000
#define SILENCE_MS 90000
#define LOGOUT_MS 2000

void conn_init(void)
{
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	tolerate_register();
}

const char *conn_step_name(enum conn_step step)
{
	switch (step) {
	case CONN_RESOLVE:
		return "name resolution";
	case CONN_TCP:
		return "connection";
	case CONN_TLS:
		return "TLS";
	case CONN_GREETING:
		return "greeting";
	case CONN_CAPABILITY:
		return "capabilities";
	case CONN_SIGN_IN:
		return "sign-in";
	case CONN_READY:
		return "ready";
	}
	return "?";
}

/* --- capabilities --- */

static clist *capability_list(const struct conn *c)
{
	const struct mailimap_connection_info *info = c->imap->imap_connection_info;

	return info && info->imap_capability ? info->imap_capability->cap_list : NULL;
}

static void capability_text(const struct mailimap_capability *cap, char *out, size_t size)
{
	if (cap->cap_type == MAILIMAP_CAPABILITY_AUTH_TYPE)
		snprintf(out, size, "AUTH=%s", cap->cap_data.cap_auth_type);
	else
		snprintf(out, size, "%s", cap->cap_data.cap_name);
}

bool conn_has_capability(const struct conn *c, const char *name)
{
	char text[128];
	clist *list = capability_list(c);

	for (clistiter *i = list ? clist_begin(list) : NULL; i; i = clist_next(i)) {
		capability_text(clist_content(i), text, sizeof text);
		if (!strcasecmp(text, name))
			return true;
	}
	return false;
}

static void show_capabilities(struct conn *c)
{
	char text[128];
	size_t used = 0;
	clist *list = capability_list(c);

	c->facts.capabilities[0] = 0;
	for (clistiter *i = list ? clist_begin(list) : NULL; i; i = clist_next(i)) {
		capability_text(clist_content(i), text, sizeof text);
		if (used + strlen(text) + 2 > sizeof c->facts.capabilities)
			break;
		used += (size_t)snprintf(c->facts.capabilities + used, sizeof c->facts.capabilities - used, "%s%s",
			used ? " " : "", text);
	}
}

/* Not mailimap_capability: that one dereferences NULL when the server sends no list. */
static int ask_capabilities(struct conn *c, struct err *err)
{
	enum reply reply;
	int tag;

	if (!capability_list(c) && (session_send(c, &tag, err, "CAPABILITY") || session_receive(c, tag, &reply, err)))
		return -1;
	show_capabilities(c);
	return 0;
}

/* --- the steps --- */

static int connect_tcp(struct conn *c, int64_t deadline, enum conn_step *step, int *fd, struct err *err)
{
	struct lookup *lookup = NULL;

	*step = CONN_RESOLVE;
	if (dial_resolve(&lookup, c->conf.host, c->conf.port, c->stop, deadline, err))
		return -1;
	*step = CONN_TCP;
	int failed = dial_connect(lookup, c->stop, deadline, fd, c->facts.address, sizeof c->facts.address, err);
	dial_free(&lookup);
	return failed;
}

static int attach(struct conn *c, int fd, struct err *err)
{
	if (net_new(&c->net, fd, c->stop, c->conf.silence_ms, err)) {
		close(fd);
		return -1;
	}
	net_set_gate(c->net, c->conf.gate);
	c->stream = net_stream(c->net);
	c->imap = mailimap_new(0, NULL);
	return c->stream && c->imap ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

static int secure(struct conn *c, int64_t deadline, struct err *err)
{
	struct tls_facts facts;
	struct tls_conf conf = {.host = c->conf.host,
		.port = c->conf.port,
		.ca_file = c->conf.ca_file,
		.accept_any_certificate = c->conf.accept_any_certificate,
		.starttls = c->conf.tls == TLS_STARTTLS};
	int failed = net_secure(c->net, &conf, deadline, &facts, err);

	if (failed && err->kind == ERR_TLS && !facts.subject[0] && !facts.version[0])
		return -1;
	snprintf(c->facts.tls_version, sizeof c->facts.tls_version, "%s", facts.version);
	snprintf(c->facts.cipher, sizeof c->facts.cipher, "%s", facts.cipher);
	snprintf(c->facts.cert_subject, sizeof c->facts.cert_subject, "%s", facts.subject);
	snprintf(c->facts.cert_issuer, sizeof c->facts.cert_issuer, "%s", facts.issuer);
	c->facts.cert_expires_at = facts.expires_at;
	return failed;
}

static void explain_no_greeting(struct conn *c, struct err *err)
{
	if (err->hint[0] || (err->kind != ERR_LOST && err->kind != ERR_PROTOCOL))
		return;
	if (c->conf.tls != TLS_IMPLICIT)
		err_hint(err,
			"nothing that IMAP would say came in the clear: port %u may want TLS from the first "
			"octet (--tls implicit), or this "
			"address has too many connections there",
			c->conf.port);
	else
		err_hint(err, "check that this is an IMAP port (993 with TLS); some hosts close without a "
			      "word over their limit of "
			      "connections an address, or after failed sign-ins");
}

static int greet(struct conn *c, struct err *err)
{
	bool preauth = false;

	net_set_deadline(c->net, clock_mono_ms() + c->conf.connect_ms);
	int failed = session_greet(c, &preauth, err);
	net_set_deadline(c->net, 0);
	if (failed) {
		explain_no_greeting(c, err);
		return -1;
	}
	c->facts.quirks = c->conf.quirks | quirk_find(c->facts.greeting, "", "");
	if (!preauth)
		return 0;
	/* It would keep STARTTLS from being asked for, and we would not know whose mailbox this is. */
	err_set(err, c->conf.tls == TLS_STARTTLS ? ERR_TLS : ERR_RIGHTS,
		"the server lets everybody in without a sign-in (PREAUTH)");
	err_hint(err, "use a port of the server that asks for a sign-in; on a public network somebody may be "
		      "between: use --tls implicit");
	return -1;
}

static int start_tls(struct conn *c, struct err *err)
{
	enum reply reply;
	int tag;

	if (ask_capabilities(c, err))
		return -1;
	if (!conn_has_capability(c, "STARTTLS")) {
		err_set(err, ERR_TLS, "the server does not offer STARTTLS on port %u", c->conf.port);
		err_hint(err, "use --tls implicit with --port 993; if it should offer it, somebody on the "
			      "way may have removed it");
		return -1;
	}
	if (session_send(c, &tag, err, "STARTTLS") || session_receive(c, tag, &reply, err))
		return -1;
	if (reply != REPLY_OK) {
		session_refusal(c, reply, err, "the server refuses STARTTLS");
		err->kind = ERR_TLS;
		return -1;
	}
	session_forget_capabilities(c);
	if (c->stream->read_buffer_len) {
		err_set(err, ERR_TLS, "octets in the clear came after the answer to STARTTLS");
		err_hint(err, "somebody on the way may be putting commands into the connection: use --tls "
			      "implicit with --port 993");
		return -1;
	}
	return secure(c, clock_mono_ms() + c->conf.connect_ms, err);
}

static int sign_in(struct conn *c, struct err *err)
{
	enum auth_way way = AUTH_WAY_PLAIN;
	struct auth_offer offer = {
		.scram_sha_256 = conn_has_capability(c, "AUTH=SCRAM-SHA-256"),
		.plain = conn_has_capability(c, "AUTH=PLAIN"),
		.login = conn_has_capability(c, "AUTH=LOGIN"),
		.xoauth2 = conn_has_capability(c, "AUTH=XOAUTH2"),
		.login_disabled = conn_has_capability(c, "LOGINDISABLED"),
		.initial_response = conn_has_capability(c, "SASL-IR"),
		.may_send_clear = net_is_secure(c->net) || c->conf.tls == TLS_NONE,
		.is_encrypted = net_is_secure(c->net),
	};

	session_forget_capabilities(c); /* a new list may come with the OK */
	int failed = auth_sign_in(c, &offer, &way, err);
	snprintf(c->facts.mechanism, sizeof c->facts.mechanism, "%s", auth_way_name(way));
	if (failed)
		return -1;
	c->imap->imap_state = MAILIMAP_STATE_AUTHENTICATED;
	return ask_capabilities(c, err);
}

static void read_id(struct conn *c)
{
	const struct mailimap_response_info *info = c->imap->imap_response_info;
	const char *name = "", *version = "";

	for (clistiter *i = info ? clist_begin(info->rsp_extension_list) : NULL; i; i = clist_next(i)) {
		const struct mailimap_extension_data *data = clist_content(i);
		const struct mailimap_id_params_list *params = data->ext_data;
		if (data->ext_extension->ext_id != MAILIMAP_EXTENSION_ID || !params)
			continue;
		for (clistiter *j = clist_begin(params->idpa_list); j; j = clist_next(j)) {
			const struct mailimap_id_param *param = clist_content(j);
			if (param->idpa_name && param->idpa_value && !strcasecmp(param->idpa_name, "name"))
				name = param->idpa_value;
			if (param->idpa_name && param->idpa_value && !strcasecmp(param->idpa_name, "version"))
				version = param->idpa_value;
		}
	}
	snprintf(c->facts.server_id, sizeof c->facts.server_id, "%s%s%s", name, *name && *version ? " " : "", version);
}

static int identify(struct conn *c, struct err *err)
{
	enum reply reply;
	int tag;

	if (conn_has_capability(c, "ID")) {
		if (session_send(c, &tag, err, "ID (\"name\" \"nightferry\")") || session_receive(c, tag, &reply, err))
			return -1;
		read_id(c);
	}
	c->facts.quirks |= quirk_find(c->facts.greeting, c->facts.server_id, c->facts.capabilities);
	return 0;
}

/* fd: connected already, or -1. Consumed. */
static int walk(struct conn *c, int fd, enum conn_step *step, struct err *err)
{
	int64_t deadline = clock_mono_ms() + c->conf.connect_ms;

	if ((fd < 0 && connect_tcp(c, deadline, step, &fd, err)) || attach(c, fd, err))
		return -1;
	if (c->conf.tls == TLS_IMPLICIT) {
		*step = CONN_TLS;
		if (secure(c, deadline, err))
			return -1;
	}
	*step = CONN_GREETING;
	if (greet(c, err))
		return -1;
	if (c->conf.tls == TLS_STARTTLS) {
		*step = CONN_TLS;
		if (start_tls(c, err))
			return -1;
	}
	*step = CONN_CAPABILITY;
	if (ask_capabilities(c, err))
		return -1;
	*step = CONN_SIGN_IN;
	if (sign_in(c, err) || identify(c, err))
		return -1;
	*step = CONN_READY;
	return 0;
}

static void no_progress(size_t now, size_t all, void *context)
{
	(void)now;
	(void)all;
	(void)context;
}

static void destroy(struct conn *c)
{
	if (c->imap) {
		c->imap->imap_stream = NULL; /* else mailimap_free would say LOGOUT and wait */
		mailimap_free(c->imap);
	}
	if (c->stream)
		mailstream_close(c->stream);
	net_free(&c->net);
	buf_done(&c->line);
	buf_done(&c->challenge);
	free(c);
}

int conn_open(struct conn **out, const struct conn_conf *conf, struct stop *stop, enum conn_step *reached,
	struct conn_facts *facts, struct err *err)
{
	return conn_open_over(out, -1, conf, stop, reached, facts, err);
}

int conn_open_over(struct conn **out, int fd, const struct conn_conf *conf, struct stop *stop, enum conn_step *reached,
	struct conn_facts *facts, struct err *err)
{
	struct conn *c = calloc(1, sizeof *c);
	enum conn_step step = CONN_RESOLVE;

	*out = NULL;
	if (!c)
		return err_set(err, ERR_MEMORY, "out of memory");
	c->conf = *conf;
	c->stop = stop;
	c->conf.connect_ms = conf->connect_ms ? conf->connect_ms : CONNECT_MS;
	c->conf.silence_ms = conf->silence_ms ? conf->silence_ms : SILENCE_MS;
	c->facts.quirks = conf->quirks;
	session_prepare(c);
	int failed = walk(c, fd, &step, err);
	if (reached)
		*reached = step;
	if (facts)
		*facts = c->facts;
	if (failed) {
		destroy(c);
		return err_wrap(err, "%s, %s", conf->host, conn_step_name(step));
	}
	/* libetpan uses a FETCH handler only when progress is asked for; else results pile up in a list. */
	mailimap_set_progress_callback(c->imap, no_progress, no_progress, NULL);
	*out = c;
	return 0;
}

const struct conn_facts *conn_facts(const struct conn *c)
{
	return &c->facts;
}

bool conn_is_dead(const struct conn *c)
{
	return c->is_dead || net_is_broken(c->net);
}

int conn_noop(struct conn *c, struct err *err)
{
	enum reply reply;
	int tag;

	if (session_send(c, &tag, err, "NOOP") || session_receive(c, tag, &reply, err))
		return -1;
	return reply == REPLY_OK ? 0 : session_refusal(c, reply, err, "the server refuses NOOP");
}

void conn_counts(const struct conn *c, uint64_t *received, uint64_t *sent)
{
	net_counts(c->net, received, sent);
}

void conn_close(struct conn **c)
{
	struct err ignored = ERR_INIT;
	enum reply reply;
	int tag;

	if (!*c)
		return;
	/* Answers that are still to come belong to handlers that are gone. */
	if (!conn_is_dead(*c) && !(*c)->in_flight && !stop_is_now((*c)->stop)) {
		net_set_deadline((*c)->net, clock_mono_ms() + LOGOUT_MS);
		if (!session_send(*c, &tag, &ignored, "LOGOUT"))
			session_receive(*c, tag, &reply, &ignored);
	}
	destroy(*c);
	*c = NULL;
}
