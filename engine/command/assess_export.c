/* An assessment for machines and spreadsheets. */
#include "engine/command/assess_view.h"

#include "engine/base/buf.h"
#include "engine/command/csv_file.h"
#include "engine/pilot.h"

#include <stdlib.h>

/* --- JSON --------------------------------------------------------------------------------------- */

static json_t *time_json(int64_t at)
{
	return at && at != FORECAST_NEVER ? json_integer((json_int_t)at) : json_null();
}

json_t *assess_basis_json(const struct basis *b)
{
	json_t *limits = json_array(), *notes = json_array();
	for (size_t i = 0; i < b->conf.n_limits; i++) {
		const struct forecast_limit *l = &b->conf.limits[i];
		json_array_append_new(
			limits, json_pack("{s:s,s:s,s:f,s:s,s:b}", "text", l->text, "unit",
					l->unit == UNIT_BYTES ? "bytes" : "messages", "per_s", l->per_s, "origin",
					forecast_origin_name(l->origin), "shared", (int)l->shared));
	}
	for (size_t i = 0; i < b->n_notes; i++)
		json_array_append_new(notes, json_string(b->notes[i]));
	return json_pack("{s:i,s:s,s:o,s:o}", "at_once", (int)b->conf.at_once, "at_once_by", b->at_once_text, "limits",
		limits, "notes", notes);
}

json_t *assess_nights_json(const struct forecast *f)
{
	json_t *v = json_array();
	for (size_t i = 0; i < f->n_nights; i++) {
		const struct forecast_night *n = &f->nights[i];
		json_array_append_new(
			v, json_pack("{s:I,s:I,s:f,s:I,s:I,s:i,s:i}", "begins_at", (json_int_t)n->begins_at, "ends_at",
				   (json_int_t)n->ends_at, "share", n->share, "bytes", (json_int_t)n->bytes, "messages",
				   (json_int_t)n->messages, "finished", (int)n->finished, "at_work", (int)n->at_work));
	}
	return v;
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "weight", finding_weight_name(f->weight), "kind", f->kind, "text",
		f->text, "remedy", f->remedy);
}

static json_t *findings_json(const struct finding *f, size_t n)
{
	json_t *v = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(v, finding_json(&f[i]));
	return v;
}

int assess_view_findings(struct cli *c, const struct user *u, struct err *err)
{
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(c->store, u->id, &f, &n, err))
		return -1;
	for (size_t i = 0; i < n && !c->json; i++) {
		printf("assessed: %s: %s\n", finding_weight_name(f[i].weight), f[i].text);
		if (f[i].remedy[0])
			printf("    -> %s\n", f[i].remedy);
	}
	json_object_set_new(c->out, "assessed", findings_json(f, n));
	free(f);
	return 0;
}

static json_t *mailbox_json(const struct assess_view *x, size_t i, struct err *err)
{
	const struct assessment *a = &x->v[i];
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(x->c->store, a->user_id, &f, &n, err))
		return NULL;
	json_t *findings = findings_json(f, n);
	free(f);
	json_t *j = json_pack("{s:s,s:s,s:I,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "source_user",
		x->users[i].source_user, "address", x->users[i].address, "assessed_at", (json_int_t)a->at, "error_kind",
		a->error_kind == ERR_NONE ? "" : err_kind_name(a->error_kind), "error", a->error, "folders",
		(int)a->folders, "folders_moved", (int)a->folders_moved, "messages", (json_int_t)a->messages, "bytes",
		(json_int_t)a->bytes, "largest", (json_int_t)a->largest, "deleted", (json_int_t)a->deleted, "drafts",
		(json_int_t)a->drafts, "too_big", (json_int_t)a->too_big, "too_big_bytes",
		(json_int_t)a->too_big_bytes);
	json_object_set_new(j, "findings", findings);
	json_object_set_new(j, "forecast",
		a->ends_at ? json_pack("{s:o,s:o,s:I,s:s}", "begins_at", time_json(a->begins_at), "ends_at",
				     time_json(a->ends_at), "active_s", (json_int_t)a->active_s, "binds", a->bind)
			   : json_null());
	return j;
}

static json_t *forecast_json(const struct assess_view *x)
{
	const struct forecast *f = x->forecast;
	json_t *j = json_pack("{s:o,s:o,s:I,s:I,s:i,s:i,s:s,s:f,s:f,s:o,s:o}", "begins_at", time_json(f->begins_at),
		"ends_at", time_json(f->ends_at), "bytes", (json_int_t)f->bytes, "messages", (json_int_t)f->messages,
		"mailboxes", (int)x->forecast_n, "not_done", (int)f->unfinished, "binds",
		forecast_bind_text(&x->basis->conf, f->bind), "binds_part", f->bind_part, "waiting_part",
		f->waiting_part, "nights", assess_nights_json(f), "basis", assess_basis_json(x->basis));
	if (f->largest < x->forecast_n)
		json_object_set_new(j, "largest", json_string(x->users[x->forecast_users[f->largest]].source_user));
	if (x->wider)
		json_object_set_new(j, "with_more_at_once",
			json_pack("{s:i,s:o}", "at_once", (int)x->wider_at_once, "ends_at",
				time_json(x->wider->ends_at)));
	return j;
}

