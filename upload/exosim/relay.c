/* The backend's answers become Exchange's: what Exchange does not have is hidden, what a query must not show yet is left out. */
#include "upload/exosim/session.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/backend.h"

#include <assert.h>
#include <ctype.h>
#include <strings.h>

#define ANSWER_TIMEOUT_MS 120000

static int gone(struct session *s)
{
	log_line(LOG_WARN, "imap %s: the backend is gone", s->box ? s->box->address : "-");
	session_bye(s, SAY_CLOSED);
	return -1;
}

static bool starts(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(line, word, n) == 0;
}

static bool lag_of(struct session *s, const char *key, struct folder_lag *lag)
{
	return key && folders_lag(s->box->folders, key, clock_mono_ms(), lag);
}

static void show_exists(struct session *s)
{
	struct folder_lag lag;

	s->shown = s->exists;
	if (lag_of(s, s->selected, &lag))
		s->shown = s->exists > lag.count ? s->exists - lag.count : 0;
	wire_printf(s->client, "* %u EXISTS\r\n", s->shown);
}

void relay_tell_exists(struct session *s)
{
	struct folder_lag lag;

	if (s->state == ST_SELECTED && s->shown < s->exists && !lag_of(s, s->selected, &lag))
		show_exists(s);
}

/* "* OK [CODE …] text" of SELECT and others. */
static void pass_code(struct session *s, const char *line, size_t len)
{
	const char *code = line + 6;
	size_t n = len - 6;
	const char *close = memchr(code, ']', n);
	struct folder_lag lag;
	int part = close ? (int)(close - code) : 0;

	if (!close)
		return;
	if (starts(code, n, "UIDNEXT ") && lag_of(s, s->selected, &lag))
		wire_printf(s->client, "* OK [UIDNEXT %u] The next unique identifier value\r\n", lag.uid);
	else if (starts(code, n, "UIDNEXT "))
		wire_printf(s->client, "* OK [%.*s] The next unique identifier value\r\n", part, code);
	else if (starts(code, n, "UIDVALIDITY "))
		wire_printf(s->client, "* OK [%.*s] UIDVALIDITY value\r\n", part, code);
	else if (starts(code, n, "UNSEEN "))
		wire_printf(s->client, "* OK [%.*s] Is the first unseen message\r\n", part, code);
	else if (starts(code, n, "PERMANENTFLAGS ()"))
		wire_put_str(s->client, "* OK [PERMANENTFLAGS ()] Permanent flags\r\n");
	else if (starts(code, n, "PERMANENTFLAGS "))
		wire_printf(s->client, "* OK [PERMANENTFLAGS (%s%s)] Permanent flags\r\n", SAY_FLAGS,
			profile_get(&s->x->profile, SW_KEYWORDS_OPEN) ? " \\*" : "");
	else if (starts(code, n, "COPYUID "))
		wire_printf(s->client, "* OK [%.*s]\r\n", part, code);
}

/* "* LIST (attributes) "/" name": only the attributes that Exchange shows. */
static void pass_list(struct session *s, const char *line, size_t len)
{
	static const char *const shown[] = {
		"\\HasChildren", "\\HasNoChildren", "\\Noselect", "\\Marked", "\\Unmarked", "\\Noinferiors"};
	const char *open = memchr(line, '(', len),
		   *close = open ? memchr(open, ')', len - (size_t)(open - line)) : NULL;
	struct span list;
	const char *between = "";

	if (!close)
		return;
	list = (struct span){open, (size_t)(close - open) + 1};
	wire_put(s->client, line, (size_t)(open - line) + 1);
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		bool has = span_has_word(&list, shown[i]) || (i == 2 && span_has_word(&list, "\\NonExistent"));

		if (has) {
			wire_printf(s->client, "%s%s", between, shown[i]);
			between = " ";
		}
	}
	if (profile_get(&s->x->profile, SW_SPECIAL_USE_SHOWN)) {
		struct args a = {close + 1, line + len};
		struct span raw;
		char *name = NULL;
		const struct known_folder *k;

		if (args_take_char(&a, ' ') && args_take_astring(&a, &raw, NULL) && args_take_char(&a, ' ') &&
			args_take_astring(&a, &raw, &name))
			for (size_t i = 0; (k = rule_known_folder(i)) != NULL; i++)
				if (*k->use && strcasecmp(name, k->english) == 0)
					wire_printf(s->client, "%s%s", between, k->use);
		free(name);
	}
	wire_put(s->client, close, len - (size_t)(close - line));
	wire_put(s->client, "\r\n", 2);
}

