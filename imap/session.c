#include "imap/session.h"

#include "engine/base/clock.h"
#include "engine/base/number.h"
#include "imap/conn_state.h"
#include "imap/plain.h"
#include "imap/session_reply.h"

#include <ctype.h>
#include <stdarg.h>
#include <strings.h>

/* libetpan parses, we do the talking: with its public functions alone several commands can be in flight (spec/imap.md, section 2).
   The tagged line itself is taken from the filter, which sees it as the server wrote it: libetpan drops known codes' atoms, folds BAD
   into "protocol error" and loses BYE. */

#define LINE_MAX_OCTETS ((size_t)1 << 20) /* of a command of ours */
#define CHALLENGE_MAX ((size_t)64 << 10)

void session_prepare(struct conn *c)
{
	buf_init(&c->line, LINE_MAX_OCTETS);
	buf_init(&c->challenge, CHALLENGE_MAX);
}

mailimap *session_imap(struct conn *c)
{
	return c->imap;
}

void session_mute_counts(struct conn *c, bool on)
{
	filter_mute_counts(net_filter(c->net), on);
}

void session_expect(struct conn *c, uint64_t octets)
{
	net_expect(c->net, octets);
}

void session_kill(struct conn *c)
{
	c->is_dead = true;
}

bool session_gives_up(const struct conn *c, uint64_t octets)
{
	return gate_gives_up(c->conf.gate, octets);
}

const char *session_words(const struct conn *c)
{
	return c->answer.words;
}

size_t session_answer_octets(const struct conn *c)
{
	const struct repair_status *a = &c->answer;

	return strlen(a->tag) + 1 + strlen(a->verb) + 1 + strlen(a->all) + 2;
}

const char *session_code(const struct conn *c)
{
	return c->answer.code;
}

const char *session_challenge(const struct conn *c)
{
	return buf_str(&c->challenge);
}

int session_refusal(struct conn *c, enum reply reply, struct err *err, const char *doing)
{
	(void)reply; /* servers use NO and BAD as they like; Exchange throttles with either */
	return session_reply_explain(&c->answer, c->signing_in, c->conf.reads_only, doing, err);
}

/* --- sending --- */

int session_write(struct conn *c, const void *data, size_t n, struct err *err)
{
	if (c->is_dead)
		return err_set(err, ERR_LOST, "the connection is not usable any more");
	if (mailstream_write(c->stream, data, n) < 0)
		return session_lost(c, "sending to the server", err);
	return 0;
}

int session_flush(struct conn *c, struct err *err)
{
	if (c->is_dead)
		return err_set(err, ERR_LOST, "the connection is not usable any more");
	if (mailstream_flush(c->stream) < 0)
		return session_lost(c, "sending to the server", err);
	return 0;
}

/* "17 " */
static int begin_line(struct buf *line, int tag, struct err *err)
{
	char text[NUMBER_TEXT];
	size_t n = number_format((uint64_t)tag, 1, text);

	buf_clear(line);
	text[n++] = ' ';
	return buf_add(line, text, n, err);
}

static int send_line(struct conn *c, size_t begins, struct err *err)
{
	const char *text = c->line.data + begins;
	size_t n = c->line.len - begins;

	/* A line end in a name would let whoever named the folder give commands in our session. */
	if (memchr(text, '\r', n) || memchr(text, '\n', n) || memchr(text, 0, n))
		return err_set(err, ERR_INTERNAL, "a command holds a line end");
	if (n > LINE_MAX_OCTETS - 64)
		return err_set(err, ERR_INTERNAL, "a command of %zu octets", n);
	if (buf_add(&c->line, "\r\n", 2, err) || session_write(c, c->line.data, c->line.len, err))
		return -1;
	c->in_flight++;
	return 0;
}

int session_send_text(struct conn *c, int *tag, const char *text, size_t n, struct err *err)
{
	*tag = ++c->imap->imap_tag;
	if (begin_line(&c->line, *tag, err))
		return -1;
	size_t begins = c->line.len;
	return buf_add(&c->line, text, n, err) ? -1 : send_line(c, begins, err);
}

