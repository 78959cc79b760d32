#include "engine/verify.h"

#include "engine/base/log.h"
#include "engine/base/utf8.h"
#include "engine/budget_day.h"
#include "engine/login.h"
#include "imap/pull.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 500
#define TRIES 3

struct mark {        /* one message that has a receipt in the folder */
	char id[48]; /* the receipt's, cut: Graph's ids are longer, but their ends differ, so the end is kept */
	uint32_t uid;
	uint8_t sha256[32];
	uint8_t key[PRINT_KEY_BYTES];
	bool at_source; /* listed there now */
	bool seen;      /* found at the destination */
};

struct check {
	struct work *w;
	const struct batch *b;
	const struct user *u;
	bool quick;
	struct source_login source_login;
	struct target_login target_login;
	struct conn *source;
	struct scope *scope;
	struct gate *gate;
	struct target *target;
	struct verify_result *out;
	/* the folder at hand */
	struct verify_folder *f;
	struct mark *marks; /* owned; sorted by id */
	size_t n_marks, room;
	uint32_t *suspects;                     /* owned: source UIDs whose octets differ at the destination */
	uint8_t (*suspect_canons)[CANON_BYTES]; /* owned: the destination's */
	size_t n_suspects, suspects_room;
};

static const char *tail(const char *id)
{
	size_t n = strlen(id), room = sizeof((struct mark *)0)->id - 1;
	return n > room ? id + n - room : id;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct mark *)a)->id, ((const struct mark *)b)->id);
}

static struct mark *find_id(const struct check *c, const char *id)
{
	struct mark want = {0};
	snprintf(want.id, sizeof want.id, "%s", tail(id));
	return c->n_marks ? bsearch(&want, c->marks, c->n_marks, sizeof want, by_id) : NULL;
}

static void trouble(struct check *c, const char *what, uint32_t uid, const char *id)
{
	if (c->out->first_trouble[0])
		return;
	if (uid)
		snprintf(c->out->first_trouble, sizeof c->out->first_trouble, "folder %s, UID %u: %s", c->f->name, uid,
			what);
	else
		snprintf(c->out->first_trouble, sizeof c->out->first_trouble, "destination folder %s, message %s: %s",
			c->f->path, id, what);
	utf8_mend(c->out->first_trouble);
}

/* --- what the store says ------------------------------------------------------------------------ */

static int add_mark(struct check *c, const struct item *it, struct err *err)
{
	if (c->n_marks == c->room) {
		size_t room = c->room ? c->room * 2 : 1024;
		struct mark *v = realloc(c->marks, room * sizeof *v);
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory to verify folder %s", c->f->name);
		c->marks = v;
		c->room = room;
	}
	struct mark *m = &c->marks[c->n_marks++];
	memset(m, 0, sizeof *m);
	snprintf(m->id, sizeof m->id, "%s", tail(it->receipt.id));
	m->uid = it->uid;
	memcpy(m->sha256, it->print.sha256, sizeof m->sha256);
	memcpy(m->key, it->key, sizeof m->key);
	return 0;
}

static int load_marks(struct check *c, int64_t generation, struct err *err)
{
	struct item *page = calloc(PAGE, sizeof *page);
	if (!page)
		return err_set(err, ERR_MEMORY, "no memory to verify");
	uint32_t after = 0;
	size_t n = 0;
	int rc;
	while (!(rc = store_items_full(c->w->store, generation, after, page, PAGE, &n, err)) && n) {
		after = page[n - 1].uid;
		for (size_t i = 0; i < n; i++) {
			switch (page[i].state) {
			case ITEM_DONE:
			case ITEM_PLACED:
				if (!rc)
					rc = add_mark(c, &page[i], err);
				break;
			case ITEM_REFUSED:
				c->f->refused++;
				break;
			case ITEM_SKIPPED:
				c->f->skipped++;
				break;
			case ITEM_INTENDED:
			case ITEM_GONE:
				break;
			}
			item_done(&page[i]);
		}
		if (rc)
			break;
	}
	free(page);
	return rc;
}

