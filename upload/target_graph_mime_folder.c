/* Folders by Graph: a level of the tree is listed once (hidden folders too) when a path leads there; what is missing is made. A path is walked
   part by part, so that a tree which bites its own tail costs nothing. */
#include "upload/target_graph_mime.h"

#include "engine/base/failpoint.h"
#include "engine/base/log.h"
#include "imap/fold.h"

#include <strings.h>

#define MOST_FOLDERS 50000 /* of a level: Exchange takes 10,000 (spec, section 2) */
#define MOST_LEVELS 20000
#define MOST_PAGES 5000
#define IDLE_PAGES 20 /* that hold nothing, in a row */

#define SELECT "$select=id,displayName,totalItemCount"

static const char *const well_known_ids[ROLE_NAMES] = {[ROLE_SENT] = "sentitems",
	[ROLE_DRAFTS] = "drafts",
	[ROLE_TRASH] = "deleteditems",
	[ROLE_JUNK] = "junkemail",
	[ROLE_ARCHIVE] = "archive"};

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for the destination's folders");
}

/* --- what is known --- */

static void level_empty(struct level *l)
{
	for (size_t i = 0; i < l->n; i++)
		graph_folder_done(&l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = l->room = 0;
}

void target_graph_mime_forget(struct target_graph_mime *t)
{
	for (size_t i = 0; i < t->n_levels; i++)
		level_empty(&t->levels[i]);
	free(t->levels);
	t->levels = NULL;
	t->n_levels = 0;
}

static void level_forget(struct target_graph_mime *t, const char *parent)
{
	for (size_t i = 0; i < t->n_levels; i++) {
		if (strcmp(t->levels[i].parent, parent) != 0)
			continue;
		level_empty(&t->levels[i]);
		t->levels[i] = t->levels[--t->n_levels];
		return;
	}
}

/* Takes *f over. */
static int level_add(struct level *l, struct graph_folder *f, struct err *err)
{
	if (l->n >= MOST_FOLDERS)
		return err_set(err, ERR_PROTOCOL, "Graph lists more than %d folders below one", MOST_FOLDERS);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct graph_folder *v = realloc(l->v, room * sizeof(*v));
		if (!v)
			return no_memory(err);
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = *f;
	*f = (struct graph_folder){0};
	return 0;
}

static int page_get(
	struct target_graph_mime *t, const char *parent, const char *link, struct graph_page *out, struct err *err)
{
	const char *args[] = {graph_user(t->graph), parent, NULL};
	struct graph_request r = {.method = "GET",
		.path = *parent ? "/v1.0/users/{}/mailFolders/{}/"
				  "childFolders?includeHiddenFolders=true&$top=100&" SELECT
				: "/v1.0/users/{}/mailFolders?includeHiddenFolders=true&$top=100&" SELECT,
		.args = args,
		.link = link};
	struct graph_reply reply;
	*out = (struct graph_page){0};
	int rc = graph_send(t->graph, &r, &reply, err);
	if (rc == 0)
		rc = graph_json_folders(reply.body.data, reply.body.len, out, err);
	graph_reply_done(&reply);
	return rc;
}

static int level_fill(struct target_graph_mime *t, struct level *l, struct err *err)
{
	char *link = NULL;
	unsigned idle = 0, pages = 0;
	int rc = 0;
	do {
		struct graph_page page;
		rc = page_get(t, l->parent, link, &page, err);
		idle = page.n ? 0 : idle + 1;
		for (size_t i = 0; rc == 0 && i < page.n; i++)
			rc = level_add(l, &page.folders[i], err);
		free(link);
		link = page.next;
		page.next = NULL;
		graph_page_done(&page);
		if (rc == 0 && link && (++pages >= MOST_PAGES || idle >= IDLE_PAGES))
			rc = err_set(err, ERR_PROTOCOL, "Graph's list of folders does not end");
	} while (rc == 0 && link);
	free(link);
	return rc;
}

/* The folders below parent ("": at the top), listed if they were not yet. Valid until the next call. */
static struct level *level_get(struct target_graph_mime *t, const char *parent, struct err *err)
{
	for (size_t i = 0; i < t->n_levels; i++) {
		if (!strcmp(t->levels[i].parent, parent))
			return &t->levels[i];
	}
	if (t->n_levels >= MOST_LEVELS)
		target_graph_mime_forget(t);
	struct level *v = realloc(t->levels, (t->n_levels + 1) * sizeof(*v));
	if (!v) {
		no_memory(err);
		return NULL;
	}
	t->levels = v;
	struct level *l = &v[t->n_levels];
	*l = (struct level){0};
	snprintf(l->parent, sizeof(l->parent), "%s", parent);
	if (level_fill(t, l, err)) {
		level_empty(l);
		return NULL;
	}
	t->n_levels++;
	return l;
}

static bool is_folded_same(const char *a, const char *b)
{
	char *x = fold_name(a), *y = fold_name(b);
	bool same = x && y && !strcmp(x, y);
	free(x);
	free(y);
	return same;
}

/* By its name as it is, else without the case of its ASCII letters; widely: as Exchange compares, near enough. */
static const struct graph_folder *level_find(const struct level *l, const char *name, bool widely)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!strcmp(l->v[i].name, name))
			return &l->v[i];
	}
	for (size_t i = 0; i < l->n; i++) {
		if (!strcasecmp(l->v[i].name, name))
			return &l->v[i];
	}
	for (size_t i = 0; widely && i < l->n; i++) {
		if (is_folded_same(l->v[i].name, name))
			return &l->v[i];
	}
	return NULL;
}

