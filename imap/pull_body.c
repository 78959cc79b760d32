/* Takes in the bodies of the oldest command in flight. Each message stands for itself: one that is missing, NIL, refused or mixed up
   is asked for again alone, and what is wrong then is its own error; only a lost connection ends the folder. */
#include "imap/pull_parts.h"

#include "engine/base/failpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Octets in memory of one answer beyond what was announced; what comes after goes to files: a server that lies about sizes cannot
   fill the memory. */
#define EXCESS_MOST ((uint64_t)1024 * 1024)
enum { REFUSED_IN_A_ROW = 3, STUB_SIZE = 16 * 1024 };

static struct want *find_in(struct flight *f, uint32_t uid)
{
	size_t low = 0, high = f->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (f->v[mid]->mail->uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n && f->v[low]->mail->uid == uid ? f->v[low] : NULL;
}

/* A server may answer two commands at once: look into all of them, the oldest first. */
static struct want *find(struct pull *p, uint32_t uid)
{
	struct bodies *b = &p->bodies;
	for (size_t i = 0; i < b->n_flights; i++) {
		struct want *w = find_in(&b->flights[(b->first_flight + i) % PULL_FLIGHTS], uid);
		if (w)
			return w;
	}
	return NULL;
}

/* Whose body is it when the server does not say? Only a command for one message tells. */
static struct want *find_nameless(struct pull *p)
{
	struct flight *f = pull_oldest(p);
	return f->n == 1 && !f->v[0]->done ? f->v[0] : NULL;
}

static void forget_scan(struct scan *scan)
{
	struct fingerprint print = {0};
	struct mail_defects defects;
	struct err err = ERR_INIT;
	scan_finish(scan, &print, &defects, &err);
	fingerprint_done(&print);
}

static void drop_capture(struct pull *p)
{
	struct capture *c = &p->bodies.capture;
	if (c->taken)
		forget_scan(p->bodies.scan);
	spool_free(&c->spool);
	*c = (struct capture){0};
}

/* Decides what the string is that begins. False: the spool cannot be made. */
static bool begin_body(struct pull *p, const struct fetch_place *place)
{
	struct bodies *b = &p->bodies;
	struct capture *c = &b->capture;
	c->skips = true;
	if (!place->whole)
		return true;
	struct want *w = place->uid != 0 ? find(p, place->uid) : find_nameless(p);
	if (c->taken || (place->uid != 0 && !w) || (w && w->done)) {
		b->odd++;
		return true;
	}
	uint64_t announced = w ? w->mail->announced : 0;
	uint64_t expected = place->is_sized ? place->octets : announced;
	if (expected > announced && expected <= SPOOL_MEMORY_BYTES) {
		b->excess += expected - announced;
		if (b->excess > EXCESS_MOST)
			expected = SPOOL_MEMORY_BYTES + 1;
	}
	if (spool_new(&c->spool, p->conf.spool_dir, expected, &b->failure) < 0)
		return false;
	c->want = w;
	c->taken = true;
	c->skips = false;
	return true;
}

static bool take_piece_octets(struct pull *p, const struct fetch_place *begins, const char *data, size_t n)
{
	struct piecewise *w = &p->bodies.piecewise;
	struct flight *f = pull_oldest(p);
	if (begins)
		p->bodies.capture.skips =
			!begins->whole || f->got > 0 || (begins->uid != 0 && begins->uid != w->want->mail->uid);
	if (p->bodies.capture.skips)
		return true;
	f->got += n;
	if (w->ended || w->err) {
		w->torn = w->torn || !w->overlong;
		return true;
	}
	w->got += n;
	scan_feed(w->scan, data, n);
	return spool_write(w->spool, data, n, &p->bodies.failure) == 0;
}

/* Half of what was announced and is still to come: it may be less than was said, and the last octets are not waited for. */
static void expect_rest(struct pull *p)
{
	uint64_t all = p->bodies.in_flight_bytes, got = pull_oldest(p)->got;
	session_expect(p->conn, all > got ? (all - got) / 2 : 0);
}

static bool on_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	struct pull *p = ctx;
	struct capture *c = &p->bodies.capture;
	if (begins)
		expect_rest(p);
	if (gate_gives_up(p->conf.gate, p->bodies.in_flight_bytes)) {
		err_set(&p->bodies.failure, ERR_STOPPED, "stopped in the middle of what was asked for");
		return false;
	}
	if (pull_oldest(p)->is_piece)
		return take_piece_octets(p, begins, data, n);
	if (begins && !begin_body(p, begins))
		return false;
	if (c->skips)
		return true;
	pull_oldest(p)->got += n;
	expect_rest(p);
	scan_feed(p->bodies.scan, data, n);
	return spool_write(c->spool, data, n, &p->bodies.failure) == 0;
}

static void fail_want(struct pull *p, struct want *w, const struct err *err)
{
	spool_free(&w->mail->body);
	if (w->held > 0)
		budget_release(p->conf.memory, w->held);
	w->held = 0;
	w->err = malloc(sizeof(*w->err));
	if (w->err)
		*w->err = *err;
	else
		err_set(&p->bodies.failure, ERR_MEMORY, "out of memory for an error");
	w->done = true;
}