/* --- what the source lists ---------------------------------------------------------------------- */

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
		trouble(c, got ? "intended, but it did not arrive" : "new since the last pass: nightferry batch sync",
			v[i].uid, "");
	}
	return 0;
}

static int walk_source(struct check *c, const struct folder_row *row, const char *raw, struct err *err)
{
	struct pull_conf conf = {.spool_dir = c->w->spool_dir, .memory = c->w->memory, .stop = c->w->stop};
	struct pull *pull = NULL;
	struct folder_state state;
	if (pull_open(&pull, c->source, raw, &conf, &state, err))
		return err->kind == ERR_FOLDER ? 1 : -1;
	int rc = 0;
	struct pull_meta *v = calloc(PAGE, sizeof *v);
	uint32_t *have = calloc(c->n_marks ? c->n_marks : 1, sizeof *have);
	size_t n = 0;
	uint32_t last = 0;
	if (!v || !have)
		rc = err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; have && i < c->n_marks; i++)
		have[i] = c->marks[i].uid;
	if (have)
		qsort(have, c->n_marks, sizeof *have, by_uid);
	if (!rc && state.uidvalidity != row->uidvalidity)
		rc = err_set(err, ERR_CHANGED,
			"UIDVALIDITY of %s changed since the last pass: run nightferry batch sync first", row->name);
	while (!rc && !(rc = pull_list(pull, v, PAGE, &n, err)) && n) {
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

/* --- what the destination holds ----------------------------------------------------------------- */

static int add_suspect(struct check *c, uint32_t uid, const struct spool *body, struct err *err)
{
	uint8_t canon[CANON_BYTES] = {0};
	struct err unreadable = ERR_INIT;
	if (canon_digest(body, canon, &unreadable)) {
		c->f->altered++;
		trouble(c, "its octets at the destination differ and cannot be read as a message", uid, "");
		return 0;
	}
	if (c->n_suspects == c->suspects_room) {
		size_t room = c->suspects_room ? c->suspects_room * 2 : 64;
		uint32_t *s = realloc(c->suspects, room * sizeof *s);
		if (s)
			c->suspects = s;
		uint8_t(*k)[CANON_BYTES] = realloc(c->suspect_canons, room * sizeof *k);
		if (k)
			c->suspect_canons = k;
		if (!s || !k)
			return err_set(err, ERR_MEMORY, "no memory to verify");
		c->suspects_room = room;
	}
	c->suspects[c->n_suspects] = uid;
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
	if (c->target->ops->read(c->target, ref, id, &body, &print, err))
		return -1;
	int rc = 0;
	if (memcmp(print.sha256, m->sha256, sizeof m->sha256))
		rc = add_suspect(c, m->uid, body, err);
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
	for (size_t i = 0; i < n; i++)
		before |= !strcmp(e[i].id, r->id);
	free(e);
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
		trouble(c, "a second copy that no receipt explains", 0, r->id);
	}
	fingerprint_done(&print);
	spool_free(&body);
	return 0;
}

static int walk_destination(struct check *c, const struct folder_row *row, struct err *err)
{
	struct folder_ref ref = {0};
	struct remote_mail *page = calloc(PAGE, sizeof *page);
	char cursor[200] = "";
	size_t n = 0;
	int rc = page ? c->target->ops->folder(c->target, row->path, &ref, err)
		      : err_set(err, ERR_MEMORY, "no memory to verify");
	while (!rc && !(rc = c->target->ops->list(c->target, &ref, cursor, page, PAGE, &n, err)) && n) {
		snprintf(cursor, sizeof cursor, "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++) {
			struct mark *m = find_id(c, page[i].id);
			c->f->destination++;
			if (m)
				m->seen = true;
			if (!rc)
				rc = m ? compare_content(c, &ref, page[i].id, m, err)
				       : judge_foreign(c, &ref, row->dest_folder_id, &page[i], err);
			if (m && rc && err->kind == ERR_GONE) { /* a person removed it between the list and the look */
				m->seen = false;
				rc = 0;
			}
			fingerprint_done(&page[i].print);
		}
		if (rc)
			break;
	}
	folder_ref_done(&ref);
	free(page);
	return rc;
}

