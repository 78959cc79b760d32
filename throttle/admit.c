#include "throttle/admit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ADMIT_REQUEST_BYTES 32768.0 /* what a request costs beside its bytes, when turns are counted */
#define ADMIT_KEEP_MS 1200000 /* a scope that nobody uses is remembered so long: its ledgers and fences still count */

static int64_t admit_now(struct admit *a, int64_t now_ms)
{
	if (now_ms > a->now_ms)
		a->now_ms = now_ms;
	return a->now_ms;
}

void admit_init(struct admit *a)
{
	*a = (struct admit){.now_ms = INT64_MIN};
}

static void scope_destroy(struct scope *s)
{
	free(s->name);
	free(s);
}

void admit_done(struct admit *a)
{
	assert(!a->first);
	while (a->scopes) {
		struct scope *s = a->scopes;
		a->scopes = s->next;
		scope_destroy(s);
	}
}

/* Drops what was not used for long. A parent that becomes free waits for the next time. */
static void admit_reap(struct admit *a, int64_t now_ms)
{
	for (struct scope **at = &a->scopes; *at;) {
		struct scope *s = *at;
		if (s->users || s->waiting || s->meter.in_flight || s->meter.fence_end_ms > now_ms ||
			now_ms - s->meter.used_ms < ADMIT_KEEP_MS) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		if (s->parent)
			s->parent->users--;
		scope_destroy(s);
	}
}

struct scope *admit_open(
	struct admit *a, int64_t now_ms, struct scope *parent, const char *name, const struct scope_limits *limits)
{
	static const struct scope_limits none;
	now_ms = admit_now(a, now_ms);
	for (struct scope *s = a->scopes; s; s = s->next) {
		if (s->parent == parent && !strcmp(s->name, name)) {
			s->users++;
			return s;
		}
	}
	admit_reap(a, now_ms);
	if (parent && parent->depth >= ADMIT_DEPTH)
		return NULL;
	struct scope *s = calloc(1, sizeof *s);
	char *copy = strdup(name);
	if (!s || !copy) {
		free(s);
		free(copy);
		return NULL;
	}
	s->home = a;
	s->name = copy;
	s->users = 1;
	s->parent = parent;
	s->depth = parent ? parent->depth + 1 : 1;
	if (parent)
		parent->users++;
	meter_init(&s->meter, now_ms, limits ? limits : &none);
	s->next = a->scopes;
	a->scopes = s;
	return s;
}

void admit_hold(struct scope *s)
{
	s->users++;
}

void admit_close(struct admit *a, int64_t now_ms, struct scope **s)
{
	if (!*s)
		return;
	assert((*s)->users > 0);
	(*s)->users--;
	(*s)->meter.used_ms = admit_now(a, now_ms);
	*s = NULL;
}

/* --- the list of leaves that wait, by turn ---------------------------------------------------------------------------------- */

static void queue_insert(struct admit *a, struct scope *leaf)
{
	struct scope *after = a->last;
	while (after && after->turn > leaf->turn)
		after = after->queue_prev;
	leaf->queue_prev = after;
	leaf->queue_next = after ? after->queue_next : a->first;
	if (leaf->queue_next)
		leaf->queue_next->queue_prev = leaf;
	else
		a->last = leaf;
	if (after)
		after->queue_next = leaf;
	else
		a->first = leaf;
}

static void queue_remove(struct admit *a, struct scope *leaf)
{
	if (leaf->queue_prev)
		leaf->queue_prev->queue_next = leaf->queue_next;
	else
		a->first = leaf->queue_next;
	if (leaf->queue_next)
		leaf->queue_next->queue_prev = leaf->queue_prev;
	else
		a->last = leaf->queue_prev;
	leaf->queue_prev = leaf->queue_next = NULL;
}

static void leaf_block(struct scope *leaf, struct scope *on, int64_t until_ms, enum dimension why)
{
	leaf->blocked_on = on;
	leaf->blocked_seen = on->changes;
	leaf->retry_ms = until_ms;
	leaf->why = why;
	on->blocked++;
}

static void leaf_unblock(struct scope *leaf)
{
	if (leaf->blocked_on)
		leaf->blocked_on->blocked--;
	leaf->blocked_on = NULL;
	leaf->retry_ms = LEDGER_NEVER;
}

