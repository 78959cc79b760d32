/* A mailbox's folders as Graph shows them: a tree with ids, counts and well-known names, read from the backend. The last one read is
   kept with the mailbox, so that an id is turned into a folder without asking again. Any thread. */
#ifndef NF_EXOSIM_GRAPH_TREE_H
#define NF_EXOSIM_GRAPH_TREE_H

#include "upload/exosim/graph_id.h"
#include "upload/exosim/pool.h"

struct tree_folder {
	char *raw;  /* owned: the backend's name */
	char *name; /* owned: display name, UTF-8 */
	unsigned char guid[16];
	uint32_t uidvalidity, messages, unseen;
	bool exists, is_other;  /* other: Calendar, …: not shown as a mail folder */
	const char *well_known; /* "" if none */
	long parent;            /* index; -1: the root */
	unsigned children;
};
struct tree {
	struct tree_folder *v; /* owned */
	size_t n;
};

struct tree_cache;
struct tree_cache *tree_cache_new(void);
void tree_cache_free(struct tree_cache **c);

/* Reads it and makes it the last one read. */
int tree_load(struct tree *t, struct exosim *x, struct mailbox *m, struct link *l, struct err *err);
void tree_done(struct tree *t);
/* Index of a folder, -1: none. */
long tree_find_guid(const struct tree *t, const unsigned char guid[16]);
long tree_find_well_known(const struct tree *t, const char *name);
/* Child of that name, without case (parent -1: of the root). */
long tree_find_child(const struct tree *t, long parent, const char *name);

/* Is it a name as "inbox" (any case)? */
bool tree_is_well_known_name(const char *name);

struct tree_place { /* where a folder is */
	char *raw;  /* owned */
	unsigned char guid[16];
	uint32_t uidvalidity;
	bool is_well_known;
};
/* Out of the last tree read, unless the mailbox's folders changed since. false: not known there. text: a well-known name, or NULL and guid. */
bool tree_cached(struct mailbox *m, const char *well_known, const unsigned char guid[16], struct tree_place *out);
void tree_place_of(const struct tree *t, long i, struct tree_place *out);
void tree_place_done(struct tree_place *p);

/* The backend's name for one level: modified UTF-7, "/" hidden in a private character. ERR_FOLDER. Yours. */
int tree_encode_level(const char *name, char **raw, struct err *err);

#endif
