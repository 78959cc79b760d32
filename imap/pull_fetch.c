/* Asks for bodies: small messages in sets, larger ones with a command each, the largest in pieces; several commands in flight, as the
   window, the memory budget and the gate allow. Nothing here waits while an answer is under way or a message is ready, because what we
   would wait for may be held by them. */
#include "imap/pull_parts.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_SET_RANGES = 10, SMALL_SET_COMMAND = 500 };

/* A set while it is gathered. */
struct batch {
	struct want *v[PULL_SET_MOST];
	size_t n;
	uint64_t bytes;
	char set[PULL_COMMAND];
	size_t len;
	size_t tail; /* where the last range begins in set */
	unsigned ranges;
	uint32_t range_first, range_last;
};

static bool is_idle(const struct pull *p)
{
	return p->bodies.n_flights == 0 && !p->bodies.ready.first;
}

static bool window_takes(const struct pull *p, uint64_t bytes)
{
	const struct bodies *b = &p->bodies;
	if (b->n_flights == 0)
		return true;
	return !p->no_pipeline && b->n_flights < PULL_FLIGHTS && b->in_flight_bytes + bytes <= p->conf.window_bytes;
}

struct flight *pull_oldest(struct pull *p)
{
	return &p->bodies.flights[p->bodies.first_flight];
}

/* In front: it was wanted before the others. */
static void want_again(struct pull *p, struct want *w)
{
	if (w->held > 0)
		budget_release(p->conf.memory, w->held);
	w->held = 0;
	w->next = p->bodies.waiting.first;
	p->bodies.waiting.first = w;
	if (!p->bodies.waiting.last)
		p->bodies.waiting.last = w;
}

void pull_flight_done(struct pull *p, enum verdict verdict, const struct err *err)
{
	struct bodies *b = &p->bodies;
	struct flight *f = pull_oldest(p);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i] && f->v[i]->done)
			pull_queue_add(&b->ready, f->v[i]);
	for (size_t i = f->n; i-- > 0;)
		if (f->v[i] && !f->v[i]->done)
			want_again(p, f->v[i]);
	if (f->permit) {
		const struct throttle_hint hint = {.dimension = DIM_NONE,
			.retry_after_ms = err ? err->retry_after_ms : -1,
			.words = err ? err->server : NULL};
		int64_t paced = gate_paced_ms(p->conf.gate) - f->paced_before;
		int64_t latency = clock_mono_ms() - f->sent_at_ms - paced;
		gate_leave(&f->permit, verdict, verdict == VERDICT_REFUSED ? &hint : NULL, f->got,
			latency > 0 ? (unsigned)latency : 0);
	}
	b->in_flight_bytes -= f->bytes;
	free(f->v);
	*f = (struct flight){0};
	b->first_flight = (b->first_flight + 1) % PULL_FLIGHTS;
	b->n_flights--;
}

/* 0: held or no gate. 1: not now. */
static int take_permit(struct pull *p, uint64_t bytes, struct permit **permit, struct err *err)
{
	const struct demand demand = {.bytes = bytes, .requests = 1};
	*permit = NULL;
	if (!p->conf.gate)
		return 0;
	if (!is_idle(p)) {
		int64_t wait_ms;
		return gate_try(p->conf.gate, &demand, permit, &wait_ms) ? 0 : 1;
	}
	return gate_enter(p->conf.gate, &demand, permit, err);
}

/* 0: held. 1: not now. */
static int reserve(struct pull *p, struct want *w, bool may_block, struct err *err)
{
	/* what a message without a size turns out to be is corrected when it is known */
	uint64_t cost = pull_cost(w->mail->announced);
	if (w->held > 0)
		return 0;
	if (!budget_try(p->conf.memory, cost)) {
		if (!may_block)
			return 1;
		if (budget_reserve(p->conf.memory, cost, p->conf.stop, err) < 0)
			return -1;
	}
	w->held = cost;
	return 0;
}

/* Adds the UID to the text; false when it would not fit. */
static bool batch_add(struct batch *t, struct want *w, size_t room, unsigned most_ranges)
{
	uint32_t uid = w->mail->uid;
	bool goes_on = t->n > 0 && uid == t->range_last + 1;
	if (!goes_on && (t->len + 24 > room || (t->n > 0 && t->ranges >= most_ranges)))
		return false;
	if (goes_on) {
		t->len = t->tail + (size_t)snprintf(t->set + t->tail, sizeof(t->set) - t->tail, "%s%lu:%lu",
					   t->tail ? "," : "", (unsigned long)t->range_first, (unsigned long)uid);
	} else {
		t->tail = t->len;
		t->range_first = uid;
		t->ranges++;
		t->len += (size_t)snprintf(
			t->set + t->len, sizeof(t->set) - t->len, "%s%lu", t->len ? "," : "", (unsigned long)uid);
	}
	t->range_last = uid;
	t->v[t->n++] = w;
	t->bytes += w->mail->announced;
	return true;
}

static bool is_set_member(const struct want *w)
{
	return !w->alone && w->mail->announced < PULL_LARGE;
}

