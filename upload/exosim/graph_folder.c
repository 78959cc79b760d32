/* Folders: listed, looked at, made, deleted. */
#include "upload/exosim/graph.h"

#include "upload/exosim/args.h"
#include "upload/exosim/graph_resource.h"

#include <assert.h>
#include <glib.h>
#include <strings.h>

#define TOP_DEFAULT 10 /* D */

static void folder_id(const struct graph_call *g, const unsigned char guid[16], char out[GRAPH_ID_TEXT])
{
	struct graph_id id = {0};

	if (guid)
		memcpy(id.guid, guid, sizeof(id.guid));
	graph_id_format(out, g->box->address, &id);
}

static bool is_hidden(struct mailbox *m, const char *name)
{
	bool found = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->hidden_folders_n && !found; i++)
		found = strcasecmp(m->hidden_folders[i], name) == 0;
	pthread_mutex_unlock(&m->lock);
	return found;
}

static json_t *folder_json(const struct graph_call *g, const struct tree *t, long i)
{
	char id[GRAPH_ID_TEXT], parent[GRAPH_ID_TEXT];
	const struct tree_folder *f = &t->v[i];
	json_t *o;

	folder_id(g, f->guid, id);
	folder_id(g, f->parent >= 0 ? t->v[f->parent].guid : NULL, parent);
	o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b}", "id", id, "displayName", f->name, "parentFolderId", parent,
		"childFolderCount", (int)f->children, "unreadItemCount", (int)f->unseen, "totalItemCount",
		(int)f->messages, "isHidden", is_hidden(g->box, f->name));
	if (g->path.is_beta)
		json_object_set_new(o, "wellKnownName", *f->well_known ? json_string(f->well_known) : json_null());
	return o;
}

static json_t *root_json(const struct graph_call *g, const struct tree *t)
{
	char id[GRAPH_ID_TEXT];
	int children = 0;

	folder_id(g, NULL, id);
	for (size_t i = 0; i < t->n; i++)
		children += t->v[i].parent < 0 && !t->v[i].is_other;
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:b}", "id", id, "displayName",
		g->x->german ? "Oberste Ebene des Informationsspeichers" : "Top of Information Store", "parentFolderId",
		id, "childFolderCount", children, "unreadItemCount", 0, "totalItemCount", 0, "isHidden", 0);
}

/* Only what was selected, and the id. false: a property that there is not; refused. */
static bool select_properties(struct graph_call *g, json_t *o)
{
	static const char *const known[] = {"id", "displayName", "parentFolderId", "childFolderCount",
		"unreadItemCount", "totalItemCount", "isHidden", "wellKnownName"};
	unsigned wanted = 1;

	if (!g->query.raw_select)
		return true;
	for (const char *at = g->query.raw_select;;) {
		size_t n = strcspn(at, ","), k = 0;

		while (k < 7u + g->path.is_beta && (strlen(known[k]) != n || strncmp(known[k], at, n) != 0))
			k++;
		if (k == 7u + g->path.is_beta) {
			char name[80];

			snprintf(name, sizeof(name), "%.*s", (int)n, at);
			graph_refuse(g, GE_PROPERTY, name);
			return false;
		}
		wanted |= 1u << k;
		if (!at[n])
			break;
		at += n + 1;
	}
	for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
		if (!(wanted >> k & 1))
			json_object_del(o, known[k]);
	return true;
}

/* The folder that the path names: *i its index, -1 the root. */
static int find(struct graph_call *g, const struct tree *t, long *i)
{
	const char *text = g->path.folder;
	struct graph_id id;

	*i = -1;
	if (!text || strcasecmp(text, "msgfolderroot") == 0)
		return 0;
	if (tree_is_well_known_name(text)) {
		*i = tree_find_well_known(t, text);
	} else {
		static const unsigned char root[16];

		if (!graph_id_parse(&id, g->box->address, text) || id.is_message)
			return graph_refuse(g, GE_ID_MALFORMED, NULL);
		if (memcmp(id.guid, root, sizeof(root)) == 0)
			return 0;
		*i = tree_find_guid(t, id.guid);
	}
	return *i >= 0 ? 0 : graph_refuse(g, GE_ITEM_GONE, NULL);
}

/* "displayName eq 'X'" is all that is understood here. NULL and a refusal, or "" for no filter. Yours. */
static char *name_filter(struct graph_call *g)
{
	static const char start[] = "displayName eq '";
	const char *text = g->query.raw_filter;
	char *out, *to;
	size_t n;

	if (!text)
		return strdup("");
	n = strlen(text);
	if (n < sizeof(start) || strncmp(text, start, sizeof(start) - 1) != 0 || text[n - 1] != '\'') {
		graph_refuse(g, GE_FILTER, NULL);
		return NULL;
	}
	out = to = calloc(1, n);
	assert(out);
	for (const char *at = text + sizeof(start) - 1; at < text + n - 1; at++) {
		if (*at == '\'' && (++at == text + n - 1 || *at != '\'')) {
			free(out);
			graph_refuse(g, GE_FILTER, NULL);
			return NULL;
		}
		*to++ = *at;
	}
	return out;
}

