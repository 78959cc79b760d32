/* A mailbox waits in one of a few places: at a gate (whose scopes say for what), for room in its queue (the destination is behind), for
   something in its queue (the source is behind). One look finds where it is now; the finding of most looks of the last seconds is shown.

   The lock is held while the scopes are asked and the row is queued: below it only the throttle's and the writer's own locks are taken, and
   never the other way round. */
#include "engine/live.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/utf8.h"
#include "engine/binding.h"
#include "engine/limit.h"

#include <stdlib.h>
#include <string.h>

#define SAVE_MS 1000
#define MESSAGE_WEIGHT 8192 /* octets that a request weighs beside what it carries */

void live_begin(struct live *l, struct store *s, const struct user *u)
{
	struct err err = ERR_INIT;
	memset(l, 0, sizeof *l);
	l->user_id = u->id;
	snprintf(l->who, sizeof l->who, "%s", u->source_user);
	pthread_mutex_init(&l->lock, NULL);
	l->parting = ERR_INIT;
	if (store_live_get(s, u->id, &l->row, &err))
		log_err(LOG_WARN, &err, "mailbox %s", l->who);
	l->refused_before = l->row.refused;
	l->looked_ms = clock_mono_ms();
}

void live_conclude(struct live *l, struct store *s)
{
	struct err err = ERR_INIT;
	pthread_mutex_lock(&l->lock);
	bool parted = l->parting.kind == ERR_DEFERRED;
	struct live_row last = {.at = clock_wall_s(),
		.binding = parted ? l->parting_binding : BIND_NOTHING,
		.fenced_ms = l->row.fenced_ms,
		.refused = l->row.refused,
		.deferrals = l->row.deferrals + parted};
	if (parted)
		snprintf(last.detail, sizeof last.detail, "%.300s", l->parting.text);
	if (!l->concluded && store_live_save(s, l->user_id, &last, &err))
		log_err(LOG_WARN, &err, "mailbox %s", l->who);
	l->concluded = true;
	pthread_mutex_unlock(&l->lock);
}

void live_end(struct live *l, struct store *s)
{
	live_conclude(l, s);
	pthread_mutex_destroy(&l->lock);
}

void live_attach(struct live *l, struct limits *limits, struct parcel_queue *queue)
{
	pthread_mutex_lock(&l->lock);
	l->limits = limits;
	l->queue = queue;
	pthread_mutex_unlock(&l->lock);
}

void live_detach(struct live *l)
{
	pthread_mutex_lock(&l->lock);
	l->limits = NULL;
	l->queue = NULL;
	pthread_mutex_unlock(&l->lock);
}

void live_part(struct live *l, enum binding binding, const struct err *why)
{
	pthread_mutex_lock(&l->lock);
	if (l->parting.kind == ERR_NONE) {
		l->parting = *why;
		l->parting_binding = binding;
	}
	pthread_mutex_unlock(&l->lock);
}

bool live_is_parting(struct live *l)
{
	pthread_mutex_lock(&l->lock);
	bool is = l->parting.kind != ERR_NONE;
	pthread_mutex_unlock(&l->lock);
	return is;
}

void live_take_parting(struct live *l, struct err *err)
{
	pthread_mutex_lock(&l->lock);
	if (l->parting.kind != ERR_NONE)
		*err = l->parting;
	pthread_mutex_unlock(&l->lock);
}

void live_wait(struct live *l, enum live_side side, int64_t until_ms, const struct err *why)
{
	struct live_wait *w = &l->waits[side];
	pthread_mutex_lock(&l->lock);
	if (!w->n++ || until_ms > w->until_ms) {
		w->until_ms = until_ms;
		w->why = *why;
	}
	pthread_mutex_unlock(&l->lock);
}

void live_woke(struct live *l, enum live_side side)
{
	pthread_mutex_lock(&l->lock);
	l->waits[side].n--;
	pthread_mutex_unlock(&l->lock);
}

/* --- what binds it --- */

/* What one look sees. */
struct sight {
	struct limit_view v;
	struct parcel_view q;
	const struct live_wait *fence; /* v's fence is this wait; NULL: a gate's */
	int64_t now_ms;
};

