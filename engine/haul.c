#include "engine/haul.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/budget_day.h"
#include "engine/intent.h"
#include "imap/flags.h"

#include <stdlib.h>
#include <string.h>

#define GROUP_ITEMS 64 /* messages intended in one commit */
#define GROUP_BYTES ((uint64_t)512 * 1024)
#define SUSPECT_STRIKES 2

struct haul {
	struct job *j;
	struct route_folder *f;
	struct pull *pull;                 /* borrowed: of the fetch at hand */
	struct parcel *group, **group_end; /* fetched, not yet intended */
	struct item items[GROUP_ITEMS];
	size_t n_group;
	uint64_t group_bytes;
	uint64_t fetched; /* octets, for the day's budget */
	bool got_on;      /* something new was read: the count of tries starts anew */
};

struct haul *haul_new(struct job *j, struct route_folder *f, struct err *err)
{
	struct haul *h = calloc(1, sizeof *h);
	if (!h) {
		err_set(err, ERR_MEMORY, "no memory for a folder");
		return NULL;
	}
	h->j = j;
	h->f = f;
	h->group_end = &h->group;
	return h;
}

static int hand_over(struct haul *h, struct err *err)
{
	struct job *j = h->j;
	if (!h->n_group)
		return 0;
	int rc = store_intend(j->work->store, j->user.id, j->user.lease_epoch, h->items, h->n_group, err);
	if (!rc && parcel_queue_put(j->queue, &h->group, err)) {
		intent_withdraw(j, &h->group);
		rc = -1;
	}
	while (h->group) { /* not intended: the next walk finds them again */
		struct parcel *p = h->group;
		h->group = p->next;
		parcel_release(j->memory, &p);
	}
	h->group_end = &h->group;
	h->n_group = 0;
	h->group_bytes = 0;
	return rc;
}

static int add_to_group(struct haul *h, struct mail **m, unsigned route, struct err *err)
{
	struct parcel *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for a message");
	p->mail = *m;
	p->folder = h->f;
	p->route = route;
	p->alone = h->f->one_by_one;
	*m = NULL;
	*h->group_end = p;
	h->group_end = &p->next;
	struct item *rec = &h->items[h->n_group++];
	intent_fill(h->f, p->mail, ITEM_INTENDED, NULL, rec);
	snprintf(rec->receipt.route, sizeof rec->receipt.route, "%s", h->j->routes[route].ops->name);
	memcpy(p->key, rec->key, sizeof p->key);
	h->group_bytes += p->mail->print.size;
	return h->n_group == GROUP_ITEMS || h->group_bytes >= GROUP_BYTES ? hand_over(h, err) : 0;
}

int haul_set_aside(struct haul *h, const struct mail *m, enum item_state state, const struct err *why, struct err *err)
{
	struct item rec;
	intent_fill(h->f, m, state, NULL, &rec);
	rec.error_kind = why->kind;
	err_line(why, rec.error, sizeof rec.error);
	return store_set_aside(h->j->work->store, h->j->user.id, h->j->user.lease_epoch, &rec, 1, err);
}

static int note_dropped_keywords(struct haul *h, const struct mail *m, struct err *err)
{
	if (!m->keywords || !m->keywords[0])
		return 0;
	char flags[MAIL_KEYWORDS + 128], text[MODEL_ERROR];
	unsigned dropped = 0;
	struct err ignored = ERR_INIT;
	bool exchange = h->j->target_login.row.kind == TARGET_EXCHANGE;
	flags_format(m->flags, m->keywords, exchange ? FLAGS_EXCHANGE : FLAGS_GENERIC, flags, sizeof flags, &dropped,
		&ignored);
	snprintf(text, sizeof text,
		"folder \"%.300s\" has messages with more keywords than can be taken along (%d octets together): the "
		"last "
		"ones were left out",
		h->f->source->name, MAIL_KEYWORDS - 1);
	if (m->keywords_cut && store_note(h->j->work->store, h->j->user.id, "keywords-cut", text, err))
		return -1;
	if (!dropped)
		return 0;
	return store_note(h->j->work->store, h->j->user.id, "keywords",
		"keywords that programs leave behind ($MDNSent, $Junk, ...) or that the destination cannot hold were "
		"left out",
		err);
}