/* --- octets that differ: the source is asked again, and meanings are compared ------------------- */

static int compare_suspects(struct check *c, const char *raw, struct err *err)
{
	struct pull_conf conf = {.spool_dir = c->w->spool_dir, .memory = c->w->memory, .stop = c->w->stop};
	struct pull *pull = NULL;
	struct folder_state state;
	struct day_booking booking;
	struct err late = ERR_INIT;
	uint64_t fetched = 0;
	if (!c->n_suspects)
		return 0;
	/* Their sizes are not known yet: something must be left of the day, and what they were is booked afterwards. */
	if (budget_day_take(c->w->store, c->b->endpoint_id, c->u->source_user, 1, true, &booking, err) ||
		pull_open(&pull, c->source, raw, &conf, &state, err))
		return -1;
	struct pull_meta *v = calloc(c->n_suspects, sizeof *v);
	int rc = v ? 0 : err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; v && i < c->n_suspects; i++)
		v[i].uid = c->suspects[i];
	size_t left = c->n_suspects;
	if (!rc)
		rc = pull_want(pull, v, c->n_suspects, err);
	while (!rc) {
		struct mail *m = NULL;
		struct err item = ERR_INIT, unreadable = ERR_INIT;
		uint8_t canon[CANON_BYTES];
		if ((rc = pull_next(pull, &m, &item, err)) || !m)
			break;
		fetched += m->print.size;
		for (size_t i = 0; i < c->n_suspects; i++) {
			if (c->suspects[i] != m->uid)
				continue;
			left--;
			if (m->body && !canon_digest(m->body, canon, &unreadable) &&
				!memcmp(canon, c->suspect_canons[i], CANON_BYTES)) {
				c->f->same++;
				c->f->rewritten++;
			} else if (m->body) {
				c->f->altered++;
				trouble(c, "its content at the destination differs", m->uid, "");
			} else {
				left++; /* expunged at the source since: nothing to compare with */
			}
			break;
		}
		pull_release(c->w->memory, &m);
	}
	c->f->unread += left;
	c->f->same += left;
	free(v);
	pull_close(&pull);
	if (budget_day_settle(c->w->store, &booking, fetched, &late))
		log_err(LOG_WARN, &late, "what verification fetched of mailbox %s", c->u->source_user);
	return rc;
}

/* --- a folder, a user --------------------------------------------------------------------------- */

static int check_folder(struct check *c, const struct folder_row *row, struct err *err)
{
	char *raw = NULL;
	c->n_marks = c->n_suspects = 0;
	memset(c->f, 0, sizeof *c->f);
	snprintf(c->f->name, sizeof c->f->name, "%s", row->name);
	snprintf(c->f->path, sizeof c->f->path, "%s", row->path);
	utf8_trim(c->f->path);
	if (store_generation_raw(c->w->store, row->generation_id, &raw, err) ||
		load_marks(c, row->generation_id, err)) {
		free(raw);
		return -1;
	}
	if (c->n_marks)
		qsort(c->marks, c->n_marks, sizeof *c->marks, by_id);
	int rc = walk_source(c, row, raw, err);
	bool folder_gone = rc > 0; /* at the source; what arrived is still compared */
	if (rc >= 0)
		rc = row->dest_folder_id ? walk_destination(c, row, err) : 0;
	if (!rc && !folder_gone)
		rc = compare_suspects(c, raw, err);
	for (size_t i = 0; !rc && i < c->n_marks; i++)
		if (!c->marks[i].seen)
			c->f->gone++;
	free(raw);
	return rc;
}

