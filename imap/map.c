/* Two trees. The source's is made of the parts of all names, parents that are not listed included; each of
   its nodes gets a place in the destination's, where the names of one parent's children differ without
   case. Well-known folders are placed first, then those that had a path before, then level by level what moves before what is skipped and what
   keeps its name before what had to be changed, so that a folder whose name is fine keeps it whoever else
   would like it. */
#include "imap/map.h"

#include "engine/base/buf.h"
#include "imap/map_index.h"
#include "imap/map_names.h"
#include "imap/map_part.h"
#include "imap/map_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEEPEST = 300, MOST_NODES = 100000, ROLES = ROLE_FLAGGED + 1, WORST_RANK = 6 };

struct node {                        /* of the source's tree */
	int parent;                  /* -1: the top */
	size_t depth;                /* 1 at the top */
	char *part;                  /* owned */
	const struct folder *folder; /* borrowed: from the list; NULL: only a parent of others */
	const char *before;          /* borrowed: the path it had; NULL: it is new, or only a parent */
	enum folder_role role;       /* after the choice: it is placed in that well-known folder */
	unsigned rank;               /* how sure the role is; 0 is best */
	bool is_moved;               /* itself or something below */
	char *name;                  /* owned: the part made acceptable */
	unsigned changes;
	int place; /* in the plan's places; -1: not yet */
};

struct plan {
	const struct folder_list *list; /* borrowed */
	const struct map_rules *rules;  /* borrowed */
	struct node *nodes;
	size_t n_nodes, nodes_room;
	struct map_index node_of;
	struct map_places places;
	int *leaves;            /* owned: each folder's node */
	int role_places[ROLES]; /* -1: none */
};

static const char *const role_names[ROLES] = {[ROLE_NONE] = "",
	[ROLE_INBOX] = "INBOX",
	[ROLE_SENT] = "Sent Items",
	[ROLE_DRAFTS] = "Drafts",
	[ROLE_TRASH] = "Deleted Items",
	[ROLE_JUNK] = "Junk Email",
	[ROLE_ARCHIVE] = "Archive",
	[ROLE_ALL] = "All Mail",
	[ROLE_FLAGGED] = "Flagged"};

const char *map_role_name(enum folder_role role)
{
	return role_names[role];
}

/* What the destination calls the folder of that role; NULL: it has none of its own. */
static const char *well_known(const struct map_rules *rules, enum folder_role role)
{
	if (role == ROLE_NONE || role > ROLE_ARCHIVE)
		return NULL;
	if (role == ROLE_INBOX)
		return role_names[ROLE_INBOX];
	const char *name = rules->well_known ? rules->well_known[role] : NULL;
	return name ? name : rules->exchange ? role_names[role] : NULL;
}

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory for the map of folders");
}

/* ---- the source's tree */

static int add_node(struct plan *p, int parent, const char *part, struct err *err)
{
	if (p->n_nodes >= MOST_NODES)
		return err_set(err, ERR_MEMORY, "the source's folders make a tree of more than %d names", MOST_NODES);
	if (p->n_nodes == p->nodes_room) {
		size_t room = p->nodes_room ? p->nodes_room * 2 : 64;
		struct node *nodes = realloc(p->nodes, room * sizeof(*nodes));
		if (!nodes)
			return out_of_memory(err);
		p->nodes = nodes;
		p->nodes_room = room;
	}
	struct node *n = &p->nodes[p->n_nodes];
	*n = (struct node){.parent = parent,
		.depth = parent < 0 ? 1 : p->nodes[parent].depth + 1,
		.part = strdup(part),
		.rank = WORST_RANK,
		.place = -1};
	if (!n->part)
		return out_of_memory(err);
	return (int)p->n_nodes++;
}

static int find_or_add_node(struct plan *p, int parent, const char *part, struct err *err)
{
	bool is_inbox =
		parent < 0 && strcasecmp(part, "INBOX") == 0; /* the one name without case, RFC 9051 section 5.1 */
	const char *key = is_inbox ? "INBOX" : part;
	int found = map_index_get(&p->node_of, parent, key);
	if (found >= 0)
		return found;
	found = add_node(p, parent, part, err);
	if (found < 0 || map_index_put(&p->node_of, parent, key, found, err) < 0)
		return -1;
	return found;
}