/* "* STATUS name (ITEM n …)": with what is hidden taken off. */
static void pass_status(struct session *s, const char *line, size_t len)
{
	struct args a = {line + 9, line + len};
	struct span raw, item, number;
	struct folder_lag lag;
	char *name = NULL, *key = NULL;

	if (args_take_astring(&a, &raw, &name))
		key = folder_key(name, false);
	free(name);
	if (!key || !lag_of(s, key, &lag) || !args_take_char(&a, ' ') || !args_take_char(&a, '(')) {
		wire_put(s->client, line, len);
		wire_put(s->client, "\r\n", 2);
		free(key);
		return;
	}
	free(key);
	wire_put(s->client, line, (size_t)(a.at - line));
	while (args_take_atom(&a, &item) && args_take_char(&a, ' ') && args_take_atom(&a, &number)) {
		/* Numbers of a trusted backend. */
		unsigned long long n = strtoull(number.at, NULL, 10);

		if (span_is(&item, "MESSAGES") || span_is(&item, "UNSEEN") || span_is(&item, "RECENT"))
			n = n > lag.count ? n - lag.count : 0;
		else if (span_is(&item, "UIDNEXT"))
			n = lag.uid;
		args_take_char(&a, ' ');
		wire_printf(
			s->client, "%.*s %llu%s", (int)item.len, item.at, n, a.at < a.end && *a.at == ')' ? "" : " ");
	}
	wire_put_str(s->client, ")\r\n");
}

/* "* SEARCH n n …" */
static void pass_search(struct session *s, const char *line, size_t len, bool uid)
{
	struct args a = {line + 8, line + len};
	struct span number;
	struct folder_lag lag;

	if (!lag_of(s, s->selected, &lag)) {
		wire_put(s->client, line, len);
		wire_put(s->client, "\r\n", 2);
		return;
	}
	wire_put_str(s->client, "* SEARCH");
	while (args_take_char(&a, ' ') && args_take_atom(&a, &number)) {
		unsigned long long n = strtoull(number.at, NULL, 10);

		if (uid ? n < lag.uid : n <= s->shown)
			wire_printf(s->client, " %llu", n);
	}
	wire_put_str(s->client, "\r\n");
}

/* "* n WORD": may it be shown? EXISTS and EXPUNGE are kept in mind. Returns false when it was dealt with. */
static bool numbered_is_shown(struct session *s, const char *line, size_t len)
{
	char *end;
	unsigned long long n = strtoull(line + 2, &end, 10);
	size_t left = len - (size_t)(end - line);

	if (starts(end, left, " EXISTS")) {
		s->exists = (uint32_t)n;
		show_exists(s);
		return false;
	}
	if (starts(end, left, " EXPUNGE")) {
		bool shown = n <= s->shown;

		s->exists -= s->exists > 0;
		s->shown -= shown && s->shown;
		return shown;
	}
	return !starts(end, left, " FETCH") || n <= s->shown;
}

/* Where the list of "FLAGS (…" begins and ends; nothing: both the line's end. */
static void find_flags(const char *line, size_t len, const char **at, const char **end)
{
	static const char word[] = "FLAGS (";

	*at = *end = line + len;
	for (const char *p = line; p + sizeof(word) < line + len; p++)
		if (starts(p, (size_t)(line + len - p), word)) {
			*at = p + sizeof(word) - 1;
			*end = memchr(*at, ')', (size_t)(line + len - *at));
			if (!*end)
				*end = line + len;
			return;
		}
}

/* The line without keywords that are hidden categories. */
static void put_flags(struct session *s, const char *line, size_t len)
{
	const char *at, *end, *done;
	bool first = true;

	find_flags(line, len, &at, &end);
	wire_put(s->client, line, (size_t)(at - line));
	for (done = at; at < end; at = done) {
		size_t n = 0;

		while (at + n < end && at[n] != ' ')
			n++;
		done = at + n + (at + n < end);
		if (starts(at, n, CATEGORY_HIDDEN))
			continue;
		if (!first)
			wire_put(s->client, " ", 1);
		wire_put(s->client, at, n);
		first = false;
	}
	wire_put(s->client, end, (size_t)(line + len - end));
	wire_put(s->client, "\r\n", 2);
}

/* Returns whether literals that belong to the line go to the client too. */
static bool untagged(struct session *s, const char *line, size_t len)
{
	const char *rest = line + 2;
	size_t n = len - 2;

	if (s->capture) {
		s->capture(s->capture_ctx, line, len);
		return false;
	}
	if (n && isdigit((unsigned char)*rest)) {
		if (!numbered_is_shown(s, line, len))
			return false;
		put_flags(s, line, len);
		return true;
	}
	if (starts(rest, n, "OK ["))
		pass_code(s, line, len);
	else if (starts(rest, n, "LIST ") || starts(rest, n, "LSUB "))
		pass_list(s, line, len);
	else if (starts(rest, n, "STATUS "))
		pass_status(s, line, len);
	else if (starts(rest, n, "SEARCH"))
		pass_search(s, line, len, s->searches_uids);
	else if (starts(rest, n, "FLAGS "))
		put_flags(s, line, len);
	else if (starts(rest, n, "BYE"))
		gone(s);
	/* CAPABILITY, ENABLED, OK, NO, ID, NAMESPACE, …: Exchange's own were told already, others it does not have. */
	return false;
}

