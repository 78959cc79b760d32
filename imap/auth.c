#include "imap/auth.h"

#include "imap/base64.h"
#include "imap/conn_state.h"
#include "imap/saslprep.h"
#include "imap/scram.h"

#include <openssl/rand.h>

#define MESSAGE_MAX ((size_t)128 << 10) /* an access token may have several KB */

const char *auth_way_name(enum auth_way way)
{
	switch (way) {
	case AUTH_WAY_SCRAM_SHA_256:
		return "SCRAM-SHA-256";
	case AUTH_WAY_PLAIN:
		return "PLAIN";
	case AUTH_WAY_SASL_LOGIN:
		return "AUTHENTICATE LOGIN";
	case AUTH_WAY_LOGIN_COMMAND:
		return "LOGIN";
	case AUTH_WAY_XOAUTH2:
		return "XOAUTH2";
	}
	return "?";
}

/* --- choosing --- */

static int refuse(struct err *err, const char *what, const char *hint)
{
	err_set(err, ERR_CREDENTIALS, "no way to sign in: %s", what);
	err_hint(err, "%s", hint);
	return -1;
}

static int choose_login(
	const struct auth_offer *offer, const struct auth_need *need, enum auth_way *out, struct err *err)
{
	if (need->has_authzid)
		return refuse(err, "LOGIN cannot act as another mailbox",
			"use --auth plain, or a user name template such as %u*admin");
	/* The LOGIN command's arguments are plain ASCII; what is not goes through SASL where it can. */
	if (need->is_simple && !offer->login_disabled)
		*out = AUTH_WAY_LOGIN_COMMAND;
	else if (!need->is_simple && offer->plain)
		*out = AUTH_WAY_PLAIN;
	else if (offer->login)
		*out = AUTH_WAY_SASL_LOGIN;
	else if (!offer->login_disabled)
		*out = AUTH_WAY_LOGIN_COMMAND; /* as literals */
	else
		return refuse(err, "the server has switched LOGIN off", "use another --auth");
	return 0;
}

/* A password that SASLprep changes has two forms, and SCRAM must bet on one; a lost bet is a failed sign-in, which servers count and ban
   for. PLAIN carries what was typed, and a server that prepares does so itself (RFC 4616): one try, right at both. */
static bool bets(const struct auth_offer *offer, const struct auth_need *need)
{
	return !need->is_prepared && offer->plain && offer->is_encrypted;
}

int auth_choose(enum auth_method wanted, const struct auth_offer *offer, const struct auth_need *need,
	enum auth_way *out, struct err *err)
{
	if (wanted == AUTH_SCRAM_SHA_256 || (wanted == AUTH_ANY && offer->scram_sha_256 && !bets(offer, need))) {
		*out = AUTH_WAY_SCRAM_SHA_256;
		return offer->scram_sha_256 ? 0
					    : refuse(err, "the server does not offer SCRAM-SHA-256", "use --auth any");
	}
	if (!offer->may_send_clear) {
		err_set(err, ERR_TLS, "no way to sign in: the connection is not encrypted");
		err_hint(err, "use --tls starttls or --tls implicit");
		return -1;
	}
	switch (wanted) {
	case AUTH_XOAUTH2: /* some servers do not list it before they know the user: try */
		*out = AUTH_WAY_XOAUTH2;
		return 0;
	case AUTH_LOGIN:
		return choose_login(offer, need, out, err);
	case AUTH_PLAIN:
		*out = AUTH_WAY_PLAIN;
		return 0;
	case AUTH_ANY:
	case AUTH_SCRAM_SHA_256:
		break;
	}
	if (offer->plain) {
		*out = AUTH_WAY_PLAIN;
		return 0;
	}
	if (offer->login_disabled && !offer->login)
		return refuse(err,
			offer->xoauth2 ? "the server takes only access tokens"
				       : "the server offers no password sign-in",
			offer->xoauth2 ? "use --auth xoauth2 with a token"
				       : "it may want encryption first: use --tls starttls or --tls implicit");
	return choose_login(offer, need, out, err);
}

/* --- the SASL exchange --- */

/* base64 of data and a line end, sent. The copies of secrets are wiped. */
static int send_base64(struct conn *c, const void *data, size_t n, struct err *err)
{
	struct buf text;

	buf_init(&text, MESSAGE_MAX * 2);
	int failed = base64_encode(&text, data, n, err) || buf_add_str(&text, "\r\n", err) ||
		     session_write(c, text.data, text.len, err) || session_flush(c, err);
	if (text.data)
		secret_wipe(text.data, text.room);
	buf_done(&text);
	return failed ? -1 : 0;
}

