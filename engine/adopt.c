/* Mail that is already at the destination: put there by another tool, a forward, or by us before the state was lost. The first contact with a
   folder that is not empty writes an index of it into the store; a source message whose header values are in the index is compared by content
   (SHA-256, else the canonical digest) and, where it is the same, taken over instead of copied. The lead route lists; what it lists and another route
   put there is not somebody else's (engine/twin.h). What was found is read again, flagged and claimed by the route that listed it. */
#include "engine/intent.h"
#include "engine/job.h"
#include "engine/twin.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_PAGE 500
#define FOUND 64 /* candidates with the same header values that are looked at */
#define SEEN 64  /* digests of destination messages that were read before */

struct adopt {
	struct existing found[FOUND];
	struct {
		char id[200];
		uint8_t sha256[32];
		uint8_t canon[CANON_BYTES];
		bool has_canon;
	} seen[SEEN];
	size_t next_seen;
	int64_t folder; /* whose messages were seen: other folders may have the same ids */
};

void adopt_done(struct job *j)
{
	free(j->adopt);
	j->adopt = NULL;
}

/* --- the index ---------------------------------------------------------------------------------- */

struct ids {
	char **v;
	size_t n;
}; /* sorted */

static int by_id(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Twins among what is listed, key by key. */
struct crowd {
	uint8_t key[PRINT_KEY_BYTES];
	size_t twins, listed;
};

struct listing {
	struct job *j;
	struct route_folder *f;
	unsigned r;
	const struct folder_ref *ref;
	const char *mark;     /* "": all */
	struct ids *known;    /* ids that are accounted for, left out */
	bool by_id;           /* also those that the route's mark keeps as ids */
	struct crowd *crowds; /* sorted by key */
	size_t n_crowds;
	bool count_only; /* fills crowds.listed */
};

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, PRINT_KEY_BYTES);
}

static int is_known(const struct listing *l, const char *id, bool *yes, struct err *err)
{
	*yes = l->known->n && bsearch(&id, l->known->v, l->known->n, sizeof *l->known->v, by_id);
	if (*yes || !l->by_id)
		return 0;
	return store_accounted(l->j->work->store, l->f->dest.id, l->j->routes[l->r].ops->name, true, id, yes, err);
}

static int index_page(struct listing *l, const struct remote_mail *v, size_t n, struct err *err)
{
	struct job *j = l->j;
	size_t kept = 0;
	struct existing *e = calloc(n, sizeof *e);
	if (!e)
		return err_set(err, ERR_MEMORY, "no memory for the index of what is at the destination");
	for (size_t i = 0; i < n; i++) {
		struct existing *at = &e[kept];
		bool known;
		if (is_known(l, v[i].id, &known, err)) {
			free(e);
			return -1;
		}
		if (known)
			continue;
		print_key(&v[i].print, at->key);
		struct crowd *c = l->n_crowds ? bsearch(at->key, l->crowds, l->n_crowds, sizeof *c, by_key) : NULL;
		if (c && l->count_only)
			c->listed++;
		if (l->count_only || (c && c->listed <= c->twins)) /* all of them may be twins */
			continue;
		snprintf(at->id, sizeof at->id, "%s", v[i].id);
		snprintf(at->route, sizeof at->route, "%s", j->routes[l->r].ops->name);
		at->epoch = l->f->found_epoch;
		at->size = v[i].size;
		kept++;
	}
	int rc = kept ? store_existing_add(
				j->work->store, j->user.id, j->user.lease_epoch, l->f->dest.id, e, kept, false, err)
		      : 0;
	l->f->dest.has_existing |= kept > 0;
	free(e);
	return rc;
}

