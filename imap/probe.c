#include "imap/probe.h"

#include "engine/base/clock.h"
#include "imap/box.h"
#include "imap/fetch.h"
#include "imap/folder.h"
#include "imap/repair.h"
#include "imap/tls.h"

#include <stdarg.h>
#include <strings.h>

#define EXPIRY_WARNING_DAYS 21
#define FETCHED_OCTETS 65536

/* In the order in which a person reads them; STARTTLS happens after the greeting, but is told in its place. */
static const char *const steps[] = {
	"name resolution", "connection", "TLS", "greeting", "capabilities", "sign-in", "folders", "fetch", "limits"};
enum {
	STEP_NAME,
	STEP_TCP,
	STEP_TLS,
	STEP_GREETING,
	STEP_CAPABILITY,
	STEP_SIGN_IN,
	STEP_FOLDERS,
	STEP_FETCH,
	STEP_LIMITS,
	STEPS
};

static struct probe_line *line_of(struct probe_report *out, int step)
{
	return &out->v[step];
}

__attribute__((format(printf, 4, 5))) static void say(
	struct probe_report *out, int step, enum probe_outcome outcome, const char *fmt, ...)
{
	struct probe_line *line = line_of(out, step);
	va_list ap;

	va_start(ap, fmt);
	line->outcome = outcome;
	vsnprintf(line->text, sizeof line->text, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 3, 4))) static void advise(struct probe_report *out, int step, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line_of(out, step)->hint, sizeof line_of(out, step)->hint, fmt, ap);
	va_end(ap);
}

static const char *blame(enum err_kind kind)
{
	switch (kind) {
	case ERR_DNS:
		return "DNS";
	case ERR_FIREWALL: /* the text says which */
		return "firewall or port";
	case ERR_BANNED: /* of this machine's address, mostly: it must be allowed there */
		return "firewall";
	case ERR_CERTIFICATE:
		return "certificate";
	case ERR_CREDENTIALS:
		return "credentials";
	case ERR_RIGHTS:
	case ERR_FOLDER:
	case ERR_MAILBOX:
		return "rights";
	case ERR_NONE:
	case ERR_USAGE:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
	case ERR_TLS:
	case ERR_LOST:
	case ERR_BUSY:
	case ERR_THROTTLED:
	case ERR_PROTOCOL:
	case ERR_MESSAGE:
	case ERR_TOO_BIG:
	case ERR_GONE:
	case ERR_CHANGED:
	case ERR_QUOTA:
	case ERR_DISK:
	case ERR_STORE:
	case ERR_VAULT:
	case ERR_STOPPED:
	case ERR_DEFERRED:
	case ERR_MEMORY:
	case ERR_INTERNAL:
	case ERR_KINDS_END:
		break;
	}
	return "server";
}

static void fail(struct probe_report *out, int step, const struct err *err)
{
	struct probe_line *line = line_of(out, step);
	/* The line's step and the report's head say already what conn_open puts in front. */
	const char *end = err->text + strlen(err->text), *text = repair_find(err->text, end, line->step);

	text = text && !strncmp(text + strlen(line->step), ": ", 2) ? text + strlen(line->step) + 2 : err->text;
	line->outcome = PROBE_FAILED;
	line->blame = blame(err->kind);
	if (err->server[0])
		snprintf(line->text, sizeof line->text, "%.240s: the server said \"%.120s\"", text, err->server);
	else
		snprintf(line->text, sizeof line->text, "%.380s", text);
	snprintf(line->hint, sizeof line->hint, "%s", err->hint);
	out->passed = false;
}

static int step_of(enum conn_step reached)
{
	switch (reached) {
	case CONN_RESOLVE:
		return STEP_NAME;
	case CONN_TCP:
		return STEP_TCP;
	case CONN_TLS:
		return STEP_TLS;
	case CONN_GREETING:
		return STEP_GREETING;
	case CONN_CAPABILITY:
		return STEP_CAPABILITY;
	case CONN_SIGN_IN:
		return STEP_SIGN_IN;
	case CONN_READY:
		return STEP_FOLDERS;
	}
	return STEP_FOLDERS;
}

/* --- what was learnt on the way --- */

