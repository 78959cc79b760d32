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
	struct tries tries = {0};
	for (;;) {
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
		if (route_again(j, r, &tries, err))
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

/* *ok: the canon of its content is there. */
static int read_once(struct job *j, struct route_folder *f, const struct item *it, uint8_t canon[CANON_BYTES], bool *ok,
	struct err *err)
{
	struct folder_ref ref;
	struct spool *body = NULL;
	struct err unreadable = ERR_INIT;
	unsigned r = route_named(j, it->receipt.route);
	enum reach how;
	*ok = false;
	if (route_reach(j, f, r, &ref, &how, err))
		return -1;
	if (how != REACH_OK)
		return 0;
	int rc = j->routes[r].target->ops->read(j->routes[r].target, &ref, it->receipt.id, &body, NULL, err);
	*ok = !rc && !canon_digest(body, canon, &unreadable);
	spool_free(&body);
	folder_ref_done(&ref);
	return rc;
}

/* False: nobody can tell its content, however often it is tried. */
static bool read_one(
	struct job *j, struct route_folder *f, const struct item *it, uint8_t canon[CANON_BYTES], struct err *err)
{
	struct tries tries = {0};
	bool ok;
	while (read_once(j, f, it, canon, &ok, err))
		if (route_again(j, route_named(j, it->receipt.route), &tries, err))
			return false;
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