/* Takes messages from the queue as long as they fit together. 0: at least one. 1: not now. */
static int gather(struct pull *p, struct batch *t, struct err *err)
{
	struct bodies *b = &p->bodies;
	size_t room = p->small_sets ? SMALL_SET_COMMAND : PULL_COMMAND - 100;
	unsigned most_ranges = p->small_sets ? SMALL_SET_RANGES : UINT32_MAX;
	bool may_block = is_idle(p);
	while (b->waiting.first) {
		struct want *w = b->waiting.first;
		uint64_t bytes = w->mail->announced;
		if (t->n > 0 && (!is_set_member(w) || w->mail->uid <= t->range_last || t->n >= p->conf.set_messages ||
					t->bytes + bytes > PULL_SET_BYTES))
			break;
		if (!window_takes(p, t->bytes + bytes) && (t->n > 0 || b->n_flights > 0))
			break;
		int rc = reserve(p, w, may_block && t->n == 0, err);
		if (rc < 0)
			return -1;
		if (rc > 0 || !batch_add(t, w, room, most_ranges))
			break;
		pull_queue_take(&b->waiting);
		if (!is_set_member(w))
			break;
	}
	return t->n > 0 ? 0 : 1;
}

static struct flight *add_flight(struct pull *p, uint64_t bytes, struct permit **permit)
{
	struct bodies *b = &p->bodies;
	struct flight *f = &b->flights[(b->first_flight + b->n_flights) % PULL_FLIGHTS];
	*f = (struct flight){.bytes = bytes,
		.permit = *permit,
		.sent_at_ms = clock_mono_ms(),
		.paced_before = gate_paced_ms(p->conf.gate)};
	*permit = NULL;
	b->n_flights++;
	b->in_flight_bytes += bytes;
	return f;
}

/* 0: sent. 1: not now. */
static int send_set(struct pull *p, struct err *err)
{
	struct batch t = {.n = 0, .bytes = 0};
	struct permit *permit = NULL;
	int rc = gather(p, &t, err);
	if (rc != 0)
		return rc;
	rc = take_permit(p, t.bytes, &permit, err);
	struct want **v = rc == 0 ? malloc(t.n * sizeof(struct want *)) : NULL;
	if (rc == 0 && !v) {
		gate_leave(&permit, VERDICT_UNUSED, NULL, 0, 0);
		rc = err_set(err, ERR_MEMORY, "out of memory for a set of messages");
	}
	if (rc != 0) {
		while (t.n > 0)
			want_again(p, t.v[--t.n]);
		return rc;
	}
	struct flight *f = add_flight(p, t.bytes, &permit);
	memcpy(v, t.v, t.n * sizeof(*v));
	f->v = v;
	f->n = t.n;
	failpoint_hit(FP_PULL_BEFORE_FETCH);
	return session_send(p->conn, &f->tag, err, "UID FETCH %s (UID BODY.PEEK[])", t.set);
}

static int begin_pieces(struct pull *p, struct err *err)
{
	struct piecewise *w = &p->bodies.piecewise;
	int rc = reserve(p, p->bodies.waiting.first, is_idle(p), err);
	if (rc != 0)
		return rc;
	struct scan *scan = scan_new();
	struct spool *spool = NULL;
	if (!scan)
		return err_set(err, ERR_MEMORY, "out of memory for a message");
	if (spool_new(&spool, p->conf.spool_dir, p->bodies.waiting.first->mail->announced, err) < 0) {
		scan_free(&scan);
		return -1;
	}
	*w = (struct piecewise){.want = pull_queue_take(&p->bodies.waiting), .scan = scan, .spool = spool};
	return 0;
}

/* As many pieces as were announced, then one more at a time as long as they come in full. */
static bool wants_piece(const struct piecewise *w)
{
	if (!w->want || w->ended || w->err)
		return false;
	return w->asked < w->want->mail->announced || (w->in_flight == 0 && w->got == w->asked);
}

static int send_piece(struct pull *p, struct err *err)
{
	struct bodies *b = &p->bodies;
	struct piecewise *w = &b->piecewise;
	struct permit *permit = NULL;
	uint64_t announced = w->want->mail->announced;
	uint64_t left = announced > w->asked ? announced - w->asked : 0;
	uint64_t bytes = left < PULL_PIECE ? left : PULL_PIECE;
	bool takes = b->n_flights == 0 || (!p->no_pipeline && b->n_flights < PULL_FLIGHTS && w->in_flight < 2);
	if (!takes && !window_takes(p, bytes))
		return 1;
	int rc = take_permit(p, bytes, &permit, err);
	if (rc != 0)
		return rc;
	struct flight *f = add_flight(p, bytes, &permit);
	f->is_piece = true;
	f->offset = w->asked;
	w->asked += PULL_PIECE;
	w->in_flight++;
	failpoint_hit(FP_PULL_BEFORE_FETCH);
	return session_send(p->conn, &f->tag, err, "UID FETCH %lu (UID BODY.PEEK[]<%llu.%llu>)",
		(unsigned long)w->want->mail->uid, (unsigned long long)f->offset, (unsigned long long)PULL_PIECE);
}

/* 0: sent. 1: nothing to send, or not now. */
static int send_next(struct pull *p, struct err *err)
{
	struct bodies *b = &p->bodies;
	if (b->n_flights == PULL_FLIGHTS || stop_is_asked(p->conf.stop))
		return 1;
	if (wants_piece(&b->piecewise))
		return send_piece(p, err);
	if (!b->waiting.first)
		return 1;
	if (b->waiting.first->mail->announced <= PULL_PIECEWISE)
		return send_set(p, err);
	if (b->piecewise.want)
		return 1; /* one at a time */
	int rc = begin_pieces(p, err);
	return rc == 0 ? send_piece(p, err) : rc;
}

int pull_fill(struct pull *p, struct err *err)
{
	bool sent = false;
	for (;;) {
		int rc = send_next(p, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			break;
		sent = true;
	}
	return sent ? session_flush(p->conn, err) : 0;
}
