/* Items in doubt: intended, and nobody knows whether the destination has them, because we died or its answer was lost. They are looked up at the
   destination, not sooner than settle_after (the far side may still be committing), and only what did not arrive is sent again.

   Why the result is right, with one route or with several. Call two messages of a folder equal when their content is the same. What must hold in the end
   is that each item has a copy of its own; which of several equal copies is whose does not matter. So the whole argument is a count, for each kind of
   equal messages: receipts must stand for as many different copies as there are receipts, and every copy that we made must have one.
     A copy has one name in each route's list, and a receipt has the name of one route only. When route r looks for its items in doubt, a copy that r
   lists is nobody's only if (1) it came after r's mark, else it was somebody else's before us; (2) no receipt of r names it; and (3) it is not one of those
   that other routes have receipts for. The names of (3) are not known to r, so they are counted: each such twin takes one equal copy before any item in
   doubt does (upload/settle.c). A person may have moved a twin away, so its own route is asked first whether it is still there (engine/twin.c).
     Twins must be counted exactly if, and only if, their copies lie after r's mark. Clocks cannot tell, epochs can: the marks of all routes are taken in one
   lease before the first intent of that lease in the folder, and only while nothing is in doubt there and nothing that was put may still be hidden
   (engine/enter.c). So a copy lies after a mark exactly if the epoch of its intent is not below the mark's. What was taken over from others
   carries the epoch that says where it lay when it was found (struct existing).
     Items that other routes have in doubt need no thought: whichever of two routes is settled first takes as many equal copies as there are, and records
   them before the other begins, for which they are twins. None is counted twice, and what is left without one is sent again, once.
     A route that cannot be used any more has its items settled by another one, by the same count. If that other route's mark is younger than an intent,
   it looks through the whole folder: all receipts of other routes are twins then, and mail that was there before us under equal content
   cannot be left over, or it would have been taken over instead of intending a copy.
     Mail that a route listed as unknown when the folder was entered may be an item in doubt of another route. Where that is found, the listed one is forgotten
   before the receipt is written: nothing is ever taken for two.
     A receipt found by the count may name a copy that a receipt of another route names too, while an equal one is named by none: that is as it should be,
   for nothing asks which is whose. One corner is left: a person who deletes just that copy makes two of ours look gone.
     All of this is exercised by tests/unit/engine/doubt_test.c against a model of the far side. */
#include "engine/doubt.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS (1 + JOB_ITEM_TRIES) /* of sending again: once together, then one at a time */

static void doubt_done(struct doubt *d)
{
	for (size_t i = 0; i < d->n; i++)
		item_done(&d->items[i]);
	free(d->items);
	free(d->pending);
	free(d->canons);
	free(d->routes);
	free(d->gone);
}

static int doubt_load(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	if (store_flush(j->work->store, err) ||
		store_in_doubt(j->work->store, j->user.id, d->f->dest.id, &d->items, &d->n, err))
		return -1;
	if (!d->n)
		return 0;
	d->pending = calloc(d->n, sizeof *d->pending);
	d->canons = calloc(d->n, sizeof *d->canons);
	d->routes = calloc(d->n, sizeof *d->routes);
	d->gone = calloc(d->n, sizeof *d->gone);
	if (!d->pending || !d->canons || !d->routes || !d->gone)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n; i++) {
		d->pending[i].print = &d->items[i].print;
		d->routes[i] = ROUTE_NONE;
	}
	return 0;
}

/* What any route sent last must be visible to every route. */
static int wait_until_due(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	int64_t after = 0, since = atomic_load(&d->f->doubt_at_ms);
	unsigned reached = 0;
	for (unsigned r = 0; r < j->n_routes; r++) {
		bool concerned = j->routes[r].reached;
		for (size_t i = 0; i < d->n && !concerned; i++)
			concerned = route_named(j, d->items[i].receipt.route) == r;
		if (concerned && route_settle_after_ms(j, r) > after)
			after = route_settle_after_ms(j, r);
		reached += j->routes[r].reached;
	}
	if (reached > 1 && since < atomic_load(&d->f->put_at_ms))
		since = atomic_load(&d->f->put_at_ms);
	if (since < j->begun_ms)
		since = j->begun_ms; /* an earlier process left them: it may have died this moment */
	int64_t left = since + after - clock_mono_ms();
	if (left <= 0)
		return 0;
	struct err why = ERR_INIT;
	snprintf(why.text, sizeof why.text,
		"it is not known whether %zu %s arrived: looked up when all that came must be visible", d->n,
		d->n == 1 ? "message" : "messages");
	log_line(LOG_INFO, "mailbox %s: %zu messages in %s are in doubt; looked up in %lld s", j->user.address, d->n,
		d->f->mapping->path, (long long)(left + 999) / 1000);
	while (left > 0 && !job_is_over(j)) {
		job_sleep(j, LIVE_TARGET, left, &why);
		left = since + after - clock_mono_ms();
	}
	return job_is_over(j) ? err_set(err, ERR_STOPPED, "stopped") : 0;
}

