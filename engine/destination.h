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
/* How one destination mailbox wants names; outlives the look at it. */
struct destination_names {
	struct map_rules rules;      /* well_known points at own, or is NULL */
	char *own[ROLE_ARCHIVE + 1]; /* owned: what the mailbox calls its own folders */
};
void destination_names_init(
	struct destination_names *n, const struct destination *d); /* as far as it is known without a look */
void destination_names_done(struct destination_names *n);

/* Signs in by each route, and asks as the run does how names must be made (left alone where none answers) and what the mailbox is called. What
   does not work is a finding of *out. -1: none works; the finding is there too. */
int destination_look(const struct destination *d, struct work *w, struct stop *stop, const struct user *u,
	struct destination_names *names, struct assessment *out, struct err *err);

#endif
