/* The folder's metadata, range by range. By sequence number, so that a folder whose UIDs are sparse costs no more than a dense one;
   each range begins with the last message of the one before. If that message is no longer where it was, something in front of it was
   expunged and all that follows moved up: then we step back until a message is met that was returned already, so that nothing is
   passed over. A server whose numbers make no sense (UIDs that do not ascend, messages that move for ever) is listed by UID. */
#include "imap/pull_parts.h"

#include "engine/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS "(UID FLAGS INTERNALDATE RFC822.SIZE)"
enum {
	RANGE = 5000,     /* most messages of one command: the parser keeps its text */
	AGAIN_SET = 4096, /* octets of a set of UIDs */
	BACKS_MOST = 20,
	TOPS_MOST = 10,
	REFUSED_MOST = 10,
	EMPTY_MOST = 20,     /* ranges in a row without any message */
	GROWTH_MOST = 100000 /* messages that may come beyond twice what there was */
};

struct gather {
	struct pull *p;
	struct pull_meta *v;
	size_t cap, n; /* by UID: n are filled; by sequence number: slots for [first, first + n) */
	uint32_t first;
	bool overlaps;       /* first - 1 is asked for as well */
	uint32_t before_uid; /* its UID */
	uint64_t low, high;  /* by UID: what was asked for */
	bool overflow;
	size_t filled; /* by sequence number: slots that have a UID */
};

static void take_flags(const struct fetch_line *line, struct pull_meta *m)
{
	if (!line->has_flags)
		return;
	m->flags = line->flags;
	memcpy(m->keywords, line->keywords, strlen(line->keywords) + 1);
	m->keywords_cut = line->keywords_cut;
}

static void take_line(const struct fetch_line *line, struct pull_meta *m)
{
	if (line->has_size)
		m->size = line->size;
	if (line->date.known)
		m->received = line->date;
	take_flags(line, m);
}

static void on_line_by_seq(void *ctx, const struct fetch_line *line)
{
	struct gather *g = ctx;
	if (line->seq + 1 == g->first && line->uid != 0 && g->before_uid == 0)
		g->before_uid = line->uid;
	if (line->seq < g->first || line->seq - g->first >= g->n)
		return; /* news of another message */
	struct pull_meta *m = &g->v[line->seq - g->first];
	if (line->uid != 0 && m->uid == 0) {
		m->uid = line->uid;
		g->filled++;
	} else if (line->uid != 0 && m->uid != line->uid) {
		g->p->list.odd++; /* one message with two UIDs: the first counts */
		return;
	}
	take_line(line, m);
}

static void on_line_by_uid(void *ctx, const struct fetch_line *line)
{
	struct gather *g = ctx;
	if (line->uid == 0)
		return;
	/* "5:*" and the like also bring the last message when it is below */
	if (line->uid < g->low || line->uid > g->high)
		return;
	if (g->n == g->cap) {
		g->overflow = true;
		return;
	}
	struct pull_meta *m = &g->v[g->n++];
	*m = (struct pull_meta){.uid = line->uid};
	take_line(line, m);
}

