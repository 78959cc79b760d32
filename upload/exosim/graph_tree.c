/* A display name may hold "/", which separates levels over IMAP: it is kept there as U+F02F (a private character), so that both routes
   see one folder. Parents that IMAP left out (CREATE a/b) are made when the tree is read: Exchange has no folder without one. */
#include "upload/exosim/graph_tree.h"

#include "imap/name.h"
#include "upload/exosim/args.h"
#include "upload/exosim/graph_store.h"

#include <assert.h>
#include <glib.h>
#include <strings.h>

#define SLASH "\xef\x80\xaf"
#define ROOT_NAME "msgfolderroot"

struct tree_cache {
	pthread_mutex_t lock;
	struct tree tree;
	unsigned generation; /* of the mailbox's folders when it was read */
	bool known;
};

struct tree_cache *tree_cache_new(void)
{
	struct tree_cache *c = calloc(1, sizeof(*c));

	assert(c);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void tree_cache_free(struct tree_cache **c)
{
	if (!*c)
		return;
	tree_done(&(*c)->tree);
	pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}

void tree_done(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].raw);
		free(t->v[i].name);
	}
	free(t->v);
	*t = (struct tree){0};
}

static char *replace(const char *text, const char *from, const char *to)
{
	char **parts = g_strsplit(text, from, -1), *joined = g_strjoinv(to, parts), *out = strdup(joined);

	assert(out);
	g_strfreev(parts);
	g_free(joined);
	return out;
}

int tree_encode_level(const char *name, char **raw, struct err *err)
{
	char *hidden = replace(name, "/", SLASH);
	int r = name_encode(hidden, raw, err);

	free(hidden);
	return r;
}

static char *display_name(const struct exosim *x, const char *raw)
{
	const char *slash = strrchr(raw, '/');
	char *utf8, *out;
	bool exact;

	if (strcasecmp(raw, "INBOX") == 0)
		return strdup(x->german ? "Posteingang" : "Inbox");
	utf8 = name_decode(slash ? slash + 1 : raw, &exact);
	assert(utf8);
	out = replace(utf8, SLASH, "/");
	free(utf8);
	return out;
}

static void mark_well_known(const struct exosim *x, struct tree_folder *f)
{
	const struct known_folder *k;

	f->well_known = strcasecmp(f->raw, "INBOX") == 0 ? "inbox" : "";
	if (*f->well_known || strchr(f->raw, '/'))
		return;
	for (size_t i = 0; (k = rule_known_folder(i)) != NULL; i++) {
		char *a = g_utf8_casefold(x->german ? k->german : k->english, -1), *b = g_utf8_casefold(f->name, -1);

		if (strcmp(a, b) == 0) {
			f->well_known = k->graph;
			f->is_other = k->kind == FOLDER_OTHER;
		}
		g_free(a);
		g_free(b);
	}
}

/* --- reading */

struct reading {
	const struct exosim *x;
	struct tree *t;
	size_t room;
};

static struct tree_folder *find_raw(const struct tree *t, const char *raw)
{
	/* The line before is the one, nearly always. */
	for (size_t i = t->n; i-- > 0;)
		if (strcmp(t->v[i].raw, raw) == 0)
			return &t->v[i];
	return NULL;
}

static void take_list(struct reading *r, const char *text, size_t len)
{
	const char *close = memchr(text, ')', len);
	struct args a = {close ? close + 1 : text, text + len};
	struct tree *t = r->t;
	struct tree_folder *f;
	struct span raw;
	char *name = NULL;

	if (!close || !args_take_char(&a, ' ') || !args_take_astring(&a, &raw, NULL) || !args_take_char(&a, ' ') ||
		!args_take_astring(&a, &raw, &name))
		return;
	if (t->n == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		t->v = realloc(t->v, r->room * sizeof(*t->v));
		assert(t->v);
	}
	f = &t->v[t->n++];
	*f = (struct tree_folder){.raw = name, .parent = -1, .name = display_name(r->x, name)};
	f->exists =
		!g_strstr_len(text, close - text, "\\NonExistent") && !g_strstr_len(text, close - text, "\\Noselect");
	mark_well_known(r->x, f);
}

