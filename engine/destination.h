/* The destination of an assessment: which routes would carry its mail and what they refuse, and a look whether a mailbox can be used by them.
   Nothing is written there. Immutable once planned: any thread. */
#ifndef NF_ENGINE_DESTINATION_H
#define NF_ENGINE_DESTINATION_H

#include "engine/store/assess.h"
#include "engine/work.h"

#define DESTINATION_ROUTES 4

struct destination {
	const struct target_row *row; /* borrowed */
	struct target_conf conf;      /* kind and sizes only: for target_check */
	const struct target_ops
		*ops[DESTINATION_ROUTES]; /* in the person's order; those that were proven, or all where none was */
	size_t n;
};

int destination_plan(struct destination *out, struct store *s, const struct target_row *t, struct err *err);
/* Would every route refuse a message of that size? why: as the last of them says. */
bool destination_refuses(const struct destination *d, uint32_t uid, uint64_t size, struct err *why);
/* Signs in by each route, and asks the first that answers how names must be made (rules: left alone else) and what the mailbox is called. What
   does not work is a finding of *out. -1: none works; the finding is there too. */
int destination_look(const struct destination *d, struct work *w, struct stop *stop, const struct user *u,
	struct map_rules *rules, struct assessment *out, struct err *err);

#endif