static bool is_listed(struct graph_call *g, const struct tree *t, size_t i, long parent, const char *name)
{
	const struct tree_folder *f = &t->v[i];
	char *a, *b;
	bool same;

	if (f->parent != parent || f->is_other || (!g->query.includes_hidden && is_hidden(g->box, f->name)))
		return false;
	if (!*name)
		return true;
	a = g_utf8_casefold(f->name, -1);
	b = g_utf8_casefold(name, -1);
	same = strcmp(a, b) == 0;
	g_free(a);
	g_free(b);
	return same;
}

static void put_page(struct graph_call *g, const struct tree *t, long parent, const char *name)
{
	uint64_t top = g->query.has_top ? g->query.top : TOP_DEFAULT, seen = 0;
	bool is_short = graph_has_switch(g, SW_GRAPH_PAGES_SHORT) && !g->query.skip;
	json_t *list = json_array(), *o;

	if (is_short)
		top = 0;
	/* The skiptoken of an empty first page is 1 more than what was skipped, so that it can be told from the first. */
	for (size_t i = 0; i < t->n; i++) {
		json_t *one;

		if (!is_listed(g, t, i, parent, name))
			continue;
		seen++;
		if (seen + graph_has_switch(g, SW_GRAPH_PAGES_SHORT) <= g->query.skip || json_array_size(list) >= top)
			continue;
		one = folder_json(g, t, (long)i);
		if (!select_properties(g, one)) {
			json_decref(one);
			json_decref(list);
			return;
		}
		json_array_append_new(list, one);
	}
	o = json_pack("{s:o}", "@odata.context",
		graph_context(g, g->path.folder ? "/mailFolders/childFolders" : "/mailFolders"));
	if (g->query.wants_count)
		json_object_set_new(o, "@odata.count", json_integer((json_int_t)seen));
	if (is_short && seen)
		json_object_set_new(o, "@odata.nextLink", graph_next_link(g, 1));
	else if (seen + graph_has_switch(g, SW_GRAPH_PAGES_SHORT) > g->query.skip + top && !is_short)
		json_object_set_new(o, "@odata.nextLink", graph_next_link(g, g->query.skip + top));
	json_object_set_new(o, "value", list);
	graph_reply(g, 200, o);
}

void graph_folder_list(struct graph_call *g)
{
	char *name = name_filter(g);
	struct tree t;
	long parent;

	if (!name)
		return;
	if (graph_tree(g, &t) == 0 && find(g, &t, &parent) == 0)
		put_page(g, &t, parent, name);
	tree_done(&t);
	free(name);
}

static void reply_folder(struct graph_call *g, unsigned status, json_t *o)
{
	json_object_set_new(o, "@odata.context", graph_context(g, "/mailFolders/$entity"));
	if (select_properties(g, o))
		graph_reply(g, status, o);
	else
		json_decref(o);
}

void graph_folder_get(struct graph_call *g)
{
	struct tree t;
	long i;

	if (graph_tree(g, &t) == 0 && find(g, &t, &i) == 0)
		reply_folder(g, 200, i < 0 ? root_json(g, &t) : folder_json(g, &t, i));
	tree_done(&t);
}

/* {"displayName", "isHidden"}: D. The trimmed name, yours; NULL: refused. */
static char *read_new(struct graph_call *g, bool *hidden)
{
	json_t *body = graph_body(g), *v;
	const char *key, *name = NULL;
	char *out = NULL;

	*hidden = false;
	if (!body)
		return NULL;
	json_object_foreach(body, key, v)
	{
		if (strcmp(key, "displayName") == 0 && json_is_string(v)) {
			name = json_string_value(v);
		} else if (strcmp(key, "isHidden") == 0 && json_is_boolean(v)) {
			*hidden = json_is_true(v);
		} else if (strcmp(key, "@odata.type") != 0) {
			bool known = strcmp(key, "displayName") == 0 || strcmp(key, "isHidden") == 0;

			graph_refuse(g, known ? GE_BODY_VALUE : GE_BODY_READ, key);
			json_decref(body);
			return NULL;
		}
	}
	if (name) {
		out = strdup(name);
		assert(out);
		if (graph_has_switch(g, SW_NAMES_TRIMMED))
			g_strstrip(out);
	}
	json_decref(body);
	if (!out || !*out || strlen(out) > (size_t)profile_get(&g->x->profile, SW_NAME_MAX)) {
		free(out);
		graph_refuse(g, GE_NAME, NULL);
		return NULL;
	}
	return out;
}

static void remember_hidden(struct mailbox *m, const char *name)
{
	pthread_mutex_lock(&m->lock);
	m->hidden_folders = realloc(m->hidden_folders, (m->hidden_folders_n + 1) * sizeof(*m->hidden_folders));
	assert(m->hidden_folders);
	m->hidden_folders[m->hidden_folders_n++] = strdup(name);
	pthread_mutex_unlock(&m->lock);
}

