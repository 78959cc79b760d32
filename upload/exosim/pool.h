/* Connections to the backend that stay signed in, for Graph's requests: a few for each mailbox. Any thread; one at a time uses each. */
#ifndef NF_EXOSIM_POOL_H
#define NF_EXOSIM_POOL_H

#include "upload/exosim/exosim.h"
#include "upload/exosim/graph_order.h"

struct link {
	struct wire *wire; /* owned */
	char *selected;    /* owned: the backend's name of the folder that is open; NULL: none */
	uint32_t uidvalidity;
	struct order order;  /* of the folder that it listed last */
	unsigned generation; /* of the mailbox's folders, when it was last in use */
	struct link *next;   /* owned by the pool while it is idle */
};

struct pool;

struct pool *pool_new(void);
/* After the last request. */
void pool_free(struct pool **p);
/* One that is idle (best with that folder open; may be NULL), or a new one; the mailbox's own folders are made at its first. */
int pool_take(struct exosim *x, struct mailbox *m, const char *folder, struct link **out, struct err *err);
/* Back into the pool; broken or is_lost: it is closed. */
void pool_give(struct mailbox *m, struct link **l, bool is_lost);

#endif
