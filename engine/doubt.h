/* Between doubt.c and doubt_look.c only: the items in doubt of a destination folder, and those of them that one route settles. Job thread. */
#ifndef NF_ENGINE_DOUBT_H
#define NF_ENGINE_DOUBT_H

#include "engine/job.h"
#include "engine/twin.h"

struct doubt { /* the items in doubt of one destination folder */
	struct job *j;
	struct route_folder *f;
	struct item *items;             /* owned */
	struct pending *pending;        /* owned; beside items */
	uint8_t (*canons)[CANON_BYTES]; /* owned; beside items */
	unsigned *routes; /* owned; beside items: that settles it; ROUTE_NONE: none can, or its folder is not there */
	bool *gone;       /* owned; beside items: no longer at the source, so that its content cannot be compared */
	size_t n;
	unsigned busy; /* so often a message was not given out, and no time was said */
};

struct group { /* the items that one route settles */
	struct doubt *d;
	unsigned r;
	size_t *at; /* owned: places in d */
	size_t n;
	struct twins twins;
	struct pending *v; /* owned: n of the items, then those of the twins */
	struct dest_mark mark;
	bool whole; /* the mark is younger than an intent: all of the folder is looked through */
};

/* *g is empty (n 0) when route r settles nothing. group_done it in any case. */
int group_make(struct group *g, struct doubt *d, unsigned r, struct err *err);
/* Looks, and where meaning must decide looks again with it; outcomes are in g->v, and in d->gone. */
int group_settle(struct group *g, struct err *err);
void group_done(struct group *g);
/* As the source listed it. */
void doubt_meta(const struct item *it, struct pull_meta *out);

#endif
