#include "engine/verify_parts.h"

#include "engine/base/log.h"
#include "engine/base/utf8.h"
#include "engine/budget_day.h"
#include "engine/login.h"
#include "engine/route.h"
#include "imap/pull.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 500
#define TRIES 3

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
	m->other_route = strcmp(it->receipt.route, c->target->ops->name) != 0;
	if (!m->other_route)
		snprintf(m->id, sizeof m->id, "%s", verify_id_tail(it->receipt.id));
	for (size_t i = 0; i < VERIFY_ROUTES; i++) {
		struct verify_route *r = &c->f->routes[i];
		if (r->name[0] && strcmp(r->name, it->receipt.route) != 0)
			continue;
		snprintf(r->name, sizeof r->name, "%s", it->receipt.route);
		r->n++;
		break;
	}
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
	if (m->other_route) { /* it was found by its content */
		c->f->same++;
		c->f->rewritten += m->rewritten;
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
		trouble(c, "a second copy that no receipt explains", 0, r->id);
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

/* Nothing is made there: a folder that somebody removed holds nothing. */
static int walk_destination(struct check *c, const struct folder_row *row, const char *raw, struct err *err)
{
	struct folder_ref ref = {0};
	struct remote_mail *page = calloc(PAGE, sizeof *page);
	char cursor[200] = "";
	size_t n = 0;
	bool there = false;
	int rc = page ? c->target->ops->find(c->target, row->path, &ref, &there, err)
		      : err_set(err, ERR_MEMORY, "no memory to verify");
	if (!rc && there && !c->quick)
		rc = verify_find_others(c, &ref, row, raw, err);
	while (!rc && there && !(rc = c->target->ops->list(c->target, &ref, cursor, page, PAGE, &n, err)) && n) {
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

/* --- octets that differ: the source is asked again, and meanings are compared ------------------- */

int verify_source_canons(struct check *c, const char *raw, const uint32_t *uids, size_t n,
	uint8_t (*canons)[CANON_BYTES], bool *has, struct err *err)
{
	struct pull_conf conf = {.spool_dir = c->w->spool_dir, .memory = c->w->memory, .stop = c->w->stop};
	struct pull *pull = NULL;
	struct folder_state state;
	struct day_booking booking;
	struct err late = ERR_INIT;
	uint64_t fetched = 0;
	if (!n)
		return 0;
	/* Their sizes are not known yet: something must be left of the day, and what they were is booked afterwards. */
	if (budget_day_take(c->w->store, c->b->endpoint_id, c->u->source_user, 1, true, &booking, err) ||
		pull_open(&pull, c->source, raw, &conf, &state, err))
		return -1;
	struct pull_meta *v = calloc(n, sizeof *v);
	int rc = v ? 0 : err_set(err, ERR_MEMORY, "no memory to verify");
	for (size_t i = 0; v && i < n; i++)
		v[i].uid = uids[i];
	if (!rc)
		rc = pull_want(pull, v, n, err);
	while (!rc) {
		struct mail *m = NULL;
		struct err item = ERR_INIT, unreadable = ERR_INIT;
		if ((rc = pull_next(pull, &m, &item, err)) || !m)
			break;
		fetched += m->print.size;
		for (size_t i = 0; i < n; i++)
			if (uids[i] == m->uid && m->body && !has[i])
				has[i] = !canon_digest(m->body, canons[i], &unreadable);
		pull_release(c->w->memory, &m);
	}
	free(v);
	pull_close(&pull);
	if (budget_day_settle(c->w->store, &booking, fetched, &late))
		log_err(LOG_WARN, &late, "what verification fetched of mailbox %s", c->u->source_user);
	return rc;
}

static int compare_suspects(struct check *c, const char *raw, struct err *err)
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
			trouble(c, "its content at the destination differs", c->suspects[i], "");
		}
	}
	free(canons);
	free(has);
	return rc;
}

/* --- a folder, a user --------------------------------------------------------------------------- */

