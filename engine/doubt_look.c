/* One route looks into a destination folder for the items in doubt that it settles. doubt.c says why what it finds is theirs. */
#include "engine/doubt.h"

#include <stdlib.h>
#include <string.h>

void group_done(struct group *g)
{
	twins_done(&g->twins);
	free(g->at);
	free(g->v);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, PRINT_KEY_BYTES);
}

static int load_group_twins(struct group *g, struct err *err)
{
	struct doubt *d = g->d;
	uint8_t(*keys)[PRINT_KEY_BYTES] = calloc(g->n, sizeof *keys);
	if (!keys)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", g->n);
	for (size_t i = 0; i < g->n; i++)
		print_key(&d->items[g->at[i]].print, keys[i]);
	qsort(keys, g->n, sizeof *keys, by_key);
	int rc = twins_load(d->j, d->f, g->r, g->whole ? INT64_MIN : g->mark.epoch,
		(const uint8_t(*)[PRINT_KEY_BYTES])keys, g->n, &g->twins, err);
	free(keys);
	return rc;
}

int group_make(struct group *g, struct doubt *d, unsigned r, struct err *err)
{
	struct job *j = d->j;
	*g = (struct group){.d = d, .r = r, .at = calloc(d->n, sizeof *g->at)};
	if (!g->at)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	if (store_mark(j->work->store, d->f->dest.id, j->routes[r].ops->name, &g->mark, err))
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		if (d->routes[i] != r)
			continue;
		g->at[g->n++] = i;
		g->whole |= !g->mark.known || d->items[i].epoch < g->mark.epoch;
	}
	if (!g->n)
		return 0;
	if (load_group_twins(g, err) || !(g->v = calloc(g->n + g->twins.n, sizeof *g->v)))
		return g->v || err->kind != ERR_NONE ? -1 : err_set(err, ERR_MEMORY, "no memory for items in doubt");
	for (size_t i = 0; i < g->n; i++)
		g->v[i] = d->pending[g->at[i]];
	twins_pending(&g->twins, g->v + g->n);
	return 0;
}

static int is_accounted(void *arg, const char *id, bool *yes, struct err *err)
{
	const struct group *g = arg;
	const struct job *j = g->d->j;
	return store_accounted(j->work->store, g->d->f->dest.id, j->routes[g->r].ops->name, !g->whole, id, yes, err);
}

static int look_once(struct group *g, struct err *err)
{
	struct doubt *d = g->d;
	struct folder_ref ref;
	enum reach how;
	char generation[sizeof g->mark.generation];
	if (route_reach(d->j, d->f, g->r, &ref, &how, err))
		return -1;
	if (how != REACH_OK)
		return err_set(
			err, ERR_FOLDER, "route %s cannot look into the folder any more", d->j->routes[g->r].ops->name);
	route_generation(&ref, generation, sizeof generation);
	/* A folder made anew holds nothing from before: every message in it is a candidate. */
	bool anew = g->mark.generation[0] && strcmp(generation, g->mark.generation) != 0;
	struct settle_query q = {
		.folder = &ref, .mark = g->whole || anew ? "" : g->mark.mark, .accounted = is_accounted, .arg = g};
	int rc = settle_look(d->j->routes[g->r].target, &q, g->v, g->n + g->twins.n, err);
	folder_ref_done(&ref);
	return rc;
}

static int look(struct group *g, struct err *err)
{
	struct doubt *d = g->d;
	struct tries tries = {0};
	while (look_once(g, err)) {
		if (route_again(d->j, g->r, &tries, err))
			return err_wrap(err, "looking up what is in doubt in %s", d->f->mapping->path);
	}
	for (size_t i = 0; i < g->n; i++)
		d->pending[g->at[i]] = g->v[i];
	return 0;
}

/* --- content of items that header values alone cannot tell apart ------------------------------------ */

void doubt_meta(const struct item *it, struct pull_meta *out)
{
	memset(out, 0, sizeof *out);
	out->uid = it->uid;
	out->size = it->size;
	out->flags = it->flags_source;
	out->received = it->received;
}

static size_t index_of(const struct doubt *d, uint32_t uid)
{
	size_t i = 0;
	while (i < d->n && !(d->items[i].uid == uid && d->items[i].generation_id == d->f->generation.id))
		i++;
	return i;
}

/* Reads from the source the content of those that header values alone cannot tell apart. */
static int compute_canons(struct doubt *d, struct pull *pull, struct err *err)
{
	for (;;) {
		struct mail *m = NULL;
		struct err item = ERR_INIT, unreadable = ERR_INIT;
		if (pull_next(pull, &m, &item, err))
			return -1;
		if (!m)
			return 0;
		/* asked again, but not for ever: it may never be given out */
		if (item.kind == ERR_BUSY && (err_asks_to_wait(&item) || ++d->busy < JOB_TRIES)) {
			*err = item;
			pull_release(d->j->memory, &m);
			return -1;
		}
		size_t i = index_of(d, m->uid);
		if (i < d->n && m->body && !canon_digest(m->body, d->canons[i], &unreadable))
			d->pending[i].canon = d->canons[i];
		pull_release(d->j->memory, &m);
	}
}

static int fetch_canons(struct doubt *d, struct err *err)
{
	struct pull *pull = NULL;
	struct folder_state state;
	int64_t generation = d->f->generation.id;
	struct pull_meta *v = calloc(d->n, sizeof *v);
	size_t n = 0;
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for %zu items in doubt", d->n);
	for (size_t i = 0; i < d->n; i++)
		if (d->pending[i].outcome == SETTLE_NEEDS_CANON && !d->pending[i].canon &&
			d->items[i].generation_id == generation)
			doubt_meta(&d->items[i], &v[n++]);
	int rc = n ? enter_folder(d->j, d->f, &pull, &state, err) : 0;
	if (!rc && n && d->f->generation.id == generation)
		rc = pull_want(pull, v, n, err) || compute_canons(d, pull, err) ? -1 : 0;
	pull_close(&pull);
	free(v);
	for (size_t i = 0; i < d->n && !rc; i++)
		d->gone[i] = d->pending[i].outcome == SETTLE_NEEDS_CANON && !d->pending[i].canon;
	return rc;
}

static int fetch_canons_with_retries(struct doubt *d, struct err *err)
{
	struct tries tries = {0};
	while (fetch_canons(d, err)) {
		if (job_source_again(d->j, &tries, err))
			return err_wrap(err, "comparing what is in doubt in %s", d->f->mapping->path);
	}
	return 0;
}

static bool needs_canon(const struct group *g)
{
	for (size_t i = 0; i < g->n + g->twins.n; i++)
		if (g->v[i].outcome == SETTLE_NEEDS_CANON)
			return true;
	return false;
}

int group_settle(struct group *g, struct err *err)
{
	struct doubt *d = g->d;
	if (look(g, err))
		return -1;
	if (!needs_canon(g))
		return 0;
	if (twins_read(d->j, d->f, &g->twins, g->v + g->n, err) || fetch_canons_with_retries(d, err))
		return -1;
	for (size_t i = 0; i < g->n; i++)
		g->v[i].canon = d->pending[g->at[i]].canon;
	if (look(g, err))
		return -1;
	for (size_t i = 0; i < g->n; i++) /* a second look that still cannot tell has no more to go by */
		d->gone[g->at[i]] |= g->v[i].outcome == SETTLE_NEEDS_CANON;
	return 0;
}