int session_send(struct conn *c, int *tag, struct err *err, const char *fmt, ...)
{
	va_list ap;

	*tag = ++c->imap->imap_tag;
	if (begin_line(&c->line, *tag, err))
		return -1;
	size_t begins = c->line.len;
	va_start(ap, fmt);
	int failed = buf_vprintf(&c->line, err, fmt, ap);
	va_end(ap);
	return failed ? -1 : send_line(c, begins, err);
}

/* --- receiving --- */

static bool answers(const struct repair_status *s, int tag)
{
	char expected[16];

	snprintf(expected, sizeof expected, "%d", tag);
	return !strcmp(s->tag, expected);
}

static int take_answer(struct conn *c, int tag, enum reply *reply, struct err *err)
{
	c->answer = *filter_answer(net_filter(c->net));
	if (!answers(&c->answer, tag)) {
		c->is_dead = true;
		err_set(err, ERR_PROTOCOL, "the server answered another command than the one it was asked");
		err_server(err, c->answer.all, strlen(c->answer.all));
		return -1;
	}
	if (c->in_flight > 0)
		c->in_flight--;
	if (!strcmp(c->answer.verb, "OK")) {
		c->no.tag[0] = '\0';
	} else {
		c->no = c->answer;
		c->no_at_ms = clock_mono_ms();
	}
	*reply = !strcmp(c->answer.verb, "OK") ? REPLY_OK : !strcmp(c->answer.verb, "NO") ? REPLY_NO : REPLY_BAD;
	return 0;
}

/* The line in imap_stream_buffer begins the answer. */
static int parse_answer(struct conn *c, int tag, enum reply *reply, struct err *err)
{
	struct mailimap_response *response = NULL;
	int last = c->imap->imap_tag;

	c->imap->imap_tag = tag; /* mailimap_parse_response compares with this */
	int r = mailimap_parse_response(c->imap, &response);
	c->imap->imap_tag = last;
	if (r == MAILIMAP_NO_ERROR) {
		mailimap_response_free(response);
		return take_answer(c, tag, reply, err);
	}
	/* BAD is this too; the stream is in step when the tag is ours. */
	if (r == MAILIMAP_ERROR_PROTOCOL && !net_is_broken(c->net))
		return take_answer(c, tag, reply, err);
	if (r == MAILIMAP_ERROR_MEMORY) {
		c->is_dead = true;
		return err_set(err, ERR_MEMORY, "no room for the server's answer");
	}
	return session_lost(c, "waiting for the server's answer", err);
}

static int begin_receiving(struct conn *c, struct err *err)
{
	struct filter *f = net_filter(c->net);

	/* After a failed write answers that had arrived are still worth reading: the connection is dead only for writing. */
	if (c->is_dead && filter_is_empty(f))
		return session_lost(c, "waiting for the server's answer", err);
	if (!c->is_dead && c->stream->write_buffer_len && session_flush(c, err) && filter_is_empty(f))
		return -1;
	memset(&c->answer, 0, sizeof c->answer);
	net_begin_answer(c->net);
	filter_forget_alert(f);
	filter_begin(f, c->imap->imap_msg_body_handler != NULL);
	return 0;
}

static int read_line(struct conn *c, struct err *err)
{
	if (!mailimap_read_line(c->imap) || c->imap->imap_stream_buffer->len == 0)
		return session_lost(c, "waiting for the server's answer", err);
	return 0;
}

int session_receive(struct conn *c, int tag, enum reply *reply, struct err *err)
{
	if (begin_receiving(c, err) || read_line(c, err))
		return -1;
	return parse_answer(c, tag, reply, err);
}

/* The octets of a literal, from where they lie. */
static int pass_octets(struct conn *c, uint64_t left, const struct session_lines *lines, struct err *err)
{
	struct filter *f = net_filter(c->net);

	while (left) {
		const char *data;
		size_t n = filter_view(f, &data);
		if (!n && !net_fill(c->net))
			return session_lost(c, "waiting for the server's answer", err);
		if (!n)
			continue;
		if (!lines->octets(lines->ctx, data, n))
			return session_lost(c, "reading a message", err);
		filter_pass(f, n);
		left -= n;
	}
	return 0;
}

