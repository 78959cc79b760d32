/* The commands that Exchange knows, in one table; what is not in it is "BAD Command Error. 12". */
#include "upload/exosim/session.h"

#include "engine/base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

#define ANY (ST_GREETED | ST_SIGNED_IN | ST_SELECTED | ST_LIMBO)
#define IN (ST_SIGNED_IN | ST_SELECTED)

typedef void handler(struct session *s, struct command *c);

/* Passes the command on as it is; "OK <verb> completed." or the argument error. */
static void forward(struct session *s, const struct command *c, const struct span *verb)
{
	if (relay_begin(s) < 0)
		return;
	wire_put(s->backend, verb->at, (size_t)(c->args.end - verb->at));
	relay_finish(s);
}

/* The answer to what was passed on; COPYUID and the like are kept. */
static void answer_reply(struct session *s, const struct command *c, const char *name)
{
	bool keep = strncasecmp(s->reply.code, "COPYUID ", 8) == 0;

	if (s->over)
		return;
	if (s->reply.is_ok)
		session_answer(s, c->tag, "OK %s%s%s%s completed.", keep ? "[" : "", keep ? s->reply.code : "",
			keep ? "] " : "", name);
	else if (strncasecmp(s->reply.code, "OVERQUOTA", 9) == 0)
		session_answer(s, c->tag, SAY_QUOTA);
	else
		session_answer(s, c->tag, SAY_ARGUMENT);
}

static void bad_argument(struct session *s, const struct command *c)
{
	session_answer(s, c->tag, SAY_ARGUMENT);
}

static void capability(struct session *s, struct command *c)
{
	wire_printf(s->client, "* CAPABILITY " SAY_CAPABILITY "%s\r\n",
		s->state == ST_GREETED ? SAY_CAPABILITY_BEFORE : SAY_CAPABILITY_AFTER);
	session_answer(s, c->tag, "OK CAPABILITY completed.");
}

static void noop(struct session *s, struct command *c)
{
	if (s->state & IN && relay_ask(s, "NOOP") < 0)
		return;
	relay_tell_exists(s);
	session_answer(s, c->tag, "OK %.*s completed.", (int)c->verb.len, c->verb.at);
}

static void logout(struct session *s, struct command *c)
{
	wire_put_str(s->client, SAY_LOGOUT);
	session_answer(s, c->tag, "OK LOGOUT completed.");
	s->over = true;
}

static void id(struct session *s, struct command *c)
{
	wire_put_str(s->client, SAY_ID);
	session_answer(s, c->tag, "OK ID completed");
}

static void login(struct session *s, struct command *c)
{
	session_answer(s, c->tag, SAY_LOGIN_FAILED);
}

static void namespace(struct session *s, struct command *c)
{
	wire_put_str(s->client, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	session_answer(s, c->tag, "OK NAMESPACE completed.");
}

static void leave_folder(struct session *s, struct command *c)
{
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)c->verb.len, c->verb.at);
	forward(s, c, &c->verb);
	if (s->over)
		return;
	s->state = ST_SIGNED_IN;
	free(s->selected);
	s->selected = NULL;
	s->exists = s->shown = 0;
	answer_reply(s, c, name);
}

static void expunge(struct session *s, struct command *c)
{
	struct span verb = c->verb;

	forward(s, c, &verb);
	answer_reply(s, c, "EXPUNGE");
}

/* A sequence set: digits, colon, comma, star. */
static bool take_set(struct args *a)
{
	const char *p = a->at;

	while (p < a->end && (isdigit((unsigned char)*p) || strchr(":,*", *p)))
		p++;
	if (p == a->at)
		return false;
	a->at = p;
	return true;
}

