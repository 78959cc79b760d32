/* Graph's limits of an application in a mailbox (limit.h), with what is counted of them. Any thread. */
#ifndef NF_EXOSIM_GRAPH_LIMIT_H
#define NF_EXOSIM_GRAPH_LIMIT_H

#include "upload/exosim/world.h"

/* A request of so many octets of body begins. LIMIT_NONE: graph_limit_end must follow. Else *retry_after_ms as limit_begin. */
enum limit_kind graph_limit_begin(struct mailbox *m, const struct app *app, struct profile *p, int64_t now_ms,
	uint64_t bytes, int64_t *retry_after_ms);
/* Octets that were not announced. */
void graph_limit_use(struct mailbox *m, const struct app *app, int64_t now_ms, uint64_t bytes);
void graph_limit_end(struct mailbox *m, const struct app *app);
/* The client was told to wait. */
void graph_limit_fence(struct mailbox *m, const struct app *app, int64_t until_ms);

#endif
