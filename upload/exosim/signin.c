/* AUTHENTICATE XOAUTH2 with an application's token, and what a mailbox must allow. */
#include "upload/exosim/session.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/backend.h"
#include "upload/exosim/jwt.h"
#include "upload/exosim/prepare.h"

#include <assert.h>
#include <strings.h>

#define RESPONSE_MAX ((size_t)32 * 1024)

/* The client's line behind a "+"; without its end. NULL: over. Yours. */
static char *read_response(struct session *s)
{
	char *line;
	size_t seen = 0;

	for (;;) {
		const char *data = wire_data(s->client);
		const char *nl = memchr(data + seen, '\n', wire_have(s->client) - seen);

		if (nl) {
			line = strndup(data, (size_t)(nl - data) - (nl > data && nl[-1] == '\r'));
			assert(line);
			wire_skip(s->client, (size_t)(nl - data) + 1);
			return line;
		}
		seen = wire_have(s->client);
		if (seen > RESPONSE_MAX)
			session_bye(s, SAY_CLOSED);
		if (session_more(s) < 0)
			return NULL;
	}
}

/* user=ADDRESS ^A auth=Bearer TOKEN ^A ^A, and nothing else. The parts are cut out within text. */
static bool split_response(char *text, size_t n, char **user, char **token)
{
	char *sep;

	if (strlen(text) != n || strncmp(text, "user=", 5) != 0)
		return false;
	*user = text + 5;
	sep = strchr(*user, '\1');
	if (!sep || strncmp(sep + 1, "auth=Bearer ", 12) != 0)
		return false;
	*sep = '\0';
	*token = sep + 13;
	sep = strchr(*token, '\1');
	if (!sep || strcmp(sep, "\1\1") != 0)
		return false;
	*sep = '\0';
	return **user && **token;
}

static void fail(struct session *s, const struct command *c, struct mailbox *m, bool challenge)
{
	static const char json[] = "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"https://"
				   "outlook.office365.com/.default\"}";

	if (m)
		MAILBOX_COUNT(m, signins_refused, 1);
	if (challenge && profile_get(&s->x->profile, SW_SASL_CHALLENGE)) {
		char *text = jwt_encode_plain(json, sizeof(json) - 1), *line;

		wire_printf(s->client, "+ %s\r\n", text);
		free(text);
		line = read_response(s);
		free(line);
	}
	if (!s->over)
		session_answer(s, c->tag, SAY_SIGNIN_FAILED);
}

static void enter_limbo(struct session *s, const struct command *c)
{
	s->state = ST_LIMBO;
	session_answer(s, c->tag, "OK AUTHENTICATE completed.");
}

/* The token is good and the mailbox may be used. */
static void enter(struct session *s, const struct command *c)
{
	struct err err = ERR_INIT;
	char line[1600];

	s->entered = mailbox_enter(s->box, mailbox_limit(s->box, &s->x->profile, SW_SESSIONS_MAX));
	if (!s->entered) {
		enter_limbo(s, c);
		return;
	}
	if (backend_open(&s->backend, s->x, s->box->address, s->stop, &err) < 0 ||
		prepare_once(s->x, s->box, s->backend, &err) < 0) {
		log_line(LOG_ERROR, "imap %s: %s", s->box->address, err_line(&err, line, sizeof(line)));
		wire_free(&s->backend);
		enter_limbo(s, c);
		return;
	}
	MAILBOX_COUNT(s->box, signins, 1);
	s->state = ST_SIGNED_IN;
	session_answer(s, c->tag, "OK AUTHENTICATE completed.");
}

static void check_response(struct session *s, const struct command *c, char *text, size_t n)
{
	char *user = NULL, *token = NULL;
	struct mailbox *m;
	struct app *app;
	struct fault_hit hit;

	if (!split_response(text, n, &user, &token)) {
		fail(s, c, NULL, false);
		return;
	}
	m = world_mailbox(s->x->world, user);
	app = grants_check(s->x->grants, token, RESOURCE_EXCHANGE, clock_wall_s());
	if (!app || !m || !m->imap_enabled) {
		fail(s, c, m, true);
		return;
	}
	if (!m->permitted) {
		if (profile_get(&s->x->profile, SW_NO_PERMISSION_CONNECTS))
			enter_limbo(s, c);
		else
			fail(s, c, m, true);
		return;
	}
	if (faults_check(s->x->faults, HOOK_SIGNIN, m->address, NULL, NULL, &hit)) {
		if (hit.kind == FAULT_NOT_CONNECTED)
			enter_limbo(s, c);
		else
			fail(s, c, m, true);
		return;
	}
	s->box = m;
	s->app = app;
	enter(s, c);
}

void command_authenticate(struct session *s, struct command *c)
{
	struct span mechanism;
	char *encoded = NULL, *text;
	size_t n;

	if (!args_take_atom(&c->args, &mechanism)) {
		session_answer(s, c->tag, SAY_ARGUMENT);
		return;
	}
	if (!span_is(&mechanism, "XOAUTH2")) {
		session_answer(s, c->tag, SAY_SIGNIN_FAILED);
		return;
	}
	if (args_take_char(&c->args, ' ')) {
		encoded = strndup(c->args.at, (size_t)(c->args.end - c->args.at));
		assert(encoded);
	} else {
		wire_put_str(s->client, "+ \r\n");
		encoded = read_response(s);
		if (!encoded)
			return;
	}
	text = (char *)jwt_decode_plain(encoded, strlen(encoded), &n);
	if (text)
		check_response(s, c, text, n);
	else
		fail(s, c, NULL, false);
	if (text)
		secret_wipe(text, n);
	secret_wipe(encoded, strlen(encoded));
	free(text);
	free(encoded);
}