static void say_tls(struct probe_report *out, const struct conn_conf *conf)
{
	const struct conn_facts *f = &out->facts;
	int64_t now = clock_wall_s(), days = (f->cert_expires_at - now) / 86400;
	char until[CLOCK_TEXT];

	if (conf->tls == TLS_NONE) {
		say(out, STEP_TLS, PROBE_WARNING,
			"none: the password and all mail travel in the clear, as this endpoint was told to");
		advise(out, STEP_TLS, "use --tls implicit or --tls starttls if the host offers either");
		return;
	}
	clock_format(f->cert_expires_at, until, sizeof until);
	say(out, STEP_TLS, PROBE_OK, "%s, %s; certificate of %.90s by %.90s, valid until %.10s", f->tls_version,
		f->cipher, f->cert_subject, f->cert_issuer, until);
	if (conf->accept_any_certificate) {
		line_of(out, STEP_TLS)->outcome = PROBE_WARNING;
		advise(out, STEP_TLS,
			"any certificate is accepted for this endpoint: nobody knows who is at the other end; "
			"give its CA with "
			"--ca-file instead");
	} else if (f->cert_expires_at && days < EXPIRY_WARNING_DAYS) {
		line_of(out, STEP_TLS)->outcome = PROBE_WARNING;
		advise(out, STEP_TLS,
			"the certificate expires in %lld days: the host must renew it before, or the "
			"migration stops then",
			(long long)days);
	}
}

/* A trusted issuer may still be the product that looks into connections: its CA is on this machine then. */
static void say_interception(struct probe_report *out)
{
	const char *inspector = tls_inspector(out->facts.cert_issuer);

	if (!inspector)
		return;
	if (line_of(out, STEP_TLS)->outcome == PROBE_OK)
		line_of(out, STEP_TLS)->outcome = PROBE_WARNING;
	advise(out, STEP_TLS,
		"the issuer looks like %s, which opens encrypted connections on the way: it slows mail down "
		"and reads passwords; "
		"have this host exempted",
		inspector);
}

/* What matters to a migration, in the server's order; the rest is counted. */
static void short_capabilities(const char *text, char *out, size_t size)
{
	static const char *const shown[] = {"IMAP4rev1", "IMAP4rev2", "LITERAL+", "LITERAL-", "STARTTLS",
		"LOGINDISABLED", "UIDPLUS", "SPECIAL-USE", "CONDSTORE", "QRESYNC", "MOVE", "COMPRESS=DEFLATE",
		"NAMESPACE", "ID", "X-GM-EXT-1"};
	size_t used = 0, more = 0;

	out[0] = '\0';
	for (size_t n; *text; text += n) {
		text += strspn(text, " ");
		n = strcspn(text, " ");
		bool matters = n > 5 && !strncasecmp(text, "AUTH=", 5);
		for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]) && !matters; i++)
			matters = strlen(shown[i]) == n && !strncasecmp(text, shown[i], n);
		if (n && (!matters || used + n + 24 > size))
			more++;
		else if (n)
			used += (size_t)snprintf(out + used, size - used, "%s%.*s", used ? " " : "", (int)n, text);
	}
	if (more)
		snprintf(out + used, size - used, " and %zu more", more);
}

static void say_capabilities(struct probe_report *out)
{
	char brief[200];
	const char *text = out->facts.capabilities, *end = text + strlen(text);

	if (!repair_find(text, end, "IMAP4rev1") && !repair_find(text, end, "IMAP4rev2")) {
		say(out, STEP_CAPABILITY, PROBE_WARNING, "the server does not say that it speaks IMAP4rev1: %.200s",
			text);
		return;
	}
	short_capabilities(text, brief, sizeof(brief));
	say(out, STEP_CAPABILITY, PROBE_OK, "%s", brief);
}

static void say_steps(struct probe_report *out, const struct conn_conf *conf, int before)
{
	const struct conn_facts *f = &out->facts;

	if (before > STEP_NAME)
		say(out, STEP_NAME, PROBE_OK, "%s is known", conf->host);
	if (before > STEP_TCP)
		say(out, STEP_TCP, PROBE_OK, "%s port %u answers", f->address, conf->port);
	if (f->tls_version[0] || (before > STEP_TLS && conf->tls == TLS_NONE)) {
		say_tls(out, conf);
		say_interception(out);
	}
	if (before > STEP_GREETING || (f->greeting[0] && before != STEP_GREETING))
		say(out, STEP_GREETING, PROBE_OK, "%.200s%s%.100s", f->greeting[0] ? f->greeting : "(without words)",
			f->server_id[0] ? "; it calls itself " : "", f->server_id);
	if (before > STEP_CAPABILITY)
		say_capabilities(out);
	if (before > STEP_SIGN_IN)
		say(out, STEP_SIGN_IN, PROBE_OK, "%s%s%s signed in by %s", conf->user, conf->authzid ? " as " : "",
			conf->authzid ? conf->authzid : "", f->mechanism);
}