/* Does a side's wait hold the mailbox back? Not while the other goes on with what it has. */
static bool is_held(const struct live *l, enum live_side side, const struct sight *s)
{
	return l->waits[side].n && (side == LIVE_SOURCE ? s->q.empty : !s->v.target_in_flight);
}

/* A server that asked to wait, where the job sleeps instead of a gate, is a fence like any other. */
static void add_fence(const struct live *l, enum live_side side, struct sight *s)
{
	const struct live_wait *w = &l->waits[side];
	if (!is_held(l, side, s) || !err_asks_to_wait(&w->why) || w->until_ms - s->now_ms <= s->v.fenced_ms)
		return;
	s->fence = w;
	s->v.fenced_ms = w->until_ms - s->now_ms;
	s->v.fence_is_own =
		side == LIVE_TARGET || w->why.retry_after_ms <= 0; /* else limit_source_refused closes the host */
	snprintf(s->v.fence_scope, sizeof s->v.fence_scope, side == LIVE_SOURCE ? "the source" : "the destination");
	snprintf(s->v.fence_words, sizeof s->v.fence_words, "%s", w->why.server[0] ? w->why.server : w->why.text);
	utf8_trim(s->v.fence_words);
}

static void say_fence(const struct sight *s, struct finding *f)
{
	const struct live_wait *w = s->fence;
	snprintf(f->detail, sizeof f->detail, "%s asked to wait%s%s%s", s->v.fence_scope,
		w->why.retry_after_ms <= 0 ? ", and not for how long: it is tried again then" : "",
		w->why.hint[0] ? "; " : "", w->why.hint);
	utf8_trim(f->detail);
	f->binding = BIND_FENCE;
}

/* Something failed, and the job sleeps before it tries again: why, and until when. */
static bool find_wait(const struct live *l, const struct sight *s, struct finding *f)
{
	enum live_side side = is_held(l, LIVE_SOURCE, s) ? LIVE_SOURCE : LIVE_TARGET;
	const struct live_wait *w = &l->waits[side];
	char at[CLOCK_TEXT], line[sizeof f->detail];
	if (!is_held(l, side, s))
		return false;
	int64_t left = w->until_ms > s->now_ms ? w->until_ms - s->now_ms : 0;
	clock_format(clock_wall_s() + (left + 999) / 1000, at, sizeof at);
	f->binding = side == LIVE_SOURCE ? BIND_SOURCE : BIND_NETWORK;
	if (w->why.kind == ERR_NONE)
		snprintf(f->detail, sizeof f->detail, "%s, at %s", w->why.text, at);
	else
		snprintf(
			f->detail, sizeof f->detail, "tried again at %s: %s", at, err_line(&w->why, line, sizeof line));
	utf8_trim(f->detail);
	return true;
}

static void vote(struct live *l, const struct finding *f)
{
	unsigned count[BINDINGS_END] = {0};
	enum binding best = BIND_NOTHING;
	l->votes[l->next_vote] = f->binding;
	l->next_vote = (l->next_vote + 1) % LIVE_VOTES;
	if (l->n_votes < LIVE_VOTES)
		l->n_votes++;
	for (unsigned i = 0; i < l->n_votes; i++)
		count[l->votes[i]]++;
	for (enum binding b = 0; b < BINDINGS_END; b++)
		if (b != BIND_NOTHING && count[b] > count[best])
			best = b;
	if (count[best] == 0)
		best = BIND_NOTHING;
	bool changed = best != l->row.binding;
	l->row.binding = best;
	if (f->binding == best || changed) /* a text of another finding would not fit it */
		snprintf(l->row.detail, sizeof l->row.detail, "%s", f->binding == best ? f->detail : "");
}