/* AUTHENTICATE with a first message. 0: sent. 1: answered before it could be (*reply). */
static int begin(struct conn *c, const struct auth_offer *offer, const char *mechanism, const struct buf *first,
	int *tag, enum reply *reply, struct err *err)
{
	char command[64];

	*tag = ++c->imap->imap_tag;
	int n = snprintf(command, sizeof command, "%d AUTHENTICATE %s%s", *tag, mechanism,
		offer->initial_response && first ? " " : "\r\n");
	if (session_write(c, command, (size_t)n, err))
		return -1;
	if (!first)
		return session_flush(c, err);
	if (!offer->initial_response) {
		int early = session_continuation(c, *tag, reply, err);
		if (early)
			return early;
	} else if (first->len == 0) {
		return session_write(c, "=\r\n", 3, err) || session_flush(c, err) ? -1 : 0;
	}
	return send_base64(c, first->data, first->len, err);
}

/* The tagged answer; a challenge that has no place here is cancelled. */
static int finish(struct conn *c, int tag, enum reply *reply, struct err *err)
{
	for (int cancelled = 0; cancelled < 3; cancelled++) {
		int answered = session_continuation(c, tag, reply, err);
		if (answered)
			return answered < 0 ? -1 : 0;
		if (session_write(c, "*\r\n", 3, err) || session_flush(c, err))
			return -1;
	}
	session_kill(c);
	return err_set(err, ERR_PROTOCOL, "the server asks on and on while signing in");
}

static int read_challenge(struct conn *c, struct buf *out, struct err *err)
{
	const char *text = session_challenge(c);

	buf_clear(out);
	return base64_decode(out, text, strlen(text), err);
}

static int settle(struct conn *c, enum reply reply, struct err *err)
{
	char doing[300];

	if (reply == REPLY_OK)
		return 0;
	snprintf(doing, sizeof doing, "the server refused to let %s in", c->conf.user);
	return session_refusal(c, reply, err, doing);
}

/* --- the mechanisms --- */

static int sign_in_plain(struct conn *c, const struct auth_offer *offer, struct err *err)
{
	const char *authzid = c->conf.authzid ? c->conf.authzid : "";
	struct buf message;
	enum reply reply = REPLY_BAD;
	int tag, failed = -1, early;

	buf_init(&message, MESSAGE_MAX);
	if (buf_add(&message, authzid, strlen(authzid) + 1, err) ||
		buf_add(&message, c->conf.user, strlen(c->conf.user) + 1, err) ||
		buf_add(&message, secret_bytes(c->conf.secret), secret_len(c->conf.secret), err))
		goto out;
	early = begin(c, offer, "PLAIN", &message, &tag, &reply, err);
	if (early < 0 || (!early && finish(c, tag, &reply, err)))
		goto out;
	failed = settle(c, reply, err);
out:
	if (message.data)
		secret_wipe(message.data, message.room);
	buf_done(&message);
	return failed;
}

/* "User Name" and "Password" are asked one by one; what the prompts say does not matter. */
static int sign_in_sasl_login(struct conn *c, const struct auth_offer *offer, struct err *err)
{
	enum reply reply = REPLY_BAD;
	int tag, answered;

	if (begin(c, offer, "LOGIN", NULL, &tag, &reply, err))
		return -1;
	answered = session_continuation(c, tag, &reply, err);
	if (!answered && send_base64(c, c->conf.user, strlen(c->conf.user), err))
		return -1;
	if (!answered)
		answered = session_continuation(c, tag, &reply, err);
	if (!answered && send_base64(c, secret_bytes(c->conf.secret), secret_len(c->conf.secret), err))
		return -1;
	if (answered < 0 || (!answered && finish(c, tag, &reply, err)))
		return -1;
	return settle(c, reply, err);
}

/* One argument of LOGIN: quoted, or a literal where a quoted string cannot hold it. 0, 1: answered instead, -1. */
static int send_argument(struct conn *c, int tag, const char *text, size_t n, enum reply *reply, struct err *err)
{
	bool quotable = n < 1024;
	char quoted[2 * 1024 + 2], announced[40];
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		quotable = quotable && (unsigned char)text[i] >= 32 && (unsigned char)text[i] < 127;
	if (!quotable) {
		int k = snprintf(announced, sizeof announced, "{%zu}\r\n", n);
		if (session_write(c, announced, (size_t)k, err) || session_flush(c, err))
			return -1;
		int answered = session_continuation(c, tag, reply, err);
		return answered ? answered : session_write(c, text, n, err);
	}
	quoted[used++] = '"';
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			quoted[used++] = '\\';
		quoted[used++] = text[i];
	}
	quoted[used++] = '"';
	int failed = session_write(c, quoted, used, err);
	secret_wipe(quoted, sizeof quoted);
	return failed;
}

