/* APPEND, pipelined. libetpan's own takes the whole literal in memory and waits for each answer; this streams from the spool and keeps
   a window in flight. What became of an item when the connection broke is decided by one fact: was the last octet of its literal handed
   to the connection? From that moment on the server may have stored it, whether we saw the write succeed or not. */
#include "imap/append.h"

#include "engine/base/buf.h"
#include "engine/base/failpoint.h"
#include "engine/base/number.h"
#include "imap/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 64 * 1024,
	WINDOW_ITEMS = 64,
	LITERAL_MINUS_MOST = 4096, /* RFC 7888 */
	COMMAND_MOST = 64 * 1024,
	ANSWER_LEAST = 48, /* octets of an APPEND's answer, rather too few than too many, until some were seen */
	REFUSED_CAREFUL =
		5 /* from here on one at a time: Exchange hangs up at the tenth, and what is in flight is in doubt */
};
#define WINDOW_BYTES ((uint64_t)4 << 20)
/* From this size on we wait for the server's consent even where LITERAL+ is offered: a refusal for size then costs no transfer, and
   comes as an answer instead of a broken connection. */
#define ASK_FIRST_BYTES ((uint64_t)8 << 20)

struct sent { /* an item in flight */
	int tag;
	uint64_t bytes;
};

struct sender {
	struct conn *conn;     /* borrowed */
	const char *mailbox;   /* quoted; borrowed */
	struct append_item *v; /* borrowed */
	size_t n;
	struct sent *ring; /* owned; window_items slots, item i in slot i % window_items */
	size_t window_items;
	uint64_t window_bytes;
	size_t next, answered; /* [answered, next) are in flight */
	uint64_t in_flight_bytes;
	uint64_t left;         /* octets of items that were not begun */
	uint64_t most_unasked; /* a literal of at most so many octets needs no consent */
	size_t answer_octets;  /* of the shortest answer so far */
	unsigned refused;
	bool halted; /* nothing more is sent: what was refused would be refused for all */
	struct err why_halted;
	int cut_tag; /* of the item that could not be sent whole; 0: none */
	char *chunk; /* owned: for spools in files; NULL until needed */
	struct buf command;
};

static uint64_t octets(const struct append_item *item)
{
	return spool_size(item->mail->body);
}

static void set_result(struct append_item *item, int result, const struct err *err)
{
	item->result = result;
	if (err)
		item->err = *err;
}

/* An octet that sits in our buffer is not "in mid literal" for the server: only a program with failpoints pays for the flush. */
static int reach(struct sender *s, enum failpoint point, struct err *err)
{
#ifdef NF_FAILPOINTS
	if (session_flush(s->conn, err) < 0)
		return -1;
#else
	(void)s;
	(void)err;
#endif
	failpoint_hit(point);
	return 0;
}

static size_t chunk_size(uint64_t offset, uint64_t size)
{
	uint64_t left = size - offset;
#ifdef NF_FAILPOINTS
	if (offset == 0 && left > 1)
		left /= 2; /* so that there is a middle */
#endif
	return left < CHUNK ? (size_t)left : CHUNK;
}

