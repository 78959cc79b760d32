#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>

static int note_mappings(struct job *j, struct err *err)
{
	for (size_t i = 0; i < j->list.n; i++) {
		const struct mapping *m = &j->mappings[i];
		char text[MODEL_ERROR];
		if (m->skip && !j->list.v[i].can_select)
			continue; /* only holds folders: it is made with them */
		if (m->skip)
			snprintf(text, sizeof text, "folder \"%.300s\" is not moved: %s", j->list.v[i].name, m->reason);
		else if (m->changes & ~(unsigned)MAP_ROLE)
			snprintf(text, sizeof text, "folder \"%.300s\" arrives as \"%.300s\": %s", j->list.v[i].name,
				m->path, m->reason);
		else
			continue;
		if (store_note(j->work->store, j->user.id, m->skip ? "folder-skipped" : "folder-renamed", text, err))
			return -1;
	}
	return 0;
}

/* All routes must find the same folder under a path, so what any of them knows of names there counts; the lead has the last word,
   but for names of well-known folders: there it is the route's that is told them (Graph). */
static int ask_rules(struct job *j, struct map_rules *rules, struct err *err)
{
	for (unsigned r = j->n_routes; r-- > 0;) {
		struct target *t = j->routes[r].target;
		if (!route_carries(j, r) || !t || !t->ops->rules(t, rules, err))
			continue;
		struct err why = *err;
		if (!route_is_to_blame(why.kind) || !route_lose(j, r, &why))
			return -1;
		err_clear(err);
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
	for (unsigned tries = 1;; tries++) {
		if (job_source(j, err))
			return -1;
		if (!folder_list(j->source, j->user.user_root[0] ? j->user.user_root : NULL, &j->list, &odd, err)) {
			if (j->list.n)
				break;
			folder_list_done(&j->list);
			err_set(err, ERR_PROTOCOL, "the source lists no folder at all, not even the INBOX");
		}
		err_wrap(err, "listing the folders");
		enum err_action act = err_action(err->kind);
		if ((act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return -1;
		job_drop_source(j);
		struct err why = *err;
		if (job_back_off(j, tries, &why, err))
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