/* The part at depth i; the last that is allowed holds all deeper ones. Yours to free. */
static char *part_at(const struct folder *f, size_t i, struct err *err)
{
	struct buf joined;
	buf_init(&joined, (size_t)1 << 24);
	const char *own = f->n_parts > 0 ? f->parts[i] : f->name ? f->name : f->raw;
	int rc = buf_add_str(&joined, own, err);
	for (size_t k = DEEPEST; i == DEEPEST - 1 && k < f->n_parts && rc == 0; k++)
		rc = buf_printf(&joined, err, "_%s", f->parts[k]);
	char *part = rc == 0 ? buf_take(&joined) : NULL;
	buf_done(&joined);
	return part;
}

static int add_folder(struct plan *p, size_t at, struct err *err)
{
	const struct folder *f = &p->list->v[at];
	size_t n = f->n_parts == 0 ? 1 : f->n_parts > DEEPEST ? DEEPEST : f->n_parts;
	int node = -1;
	for (size_t i = 0; i < n; i++) {
		char *part = part_at(f, i, err);
		if (!part)
			return -1;
		int parent = node;
		node = find_or_add_node(p, parent, part, err);
		if (node >= 0 && i == n - 1 && p->nodes[node].folder) /* two raw names may decode to one: a node each */
			node = add_node(p, parent, part, err);
		free(part);
		if (node < 0)
			return -1;
	}
	p->nodes[node].folder = f;
	p->nodes[node].before = p->rules->before ? p->rules->before[at] : NULL;
	if (f->n_parts > DEEPEST)
		p->nodes[node].changes |= MAP_DEPTH;
	p->leaves[at] = node;
	return 0;
}

/* ---- roles */

static const char *why_skipped(const struct folder *f)
{
	if (f->is_shared)
		return "shared or public: not this mailbox's own";
	if (!f->can_select)
		return "holds folders only, no messages";
	if (!f->is_mail)
		return "calendar, contacts, tasks or notes: not mail";
	if (f->role == ROLE_ALL)
		return "a view of all mail, not a folder of its own";
	if (f->role == ROLE_FLAGGED)
		return "a view of flagged mail, not a folder of its own";
	return NULL;
}

/* May a name here be a well-known folder's? At the top and directly below INBOX. */
static bool is_in_reach(const struct plan *p, const struct node *n)
{
	if (n->parent < 0)
		return true;
	const struct node *parent = &p->nodes[n->parent];
	return parent->parent < 0 && map_names_is_container(parent->part);
}

static void find_role(const struct plan *p, struct node *n)
{
	const struct folder *f = n->folder;
	bool in_reach = is_in_reach(p, n);
	if (f && (f->is_shared || !f->is_mail))
		return;
	n->role = f ? f->role : ROLE_NONE;
	if (n->role == ROLE_NONE && in_reach)
		n->role = map_role_by_name(n->part);
	if (n->role == ROLE_INBOX && n->parent >= 0)
		n->role = ROLE_NONE;
	if (!well_known(p->rules, n->role))
		n->role = ROLE_NONE;
	const char *there = well_known(p->rules, n->role);
	bool is_exact = there && n->parent < 0 && strcasecmp(n->part, there) == 0;
	if (!f || !f->can_select)
		n->rank = 5;
	else
		n->rank = f->role_by_attribute ? 1 : is_exact ? 2 : n->parent < 0 ? 3 : 4;
}

/* The role of one that had a path: that of the well-known folder which it went into. */
static void find_role_before(const struct plan *p, struct node *n)
{
	n->rank = 0;
	n->role = ROLE_NONE;
	for (enum folder_role r = ROLE_INBOX; r <= ROLE_ARCHIVE && n->role == ROLE_NONE; r++) {
		const char *path = well_known(p->rules, r);
		if (path && strcmp(path, n->before) == 0)
			n->role = r;
	}
}