/* A command with one or two folders' names. */
static int run_names(struct graph_call *g, const char *verb, const char *a, const char *b, struct err *err)
{
	struct buf command;
	int r;

	buf_init(&command, (size_t)64 * 1024);
	r = buf_add_str(&command, verb, err);
	for (const char *name = a; name && r == 0; name = name == a ? b : NULL) {
		char *quoted = malloc(2 * strlen(name) + 3);

		assert(quoted);
		args_quote(quoted, name);
		r = buf_printf(&command, err, " %s", quoted);
		free(quoted);
	}
	if (r == 0)
		r = store_close(g->link, err);
	if (r == 0)
		r = store_run(g->link, buf_str(&command), NULL, 0, NULL, NULL, NULL, err);
	buf_done(&command);
	folders_forget(g->box->folders);
	return r;
}

static int make(struct graph_call *g, const struct tree *t, long parent, const char *name)
{
	struct err err = ERR_INIT;
	char *level = NULL, *raw;
	int r;

	if (tree_encode_level(name, &level, &err) < 0)
		return graph_refuse(g, GE_NAME, NULL);
	raw = parent < 0 ? strdup(level) : g_strdup_printf("%s/%s", t->v[parent].raw, level);
	r = run_names(g, "CREATE", raw, NULL, &err);
	/* Dovecot 2.3.19 says ALREADYEXISTS of a folder that it has just made for us, where another connection put it into the list's index
	   meanwhile (any LIST, SELECT or CREATE). The name was free, and nobody else makes folders here now. */
	if (r < 0 && err.kind == ERR_CONFLICT)
		r = 0;
	if (r == 0)
		r = run_names(g, "SUBSCRIBE", raw, NULL, &err);
	free(raw);
	free(level);
	return r < 0 ? graph_refuse_err(g, &err) : 0;
}

/* One at a time in a mailbox, so that of two who want a name one gets it. */
static int make_if_free(struct graph_call *g, const char *name)
{
	struct tree t = {0};
	long parent;
	int r = -1;

	pthread_mutex_lock(&g->box->naming);
	if (graph_tree(g, &t) == 0 && find(g, &t, &parent) == 0)
		r = tree_find_child(&t, parent, name) < 0 ? make(g, &t, parent, name)
							  : graph_refuse(g, GE_FOLDER_EXISTS, NULL);
	pthread_mutex_unlock(&g->box->naming);
	tree_done(&t);
	return r;
}

void graph_folder_create(struct graph_call *g)
{
	bool hidden;
	char *name = read_new(g, &hidden);
	struct tree t = {0};
	long parent, i;

	if (!name || make_if_free(g, name) < 0)
		goto out;
	if (hidden)
		remember_hidden(g->box, name);
	if (graph_tree(g, &t) < 0 || find(g, &t, &parent) < 0)
		goto out;
	i = tree_find_child(&t, parent, name);
	if (i >= 0)
		reply_folder(g, 201, folder_json(g, &t, i));
	else
		graph_refuse(g, GE_ITEM_GONE, NULL); /* somebody removed it meanwhile */
out:
	tree_done(&t);
	free(name);
}

/* To Deleted Items, under a name that is free there; from there, or where the profile says so, for good. Deepest first. */
static int remove_all(struct graph_call *g, const struct tree *t, long i, struct err *err)
{
	long trash = tree_find_well_known(t, "deleteditems");
	size_t n = strlen(t->v[i].raw);

	if (graph_has_switch(g, SW_GRAPH_DELETE_MOVES) && trash >= 0 && t->v[i].parent != trash) {
		char *to = NULL, *level = strrchr(t->v[i].raw, '/'), name[300];
		int r;

		snprintf(name, sizeof(name), "%s", t->v[i].name);
		for (unsigned k = 1; tree_find_child(t, trash, name) >= 0; k++)
			snprintf(name, sizeof(name), "%.200s%u", t->v[i].name, k);
		if (strcmp(name, t->v[i].name) == 0)
			to = g_strdup_printf("%s/%s", t->v[trash].raw, level ? level + 1 : t->v[i].raw);
		else
			to = g_strdup_printf("%s/%s%s", t->v[trash].raw, level ? level + 1 : t->v[i].raw,
				name + strlen(t->v[i].name));
		r = run_names(g, "RENAME", t->v[i].raw, to, err);
		g_free(to);
		return r;
	}
	for (size_t k = t->n; k-- > 0;)
		if (strncmp(t->v[k].raw, t->v[i].raw, n) == 0 && t->v[k].raw[n] == '/' &&
			run_names(g, "DELETE", t->v[k].raw, NULL, err) < 0 && err->kind != ERR_FOLDER)
			return -1;
	return run_names(g, "DELETE", t->v[i].raw, NULL, err);
}

void graph_folder_delete(struct graph_call *g)
{
	struct err err = ERR_INIT;
	struct tree t;
	long i;

	if (graph_tree(g, &t) == 0 && find(g, &t, &i) == 0) {
		if (i < 0 || *t.v[i].well_known || t.v[i].is_other)
			graph_refuse(g, GE_FOLDER_KEPT, NULL);
		else if (remove_all(g, &t, i, &err) < 0)
			graph_refuse_err(g, &err);
		else
			graph_error_put_text(g->out, 204, NULL, NULL);
	}
	tree_done(&t);
}