json_t *assess_view_json(const struct assess_view *x, struct err *err)
{
	struct assess_totals t = assess_view_add_up(x);
	char why[160];
	json_t *users = json_array();
	for (size_t i = 0; i < x->n; i++) {
		json_t *j = mailbox_json(x, i, err);
		if (!j) {
			json_decref(users);
			return NULL;
		}
		json_array_append_new(users, j);
	}
	json_t *out = json_pack("{s:s,s:i,s:i,s:i,s:i,s:I,s:I,s:i,s:i,s:i,s:o}", "batch", x->batch->name, "looked_at",
		(int)x->looked_at, "known", (int)t.known, "failed", (int)t.failed, "not_looked_at", (int)t.unknown,
		"messages", (json_int_t)t.messages, "bytes", (json_int_t)t.bytes, "problems", (int)t.problems,
		"left_out", (int)t.left_out, "notes", (int)t.notes, "users", users);
	size_t best = pilot_choose(x->v, x->n, why, sizeof why);
	json_object_set_new(out, "pilot",
		best < x->n ? json_pack("{s:s,s:s}", "source_user", x->users[best].source_user, "why", why)
			    : json_null());
	json_object_set_new(out, "forecast", x->forecast_n ? forecast_json(x) : json_null());
	json_object_set_new(out, "ended", x->ended->kind == ERR_NONE ? json_null() : json_string(x->ended->text));
	return out;
}

/* --- CSV ---------------------------------------------------------------------------------------- */

/* All findings of a mailbox in two cells: a spreadsheet shows one row a mailbox. */
static int join_findings(
	const struct assess_view *x, int64_t user_id, struct buf *texts, struct buf *remedies, struct err *err)
{
	struct finding *f = NULL;
	size_t n = 0;
	if (store_findings(x->c->store, user_id, &f, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = buf_printf(
			texts, err, "%s%s: %s", texts->len ? " | " : "", finding_weight_name(f[i].weight), f[i].text);
		if (!rc && f[i].remedy[0])
			rc = buf_printf(remedies, err, "%s%s", remedies->len ? " | " : "", f[i].remedy);
	}
	free(f);
	return rc;
}

static int csv_mailbox(const struct assess_view *x, FILE *f, size_t i, struct err *err)
{
	const struct assessment *a = &x->v[i];
	const struct user *u = &x->users[i];
	char n[11][24], by[32] = "", takes[24] = "";
	const uint64_t v[11] = {a->folders, a->folders_moved, a->messages, a->bytes, a->largest, a->deleted, a->drafts,
		a->too_big, a->problems, a->left_out, a->notes};
	for (size_t k = 0; k < 11; k++)
		snprintf(n[k], sizeof n[k], "%llu", (unsigned long long)v[k]);
	if (a->ends_at) {
		assess_view_moment(x, a->ends_at, by, sizeof by);
		snprintf(takes, sizeof takes, "%lld", (long long)a->active_s);
	}
	struct buf texts, remedies;
	buf_init(&texts, 200 * 1024);
	buf_init(&remedies, 100 * 1024);
	int rc = join_findings(x, a->user_id, &texts, &remedies, err);
	const char *fields[] = {u->source_user, u->address,
		!a->at                      ? "not looked at"
		: a->error_kind == ERR_NONE ? "ok"
					    : a->error,
		n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], takes, by, a->bind, n[8], n[9], n[10], buf_str(&texts),
		buf_str(&remedies)};
	if (!rc)
		rc = csv_file_row(f, fields, sizeof fields / sizeof fields[0], err);
	buf_done(&texts);
	buf_done(&remedies);
	return rc;
}

int assess_view_csv(const struct assess_view *x, const char *path, struct err *err)
{
	const struct assessment **v = assess_view_by_size(x);
	FILE *f = csv_file_open(path,
		"UserName,EmailAddress,State,Folders,FoldersMoved,Messages,Bytes,LargestBytes,Deleted,Drafts,TooBig,"
		"TakesSeconds,"
		"DoneBy,Binds,Problems,LeftOut,Notes,Findings,WhatToDo",
		err);
	int rc = !f ? -1 : v ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	for (size_t i = 0; !rc && i < x->n; i++)
		rc = csv_mailbox(x, f, (size_t)(v[i] - x->v), err);
	free(v);
	return csv_file_close(&f, err) || rc ? -1 : 0;
}