static int connect_both(struct check *c, struct err *err)
{
	struct endpoint e;
	struct target_row t;
	struct scope_limits none = {0};
	if (store_endpoint_by_id(c->w->store, c->b->endpoint_id, &e, err) ||
		store_target_by_id(c->w->store, c->b->target_id, &t, err) ||
		source_login_init(&c->source_login, c->w->store, &e, c->u->source_user, c->u->id, err) ||
		target_login_init(&c->target_login, c->w, &t, c->u->address, c->u->id, err))
		return -1;
	c->scope = scope_open(c->w->throttle, NULL, "verify", &none);
	c->gate = gate_new(c->scope, c->w->stop);
	if (!c->gate)
		return err_set(err, ERR_MEMORY, "no memory for the throttle");
	if (conn_open(&c->source, &c->source_login.conf, c->w->stop, NULL, NULL, err))
		return err_wrap(err, "source %s", e.name);
	if (target_imap_ops.open(&c->target, &c->target_login.conf, c->gate, c->w->stop, err))
		return err_wrap(err, "target %s", t.name);
	return 0;
}

static void check_done(struct check *c)
{
	conn_close(&c->source);
	if (c->target)
		c->target->ops->close(&c->target);
	gate_free(&c->gate);
	scope_close(&c->scope);
	source_login_done(&c->source_login);
	target_login_done(&c->target_login);
	free(c->marks);
	free(c->suspects);
	free(c->suspect_canons);
}

static void add_total(struct verify_folder *t, const struct verify_folder *f)
{
	t->source += f->source;
	t->destination += f->destination;
	t->same += f->same;
	t->rewritten += f->rewritten;
	t->unread += f->unread;
	t->missing += f->missing;
	t->waiting += f->waiting;
	t->refused += f->refused;
	t->skipped += f->skipped;
	t->gone += f->gone;
	t->duplicate += f->duplicate;
	t->altered += f->altered;
}

static int verify_once(struct work *w, const struct batch *b, const struct user *u, bool quick,
	struct verify_result *out, struct err *err)
{
	struct check c = {.w = w, .b = b, .u = u, .quick = quick, .out = out};
	struct folder_row *rows = NULL;
	size_t n = 0;
	memset(out, 0, sizeof *out);
	int rc = connect_both(&c, err) || store_folders(w->store, u->id, &rows, &n, err) ? -1 : 0;
	out->folders = calloc(n ? n : 1, sizeof *out->folders);
	if (!rc && !out->folders)
		rc = err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; i < n && !rc; i++) {
		if (!rows[i].current)
			continue;
		c.f = &out->folders[out->n++];
		if ((rc = check_folder(&c, &rows[i], err)))
			err_wrap(err, "folder %s", rows[i].name);
		add_total(&out->total, c.f);
	}
	free(rows);
	check_done(&c);
	return rc;
}

int verify_user(struct work *w, const struct batch *b, const struct user *u, bool quick, struct verify_result *out,
	struct err *err)
{
	for (unsigned tries = 1;; tries++) {
		if (!verify_once(w, b, u, quick, out, err))
			return 0;
		if (err_action(err->kind) != ACT_RETRY || tries >= TRIES)
			return err_wrap(err, "mailbox %s", u->source_user);
		verify_done(out);
		err_clear(err);
	}
}

void verify_done(struct verify_result *r)
{
	free(r->folders);
	r->folders = NULL;
	r->n = 0;
}

const char *verify_verdict(const struct verify_folder *t, bool skips_acknowledged)
{
	if (t->missing > t->waiting || t->altered)
		return "Poor";
	if (t->duplicate || t->waiting || (t->refused && !skips_acknowledged))
		return "Investigate";
	if (t->refused || t->skipped || t->gone || t->unread)
		return "Good";
	return "Perfect";
}
