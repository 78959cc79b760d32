/* One folder, walked range by range: what the source lists is compared with what the store knows, and only the difference is fetched. A message
   or folder that cannot be read is set aside by itself; a lost connection is opened again and the walk goes on where the store says. */
#include "engine/job.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/budget_day.h"
#include "engine/intent.h"
#include "engine/provider.h"
#include "imap/flags.h"
#include "imap/mailbox.h"

#include <stdlib.h>
#include <string.h>

#define RANGE 1000     /* messages whose metadata are held at once */
#define GROUP_ITEMS 64 /* messages intended in one commit */
#define GROUP_BYTES ((uint64_t)512 * 1024)
#define FOLDER_TRIES \
	8 /* attempts at one folder that broke off without getting on: three bad messages in a row are survived */
#define STALL_MS (4 * 60 * 1000) /* a source that gave nothing for so long fails the mailbox for now */
#define CAUTIOUS_MESSAGES 200
#define SUSPECT_STRIKES 2
#define CLUSTER_MESSAGES 1000
#define FLAGS_THAT_CHANGE (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED)

struct walk { /* one attempt at a folder */
	struct job *j;
	struct route_folder *f;
	struct pull *pull;
	struct parcel *group, **group_end; /* fetched, not yet intended */
	struct item items[GROUP_ITEMS];
	size_t n_group;
	uint64_t group_bytes;
	uint64_t fetched;   /* octets, for the day's budget */
	bool got_on;        /* something new was read: the count of tries starts anew */
	int64_t cluster_at; /* majority vote over the dates */
	uint64_t cluster_votes, listed, listed_bytes;
};

/* --- handing over ------------------------------------------------------------------------------- */

static int hand_over(struct walk *w, struct err *err)
{
	struct job *j = w->j;
	if (!w->n_group)
		return 0;
	int rc = store_intend(j->work->store, j->user.id, j->user.lease_epoch, w->items, w->n_group, err);
	if (!rc && parcel_queue_put(j->queue, &w->group, err)) {
		intent_withdraw(j, &w->group);
		rc = -1;
	}
	while (w->group) { /* not intended: the next walk finds them again */
		struct parcel *p = w->group;
		w->group = p->next;
		parcel_release(j->work->memory, &p);
	}
	w->group_end = &w->group;
	w->n_group = 0;
	w->group_bytes = 0;
	return rc;
}

static int add_to_group(struct walk *w, struct mail **m, unsigned route, struct err *err)
{
	struct parcel *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for a message");
	p->mail = *m;
	p->folder = w->f;
	p->route = route;
	p->alone = w->f->one_by_one;
	*m = NULL;
	*w->group_end = p;
	w->group_end = &p->next;
	struct item *rec = &w->items[w->n_group++];
	intent_fill(w->f, p->mail, ITEM_INTENDED, NULL, rec);
	snprintf(rec->receipt.route, sizeof rec->receipt.route, "%s", w->j->routes[route].ops->name);
	memcpy(p->key, rec->key, sizeof p->key);
	w->group_bytes += p->mail->print.size;
	return w->n_group == GROUP_ITEMS || w->group_bytes >= GROUP_BYTES ? hand_over(w, err) : 0;
}

static int set_aside(
	struct walk *w, const struct mail *m, enum item_state state, const struct err *why, struct err *err)
{
	struct item rec;
	intent_fill(w->f, m, state, NULL, &rec);
	rec.error_kind = why->kind;
	err_line(why, rec.error, sizeof rec.error);
	return store_set_aside(w->j->work->store, w->j->user.id, w->j->user.lease_epoch, &rec, 1, err);
}

static int note_dropped_keywords(struct walk *w, const struct mail *m, struct err *err)
{
	if (!m->keywords || !m->keywords[0])
		return 0;
	char flags[512];
	unsigned dropped = 0;
	struct err ignored = ERR_INIT;
	bool exchange = w->j->target_login.row.kind == TARGET_EXCHANGE;
	flags_format(m->flags, m->keywords, exchange ? FLAGS_EXCHANGE : FLAGS_GENERIC, flags, sizeof flags, &dropped,
		&ignored);
	if (!dropped)
		return 0;
	return store_note(w->j->work->store, w->j->user.id, "keywords",
		"keywords that programs leave behind ($MDNSent, $Junk, ...) or that the destination cannot hold were "
		"left out",
		err);
}