/* Of several that would have a role, the surest has it; the others too if they are to be merged. */
static void choose_roles(struct plan *p)
{
	int best[ROLES];
	for (int r = 0; r < ROLES; r++)
		best[r] = -1;
	for (size_t i = 0; i < p->n_nodes; i++) {
		struct node *n = &p->nodes[i];
		if (n->before)
			find_role_before(p, n);
		else
			find_role(p, n);
		if (n->role != ROLE_NONE && (best[n->role] < 0 || n->rank < p->nodes[best[n->role]].rank))
			best[n->role] = (int)i;
	}
	for (size_t i = 0; i < p->n_nodes; i++) {
		struct node *n = &p->nodes[i];
		bool may_merge = (p->rules->merge && n->role != ROLE_INBOX) || n->before;
		if (n->role != ROLE_NONE && !may_merge && best[n->role] != (int)i)
			n->role = ROLE_NONE;
	}
}

static void mark_moved(struct plan *p)
{
	for (size_t i = 0; i < p->list->n; i++) {
		if (why_skipped(&p->list->v[i]))
			continue;
		for (int n = p->leaves[i]; n >= 0 && !p->nodes[n].is_moved; n = p->nodes[n].parent)
			p->nodes[n].is_moved = true;
	}
}

/* ---- the destination's tree */

static int place_roles(struct plan *p, struct err *err)
{
	for (int r = 0; r < ROLES; r++) {
		const char *path = well_known(p->rules, (enum folder_role)r);
		p->role_places[r] = -1;
		if (!path)
			continue;
		p->role_places[r] = map_place_well_known(&p->places, path, err);
		if (p->role_places[r] < 0)
			return -1;
	}
	for (size_t i = 0; i < p->n_nodes; i++) {
		struct node *n = &p->nodes[i];
		if (n->role == ROLE_NONE)
			continue;
		n->place = p->role_places[n->role];
		bool is_same = n->parent < 0 && p->places.v[n->place].parent < 0 &&
			       strcmp(n->part, p->places.v[n->place].name) == 0;
		if (!is_same && n->role != ROLE_INBOX)
			n->changes |= MAP_ROLE;
	}
	return 0;
}

/* The part made acceptable to the destination, and what that changed. */
static int fix_name(const struct plan *p, struct node *n, struct err *err)
{
	const char *raw = n->folder && n->folder->raw ? n->folder->raw : n->part;
	return n->name ? 0 : map_part_fix(n->part, raw, p->rules, n->depth == 1, &n->name, &n->changes, err);
}

/* The node is at this place, under the name that stands there. */
static int put_before(struct plan *p, struct node *n, int place, struct err *err)
{
	n->place = place;
	if (fix_name(p, n, err) < 0)
		return -1;
	n->changes |= strcmp(n->name, p->places.v[place].name) == 0 ? 0 : MAP_CASE;
	return 0;
}

/* Those that had a path are where they were; a parent that is only that, where its child's path says. */
static int place_before(struct plan *p, struct err *err)
{
	for (size_t i = 0; i < p->list->n; i++) {
		struct node *n = &p->nodes[p->leaves[i]];
		if (!n->before || n->place >= 0)
			continue;
		int place = map_place_well_known(&p->places, n->before, err);
		if (place < 0 || put_before(p, n, place, err) < 0)
			return -1;
		size_t parts = 1;
		for (const char *at = n->before; (at = strchr(at, '/')); at++)
			parts++;
		for (; parts == n->depth && n->parent >= 0 && p->nodes[n->parent].place < 0;
			n = &p->nodes[n->parent], parts--) {
			place = p->places.v[place].parent;
			p->places.v[place].is_open = false;
			if (put_before(p, &p->nodes[n->parent], place, err) < 0)
				return -1;
		}
	}
	return 0;
}

struct turn {
	size_t depth;
	int class; /* 0: moved, its name is fine */
	size_t node;
};