/* On-premises Exchange answers for a message that it cannot convert with one that it makes up: copied, it would pass for the real one. */
static bool is_stub(const struct mail *m)
{
	static const char subject[] = "Retrieval using the IMAP4 protocol failed for the following message";
	static const char text[] = "The server couldn't retrieve the following message";
	const char *octets = spool_memory(m->body);
	size_t n = (size_t)spool_size(m->body);
	if (!octets || n > STUB_SIZE || n < sizeof(text))
		return false;
	if (m->print.subject && strncasecmp(m->print.subject, subject, sizeof(subject) - 1) == 0)
		return true;
	const char *end = octets + n;
	for (const char *s = octets; end - s > 4 && (s = memchr(s, '\r', (size_t)(end - s) - 4)); s++) {
		if (memcmp(s, "\r\n\r\n", 4) != 0)
			continue;
		for (s += 4; s < end && (*s == '\r' || *s == '\n' || *s == ' '); s++)
			;
		return (size_t)(end - s) >= sizeof(text) - 1 && memcmp(s, text, sizeof(text) - 1) == 0;
	}
	return false;
}

/* The body is whole: the message is ready, and the budget holds what it really takes. */
static void complete(struct pull *p, struct want *w, struct spool **spool, struct scan *scan)
{
	struct bodies *b = &p->bodies;
	struct mail *m = w->mail;
	m->body = *spool;
	*spool = NULL;
	w->done = true;
	if (scan_finish(scan, &m->print, &m->defects, &b->failure) < 0)
		return;
	uint64_t real = PULL_MESSAGE_COST + (spool_memory(m->body) ? spool_size(m->body) : PULL_FILE_COST);
	budget_correct(p->conf.memory, w->held, real);
	w->held = real;
	b->completed++;
	b->refused_in_a_row = 0;
	if (is_stub(m)) {
		struct err err = ERR_INIT;
		err_set(&err, ERR_MESSAGE,
			"the source cannot convert this message: it served a note of its own instead");
		err_hint(&err, "an on-premises Exchange does this with damaged messages: "
			       "see it in Outlook there, or export it to a file");
		fail_want(p, w, &err);
	}
}

static void on_line(void *ctx, const struct fetch_line *line)
{
	struct pull *p = ctx;
	struct bodies *b = &p->bodies;
	struct capture *c = &b->capture;
	if (pull_oldest(p)->is_piece) {
		struct piecewise *w = &b->piecewise;
		if (line->has_body && pull_oldest(p)->offset == 0 &&
			(line->uid == 0 || line->uid == w->want->mail->uid)) {
			w->want->was_named = true;
			w->is_nil = line->body_is_nil;
		}
		c->skips = false;
		return;
	}
	struct want *w = c->want;
	if (!w)
		w = line->uid != 0 ? find(p, line->uid) : find_nameless(p);
	if (!line->has_body || line->body_is_nil) { /* news of flags, or a message without a body */
		if (w && line->uid != 0)
			w->was_named = true;
		drop_capture(p);
		return;
	}
	/* The UID in front of the body and the one behind it must agree. */
	if (!w || w->done || (line->uid != 0 && line->uid != w->mail->uid)) {
		b->odd++;
		drop_capture(p);
		return;
	}
	if (!c->taken && spool_new(&c->spool, p->conf.spool_dir, 0, &b->failure) < 0)
		return;
	complete(p, w, &c->spool, b->scan);
	*c = (struct capture){0};
}

/* A refusal of one message: it is that message's, unless it is about the connection. */
static bool is_of_message(enum err_kind kind)
{
	return kind == ERR_MESSAGE || kind == ERR_GONE || kind == ERR_TOO_BIG || kind == ERR_FOLDER ||
	       kind == ERR_RIGHTS || kind == ERR_QUOTA || kind == ERR_BUSY || kind == ERR_PROTOCOL;
}

/* A server that was busy with it alone keeps its kind: it may not be so the next time. */
static void take_as_messages_error(struct err *err)
{
	if (err->kind != ERR_GONE && err->kind != ERR_TOO_BIG && err->kind != ERR_BUSY)
		err->kind = ERR_MESSAGE;
	err->retry_after_ms = -1;
}

static void emit_deferred(struct pull *p)
{
	for (struct want *w; (w = pull_queue_take(&p->bodies.deferred));) {
		if (w->err)
			take_as_messages_error(w->err);
		pull_queue_add(&p->bodies.ready, w);
	}
}

/* One message was asked for by itself and is not here. */
static int settle_single(struct pull *p, struct flight *f, enum reply reply, struct err *err)
{
	struct bodies *b = &p->bodies;
	struct want *w = f->v[0];
	struct err why = ERR_INIT;
	f->v[0] = NULL;
	if (reply == REPLY_OK && w->was_named) {
		err_set(&why, ERR_MESSAGE, "the source lists this message but serves no body");
		err_hint(&why, "its file may be missing or damaged on the source server");
	} else if (reply == REPLY_OK) {
		err_set(&why, ERR_GONE, "the message was deleted at the source since it was listed");
	} else {
		why = *err;
	}
	bool may_be_the_server = why.kind == ERR_BUSY || (why.kind == ERR_PROTOCOL && reply == REPLY_BAD);
	if (!may_be_the_server)
		take_as_messages_error(&why);
	fail_want(p, w, &why);
	if (!may_be_the_server) {
		pull_queue_add(&b->ready, w);
		return 0;
	}
	pull_queue_add(&b->deferred, w);
	return ++b->refused_in_a_row >= REFUSED_IN_A_ROW ? -1 : 0;
}