/* One message that was fetched: into the queue, or recorded as what it is. */
static int take_mail(struct walk *w, struct mail **m, const struct err *item, struct err *err)
{
	struct job *j = w->j;
	struct err why = *item;
	if (why.kind != ERR_NONE)
		return set_aside(w, *m, why.kind == ERR_GONE ? ITEM_GONE : ITEM_REFUSED, &why, err);
	if (j->batch.date_from_header)
		print_date(&(*m)->print, &(*m)->received);
	unsigned route = route_choose(j, w->f, *m, 0, &why);
	if (route == ROUTE_NONE && why.kind == ERR_NONE) /* none is left that may carry anything into this folder */
		return err_set(err, ERR_FOLDER, "no route can use destination folder %s", w->f->mapping->path);
	if (route == ROUTE_NONE)
		return set_aside(w, *m, ITEM_REFUSED, &why, err);
	bool taken = false;
	if (adopt_mail(j, w->f, *m, &taken, err))
		return -1;
	if (taken)
		return 0;
	if (note_dropped_keywords(w, *m, err))
		return -1;
	return add_to_group(w, m, route, err);
}

static int fetch_wanted(struct walk *w, struct err *err)
{
	for (;;) {
		struct mail *m = NULL;
		struct err item = ERR_INIT;
		if (pull_may_block(w->pull) && hand_over(w, err))
			return -1;
		if (job_is_over(w->j))
			return err_set(err, ERR_STOPPED, "stopped");
		if (pull_next(w->pull, &m, &item, err))
			return -1;
		if (!m)
			return hand_over(w, err);
		w->fetched += m->print.size;
		if (item.kind == ERR_NONE) {
			w->got_on = true;
			w->j->source_failures = 0;
			w->j->got_on_ms = clock_mono_ms();
		}
		int rc = take_mail(w, &m, &item, err);
		if (m)
			pull_release(w->j->work->memory, &m);
		if (rc)
			return -1;
	}
}

/* Fetches v. In cautious mode one at a time, so that a message that breaks the connection is known by its UID. */
static int fetch(struct walk *w, const struct pull_meta *v, size_t n, struct err *err)
{
	struct route_folder *f = w->f;
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
			if (set_aside(w, &m, ITEM_REFUSED, &why, err))
				return -1;
		} else if (pull_want(w->pull, &v[i], 1, err) || fetch_wanted(w, err)) {
			f->suspect_strikes++;
			return -1;
		}
		i++;
		f->cautious--;
	}
	if (i == n)
		return 0;
	if (pull_want(w->pull, v + i, n - i, err))
		return -1;
	return fetch_wanted(w, err);
}

/* How many of v are booked together. */
static size_t chunk(const struct pull_meta *v, size_t n, uint64_t *bytes)
{
	size_t k = 0;
	for (*bytes = 0; k < n && (k == 0 || *bytes + v[k].size <= BUDGET_DAY_CHUNK); k++)
		*bytes += v[k].size;
	return k;
}