/* Not where it arrived: counted as gone until it is found elsewhere. */
static int add_lost(struct check *c, const struct mark *m, struct err *err)
{
	if (c->n_lost == c->lost_room) {
		size_t room = c->lost_room ? c->lost_room * 2 : 64;
		struct lost *v = realloc(c->lost, room * sizeof *v);
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory to verify");
		c->lost = v;
		c->lost_room = room;
	}
	struct lost *l = &c->lost[c->n_lost++];
	memcpy(l->key, m->key, sizeof l->key);
	memcpy(l->sha256, m->sha256, sizeof l->sha256);
	l->folder = c->f;
	c->f->gone++;
	return 0;
}

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
		qsort(c->marks, c->n_marks, sizeof *c->marks, verify_by_id);
	int rc = walk_source(c, row, raw, err);
	bool folder_gone = rc > 0; /* at the source; what arrived is still compared */
	if (rc >= 0)
		rc = row->dest_folder_id ? walk_destination(c, row, raw, err) : 0;
	if (!rc && !folder_gone)
		rc = compare_suspects(c, raw, err);
	for (size_t i = 0; !rc && i < c->n_marks; i++)
		if (!c->marks[i].seen)
			rc = add_lost(c, &c->marks[i], err);
	free(raw);
	return rc;
}

static int try_route(struct check *c, const char *name, bool *tried, struct err *err)
{
	const struct target_row *t = &c->target_login.row;
	const struct target_ops *ops = target_route(name);
	bool proved = false;
	uint64_t most;
	*tried = false;
	if (!ops || !routes_have(t->routes, name) || (ops != &target_imap_ops && !c->target_login.conf.graph_url))
		return 0;
	if (store_proof_usable(c->w->store, t->id, name, &proved, &most, err))
		return -1;
	if (!proved && !t->test_skipped)
		return 0;
	*tried = true;
	return ops->open(&c->target, &c->target_login.conf, c->gate, c->w->stop, err);
}

/* imap where it can be used, since it reads whole content; else the next. */
static int open_target(struct check *c, struct err *err)
{
	const struct target_row *t = &c->target_login.row;
	struct err first = ERR_INIT;
	char name[16];
	for (size_t i = 0; !c->target; i++) {
		bool tried;
		if (i == 0)
			snprintf(name, sizeof name, "%s", target_imap_ops.name);
		else if (!routes_at(t->routes, i - 1, name, sizeof name))
			break;
		if (i > 0 && !strcmp(name, target_imap_ops.name))
			continue;
		if (try_route(c, name, &tried, err)) {
			if (!route_is_to_blame(err->kind))
				return err_wrap(err, "target %s", t->name);
			if (first.kind == ERR_NONE)
				first = *err;
			err_clear(err);
		}
	}
	if (c->target)
		return 0;
	*err = first;
	if (first.kind == ERR_NONE)
		err_set(err, ERR_RIGHTS, "no route of it may be used: nightferry target test %s", t->name);
	return err_wrap(err, "target %s", t->name);
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
	return open_target(c, err);
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
	free(c->lost);
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
	t->moved += f->moved;
	t->duplicate += f->duplicate;
	t->altered += f->altered;
	for (size_t i = 0; i < VERIFY_ROUTES && f->routes[i].name[0]; i++)
		for (size_t k = 0; k < VERIFY_ROUTES; k++) {
			struct verify_route *r = &t->routes[k];
			if (r->name[0] && strcmp(r->name, f->routes[i].name) != 0)
				continue;
			*r = (struct verify_route){.n = r->n + f->routes[i].n};
			snprintf(r->name, sizeof r->name, "%s", f->routes[i].name);
			break;
		}
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
	}
	if (!rc)
		rc = verify_find_moved(&c, rows, n, err);
	for (size_t i = 0; i < out->n && !rc; i++)
		add_total(&out->total, &out->folders[i]);
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
	if (t->refused || t->skipped || t->gone || t->moved || t->unread)
		return "Good";
	return "Perfect";
}