static int compare_turns(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static int place_nodes(struct plan *p, struct err *err)
{
	struct turn *turns = calloc(p->n_nodes + 1, sizeof(*turns));
	int rc = 0;
	if (!turns)
		return out_of_memory(err);
	for (size_t i = 0; i < p->n_nodes && rc == 0; i++) {
		struct node *n = &p->nodes[i];
		if (n->place < 0)
			rc = fix_name(p, n, err);
		turns[i] = (struct turn){
			.depth = n->depth, .class = (n->is_moved ? 0 : 2) + (n->changes ? 1 : 0), .node = i};
	}
	if (rc == 0)
		qsort(turns, p->n_nodes, sizeof(*turns), compare_turns);
	for (size_t i = 0; i < p->n_nodes && rc == 0; i++) {
		struct node *n = &p->nodes[turns[i].node];
		if (n->place < 0) {
			int parent = n->parent < 0 ? -1 : p->nodes[n->parent].place;
			bool changed;
			n->place = map_place_new(&p->places, parent, n->name, &changed, err);
			n->changes |= changed ? MAP_CASE : 0;
			rc = n->place < 0 ? -1 : 0;
		}
	}
	free(turns);
	return rc;
}

/* ---- the result */

static void explain(unsigned changes, char *out, size_t size)
{
	static const struct {
		unsigned bit;
		const char *words;
	} texts[] = {{MAP_ROLE, "a well-known folder"}, {MAP_SLASH, "separator in a name"},
		{MAP_TRIM, "blanks at an end"}, {MAP_RESERVED, "reserved name"}, {MAP_LENGTH, "name too long"},
		{MAP_CASE, "name is taken"}, {MAP_CONTROL, "unprintable characters"}, {MAP_DEPTH, "too deep"}};
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && len < size; i++) {
		if (changes & texts[i].bit)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", texts[i].words);
	}
}

/* What was done from the leaf upwards; from a well-known folder on, the path is that folder's. */
static unsigned changes_of(const struct plan *p, int leaf, const struct folder *f)
{
	unsigned changes = 0;
	for (int n = leaf; n >= 0; n = p->nodes[n].parent) {
		changes |= p->nodes[n].changes;
		if (p->nodes[n].role == ROLE_INBOX && f->n_parts > 0 && strcmp(f->parts[0], "INBOX") != 0)
			changes |= MAP_ROLE;
		if (p->nodes[n].role != ROLE_NONE)
			break;
	}
	return changes;
}

static int fill(const struct plan *p, struct mapping *m, struct err *err)
{
	for (size_t i = 0; i < p->list->n; i++) {
		const struct folder *f = &p->list->v[i];
		m[i].path = map_place_path(&p->places, p->nodes[p->leaves[i]].place);
		if (!m[i].path)
			return out_of_memory(err);
		m[i].changes = changes_of(p, p->leaves[i], f);
		m[i].role = p->nodes[p->leaves[i]].role;
		const char *why = why_skipped(f);
		m[i].skip = why != NULL;
		m[i].by_name = why && f->can_select && !f->is_shared && !f->is_mail;
		if (why)
			snprintf(m[i].reason, sizeof(m[i].reason), "%s", why);
		else
			explain(m[i].changes, m[i].reason, sizeof(m[i].reason));
	}
	return 0;
}

static void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n_nodes; i++) {
		free(p->nodes[i].part);
		free(p->nodes[i].name);
	}
	free(p->nodes);
	free(p->leaves);
	map_index_done(&p->node_of);
	map_places_done(&p->places);
}

int map_folders(const struct folder_list *list, const struct map_rules *rules, struct mapping **out, struct err *err)
{
	struct plan p = {.list = list, .rules = rules, .places.rules = rules};
	struct mapping *m = calloc(list->n + 1, sizeof(*m));
	int rc = -1;
	*out = NULL;
	p.leaves = calloc(list->n + 1, sizeof(*p.leaves));
	if (!m || !p.leaves) {
		out_of_memory(err);
		goto out;
	}
	for (size_t i = 0; i < list->n; i++) {
		if (add_folder(&p, i, err) < 0)
			goto out;
	}
	mark_moved(&p);
	choose_roles(&p);
	if (place_roles(&p, err) < 0 || place_before(&p, err) < 0 || place_nodes(&p, err) < 0 || fill(&p, m, err) < 0)
		goto out;
	*out = m;
	m = NULL;
	rc = 0;
out:
	map_done(&m, list->n);
	plan_done(&p);
	return rc;
}

void map_done(struct mapping **m, size_t n)
{
	if (!*m)
		return;
	for (size_t i = 0; i < n; i++)
		free((*m)[i].path);
	free(*m);
	*m = NULL;
}
