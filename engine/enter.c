/* Opening a folder on both sides. Before anything is put into a destination folder every route that may carry mail there has a mark: what tells new from
   old as that route lists the folder. Marks are taken together, under one lease epoch, while nothing is in doubt; doubt.c says what hangs on that.
     first touch      what is there is indexed (adopt.c), then all marks are taken
     a later run      what came since is indexed; a mark that is a place in an order is moved up, so that looking something up stays cheap
     a route is new   what is in doubt is settled by the routes that were there, then its mark is taken
     made anew        somebody deleted the folder: as at first touch */
#include "engine/job.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <string.h>

#define GENERATIONS 3 /* UIDVALIDITY changes of one folder in one run */
#define ID_PAGE 200

/* --- the routes find the folder --------------------------------------------------------------------- */

static int ask_route(struct job *j, struct route_folder *f, unsigned r, struct folder_ref *out, struct err *err)
{
	struct tries tries = {0};
	do {
		if (route_target(j, r, err))
			return -1;
		if (!j->routes[r].target->ops->folder(j->routes[r].target, f->mapping->path, out, err))
			return 0;
	} while (!route_again(j, r, &tries, err));
	return err->kind == ERR_STOPPED ? -1 : err_wrap_name(err, "destination folder", f->mapping->path);
}

/* The folder by one route, and the store's row of it. known_empty: what is there came in this run. */
static int find_by(struct job *j, struct route_folder *f, unsigned r, bool known_empty, bool *changed, struct err *err)
{
	struct folder_ref ref = {0};
	char generation[sizeof(((struct dest_mark *)0)->generation)];
	bool anew = false;
	if (ask_route(j, f, r, &ref, err))
		return -1;
	route_generation(&ref, generation, sizeof generation);
	struct folder_ref row = ref;
	row.generation = generation;
	if (known_empty)
		row.existing = 0;
	dest_folder_done(&f->dest);
	int rc = store_dest_folder(
		j->work->store, j->user.id, j->user.lease_epoch, j->routes[r].ops->name, &row, &f->dest, &anew, err);
	*changed |= anew;
	job_set_ref(j, f, r, &ref);
	return rc;
}

/* All routes that carry mail look. One that cannot use this folder carries nothing into it; one that is dead is lost. */
static int find_by_all(struct job *j, struct route_folder *f, bool known_empty, bool *changed, struct err *err)
{
	struct err first = ERR_INIT;
	unsigned found = 0;
	for (unsigned r = 0; r < j->n_routes; r++) {
		if (!route_carries(j, r))
			continue;
		if (!find_by(j, f, r, known_empty, changed, err)) {
			found++;
			continue;
		}
		struct err why = *err;
		if (first.kind == ERR_NONE)
			first = why;
		bool folder_only = err_action(why.kind) == ACT_SKIP_FOLDER;
		if (!folder_only && !(route_is_to_blame(why.kind) && route_lose(j, r, &why)))
			return -1;
		if (folder_only)
			log_err(LOG_INFO, &why, "mailbox %s: route %s", j->user.address, j->routes[r].ops->name);
		err_clear(err);
	}
	if (found)
		return 0;
	*err = first;
	return -1;
}

/* --- marks ------------------------------------------------------------------------------------------- */

/* Sleeps until what was last put into the folder by anybody of us is visible to every route. */
static int wait_until_visible(struct job *j, const struct route_folder *f, struct err *err)
{
	int64_t after = 0;
	struct err why = ERR_INIT;
	snprintf(why.text, sizeof why.text, "looked into when all must be visible there that was put last");
	for (unsigned r = 0; r < j->n_routes; r++)
		if (route_settle_after_ms(j, r) > after)
			after = route_settle_after_ms(j, r);
	for (;;) {
		int64_t left = f->dest.put_at + after / 1000 + 1 - clock_wall_s();
		if (!f->dest.put_at || left <= 0)
			return 0;
		if (left > after / 1000 + 1) /* the clock was set back since: as long as can be asked for */
			left = after / 1000 + 1;
		job_sleep(j, LIVE_TARGET, left * 1000, &why);
		if (job_is_over(j))
			return err_set(err, ERR_STOPPED, "stopped");
		if (clock_wall_s() < f->dest.put_at)
			return 0;
	}
}

