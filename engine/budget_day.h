/* So many bytes a day from a source mailbox or host: booked in the state before they are fetched, by whoever fetches, so that nothing
   that downloads goes past it. Any thread. */
#ifndef NF_ENGINE_BUDGET_DAY_H
#define NF_ENGINE_BUDGET_DAY_H

#include "engine/store/store.h"
#include "imap/pull.h"

#define BUDGET_DAY_CHUNK ((uint64_t)16 * 1024 * 1024) /* booked at once: what a crash at most loses of the day */

struct day_booking {
	int64_t endpoint_id;
	char mailbox[MODEL_TEXT]; /* "": the host as a whole */
	char zone[64];
	bool limited; /* there is a budget */
	uint64_t bytes;
};

/* The rule in force: the endpoint's own, else that of its provider. */
int budget_day_rule(struct store *s, const struct endpoint *e, struct day_rule *out, struct err *err);
/* Books bytes for source_user. ERR_DEFERRED: they are more than is left of today (retry_after_ms: until the new day); the text says which
   budget is spent, and until when. alone: it is one message, which goes on a fresh day even when it is more than a day's budget. */
int budget_day_take(struct store *s, int64_t endpoint_id, const char *source_user, uint64_t bytes, bool alone,
	struct day_booking *out, struct err *err);
/* Books the first *k of v's n messages: as many as go into a chunk and are left of the day, all where there is no budget. ERR_DEFERRED: not even one. */
int budget_day_take_some(struct store *s, int64_t endpoint_id, const char *source_user, const struct pull_meta *v,
	size_t n, size_t *k, struct day_booking *out, struct err *err);
/* What was really fetched; the rest is given back. */
int budget_day_settle(struct store *s, const struct day_booking *b, uint64_t real, struct err *err);

/* pull_list: what it will take is booked before, and settled with what came over the wire. listed: messages of the folder that were listed already. */
int budget_day_list(struct store *s, int64_t endpoint_id, const char *source_user, struct conn *source, struct pull *p,
	uint64_t listed, struct pull_meta *out, size_t cap, size_t *n, struct err *err);

#endif
