/* A pull reads one folder over one connection. Listing and fetching may alternate: before a range is listed, the answers of all
   bodies in flight are taken in. */
#include "imap/pull_parts.h"

#include "imap/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pull_queue_add(struct want_queue *q, struct want *w)
{
	w->next = NULL;
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
}

struct want *pull_queue_take(struct want_queue *q)
{
	struct want *w = q->first;
	if (!w)
		return NULL;
	q->first = w->next;
	if (!q->first)
		q->last = NULL;
	w->next = NULL;
	return w;
}

uint64_t pull_cost(uint64_t octets)
{
	return PULL_MESSAGE_COST + (octets > SPOOL_MEMORY_BYTES ? PULL_FILE_COST : octets);
}

/* What the reservation was corrected to when the body was complete; pull_release must come to the same. */
static uint64_t mail_cost(const struct mail *m)
{
	if (!m->body)
		return 0;
	return PULL_MESSAGE_COST + (spool_memory(m->body) ? spool_size(m->body) : PULL_FILE_COST);
}

void pull_release(struct budget *memory, struct mail **m)
{
	if (!*m)
		return;
	uint64_t held = mail_cost(*m);
	mail_free(m);
	if (held > 0)
		budget_release(memory, held);
}

void pull_want_free(struct pull *p, struct want **w)
{
	if (!*w)
		return;
	if ((*w)->held > 0)
		budget_release(p->conf.memory, (*w)->held);
	mail_free(&(*w)->mail);
	free((*w)->err);
	free(*w);
	*w = NULL;
}

int pull_open(struct pull **out, struct conn *c, const char *raw_name, const struct pull_conf *conf,
	struct folder_state *state, struct err *err)
{
	*out = NULL;
	struct pull *p = calloc(1, sizeof(*p));
	bool exact;
	if (p) {
		p->conn = c;
		p->conf = *conf;
		p->name = name_decode(raw_name, &exact);
		p->bodies.scan = scan_new();
	}
	if (!p || !p->name || !p->bodies.scan) {
		pull_close(&p);
		return err_set(err, ERR_MEMORY, "out of memory for a folder");
	}
	if (p->conf.window_bytes == 0)
		p->conf.window_bytes = (uint64_t)4 << 20;
	if (p->conf.set_messages == 0)
		p->conf.set_messages = 100;
	if (p->conf.set_messages > PULL_SET_MOST)
		p->conf.set_messages = PULL_SET_MOST;
	unsigned quirks = conn_facts(c)->quirks;
	p->no_pipeline = quirks & QUIRK_NO_PIPELINE;
	p->small_sets = quirks & QUIRK_SMALL_SETS;
	p->bodies.failure = ERR_INIT;
	if (box_open(c, BOX_EXAMINE, raw_name, &p->state, err) < 0) {
		err_wrap_name(err, "folder", p->name);
		pull_close(&p);
		return -1;
	}
	*state = (struct folder_state){
		.uidvalidity = p->state.uidvalidity, .uidnext = p->state.uidnext, .exists = p->state.exists};
	*out = p;
	return 0;
}

int pull_want(struct pull *p, const struct pull_meta *v, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct want *w = calloc(1, sizeof(*w));
		if (w)
			w->mail = mail_new(v[i].uid);
		if (w && w->mail)
			w->mail->keywords = strdup(v[i].keywords);
		if (!w || !w->mail || !w->mail->keywords) {
			pull_want_free(p, &w);
			return err_set(err, ERR_MEMORY, "out of memory for a list of messages");
		}
		w->mail->keywords_cut = v[i].keywords_cut;
		w->mail->announced = v[i].size;
		w->mail->flags = v[i].flags;
		w->mail->received = v[i].received;
		pull_queue_add(&p->bodies.waiting, w);
	}
	return 0;
}

bool pull_may_block(const struct pull *p)
{
	return p->bodies.n_flights == 0 && !p->bodies.ready.first;
}

static void hand_out(struct pull *p, struct mail **out, struct err *item)
{
	struct want *w = pull_queue_take(&p->bodies.ready);
	*out = w->mail;
	w->mail = NULL;
	if (w->err)
		*item = *w->err;
	else
		w->held = 0; /* from here on it is the caller's: pull_release */
	pull_want_free(p, &w);
}

int pull_next(struct pull *p, struct mail **out, struct err *item, struct err *err)
{
	struct bodies *b = &p->bodies;
	*out = NULL;
	err_clear(item);
	for (;;) {
		if (b->ready.first) {
			hand_out(p, out, item);
			return 0;
		}
		if (pull_fill(p, err) < 0)
			break;
		if (b->n_flights > 0) {
			if (pull_receive(p, err) < 0)
				break;
			continue;
		}
		if (!b->waiting.first && !b->piecewise.want && !b->deferred.first)
			return 0;
		if (stop_is_asked(p->conf.stop)) {
			err_set(err, ERR_STOPPED, "stopped");
			break;
		}
		if (!b->waiting.first && !b->piecewise.want && pull_decide_deferred(p, err) < 0)
			break;
	}
	err_wrap_name(err, "folder", p->name);
	return -1;
}

static void free_queue(struct pull *p, struct want_queue *q)
{
	for (struct want *w; (w = pull_queue_take(q));)
		pull_want_free(p, &w);
}

/* Answers that are under way would be taken for those of the next command: they are read, or the connection is given up. */
static void drain(struct pull *p)
{
	struct err err = ERR_INIT;
	while (p->bodies.n_flights > 0 && !conn_is_dead(p->conn)) {
		uint64_t left = p->bodies.in_flight_bytes;
		if (left > 2 * p->conf.window_bytes || stop_is_now(p->conf.stop) || gate_gives_up(p->conf.gate, left))
			session_kill(p->conn);
		else if (pull_receive(p, &err) < 0)
			break;
	}
	while (p->bodies.n_flights > 0)
		pull_flight_done(p, VERDICT_LOST, NULL);
}

uint32_t pull_exists(const struct pull *p)
{
	return box_exists(p->conn);
}

void pull_close(struct pull **pull)
{
	struct pull *p = *pull;
	if (!p)
		return;
	drain(p);
	struct bodies *b = &p->bodies;
	free_queue(p, &b->ready);
	free_queue(p, &b->waiting);
	free_queue(p, &b->deferred);
	pull_want_free(p, &b->piecewise.want);
	spool_free(&b->piecewise.spool);
	scan_free(&b->piecewise.scan);
	free(b->piecewise.err);
	spool_free(&b->capture.spool);
	scan_free(&b->scan);
	free(p->name);
	free(p);
	*pull = NULL;
}