static void tagged(struct session *s, const char *line, size_t len)
{
	struct args a = {line, line + len};
	struct span tag, status;
	struct reply r = {.done = true};

	args_take_atom(&a, &tag);
	args_take_char(&a, ' ');
	if (!args_take_atom(&a, &status))
		return;
	r.is_ok = span_is(&status, "OK");
	args_take_char(&a, ' ');
	if (args_take_char(&a, '[')) {
		const char *close = memchr(a.at, ']', (size_t)(a.end - a.at));

		if (close) {
			snprintf(r.code, sizeof(r.code), "%.*s", (int)(close - a.at), a.at);
			a.at = close + 1;
			args_take_char(&a, ' ');
		}
	}
	snprintf(r.text, sizeof(r.text), "%.*s", (int)(a.end - a.at), a.at);
	if (!s->used) {
		s->reply = r;
		return;
	}
	append_answered(s, &s->queue[s->head], &r);
	free(s->queue[s->head].key);
	s->queue[s->head].key = NULL;
	s->head = (s->head + 1) % QUEUE_MAX;
	s->used--;
}

/* The n octets of a literal of the backend. */
static int pass_literal(struct session *s, uint64_t n, bool show)
{
	while (n) {
		size_t part = wire_have(s->backend) < n ? wire_have(s->backend) : (size_t)n;

		if (show)
			wire_put(s->client, wire_data(s->backend), part);
		wire_skip(s->backend, part);
		n -= part;
		if (n && wire_wait(s->backend, ANSWER_TIMEOUT_MS) <= 0)
			return gone(s);
	}
	return 0;
}

/* What follows a line that ends in {n}: octets, the rest of the line, perhaps again. */
static int pass_literals(struct session *s, uint64_t size, bool show)
{
	const char *line;
	size_t len, used, start;
	bool sync, more = true;
	struct err err = ERR_INIT;

	while (more) {
		if (pass_literal(s, size, show) < 0)
			return -1;
		if (backend_line(s->backend, &line, &len, &used, &err) < 0)
			return gone(s);
		more = args_ends_in_literal(line, len, &start, &size, &sync);
		if (show) {
			wire_put(s->client, line, len);
			wire_put(s->client, "\r\n", 2);
		}
		wire_skip(s->backend, used);
	}
	return 0;
}

/* A line longer than the buffer (a SEARCH with many hits): as it is. */
static int pass_endless(struct session *s)
{
	for (;;) {
		const char *data = wire_data(s->backend);
		const char *nl = memchr(data, '\n', wire_have(s->backend));
		size_t part = nl ? (size_t)(nl - data) + 1 : wire_have(s->backend);

		if (!s->capture)
			wire_put(s->client, data, part);
		wire_skip(s->backend, part);
		if (nl)
			return 1;
		if (wire_wait(s->backend, ANSWER_TIMEOUT_MS) <= 0)
			return gone(s);
	}
}

int relay_step(struct session *s)
{
	const char *line = wire_data(s->backend);
	size_t have = wire_have(s->backend), len, start;
	const char *nl = memchr(line, '\n', have);
	uint64_t size = 0;
	bool sync, literal, show = false;

	if (s->over)
		return -1;
	if (!nl)
		return have == WIRE_ROOM ? pass_endless(s) : 0;
	len = (size_t)(nl - line);
	len -= len && nl[-1] == '\r';
	literal = args_ends_in_literal(line, len, &start, &size, &sync);
	if (starts(line, len, "* "))
		show = untagged(s, line, len);
	else if (starts(line, len, "+"))
		s->plus = true;
	else
		tagged(s, line, len);
	wire_skip(s->backend, (size_t)(nl - line) + 1);
	if (literal && pass_literals(s, size, show) < 0)
		return -1;
	return s->over ? -1 : 1;
}

/* Waits for one response. */
static int step_waiting(struct session *s)
{
	for (;;) {
		int r = relay_step(s);

		if (r)
			return r;
		if (wire_flush(s->backend) < 0 || wire_wait(s->backend, ANSWER_TIMEOUT_MS) <= 0)
			return gone(s);
	}
}

int relay_drain(struct session *s)
{
	while (s->used)
		if (step_waiting(s) < 0)
			return -1;
	return 0;
}

int relay_begin(struct session *s)
{
	if (relay_drain(s) < 0)
		return -1;
	s->reply = (struct reply){.done = false};
	wire_printf(s->backend, "x%llu ", (unsigned long long)++s->last);
	return 0;
}

int relay_finish(struct session *s)
{
	wire_put(s->backend, "\r\n", 2);
	while (!s->reply.done)
		if (step_waiting(s) < 0)
			return -1;
	return 0;
}

int relay_ask(struct session *s, const char *command)
{
	if (relay_begin(s) < 0)
		return -1;
	wire_put_str(s->backend, command);
	return relay_finish(s);
}
