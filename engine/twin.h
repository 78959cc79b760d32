/* Twins: what other routes have placed in a destination folder after a route's mark. To that route they are new messages that no receipt of its own
   explains, so they are counted out before anything in doubt is called found, or anything unknown is called somebody else's. Job thread. */
#ifndef NF_ENGINE_TWIN_H
#define NF_ENGINE_TWIN_H

#include "engine/store/model.h"

struct job;
struct route_folder;

struct twins {
	struct item *items; /* owned; header values are not known */
	size_t n;
	uint8_t (*canons)[CANON_BYTES]; /* owned; beside items; NULL: none was read yet */
};

/* Of these keys (sorted; NULL: all), as route r must count them; epoch: of its mark. Those that are no longer there, as far as their own route can
   tell, are left out. */
int twins_load(struct job *j, struct route_folder *f, unsigned r, int64_t epoch, const uint8_t (*keys)[PRINT_KEY_BYTES],
	size_t n_keys, struct twins *out, struct err *err);
/* Prepares p[i], one for each twin. */
void twins_pending(const struct twins *t, struct pending *p);
/* Reads the content of those that need it where they lie, by their own route; one that cannot be read may be any message of its key. */
int twins_read(struct job *j, struct route_folder *f, struct twins *t, struct pending *p, struct err *err);
void twins_done(struct twins *t);

#endif