static void count_waiting(struct scope *leaf, int by)
{
	for (struct scope *s = leaf; s; s = s->parent)
		s->waiting += (unsigned)by;
}

static void admit_push_wake(struct admit *a, struct waiter *w)
{
	if (w->to_wake)
		return;
	w->to_wake = true;
	w->next_wake = NULL;
	*(a->wake ? &a->wake_last->next_wake : &a->wake) = w;
	a->wake_last = w;
}

struct waiter *admit_take_wake(struct admit *a)
{
	struct waiter *w = a->wake;
	if (w) {
		a->wake = w->next_wake;
		w->to_wake = false;
	}
	return w;
}

static void wake_forget(struct admit *a, struct waiter *w)
{
	struct waiter *before = NULL;
	for (struct waiter *at = a->wake; w->to_wake && at; before = at, at = at->next_wake) {
		if (at != w)
			continue;
		*(before ? &before->next_wake : &a->wake) = w->next_wake;
		if (a->wake_last == w)
			a->wake_last = before;
		w->to_wake = false;
	}
}

/* --- entering --------------------------------------------------------------------------------------------------------------- */

static void leaf_charge(struct admit *a, struct scope *leaf, const struct demand *d)
{
	double start = leaf->turn > a->turn ? leaf->turn : a->turn;
	leaf->turn = start + (double)d->bytes + ADMIT_REQUEST_BYTES * d->requests;
	a->turn = start;
}

/* Who stands in the way? NULL: nobody, and the permit is filled. */
static struct scope *leaf_try(struct admit *a, struct scope *leaf, const struct demand *d, struct permit *p,
	bool queued, struct meter_block *block)
{
	for (struct scope *s = leaf; s; s = s->parent) {
		if (queued ? s->reserved == a->pass : s->blocked > 0) {
			*block = (struct meter_block){.until_ms = LEDGER_NEVER, .why = DIM_NONE};
			return s;
		}
		if (!meter_may(&s->meter, a->now_ms, d, block))
			return s;
	}
	p->leaf = leaf;
	p->demand = *d;
	p->started_ms = a->now_ms;
	size_t i = 0;
	for (struct scope *s = leaf; s; s = s->parent)
		meter_start(&s->meter, a->now_ms, d, &p->at[i++]);
	leaf_charge(a, leaf, d);
	return NULL;
}

/* Grants the leaf's first waiter or notes what it waits for. True: granted. */
static bool leaf_serve(struct admit *a, struct scope *leaf)
{
	struct waiter *w = leaf->head;
	struct meter_block block;
	struct scope *was = leaf->blocked_on;
	leaf_unblock(leaf);
	struct scope *on = leaf_try(a, leaf, &w->demand, w->permit, true, &block);
	if (on) {
		leaf_block(leaf, on, block.until_ms, block.why);
		on->reserved = a->pass;
		if (block.until_ms < w->armed_ms)
			admit_push_wake(a, w);
		return false;
	}
	if (was)
		was->changes++; /* who was kept behind it may look again */
	leaf->head = w->next;
	if (!leaf->head)
		leaf->tail = NULL;
	count_waiting(leaf, -1);
	w->granted = true;
	admit_push_wake(a, w);
	return true;
}

static bool leaf_is_due(const struct scope *leaf, int64_t now_ms)
{
	return !leaf->blocked_on || leaf->retry_ms <= now_ms || leaf->blocked_seen != leaf->blocked_on->changes;
}

void admit_run(struct admit *a, int64_t now_ms)
{
	now_ms = admit_now(a, now_ms);
	a->pass++;
	for (struct scope *leaf = a->first; leaf;) {
		if (!leaf_is_due(leaf, now_ms)) {
			leaf->blocked_on->reserved = a->pass;
			leaf = leaf->queue_next;
			continue;
		}
		struct scope *before = leaf->queue_prev;
		if (!leaf_serve(a, leaf)) {
			leaf = leaf->queue_next;
			continue;
		}
		queue_remove(a, leaf);
		if (leaf->head)
			queue_insert(a, leaf);
		leaf = before ? before->queue_next : a->first;
	}
}