static int sign_in_login_command(struct conn *c, struct err *err)
{
	enum reply reply = REPLY_BAD;
	char command[32];
	int tag = ++c->imap->imap_tag, n = snprintf(command, sizeof command, "%d LOGIN ", tag);

	if (session_write(c, command, (size_t)n, err))
		return -1;
	int answered = send_argument(c, tag, c->conf.user, strlen(c->conf.user), &reply, err);
	if (!answered && session_write(c, " ", 1, err))
		return -1;
	if (!answered)
		answered = send_argument(c, tag, secret_bytes(c->conf.secret), secret_len(c->conf.secret), &reply, err);
	if (answered < 0 || (!answered && (session_write(c, "\r\n", 2, err) || session_flush(c, err))))
		return -1;
	if (!answered && session_receive(c, tag, &reply, err))
		return -1;
	return settle(c, reply, err);
}

/* user=U ^A auth=Bearer T ^A ^A. A refusal comes as a challenge in JSON, which wants an empty line before the tagged NO. */
static int sign_in_xoauth2(struct conn *c, const struct auth_offer *offer, struct err *err)
{
	const char *user = c->conf.authzid ? c->conf.authzid : c->conf.user;
	struct buf message, status;
	enum reply reply = REPLY_BAD;
	int tag, failed = -1, answered;

	buf_init(&message, MESSAGE_MAX);
	buf_init(&status, MESSAGE_MAX);
	if (buf_printf(&message, err, "user=%s\001auth=Bearer ", user) ||
		buf_add(&message, secret_bytes(c->conf.secret), secret_len(c->conf.secret), err) ||
		buf_add(&message, "\001\001", 2, err))
		goto out;
	answered = begin(c, offer, "XOAUTH2", &message, &tag, &reply, err);
	if (!answered)
		answered = session_continuation(c, tag, &reply, err);
	if (answered < 0)
		goto out;
	if (!answered) {
		struct err ignored = ERR_INIT;
		if (read_challenge(c, &status, &ignored))
			buf_clear(&status);
		if (session_write(c, "\r\n", 2, err) || session_flush(c, err) || finish(c, tag, &reply, err))
			goto out;
	}
	failed = settle(c, reply, err);
	if (failed && status.len) {
		if (buf_printf(&status, err, " %s", c->answer.all) == 0)
			err_server(err, status.data, status.len);
		/* The status says more than "invalid credentials": an expired token, a scope that is missing. */
		if (err->kind == ERR_CREDENTIALS && !(c->facts.quirks & QUIRK_EXCHANGE))
			err_hint(err, "the access token was refused: it may have expired, lack the IMAP "
				      "scope, or be another user's");
	}
out:
	if (message.data)
		secret_wipe(message.data, message.room);
	buf_done(&message);
	buf_done(&status);
	return failed;
}

static int new_scram(struct conn *c, struct scram **out, struct err *err)
{
	unsigned char random[18];
	struct buf nonce;
	int failed;

	*out = NULL;
	if (RAND_bytes(random, sizeof random) != 1)
		return err_set(err, ERR_INTERNAL, "no random numbers");
	buf_init(&nonce, 64);
	failed = base64_encode(&nonce, random, sizeof random, err) ||
		 scram_new(out, c->conf.user, c->conf.authzid, c->conf.secret, buf_str(&nonce), err);
	buf_done(&nonce);
	return failed ? -1 : 0;
}

/* An OK without the server's signature proves nothing. */
static int settle_unproved(struct conn *c, enum reply reply, struct err *err)
{
	if (settle(c, reply, err))
		return -1;
	session_kill(c);
	return err_set(err, ERR_PROTOCOL, "the server skipped its part of SCRAM: it may not be the real one");
}

/* *proved: the password was judged. When it was not, the server may not know this user's password in SCRAM's form. */
static int exchange_scram(
	struct conn *c, const struct auth_offer *offer, struct scram *s, bool *proved, struct err *err)
{
	struct buf in, out;
	enum reply reply = REPLY_BAD;
	int tag, failed = -1, answered;