/* Items of RFC 3501 only: no MODSEQ, BINARY, EMAILID, X-GM-… */
static bool fetch_items_are_known(struct args a)
{
	static const char *const items[] = {"ALL", "FULL", "FAST", "ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822",
		"RFC822.HEADER", "RFC822.SIZE", "RFC822.TEXT", "BODY", "BODY.PEEK", "BODYSTRUCTURE", "UID"};
	bool group = args_take_char(&a, '(');

	do {
		const char *start = a.at;
		struct span word;
		bool known = false;

		while (a.at < a.end && (isalnum((unsigned char)*a.at) || *a.at == '.'))
			a.at++;
		word = (struct span){start, (size_t)(a.at - start)};
		for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++)
			known = known || span_is(&word, items[i]);
		if (!known)
			return false;
		if (args_take_char(&a, '[')) {
			const char *close = memchr(a.at, ']', (size_t)(a.end - a.at));

			if (!close || strncasecmp(word.at, "BODY", 4) != 0)
				return false;
			a.at = close + 1;
			if (args_take_char(&a, '<')) {
				while (a.at < a.end && (isdigit((unsigned char)*a.at) || *a.at == '.'))
					a.at++;
				if (!args_take_char(&a, '>'))
					return false;
			}
		}
	} while (group && args_take_char(&a, ' '));
	return (!group || args_take_char(&a, ')')) && args_is_end(&a);
}

static void fetch(struct session *s, struct command *c)
{
	struct args a = c->args;

	if (!take_set(&a) || !args_take_char(&a, ' ') || !fetch_items_are_known(a)) {
		bad_argument(s, c);
		return;
	}
	forward(s, c, &c->verb);
	answer_reply(s, c, "FETCH");
}

static void store(struct session *s, struct command *c)
{
	struct args a = c->args;
	struct span item, flags;
	const char *start;
	bool ok = take_set(&a) && args_take_char(&a, ' ') && args_take_atom(&a, &item) && args_take_char(&a, ' ');

	/* I: Exchange takes flags in parentheses; a bare one is RFC 3501's second form. */
	start = a.at;
	if (ok && a.at < a.end && *a.at == '(')
		ok = args_take_flags(&a, &flags) && args_is_end(&a);
	else if (ok) {
		args_take_char(&a, '\\');
		ok = args_take_atom(&a, &flags) && args_is_end(&a);
		flags = (struct span){start, (size_t)(a.at - start)};
	}
	if (ok)
		ok = span_is(&item, "FLAGS") || span_is(&item, "+FLAGS") || span_is(&item, "-FLAGS") ||
		     span_is(&item, "FLAGS.SILENT") || span_is(&item, "+FLAGS.SILENT") ||
		     span_is(&item, "-FLAGS.SILENT");
	if (!ok) {
		bad_argument(s, c);
		return;
	}
	if (*item.at != '-' && span_has_word(&flags, "\\Flagged"))
		MAILBOX_COUNT(s->box, store_flagged, 1);
	forward(s, c, &c->verb);
	answer_reply(s, c, "STORE");
}