/* --- find and make --- */

/* What concerns this folder alone becomes FOLDER, so that the others go on. */
static int refused_folder(struct err *err)
{
	if (err_action(err->kind) == ACT_SKIP_MESSAGE || err->kind == ERR_CONFLICT)
		err->kind = ERR_FOLDER;
	return -1;
}

static int create(
	struct target_graph_mime *t, const char *parent, const char *name, struct graph_folder *out, struct err *err)
{
	const char *args[] = {graph_user(t->graph), parent, NULL};
	char *json = graph_json_new_folder(name);
	struct graph_reply reply;
	if (!json)
		return err_set(err, ERR_FOLDER, "\"%s\" is no name that Graph could take", name);
	struct graph_request r = {.method = "POST",
		.path = *parent ? "/v1.0/users/{}/mailFolders/{}/childFolders" : "/v1.0/users/{}/mailFolders",
		.args = args,
		.json = json};
	failpoint_hit(FP_FOLDER_BEFORE_CREATE);
	int rc = graph_send(t->graph, &r, &reply, err);
	failpoint_hit(FP_FOLDER_AFTER_CREATE);
	if (rc == 0)
		rc = graph_json_folder(reply.body.data, reply.body.len, out, err);
	graph_reply_done(&reply);
	free(json);
	return rc;
}

/* Makes name below parent. Somebody else may have been faster: then it is found. */
static int make(struct target_graph_mime *t, const char *parent, const char *name, char id[GRAPH_ID], struct err *err)
{
	struct graph_folder made = {0};
	if (create(t, parent, name, &made, err) == 0) {
		snprintf(id, GRAPH_ID, "%s", made.id);
		free(made.name);
		made.name = strdup(name); /* as we shall look for it, whatever became of it there */
		struct level *l = made.name ? level_get(t, parent, err) : NULL;
		int rc = l ? level_add(l, &made, err) : made.name ? -1 : no_memory(err);
		graph_folder_done(&made);
		return rc;
	}
	level_forget(t, parent); /* it may be there, and our knowledge may be old */
	if (err->kind != ERR_CONFLICT)
		return refused_folder(err);
	struct err taken = *err;
	err_clear(err);
	struct level *l = level_get(t, parent, err);
	const struct graph_folder *f = l ? level_find(l, name, true) : NULL;
	if (f) {
		snprintf(id, GRAPH_ID, "%s", f->id);
		return 0;
	}
	if (l) {
		*err = taken;
		err_hint(err,
			"something that holds no mail has this name in the mailbox: rename the folder at the source");
	}
	return refused_folder(err);
}

static bool is_inbox(const char *part, size_t n)
{
	return n == 5 && strncasecmp(part, "INBOX", 5) == 0;
}