/* --- signed in --- */

static int try_folders(struct conn *c, const char *root, struct probe_report *out)
{
	struct folder_list list = {0};
	struct err err = ERR_INIT;
	unsigned odd = 0;
	size_t mail = 0;

	if (folder_list(c, root, &list, &odd, &err)) {
		fail(out, STEP_FOLDERS, &err);
		return -1;
	}
	for (size_t i = 0; i < list.n; i++)
		mail += list.v[i].can_select && list.v[i].is_mail && !list.v[i].is_shared;
	say(out, STEP_FOLDERS, mail ? PROBE_OK : PROBE_WARNING, "%zu folders, %zu of them hold mail of this mailbox",
		list.n, mail);
	if (odd)
		advise(out, STEP_FOLDERS, "%u names that the server lists twice or without a name were left out", odd);
	else if (!mail)
		advise(out, STEP_FOLDERS,
			root ? "check the UserRoot: nothing is below it"
			     : "an empty mailbox, or the rights are missing");
	folder_list_done(&list);
	return 0;
}

struct fetched {
	uint32_t uid;
	uint64_t octets, size;
};

static void on_line(void *ctx, const struct fetch_line *line)
{
	struct fetched *f = ctx;

	if (line->has_body)
		f->uid = line->uid;
	if (line->has_size)
		f->size = line->size;
}

static bool on_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	struct fetched *f = ctx;

	(void)begins;
	(void)data;
	f->octets += n;
	return true;
}

static void try_fetch(struct conn *c, struct probe_report *out)
{
	struct box_state box;
	struct fetched got = {0};
	struct fetch_sink sink = {.line = on_line, .octets = on_octets, .ctx = &got};
	struct err err = ERR_INIT;
	enum reply reply;

	if (box_open(c, BOX_EXAMINE, "INBOX", &box, &err)) {
		fail(out, STEP_FETCH, &err);
		return;
	}
	if (box.exists == 0) {
		say(out, STEP_FETCH, PROBE_SKIPPED, "the INBOX is empty: nothing to read");
		return;
	}
	if (fetch_ask(c, &sink, &reply, &err, "FETCH 1 (UID RFC822.SIZE BODY.PEEK[]<0.%d>)", FETCHED_OCTETS)) {
		fail(out, STEP_FETCH, &err);
		return;
	}
	if (reply != REPLY_OK || !got.uid || !got.octets) {
		session_refusal(c, reply, &err, "the first message of the INBOX cannot be read");
		fail(out, STEP_FETCH, &err);
		return;
	}
	say(out, STEP_FETCH, PROBE_OK, "read message 1 of %u in the INBOX (UID %u, %llu octets) without changing it",
		box.exists, got.uid, (unsigned long long)got.size);
}

static void try_limits(const struct conn_conf *conf, struct stop *stop, struct probe_report *out)
{
	struct conn *second;
	struct err err = ERR_INIT;

	if (!conn_open(&second, conf, stop, NULL, NULL, &err)) {
		conn_close(&second);
		say(out, STEP_LIMITS, PROBE_OK, "a second connection of this mailbox is allowed at the same time");
		return;
	}
	say(out, STEP_LIMITS, PROBE_WARNING, "a second connection at the same time is not let in: %.150s%s%.120s",
		err.text, err.server[0] ? ": " : "", err.server);
	advise(out, STEP_LIMITS, "give this endpoint one connection a mailbox, and few mailboxes at once");
}

void probe_endpoint(const struct conn_conf *conf, const char *root, struct stop *stop, struct probe_report *out)
{
	struct conn *c = NULL;
	struct err err = ERR_INIT;
	enum conn_step reached = CONN_RESOLVE;

	memset(out, 0, sizeof *out);
	out->n = STEPS;
	out->passed = true;
	for (int i = 0; i < STEPS; i++) {
		out->v[i].step = steps[i];
		say(out, i, PROBE_SKIPPED, "not reached");
	}
	int failed = conn_open(&c, conf, stop, &reached, &out->facts, &err);
	say_steps(out, conf, step_of(reached));
	if (failed) {
		fail(out, step_of(reached), &err);
		return;
	}
	if (!try_folders(c, root, out))
		try_fetch(c, out);
	if (!conn_is_dead(c))
		try_limits(conf, stop, out);
	conn_close(&c);
}