	buf_init(&in, MESSAGE_MAX);
	buf_init(&out, MESSAGE_MAX);
	if (scram_first(s, &out, err))
		goto out;
	answered = begin(c, offer, "SCRAM-SHA-256", &out, &tag, &reply, err);
	if (!answered)
		answered = session_continuation(c, tag, &reply, err);
	if (answered > 0)
		failed = settle_unproved(c, reply, err);
	if (answered)
		goto out;
	buf_clear(&out);
	if (read_challenge(c, &in, err) || scram_prove(s, buf_str(&in), in.len, &out, err) ||
		send_base64(c, out.data, out.len, err))
		goto broken;
	*proved = true;
	answered = session_continuation(c, tag, &reply, err);
	if (answered > 0)
		failed = settle_unproved(c, reply, err);
	if (answered)
		goto out;
	if (read_challenge(c, &in, err) || scram_verify(s, buf_str(&in), in.len, err))
		goto broken;
	if (session_write(c, "\r\n", 2, err) || session_flush(c, err) || finish(c, tag, &reply, err))
		goto out;
	failed = settle(c, reply, err);
	goto out;
broken:
	session_kill(c);
out:
	buf_done(&in);
	buf_done(&out);
	return failed;
}

static int sign_in_scram(
	struct conn *c, const struct auth_offer *offer, bool is_prepared, enum auth_way *way, struct err *err)
{
	struct scram *s = NULL;
	bool proved = false;

	if (new_scram(c, &s, err))
		return -1;
	int failed = exchange_scram(c, offer, s, &proved, err);
	scram_free(&s);
	/* Dovecot with passwords that are stored hashed offers SCRAM to all and refuses it before the password is judged. Under TLS
	   the password may go plainly then; it is not a second try. */
	if (failed && !proved && !c->is_dead && c->conf.auth == AUTH_ANY && net_is_secure(c->net) && offer->plain &&
		err->kind == ERR_CREDENTIALS) {
		*way = AUTH_WAY_PLAIN;
		err_clear(err);
		failed = sign_in_plain(c, offer, err);
	} else if (failed && proved && !is_prepared && err->kind == ERR_CREDENTIALS) {
		err_hint(err,
			"the name or the password holds characters that SCRAM rewrites (SASLprep), and this server may "
			"know them as they were typed: use --auth plain with TLS");
	}
	return failed;
}

static bool is_simple(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 32 || (unsigned char)s[i] > 126)
			return false;
	return true;
}

static int check_user(const struct conn_conf *conf, struct err *err)
{
	const char *password = secret_bytes(conf->secret);

	if (memchr(password, 0, secret_len(conf->secret)))
		return refuse(
			err, "the password holds a NUL octet", "no IMAP sign-in can carry it: check the password file");
	if (conf->auth == AUTH_XOAUTH2 && (strchr(conf->user, 1) || !is_simple(password, secret_len(conf->secret))))
		return refuse(err, "the access token is not printable", "give the token as one line without blanks");
	return 0;
}

int auth_sign_in(struct conn *c, const struct auth_offer *offer, enum auth_way *way, struct err *err)
{
	const struct conn_conf *conf = &c->conf;
	const char *password = secret_bytes(conf->secret);
	size_t user_n = strlen(conf->user), n = secret_len(conf->secret);
	const struct auth_need need = {
		.is_simple = is_simple(conf->user, user_n) && is_simple(password, n),
		.has_authzid = conf->authzid != NULL,
		.is_prepared = !saslprep_changes(conf->user, user_n) && !saslprep_changes(password, n),
	};
	int failed = -1;

	if (check_user(conf, err) || auth_choose(conf->auth, offer, &need, way, err))
		return -1;
	c->signing_in = true;
	switch (*way) {
	case AUTH_WAY_SCRAM_SHA_256:
		failed = sign_in_scram(c, offer, need.is_prepared, way, err);
		break;
	case AUTH_WAY_PLAIN:
		failed = sign_in_plain(c, offer, err);
		break;
	case AUTH_WAY_SASL_LOGIN:
		failed = sign_in_sasl_login(c, offer, err);
		break;
	case AUTH_WAY_LOGIN_COMMAND:
		failed = sign_in_login_command(c, err);
		break;
	case AUTH_WAY_XOAUTH2:
		failed = sign_in_xoauth2(c, offer, err);
		break;
	}
	c->signing_in = false;
	secret_wipe(c->stream->write_buffer, c->stream->buffer_max_size);
	return failed;
}