/* One message that was fetched: into the queue, or recorded as what it is. */
static int take_mail(struct haul *h, struct mail **m, const struct err *item, struct err *err)
{
	struct job *j = h->j;
	struct err why = *item;
	if (job_spares(j, h->f, LIVE_SOURCE, &why))
		return 0;
	if (why.kind == ERR_BUSY)
		why.kind = ERR_MESSAGE;
	if (why.kind != ERR_NONE)
		return haul_set_aside(h, *m, why.kind == ERR_GONE ? ITEM_GONE : ITEM_REFUSED, &why, err);
	if (j->batch.date_from_header)
		print_date(&(*m)->print, &(*m)->received);
	unsigned route = route_choose(j, h->f, *m, 0, &why);
	if (route == ROUTE_NONE && why.kind == ERR_NONE) /* none is left that may carry anything into this folder */
		return err_set(err, ERR_FOLDER, "no route can use destination folder %s", h->f->mapping->path);
	if (route == ROUTE_NONE)
		return haul_set_aside(h, *m, ITEM_REFUSED, &why, err);
	bool taken = false;
	if (adopt_mail(j, h->f, *m, &taken, err))
		return -1;
	if (taken)
		return 0;
	if (note_dropped_keywords(h, *m, err))
		return -1;
	return add_to_group(h, m, route, err);
}

static int fetch_wanted(struct haul *h, struct err *err)
{
	for (;;) {
		struct mail *m = NULL;
		struct err item = ERR_INIT;
		if (pull_may_block(h->pull) && hand_over(h, err))
			return -1;
		if (job_is_over(h->j))
			return err_set(err, ERR_STOPPED, "stopped");
		if (pull_next(h->pull, &m, &item, err))
			return -1;
		if (!m)
			return hand_over(h, err);
		h->fetched += m->print.size;
		if (item.kind == ERR_NONE) {
			h->got_on = true;
			h->j->source_tries = (struct tries){0};
			atomic_store(&h->j->live->source_pauses, 0);
		}
		int rc = take_mail(h, &m, &item, err);
		if (m)
			pull_release(h->j->memory, &m);
		if (rc)
			return -1;
	}
}

/* Fetches v. In cautious mode one at a time, so that a message that breaks the connection is known by its UID. */
static int fetch(struct haul *h, const struct pull_meta *v, size_t n, struct err *err)
{
	struct route_folder *f = h->f;
	size_t i = 0;
	while (i < n && f->cautious) {
		f->suspect_strikes = f->suspect_uid == v[i].uid ? f->suspect_strikes : 0;
		f->suspect_uid = v[i].uid;
		if (f->suspect_strikes >= SUSPECT_STRIKES) {
			struct mail m = {.uid = v[i].uid,
				.announced = v[i].size,
				.flags = v[i].flags,
				.received = v[i].received};
			struct err why = ERR_INIT;
			err_set(&why, ERR_MESSAGE, "the source breaks the connection whenever UID %u is fetched",
				v[i].uid);
			err_hint(&why,
				"look at this message at the source; it is tried again when the user is started again");
			if (haul_set_aside(h, &m, ITEM_REFUSED, &why, err))
				return -1;
		} else if (pull_want(h->pull, &v[i], 1, err) || fetch_wanted(h, err)) {
			/* Only a loss speaks against the message: not a server that has enough of us, nor trouble on the other side. */
			f->suspect_strikes += conn_is_dead(h->j->source) && !err_asks_to_wait(err);
			return -1;
		}
		i++;
		f->cautious--;
	}
	if (i == n)
		return 0;
	if (pull_want(h->pull, v + i, n - i, err))
		return -1;
	return fetch_wanted(h, err);
}

int haul_fetch(struct haul *h, struct pull *pull, const struct pull_meta *v, size_t n, struct err *err)
{
	struct job *j = h->j;
	struct store *s = j->work->store;
	h->pull = pull;
	while (n) {
		struct day_booking booking;
		size_t k;
		if (budget_day_take_some(s, j->batch.endpoint_id, j->user.source_user, v, n, &k, &booking, err)) {
			if (err->kind == ERR_DEFERRED)
				live_part(j->live, BIND_BUDGET, err);
			return -1;
		}
		uint64_t before = h->fetched;
		int rc = fetch(h, v, k, err);
		struct err late = ERR_INIT;
		if (budget_day_settle(s, &booking, h->fetched - before, &late) && !rc) {
			*err = late;
			rc = -1;
		}
		if (rc)
			return -1;
		v += k;
		n -= k;
	}
	return 0;
}

bool haul_end(struct haul **haul)
{
	struct haul *h = *haul;
	struct err err = ERR_INIT;
	if (!job_is_over(h->j) && hand_over(h, &err))
		log_err(LOG_WARN, &err, "mailbox %s", h->j->user.source_user);
	while (h->group) {
		struct parcel *p = h->group;
		h->group = p->next;
		parcel_release(h->j->memory, &p);
	}
	bool got_on = h->got_on;
	free(h);
	*haul = NULL;
	return got_on;
}