/* --- who settles what ---------------------------------------------------------------------------- */

/* Can route r look into the folder? 0, or -1: the mailbox cannot go on. */
static int try_route(struct doubt *d, unsigned r, enum reach *how, struct err *err)
{
	struct tries tries = {0};
	for (;;) {
		struct folder_ref ref;
		int rc = route_reach(d->j, d->f, r, &ref, how, err);
		if (!rc) {
			folder_ref_done(&ref);
			return 0;
		}
		if (route_again(d->j, r, &tries, err))
			return -1;
	}
}

/* The route that intended it, or else the first that can look there. */
static int assign_routes(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	enum reach hows[JOB_ROUTES];
	bool asked[JOB_ROUTES] = {false};
	for (size_t i = 0; i < d->n; i++) {
		unsigned own = route_named(j, d->items[i].receipt.route);
		for (unsigned k = 0; k <= j->n_routes && d->routes[i] == ROUTE_NONE; k++) {
			unsigned r = k == 0 ? own : k - 1;
			if (r == ROUTE_NONE || (k > 0 && (r == own || !route_carries(j, r))))
				continue;
			if (!asked[r] && try_route(d, r, &hows[r], err))
				return -1;
			asked[r] = true;
			if (hows[r] == REACH_OK)
				d->routes[i] = r;
			if (hows[r] == REACH_NO_FOLDER &&
				k == 0) /* where it was to go is not there: it did not arrive */
				break;
		}
		bool folder_gone = own != ROUTE_NONE && asked[own] && hows[own] == REACH_NO_FOLDER;
		if (d->routes[i] == ROUTE_NONE && !folder_gone) {
			err_set(err, ERR_FOLDER,
				"messages in doubt in %s were sent by route %s, and no route can look there now",
				d->f->mapping->path, d->items[i].receipt.route);
			err_hint(
				err, "nightferry target test; they are looked up as soon as a route can be used again");
			return -1;
		}
	}
	return 0;
}

/* --- recording ------------------------------------------------------------------------------------- */

/* Of equal copies the one that was found may be a twin's, with its flags, and the twin's the one that is not finished: then that one is. */
static int finish_equal(struct group *g, size_t at, const struct folder_ref *ref, unsigned wanted, struct err *err)
{
	struct target *t = g->d->j->routes[g->r].target;
	unsigned there = 0;
	for (size_t i = g->n; i < g->n + g->twins.n; i++) {
		if (g->v[i].outcome != SETTLE_FOUND || memcmp(g->v[i].print->sha256, g->v[at].print->sha256, 32))
			continue;
		if (t->ops->get_flags(t, ref, g->v[i].receipt.id, &there, err)) {
			if (err->kind != ERR_GONE)
				return -1;
			err_clear(err);
			continue;
		}
		if ((there & wanted) == 0) /* as a put leaves it; what a person flagged is not touched */
			return t->ops->set_flags(t, ref, g->v[i].receipt.id, wanted, err);
	}
	return 0;
}

/* What follows a put may not have come so far: \\Flagged after an APPEND into Exchange (spec/exchange-online.md, section 2), all flags by Graph. */
static int finish_flags_once(struct group *g, size_t at, const struct item *it, struct err *err)
{
	struct job *j = g->d->j;
	struct folder_ref ref;
	struct target *t;
	enum reach how;
	unsigned there = 0, kept = (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED) & j->routes[g->r].ops->flags_kept;
	unsigned wanted = it->flags_source & kept;
	bool by_append = j->routes[g->r].ops == &target_imap_ops && !g->twins.n;
	if (by_append && (!(it->flags_source & MAIL_FLAGGED) || j->target_login.row.kind != TARGET_EXCHANGE))
		return 0;
	if (route_reach(j, g->d->f, g->r, &ref, &how, err))
		return -1;
	if (how != REACH_OK)
		return 0;
	t = j->routes[g->r].target;
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	int rc = wanted && g->twins.n ? t->ops->get_flags(t, &ref, it->receipt.id, &there, err) : 0;
	if (!rc && wanted && g->twins.n && (there & kept) == wanted)
		rc = finish_equal(g, at, &ref, wanted, err);
	else if (!rc)
		rc = t->ops->set_flags(t, &ref, it->receipt.id, wanted, err);
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	folder_ref_done(&ref);
	if (rc && (err->kind == ERR_GONE || err->kind == ERR_CHANGED || err->kind == ERR_MESSAGE)) {
		err_clear(err);
		rc = 0;
	}
	return rc;
}

