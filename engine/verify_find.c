/* What is found by its content rather than by a receipt's id: mail that another route brought, and mail that a person moved. */
#include "engine/verify_parts.h"

#include <stdlib.h>
#include <string.h>

#define SLICE 5000 /* messages looked for in one go through a folder */

/* --- brought by other routes --- */

struct looking {
	const struct check *c;
	int64_t dest_folder_id;
};

/* Ours already: under the id of a mark, or of another source folder that leads here. */
static int is_accounted(void *arg, const char *id, bool *yes, struct err *err)
{
	const struct looking *l = arg;
	*yes = verify_find_id(l->c, id) != NULL;
	return *yes ? 0
		    : store_accounted(l->c->w->store, l->dest_folder_id, l->c->target->ops->name, false, id, yes, err);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct mark *)a)->key, ((const struct mark *)b)->key, PRINT_KEY_BYTES);
}

struct slice { /* marks that are looked for at once */
	struct pending *p;
	struct fingerprint *prints;
	uint8_t (*canons)[CANON_BYTES];
	struct source_ref *refs;
	bool *has;
	struct mark *marks;
	size_t n;
};

static void slice_done(struct slice *s)
{
	free(s->p);
	free(s->prints);
	free(s->canons);
	free(s->refs);
	free(s->has);
	free(s->marks);
}

static int slice_make(struct slice *s, const struct mark *v, size_t n, struct err *err)
{
	*s = (struct slice){.p = calloc(n, sizeof *s->p),
		.prints = calloc(n, sizeof *s->prints),
		.canons = calloc(n, sizeof *s->canons),
		.refs = calloc(n, sizeof *s->refs),
		.has = calloc(n, sizeof *s->has),
		.marks = calloc(n, sizeof *s->marks),
		.n = n};
	if (!s->p || !s->prints || !s->canons || !s->refs || !s->has || !s->marks) {
		slice_done(s);
		return err_set(err, ERR_MEMORY, "no memory to verify");
	}
	memcpy(s->marks, v, n * sizeof *v);
	for (size_t i = 0; i < n; i++) {
		memcpy(s->prints[i].sha256, v[i].sha256, sizeof v[i].sha256);
		s->p[i] = (struct pending){.print = &s->prints[i], .key = s->marks[i].key};
	}
	return 0;
}

/* Those whose octets were not found are compared by meaning, with what the source holds. */
static int slice_canons(struct check *c, struct slice *s, const char *raw, bool *any, struct err *err)
{
	size_t n = 0, *at = calloc(s->n, sizeof *at);
	if (!at)
		return err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; i < s->n; i++)
		if (s->p[i].outcome == SETTLE_NEEDS_CANON) {
			at[n] = i;
			s->refs[n++] = s->marks[i].source;
		}
	*any = n > 0;
	int rc = verify_source_canons(c, raw, s->refs, n, s->canons, s->has, err);
	for (size_t i = 0; i < n && !rc; i++)
		if (s->has[i])
			s->p[at[i]].canon = s->canons[i];
	free(at);
	return rc;
}

static int find_slice(struct check *c, const struct folder_ref *ref, const struct folder_row *row, const char *raw,
	struct slice *s, struct err *err)
{
	struct looking l = {c, row->dest_folder_id};
	struct settle_query q = {.folder = ref, .mark = "", .accounted = is_accounted, .arg = &l};
	bool again = false;
	if (settle_look(c->target, &q, s->p, s->n, err) || slice_canons(c, s, raw, &again, err) ||
		(again && settle_look(c->target, &q, s->p, s->n, err)))
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i].outcome != SETTLE_FOUND)
			continue;
		snprintf(s->marks[i].id, sizeof s->marks[i].id, "%s", verify_id_tail(s->p[i].receipt.id));
		s->marks[i].rewritten = s->p[i].canon != NULL;
	}
	return 0;
}