static void finish_pieces(struct pull *p)
{
	struct bodies *b = &p->bodies;
	struct piecewise *w = &b->piecewise;
	struct want *want = w->want;
	struct err why = ERR_INIT;
	if (w->err)
		why = *w->err;
	else if (w->torn)
		err_set(&why, ERR_MESSAGE, "the pieces in which the source serves this message do not fit together");
	else if (!want->was_named && w->got == 0)
		err_set(&why, ERR_GONE, "the message was deleted at the source since it was listed");
	else if (w->is_nil && w->got == 0)
		err_set(&why, ERR_MESSAGE, "the source lists this message but serves no body");
	if (why.kind != ERR_NONE)
		fail_want(p, want, &why);
	else
		complete(p, want, &w->spool, w->scan);
	pull_queue_add(&b->ready, want);
	spool_free(&w->spool);
	scan_free(&w->scan);
	free(w->err);
	*w = (struct piecewise){0};
}

static int settle_piece(struct pull *p, const struct flight *f, enum reply reply, struct err *err)
{
	struct piecewise *w = &p->bodies.piecewise;
	w->in_flight--;
	if (reply != REPLY_OK && !w->ended && !w->err) {
		w->err = malloc(sizeof(*w->err));
		if (!w->err)
			return err_set(err, ERR_MEMORY, "out of memory for an error");
		*w->err = *err;
		take_as_messages_error(w->err);
	} else if (reply == REPLY_OK && f->got != PULL_PIECE) {
		w->overlong = w->overlong || (f->got > PULL_PIECE && f->offset == 0);
		w->torn = w->torn || (f->got > PULL_PIECE && f->offset > 0 && !w->overlong);
		w->ended = true;
	}
	if ((w->ended || w->err) && w->in_flight == 0)
		finish_pieces(p);
	return 0;
}

static int settle(struct pull *p, struct flight *f, enum reply reply, struct err *err)
{
	if (f->is_piece)
		return settle_piece(p, f, reply, err);
	if (f->n == 1 && !f->v[0]->done)
		return settle_single(p, f, reply, err);
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i]->done)
			f->v[i]->alone = true;
	return 0;
}

int pull_receive(struct pull *p, struct err *err)
{
	struct bodies *b = &p->bodies;
	struct flight *f = pull_oldest(p);
	const struct fetch_sink sink = {.line = on_line, .octets = on_octets, .ctx = p};
	enum reply reply = REPLY_OK;
	uint64_t completed = b->completed;
	b->excess = 0;
	expect_rest(p);
	int rc = fetch_receive(p->conn, f->tag, &sink, &reply, err);
	session_expect(p->conn, 0);
	drop_capture(p);
	failpoint_hit(FP_PULL_AFTER_FETCH);
	enum verdict verdict = rc < 0 ? VERDICT_LOST : reply == REPLY_OK ? VERDICT_OK : VERDICT_FAILED;
	if (b->failure.kind != ERR_NONE) { /* ours, not the server's */
		if (rc == 0)
			session_kill(p->conn);
		*err = b->failure;
		rc = -1;
	}
	if (rc == 0 && reply != REPLY_OK) {
		session_refusal(p->conn, reply, err, "the message cannot be fetched");
		bool waits = err_asks_to_wait(err);
		if (waits)
			verdict = VERDICT_REFUSED;
		rc = is_of_message(err->kind) && !waits ? 0 : -1;
	}
	if (rc == 0)
		rc = settle(p, f, reply, err);
	pull_flight_done(p, verdict, verdict == VERDICT_REFUSED ? err : NULL);
	if (b->completed > completed)
		emit_deferred(p);
	return rc;
}

static void on_metadata(void *ctx, const struct fetch_line *line)
{
	uint32_t *uid = ctx;
	*uid = line->uid != 0 ? line->uid : *uid;
}

/* At the end a few messages are left whose refusals sounded as if the server were busy. If it tells their metadata, it is not. */
int pull_decide_deferred(struct pull *p, struct err *err)
{
	struct want *w = p->bodies.deferred.first;
	uint32_t uid = 0;
	enum reply reply;
	const struct fetch_sink sink = {.line = on_metadata, .ctx = &uid};
	if (fetch_ask(p->conn, &sink, &reply, err, "UID FETCH %lu (UID FLAGS)", (unsigned long)w->mail->uid) < 0)
		return -1;
	if (reply != REPLY_OK || uid != w->mail->uid) {
		if (w->err)
			*err = *w->err;
		return -1;
	}
	emit_deferred(p);
	return 0;
}
