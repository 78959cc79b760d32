/* The person's verbs, and what each does to a batch and to a user in each state: the one table of verbs and states. Pure. */
#ifndef NF_ENGINE_STORE_VERB_H
#define NF_ENGINE_STORE_VERB_H

#include "engine/store/store.h"

#define VERBS(X) X(START, "start") X(STOP, "stop") X(SYNC, "sync") X(COMPLETE, "complete") X(DELETE, "delete")
enum verb {
#define X(k, n) VERB_##k,
	VERBS(X)
#undef X
		VERBS_END
};
const char *verb_name(enum verb v);
int verb_parse(const char *name); /* -1: no such verb */

struct verb_user { /* what the table needs to know of a user */
	enum user_state state;
	bool held;           /* a job has it now */
	bool synced;         /* a first pass was ended well at some time */
	enum user_want want; /* asked for at present */
	enum user_want pass; /* what the last job was given */
};

enum verb_answer { VERB_REFUSED, VERB_NO_CHANGE, VERB_CHANGED };
struct verb_effect {
	enum verb_answer answer;
	enum user_want want;   /* from now on; VERB_CHANGED only */
	enum user_state state; /* from now on; that of a held user is its job's to change */
	bool afresh;           /* forget error, tries, crashes and the time of the next retry */
	const char *reason;    /* VERB_REFUSED: why, and what to do instead */
};
struct verb_effect verb_on_user(enum verb v, const struct verb_user *u);

/* May the verb be used on a batch in that state at all? NULL: yes; else why not. What it does is then decided user by user. */
const char *verb_refused_by_batch(enum verb v, enum batch_state state);
/* State of a batch of which no user is to do anything any more. */
struct verb_tally {
	unsigned users, synced, completed, failed, stopped;
	bool stopping;
};
enum batch_state verb_batch_end(const struct verb_tally *t);

#endif
