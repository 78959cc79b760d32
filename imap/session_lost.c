/* Why a session ended: the connection's own failure, the server's parting words, or what it had refused before it hung up. */
#include "imap/conn_state.h"

#include "engine/base/clock.h"
#include "imap/session_reply.h"

/* So long a refusal that states no time still explains why the server hung up. */
#define REFUSAL_LASTS_MS 10000

/* The server's last words before it left: BYE, or a NO or BAD that nobody asked for. */
static const struct repair_status *parting_words(struct conn *c, struct repair_status *scratch)
{
	struct filter *f = net_filter(c->net);

	if (filter_bye(f)->tag[0])
		return filter_bye(f);
	if (filter_peek_words(f, scratch))
		return scratch;
	return filter_alert(f)->tag[0] ? filter_alert(f) : NULL;
}

/* What the words of a server that leaves may mean: a reason about one folder or message is no reason to leave, and an alert may be
   about anything. */
static bool is_reason_to_leave(enum err_kind kind, bool is_alert)
{
	if (kind == ERR_BUSY || kind == ERR_THROTTLED || kind == ERR_BANNED)
		return true;
	return !is_alert && (kind == ERR_CREDENTIALS || kind == ERR_RIGHTS || kind == ERR_MAILBOX || kind == ERR_TLS);
}

/* A server that has enough of us says so once and hangs up (Exchange, with a whole window of commands in flight); whatever was waited
   for when it did, that is why. 0: it is not. */
static int explain_refused(struct conn *c, const char *doing, struct err *err)
{
	int64_t passed = clock_mono_ms() - c->no_at_ms;

	if (!c->no.tag[0])
		return 0;
	session_reply_explain(&c->no, false, c->conf.reads_only, doing, err);
	bool is_why = err->kind == ERR_THROTTLED || err->kind == ERR_BUSY;
	if (err->retry_after_ms >= 0 && is_why) {
		err->retry_after_ms -= passed;
		is_why = err->retry_after_ms > 0;
	} else if (is_why) {
		is_why = passed < REFUSAL_LASTS_MS;
	}
	if (!is_why)
		err_clear(err);
	return is_why ? -1 : 0;
}

static int explain_leaving(struct conn *c, const struct repair_status *words, const char *doing, struct err *err)
{
	struct repair_status said = *words;
	bool is_bye = !strcmp(said.verb, "BYE");

	/* an alert may well be about a mailbox that is full */
	session_reply_explain(&said, false, c->conf.reads_only && is_bye, doing, err);
	if (is_reason_to_leave(err->kind, !is_bye))
		return -1;
	err_set(err, ERR_LOST, "%s: the server ended the connection", doing);
	err_server(err, said.all, strlen(said.all));
	/* spec/exchange-online.md section 2 (T): ten errors in one session */
	if (is_bye && (c->facts.quirks & QUIRK_EXCHANGE) && strstr(said.all, "Connection closed"))
		err_hint(err, "Exchange ends a session after ten errors");
	return -1;
}

int session_lost(struct conn *c, const char *doing, struct err *err)
{
	struct repair_status scratch;
	const struct err *failure = net_failure(c->net);
	const struct repair_status *words = parting_words(c, &scratch);
	const MMAPString *line = c->imap->imap_stream_buffer;
	size_t tail = line->len < 300 ? line->len : 300;
	bool was_dead = c->is_dead;

	c->is_dead = true;
	if (failure->kind != ERR_NONE && failure->kind != ERR_LOST) {
		*err = *failure;
		return -1;
	}
	if ((failure->kind == ERR_LOST || (words && !strcmp(words->verb, "BYE"))) && explain_refused(c, doing, err))
		return -1;
	if (words && (failure->kind == ERR_LOST || !strcmp(words->verb, "BYE")))
		return explain_leaving(c, words, doing, err);
	if (failure->kind == ERR_LOST) {
		*err = *failure;
		return err_wrap(err, "%s", doing);
	}
	if (was_dead)
		return err_set(err, ERR_LOST, "the connection is not usable any more");
	err_set(err, ERR_PROTOCOL, "%s: it makes no sense", doing);
	err_server(err, line->str + line->len - tail, tail);
	return -1;
}