static int compare_uid(const void *a, const void *b)
{
	const struct pull_meta *x = a, *y = b;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* One command. 0: OK. 1: refused, *err says why in case it matters. -1: lost, or a refusal that is about more than the range. */
static int ask(struct pull *p, const struct fetch_sink *sink, const char *verb, const char *set, const char *items,
	struct err *err)
{
	enum reply reply;
	struct lister *l = &p->list;
	/* Each command brings a range nearer to its end, or is one of the bounded number that steps back, halves or looks again. */
	uint64_t most = 20000 + 8 * ((uint64_t)p->state.exists / 100 + box_exists(p->conn) / 100);
	if (++l->commands > most)
		return err_set(err, ERR_PROTOCOL, "the listing of folder %s does not come to an end", p->name);
	if (stop_is_asked(p->conf.stop))
		return err_set(err, ERR_STOPPED, "stopped");
	if (fetch_ask(p->conn, sink, &reply, err, "%s %s %s", verb, set, items) < 0)
		return -1;
	if (reply == REPLY_OK)
		return 0;
	box_refusal(p->conn, reply, err, "messages cannot be listed");
	return err->kind == ERR_FOLDER ? 1 : -1;
}

/* --- by sequence number --- */

/* Text of the slots without a UID, as much as fits a command, from slot *at on. */
static void missing_set(const struct gather *g, size_t *at, char *out, size_t size)
{
	size_t len = 0;
	out[0] = '\0';
	while (*at < g->n) {
		if (g->v[*at].uid != 0) {
			++*at;
			continue;
		}
		size_t end = *at + 1;
		while (end < g->n && g->v[end].uid == 0)
			end++;
		if (len + 24 > size)
			return;
		len += (size_t)snprintf(out + len, size - len, "%s%lu:%lu", len ? "," : "",
			(unsigned long)g->first + *at, (unsigned long)g->first + end - 1);
		*at = end;
	}
}

/* A message whose line could not be read, or that came without UID, is asked for its UID alone: it must not vanish. What stays
   unanswered then is expunged. */
static int look_again(struct gather *g, struct err *err)
{
	char set[4096];
	const struct fetch_sink sink = {.line = on_line_by_seq, .ctx = g};
	for (size_t at = 0; at < g->n && g->filled < g->n;) {
		missing_set(g, &at, set, sizeof(set));
		if (set[0] && ask(g->p, &sink, "FETCH", set, "(UID)", err) < 0)
			return -1;
	}
	return 0;
}

/* The server had no occasion to say that the folder shrank: true if it did and g is smaller now. */
static int ask_news(struct gather *g, bool *shrank, struct err *err)
{
	if (conn_noop(g->p->conn, err) < 0)
		return -1;
	uint32_t exists = box_exists(g->p->conn);
	*shrank = exists < g->first + g->n - 1;
	if (*shrank)
		g->n = exists < g->first ? 0 : exists - g->first + 1;
	return 0;
}

/* One message is refused with all its items: its UID alone may still be had, and its body is then asked for like any other. */
static int give_up_one(struct gather *g, struct err *err)
{
	struct lister *l = &g->p->list;
	if (++l->refused > REFUSED_MOST + l->returned / 10)
		return -1; /* nothing can be listed here at all */
	log_err(LOG_WARN, err, "folder %s, message number %lu", g->p->name, (unsigned long)g->first);
	l->unreadable_seq = g->first;
	return look_again(g, err);
}

/* Fills g for [first, first + n), with the message before it. A range that is refused is halved until what is refused is one
   message. */
static int fetch_range(struct gather *g, struct err *err)
{
	char set[40];
	bool asked_news = false, shrank;
	const struct fetch_sink sink = {.line = on_line_by_seq, .ctx = g};
	while (g->n > 0) {
		memset(g->v, 0, g->n * sizeof(*g->v));
		g->before_uid = 0;
		g->filled = 0;
		snprintf(set, sizeof(set), "%lu:%lu", (unsigned long)g->first - g->overlaps,
			(unsigned long)g->first + g->n - 1);
		int rc = ask(g->p, &sink, "FETCH", set, ITEMS, err);
		if (rc <= 0)
			return rc < 0 ? -1 : look_again(g, err);
		if (!asked_news) {
			asked_news = true;
			if (ask_news(g, &shrank, err) < 0)
				return -1;
			if (shrank)
				continue;
		}
		if (g->n == 1)
			return give_up_one(g, err);
		g->n = (g->n + 1) / 2;
	}
	return 0;
}

/* Back to where messages were returned already. */
static void step_back(struct lister *l, uint32_t from)
{
	uint32_t step = 64;
	for (unsigned i = 0; i < l->backs % 5; i++)
		step *= 16;
	l->next_seq = from > step ? from - step : 1;
	l->backs++;
}

static void go_by_uid(struct lister *l, uint64_t from)
{
	l->by_uid = true;
	l->next_uid = from;
	l->window = RANGE;
	l->top = 0;
}

/* Drops empty slots and what was returned already. False: the numbers make no sense, or we must step back. */
static bool digest_range(struct pull *p, struct gather *g)
{
	struct lister *l = &p->list;
	uint32_t first_uid = g->before_uid, last = g->before_uid;
	bool ascending = true;
	size_t n = 0;
	for (size_t i = 0; i < g->n; i++) {
		uint32_t uid = g->v[i].uid;
		if (uid == 0)
			continue;
		ascending = ascending && uid > last;
		last = uid;
		if (first_uid == 0)
			first_uid = uid;
		if (uid > l->last_uid) {
			if (n != i)
				g->v[n] = g->v[i];
			n++;
		}
	}
	if (!ascending) {
		l->odd++;
		go_by_uid(l, 1);
		return false;
	}
	if (g->overlaps && first_uid > l->last_uid) {
		if (l->backs >= BACKS_MOST)
			go_by_uid(l, (uint64_t)l->last_uid + 1);
		else
			step_back(l, g->first - 1);
		return false;
	}
	l->next_seq = g->first + (uint32_t)g->n;
	if (l->next_seq < g->first)
		l->next_seq = UINT32_MAX;
	if (n > 0)
		l->last_uid = g->v[n - 1].uid;
	g->n = n;
	return true;
}

/* 0 and *n > 0, or *n 0: at the end, or it goes on by UID. */
static int list_by_seq(struct pull *p, struct pull_meta *out, size_t cap, size_t *n, struct err *err)
{
	struct lister *l = &p->list;
	*n = 0;
	while (!l->by_uid) {
		uint32_t exists = box_exists(p->conn);
		if (exists == 0 || l->next_seq == exists + 1)
			return 0;
		if (l->next_seq > exists) /* it shrank: is the last one a message that was returned? */
			l->next_seq = exists;
		struct gather g = {.p = p, .v = out, .cap = cap, .first = l->next_seq};
		/* not where the one before made the server refuse: it would again */
		g.overlaps = g.first > 1 && l->last_uid != 0 && g.first - 1 != l->unreadable_seq;
		g.n = exists - l->next_seq + 1 < cap ? exists - l->next_seq + 1 : cap;
		if (fetch_range(&g, err) < 0)
			return -1;
		l->empty = g.filled ? 0 : l->empty + 1;
		if (l->empty >= EMPTY_MOST)
			return 0; /* the server counts messages that it does not list: the caller compares with pull_exists */
		if (!digest_range(p, &g))
			continue;
		if (g.n > 0) {
			*n = g.n;
			return 0;
		}
	}
	return 0;
}

/* --- by UID --- */

static void on_top(void *ctx, const struct fetch_line *line)
{
	uint64_t *top = ctx;
	if (line->uid > *top)
		*top = line->uid;
}

static int find_top(struct pull *p, struct err *err)
{
	struct lister *l = &p->list;
	const struct fetch_sink sink = {.line = on_top, .ctx = &l->top};
	if (box_exists(p->conn) == 0)
		return 0;
	l->tops++;
	int rc = ask(p, &sink, "FETCH", "*", "(UID)", err);
	if (rc <= 0)
		return rc;
	if (p->state.uidnext == 0)
		return -1;
	if (l->top < p->state.uidnext - 1)
		l->top = p->state.uidnext - 1;
	return 0;
}

/* In order and each once. */
static size_t sort_unique(struct pull *p, struct pull_meta *v, size_t n)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), compare_uid);
	size_t kept = 1;
	for (size_t i = 1; i < n; i++) {
		if (v[i].uid == v[kept - 1].uid) {
			p->list.odd++;
			if (v[kept - 1].size == 0)
				v[kept - 1].size = v[i].size;
		} else {
			v[kept++] = v[i];
		}
	}
	return kept;
}

