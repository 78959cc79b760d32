#include "engine/roster.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

void roster_done(struct roster *r)
{
	for (size_t i = 0; i < r->n; i++)
		schedule_free(&r->v[i].schedule);
	free(r->v);
	*r = (struct roster){0};
}

struct course *roster_find(struct roster *r, int64_t batch_id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].batch.id == batch_id)
			return &r->v[i];
	return NULL;
}

unsigned course_mailboxes(const struct course *c)
{
	return c->night.auto_ramp ? c->ramp.now : c->batch.max_mailboxes;
}

void course_rates(const struct course *c, struct limit_rates *out)
{
	*out = (struct limit_rates){.endpoint = (double)c->endpoint.bytes_per_s,
		.batch = (double)c->batch.bytes_per_s,
		.target = (double)c->target.bytes_per_s,
		.share = c->now.share > 0 ? c->now.share : 1,
		.ceiling = limit_ceiling(&c->target)};
}

/* --- reading ------------------------------------------------------------------------------------ */

static bool runs(enum batch_state s)
{
	return s == BATCH_SYNCING || s == BATCH_STOPPING || s == BATCH_COMPLETING;
}

static int read_course(struct course *c, const struct batch *b, struct store *s, int64_t stretch_ms, struct err *err)
{
	c->batch = *b;
	if (store_endpoint_by_id(s, b->endpoint_id, &c->endpoint, err) ||
		store_target_by_id(s, b->target_id, &c->target, err) || store_night_get(s, b->id, &c->night, err) ||
		(!c->has_saved && store_pace_get(s, b->id, &c->saved, err)))
		return -1;
	c->has_saved = true;
	schedule_free(&c->schedule);
	c->bad = ERR_INIT;
	if (night_schedule(&c->night, &c->schedule, &c->bad))
		err_wrap(&c->bad, "its windows cannot be read");
	if (c->ramp_from != b->max_mailboxes) {
		unsigned most = b->max_mailboxes ? b->max_mailboxes : 2;
		ramp_init(&c->ramp, most, clock_mono_ms(), stretch_ms);
		c->ramp_from = b->max_mailboxes;
	}
	c->seen = true;
	return 0;
}

static struct course *add_course(struct roster *r, struct err *err)
{
	struct course *v = realloc(r->v, (r->n + 1) * sizeof *v);
	if (!v) {
		err_set(err, ERR_MEMORY, "no memory for another batch");
		return NULL;
	}
	r->v = v;
	v[r->n] = (struct course){.closed = ERR_INIT, .bad = ERR_INIT};
	return &v[r->n++];
}

static void drop_unseen(struct roster *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].seen)
			r->v[kept++] = r->v[i];
		else
			schedule_free(&r->v[i].schedule);
	}
	r->n = kept;
}

int roster_read(struct roster *r, struct store *s, struct err *err)
{
	struct batch *v = NULL;
	size_t n = 0;
	if (store_batch_list(s, &v, &n, err))
		return -1;
	for (size_t i = 0; i < r->n; i++)
		r->v[i].seen = false;
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		if (!runs(v[i].state))
			continue;
		struct course *c = roster_find(r, v[i].id);
		if (!c)
			c = add_course(r, err);
		rc = c ? read_course(c, &v[i], s, r->stretch_ms, err) : -1;
	}
	free(v);
	if (!rc)
		drop_unseen(r);
	return rc;
}

/* --- windows ------------------------------------------------------------------------------------ */

static int save_pace(struct course *c, struct store *s, const struct pace *p, struct err *err)
{
	if (!memcmp(p, &c->saved, sizeof *p))
		return 0;
	c->saved = *p;
	return store_pace_save(s, c->batch.id, p, err);
}

static void log_turn(const struct course *c, const struct night_now *before, bool was_closed)
{
	if (c->closed.kind != ERR_NONE && !was_closed)
		log_line(LOG_INFO, "batch %s: %s", c->batch.name, c->closed.text);
	else if (c->closed.kind == ERR_NONE && was_closed)
		log_line(LOG_INFO, "batch %s: its window opens, with %.0f%% of the rate", c->batch.name,
			c->now.share * 100);
	else if (c->now.share != before->share && c->closed.kind == ERR_NONE && before->share > 0)
		log_line(LOG_INFO, "batch %s: %.0f%% of the rate from now on", c->batch.name, c->now.share * 100);
}

int roster_turn(struct roster *r, struct store *s, int64_t wall, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct course *c = &r->v[i];
		struct night_now before = c->now;
		bool was_closed = c->closed.kind != ERR_NONE;
		night_look(&c->night, c->schedule, wall, &c->now);
		c->closed = c->bad;
		if (c->bad.kind != ERR_NONE)
			c->now = (struct night_now){.open_at = INT64_MAX};
		else if (c->now.share <= 0)
			night_reason(&c->night, c->schedule, &c->now, &c->closed);
		log_turn(c, &before, was_closed);
		struct pace p = c->saved;
		p.open_at = c->now.open_at;
		p.mailboxes = c->night.auto_ramp ? c->ramp.now : 0;
		if (save_pace(c, s, &p, err))
			return -1;
	}
	return 0;
}

/* --- how many at once --------------------------------------------------------------------------- */

static unsigned smaller(unsigned a, unsigned b)
{
	return b && b < a ? b : a;
}

static unsigned most_at_once(const struct course *c)
{
	return smaller(smaller(smaller(1000, c->endpoint.max_mailboxes), c->endpoint.max_connections),
		c->target.max_mailboxes);
}

int roster_pace(struct roster *r, struct store *s, int64_t now_ms, bool waiting, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		struct course *c = &r->v[i];
		char text[RAMP_TEXT] = "";
		if (!c->night.auto_ramp) /* the person's number: only advice is given */
			c->ramp.now = c->batch.max_mailboxes;
		struct ramp_sight sight = {.active = c->active,
			.most = waiting ? most_at_once(c) : c->ramp.now,
			.per_s = c->per_s,
			.troubles = c->troubles,
			.held_back = c->active && c->held_back * 2 > c->active};
		enum ramp_step step = ramp_see(&c->ramp, now_ms, &sight, c->night.auto_ramp, text);
		struct pace p = c->saved;
		p.advice = c->ramp.advice;
		if (step != RAMP_STAY) {
			memset(p.text, 0, sizeof p.text);
			snprintf(p.text, sizeof p.text, "%s", text);
			log_line(LOG_INFO, "batch %s: %s", c->batch.name, text);
		}
		if (c->night.auto_ramp)
			p.mailboxes = c->ramp.now;
		if (save_pace(c, s, &p, err))
			return -1;
	}
	return 0;
}
