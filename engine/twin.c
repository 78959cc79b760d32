#include "engine/twin.h"

#include "engine/job.h"

#include <string.h>

#define LOOKED_AT 500 /* more twins of one key or another are believed to be where their receipts say */

void twins_done(struct twins *t)
{
	for (size_t i = 0; i < t->n; i++)
		item_done(&t->items[i]);
	free(t->items);
	free(t->canons);
	*t = (struct twins){0};
}

/* By the twin's own route: is it where its receipt says? One that cannot be asked leaves *there true. */
static int look_at(struct job *j, struct route_folder *f, const struct item *it, bool *there, struct err *err)
{
	unsigned r = route_named(j, it->receipt.route), flags;
	*there = true;
	for (unsigned tries = 1;; tries++) {
		struct folder_ref ref;
		enum reach how;
		int rc = route_reach(j, f, r, &ref, &how, err);
		if (!rc && how != REACH_OK) {
			*there = how != REACH_NO_FOLDER;
			return 0;
		}
		if (!rc) {
			rc = j->routes[r].target->ops->get_flags(
				j->routes[r].target, &ref, it->receipt.id, &flags, err);
			folder_ref_done(&ref);
		}
		if (!rc)
			return 0;
		if (err->kind == ERR_GONE ||
			err->kind == ERR_CHANGED) { /* a person moved or deleted it: it takes nobody's place */
			*there = false;
			return 0;
		}
		if (job_gives_up(err->kind, tries))
			return -1;
		route_drop(j, r);
		struct err why = *err;
		if (job_back_off(j, LIVE_TARGET, tries, &why, err))
			return -1;
	}
}

int twins_load(struct job *j, struct route_folder *f, unsigned r, int64_t epoch, const uint8_t (*keys)[PRINT_KEY_BYTES],
	size_t n_keys, struct twins *out, struct err *err)
{
	*out = (struct twins){0};
	if (store_twins(
		    j->work->store, f->dest.id, j->routes[r].ops->name, epoch, keys, n_keys, &out->items, &out->n, err))
		return -1;
	if (!keys || out->n > LOOKED_AT)
		return 0;
	size_t kept = 0;
	for (size_t i = 0; i < out->n; i++) {
		bool there;
		if (look_at(j, f, &out->items[i], &there, err)) {
			twins_done(out);
			return -1;
		}
		err_clear(err);
		if (there)
			out->items[kept++] = out->items[i];
	}
	out->n = kept;
	return 0;
}

void twins_pending(const struct twins *t, struct pending *p)
{
	for (size_t i = 0; i < t->n; i++)
		p[i] = (struct pending){.print = &t->items[i].print, .key = t->items[i].key, .twin = true};
}

static bool read_one(
	struct job *j, struct route_folder *f, const struct item *it, uint8_t canon[CANON_BYTES], struct err *err)
{
	struct folder_ref ref;
	struct spool *body = NULL;
	unsigned r = route_named(j, it->receipt.route);
	enum reach how;
	if (route_reach(j, f, r, &ref, &how, err) || how != REACH_OK)
		return false;
	bool ok = !j->routes[r].target->ops->read(j->routes[r].target, &ref, it->receipt.id, &body, NULL, err) &&
		  canon_digest(body, canon, err) == 0;
	spool_free(&body);
	folder_ref_done(&ref);
	return ok;
}

int twins_read(struct job *j, struct route_folder *f, struct twins *t, struct pending *p, struct err *err)
{
	if (t->n && !t->canons && !(t->canons = calloc(t->n, sizeof *t->canons)))
		return err_set(err, ERR_MEMORY, "no memory for %zu messages that look alike", t->n);
	for (size_t i = 0; i < t->n; i++) {
		if (p[i].outcome != SETTLE_NEEDS_CANON || p[i].canon)
			continue;
		if (read_one(j, f, &t->items[i], t->canons[i], err))
			p[i].canon = t->canons[i];
		else
			p[i].any_content = true;
		if (job_is_over(j))
			return err_set(err, ERR_STOPPED, "stopped");
		err_clear(err);
	}
	return 0;
}
