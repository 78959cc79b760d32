#include "engine/plan.h"

#include "engine/wanted.h"
#include "imap/conn.h"

#include <stdlib.h>
#include <string.h>

/* How many messages lie in a folder that stays behind; *known false: it cannot be opened. */
static int count_left(struct job *j, const struct folder *f, uint32_t *n, bool *known, struct err *err)
{
	struct pull_conf conf = {.spool_dir = j->work->spool_dir, .memory = j->work->memory, .stop = j->stop};
	struct folder_state state = {0};
	struct pull *pull = NULL;
	if (job_source(j, err))
		return -1;
	*known = !pull_open(&pull, j->source, f->raw, &conf, &state, err);
	*n = state.exists;
	pull_close(&pull);
	if (!*known && err->kind == ERR_STOPPED)
		return -1;
	if (!*known && conn_is_dead(j->source))
		job_drop_source(j);
	err_clear(err);
	return 0;
}

/* A folder that by its name is no mail, and nobody said otherwise. What it holds stays behind, and a person must hear of it. */
static int note_left(struct job *j, size_t i, struct err *err)
{
	const struct mapping *m = &j->mappings[i];
	char text[MODEL_ERROR], count[48] = "messages that cannot be counted";
	uint32_t n = 0;
	bool known = true, left_out = !wanted_by_patterns(&j->batch, &j->list.v[i], m);
	if (!left_out && count_left(j, &j->list.v[i], &n, &known, err))
		return -1;
	if (known && n)
		snprintf(count, sizeof count, "%u message%s", n, n == 1 ? "" : "s");
	if (left_out || (known && !n))
		snprintf(text, sizeof text, "folder \"%.300s\" is not moved: %s", j->list.v[i].name,
			left_out ? "left out by --include or --exclude" : m->reason);
	else
		snprintf(text, sizeof text,
			"folder \"%.300s\" is not moved, and holds %s: by its name it is %s; if it is mail after all: "
			"--include \"*\" moves all folders, and a list of names only those",
			j->list.v[i].name, count, m->reason);
	return store_note(
		j->work->store, j->user.id, left_out || (known && !n) ? "folder-skipped" : NOTE_LEFT, text, err);
}

/* A folder of sent mail, by its attribute or name, beside the one that goes into the destination's own. */
static int note_second(struct job *j, size_t i, struct err *err)
{
	const struct folder *f = &j->list.v[i];
	const struct mapping *m = &j->mappings[i];
	char text[MODEL_ERROR];
	if (f->role < ROLE_SENT || f->role > ROLE_ARCHIVE || m->role != ROLE_NONE || m->skip)
		return 0;
	for (size_t k = 0; k < j->list.n; k++) {
		if (j->mappings[k].role != f->role || !wanted_folder(&j->batch, &j->list.v[k], &j->mappings[k]))
			continue;
		snprintf(text, sizeof text,
			"folder \"%.300s\" arrives as \"%.200s\": the destination's \"%.100s\" is for one folder, and "
			"\"%.200s\" goes there",
			f->name, m->path, j->mappings[k].path, j->list.v[k].name);
		return store_note(j->work->store, j->user.id, "folder-role", text, err);
	}
	return 0;
}

static int note_mapping(struct job *j, size_t i, struct err *err)
{
	const struct folder *f = &j->list.v[i];
	const struct mapping *m = &j->mappings[i];
	char text[MODEL_ERROR];
	bool wanted = wanted_folder(&j->batch, f, m);
	if (m->skip && !f->can_select)
		return 0; /* only holds folders: it is made with them */
	if (m->by_name && !wanted)
		return note_left(j, i, err);
	if (m->skip && !wanted) {
		snprintf(text, sizeof text, "folder \"%.300s\" is not moved: %s", f->name, m->reason);
		return store_note(j->work->store, j->user.id, "folder-skipped", text, err);
	}
	if (wanted && note_second(j, i, err))
		return -1;
	if (!(m->changes & ~(unsigned)MAP_ROLE))
		return 0;
	snprintf(text, sizeof text, "folder \"%.300s\" arrives as \"%.300s\": %s", f->name, m->path,
		m->by_name ? "name is taken" : m->reason);
	return store_note(j->work->store, j->user.id, "folder-renamed", text, err);
}