static int list_by_uid(struct pull *p, struct pull_meta *out, size_t cap, size_t *n, struct err *err)
{
	struct lister *l = &p->list;
	char set[40];
	*n = 0;
	for (;;) {
		if (l->next_uid > l->top) {
			uint64_t before = l->top;
			if (l->tops >= TOPS_MOST || find_top(p, err) < 0)
				return l->tops >= TOPS_MOST ? 0 : -1;
			if (l->top == before || l->next_uid > l->top)
				return 0;
		}
		uint64_t high = l->next_uid + l->window - 1 < l->top ? l->next_uid + l->window - 1 : l->top;
		struct gather g = {.p = p, .v = out, .cap = cap, .low = l->next_uid, .high = high};
		const struct fetch_sink sink = {.line = on_line_by_uid, .ctx = &g};
		snprintf(set, sizeof(set), "%llu:%llu", (unsigned long long)g.low, (unsigned long long)high);
		int rc = ask(p, &sink, "UID FETCH", set, ITEMS, err);
		if (rc < 0)
			return -1;
		bool dense = g.overflow && l->window > cap;
		if (dense || (rc > 0 && l->window > 1)) {
			l->window = l->window > 16 ? l->window / 4 : 1;
			continue;
		}
		if (rc > 0 || g.overflow)
			l->odd++;
		l->next_uid = high + 1;
		if (g.n < cap / 4 && l->window < UINT32_MAX)
			l->window *= 4;
		*n = sort_unique(p, out, g.n);
		if (*n > 0)
			return 0;
	}
}

int pull_list(struct pull *p, struct pull_meta *out, size_t cap, size_t *n, struct err *err)
{
	struct lister *l = &p->list;
	*n = 0;
	while (p->bodies.n_flights > 0)
		if (pull_receive(p, err) < 0)
			return err_wrap_name(err, "folder", p->name);
	if (!l->begun) {
		l->begun = true;
		l->next_seq = 1;
	}
	if (cap > RANGE)
		cap = RANGE;
	/* somebody who delivers faster than we list must not keep us here */
	if (cap == 0 || l->returned > 2 * (uint64_t)p->state.exists + GROWTH_MOST)
		return 0;
	int rc = 0;
	if (!l->by_uid)
		rc = list_by_seq(p, out, cap, n, err);
	if (rc == 0 && *n == 0 && l->by_uid)
		rc = list_by_uid(p, out, cap, n, err);
	l->returned += *n;
	return rc < 0 ? err_wrap_name(err, "folder", p->name) : 0;
}

/* --- again --- */

static void on_line_known(void *ctx, const struct fetch_line *line)
{
	struct gather *g = ctx;
	struct pull_meta key = {.uid = line->uid}, *m = bsearch(&key, g->v, g->n, sizeof key, compare_uid);
	if (m)
		take_flags(line, m);
}

int pull_list_again(struct pull *p, struct pull_meta *v, size_t n, struct err *err)
{
	struct gather g = {.p = p, .v = v, .n = n};
	const struct fetch_sink sink = {.line = on_line_known, .ctx = &g};
	qsort(v, n, sizeof *v, compare_uid);
	for (size_t i = 0; i < n;) {
		char set[AGAIN_SET];
		size_t len = 0;
		for (; i < n && len + 12 < sizeof set; i++)
			len += (size_t)snprintf(set + len, sizeof set - len, "%s%" PRIu32, len ? "," : "", v[i].uid);
		if (ask(p, &sink, "UID FETCH", set, "(UID FLAGS)", err) < 0)
			return -1;
	}
	err_clear(err); /* a refusal: what is known must do */
	return 0;
}