int verify_find_others(
	struct check *c, const struct folder_ref *ref, const struct folder_row *row, const char *raw, struct err *err)
{
	size_t n = 0;
	struct mark *others = calloc(c->n_marks ? c->n_marks : 1, sizeof *others);
	if (!others)
		return err_set(err, ERR_MEMORY, "no memory to verify");
	size_t own = 0;
	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].other_route)
			others[n++] = c->marks[i];
		else
			c->marks[own++] = c->marks[i];
	}
	c->n_marks = own;
	if (n)
		qsort(others, n, sizeof *others, by_key);
	int rc = 0;
	for (size_t from = 0; from < n && !rc;) {
		size_t to = from + SLICE < n ? from + SLICE : n;
		struct slice s;
		if ((rc = slice_make(&s, others + from, to - from, err)))
			break;
		rc = find_slice(c, ref, row, raw, &s, err);
		for (size_t i = 0; i < s.n; i++)
			c->marks[c->n_marks++] = s.marks[i];
		qsort(c->marks, c->n_marks, sizeof *c->marks, verify_by_id);
		slice_done(&s);
		from = to;
	}
	free(others);
	return rc;
}

/* --- moved by people --- */

static int look_in_folder(struct check *c, const char *path, int64_t dest_folder_id, struct err *err)
{
	struct folder_ref ref = {0};
	bool there = false;
	struct looking l = {c, dest_folder_id};
	int rc = c->target->ops->find(c->target, path, &ref, &there, err);
	if (rc && err_action(err->kind) == ACT_SKIP_FOLDER) {
		err_clear(err);
		return 0;
	}
	struct pending *p = calloc(c->n_lost, sizeof *p);
	struct fingerprint *prints = calloc(c->n_lost, sizeof *prints);
	if (!rc && (!p || !prints))
		rc = err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; i < c->n_lost && !rc; i++) {
		memcpy(prints[i].sha256, c->lost[i].sha256, sizeof prints[i].sha256);
		p[i] = (struct pending){.print = &prints[i], .key = c->lost[i].key};
	}
	struct settle_query q = {.folder = &ref, .mark = "", .accounted = is_accounted, .arg = &l};
	if (!rc && there)
		rc = settle_look(c->target, &q, p, c->n_lost, err);
	size_t kept = 0;
	for (size_t i = 0; i < c->n_lost && !rc && there; i++) {
		/* In a folder that people use the header values are enough: nobody says that it is unaltered. */
		if (p[i].outcome == SETTLE_ABSENT) {
			c->lost[kept++] = c->lost[i];
			continue;
		}
		c->lost[i].folder->gone--;
		c->lost[i].folder->moved++;
	}
	if (!rc && there)
		c->n_lost = kept;
	free(p);
	free(prints);
	folder_ref_done(&ref);
	return rc;
}

static bool is_listed(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

int verify_find_moved(struct check *c, const struct folder_row *rows, size_t n, struct err *err)
{
	static const char *const usual[] = {"Deleted Items", "Archive", "INBOX", "Junk Email", "Sent Items", "Drafts"};
	const size_t n_usual = sizeof usual / sizeof usual[0];
	char **names = NULL;
	size_t n_names = 0;
	int rc = 0;
	c->n_marks = 0; /* of the last folder */
	if (!c->n_lost)
		return 0;
	for (size_t i = 0; i < n && c->n_lost && !rc; i++)
		if (rows[i].dest_folder_id)
			rc = look_in_folder(c, rows[i].path, rows[i].dest_folder_id, err);
	if (!rc && c->n_lost && c->target->ops->folders)
		rc = c->target->ops->folders(c->target, &names, &n_names, err);
	for (size_t i = 0; i < n_usual + n_names && c->n_lost && !rc; i++) {
		const char *name = i < n_usual ? usual[i] : names[i - n_usual];
		bool done = i >= n_usual && is_listed(usual, n_usual, name);
		for (size_t k = 0; k < n && !done; k++)
			done = !strcmp(rows[k].path, name);
		if (!done)
			rc = look_in_folder(c, name, 0, err);
	}
	for (size_t i = 0; i < n_names; i++)
		free(names[i]);
	free(names);
	return rc;
}
