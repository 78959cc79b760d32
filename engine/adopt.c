/* Mail that is already at the destination: put there by another tool, a forward, or by us before the state was lost. The first contact with a
   folder that is not empty writes an index of it into the store; a source message whose header values are in the index is compared by content
   (SHA-256, else the canonical digest) and, where it is the same, taken over instead of copied. */
#include "engine/job.h"

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

/* claimed: ids that are ours already, left out. */
static int index_page(struct job *j, struct route_folder *f, const struct remote_mail *v, size_t n,
	const struct ids *claimed, struct err *err)
{
	size_t kept = 0;
	struct existing *e = calloc(n, sizeof *e);
	if (!e)
		return err_set(err, ERR_MEMORY, "no memory for the index of what is at the destination");
	for (size_t i = 0; i < n; i++) {
		const char *id = v[i].id;
		if (claimed->n && bsearch(&id, claimed->v, claimed->n, sizeof *claimed->v, by_id))
			continue;
		snprintf(e[kept].id, sizeof e[kept].id, "%s", id);
		e[kept].size = v[i].size;
		print_key(&v[i].print, e[kept++].key);
	}
	int rc = kept ? store_existing_add(
				j->work->store, j->user.id, j->user.lease_epoch, f->dest.id, e, kept, false, err)
		      : 0;
	f->dest.has_existing |= kept > 0;
	free(e);
	return rc;
}

