#include "engine/walk.h"

#include "engine/budget_day.h"
#include "engine/provider.h"
#include "imap/mailbox.h"

#include <stdlib.h>
#include <string.h>

#define RANGE 1000 /* messages whose metadata are held at once */
#define CLUSTER_MESSAGES 1000
#define FLAGS_THAT_CHANGE (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED)

struct walk {
	struct job *j;
	struct route_folder *f;
	struct pull *pull;
	struct haul *haul;
	int64_t cluster_at; /* majority vote over the dates */
	uint64_t cluster_votes, listed, listed_bytes;
};

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
	int rc = haul_set_aside(w->haul, &m, state, why, err);
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
	rc = n_want ? haul_fetch(w->haul, w->pull, want, n_want, err) : 0;
	if (!rc && n_stale)
		rc = refresh_flags(j, w->f, stale, n_stale, err);
out:
	free(known);
	free(want);
	free(stale);
	return rc;
}

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

static int list_range(struct walk *w, struct pull_meta *v, size_t *n, struct err *err)
{
	struct job *j = w->j;
	int rc = budget_day_list(j->work->store, j->batch.endpoint_id, j->user.source_user, j->source, w->pull,
		w->listed, v, RANGE, n, err);
	if (rc && err->kind == ERR_DEFERRED)
		live_part(j->live, BIND_BUDGET, err);
	return rc;
}

int walk_folder(struct job *j, struct route_folder *f, struct pull *pull, const struct folder_state *state,
	struct haul *haul, struct err *err)
{
	struct walk walk = {.j = j, .f = f, .pull = pull, .haul = haul}, *w = &walk;
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
	while (!(rc = list_range(w, v, &n, err)) && n) {
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