static int note_unmatched(struct job *j, struct err *err)
{
	for (struct unmatched u = {0}; wanted_unmatched(&j->batch, &j->list, j->mappings, &u);)
		if (store_note(
			    j->work->store, j->user.id, u.excludes ? "exclude-unmatched" : NOTE_UNMATCHED, u.text, err))
			return -1;
	return 0;
}

/* What an earlier pass said of folders may not be so any more. */
static int note_mappings(struct job *j, struct err *err)
{
	if (store_notes_forget(j->work->store, j->user.id, "folder-renamed", err) ||
		store_notes_forget(j->work->store, j->user.id, "folder-skipped", err) ||
		store_notes_forget(j->work->store, j->user.id, "folder-role", err) ||
		store_notes_forget(j->work->store, j->user.id, NOTE_LEFT, err) ||
		store_notes_forget(j->work->store, j->user.id, NOTE_UNMATCHED, err) ||
		store_notes_forget(j->work->store, j->user.id, "exclude-unmatched", err))
		return -1;
	for (size_t i = 0; i < j->list.n; i++) {
		if (note_mapping(j, i, err))
			return -1;
	}
	return note_unmatched(j, err);
}

/* All routes must find the same folder under a path, so what any of them knows of names there counts; the lead has the last word,
   but for names of well-known folders: there it is the route's that is told them (Graph). */
static int ask_rules(struct job *j, struct map_rules *rules, struct err *err)
{
	for (unsigned r = j->n_routes; r-- > 0;) {
		const struct job_route *route = &j->routes[r];
		struct tries tries = {0};
		int rc = 0;
		if (!route_carries(j, r) || !route->target)
			continue;
		while ((rc = route_target(j, r, err) ? -2 : route->ops->rules(route->target, rules, err)) == -1 &&
			!route_again(j, r, &tries, err))
			;
		if (rc && route_leave(j, r, err))
			return -1;
	}
	return 0;
}

static int by_raw(const void *raw, const void *row)
{
	return strcmp(raw, ((const struct folder_path_row *)row)->raw);
}

/* Where each folder goes; one that has a place there keeps it, whatever came to the source since. */
static int map_all(struct job *j, struct err *err)
{
	struct map_rules rules = {.separator = '/'};
	struct folder_path_row *rows = NULL;
	size_t n = 0;
	const char **before = calloc(j->list.n ? j->list.n : 1, sizeof *before);
	int rc = before ? ask_rules(j, &rules, err) : err_set(err, ERR_MEMORY, "no memory for the map of folders");
	if (!rc)
		rc = store_paths(j->work->store, j->user.id, &rows, &n, err);
	for (size_t i = 0; !rc && n && i < j->list.n; i++) {
		const struct folder_path_row *row = bsearch(j->list.v[i].raw, rows, n, sizeof *rows, by_raw);
		before[i] = row ? row->path : NULL;
	}
	rules.before = before;
	if (!rc)
		rc = map_folders(&j->list, &rules, &j->mappings, err);
	store_paths_free(&rows, n);
	free(before);
	return rc;
}

int plan_folders(struct job *j, struct err *err)
{
	unsigned odd = 0;
	struct tries tries = {0};
	for (;;) {
		if (job_source(j, err))
			return -1;
		if (!folder_list(j->source, j->user.user_root[0] ? j->user.user_root : NULL, &j->list, &odd, err)) {
			if (j->list.n)
				break;
			folder_list_done(&j->list);
			err_set(err, ERR_PROTOCOL, "the source lists no folder at all, not even the INBOX");
		}
		err_wrap(err, "listing the folders");
		if (job_source_again(j, &tries, err))
			return -1;
	}
	if (odd) {
		char text[128];
		snprintf(text, sizeof text, "the source listed %u folder names that cannot be used or came twice", odd);
		if (store_note(j->work->store, j->user.id, "folder-odd", text, err))
			return -1;
	}
	if (map_all(j, err))
		return -1;
	j->folders = calloc(j->list.n ? j->list.n : 1, sizeof *j->folders);
	if (!j->folders)
		return err_set(err, ERR_MEMORY, "no memory for %zu folders", j->list.n);
	for (size_t i = 0; i < j->list.n; i++) {
		j->folders[i].source = &j->list.v[i];
		j->folders[i].mapping = &j->mappings[i];
	}
	return note_mappings(j, err);
}