static void show(struct live *l, const struct sight *s, int64_t passed_ms)
{
	const struct limit_view *v = &s->v;
	struct live_row *r = &l->row;
	r->bytes_per_s = (uint64_t)v->bytes_per_s;
	r->limit_per_s = (uint64_t)v->limit_per_s;
	r->requests = (unsigned)(v->requests_per_s * 60);
	r->requests_limit = (unsigned)(v->requests_limit_per_s * 60);
	r->in_flight = v->in_flight;
	r->in_flight_limit = v->in_flight_limit;
	r->refused = (unsigned)(l->refused_before + v->refused);
	if (v->fenced_ms > 0)
		r->fenced_ms += (uint64_t)passed_ms;
	r->fenced_until = v->fenced_ms > 0 ? clock_wall_s() + (v->fenced_ms + 999) / 1000 : 0;
	snprintf(r->fence_words, sizeof r->fence_words, "%s", v->fence_words);
	bool waits = s->fence || v->target_waiting || v->source_waiting; /* else another route may go on */
	l->is_shut = v->fenced_ms > 0 && v->fence_is_own && waits && !v->target_in_flight && v->bytes_per_s <= 0 &&
		     v->requests_per_s <= 0;
	l->work_per_s = v->bytes_per_s + v->requests_per_s * MESSAGE_WEIGHT;
}

/* How long the destination has given nothing although something waits for it: neither a limit nor a fence of ours holds it. */
static int64_t quiet_for(struct live *l, const struct sight *s)
{
	const struct limit_view *v = &s->v;
	const struct parcel_view *q = &s->q;
	bool at_gate = v->fenced_ms > 0 || v->line.waits || (v->target_waiting && v->target_wait != DIM_IN_FLIGHT);
	bool awaits = v->in_flight || q->full || q->bytes > 0;
	if (at_gate || !awaits || is_held(l, LIVE_TARGET, s) || v->bytes_per_s > 0 || v->requests_per_s > 0)
		l->quiet_since_ms = 0;
	else if (!l->quiet_since_ms)
		l->quiet_since_ms = s->now_ms;
	return l->quiet_since_ms ? s->now_ms - l->quiet_since_ms : 0;
}

static void find(struct live *l, struct sight *s, double share, struct finding *f)
{
	for (enum live_side side = 0; side < LIVE_SIDES; side++)
		add_fence(l, side, s);
	int64_t quiet_ms = quiet_for(l, s);
	if (s->fence)
		say_fence(s, f);
	else if (s->v.fenced_ms > 0 || !find_wait(l, s, f))
		binding_find(&s->v, &s->q, share, l->uploads, quiet_ms, f);
}

static void look(struct live *l, double share, int64_t now_ms)
{
	struct sight s = {.now_ms = now_ms};
	struct finding f = {.binding = BIND_NOTHING};
	if (l->limits) {
		limit_look(l->limits, &s.v);
		parcel_queue_look(l->queue, &s.q);
		find(l, &s, share, &f);
		show(l, &s, now_ms - l->looked_ms);
	} else {
		l->is_shut = false;
		binding_say(&f, BIND_NOTHING, "it signs in, or ends");
	}
	vote(l, &f);
	l->looked_ms = now_ms;
}

void live_look(struct live *l, struct store *s, double share)
{
	struct err err = ERR_INIT;
	int64_t now_ms = clock_mono_ms();
	pthread_mutex_lock(&l->lock);
	look(l, share, now_ms);
	if (!l->concluded && (now_ms - l->saved_ms >= SAVE_MS || !l->saved_ms)) {
		l->saved_ms = now_ms;
		l->row.at = clock_wall_s();
		if (store_live_save(s, l->user_id, &l->row, &err))
			log_err(LOG_WARN, &err, "mailbox %s", l->who);
	}
	pthread_mutex_unlock(&l->lock);
}

void live_set(struct live *l, const struct limit_rates *rates, unsigned uploads)
{
	pthread_mutex_lock(&l->lock);
	if (l->limits) {
		limit_set(l->limits, rates);
		if (uploads != l->uploads)
			parcel_queue_set_takers(l->queue, uploads);
		l->uploads = uploads;
	}
	pthread_mutex_unlock(&l->lock);
}

void live_save_lessons(struct live *l, struct store *s)
{
	struct limit_lesson *lessons = calloc(LIMIT_SCOPES, sizeof *lessons);
	struct err err = ERR_INIT;
	size_t n = 0;
	pthread_mutex_lock(&l->lock);
	if (l->limits && lessons)
		n = limit_lessons(l->limits, lessons);
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < n; i++)
		if (store_learned_save(s, lessons[i].path, &lessons[i].learned, clock_wall_s(), &err))
			log_err(LOG_WARN, &err, "what was learned about %s", lessons[i].path);
	free(lessons);
}
