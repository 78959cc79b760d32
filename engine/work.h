/* What all jobs of a process share: store, throttle, budgets, tokens, where to spool, the run's stop token. Any thread. */
#ifndef NF_ENGINE_WORK_H
#define NF_ENGINE_WORK_H

#include "engine/base/budget.h"
#include "engine/store/store.h"
#include "upload/token.h"

#include <pthread.h>

#define WORK_TARGETS 64

/* A token is good for one service: IMAP's and Graph's are two, each with its own permissions. */
enum work_audience { WORK_TOKEN_IMAP, WORK_TOKEN_GRAPH, WORK_AUDIENCES };

struct work {
	struct store *store;       /* borrowed */
	struct stop *stop;         /* borrowed: the run's */
	struct throttle *throttle; /* owned */
	struct budget *memory; /* owned; what only looks (verify, assess) uses it directly: it holds nothing for long */
	char spool_dir[MODEL_PATH];
	pthread_mutex_t lock; /* guards what follows */
	struct err fatal;     /* what ends the run; kind NONE: nothing yet */
	struct {
		int64_t target_id;
		enum work_audience audience;
		struct token *token;
	} tokens[WORK_TARGETS * WORK_AUDIENCES];
	size_t n_tokens;
};

/* Octets of message bodies in memory at once; larger messages are in unlinked files. What mailboxes share, and what each has besides: one that its
   limits or a fence hold up keeps its messages, and the others must not have to wait for those. */
#define WORK_MEMORY_BYTES ((uint64_t)4 * 1024 * 1024)
#define WORK_OWN_BYTES ((uint64_t)1024 * 1024)

int work_init(struct work *w, struct store *store, struct stop *stop, struct err *err);
void work_done(struct work *w);
/* Nothing can go on for any mailbox: the state, the vault or the disk is unusable. The first error is kept; the run drains. */
void work_fail(struct work *w, const struct err *why);
/* The one token source of a target and audience, made at first use; *out is NULL for a target that signs in by password. */
int work_token(
	struct work *w, const struct target_row *t, enum work_audience audience, struct token **out, struct err *err);

#endif
