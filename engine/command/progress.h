/* What a batch does right now, for people: bars that redraw on a terminal, plain lines elsewhere. Reads the store only. */
#ifndef NF_ENGINE_COMMAND_PROGRESS_H
#define NF_ENGINE_COMMAND_PROGRESS_H

#include "engine/store/store.h"

#include <jansson.h>

struct progress;

/* json: nothing is printed. */
int progress_new(struct progress **out, struct store *store, int64_t batch_id, bool quiet, struct err *err);
void progress_tick(void *progress, bool last); /* as struct supervisor_conf wants it */
/* *stopping: somebody asked to stop meanwhile; borrowed. Said as soon as it is seen. */
void progress_watch(struct progress *p, const bool *stopping);
void progress_free(struct progress **p);

/* One line for a user: state, counts, share done, and what is wrong. */
const char *progress_state_name(const struct user *u); /* "Created" before its first start */
void progress_print_user(const struct user *u);
/* Which side refused the sign-ins of those that failed for it: the source's can be mended with new passwords in the CSV. */
struct progress_refusals {
	bool source, target;
};
struct progress_refusals progress_find_refusals(const struct user *v, size_t n);
json_t *progress_user_json(const struct user *u);
json_t *progress_counts_json(const struct user_counts *c);

#endif