/* 0: the answer is here. 1: libetpan is to read on. -1: the connection is dead. */
static int receive_lines(struct conn *c, int tag, const struct session_lines *lines, enum reply *reply, struct err *err)
{
	struct filter *f = net_filter(c->net);
	const char *line;
	size_t n;

	while (c->stream->read_buffer_len == 0 && net_peek_line(c->net, &line, &n)) {
		uint64_t literal = 0;
		if (!lines || lines->line(lines->ctx, line, n, &literal) == SESSION_PASS) {
			if ((lines && lines->is_open(lines->ctx)) || !plain_ok(line, n, tag, &c->answer))
				break;
			filter_pass_line(f, n);
			if (c->in_flight > 0)
				c->in_flight--;
			c->no.tag[0] = '\0';
			*reply = REPLY_OK;
			return 0;
		}
		filter_pass_line(f, n);
		if (literal) {
			filter_pass_literal(f, literal);
			if (pass_octets(c, literal, lines, err))
				return -1;
		}
	}
	char taken[64];
	if (lines && lines->is_open(lines->ctx) &&
		filter_put_before(f, taken, lines->taken(lines->ctx, taken, sizeof taken)))
		return session_lost(c, "waiting for the server's answer", err);
	return 1;
}

int session_receive_plain(
	struct conn *c, int tag, const struct session_lines *lines, enum reply *reply, struct err *err)
{
	if (begin_receiving(c, err))
		return -1;
	int rc = c->only_libetpan ? 1 : receive_lines(c, tag, lines, reply, err);
	if (rc <= 0)
		return rc;
	memset(&c->answer, 0, sizeof c->answer);
	return read_line(c, err) ? -1 : parse_answer(c, tag, reply, err);
}

/* Passes over one untagged response that stands before a "+" line, with its literals. */
static int pass_untagged(struct conn *c, struct err *err)
{
	char scratch[4096];

	if (repair_classify(c->imap->imap_stream_buffer->str, c->imap->imap_stream_buffer->len) == REPAIR_STATUS)
		return 0;
	for (;;) {
		const MMAPString *line = c->imap->imap_stream_buffer;
		size_t end = line->len;
		uint64_t n = 0;
		while (end > 0 && (line->str[end - 1] == '\n' || line->str[end - 1] == '\r'))
			end--;
		size_t digit = end ? end - 1 : 0;
		if (end < 3 || line->str[end - 1] != '}')
			return 0;
		while (digit > 0 && isdigit((unsigned char)line->str[digit - 1]))
			digit--;
		if (digit == 0 || digit == end - 1 || line->str[digit - 1] != '{')
			return 0;
		for (; digit < end - 1; digit++)
			n = n * 10 + (uint64_t)(line->str[digit] - '0');
		while (n) { /* the filter has capped it */
			ssize_t r =
				mailstream_read(c->stream, scratch, n < sizeof scratch ? (size_t)n : sizeof scratch);
			if (r <= 0)
				return session_lost(c, "waiting for the server's answer", err);
			n -= (uint64_t)r;
		}
		if (read_line(c, err))
			return -1;
	}
}

int session_continuation(struct conn *c, int tag, enum reply *reply, struct err *err)
{
	if (begin_receiving(c, err))
		return -1;
	for (;;) {
		if (read_line(c, err))
			return -1;
		const MMAPString *line = c->imap->imap_stream_buffer;
		if (line->str[0] == '*') {
			if (pass_untagged(c, err))
				return -1;
			continue;
		}
		if (line->str[0] != '+')
			break;
		buf_clear(&c->challenge);
		size_t start = 1, end = line->len;
		while (start < end && line->str[start] == ' ')
			start++;
		while (end > start && isspace((unsigned char)line->str[end - 1]))
			end--;
		if (buf_add(&c->challenge, line->str + start, end - start, err)) {
			c->is_dead = true;
			return err_set(err, ERR_PROTOCOL, "the server's challenge is too long");
		}
		return 0;
	}
	return parse_answer(c, tag, reply, err) ? -1 : 1;
}

