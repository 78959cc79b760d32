/* The destination's tree of folders as it is going to be: each name is taken once, as the destination compares names. Places are numbers; a parent of -1
   is the top. Owned by one thread. */
#ifndef NF_IMAP_MAP_PLACE_H
#define NF_IMAP_MAP_PLACE_H

#include "imap/map.h"
#include "imap/map_index.h"

#include <stdbool.h>
#include <stddef.h>

struct map_places {
	const struct map_rules *
		rules; /* borrowed; at Exchange names that differ only in case are the same; INBOX at the top is so everywhere */
	struct map_place {
		int parent;
		char *name;           /* owned */
		bool is_open;         /* only the parent of a well-known folder: free for the first of that name */
		unsigned next_number; /* for the next name that collides with this one */
	} * v;                        /* owned */
	size_t n, room;
	struct map_index index;
};

/* The place of a well-known folder, with its parents ('/' separates), or -1. */
int map_place_well_known(struct map_places *p, const char *path, struct err *err);
/* A place below parent that nobody has: under that name, else numbered. *changed: it is not the name. -1: failed. */
int map_place_new(struct map_places *p, int parent, const char *name, bool *changed, struct err *err);
/* '/'-separated, yours to free; NULL: out of memory. */
char *map_place_path(const struct map_places *p, int place);
void map_places_done(struct map_places *p);

#endif
