/* The engine's loop: claims users that want work, runs each in a thread, stops those a person stopped. One per process. */
#ifndef NF_ENGINE_POOL_H
#define NF_ENGINE_POOL_H

#include "engine/work.h"

struct pool_conf {
	int64_t batch_id;   /* 0: any */
	bool once;          /* end when nothing can run any more */
	bool crashed;       /* the engine before this one died by a fault */
	int64_t stretch_ms; /* after which the number of mailboxes at once is judged; 0: the default */
};

/* Holds the engine lock while it runs: ERR_CONFLICT if another engine does. Returns when stopped, or done (once). */
int pool_run(struct store *store, const struct pool_conf *conf, struct stop *stop, struct err *err);

#endif
