#include "engine/renamed.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_RENAMED "folder-renamed-at-source"
#define TOLD 100 /* a source that renames all of its folders, each day, is told of these */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The raw names that the source lists now, sorted; borrowed from the list. NULL: memory is out. */
static const char **names_now(const struct job *j)
{
	const char **v = calloc(j->list.n ? j->list.n : 1, sizeof *v);
	for (size_t i = 0; v && i < j->list.n; i++)
		v[i] = j->list.v[i].raw;
	if (v)
		qsort(v, j->list.n, sizeof *v, by_text);
	return v;
}

static bool is_there(const struct job *j, const char *const *now, const char *raw)
{
	return bsearch(&raw, now, j->list.n, sizeof *now, by_text) != NULL;
}

static const char *path_of(const struct folder_path_row *rows, size_t n, const char *raw)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i].raw, raw))
			return rows[i].path;
	return "";
}

static int note_one(struct job *j, const struct folder_path_row *rows, size_t n, const char *old_path,
	const struct renamed *r, struct err *err)
{
	char text[MODEL_ERROR];
	snprintf(text, sizeof text,
		"folder \"%.200s\" was renamed at the source since an earlier pass (its UIDVALIDITY, UIDs and content "
		"say so): its "
		"mail is twice at the destination now, in \"%.200s\" from before and in \"%.200s\"; where nothing else "
		"is in it, "
		"\"%.200s\" can be deleted there; a rename made at the destination too, before the next sync, avoids "
		"that",
		r->name, old_path, path_of(rows, n, r->raw), old_path);
	return store_note(j->work->store, j->user.id, NOTE_RENAMED, text, err);
}

int renamed_note(struct job *j, struct err *err)
{
	struct folder_path_row *rows = NULL;
	size_t n = 0, told = 0;
	const char **now = names_now(j);
	int rc = now ? 0 : err_set(err, ERR_MEMORY, "no memory for the names of folders");
	if (!rc)
		rc = store_notes_forget(j->work->store, j->user.id, NOTE_RENAMED, err);
	if (!rc)
		rc = store_paths(j->work->store, j->user.id, &rows, &n, err);
	for (size_t i = 0; !rc && i < n && told < TOLD; i++) {
		struct renamed r;
		if (is_there(j, now, rows[i].raw))
			continue;
		rc = store_renamed_find(j->work->store, j->user.id, rows[i].raw, &r, err);
		if (!rc && r.raw && is_there(j, now, r.raw)) {
			rc = note_one(j, rows, n, rows[i].path, &r, err);
			told++;
		}
		free(r.raw);
	}
	store_paths_free(&rows, n);
	free(now);
	return rc;
}