static bool take_guid(const char *hex, unsigned char guid[16])
{
	for (int i = 0; i < 16; i++) {
		unsigned v;

		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		guid[i] = (unsigned char)v;
	}
	return true;
}

static void take_status(struct reading *r, const char *text, size_t len)
{
	struct args a = {text + strlen("* STATUS "), text + len};
	struct tree_folder *f;
	struct span span, key, value;
	char *name = NULL;

	if (!args_take_astring(&a, &span, &name))
		return;
	f = find_raw(r->t, name);
	free(name);
	if (!f || !args_take_char(&a, ' ') || !args_take_char(&a, '('))
		return;
	while (args_take_atom(&a, &key) && args_take_char(&a, ' ') && args_take_atom(&a, &value)) {
		if (span_is(&key, "X-GUID") && value.len == 32)
			take_guid(value.at, f->guid);
		else if (span_is(&key, "MESSAGES"))
			f->messages = (uint32_t)strtoul(value.at, NULL, 10);
		else if (span_is(&key, "UNSEEN"))
			f->unseen = (uint32_t)strtoul(value.at, NULL, 10);
		else if (span_is(&key, "UIDVALIDITY"))
			f->uidvalidity = (uint32_t)strtoul(value.at, NULL, 10);
		args_take_char(&a, ' ');
	}
}

static void take_response(void *ctx, const char *text, size_t len)
{
	struct reading *r = ctx;

	if (len > 7 && strncasecmp(text, "* LIST ", 7) == 0)
		take_list(r, text, len);
	else if (len > 9 && strncasecmp(text, "* STATUS ", 9) == 0)
		take_status(r, text, len);
}

static int read_all(struct tree *t, const struct exosim *x, struct link *l, struct err *err)
{
	struct reading r = {x, t, 0};

	return store_run(l, "LIST \"\" \"*\" RETURN (STATUS (MESSAGES UNSEEN UIDVALIDITY X-GUID))", NULL, 0,
		take_response, &r, NULL, err);
}

static bool has_children(const struct tree *t, size_t i)
{
	size_t n = strlen(t->v[i].raw);

	for (size_t k = 0; k < t->n; k++)
		if (strncmp(t->v[k].raw, t->v[i].raw, n) == 0 && t->v[k].raw[n] == '/')
			return true;
	return false;
}

/* Without those that the backend could not look at. */
static void drop_unknown(struct tree *t)
{
	static const unsigned char none[16];
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (memcmp(t->v[i].guid, none, sizeof(none)) != 0) {
			t->v[kept++] = t->v[i];
			continue;
		}
		free(t->v[i].raw);
		free(t->v[i].name);
	}
	t->n = kept;
}

static int make_missing(const struct tree *t, struct link *l, bool *made, struct err *err)
{
	*made = false;
	for (size_t i = 0; i < t->n; i++) {
		char *quoted, command[2200];

		/* One without children is being made or deleted by somebody else this moment. */
		if (t->v[i].exists || !has_children(t, i) || strlen(t->v[i].raw) > 1000)
			continue;
		quoted = malloc(2 * strlen(t->v[i].raw) + 3);
		assert(quoted);
		args_quote(quoted, t->v[i].raw);
		snprintf(command, sizeof(command), "CREATE %s", quoted);
		free(quoted);
		if (store_run(l, command, NULL, 0, NULL, NULL, NULL, err) < 0 && err->kind != ERR_CONFLICT)
			return -1;
		*made = true;
	}
	return 0;
}

static void find_parents(struct tree *t)
{
	GHashTable *by_raw = g_hash_table_new(g_str_hash, g_str_equal);

	for (size_t i = 0; i < t->n; i++)
		g_hash_table_insert(by_raw, t->v[i].raw, GSIZE_TO_POINTER(i + 1));
	for (size_t i = 0; i < t->n; i++) {
		const char *slash = strrchr(t->v[i].raw, '/');
		char *parent = slash ? strndup(t->v[i].raw, (size_t)(slash - t->v[i].raw)) : NULL;
		size_t at = parent ? GPOINTER_TO_SIZE(g_hash_table_lookup(by_raw, parent)) : 0;

		free(parent);
		t->v[i].parent = (long)at - 1;
		if (at) {
			t->v[at - 1].children++;
			t->v[i].is_other = t->v[i].is_other || t->v[at - 1].is_other;
		}
	}
	g_hash_table_destroy(by_raw);
}