/* Walks the path from the top. may_make false: *found tells whether it is there. */
static int walk(
	struct target_graph_mime *t, const char *path, bool may_make, char id[GRAPH_ID], bool *found, struct err *err)
{
	char parent[GRAPH_ID] = "", *part = strdup(path);
	int rc = part ? 0 : no_memory(err);
	*found = true;
	id[0] = '\0';
	for (const char *p = path; rc == 0 && *found && *p;) {
		size_t n = strcspn(p, "/");
		snprintf(part, n + 1, "%s", p);
		snprintf(parent, sizeof(parent), "%s", id);
		if (n == 0) {
			rc = err_set(err, ERR_FOLDER, "an empty part in the folder's name");
		} else if (p == path && is_inbox(p, n)) {
			snprintf(id, GRAPH_ID, "%s", t->inbox);
		} else {
			struct level *l = level_get(t, parent, err);
			const struct graph_folder *f = l ? level_find(l, part, !may_make) : NULL;
			rc = l ? 0 : refused_folder(err);
			if (f)
				snprintf(id, GRAPH_ID, "%s", f->id);
			else if (rc == 0 && may_make)
				rc = make(t, parent, part, id, err);
			else
				*found = false;
		}
		p += n;
		p += *p == '/' && p[1];
	}
	free(part);
	if (rc == 0 && *found && !id[0])
		rc = err_set(err, ERR_FOLDER, "an empty folder name");
	return rc;
}

static int ref_fill(
	struct target_graph_mime *t, const char *path, const char *id, struct folder_ref *out, struct err *err)
{
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_reply reply;
	struct graph_folder f = {0};
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/mailFolders/{}?" SELECT, args, &reply, err);
	if (rc == 0)
		rc = graph_json_folder(reply.body.data, reply.body.len, &f, err);
	graph_reply_done(&reply);
	if (rc == 0) {
		*out = (struct folder_ref){.path = strdup(path),
			.id = strdup(f.id),
			.generation = strdup(""),
			.mark = strdup(""),
			.existing = f.total};
		if (!out->path || !out->id || !out->generation || !out->mark) {
			folder_ref_done(out);
			rc = no_memory(err);
		}
	}
	graph_folder_done(&f);
	return rc;
}

/* Twice: what we know of the tree may be older than what a person did to it. */
static int open_folder(struct target_graph_mime *t, const char *path, bool may_make, struct folder_ref *out,
	bool *found, struct err *err)
{
	char id[GRAPH_ID];
	*out = (struct folder_ref){0};
	for (int again = 0;; again++) {
		int rc = walk(t, path, may_make, id, found, err);
		if (rc == 0 && !*found)
			return 0;
		if (rc == 0)
			rc = ref_fill(t, path, id, out, err);
		if (rc == 0)
			return 0;
		target_graph_mime_forget(t);
		if ((err->kind == ERR_GONE || err->kind == ERR_FOLDER) && !again) {
			err_clear(err);
			continue;
		}
		refused_folder(err);
		return err_wrap_name(err, "folder", path);
	}
}

int target_graph_mime_folder(struct target *base, const char *path, struct folder_ref *out, struct err *err)
{
	bool found;
	return open_folder(target_graph_mime_of(base), path, true, out, &found, err);
}

int target_graph_mime_find(struct target *base, const char *path, struct folder_ref *out, bool *found, struct err *err)
{
	return open_folder(target_graph_mime_of(base), path, false, out, found, err);
}

/* --- names --- */

static int name_get(struct target_graph_mime *t, enum folder_role role, struct err *err)
{
	const char *args[] = {graph_user(t->graph), well_known_ids[role], NULL};
	struct graph_reply reply;
	struct graph_folder f = {0};
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/mailFolders/{}?" SELECT, args, &reply, err);
	if (rc == 0)
		rc = graph_json_folder(reply.body.data, reply.body.len, &f, err);
	graph_reply_done(&reply);
	if (rc && (err->kind == ERR_GONE ||
			  err->kind == ERR_MESSAGE)) { /* this mailbox has none, or the word is unknown */
		err_clear(err);
		rc = 0;
	} else if (rc == 0 && f.name[0] && !strchr(f.name, '/')) {
		t->names[role] = f.name;
		f.name = NULL;
	}
	graph_folder_done(&f);
	return rc;
}

/* What this mailbox calls its folders, in its language: a path made of these names leads into them by every route. */
int target_graph_mime_rules(struct target *base, struct map_rules *rules, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	for (int role = 0; !t->names_known && role < ROLE_NAMES; role++) {
		free(t->names[role]);
		t->names[role] = NULL;
		if (well_known_ids[role] && name_get(t, (enum folder_role)role, err))
			return -1;
		t->well_known[role] = t->names[role];
	}
	t->names_known = true;
	rules->exchange = true;
	rules->separator = '/';
	rules->well_known = t->well_known;
	return 0;
}
