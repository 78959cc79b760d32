#include "upload/exosim/session.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <strings.h>

#define COMMAND_ROOM ((size_t)64 * 1024) /* a command with its small literals */

static int poll_both(struct session *s, int64_t deadline)
{
	struct pollfd p[3] = {{.fd = wire_fd(s->client), .events = POLLIN},
		{.fd = stop_fd(s->stop, STOP_NOW), .events = POLLIN},
		{.fd = s->backend ? wire_fd(s->backend) : -1, .events = POLLIN}};
	int64_t left = deadline - clock_mono_ms();
	int r;

	if (left <= 0)
		return 0;
	do
		r = poll(p, 3, left > 1000000 ? 1000000 : (int)left);
	while (r < 0 && errno == EINTR);
	return r > 0 && p[1].revents ? -1 : 1;
}

int session_more(struct session *s)
{
	bool in = s->state != ST_GREETED;
	int64_t deadline = clock_mono_ms() + 1000 * profile_get(&s->x->profile, in ? SW_IDLE_S : SW_LOGIN_S);

	for (;;) {
		int r;

		if (s->over || s->dropped)
			return -1;
		r = wire_fill(s->client);
		if (r > 0)
			return 0;
		if (r < 0) {
			s->over = true;
			return -1;
		}
		while (s->backend && !s->over && (r = wire_fill(s->backend)) != 0) {
			if (r < 0) {
				session_bye(s, SAY_CLOSED);
				return -1;
			}
			while ((r = relay_step(s)) > 0)
				;
			if (r < 0)
				return -1;
		}
		if (s->backend && wire_flush(s->backend) < 0) {
			session_bye(s, SAY_CLOSED);
			return -1;
		}
		if (wire_flush(s->client) < 0) {
			s->over = true;
			return -1;
		}
		r = poll_both(s, deadline);
		if (r < 0) {
			s->over = true;
			return -1;
		}
		if (r == 0) {
			session_bye(s, SAY_CLOSED);
			return -1;
		}
	}
}

void session_answer(struct session *s, const char *tag, const char *fmt, ...)
{
	char text[1500];
	va_list ap;
	int64_t max = profile_get(&s->x->profile, SW_ERRORS_MAX);

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wire_printf(s->client, "%s %s\r\n", tag, text);
	if (strncmp(text, "OK", 2) == 0)
		return;
	s->errors++;
	if (s->box)
		MAILBOX_COUNT(s->box, errors, 1);
	log_line(LOG_DEBUG, "imap %s: %s %s", s->box ? s->box->address : "-", tag, text);
	if (max && s->errors >= (unsigned)max)
		session_bye(s, SAY_CLOSED);
}

void session_drop(struct session *s)
{
	s->dropped = s->over = true;
	if (s->box)
		MAILBOX_COUNT(s->box, dropped, 1);
}

void session_bye(struct session *s, const char *line)
{
	if (!s->over)
		wire_put_str(s->client, line);
	s->over = true;
}

void session_hang(struct session *s, int64_t ms)
{
	int64_t deadline = clock_mono_ms() + (ms ? ms : 86400000);

	wire_flush(s->client);
	/* What the client still sends is read, so that its end is seen. */
	while (clock_mono_ms() < deadline) {
		int r = wire_wait(s->client, deadline - clock_mono_ms());

		if (r <= 0)
			break;
		wire_skip(s->client, wire_have(s->client));
	}
	session_drop(s);
}

void session_swallow(struct session *s, uint64_t n)
{
	while (n && !s->over) {
		size_t part = wire_have(s->client) < n ? wire_have(s->client) : (size_t)n;

		wire_skip(s->client, part);
		n -= part;
		if (n && session_more(s) < 0)
			return;
	}
}

void session_throttle(struct session *s, const char *tag, int64_t ms, const char *text)
{
	char own[120];
	const char *kind = profile_get(&s->x->profile, SW_THROTTLE_BAD) ? "BAD" : "NO";

	snprintf(own, sizeof(own), SAY_THROTTLED, kind, (long long)ms);
	relay_drain(s);
	session_answer(s, tag, "%s", text && *text ? text : own);
	if (profile_get(&s->x->profile, SW_THROTTLE_CLOSES))
		session_bye(s, SAY_CLOSED);
}

/* The first line of a command or the rest of one behind a literal, added to c->text without its end. 0, 1: too long (passed by), -1. */
static int read_line(struct session *s, struct command *c)
{
	size_t max = (size_t)profile_get(&s->x->profile, SW_COMMAND_MAX), seen = 0, before = c->text.len;
	bool over = false;
	struct err err = ERR_INIT;

	for (;;) {
		const char *data = wire_data(s->client);
		size_t have = wire_have(s->client);
		const char *nl = memchr(data + seen, '\n', have - seen);
		size_t len = nl ? (size_t)(nl - data) : have;

		if (len > max + 1 || over) {
			/* The tag is kept for the answer. */
			if (!over && buf_add(&c->text, data, len < 100 ? len : 100, &err) < 0)
				return -1;
			over = true;
			wire_skip(s->client, nl ? len + 1 : len);
			seen = 0;
			if (nl)
				return 1;
		} else if (nl) {
			bool crlf = len && data[len - 1] == '\r';

			if (buf_add(&c->text, data, len - crlf, &err) < 0)
				return -1;
			wire_skip(s->client, len + 1);
			/* A bare LF ends no command (RFC 3501); and no NUL in it. */
			return !crlf || memchr(c->text.data + before, '\0', c->text.len - before) ? 1 : 0;
		} else {
			seen = have;
		}
		if (session_more(s) < 0)
			return -1;
	}
}