/* Fetches v as far as the day's budget goes. What is left of a day is used up message by message. */
static int fetch_booked(struct walk *w, const struct pull_meta *v, size_t n, struct err *err)
{
	struct job *j = w->j;
	struct store *s = j->work->store;
	while (n) {
		struct day_booking booking;
		uint64_t bytes;
		size_t k = chunk(v, n, &bytes);
		while (budget_day_take(s, j->batch.endpoint_id, j->user.source_user, bytes, k == 1, &booking, err)) {
			if (err->kind != ERR_DEFERRED)
				return -1;
			if (k == 1) {
				live_part(j->live, BIND_BUDGET, err);
				return -1;
			}
			k = chunk(v, k / 2, &bytes);
		}
		if (!booking.bytes)
			k = n; /* no budget: all at once */
		uint64_t before = w->fetched;
		int rc = fetch(w, v, k, err);
		struct err late = ERR_INIT;
		if (budget_day_settle(s, &booking, w->fetched - before, &late) && !rc) {
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

/* --- comparing ---------------------------------------------------------------------------------- */

/* For the report's subject, sender and date of a message that is not fetched. Best effort: the header may be unreadable too. */
static int set_aside_unfetched(
	struct walk *w, const struct pull_meta *meta, enum item_state state, const struct err *why, struct err *err)
{
	struct mail m = {.uid = meta->uid, .announced = meta->size, .flags = meta->flags, .received = meta->received};
	struct mailbox_entry entry;
	size_t n = 0;
	if (state == ITEM_REFUSED && mailbox_list(w->j->source, meta->uid, &entry, 1, &n, err)) {
		if (conn_is_dead(w->j->source))
			return -1;
		n = 0;
	}
	if (n && entry.uid == meta->uid)
		m.print = entry.print;
	m.print.size = meta->size;
	int rc = set_aside(w, &m, state, why, err);
	if (n)
		fingerprint_done(&entry.print);
	return rc;
}

static int set_aside_deleted(struct walk *w, const struct pull_meta *m, struct err *err)
{
	struct err why = ERR_INIT;
	err_set(&why, ERR_NONE, "marked \\Deleted at the source");
	return set_aside_unfetched(w, m, ITEM_SKIPPED, &why, err);
}

/* Too big for every route, by what the source says: it need not be fetched. */
static bool is_too_big(const struct walk *w, const struct pull_meta *m, struct err *why)
{
	struct mail mail = {.uid = m->uid, .announced = m->size, .print = {.size = m->size}};
	return m->size > 0 && route_choose(w->j, w->f, &mail, 0, why) == ROUTE_NONE && why->kind == ERR_TOO_BIG;
}

/* What is to be done with one listed message: true if it is to be fetched. *refresh: its flags changed since we wrote them. */
static bool is_due(const struct walk *w, const struct pull_meta *m, const struct item_brief *known, bool *refresh)
{
	*refresh = false;
	if (!known)
		return true;
	switch (known->state) {
	case ITEM_INTENDED:
		return false; /* on its way, or in doubt: doubt.c settles it */
	case ITEM_PLACED:
		*refresh = true;
		return false;
	case ITEM_DONE: /* what was taken over keeps the flags that people gave it there: only what changes at the source since counts */
		*refresh = ((known->how == HOW_ADOPTED ? known->flags_source : known->flags_written) ^ m->flags) &
			   FLAGS_THAT_CHANGE;
		return false;
	case ITEM_SKIPPED:
		return !(m->flags & MAIL_DELETED) || w->j->batch.copy_deleted;
	case ITEM_REFUSED: /* limits are raised, messages mended: each run looks once; what is still too big is not fetched for it */
		return w->f->attempts == 1 && !is_too_big(w, m, &(struct err){.kind = ERR_NONE});
	case ITEM_GONE:
		return true;
	}
	return false;
}

static void vote_date(struct walk *w, const struct pull_meta *m)
{
	w->listed++;
	w->listed_bytes += m->size;
	int64_t at = m->received.at / 60;
	if (!w->cluster_votes) {
		w->cluster_at = at;
		w->cluster_votes = 1;
	} else if (at == w->cluster_at) {
		w->cluster_votes++;
	} else {
		w->cluster_votes--;
	}
}

static int compare_range(struct walk *w, const struct pull_meta *v, size_t n, struct err *err)
{
	struct job *j = w->j;
	struct item_brief *known = calloc(n, sizeof *known);
	struct pull_meta *want = calloc(n, sizeof *want), *stale = calloc(n, sizeof *stale);
	size_t n_known = 0, n_want = 0, n_stale = 0;
	int rc = -1;
	if (!known || !want || !stale) {
		err_set(err, ERR_MEMORY, "no memory for %zu messages", n);
		goto out;
	}
	uint32_t lo = v[0].uid;
	bool more = true;
	for (size_t i = 0, k = 0; i < n; i++) {
		while (k < n_known && known[k].uid < v[i].uid)
			k++;
		/* The store may know more UIDs of the range than the source still lists: it is read in slices of n. */
		while (k == n_known && more) {
			if (store_items(j->work->store, w->f->generation.id, lo, v[n - 1].uid, known, n, &n_known, err))
				goto out;
			more = n_known == n && known[n - 1].uid < v[n - 1].uid;
			lo = more ? known[n - 1].uid + 1 : lo;
			for (k = 0; k < n_known && known[k].uid < v[i].uid; k++)
				;
		}
		const struct item_brief *have = k < n_known && known[k].uid == v[i].uid ? &known[k] : NULL;
		bool refresh;
		struct err why = ERR_INIT;
		vote_date(w, &v[i]);
		bool due = is_due(w, &v[i], have, &refresh);
		if (refresh)
			stale[n_stale++] = v[i];
		if (!due)
			continue;
		if ((v[i].flags & MAIL_DELETED) && !j->batch.copy_deleted) {
			if (!have && set_aside_deleted(w, &v[i], err))
				goto out;
		} else if (is_too_big(w, &v[i], &why)) {
			if (set_aside_unfetched(w, &v[i], ITEM_REFUSED, &why, err))
				goto out;
		} else {
			want[n_want++] = v[i];
		}
	}
	rc = n_want ? fetch_booked(w, want, n_want, err) : 0;
	if (!rc && n_stale)
		rc = refresh_flags(j, w->f, stale, n_stale, err);
out:
	free(known);
	free(want);
	free(stale);
	return rc;
}

/* --- the walk ----------------------------------------------------------------------------------- */

static int note_oddities(struct walk *w, const struct folder_state *state, struct err *err)
{
	char text[MODEL_ERROR];
	if (store_generation_found(w->j->work->store, w->j->user.id, w->j->user.lease_epoch, w->f->generation.id,
		    w->listed, w->listed_bytes, err))
		return -1;
	if (w->listed >= CLUSTER_MESSAGES && w->cluster_votes > w->listed / 4) {
		snprintf(text, sizeof text,
			"folder \"%.300s\": most of its %llu messages carry one date: the host lost the received "
			"dates; --date-from-header takes them from the messages",
			w->f->source->name, (unsigned long long)w->listed);
		if (store_note(w->j->work->store, w->j->user.id, "clustered-dates", text, err))
			return -1;
	}
	const struct provider *p = provider_find(w->j->source_login.endpoint.provider);
	if (p && p->folder_cap && state->exists == p->folder_cap) {
		snprintf(text, sizeof text,
			"folder \"%.300s\" shows exactly %u messages, %s's known cap: it is probably not the whole "
			"folder; %s",
			w->f->source->name, state->exists, p->title, p->folder_cap_hint);
		if (store_note(w->j->work->store, w->j->user.id, "folder-cap", text, err))
			return -1;
	}
	return 0;
}

static int walk_ranges(struct walk *w, const struct folder_state *state, struct err *err)
{
	struct pull_meta *v = calloc(RANGE, sizeof *v);
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for a range of messages");
	int rc;
	size_t n;
	if (store_generation_found(w->j->work->store, w->j->user.id, w->j->user.lease_epoch, w->f->generation.id,
		    state->exists, 0, err)) {
		free(v);
		return -1;
	}
	while (!(rc = pull_list(w->pull, v, RANGE, &n, err)) && n) {
		if (job_is_over(w->j)) {
			rc = err_set(err, ERR_STOPPED, "stopped");
			break;
		}
		if ((rc = compare_range(w, v, n, err)))
			break;
	}
	free(v);
	if (rc || note_oddities(w, state, err))
		return -1;
	uint32_t exists = pull_exists(w->pull);
	if (w->listed >= exists)
		return 0;
	err_set(err, ERR_FOLDER,
		"the source says that the folder holds %u messages, and listed %llu of them in a way that can be used",
		exists, (unsigned long long)w->listed);
	err_hint(err, "what was listed is moved; look at the folder at the source, then start the user again");
	return -1;
}

static struct walk *walk_new(struct job *j, struct route_folder *f, struct err *err)
{
	struct walk *w = calloc(1, sizeof *w);
	if (!w) {
		err_set(err, ERR_MEMORY, "no memory for a folder");
		return NULL;
	}
	w->j = j;
	w->f = f;
	w->group_end = &w->group;
	return w;
}

/* Ends an attempt. What was fetched and is whole is handed on even when the connection broke. */
static void walk_free(struct walk *w)
{
	struct err err = ERR_INIT;
	if (!job_is_over(w->j) && hand_over(w, &err))
		log_err(LOG_WARN, &err, "mailbox %s", w->j->user.source_user);
	while (w->group) {
		struct parcel *p = w->group;
		w->group = p->next;
		parcel_release(w->j->work->memory, &p);
	}
	pull_close(&w->pull);
	free(w);
}

/* After an attempt broke off. 0: try again; 1: the folder is failed, go on with the others; -1: the mailbox ends. */
static int after_break(struct job *j, struct route_folder *f, bool got_on, struct err *err)
{
	f->tries = got_on ? 1 : f->tries + 1;
	j->source_failures = got_on ? 1 : j->source_failures + 1;
	enum err_action act = err_action(err->kind);
	limit_source_refused(j, err);
	bool broken = !j->source || conn_is_dead(j->source);
	if (broken)
		job_drop_source(j);
	switch (act) {
	case ACT_SKIP_FOLDER:
		if (err->kind == ERR_CHANGED && f->tries < FOLDER_TRIES)
			return 0;
		job_fail_folder(j, f, err);
		return 1;
	case ACT_RETRY:
	case ACT_WAIT:
		break;
	case ACT_SKIP_MESSAGE: /* of a message, but it took the folder's walk with it */
		break;
	case ACT_DRAIN:
	case ACT_STOP_MAILBOX:
	case ACT_PAUSE_ENDPOINT:
	case ACT_STOP_RUN:
		return -1;
	}
	job_drop_source(j);
	bool stalled = clock_mono_ms() - (j->got_on_ms ? j->got_on_ms : j->begun_ms) > STALL_MS;
	if (act != ACT_WAIT && (stalled || j->source_failures >= 2 * JOB_TRIES))
		return -1; /* not this folder: nothing can be read any more */
	if (act != ACT_WAIT && f->tries >= FOLDER_TRIES) {
		/* Other folders may be well, but a host that cannot be reached at all is the mailbox's trouble. */
		if (job_source(j, err))
			return -1;
		job_fail_folder(j, f, err);
		return 1;
	}
	f->cautious = CAUTIOUS_MESSAGES;
	struct err why = *err;
	return job_back_off(j, f->tries, &why, err) ? -1 : 0;
}

int pass_folder(struct job *j, struct route_folder *f, struct err *err)
{
	for (;;) {
		struct folder_state state = {0};
		struct walk *w = walk_new(j, f, err);
		if (!w)
			return -1;
		*err = ERR_INIT;
		f->attempts++;
		int rc = enter_folder(j, f, &w->pull, &state, err);
		if (!rc)
			rc = walk_ranges(w, &state, err);
		bool got_on = w->got_on;
		walk_free(w);
		if (!rc) {
			f->finished = true;
			f->tries = 0;
			return 0;
		}
		struct err broke = *err;
		rc = after_break(j, f, got_on, err);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return -1;
		log_err(LOG_INFO, &broke, "mailbox %s, folder %s: once more", j->user.source_user, f->source->name);
	}
}

int pass_again(struct job *j, struct route_folder *f, const struct pull_meta *v, size_t n, struct err *err)
{
	for (;;) {
		struct folder_state state = {0};
		struct walk *w = walk_new(j, f, err);
		if (!w)
			return -1;
		*err = ERR_INIT;
		int64_t generation = f->generation.id;
		int rc = enter_folder(j, f, &w->pull, &state, err);
		if (!rc && f->generation.id != generation) {
			f->finished = false; /* a new generation: the walk finds them under their new UIDs */
			walk_free(w);
			return 0;
		}
		if (!rc)
			rc = fetch_booked(w, v, n, err);
		bool got_on = w->got_on;
		walk_free(w);
		if (!rc)
			return 0;
		f->finished = false; /* what was not fetched this time is found by the next walk */
		rc = after_break(j, f, got_on, err);
		return rc < 0 ? -1 : 0;
	}
}