/* Lists what comes after the mark ("": all) into the index. */
static int list_all(struct job *j, struct route_folder *f, const struct folder_ref *ref, const char *mark,
	const struct ids *claimed, struct err *err)
{
	struct remote_mail *page = calloc(INDEX_PAGE, sizeof *page);
	char cursor[200];
	size_t n = 0;
	snprintf(cursor, sizeof cursor, "%s", mark);
	int rc = page ? 0 : err_set(err, ERR_MEMORY, "no memory for the index of what is at the destination");
	while (!rc && !(rc = j->target->ops->list(j->target, ref, cursor, page, INDEX_PAGE, &n, err)) && n) {
		rc = index_page(j, f, page, n, claimed, err);
		snprintf(cursor, sizeof cursor, "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++)
			fingerprint_done(&page[i].print);
		if (!rc && job_is_over(j))
			rc = err_set(err, ERR_STOPPED, "stopped");
	}
	free(page);
	return rc;
}

static int list_with_retries(struct job *j, struct route_folder *f, const struct folder_ref *ref, const char *mark,
	const struct ids *claimed, struct err *err)
{
	for (unsigned tries = 1; list_all(j, f, ref, mark, claimed, err); tries++) {
		enum err_action act = err_action(err->kind);
		if ((act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return err_wrap(err, "reading what is in destination folder %s", ref->path);
		job_drop_target(j);
		struct err why = *err;
		if (job_back_off(j, tries, &why, err) || job_target(j, err))
			return -1;
	}
	return 0;
}

int adopt_arrivals(struct job *j, struct route_folder *f, const struct folder_ref *ref, struct err *err)
{
	uint64_t known, doubts;
	struct store *s = j->work->store;
	if (j->batch.existing != EXISTING_ADOPT || !strcmp(ref->mark, f->dest.mark))
		return 0;
	if (store_dest_known(s, f->dest.id, &known, &doubts, err))
		return -1;
	if (ref->existing > known) {
		struct ids claimed = {0};
		log_line(LOG_INFO,
			"mailbox %s: %llu messages have come into %s that are not known here; they are compared before "
			"anything "
			"is copied",
			j->user.address, (unsigned long long)(ref->existing - known), ref->path);
		int rc = store_claimed(s, f->dest.id, &claimed.v, &claimed.n, err) ||
			 list_with_retries(j, f, ref, f->dest.mark, &claimed, err);
		store_ids_free(&claimed.v, claimed.n);
		if (rc)
			return -1;
	}
	if (doubts) /* those are looked for after the old mark */
		return 0;
	snprintf(f->dest.mark, sizeof f->dest.mark, "%s", ref->mark);
	return store_dest_mark(s, j->user.id, j->user.lease_epoch, f->dest.id, ref->mark, err);
}

int adopt_index(struct job *j, struct route_folder *f, const struct folder_ref *ref, struct err *err)
{
	if (ref->existing && j->batch.existing == EXISTING_REFUSE) {
		err_set(err, ERR_FOLDER,
			"destination folder %s holds %llu messages already, and the batch says --existing refuse",
			ref->path, (unsigned long long)ref->existing);
		err_hint(err, "--existing adopt takes over what is the same and copies the rest");
		return -1;
	}
	if (ref->existing && j->batch.existing == EXISTING_ADOPT) {
		log_line(LOG_INFO,
			"mailbox %s: %llu messages are in %s already; they are compared before anything is copied",
			j->user.address, (unsigned long long)ref->existing, ref->path);
		if (list_with_retries(j, f, ref, "", &(struct ids){0}, err))
			return -1;
	}
	if (store_existing_add(j->work->store, j->user.id, j->user.lease_epoch, f->dest.id, NULL, 0, true, err))
		return -1;
	f->dest.indexed = true;
	f->dest.has_existing = ref->existing && j->batch.existing == EXISTING_ADOPT;
	return 0;
}

/* --- taking over -------------------------------------------------------------------------------- */

/* Content of a destination message, read once. 0: *at is its place among the seen; 1: it is gone; -1. */
static int digest(struct job *j, const struct folder_ref *ref, const char *id, bool canon, size_t *at, struct err *err)
{
	struct adopt *a = j->adopt;
	for (size_t i = 0; i < SEEN; i++)
		if (!strcmp(a->seen[i].id, id) && (!canon || a->seen[i].has_canon)) {
			*at = i;
			return 0;
		}
	struct spool *body = NULL;
	struct fingerprint print = {0};
	if (j->target->ops->read(j->target, ref, id, &body, &print, err))
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
static int find_same(struct job *j, const struct folder_ref *ref, const struct mail *m, size_t n, const char **match,
	struct err *err)
{
	struct adopt *a = j->adopt;
	size_t at;
	*match = NULL;
	for (size_t i = 0; i < n; i++) {
		int rc = digest(j, ref, a->found[i].id, false, &at, err);
		if (rc < 0)
			return -1;
		if (!rc && !memcmp(a->seen[at].sha256, m->print.sha256, 32)) {
			*match = a->found[i].id;
			return 0;
		}
	}
	uint8_t canon[CANON_BYTES];
	struct err ignored = ERR_INIT;
	if (canon_digest(m->body, canon, &ignored))
		return 0; /* cannot be read as MIME: only equal octets count */
	for (size_t i = 0; i < n; i++) {
		int rc = digest(j, ref, a->found[i].id, true, &at, err);
		if (rc < 0)
			return -1;
		if (!rc && a->seen[at].has_canon && !memcmp(a->seen[at].canon, canon, CANON_BYTES)) {
			*match = a->found[i].id;
			return 0;
		}
	}
	return 0;
}

static int record(struct job *j, struct route_folder *f, const struct folder_ref *ref, const struct mail *m,
	const char *id, struct err *err)
{
	struct item rec;
	unsigned flags = 0;
	putter_fill_item(f, m, ITEM_DONE, NULL, &rec);
	rec.how = HOW_ADOPTED;
	snprintf(rec.receipt.route, sizeof rec.receipt.route, "%s", j->ops->name);
	snprintf(rec.receipt.id, sizeof rec.receipt.id, "%s", id);
	/* Its flags are somebody else's: what is there now counts as what we last wrote. */
	if (j->target->ops->get_flags(j->target, ref, id, &flags, err))
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
	struct folder_ref ref;
	const char *match = NULL;
	if (job_target(j, err) || job_copy_ref(j, f, &ref, err))
		return -1;
	int rc = find_same(j, &ref, m, n, &match, err);
	if (!rc && match) {
		rc = record(j, f, &ref, m, match, err);
		*taken = !rc;
	}
	folder_ref_done(&ref);
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
		putter_fill_item(f, m, ITEM_DONE, NULL, &rec);
		rec.how = HOW_CARRIED;
		if (store_carry(j->work->store, j->user.id, j->user.lease_epoch, &f->generation, &rec, taken, err))
			return -1;
	}
	if (*taken || !f->dest.has_existing || j->batch.existing != EXISTING_ADOPT)
		return 0;
	for (unsigned tries = 1;; tries++) {
		err_clear(err);
		if (!adopt_existing(j, f, m, taken, err))
			return 0;
		enum err_action act = err_action(err->kind);
		if (!j->target || (act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return err_wrap(err, "comparing UID %u with what is in %s", m->uid, f->mapping->path);
		job_drop_target(j);
		struct err why = *err;
		if (job_back_off(j, tries, &why, err))
			return -1;
	}
}