bool admit_try(struct admit *a, int64_t now_ms, struct scope *leaf, const struct demand *d, struct permit *p,
	int64_t *until_ms)
{
	struct meter_block block = {.until_ms = LEDGER_NEVER};
	admit_now(a, now_ms);
	bool may = !leaf->head && !leaf_try(a, leaf, d, p, false, &block);
	*until_ms = block.until_ms;
	return may;
}

void admit_enter(struct admit *a, int64_t now_ms, struct scope *leaf, struct waiter *w, struct permit *p)
{
	int64_t until_ms;
	w->permit = p;
	w->next = NULL;
	w->to_wake = false;
	w->armed_ms = INT64_MIN; /* its owner looks before it sleeps */
	w->granted = admit_try(a, now_ms, leaf, &w->demand, p, &until_ms);
	if (w->granted)
		return;
	count_waiting(leaf, 1);
	if (leaf->tail) {
		leaf->tail->next = w;
		leaf->tail = w;
		return;
	}
	leaf->head = leaf->tail = w;
	leaf->blocked_on = NULL;
	if (leaf->turn < a->turn)
		leaf->turn = a->turn;
	queue_insert(a, leaf);
	admit_run(a, now_ms);
}

void admit_cancel(struct admit *a, int64_t now_ms, struct scope *leaf, struct waiter *w)
{
	struct waiter *before = NULL;
	wake_forget(a, w);
	if (w->granted)
		return;
	for (struct waiter *at = leaf->head; at && at != w; at = at->next)
		before = at;
	if (before)
		before->next = w->next;
	else
		leaf->head = w->next;
	if (leaf->tail == w)
		leaf->tail = before;
	count_waiting(leaf, -1);
	if (before)
		return;
	if (leaf->blocked_on)
		leaf->blocked_on->changes++;
	leaf_unblock(leaf);
	if (!leaf->head)
		queue_remove(a, leaf);
	admit_run(a, now_ms);
}

static bool hint_is_about(const struct throttle_hint *hint, const struct scope *s, const struct scope *leaf)
{
	return hint && (hint->scope_name ? !strcmp(hint->scope_name, s->name) : s == leaf);
}

void admit_leave(struct admit *a, int64_t now_ms, struct permit *p, enum verdict v, const struct throttle_hint *hint,
	uint64_t bytes_sent, unsigned latency_ms)
{
	now_ms = admit_now(a, now_ms);
	struct throttle_hint unnamed = {.dimension = DIM_NONE, .retry_after_ms = -1}, moved;
	if (v == VERDICT_REFUSED && !hint)
		hint = &unnamed;
	bool found = false;
	for (struct scope *s = p->leaf; s && hint; s = s->parent)
		found = found || hint_is_about(hint, s, p->leaf);
	if (hint && !found) { /* a name that is not on the way: the leaf's */
		moved = *hint;
		moved.scope_name = NULL;
		hint = &moved;
	}
	size_t i = 0;
	for (struct scope *s = p->leaf; s; s = s->parent, i++) {
		bool about = hint_is_about(hint, s, p->leaf);
		struct meter_end end = {.verdict = v,
			.hint = about ? hint : NULL,
			.bytes_sent = bytes_sent,
			.latency_ms = latency_ms,
			.started_ms = p->started_ms};
		meter_stop(&s->meter, now_ms, &p->demand, &p->at[i], &end);
		s->changes++;
	}
	p->leaf = NULL;
	if (a->first)
		admit_run(a, now_ms);
}

void admit_touch(struct admit *a, int64_t now_ms, struct scope *s)
{
	s->changes++;
	admit_run(a, now_ms);
}

int64_t admit_retry_at(const struct scope *leaf)
{
	return leaf->head ? leaf->retry_ms : LEDGER_NEVER;
}

int64_t admit_fence_end(const struct scope *leaf, int64_t now_ms)
{
	int64_t end = 0;
	for (const struct scope *s = leaf; s; s = s->parent)
		if (s->meter.fence_end_ms > now_ms && s->meter.fence_end_ms > end)
			end = s->meter.fence_end_ms;
	return end;
}

const struct scope *admit_first_waiting(const struct admit *a, const struct scope *s)
{
	for (const struct scope *leaf = a->first; leaf; leaf = leaf->queue_next)
		for (const struct scope *at = leaf; at; at = at->parent)
			if (at == s)
				return leaf;
	return NULL;
}
