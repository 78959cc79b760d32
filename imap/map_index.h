/* Finds the children of a node by name: (parent's number, key) to a number. Owned by one thread. */
#ifndef NF_IMAP_MAP_INDEX_H
#define NF_IMAP_MAP_INDEX_H

#include "engine/base/err.h"

struct map_index {
	struct map_entry {
		char *key; /* owned; NULL: free */
		int parent, value;
	} * slots;      /* owned */
	size_t n, room; /* room is a power of two, or 0 */
};

/* The number put there, or -1. */
int map_index_get(const struct map_index *x, int parent, const char *key);
/* Copies key; the pair must not be there yet. */
int map_index_put(struct map_index *x, int parent, const char *key, int value, struct err *err);
void map_index_done(struct map_index *x);

#endif
