/* What was found at the source before a batch began, what was forecast then, and what the moving really took. Plain rows; nothing else of
   the state depends on them. Any thread. */
#ifndef NF_ENGINE_STORE_ASSESS_H
#define NF_ENGINE_STORE_ASSESS_H

#include "engine/store/store.h"

#define FINDINGS 64 /* most of one mailbox; what is alike is told in one */
#define BIND_TEXT 128

/* PROBLEM: must be mended before the batch starts. LEFT_OUT: something will not arrive. NOTE: to be known. */
enum finding_weight { FINDING_PROBLEM, FINDING_LEFT_OUT, FINDING_NOTE };
const char *finding_weight_name(enum finding_weight w); /* "problem", "left-out", "note" */

struct finding {
	enum finding_weight weight;
	char kind[32]; /* "too-big", "not-mail", ...: fixed words, for machines */
	char text[MODEL_ERROR];
	char remedy[512]; /* what to do; "" */
};

struct assessment { /* of one mailbox */
	int64_t user_id;
	int64_t at;               /* wall; 0: never looked at */
	enum err_kind error_kind; /* ERR_NONE: it was looked at; what follows is whole */
	char error[MODEL_ERROR];  /* with the remedy */
	unsigned folders, folders_moved;
	uint64_t messages, bytes; /* of the folders that are moved, without those marked \Deleted */
	uint64_t largest;         /* octets of the largest message */
	uint64_t deleted, drafts;
	uint64_t too_big, too_big_bytes; /* of messages */
	unsigned problems, left_out, notes;
	/* of the forecast; 0: none, FORECAST_NEVER: not within the windows */
	int64_t begins_at, ends_at, active_s;
	char bind[BIND_TEXT];
	struct finding *findings; /* owned; NULL in lists */
	size_t n_findings;
};
void assessment_done(struct assessment *a);
/* Cut at FINDINGS; counts are kept. */
void assessment_add(struct assessment *a, enum finding_weight w, const char *kind, const char *remedy, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* Replaces what was stored of that mailbox, findings too; its forecast stays. */
int store_assessment_put(struct store *s, const struct assessment *a, struct err *err);
/* One for each user of the batch, in CSV order, at 0 where none is stored; without findings. free() *out. */
int store_assessment_list(struct store *s, int64_t batch_id, struct assessment **out, size_t *n, struct err *err);
int store_findings(struct store *s, int64_t user_id, struct finding **out, size_t *n, struct err *err); /* free() */

struct outlook {    /* of the whole batch */
	int64_t at; /* 0: none */
	int64_t begins_at, ends_at, open_s;
	uint64_t bytes, messages;
	unsigned mailboxes, at_once;
	char bind[BIND_TEXT];
	char *basis;  /* owned: JSON, what it goes by */
	char *nights; /* owned: JSON, the rows */
};
void outlook_done(struct outlook *o);
/* The outlook, and begins_at, ends_at, active_s and bind of each of v that has an ends_at; the others keep what was forecast before. */
int store_outlook_put(struct store *s, int64_t batch_id, const struct outlook *o, const struct assessment *v, size_t n,
	struct err *err);
int store_outlook_get(struct store *s, int64_t batch_id, struct outlook *out, struct err *err);

/* What a mailbox's first pass took. Kept by the leases (store/lease.c); the gap between two of them has a reason. */
struct effort {
	int64_t user_id;
	int64_t begun_at, ended_at; /* 0: not yet; ended: synced for the first time */
	int64_t active_s;           /* with a job at work */
	int64_t fenced_s, deferred_s,
		failed_s;         /* between jobs: a server's fence; a window or budget; other trouble, or stopped */
	uint64_t messages, bytes; /* copied in it */
	unsigned jobs;
};
int store_effort_list(struct store *s, int64_t batch_id, struct effort **out, size_t *n, struct err *err); /* free() */
/* All first passes between the two that are done, in sum: for the pace of others. jobs: mailboxes. */
int store_effort_sum(struct store *s, int64_t endpoint_id, int64_t target_id, struct effort *out, struct err *err);

/* What the scopes below `above` whose path ends in `leaf` have learned in the last week, on average; 0 where nothing is known. */
struct scope_learned;
int store_learned_usual(
	struct store *s, const char *above, const char *leaf, int64_t now, struct scope_learned *out, struct err *err);

#endif