/* Every id that is there now. */
static int save_ids(struct job *j, struct route_folder *f, unsigned r, const struct folder_ref *ref, struct err *err)
{
	struct remote_mail *page = calloc(ID_PAGE, sizeof *page);
	const char **ids = calloc(ID_PAGE, sizeof *ids);
	char cursor[sizeof page->id] = "";
	size_t n = 0;
	bool first = true;
	int rc = page && ids ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	while (!rc &&
		!(rc = j->routes[r].target->ops->list(j->routes[r].target, ref, cursor, page, ID_PAGE, &n, err)) && n) {
		for (size_t i = 0; i < n; i++)
			ids[i] = page[i].id;
		rc = store_mark_ids(j->work->store, j->user.id, j->user.lease_epoch, f->dest.id, j->routes[r].ops->name,
			ids, n, first, err);
		first = false;
		snprintf(cursor, sizeof cursor, "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++)
			fingerprint_done(&page[i].print);
		if (!rc && job_is_over(j))
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	free(page);
	free(ids);
	return rc;
}

static int take_mark(struct job *j, struct route_folder *f, unsigned r, struct err *err)
{
	char generation[sizeof(((struct dest_mark *)0)->generation)];
	struct folder_ref ref;
	if (job_copy_ref(j, f, r, &ref, err))
		return -1;
	route_generation(&ref, generation, sizeof generation);
	int rc = 0;
	struct tries tries = {0};
	do {
		if (!j->routes[r].ops->marks_by_ids || (!ref.existing && !f->dest.put_at))
			break;
		rc = route_target(j, r, err) || save_ids(j, f, r, &ref, err) ? -1 : 0;
	} while (rc && j->routes[r].target && !route_again(j, r, &tries, err));
	if (!rc)
		rc = store_mark_take(j->work->store, j->user.id, j->user.lease_epoch, f->dest.id,
			j->routes[r].ops->name, generation, ref.mark, err);
	folder_ref_done(&ref);
	return rc;
}

/* May a mark that is there be moved up? Only a place in an order is worth it; and only while nothing that was put may still be hidden. */
static bool may_move_up(const struct job *j, const struct route_folder *f, unsigned r, const struct dest_mark *m)
{
	int64_t after = 0;
	for (unsigned other = 0; other < j->n_routes; other++)
		if (route_settle_after_ms(j, other) > after)
			after = route_settle_after_ms(j, other);
	return !j->routes[r].ops->marks_by_ids && m->epoch < j->user.lease_epoch &&
	       (!f->dest.put_at || clock_wall_s() - f->dest.put_at > after / 1000 + 1) &&
	       strcmp(m->mark, f->refs[r].mark);
}

/* afresh: all marks, whatever was there. settled: nothing is in doubt in the folder. */
static int take_marks(struct job *j, struct route_folder *f, bool afresh, bool settled, struct err *err)
{
	unsigned marked = 0;
	for (unsigned r = 0; r < j->n_routes; r++) {
		struct dest_mark m;
		if (!route_carries(j, r) || !f->refs[r].path)
			continue;
		if (store_mark(j->work->store, f->dest.id, j->routes[r].ops->name, &m, err))
			return -1;
		bool take = afresh || !m.known || (settled && may_move_up(j, f, r, &m));
		if (take && take_mark(j, f, r, err)) {
			struct err why = *err;
			if (!route_is_to_blame(why.kind) || !route_lose(j, r, &why))
				return -1;
			err_clear(err);
			continue;
		}
		marked |= 1u << r;
	}
	atomic_store(&f->marked, marked);
	return marked ? 0 : err_set(err, ERR_FOLDER, "no route can use destination folder %s", f->mapping->path);
}

/* --- the destination --------------------------------------------------------------------------------- */

/* Was the destination folder entered in this run already: for an older generation of f, or for another source folder? What is there may be ours
   of this run then. */
static bool is_entered(const struct job *j, const struct route_folder *f)
{
	for (size_t i = 0; i < j->list.n; i++) {
		const struct route_folder *o = &j->folders[i];
		if (o->entered && o->dest.id && (o == f || !strcmp(o->mapping->path, f->mapping->path)))
			return true;
	}
	return false;
}

/* Does a route that may carry mail lack its mark, where another has one? Also says where mail that is found now lies: before the marks that are taken
   next, and after any that is of this lease already (an attempt that broke off). */
static int look_at_marks(struct job *j, struct route_folder *f, bool *is_new, struct err *err)
{
	bool lacks = false, has = false;
	f->found_epoch = j->user.lease_epoch - 1;
	for (unsigned r = 0; r < j->n_routes; r++) {
		struct dest_mark m;
		if (store_mark(j->work->store, f->dest.id, j->routes[r].ops->name, &m, err))
			return -1;
		has |= m.known;
		if (m.known && m.epoch == j->user.lease_epoch)
			f->found_epoch = j->user.lease_epoch;
		lacks |= !m.known && route_carries(j, r) && f->refs[r].path;
	}
	*is_new = has && lacks;
	return 0;
}

static int note_anew(struct job *j, const struct route_folder *f, struct err *err)
{
	char text[MODEL_ERROR];
	snprintf(text, sizeof text,
		"destination folder \"%.300s\" was deleted and made anew by somebody; what had arrived there is not "
		"copied again",
		f->mapping->path);
	return store_note(j->work->store, j->user.id, "folder-remade", text, err);
}

/* Who lists what is there: the first route in order that has a mark here; at first touch, and where all are new, the first. */
static int choose_lister(struct job *j, struct route_folder *f, unsigned *out, struct dest_mark *mark, struct err *err)
{
	*out = ROUTE_NONE;
	for (unsigned r = 0; r < j->n_routes; r++) {
		struct dest_mark m;
		if (!route_carries(j, r) || !f->refs[r].path)
			continue;
		if (store_mark(j->work->store, f->dest.id, j->routes[r].ops->name, &m, err))
			return -1;
		if (*out == ROUTE_NONE || (m.known && !mark->known)) {
			*out = r;
			*mark = m;
		}
	}
	return *out == ROUTE_NONE ? err_set(err, ERR_FOLDER, "no route can use destination folder %s", f->mapping->path)
				  : 0;
}

static int find_arrivals(
	struct job *j, struct route_folder *f, unsigned r, const struct dest_mark *mark, struct err *err)
{
	struct store *s = j->work->store;
	uint64_t known, doubts;
	/* What another route listed after this mark comes again, under the name that this one knows it by. */
	if (j->n_routes > 1 && f->dest.has_existing &&
		store_existing_forget(s, j->user.id, j->user.lease_epoch, f->dest.id, j->routes[r].ops->name,
			mark->known ? mark->epoch : INT64_MIN, err))
		return -1;
	if (store_dest_known(s, f->dest.id, &known, &doubts, err))
		return -1;
	return adopt_arrivals(j, f, r, &f->refs[r], mark, known, err);
}

/* What is there is known before anything comes into it. */
static int prepare_destination(struct job *j, struct route_folder *f, bool changed, bool entered, struct err *err)
{
	uint64_t known = 0, doubts = 0;
	bool is_new = false;
	if (store_dest_known(j->work->store, f->dest.id, &known, &doubts, err) || look_at_marks(j, f, &is_new, err))
		return -1;
	if (doubts && (changed || is_new)) {
		if (parcel_queue_drain(j->queue, err) || store_flush(j->work->store, err) ||
			doubt_settle_folder(j, f, err) ||
			store_dest_known(j->work->store, f->dest.id, &known, &doubts, err))
			return -1;
	}
	if (is_new && wait_until_visible(j, f, err))
		return -1;
	bool index = !f->dest.indexed;
	unsigned lister;
	struct dest_mark mark;
	if (choose_lister(j, f, &lister, &mark, err))
		return -1;
	if (index && changed) /* the marks begin at its start, and are taken again below */
		f->found_epoch = j->user.lease_epoch - 1;
	if (index) {
		if (adopt_index(j, f, lister, &f->refs[lister], err))
			return -1;
		/* What came while it was read is after the mark. */
		if (f->refs[lister].existing && find_by_all(j, f, false, &changed, err))
			return -1;
	} else if (!entered && find_arrivals(j, f, lister, &mark, err)) {
		return -1;
	}
	if (take_marks(j, f, !entered && (index || (changed && !doubts)), !entered && !doubts, err))
		return -1;
	f->entered = true;
	return 0;
}

static int enter_destination(struct job *j, struct route_folder *f, bool *changed, bool *entered, struct err *err)
{
	*entered = is_entered(j, f);
	*changed = false;
	if (find_by_all(j, f, *entered, changed, err))
		return -1;
	return *changed ? note_anew(j, f, err) : 0;
}

/* --- both sides -------------------------------------------------------------------------------------- */

int enter_generation(struct job *j, struct route_folder *f, uint32_t uidvalidity, struct err *err)
{
	struct store *s = j->work->store;
	bool changed, entered;
	f->opened = false;
	generation_done(&f->generation);
	if (store_generation(s, j->user.id, j->user.lease_epoch, f->source->raw, f->source->name, uidvalidity,
		    &f->generation, err) ||
		enter_destination(j, f, &changed, &entered, err))
		return -1;
	if (f->generation.dest_folder_id != f->dest.id &&
		store_generation_dest(s, j->user.lease_epoch, f->generation.id, f->dest.id, err))
		return -1;
	f->generation.dest_folder_id = f->dest.id;
	f->opened = true; /* what is in doubt can be settled now */
	int rc = 0;
	/* What is in doubt of the older generation must be settled before its messages, under new UIDs, are compared with it. */
	if (f->generation.older_id)
		rc = parcel_queue_drain(j->queue, err) || store_flush(s, err) || doubt_settle_folder(j, f, err) ? -1
														: 0;
	if (!rc)
		rc = prepare_destination(j, f, changed, entered, err);
	if (rc)
		f->opened = false;
	return rc;
}

int enter_folder(struct job *j, struct route_folder *f, struct pull **out, struct folder_state *state, struct err *err)
{
	if (job_source(j, err))
		return -1;
	struct pull_conf conf = {
		.spool_dir = j->work->spool_dir, .memory = j->memory, .gate = j->limits.source_gate, .stop = j->stop};
	if (pull_open(out, j->source, f->source->raw, &conf, state, err))
		return -1;
	if (f->opened && state->uidvalidity == f->generation.uidvalidity)
		return 0;
	if (f->opened && ++f->uidvalidity_changes > GENERATIONS) {
		pull_close(out);
		return err_set(err, ERR_FOLDER, "the source gives the folder another UIDVALIDITY each time (now %u)",
			state->uidvalidity);
	}
	if (f->opened && (parcel_queue_drain(j->queue, err) || store_flush(j->work->store, err))) {
		pull_close(out);
		return -1; /* what is on its way belongs to the old generation: it must be placed before it can be carried over */
	}
	if (enter_generation(j, f, state->uidvalidity, err)) {
		pull_close(out);
		return -1;
	}
	return 0;
}