static bool split_command(struct command *c)
{
	struct args a = {buf_str(&c->text), buf_str(&c->text) + c->text.len};
	struct span tag;

	if (!args_take_atom(&a, &tag) || tag.len >= TAG_MAX || memchr(tag.at, '+', tag.len) ||
		memchr(tag.at, ']', tag.len)) {
		snprintf(c->tag, sizeof(c->tag), "*");
		return false;
	}
	snprintf(c->tag, sizeof(c->tag), "%.*s", (int)tag.len, tag.at);
	if (!args_take_char(&a, ' ') || !args_take_atom(&a, &c->verb))
		return false;
	args_take_char(&a, ' ');
	c->args = a;
	return true;
}

/* Is the literal at the end of the line the message of an APPEND, and not its folder's name? */
static bool is_message_literal(const struct command *c, size_t start)
{
	return span_is(&c->verb, "APPEND") && c->args.at < buf_str(&c->text) + start;
}

/* 0: read. 1: was refused and answered. -1: it is over. */
static int read_command(struct session *s, struct command *c)
{
	bool sync;
	size_t start;
	uint64_t size;
	struct err err = ERR_INIT;

	for (;;) {
		int r = read_line(s, c);

		if (r < 0)
			return -1;
		if (!split_command(c) || r > 0) {
			relay_drain(s);
			session_answer(s, c->tag, "%s", r > 0 ? SAY_ARGUMENT : SAY_UNKNOWN);
			return 1;
		}
		if (!args_ends_in_literal(buf_str(&c->text), c->text.len, &start, &size, &sync))
			return 0;
		if (is_message_literal(c, start)) {
			c->literal = true;
			c->literal_size = size;
			c->literal_sync = sync;
			c->args.end = buf_str(&c->text) + start;
			return 0;
		}
		if (size > COMMAND_ROOM / 4 || c->text.len + size + 64 > COMMAND_ROOM || s->state == ST_GREETED) {
			session_answer(s, c->tag, SAY_ARGUMENT);
			if (!sync)
				session_bye(s, SAY_CLOSED);
			return 1;
		}
		if (sync) {
			relay_drain(s);
			wire_put_str(s->client, SAY_CONTINUE);
		}
		/* The backend gets it without waiting. */
		c->text.len = start;
		if (buf_printf(&c->text, &err, "{%llu+}\r\n", (unsigned long long)size) < 0)
			return -1;
		while (wire_have(s->client) < size)
			if (session_more(s) < 0)
				return -1;
		if (buf_add(&c->text, wire_data(s->client), (size_t)size, &err) < 0)
			return -1;
		wire_skip(s->client, (size_t)size);
	}
}

static void greet(struct session *s)
{
	/* S: base64 of the server's name in UTF-16: "EXOSIM". */
	wire_printf(s->client, SAY_GREETING, "RQBYAE8AUwBJAE0A");
}

static void loop(struct session *s)
{
	struct command c = {0};
	int r;

	buf_init(&c.text, COMMAND_ROOM);
	greet(s);
	while (!s->over) {
		c = (struct command){.text = c.text};
		buf_clear(&c.text);
		if (!wire_have(s->client) && session_more(s) < 0)
			break;
		r = read_command(s, &c);
		if (r < 0)
			session_bye(s, SAY_CLOSED);
		if (r == 0) {
			if (s->box)
				MAILBOX_COUNT(s->box, commands, 1);
			command_run(s, &c);
		}
	}
	buf_done(&c.text);
}

static void session_done(struct session *s)
{
	if (s->dropped)
		wire_drop(s->client);
	else
		wire_flush(s->client);
	for (size_t i = 0; i < s->used; i++) {
		free(s->queue[(s->head + i) % QUEUE_MAX].key);
		mailbox_flight(s->box, -1);
	}
	if (s->entered)
		mailbox_leave(s->box);
	free(s->selected);
	wire_free(&s->backend);
	wire_free(&s->client);
	stop_free(&s->stop);
}

void session_run(struct exosim *x, int fd)
{
	struct session s = {.x = x, .state = ST_GREETED, .stop = stop_new(x->stop)};
	struct err err = ERR_INIT;
	struct fault_hit hit;

	s.client = wire_new(fd, s.stop);
	if (faults_check(x->faults, HOOK_CONNECT, NULL, NULL, NULL, &hit))
		s.dropped = true;
	else if (wire_accept(s.client, x->tls, 30000, &err) == 0)
		loop(&s);
	session_done(&s);
}
