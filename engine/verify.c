#include "engine/verify_parts.h"

#include "engine/base/utf8.h"
#include "engine/login.h"
#include "engine/route.h"
#include "engine/tries.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 3
#define PAUSES 8      /* each time it begins anew: what is refused as often cannot be compared now */
#define PAUSE_MS 1000 /* doubled each time, where the server does not say how long */

void verify_trouble(struct check *c, const char *what, uint32_t uid, const char *id)
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
		verify_load_marks(c, row->generation_id, err)) {
		free(raw);
		return -1;
	}
	if (c->n_marks)
		qsort(c->marks, c->n_marks, sizeof *c->marks, verify_by_id);
	int rc = verify_walk_source(c, row, raw, err);
	bool folder_gone = rc > 0; /* at the source; what arrived is still compared */
	if (rc >= 0)
		rc = row->dest_folder_id ? verify_walk_destination(c, row, raw, err) : 0;
	if (!rc && !folder_gone)
		rc = verify_compare_suspects(c, raw, err);
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

struct scope *verify_scope(struct work *w)
{
	struct scope_limits none = {0};
	return scope_open(w->throttle, NULL, "verify", &none);
}

static int connect_both(struct check *c, struct err *err)
{
	struct endpoint e;
	struct target_row t;
	if (store_endpoint_by_id(c->w->store, c->b->endpoint_id, &e, err) ||
		store_target_by_id(c->w->store, c->b->target_id, &t, err) ||
		source_login_init(&c->source_login, c->w->store, &e, c->u->source_user, c->u->id, err) ||
		target_login_init(&c->target_login, c->w, &t, c->u->address, c->u->id, err))
		return -1;
	c->scope = verify_scope(c->w);
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
			err_wrap_name(err, "folder", rows[i].name);
	}
	if (!rc)
		rc = verify_find_moved(&c, rows, n, err);
	for (size_t i = 0; i < out->n && !rc; i++)
		add_total(&out->total, &out->folders[i]);
	if (!rc)
		rc = store_left_behind(w->store, b->id, u->id, &out->left, err);
	store_folders_free(&rows, n);
	check_done(&c);
	return rc;
}

/* As a fence, which whoever watches the scope tells the person. */
static int wait_for_server(struct work *w, const struct tries *t, struct err *err)
{
	int64_t ms = (int64_t)PAUSE_MS << (t->pauses - 1);
	struct scope *scope = verify_scope(w);
	struct gate *gate = gate_new(scope, w->stop);
	struct permit *permit = NULL;
	const struct demand nothing = {0};
	int rc = gate ? 0 : err_set(err, ERR_MEMORY, "no memory for the throttle");
	if (!rc) {
		scope_fence(scope, err->retry_after_ms > ms ? err->retry_after_ms : ms,
			err->server[0] ? err->server : err->text);
		err_clear(err);
		rc = gate_enter(gate, &nothing, &permit, err);
	}
	if (!rc)
		gate_leave(&permit, VERDICT_UNUSED, NULL, 0, 0);
	gate_free(&gate);
	scope_close(&scope);
	return rc;
}

int verify_user(struct work *w, const struct batch *b, const struct user *u, bool quick, struct verify_result *out,
	struct err *err)
{
	struct tries tries = {0};
	while (verify_once(w, b, u, quick, out, err)) {
		if (!tries_go_on(&tries, err, TRIES) || tries.pauses >= PAUSES)
			return err_wrap(err, "mailbox %s", u->source_user);
		verify_done(out);
		if (!err_asks_to_wait(err))
			err_clear(err);
		else if (wait_for_server(w, &tries, err))
			return err_wrap(err, "mailbox %s", u->source_user);
	}
	return 0;
}

void verify_done(struct verify_result *r)
{
	free(r->folders);
	r->folders = NULL;
	r->n = 0;
}

const char *verify_verdict(const struct verify_folder *t, const struct left_behind *left, bool skips_acknowledged)
{
	if (t->missing > t->waiting || t->altered)
		return "Poor";
	if (t->duplicate || t->waiting || (t->refused && !skips_acknowledged))
		return "Investigate";
	if (t->refused || t->skipped || left->folders || left->patterns || t->gone || t->moved || t->unread)
		return "Good";
	return "Perfect";
}