/* How many words follow a key of SEARCH; -1: no key of RFC 3501. */
static int search_arguments(const struct span *key)
{
	static const struct {
		const char *name;
		int n;
	} keys[] = {{"ALL", 0}, {"ANSWERED", 0}, {"DELETED", 0}, {"DRAFT", 0}, {"FLAGGED", 0}, {"NEW", 0}, {"OLD", 0},
		{"RECENT", 0}, {"SEEN", 0}, {"UNANSWERED", 0}, {"UNDELETED", 0}, {"UNDRAFT", 0}, {"UNFLAGGED", 0},
		{"UNSEEN", 0}, {"NOT", 0}, {"OR", 0}, {"BCC", 1}, {"BEFORE", 1}, {"BODY", 1}, {"CC", 1}, {"FROM", 1},
		{"KEYWORD", 1}, {"LARGER", 1}, {"ON", 1}, {"SENTBEFORE", 1}, {"SENTON", 1}, {"SENTSINCE", 1},
		{"SINCE", 1}, {"SMALLER", 1}, {"SUBJECT", 1}, {"TEXT", 1}, {"TO", 1}, {"UID", 1}, {"UNKEYWORD", 1},
		{"CHARSET", 1}, {"HEADER", 2}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (span_is(key, keys[i].name))
			return keys[i].n;
	return -1;
}

static bool search_is_known(struct args a)
{
	struct span word;
	int depth = 0;

	do {
		int n;

		while (args_take_char(&a, '('))
			depth++;
		if (!take_set(&a)) {
			if (!args_take_atom(&a, &word) || (n = search_arguments(&word)) < 0)
				return false;
			while (n--)
				if (!args_take_char(&a, ' ') || (!take_set(&a) && !args_take_astring(&a, &word, NULL)))
					return false;
		}
		while (depth && args_take_char(&a, ')'))
			depth--;
	} while (args_take_char(&a, ' '));
	return depth == 0 && args_is_end(&a);
}

static void search_as(struct session *s, struct command *c, bool uid)
{
	if (!search_is_known(c->args)) {
		bad_argument(s, c);
		return;
	}
	/* Before it is sent: no other answer is on its way then. */
	if (relay_drain(s) < 0)
		return;
	s->searches_uids = uid;
	forward(s, c, &c->verb);
	answer_reply(s, c, "SEARCH");
}

static void search(struct session *s, struct command *c)
{
	search_as(s, c, false);
}
static void copy(struct session *s, struct command *c)
{
	command_copy(s, c, false);
}

static void idle(struct session *s, struct command *c)
{
	const char *data;

	if (relay_begin(s) < 0)
		return;
	s->plus = false;
	wire_put_str(s->backend, "IDLE\r\n");
	wire_put_str(s->client, "+ IDLE accepted, awaiting DONE command.\r\n");
	for (;;) {
		size_t have = wire_have(s->client);
		const char *nl = have ? memchr(wire_data(s->client), '\n', have) : NULL;

		if (nl || have > 100)
			break;
		if (session_more(s) < 0)
			return;
	}
	data = wire_data(s->client);
	if (strncasecmp(data, "DONE\r\n", 6) != 0) {
		session_bye(s, SAY_CLOSED);
		return;
	}
	wire_skip(s->client, 6);
	wire_put_str(s->backend, "DONE");
	if (relay_finish(s) < 0)
		return;
	relay_tell_exists(s);
	answer_reply(s, c, "IDLE");
}

/* "UID word …": the word's own handler, told from where the text is passed on. */
static void uid(struct session *s, struct command *c)
{
	struct span whole = c->verb, word;

	if (!args_take_atom(&c->args, &word) || !args_take_char(&c->args, ' ')) {
		bad_argument(s, c);
		return;
	}
	c->verb = (struct span){whole.at, whole.len};
	if (span_is(&word, "FETCH"))
		fetch(s, c);
	else if (span_is(&word, "STORE"))
		store(s, c);
	else if (span_is(&word, "SEARCH"))
		search_as(s, c, true);
	else if (span_is(&word, "EXPUNGE"))
		expunge(s, c);
	else if (span_is(&word, "COPY") || span_is(&word, "MOVE")) {
		c->verb = word;
		command_copy(s, c, true);
	} else
		session_answer(s, c->tag, SAY_UNKNOWN);
}

static const struct {
	const char *verb;
	unsigned states;
	bool plain; /* takes no arguments */
	handler *run;
} table[] = {
	{"CAPABILITY", ANY, true, capability},
	{"NOOP", ST_GREETED | IN, true, noop},
	{"LOGOUT", ANY, true, logout},
	{"ID", ST_GREETED | IN, false, id},
	{"AUTHENTICATE", ST_GREETED, false, command_authenticate},
	{"LOGIN", ST_GREETED, false, login},
	{"NAMESPACE", IN, true, namespace},
	{"SELECT", IN, false, command_select},
	{"EXAMINE", IN, false, command_select},
	{"CREATE", IN, false, command_create},
	{"DELETE", IN, false, command_delete},
	{"RENAME", IN, false, command_rename},
	{"SUBSCRIBE", IN, false, command_subscribe},
	{"UNSUBSCRIBE", IN, false, command_subscribe},
	{"LIST", IN, false, command_list},
	{"LSUB", IN, false, command_list},
	{"STATUS", IN, false, command_status},
	{"APPEND", IN, false, command_append},
	{"IDLE", IN, true, idle},
	{"CHECK", ST_SELECTED, true, noop},
	{"CLOSE", ST_SELECTED, true, leave_folder},
	{"UNSELECT", ST_SELECTED, true, leave_folder},
	{"EXPUNGE", ST_SELECTED, true, expunge},
	{"SEARCH", ST_SELECTED, false, search},
	{"FETCH", ST_SELECTED, false, fetch},
	{"STORE", ST_SELECTED, false, store},
	{"COPY", ST_SELECTED, false, copy},
	{"MOVE", ST_SELECTED, false, copy},
	{"UID", ST_SELECTED, false, uid},
};

bool command_fault(struct session *s, const struct command *c, const char *folder, bool *lose_answer)
{
	struct fault_hit hit;
	char verb[32];

	snprintf(verb, sizeof(verb), "%.*s", (int)c->verb.len, c->verb.at);
	if (!faults_check(s->x->faults, HOOK_COMMAND, s->box->address, folder, verb, &hit))
		return false;
	if (relay_drain(s) < 0)
		return true;
	wire_flush(s->client);
	switch ((unsigned)hit.kind) {
	case FAULT_THROTTLE:
		mailbox_fence(s->box, s->app, clock_mono_ms() + hit.ms);
		session_throttle(s, c->tag, hit.ms, hit.text);
		return true;
	case FAULT_REFUSE:
		session_answer(s, c->tag, "%s", *hit.text ? hit.text : "NO Server Unavailable. 14");
		return true;
	case FAULT_BYE:
		wire_printf(s->client, "* BYE %s\r\n", *hit.text ? hit.text : "Connection closed. 14");
		s->over = true;
		return true;
	case FAULT_DROP:
		session_drop(s);
		return true;
	case FAULT_DROP_AFTER:
		*lose_answer = true;
		return false;
	case FAULT_HANG:
		session_hang(s, hit.ms);
		return true;
	case FAULT_SLOW:
		clock_sleep_ms(hit.ms, stop_fd(s->stop, STOP_NOW));
		return false;
	case FAULT_SLOW_WIRE:
		wire_set_rate(s->client, hit.bytes ? hit.bytes : 1);
		return false;
	case FAULT_FOLDER_GONE:
		if (folder)
			folder_destroy(s, folder);
		return false;
	default: /* those of other hooks do not come */
		return false;
	}
}

/* The fence of a throttled mailbox holds for every command that costs. */
static bool is_fenced(struct session *s, const struct command *c)
{
	int64_t left;

	if (!profile_get(&s->x->profile, SW_FENCE_HOLDS) || !(s->state & IN))
		return false;
	left = mailbox_fence_left(s->box, s->app, clock_mono_ms());
	if (left <= 0)
		return false;
	MAILBOX_COUNT(s->box, while_fenced, 1);
	session_throttle(s, c->tag, left, NULL);
	return true;
}

/* The first argument, where a command's is a folder's name; for faults that name one. Yours. */
static char *folder_named(const struct command *c)
{
	static const char *const verbs[] = {"SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "STATUS", "APPEND"};
	struct args a = c->args;
	struct span raw;
	char *name = NULL;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (span_is(&c->verb, verbs[i]))
			args_take_astring(&a, &raw, &name);
	return name;
}

/* A message behind a command that was refused: passed by, or not sent at all. */
static void pass_message_by(struct session *s, const struct command *c)
{
	if (c->literal && !c->literal_sync && !s->over)
		session_swallow(s, c->literal_size + 2);
}

static void run_row(struct session *s, struct command *c, handler *run)
{
	bool lose_answer = false;

	if (s->state & IN) {
		char *folder = folder_named(c);
		bool done = is_fenced(s, c) || command_fault(s, c, folder, &lose_answer);

		free(folder);
		if (done) {
			pass_message_by(s, c);
			return;
		}
	}
	run(s, c);
	/* The client's buffer was flushed before the command: what it holds now is this answer. */
	if (lose_answer)
		session_drop(s);
}

void command_run(struct session *s, struct command *c)
{
	size_t n = sizeof(table) / sizeof(*table), i;

	for (i = 0; i < n && !span_is(&c->verb, table[i].verb); i++)
		;
	/* Only APPENDs run side by side; everything else keeps its place in the order. */
	if (i == n || !span_is(&c->verb, "APPEND"))
		if (relay_drain(s) < 0)
			return;
	if (i == n)
		session_answer(s, c->tag, SAY_UNKNOWN);
	else if (s->state == ST_LIMBO && !(table[i].states & ST_LIMBO))
		session_answer(s, c->tag, SAY_NOT_CONNECTED);
	else if (!(table[i].states & s->state))
		session_answer(s, c->tag, SAY_WRONG_STATE);
	else if (table[i].plain && !args_is_end(&c->args))
		session_answer(s, c->tag, SAY_ARGUMENT);
	else {
		run_row(s, c, table[i].run);
		return;
	}
	pass_message_by(s, c);
}