/* The item's octets. *handed_over: the last one was given away. */
static int write_literal(struct sender *s, const struct spool *body, uint64_t size, bool *handed_over, struct err *err)
{
	const char *memory = spool_memory(body);
	for (uint64_t at = 0; at < size;) {
		size_t n = chunk_size(at, size), got = n;
		if (session_gives_up(s->conn, size - at))
			return err_set(err, ERR_STOPPED, "stopped in the middle of a message");
		const char *data = memory ? memory + at : s->chunk;
		if (!memory && spool_read(body, at, s->chunk, n, &got, err) < 0)
			return -1;
		if (got != n)
			return err_set(err, ERR_DISK, "a kept message is shorter than it was");
		*handed_over = at + n == size;
		if (session_write(s->conn, data, n, err) < 0)
			return -1;
		if (at == 0 && !*handed_over && reach(s, FP_PUT_MID_LITERAL, err) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static int send_command(
	struct sender *s, const struct append_item *item, uint64_t size, bool asks, int *tag, struct err *err)
{
	char date[40] = "", number[NUMBER_TEXT];
	const char *flags = item->flags && strcmp(item->flags, "()") != 0 ? item->flags : "";
	struct buf *b = &s->command;
	if (item->mail->received.known)
		flags_format_date(&item->mail->received, date, sizeof(date));
	number_format(size, 1, number);
	const char *parts[] = {"APPEND ", s->mailbox, *flags ? " " : "", flags, *date ? " " : "", date, " {", number,
		asks ? "}" : "+}"};
	buf_clear(b);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (buf_add_str(b, parts[i], err))
			return -1;
	}
	return session_send_text(s->conn, tag, b->data, b->len, err);
}

/* A refusal that the next message would meet too. Exchange ends the session at the tenth. */
static bool concerns_all(enum err_kind kind)
{
	return kind == ERR_THROTTLED || kind == ERR_QUOTA || kind == ERR_FOLDER || kind == ERR_MAILBOX ||
	       kind == ERR_RIGHTS || kind == ERR_CREDENTIALS || kind == ERR_BUSY;
}

/* The answer of one command is here: what became of the item. */
static void take_answer(struct sender *s, struct append_item *item, enum reply reply)
{
	struct err err = ERR_INIT;
	if (reply == REPLY_OK) {
		item->result = APPEND_PLACED;
		session_appenduid(s->conn, &item->uidvalidity, &item->uid);
		return;
	}
	session_refusal(s->conn, reply, &err, "the message was refused");
	if (strcmp(session_code(s->conn), "TRYCREATE") == 0)
		err.kind = ERR_FOLDER;
	else if (err.kind == ERR_PROTOCOL)
		err.kind =
			ERR_MESSAGE; /* nothing is known but that it is about this one; some take {0} for an error of syntax */
	s->refused++;
	if (concerns_all(err.kind)) {
		if (!s->halted)
			s->why_halted = err;
		s->halted = true;
	}
	set_result(item, err.kind == ERR_THROTTLED ? APPEND_NOT_SENT : APPEND_REFUSED, &err);
}

static int receive_one(struct sender *s, struct err *err)
{
	const struct sent *sent = &s->ring[s->answered % s->window_items];
	enum reply reply;
	if (session_receive_plain(s->conn, sent->tag, NULL, &reply, err) < 0)
		return -1;
	failpoint_hit(FP_PUT_AFTER_ANSWER);
	s->in_flight_bytes -= sent->bytes;
	size_t answer = session_answer_octets(s->conn);
	if (s->answered == 0 || answer < s->answer_octets)
		s->answer_octets = answer;
	take_answer(s, &s->v[s->answered++], reply);
	return 0;
}

/* How many answers bring us down to this much in flight. */
static size_t answers_to(const struct sender *s, size_t items, uint64_t bytes)
{
	size_t n = 0;
	for (uint64_t left = s->in_flight_bytes; s->answered + n < s->next; n++) {
		if (s->next - s->answered - n <= items && left <= bytes)
			break;
		left -= s->ring[(s->answered + n) % s->window_items].bytes;
	}
	return n;
}

/* Reads answers until at most this much is in flight. */
static int receive_down_to(struct sender *s, size_t items, uint64_t bytes, struct err *err)
{
	if (s->next - s->answered <= items && s->in_flight_bytes <= bytes)
		return 0;
	if (session_flush(s->conn, err) < 0)
		return -1;
	int rc = 0;
	for (size_t n; rc == 0 && (n = answers_to(s, items, bytes)) > 0; rc = receive_one(s, err))
		session_expect(s->conn, n * s->answer_octets);
	session_expect(s->conn, 0);
	return rc;
}

/* Waits for "+". 0: granted. 1: the tagged answer came instead and the item is decided. */
static int ask_consent(struct sender *s, struct append_item *item, int tag, struct err *err)
{
	enum reply reply;
	if (session_flush(s->conn, err) < 0)
		return -1;
	int rc = session_continuation(s->conn, tag, &reply, err);
	if (rc <= 0)
		return rc;
	if (reply == REPLY_OK) { /* nothing was sent that could have been stored */
		err_set(err, ERR_PROTOCOL, "the server accepted a message before it was sent");
		session_kill(s->conn);
		return -1;
	}
	take_answer(s, item, reply);
	return 1;
}

/* A stop came where the rate is low: the message will not be whole, and so not stored. What went before it is, and its answers come soon. */
static void cut_off(struct sender *s)
{
	struct err ignored = ERR_INIT;
	if (session_flush(s->conn, &ignored) == 0)
		while (s->next > s->answered && receive_one(s, &ignored) == 0)
			;
}

/* Sends s->next. On failure the item is decided: IN_DOUBT or NOT_SENT. */
static int send_one(struct sender *s, struct err *err)
{
	struct append_item *item = &s->v[s->next];
	uint64_t size = octets(item);
	bool asks = size > s->most_unasked, handed_over = false;
	int tag = 0, rc;
	if (asks && receive_down_to(s, 0, 0, err) < 0)
		return -1;
	if (asks && s->halted)
		return 0;
	if (!s->chunk && !spool_memory(item->mail->body) && !(s->chunk = malloc(CHUNK)))
		return err_set(err, ERR_MEMORY, "out of memory for a message");
	s->left -= size;
	failpoint_hit(FP_PUT_BEFORE_FIRST_BYTE);
	handed_over = size == 0 && !asks;
	rc = send_command(s, item, size, asks, &tag, err);
	if (rc == 0 && asks)
		rc = ask_consent(s, item, tag, err);
	if (rc > 0) { /* refused before its octets were sent */
		s->next++;
		s->answered++;
		return 0;
	}
	if (rc == 0) {
		handed_over = size == 0;
		rc = write_literal(s, item->mail->body, size, &handed_over, err);
	}
	if (rc == 0)
		rc = session_write(s->conn, "\r\n", 2, err);
	if (rc < 0) {
		if (err->kind == ERR_STOPPED && !handed_over)
			cut_off(s);
		session_kill(s->conn); /* the server waits for octets that will not come */
		item->result = handed_over ? APPEND_IN_DOUBT : APPEND_NOT_SENT;
		s->cut_tag = tag;
		return -1;
	}
	item->result = APPEND_IN_DOUBT; /* until its answer is here */
	s->ring[s->next++ % s->window_items] = (struct sent){.tag = tag, .bytes = size};
	s->in_flight_bytes += size;
	return reach(s, FP_PUT_AFTER_LAST_BYTE, err);
}

static int send_all(struct sender *s, struct err *err)
{
	while (s->next < s->n && !s->halted) {
		uint64_t size = octets(&s->v[s->next]);
		size_t items = s->refused < REFUSED_CAREFUL ? s->window_items : 1;
		bool full = s->next - s->answered >= items ||
			    (s->next > s->answered && s->in_flight_bytes + size > s->window_bytes);
		/* Half of the window is drained at once: one flush then serves many messages, and while the answers are read the
		   server still has the other half to work on. */
		if (full && receive_down_to(s, items / 2, s->window_bytes / 2, err) < 0)
			return -1;
		if (!s->halted && session_gives_up(s->conn, s->left)) {
			s->halted = true;
			err_set(&s->why_halted, ERR_STOPPED, "stopped before the message was sent");
		}
		if (!s->halted && send_one(s, err) < 0)
			return -1;
	}
	return receive_down_to(s, 0, 0, err);
}

/* Sending failed. Answers that had arrived are still read: each is one doubt less, and a server that hangs up on a message often says
   why before it does. */
static void read_last_answers(struct sender *s)
{
	struct err ignored = ERR_INIT;
	enum reply reply;
	while (s->next > s->answered)
		if (receive_one(s, &ignored) < 0)
			return;
	if (s->cut_tag == 0 || session_receive(s->conn, s->cut_tag, &reply, &ignored) < 0)
		return;
	if (reply == REPLY_OK)
		s->v[s->next].result = APPEND_IN_DOUBT;
	else
		take_answer(s, &s->v[s->next], reply);
}

static uint64_t most_unasked(const struct conn *c)
{
	if (conn_facts(c)->quirks & QUIRK_NO_LITERAL_PLUS)
		return 0;
	if (conn_has_capability(c, "LITERAL+"))
		return ASK_FIRST_BYTES;
	if (conn_has_capability(c, "LITERAL-") || conn_has_capability(c, "IMAP4rev2"))
		return LITERAL_MINUS_MOST;
	return 0;
}

int append_mails(struct conn *c, const char *mailbox, struct append_item *v, size_t n, uint64_t window_bytes,
	size_t window_items, struct err *err)
{
	char quoted[4096];
	for (size_t i = 0; i < n; i++) {
		v[i].result = APPEND_NOT_SENT;
		v[i].uidvalidity = v[i].uid = 0;
		v[i].err = ERR_INIT;
	}
	if (window_items == 0)
		window_items = WINDOW_ITEMS;
	if (conn_facts(c)->quirks & QUIRK_NO_PIPELINE)
		window_items = 1;
	struct sender s = {.conn = c,
		.mailbox = quoted,
		.v = v,
		.n = n,
		.window_items = window_items,
		.window_bytes = window_bytes > 0 ? window_bytes : WINDOW_BYTES,
		.most_unasked = most_unasked(c),
		.answer_octets = ANSWER_LEAST,
		.why_halted = ERR_INIT};
	for (size_t i = 0; i < n; i++)
		s.left += octets(&v[i]);
	buf_init(&s.command, COMMAND_MOST);
	int rc = session_quote(mailbox, quoted, sizeof(quoted), err);
	if (rc == 0 && !(s.ring = calloc(window_items, sizeof(*s.ring))))
		rc = err_set(err, ERR_MEMORY, "out of memory for a window");
	session_mute_counts(c, true);
	if (rc == 0)
		rc = send_all(&s, err);
	if (rc < 0 && (err->kind == ERR_LOST || err->kind == ERR_THROTTLED || err->kind == ERR_BUSY)) {
		read_last_answers(&s);
		if (s.halted) /* it had said why before it hung up: the words it left with say less */
			*err = s.why_halted;
	}
	session_mute_counts(c, false);
	const struct err *why = rc < 0 ? err : s.halted ? &s.why_halted : NULL;
	for (size_t i = 0; why && i < n; i++)
		if ((v[i].result == APPEND_NOT_SENT || v[i].result == APPEND_IN_DOUBT) && v[i].err.kind == ERR_NONE)
			v[i].err = *why;
	free(s.ring);
	free(s.chunk);
	buf_done(&s.command);
	return rc;
}