static void copy_tree(struct tree *to, const struct tree *from)
{
	to->n = from->n;
	to->v = malloc((from->n ? from->n : 1) * sizeof(*to->v));
	assert(to->v);
	for (size_t i = 0; i < from->n; i++) {
		to->v[i] = from->v[i];
		to->v[i].raw = strdup(from->v[i].raw);
		to->v[i].name = strdup(from->v[i].name);
		assert(to->v[i].raw && to->v[i].name);
	}
}

int tree_load(struct tree *t, struct exosim *x, struct mailbox *m, struct link *l, struct err *err)
{
	unsigned generation = folders_generation(m->folders);
	struct tree_cache *c = m->tree;
	bool made = false;

	*t = (struct tree){0};
	if (read_all(t, x, l, err) < 0 || make_missing(t, l, &made, err) < 0)
		goto fail;
	if (made) {
		tree_done(t);
		folders_forget(m->folders);
		generation = folders_generation(m->folders);
		if (read_all(t, x, l, err) < 0)
			goto fail;
	}
	drop_unknown(t);
	find_parents(t);
	pthread_mutex_lock(&c->lock);
	tree_done(&c->tree);
	copy_tree(&c->tree, t);
	c->generation = generation;
	c->known = true;
	pthread_mutex_unlock(&c->lock);
	return 0;
fail:
	tree_done(t);
	return -1;
}

/* --- finding */

long tree_find_guid(const struct tree *t, const unsigned char guid[16])
{
	for (size_t i = 0; i < t->n; i++)
		if (memcmp(t->v[i].guid, guid, 16) == 0)
			return (long)i;
	return -1;
}

long tree_find_well_known(const struct tree *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (*t->v[i].well_known && strcasecmp(t->v[i].well_known, name) == 0)
			return (long)i;
	return -1;
}

long tree_find_child(const struct tree *t, long parent, const char *name)
{
	char *wanted = g_utf8_casefold(name, -1);
	long found = -1;

	for (size_t i = 0; i < t->n && found < 0; i++) {
		char *folded;

		if (t->v[i].parent != parent)
			continue;
		folded = g_utf8_casefold(t->v[i].name, -1);
		if (strcmp(folded, wanted) == 0)
			found = (long)i;
		g_free(folded);
	}
	g_free(wanted);
	return found;
}

bool tree_is_well_known_name(const char *name)
{
	/* D: the names of the mailFolder resource; a mailbox need not have all of them. */
	static const char *const names[] = {"archive", "clutter", "conflicts", "conversationhistory", "deleteditems",
		"drafts", "inbox", "junkemail", "localfailures", ROOT_NAME, "outbox", "recoverableitemsdeletions",
		"scheduled", "searchfolders", "sentitems", "serverfailures", "syncissues"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

void tree_place_of(const struct tree *t, long i, struct tree_place *out)
{
	const struct tree_folder *f = &t->v[i];

	*out = (struct tree_place){
		.raw = strdup(f->raw), .uidvalidity = f->uidvalidity, .is_well_known = *f->well_known};
	assert(out->raw);
	memcpy(out->guid, f->guid, sizeof(out->guid));
}

void tree_place_done(struct tree_place *p)
{
	free(p->raw);
	*p = (struct tree_place){0};
}

bool tree_cached(struct mailbox *m, const char *well_known, const unsigned char guid[16], struct tree_place *out)
{
	unsigned generation = folders_generation(m->folders);
	struct tree_cache *c = m->tree;
	long i = -1;

	pthread_mutex_lock(&c->lock);
	if (c->known && c->generation == generation)
		i = well_known ? tree_find_well_known(&c->tree, well_known) : tree_find_guid(&c->tree, guid);
	if (i >= 0)
		tree_place_of(&c->tree, i, out);
	pthread_mutex_unlock(&c->lock);
	return i >= 0;
}
