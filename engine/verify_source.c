/* What the source holds now: listed, and read again where octets differ. Nothing is changed there. */
#include "engine/verify_parts.h"

#include "engine/base/log.h"
#include "engine/budget_day.h"
#include "imap/pull.h"

#include <stdlib.h>
#include <string.h>

static int by_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static int compare_source(
	struct check *c, int64_t generation, const struct pull_meta *v, size_t n, const uint32_t *have, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct item_brief known;
		size_t got = 0;
		if (c->n_marks && bsearch(&v[i].uid, have, c->n_marks, sizeof *have, by_uid)) {
			c->f->source++;
			continue;
		}
		if (store_items(c->w->store, generation, v[i].uid, v[i].uid, &known, 1, &got, err))
			return -1;
		if (got && known.state == ITEM_SKIPPED)
			continue;
		c->f->source++;
		if (got && known.state == ITEM_REFUSED)
			continue;
		if ((v[i].flags & MAIL_DELETED) && !c->b->copy_deleted) {
			c->f->source--;
			continue;
		}
		c->f->missing++;
		c->f->waiting += !got;
		verify_trouble(c,
			got ? "intended, but it did not arrive" : "new since the last pass: nightferry batch sync",
			v[i].uid, "");
	}
	return 0;
}

int verify_walk_source(struct check *c, const struct folder_row *row, const char *raw, struct err *err)
{
	struct pull_conf conf = {.spool_dir = c->w->spool_dir, .memory = c->w->memory, .stop = c->w->stop};
	struct pull *pull = NULL;
	struct folder_state state;
	if (pull_open(&pull, c->source, raw, &conf, &state, err))
		return err->kind == ERR_FOLDER ? 1 : -1;
	int rc = 0;
	struct pull_meta *v = calloc(VERIFY_PAGE, sizeof *v);
	uint32_t *have = calloc(c->n_marks ? c->n_marks : 1, sizeof *have);
	size_t n = 0;
	uint32_t last = 0;
	uint64_t listed = 0;
	if (!v || !have)
		rc = err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; have && i < c->n_marks; i++)
		have[i] = c->marks[i].source.uid;
	if (have)
		qsort(have, c->n_marks, sizeof *have, by_uid);
	if (!rc && state.uidvalidity != row->uidvalidity)
		rc = err_set(err, ERR_CHANGED,
			"UIDVALIDITY of %s changed since the last pass: run nightferry batch sync first", row->name);
	while (!rc &&
		!(rc = budget_day_list(c->w->store, c->b->endpoint_id, c->u->source_user, c->source, pull, listed, v,
			  VERIFY_PAGE, &n, err)) &&
		n) {
		listed += n;
		size_t from = 0; /* a pass that began anew repeats messages */
		while (from < n && v[from].uid <= last)
			from++;
		if (from < n)
			last = v[n - 1].uid;
		rc = compare_source(c, row->generation_id, v + from, n - from, have, err);
	}
	free(v);
	free(have);
	pull_close(&pull);
	return rc;
}

/* What was booked is fetched: the digests of those of refs that come. */
static int read_canons(struct check *c, struct pull *pull, const struct pull_meta *v, const struct source_ref *refs,
	size_t n, uint8_t (*canons)[CANON_BYTES], bool *has, uint64_t *fetched, struct err *err)
{
	int rc = pull_want(pull, v, n, err);
	while (!rc) {
		struct mail *m = NULL;
		struct err item = ERR_INIT, unreadable = ERR_INIT;
		if ((rc = pull_next(pull, &m, &item, err)) || !m)
			break;
		*fetched += m->print.size;
		for (size_t i = 0; i < n; i++)
			if (refs[i].uid == m->uid && m->body && !has[i])
				has[i] = !canon_digest(m->body, canons[i], &unreadable);
		pull_release(c->w->memory, &m);
	}
	return rc;
}

int verify_source_canons(struct check *c, const char *raw, const struct source_ref *refs, size_t n,
	uint8_t (*canons)[CANON_BYTES], bool *has, struct err *err)
{
	struct pull_conf conf = {.spool_dir = c->w->spool_dir, .memory = c->w->memory, .stop = c->w->stop};
	struct pull *pull = NULL;
	struct folder_state state;
	if (!n)
		return 0;
	if (pull_open(&pull, c->source, raw, &conf, &state, err))
		return -1;
	struct pull_meta *v = calloc(VERIFY_PAGE, sizeof *v);
	int rc = v ? 0 : err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t at = 0, k = 0; at < n && !rc; at += k) {
		struct day_booking booking;
		struct err late = ERR_INIT;
		uint64_t fetched = 0;
		size_t page = n - at < VERIFY_PAGE ? n - at : VERIFY_PAGE;
		for (size_t i = 0; i < page; i++)
			v[i] = (struct pull_meta){.uid = refs[at + i].uid, .size = refs[at + i].size};
		if ((rc = budget_day_take_some(
			     c->w->store, c->b->endpoint_id, c->u->source_user, v, page, &k, &booking, err)))
			break;
		rc = read_canons(c, pull, v, refs + at, k, canons + at, has + at, &fetched, err);
		if (budget_day_settle(c->w->store, &booking, fetched, &late))
			log_err(LOG_WARN, &late, "what verification fetched of mailbox %s", c->u->source_user);
	}
	free(v);
	pull_close(&pull);
	return rc;
}

int verify_compare_suspects(struct check *c, const char *raw, struct err *err)
{
	uint8_t(*canons)[CANON_BYTES] = calloc(c->n_suspects + 1, sizeof *canons);
	bool *has = calloc(c->n_suspects + 1, sizeof *has);
	int rc = canons && has ? verify_source_canons(c, raw, c->suspects, c->n_suspects, canons, has, err)
			       : err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; i < c->n_suspects && !rc; i++) {
		if (!has[i]) { /* expunged at the source since: nothing to compare with */
			c->f->same++;
			c->f->unread++;
		} else if (!memcmp(canons[i], c->suspect_canons[i], CANON_BYTES)) {
			c->f->same++;
			c->f->rewritten++;
		} else {
			c->f->altered++;
			verify_trouble(c, "its content at the destination differs", c->suspects[i].uid, "");
		}
	}
	free(canons);
	free(has);
	return rc;
}
