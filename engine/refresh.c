/* Flags that changed at the source after the message was moved. They are written only where the destination still holds what we last wrote: what a
   person did there stays. What was taken over had its flags from people: of it only what changes at the source since is written. A message has an id
   of one route alone, so the route that made its receipt is asked. */
#include "engine/job.h"

#include "engine/base/failpoint.h"

#define CHANGING (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED)

/* A message whose flags were not stored after it was placed becomes done. */
static int finish_item(struct job *j, const struct item *it, unsigned written, struct err *err)
{
	struct item rec = *it;
	rec.state = ITEM_DONE;
	rec.flags_written = written;
	return store_placed(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err);
}

/* What the source wants there now; flags that the route cannot carry are never written and never missed. */
static unsigned wanted_flags(const struct pull_meta *m, const struct item *it, unsigned there)
{
	if (it->how != HOW_ADOPTED || it->state != ITEM_DONE)
		return m->flags & CHANGING;
	unsigned changed = (m->flags ^ it->flags_source) & CHANGING;
	return (there & CHANGING & ~changed) | (m->flags & changed);
}

static int save(struct job *j, const struct pull_meta *m, const struct item *it, unsigned written, struct err *err)
{
	if (it->state == ITEM_PLACED)
		return finish_item(j, it, written, err);
	return store_flags(
		j->work->store, j->user.id, j->user.lease_epoch, it->generation_id, it->uid, m->flags, written, err);
}

static int refresh_one(struct job *j, struct target *t, const struct folder_ref *ref, const struct pull_meta *m,
	const struct item *it, struct err *err)
{
	unsigned there = 0, mask = CHANGING & t->ops->flags_kept;
	int rc = it->receipt.id[0] ? t->ops->get_flags(t, ref, it->receipt.id, &there, err)
				   : err_set(err, ERR_GONE, "id");
	if (rc && err->kind != ERR_GONE && err->kind != ERR_CHANGED)
		return -1;
	unsigned wanted = wanted_flags(m, it, there);
	/* Moved, deleted or flagged otherwise by a person: theirs from now on. One that was only placed was never finished by us. */
	if (rc || (it->state == ITEM_DONE && ((there ^ it->flags_written) & mask))) {
		err_clear(err);
		return save(j, m, it, wanted, err);
	}
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	bool keywords = it->state == ITEM_PLACED && t->ops->set_keywords && m->keywords[0];
	if (t->ops->set_flags(t, ref, it->receipt.id, wanted & mask, err) ||
		(keywords && t->ops->set_keywords(t, ref, it->receipt.id, m->keywords, err))) {
		if (err->kind != ERR_MESSAGE && err->kind != ERR_GONE)
			return -1;
		err_clear(err); /* the destination does not keep them: asking again would not help */
	}
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	return save(j, m, it, wanted, err);
}

/* 0: done, or it waits for a run in which its route can be used. */
static int refresh_item(
	struct job *j, struct route_folder *f, const struct pull_meta *m, const struct item *it, struct err *err)
{
	unsigned r = route_named(j, it->receipt.route);
	struct tries tries = {0};
	for (;;) {
		struct folder_ref ref;
		enum reach how;
		int rc = route_reach(j, f, r, &ref, &how, err);
		if (!rc && how != REACH_OK)
			return 0;
		if (!rc) {
			rc = refresh_one(j, j->routes[r].target, &ref, m, it, err);
			folder_ref_done(&ref);
		}
		if (!rc)
			return 0;
		if (route_again(j, r, &tries, err))
			return route_leave(j, r, err);
	}
}

int refresh_flags(struct job *j, struct route_folder *f, const struct pull_meta *v, size_t n, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		struct item it;
		size_t got = 0;
		if (job_is_over(j))
			rc = err_set(err, ERR_STOPPED, "stopped");
		else
			rc = store_items_full(j->work->store, f->generation.id, v[i].uid - 1, &it, 1, &got, err);
		if (rc || !got)
			continue;
		if (it.uid == v[i].uid && (it.state == ITEM_DONE || it.state == ITEM_PLACED))
			rc = refresh_item(j, f, &v[i], &it, err);
		item_done(&it);
	}
	if (!rc && !(rc = store_flush(j->work->store, err)))
		failpoint_hit(FP_FINISH_AFTER_COMMIT);
	return rc ? err_wrap(err, "flags in %s", f->mapping->path) : 0;
}