static int finish_flags(struct group *g, size_t at, const struct item *it, struct err *err)
{
	struct tries tries = {0};
	while (finish_flags_once(g, at, it, err))
		if (route_again(g->d->j, g->r, &tries, err))
			return -1;
	return 0;
}

/* Before the receipt is written, what another route listed as unknown and may be this very message is forgotten. */
static int forget_listed(const struct group *g, const struct item *it, struct err *err)
{
	const struct doubt *d = g->d;
	struct job *j = d->j;
	uint8_t key[PRINT_KEY_BYTES];
	if (j->n_routes < 2)
		return 0;
	print_key(&it->print, key);
	return store_existing_drop(j->work->store, j->user.id, j->user.lease_epoch, d->f->dest.id,
		j->routes[g->r].ops->name, key, g->whole ? INT64_MIN : g->mark.epoch, err);
}

/* What was found is durable before the next route looks. Where keywords are written after the message, nobody knows whether they were: another
   walk over the folder has them at hand. */
static int record_found(struct group *g, size_t *found, struct err *err)
{
	struct doubt *d = g->d;
	struct job *j = d->j;
	bool finished = !j->routes[g->r].ops->set_keywords;
	for (size_t i = 0; i < g->n; i++) {
		if (g->v[i].outcome != SETTLE_FOUND)
			continue;
		struct item rec = d->items[g->at[i]];
		rec.state = finished ? ITEM_DONE : ITEM_PLACED;
		rec.how = HOW_COPIED;
		rec.receipt = g->v[i].receipt;
		rec.flags_written = rec.flags_source & j->routes[g->r].ops->flags_kept;
		rec.at = clock_wall_s();
		if (finish_flags(g, i, &rec, err) || forget_listed(g, &rec, err) ||
			store_placed(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
		failpoint_hit(FP_FINISH_AFTER_COMMIT);
		if (!finished)
			atomic_store(&d->f->unfinished, true);
		++*found;
	}
	return store_flush(j->work->store, err);
}

/* Those whose content can no longer be compared: neither sent again nor called arrived. */
static int record_gone(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	for (size_t i = 0; i < d->n; i++) {
		if (!d->gone[i])
			continue;
		struct item rec = d->items[i];
		rec.state = ITEM_GONE;
		rec.error_kind = ERR_GONE;
		snprintf(rec.error, sizeof rec.error,
			"expunged at the source while it was in doubt; a message with the same header "
			"values is in %s: look there whether it is this one",
			d->f->mapping->path);
		if (store_set_aside(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
	}
	return 0;
}

static bool is_absent(const struct doubt *d, size_t i)
{
	return d->pending[i].outcome == SETTLE_ABSENT && !d->gone[i];
}

/* The intents of what did not arrive are taken back, a generation at a time. absent: those of this generation, to be fetched again. */
static int withdraw_absent(struct doubt *d, struct pull_meta *absent, size_t *n_absent, struct err *err)
{
	struct job *j = d->j;
	uint32_t *uids = calloc(d->n, sizeof *uids);
	int rc = uids ? 0 : err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n && !rc;) {
		int64_t generation = d->items[i].generation_id;
		size_t n = 0;
		for (; i < d->n && d->items[i].generation_id == generation; i++) {
			if (!is_absent(d, i))
				continue;
			uids[n++] = d->items[i].uid;
			if (generation == d->f->generation.id)
				doubt_meta(&d->items[i], &absent[(*n_absent)++]);
		}
		if (n)
			rc = store_withdraw(j->work->store, j->user.id, j->user.lease_epoch, generation, uids, n, err);
	}
	free(uids);
	return rc;
}

static int refuse_absent(struct doubt *d, struct err *err)
{
	struct job *j = d->j;
	for (size_t i = 0; i < d->n; i++) {
		if (!is_absent(d, i))
			continue;
		struct item rec = d->items[i];
		struct err why = ERR_INIT;
		err_set(&why, ERR_MESSAGE, "the destination loses the connection whenever this message is put");
		err_hint(&why, "it is tried again when the user is started again");
		rec.state = ITEM_REFUSED;
		rec.error_kind = why.kind;
		err_line(&why, rec.error, sizeof rec.error);
		if (store_set_aside(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err))
			return -1;
	}
	return 0;
}

/* round: how often this was done before in a row. At the last what is absent is refused instead of sent again; from the second on messages are sent
   one at a time, so that one which costs the connection takes no other with it. look_only: nothing is sent again now. *resent: messages that were
   handed over again. */
static int settle_folder(
	struct job *j, struct route_folder *f, unsigned round, bool look_only, size_t *resent, struct err *err)
{
	struct doubt d = {.j = j, .f = f};
	struct pull_meta *absent = NULL;
	size_t found = 0, n_absent = 0;
	int rc = doubt_load(&d, err);
	if (rc || !d.n)
		goto out;
	rc = -1;
	if (wait_until_due(&d, err) || assign_routes(&d, err))
		goto out;
	for (unsigned r = 0; r < j->n_routes; r++) {
		struct group g;
		rc = group_make(&g, &d, r, err);
		if (!rc && g.n)
			rc = group_settle(&g, err) || record_found(&g, &found, err) ? -1 : 0;
		group_done(&g);
		if (rc)
			goto out;
	}
	rc = -1;
	absent = calloc(d.n, sizeof *absent);
	if (!absent) {
		err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d.n);
		goto out;
	}
	if (record_gone(&d, err) ||
		(round == ROUNDS ? refuse_absent(&d, err) : withdraw_absent(&d, absent, &n_absent, err)))
		goto out;
	failpoint_hit(FP_SETTLE_AFTER_COMMIT);
	atomic_store(&f->doubts, 0);
	log_line(LOG_INFO, "mailbox %s, folder %s: of %zu messages in doubt %zu had arrived", j->user.address,
		f->mapping->path, d.n, found);
	f->one_by_one = round > 0;
	rc = n_absent && !look_only ? pass_again(j, f, absent, n_absent, err) : 0;
	f->one_by_one = false;
	*resent += n_absent;
out:
	free(absent);
	doubt_done(&d);
	return rc;
}

int doubt_settle_folder(struct job *j, struct route_folder *f, struct err *err)
{
	size_t resent = 0;
	return settle_folder(j, f, 0, true, &resent, err);
}

/* 0: the folder is failed, the others go on; -1: it concerns the mailbox. */
static int fail_alone(struct job *j, struct route_folder *f, struct err *err)
{
	enum err_action act = err_action(err->kind);
	if (act != ACT_SKIP_FOLDER && act != ACT_SKIP_MESSAGE && err->kind != ERR_PROTOCOL && err->kind != ERR_MEMORY)
		return -1;
	struct err why = *err;
	job_fail_folder(j, f, &why);
	err_clear(err);
	return 0;
}

int doubt_settle(struct job *j, struct err *err)
{
	for (unsigned round = 0; round <= ROUNDS; round++) {
		size_t resent = 0;
		for (size_t i = 0; i < j->list.n; i++) {
			struct route_folder *f = &j->folders[i];
			if (f->opened && settle_folder(j, f, round, f->failed, &resent, err) && fail_alone(j, f, err))
				return -1;
		}
		if (!resent)
			return 0;
		if (parcel_queue_drain(j->queue, err) || store_flush(j->work->store, err))
			return -1;
	}
	return 0;
}

static bool is_of_this_run(const struct job *j, int64_t dest_folder_id)
{
	for (size_t i = 0; i < j->list.n; i++)
		if (j->folders[i].opened && j->folders[i].dest.id == dest_folder_id)
			return true;
	return false;
}

int doubt_settle_orphans(struct job *j, struct err *err)
{
	struct doubt_folder *v = NULL;
	size_t n = 0;
	int rc = store_doubt_folders(j->work->store, j->user.id, &v, &n, err);
	for (size_t i = 0; i < n && !rc; i++) {
		if (is_of_this_run(j, v[i].id))
			continue;
		struct mapping mapping = {.path = v[i].path};
		struct route_folder f = {
			.mapping = &mapping, .dest = {.id = v[i].id, .user_id = j->user.id, .path = v[i].path}};
		rc = doubt_settle_folder(j, &f, err) && fail_alone(j, &f, err) ? -1 : 0;
		for (unsigned r = 0; r < JOB_ROUTES; r++)
			folder_ref_done(&f.refs[r]);
	}
	store_doubt_folders_free(&v, n);
	return rc;
}
