/* Flags that changed at the source after the message was moved. They are written only where the destination still holds what we last wrote:
   what a person did there stays. */
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

static int refresh_one(
	struct job *j, const struct folder_ref *ref, const struct pull_meta *m, const struct item *it, struct err *err)
{
	unsigned there = 0, wanted = m->flags & CHANGING;
	int rc = it->receipt.id[0] ? j->target->ops->get_flags(j->target, ref, it->receipt.id, &there, err)
				   : err_set(err, ERR_GONE, "id");
	if (rc && err->kind != ERR_GONE && err->kind != ERR_CHANGED)
		return -1;
	/* Moved, deleted or flagged otherwise by a person: theirs from now on. One that was only placed was never finished by us. */
	if (rc || (it->state == ITEM_DONE && (there & CHANGING) != (it->flags_written & CHANGING))) {
		err_clear(err);
		return it->state == ITEM_PLACED ? finish_item(j, it, wanted, err)
						: store_flags(j->work->store, j->user.id, j->user.lease_epoch,
							  it->generation_id, it->uid, m->flags, wanted, err);
	}
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	if (j->target->ops->set_flags(j->target, ref, it->receipt.id, wanted, err)) {
		if (err->kind != ERR_MESSAGE && err->kind != ERR_GONE)
			return -1;
		err_clear(err); /* the destination does not keep them: asking again would not help */
	}
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	if (it->state == ITEM_PLACED ? finish_item(j, it, wanted, err)
				     : store_flags(j->work->store, j->user.id, j->user.lease_epoch, it->generation_id,
					       it->uid, m->flags, wanted, err))
		return -1;
	return 0;
}

int refresh_flags(struct job *j, struct route_folder *f, const struct pull_meta *v, size_t n, struct err *err)
{
	struct folder_ref ref;
	if (job_copy_ref(j, f, &ref, err))
		return -1;
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
		for (unsigned tries = 1; it.uid == v[i].uid && (it.state == ITEM_DONE || it.state == ITEM_PLACED);
			tries++) {
			rc = job_target(j, err);
			if (!rc && !(rc = refresh_one(j, &ref, &v[i], &it, err)))
				break;
			enum err_action act = err_action(err->kind);
			if (!j->target || (act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
				break;
			job_drop_target(j);
			struct err why = *err;
			if (job_back_off(j, tries, &why, err))
				break;
		}
		item_done(&it);
	}
	folder_ref_done(&ref);
	if (!rc && !(rc = store_flush(j->work->store, err)))
		failpoint_hit(FP_FINISH_AFTER_COMMIT);
	return rc ? err_wrap(err, "flags in %s", f->mapping->path) : 0;
}