/* "[CAPABILITY IMAP4rev1 AUTH=PLAIN ...]" of a greeting, as libetpan would keep it; saves a round trip. */
static void keep_capabilities(struct conn *c, const char *p, const char *end)
{
	clist *list = clist_new();

	while (list && p < end && *p != ']') {
		const char *word = p;
		while (p < end && *p != ' ' && *p != ']')
			p++;
		bool is_auth = p - word > 5 && !strncasecmp(word, "AUTH=", 5);
		char *text =
			p > word ? strndup(is_auth ? word + 5 : word, (size_t)(p - word) - (is_auth ? 5 : 0)) : NULL;
		struct mailimap_capability *cap =
			!text ? NULL
			      : mailimap_capability_new(
					is_auth ? MAILIMAP_CAPABILITY_AUTH_TYPE : MAILIMAP_CAPABILITY_NAME,
					is_auth ? text : NULL, is_auth ? NULL : text);
		if (cap && clist_append(list, cap))
			mailimap_capability_free(cap);
		else if (!cap)
			free(text);
		while (p < end && *p == ' ')
			p++;
	}
	if (list)
		c->imap->imap_connection_info->imap_capability = mailimap_capability_data_new(list);
}

/* Not mailimap_connect: it crashes on some greetings and loses the memory of a refusing one. */
int session_greet(struct conn *c, bool *preauth, struct err *err)
{
	struct repair_status said, told;
	const MMAPString *line = c->imap->imap_stream_buffer;
	const char *plain;
	size_t n;

	filter_begin(net_filter(c->net), false);
	c->imap->imap_stream = c->stream;
	c->imap->imap_connection_info = mailimap_connection_info_new();
	if (!c->imap->imap_connection_info)
		return err_set(err, ERR_MEMORY, "out of memory");
	bool as_written = net_peek_line(c->net, &plain, &n) && repair_parse_status(plain, n, &told);
	if (!mailimap_read_line(c->imap) || line->len == 0 || !repair_parse_status(line->str, line->len, &said) ||
		strcmp(said.tag, "*") || (strcmp(said.verb, "OK") && strcmp(said.verb, "PREAUTH")))
		return session_lost(c, "waiting for the server's greeting", err);
	const char *end = line->str + line->len, *code = repair_find(line->str, end, "[CAPABILITY ");
	if (code)
		keep_capabilities(c, code + strlen("[CAPABILITY "), end);
	c->imap->imap_state = MAILIMAP_STATE_NON_AUTHENTICATED;
	const char *words = as_written && told.verb[0] ? told.words : said.words; /* the mended line may lack a brace */
	snprintf(c->facts.greeting, sizeof c->facts.greeting, "%.*s", (int)strcspn(words, "\r\n"), words);
	*preauth = !strcmp(said.verb, "PREAUTH");
	return 0;
}

/* --- helpers of those who speak --- */

bool session_appenduid(const struct conn *c, uint32_t *uidvalidity, uint32_t *uid)
{
	char *rest;

	if (strcmp(c->answer.verb, "OK") || strcmp(c->answer.code, "APPENDUID") ||
		!isdigit((unsigned char)c->answer.arguments[0]))
		return false;
	unsigned long long first = strtoull(c->answer.arguments, &rest, 10);
	if (*rest != ' ' || !isdigit((unsigned char)rest[1]))
		return false;
	unsigned long long second = strtoull(rest + 1, &rest, 10);
	if (*rest || !first || !second || first > UINT32_MAX || second > UINT32_MAX)
		return false;
	*uidvalidity = (uint32_t)first;
	*uid = (uint32_t)second;
	return true;
}

int session_quote(const char *raw_name, char *out, size_t size, struct err *err)
{
	size_t n = 0;

	if (size < 3)
		return err_set(err, ERR_INTERNAL, "no room for a name");
	out[n++] = '"';
	for (const char *p = raw_name; *p; p++) {
		if (*p == '\r' || *p == '\n')
			return err_set(err, ERR_FOLDER, "the folder's name holds a line end");
		if (n + 4 > size)
			return err_set(err, ERR_FOLDER, "the folder's name is too long");
		if (*p == '"' || *p == '\\')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n++] = '"';
	out[n] = 0;
	return 0;
}

void session_forget_capabilities(struct conn *c)
{
	struct mailimap_connection_info *info = c->imap->imap_connection_info;

	if (info && info->imap_capability) {
		mailimap_capability_data_free(info->imap_capability);
		info->imap_capability = NULL;
	}
}