/* Lists what comes after the mark into the index. */
static int list_all(struct listing *l, struct err *err)
{
	struct target *t = l->j->routes[l->r].target;
	struct remote_mail *page = calloc(INDEX_PAGE, sizeof *page);
	char cursor[200];
	size_t n = 0;
	snprintf(cursor, sizeof cursor, "%s", l->mark);
	for (size_t i = 0; i < l->n_crowds && l->count_only; i++)
		l->crowds[i].listed = 0;
	int rc = page ? 0 : err_set(err, ERR_MEMORY, "no memory for the index of what is at the destination");
	while (!rc && !(rc = t->ops->list(t, l->ref, cursor, page, INDEX_PAGE, &n, err)) && n) {
		rc = index_page(l, page, n, err);
		snprintf(cursor, sizeof cursor, "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++)
			fingerprint_done(&page[i].print);
		if (!rc && job_is_over(l->j))
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	free(page);
	return rc;
}

static int list_with_retries(struct listing *l, struct err *err)
{
	struct job *j = l->j;
	struct tries tries = {0};
	while (route_target(j, l->r, err) || list_all(l, err)) {
		if (!route_again(j, l->r, &tries, err))
			continue;
		return err->kind == ERR_STOPPED
			       ? -1
			       : err_wrap_name(err, "reading what is in destination folder", l->ref->path);
	}
	return 0;
}

static int make_crowds(struct listing *l, const struct twins *t, struct err *err)
{
	if (!t->n)
		return 0;
	l->crowds = calloc(t->n, sizeof *l->crowds);
	if (!l->crowds)
		return err_set(err, ERR_MEMORY, "no memory for %zu messages that other routes brought", t->n);
	for (size_t i = 0; i < t->n; i++)
		memcpy(l->crowds[i].key, t->items[i].key, PRINT_KEY_BYTES);
	qsort(l->crowds, t->n, sizeof *l->crowds, by_key);
	for (size_t i = 0; i < t->n; i++) {
		struct crowd *last = l->n_crowds ? &l->crowds[l->n_crowds - 1] : NULL;
		if (!last || memcmp(last->key, l->crowds[i].key, PRINT_KEY_BYTES)) {
			last = &l->crowds[l->n_crowds++];
			memmove(last->key, l->crowds[i].key, PRINT_KEY_BYTES);
			last->twins = 0;
		}
		last->twins++;
	}
	return 0;
}

struct accounting {
	struct job *j;
	const struct route_folder *f;
	unsigned r;
};

static int is_accounted(void *arg, const char *id, bool *yes, struct err *err)
{
	const struct accounting *a = arg;
	return store_accounted(a->j->work->store, a->f->dest.id, a->j->routes[a->r].ops->name, true, id, yes, err);
}

/* Where more is listed under a key than its twins: which of them are the twins? Their ids join the known ones; a key whose twins cannot be told is
   left out altogether (a copy too many is better than a message taken for another). */
static int tell_twins(struct listing *l, struct twins *t, struct err *err)
{
	struct accounting acc = {l->j, l->f, l->r};
	struct settle_query q = {.folder = l->ref, .mark = l->mark, .accounted = is_accounted, .arg = &acc};
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++) { /* only those of such keys are left */
		const struct crowd *c = bsearch(t->items[i].key, l->crowds, l->n_crowds, sizeof *c, by_key);
		if (c && c->listed > c->twins)
			t->items[n++] = t->items[i];
	}
	t->n = n;
	struct pending *p = calloc(n ? n : 1, sizeof *p);
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for %zu messages that other routes brought", n);
	twins_pending(t, p);
	int rc = 0;
	for (int look = 0; look < 2 && n && !rc; look++) {
		struct tries tries = {0};
		while ((rc = route_target(l->j, l->r, err) || settle_look(l->j->routes[l->r].target, &q, p, n, err)
				       ? -1
				       : 0) &&
			!route_again(l->j, l->r, &tries, err))
			;
		if (!rc && look == 0)
			rc = twins_read(l->j, l->f, t, p, err);
	}
	for (size_t i = 0; i < n && !rc; i++) {
		struct crowd *c = bsearch(t->items[i].key, l->crowds, l->n_crowds, sizeof *c, by_key);
		if (p[i].outcome != SETTLE_FOUND || p[i].any_content) {
			if (p[i].outcome != SETTLE_ABSENT)
				c->twins = SIZE_MAX;
			continue;
		}
		char **v = realloc(l->known->v, (l->known->n + 1) * sizeof *v);
		if (!v || !(v[l->known->n] = strdup(p[i].receipt.id))) {
			rc = err_set(err, ERR_MEMORY, "no memory for the ids of a folder");
			l->known->v = v ? v : l->known->v;
			break;
		}
		l->known->v = v;
		l->known->n++;
	}
	if (l->known->n)
		qsort(l->known->v, l->known->n, sizeof *l->known->v, by_id);
	free(p);
	return rc;
}

static bool is_crowded(const struct listing *l)
{
	for (size_t i = 0; i < l->n_crowds; i++)
		if (l->crowds[i].listed > l->crowds[i].twins)
			return true;
	return false;
}

int adopt_arrivals(struct job *j, struct route_folder *f, unsigned r, const struct folder_ref *ref,
	const struct dest_mark *mark, uint64_t known, struct err *err)
{
	struct store *s = j->work->store;
	const char *route = j->routes[r].ops->name;
	if (j->batch.existing != EXISTING_ADOPT || ref->existing <= known)
		return 0;
	log_line(LOG_INFO,
		"mailbox %s: %llu messages have come into %s that are not known here; they are compared before "
		"anything "
		"is copied",
		j->user.address, (unsigned long long)(ref->existing - known), ref->path);
	struct ids claimed = {0};
	struct twins twins = {0};
	struct listing l = {.j = j,
		.f = f,
		.r = r,
		.ref = ref,
		.mark = mark->known ? mark->mark : "",
		.known = &claimed,
		.by_id = j->routes[r].ops->marks_by_ids};
	int rc = store_claimed(s, f->dest.id, route, &claimed.v, &claimed.n, err) ||
				 /* without a mark all of the folder is listed, with all that others brought */
				 twins_load(j, f, r, mark->known ? mark->epoch : INT64_MIN, NULL, 0, &twins, err) ||
				 make_crowds(&l, &twins, err)
			 ? -1
			 : 0;
	if (!rc && l.n_crowds) {
		l.count_only = true;
		rc = list_with_retries(&l, err);
		l.count_only = false;
		if (!rc && is_crowded(&l))
			rc = tell_twins(&l, &twins, err);
	}
	if (!rc)
		rc = list_with_retries(&l, err);
	store_ids_free(&claimed.v, claimed.n);
	twins_done(&twins);
	free(l.crowds);
	return rc;
}

int adopt_index(struct job *j, struct route_folder *f, unsigned r, const struct folder_ref *ref, struct err *err)
{
	if (ref->existing && j->batch.existing == EXISTING_REFUSE) {
		err_set(err, ERR_FOLDER,
			"destination folder %s holds %llu messages already, and the batch says --existing refuse",
			ref->path, (unsigned long long)ref->existing);
		err_hint(err, "--existing adopt takes over what is the same and copies the rest");
		return -1;
	}
	if (ref->existing && j->batch.existing == EXISTING_ADOPT) {
		struct ids none = {0};
		struct listing l = {.j = j, .f = f, .r = r, .ref = ref, .mark = "", .known = &none};
		log_line(LOG_INFO,
			"mailbox %s: %llu messages are in %s already; they are compared before anything is copied",
			j->user.address, (unsigned long long)ref->existing, ref->path);
		if (list_with_retries(&l, err))
			return -1;
	}
	if (store_existing_add(j->work->store, j->user.id, j->user.lease_epoch, f->dest.id, NULL, 0, true, err))
		return -1;
	f->dest.indexed = true;
	f->dest.has_existing = ref->existing && j->batch.existing == EXISTING_ADOPT;
	return 0;
}

/* --- taking over -------------------------------------------------------------------------------- */

/* The open target and folder of the route that listed e. 0; 1: it cannot be asked in this run; -1. */
static int reach(struct job *j, struct route_folder *f, const struct existing *e, struct target **t,
	struct folder_ref *ref, struct err *err)
{
	unsigned r = route_named(j, e->route);
	enum reach how;
	if (route_reach(j, f, r, ref, &how, err))
		return -1;
	if (how != REACH_OK)
		return 1;
	*t = j->routes[r].target;
	return 0;
}

/* Content of a destination message, read once. 0: *at is its place among the seen; 1: it is gone, or cannot be asked for; -1. */
static int digest(
	struct job *j, struct route_folder *f, const struct existing *e, bool canon, size_t *at, struct err *err)
{
	struct adopt *a = j->adopt;
	const char *id = e->id;
	struct target *t;
	struct folder_ref ref;
	for (size_t i = 0; i < SEEN; i++)
		if (!strcmp(a->seen[i].id, id) && (!canon || a->seen[i].has_canon)) {
			*at = i;
			return 0;
		}
	struct spool *body = NULL;
	struct fingerprint print = {0};
	int rc = reach(j, f, e, &t, &ref, err);
	if (rc)
		return rc;
	rc = t->ops->read(t, &ref, id, &body, &print, err);
	folder_ref_done(&ref);
	if (rc)
		return err->kind == ERR_GONE || err->kind == ERR_CHANGED ? 1 : -1;
	*at = a->next_seen;
	a->next_seen = (a->next_seen + 1) % SEEN;
	snprintf(a->seen[*at].id, sizeof a->seen[*at].id, "%s", id);
	memcpy(a->seen[*at].sha256, print.sha256, sizeof print.sha256);
	a->seen[*at].has_canon = canon && !canon_digest(body, a->seen[*at].canon, err);
	fingerprint_done(&print);
	spool_free(&body);
	return 0;
}

/* 0: *match names the one that is the same; *match NULL: none is; -1. */
static int find_same(struct job *j, struct route_folder *f, const struct mail *m, size_t n,
	const struct existing **match, struct err *err)
{
	struct adopt *a = j->adopt;
	size_t at;
	*match = NULL;
	for (size_t i = 0; i < n; i++) {
		int rc = digest(j, f, &a->found[i], false, &at, err);
		if (rc < 0)
			return -1;
		if (!rc && !memcmp(a->seen[at].sha256, m->print.sha256, 32)) {
			*match = &a->found[i];
			return 0;
		}
	}
	uint8_t canon[CANON_BYTES];
	struct err ignored = ERR_INIT;
	if (canon_digest(m->body, canon, &ignored))
		return 0; /* cannot be read as MIME: only equal octets count */
	for (size_t i = 0; i < n; i++) {
		int rc = digest(j, f, &a->found[i], true, &at, err);
		if (rc < 0)
			return -1;
		if (!rc && a->seen[at].has_canon && !memcmp(a->seen[at].canon, canon, CANON_BYTES)) {
			*match = &a->found[i];
			return 0;
		}
	}
	return 0;
}

static int record(
	struct job *j, struct route_folder *f, const struct mail *m, const struct existing *e, struct err *err)
{
	struct item rec;
	struct target *t;
	struct folder_ref ref;
	unsigned flags = 0;
	intent_fill(f, m, ITEM_DONE, NULL, &rec);
	rec.how = HOW_ADOPTED;
	snprintf(rec.receipt.route, sizeof rec.receipt.route, "%s", e->route);
	snprintf(rec.receipt.id, sizeof rec.receipt.id, "%s", e->id);
	rec.epoch = e->epoch;
	/* Its flags are somebody else's: what is there now counts as what we last wrote. */
	int rc = reach(j, f, e, &t, &ref, err);
	if (rc)
		return rc < 0 ? -1 : err_set(err, ERR_GONE, "the route %s cannot be used now", e->route);
	rc = t->ops->get_flags(t, &ref, e->id, &flags, err);
	folder_ref_done(&ref);
	if (rc)
		return -1;
	rec.flags_written = flags;
	return store_placed(j->work->store, j->user.id, j->user.lease_epoch, &rec, 1, err);
}

static int adopt_existing(struct job *j, struct route_folder *f, const struct mail *m, bool *taken, struct err *err)
{
	if (!j->adopt && !(j->adopt = calloc(1, sizeof *j->adopt)))
		return err_set(err, ERR_MEMORY, "no memory to compare with what is at the destination");
	if (j->adopt->folder != f->dest.id) {
		memset(j->adopt->seen, 0, sizeof j->adopt->seen);
		j->adopt->folder = f->dest.id;
	}
	uint8_t key[PRINT_KEY_BYTES];
	size_t n = 0;
	print_key(&m->print, key);
	if (store_existing_find(j->work->store, f->dest.id, key, j->adopt->found, FOUND, &n, err) || !n)
		return n ? -1 : err->kind == ERR_NONE ? 0 : -1;
	const struct existing *match = NULL;
	int rc = find_same(j, f, m, n, &match, err);
	if (!rc && match) {
		rc = record(j, f, m, match, err);
		*taken = !rc;
	}
	if (rc && (err->kind == ERR_GONE || err->kind == ERR_CHANGED)) { /* a person removed it between two looks */
		err_clear(err);
		return 0;
	}
	return rc;
}

int adopt_mail(struct job *j, struct route_folder *f, const struct mail *m, bool *taken, struct err *err)
{
	*taken = false;
	if (f->generation.older_id) {
		struct item rec;
		intent_fill(f, m, ITEM_DONE, NULL, &rec);
		rec.how = HOW_CARRIED;
		if (store_carry(j->work->store, j->user.id, j->user.lease_epoch, &f->generation, &rec, taken, err))
			return -1;
		if (*taken) /* another walk over the folder writes the flags that changed meanwhile */
			atomic_store(&f->unfinished, true);
	}
	if (*taken || !f->dest.has_existing || j->batch.existing != EXISTING_ADOPT)
		return 0;
	struct tries tries = {0};
	err_clear(err);
	while (adopt_existing(j, f, m, taken, err)) {
		if (!tries_go_on(&tries, err, JOB_TRIES))
			return err_wrap(err, "comparing UID %u with what is in %s", m->uid, f->mapping->path);
		for (unsigned r = 0; r < j->n_routes; r++)
			route_drop(j, r);
		if (job_back_off(j, LIVE_TARGET, &tries, err))
			return -1;
	}
	return 0;
}
