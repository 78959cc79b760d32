/* What the destination folder holds now: each message of it has a mark, or is somebody else's, or is a second copy. Nothing is changed there. */
#include "engine/verify_parts.h"

#include <stdlib.h>
#include <string.h>

static int add_suspect(struct check *c, const struct source_ref *source, const struct spool *body, struct err *err)
{
	uint8_t canon[CANON_BYTES] = {0};
	struct err unreadable = ERR_INIT;
	if (canon_digest(body, canon, &unreadable)) {
		c->f->altered++;
		verify_trouble(
			c, "its octets at the destination differ and cannot be read as a message", source->uid, "");
		return 0;
	}
	if (c->n_suspects == c->suspects_room) {
		size_t room = c->suspects_room ? c->suspects_room * 2 : 64;
		struct source_ref *s = realloc(c->suspects, room * sizeof *s);
		if (s)
			c->suspects = s;
		uint8_t(*k)[CANON_BYTES] = realloc(c->suspect_canons, room * sizeof *k);
		if (k)
			c->suspect_canons = k;
		if (!s || !k)
			return err_set(err, ERR_MEMORY, "no memory to verify");
		c->suspects_room = room;
	}
	c->suspects[c->n_suspects] = *source;
	memcpy(c->suspect_canons[c->n_suspects++], canon, CANON_BYTES);
	return 0;
}

static int compare_content(
	struct check *c, const struct folder_ref *ref, const char *id, const struct mark *m, struct err *err)
{
	struct spool *body = NULL;
	struct fingerprint print = {0};
	if (c->quick) {
		c->f->same++;
		c->f->unread++;
		return 0;
	}
	if (m->other_route) { /* it was found by its content */
		c->f->same++;
		c->f->rewritten += m->rewritten;
		return 0;
	}
	if (c->target->ops->read(c->target, ref, id, &body, &print, err))
		return -1;
	int rc = 0;
	if (memcmp(print.sha256, m->sha256, sizeof m->sha256))
		rc = add_suspect(c, &m->source, body, err);
	else
		c->f->same++;
	fingerprint_done(&print);
	spool_free(&body);
	return rc;
}

/* A message without a receipt: foreign, or a second copy of one that has. */
static int judge_foreign(struct check *c, const struct folder_ref *ref, int64_t dest_folder,
	const struct remote_mail *r, struct err *err)
{
	uint8_t key[PRINT_KEY_BYTES];
	bool same_key = false;
	print_key(&r->print, key);
	for (size_t i = 0; i < c->n_marks && !same_key; i++)
		same_key = !memcmp(c->marks[i].key, key, sizeof key);
	if (!same_key)
		return 0;
	/* It was there before us, so it is not our second copy. */
	struct existing *e = calloc(64, sizeof *e);
	size_t n = 0;
	bool before = false;
	if (!e)
		return err_set(err, ERR_MEMORY, "no memory to verify");
	int rc = store_existing_find(c->w->store, dest_folder, key, e, 64, &n, err);
	for (size_t i = 0; i < n; i++) /* another route's id of it is not known here */
		before |= strcmp(e[i].route, c->target->ops->name) != 0 || !strcmp(e[i].id, r->id);
	free(e);
	if (!rc && !before) /* of an older generation, or of another source folder */
		rc = store_accounted(c->w->store, dest_folder, c->target->ops->name, true, r->id, &before, err);
	if (rc || before)
		return rc;
	struct spool *body = NULL;
	struct fingerprint print = {0};
	if (c->target->ops->read(c->target, ref, r->id, &body, &print, err))
		return err->kind == ERR_GONE ? 0 : -1;
	bool twice = false;
	for (size_t i = 0; i < c->n_marks && !twice; i++)
		twice = !memcmp(c->marks[i].sha256, print.sha256, sizeof print.sha256);
	if (twice) {
		c->f->duplicate++;
		verify_trouble(c, "a second copy that no receipt explains", 0, r->id);
	}
	fingerprint_done(&print);
	spool_free(&body);
	return 0;
}

/* In a quick look presence is all: an unknown message of the key stands for one that another route brought. */
static struct mark *find_by_key(struct check *c, const struct remote_mail *r)
{
	uint8_t key[PRINT_KEY_BYTES];
	print_key(&r->print, key);
	for (size_t i = 0; i < c->n_marks; i++) {
		struct mark *m = &c->marks[i];
		if (m->other_route && !m->seen && !memcmp(m->key, key, sizeof key))
			return m;
	}
	return NULL;
}

static int judge_one(struct check *c, const struct folder_ref *ref, const struct folder_row *row,
	const struct remote_mail *r, struct err *err)
{
	struct mark *m = verify_find_id(c, r->id);
	c->f->destination++;
	if (!m && c->quick)
		m = find_by_key(c, r);
	if (m)
		m->seen = true;
	int rc = m ? compare_content(c, ref, r->id, m, err) : judge_foreign(c, ref, row->dest_folder_id, r, err);
	if (m && rc && err->kind == ERR_GONE) { /* a person removed it between the list and the look */
		m->seen = false;
		rc = 0;
	}
	return rc;
}

int verify_walk_destination(struct check *c, const struct folder_row *row, const char *raw, struct err *err)
{
	struct folder_ref ref = {0};
	struct remote_mail *page = calloc(VERIFY_PAGE, sizeof *page);
	char cursor[200] = "";
	size_t n = 0;
	bool there = false;
	int rc = page ? c->target->ops->find(c->target, row->path, &ref, &there, err)
		      : err_set(err, ERR_MEMORY, "no memory to verify");
	if (!rc && there && !c->quick)
		rc = verify_find_others(c, &ref, row, raw, err);
	while (!rc && there && !(rc = c->target->ops->list(c->target, &ref, cursor, page, VERIFY_PAGE, &n, err)) && n) {
		snprintf(cursor, sizeof cursor, "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++) {
			if (!rc)
				rc = judge_one(c, &ref, row, &page[i], err);
			fingerprint_done(&page[i].print);
		}
		if (rc)
			break;
	}
	folder_ref_done(&ref);
	free(page);
	return rc;
}
