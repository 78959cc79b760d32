#include "engine/store/verb.h"

#include <string.h>

static const char *const names[] = {
#define X(k, n) n,
	VERBS(X)
#undef X
};

const char *verb_name(enum verb v)
{
	return (unsigned)v < VERBS_END ? names[v] : "?";
}

int verb_parse(const char *name)
{
	for (int v = 0; v < VERBS_END; v++) {
		if (strcmp(names[v], name) == 0)
			return v;
	}
	return -1;
}

/* What a verb does to a user:
   BEGIN   queued for what it was at last, else for its first pass      NOW    waits for a retry: at once instead
   DRAIN   the job ends in good order                                   LEAVE  out of the queue
   AGAIN   an incremental pass; only after a first one                  FINISH the last pass, then Completed; only after a first one
   KEEP    nothing: it is so already, or would change nothing           OVER   refused: completed
   DROP    allowed                                                      BUSY   refused: stop it first */
enum cell { KEEP, BEGIN, NOW, DRAIN, LEAVE, AGAIN, FINISH, OVER, DROP, BUSY };

#define STATES_END (USER_FAILED + 1)
/* clang-format off */
static const unsigned char user_table[STATES_END][VERBS_END] = {
	/*                                start  stop   sync   complete delete */
	[USER_QUEUED] =                  {NOW,   LEAVE, KEEP,  FINISH,  BUSY},
	[USER_VALIDATING] =              {BEGIN, DRAIN, KEEP,  FINISH,  BUSY},
	[USER_SYNCING] =                 {BEGIN, DRAIN, KEEP,  FINISH,  BUSY},
	[USER_SYNCED] =                  {KEEP,  KEEP,  AGAIN, FINISH,  DROP},
	[USER_INCREMENTAL_SYNCING] =     {BEGIN, DRAIN, KEEP,  FINISH,  BUSY},
	[USER_COMPLETING] =              {BEGIN, DRAIN, KEEP,  KEEP,    BUSY},
	[USER_COMPLETED] =               {KEEP,  KEEP,  OVER,  KEEP,    DROP},
	[USER_COMPLETED_WITH_WARNINGS] = {KEEP,  KEEP,  OVER,  KEEP,    DROP},
	[USER_STOPPED] =                 {BEGIN, KEEP,  AGAIN, FINISH,  DROP},
	[USER_FAILED] =                  {BEGIN, LEAVE, AGAIN, FINISH,  DROP},
};
/* clang-format on */

static struct verb_effect refuse(const char *reason)
{
	return (struct verb_effect){.answer = VERB_REFUSED, .reason = reason};
}

static struct verb_effect change(const struct verb_user *u, enum user_want want)
{
	struct verb_effect e = {.answer = VERB_CHANGED, .want = want, .afresh = true};
	e.state = u->held ? u->state : want == WANT_NOTHING ? USER_STOPPED : USER_QUEUED;
	if (u->want == want && !u->held && want != WANT_NOTHING && u->state == USER_QUEUED)
		e.answer = VERB_NO_CHANGE; /* a pass that waits for its retry stays so */
	if (u->held && u->want == want)
		e.answer = VERB_NO_CHANGE;
	return e;
}

/* What a stopped or failed user goes on with. */
static enum user_want next_want(const struct verb_user *u)
{
	if (!u->synced)
		return WANT_SYNC;
	return u->pass == WANT_COMPLETE ? WANT_COMPLETE : WANT_INCREMENTAL;
}

struct verb_effect verb_on_user(enum verb v, const struct verb_user *u)
{
	struct verb_effect none = {.answer = VERB_NO_CHANGE, .want = u->want, .state = u->state}, e = none;
	if ((unsigned)u->state >= STATES_END || (unsigned)v >= VERBS_END)
		return refuse("no such state");
	switch ((enum cell)user_table[u->state][v]) {
	case KEEP:
		return none;
	case BEGIN: /* a job that is being drained goes on; one that was not asked to end does anyway */
		return u->held && u->want != WANT_NOTHING ? none : change(u, next_want(u));
	case NOW:
		e.answer = VERB_CHANGED;
		e.afresh = true;
		return e;
	case DRAIN:
	case LEAVE:
		if (u->want == WANT_NOTHING)
			return none;
		e = change(u, WANT_NOTHING);
		e.afresh = false; /* stopping does not hide why it failed */
		if (u->state == USER_FAILED)
			e.state = USER_FAILED;
		return e;
	case AGAIN:
		return u->synced ? change(u, WANT_INCREMENTAL)
				 : refuse("it has not been synced yet: `start` makes the first pass");
	case FINISH:
		return u->synced ? change(u, WANT_COMPLETE)
				 : refuse("it has not been synced yet: `complete` comes after the first pass");
	case OVER:
		return refuse("it is completed, and its password was dropped");
	case DROP:
		if (u->held || u->want != WANT_NOTHING)
			return refuse("it is being moved: `stop` it first");
		e.answer = VERB_CHANGED;
		return e;
	case BUSY:
		return refuse("it is being moved: `stop` it first");
	}
	return none;
}

const char *verb_refused_by_batch(enum verb v, enum batch_state state)
{
	bool runs = state == BATCH_SYNCING || state == BATCH_STOPPING || state == BATCH_COMPLETING;
	switch (v) {
	case VERB_SYNC:
	case VERB_COMPLETE:
		return state == BATCH_CREATED ? "it was not started yet: `start` makes the first pass" : NULL;
	case VERB_DELETE:
		return runs ? "it runs: `stop` it first" : NULL;
	case VERB_START:
	case VERB_STOP:
	case VERBS_END:
		break;
	}
	return NULL;
}

enum batch_state verb_batch_end(const struct verb_tally *t)
{
	if (t->stopping && t->stopped > 0)
		return BATCH_STOPPED;
	if (t->failed > 0)
		return t->failed == t->users ? BATCH_FAILED : BATCH_SYNCED_WITH_ERRORS;
	if (t->stopped > 0)
		return BATCH_STOPPED;
	return t->completed == t->users && t->users > 0 ? BATCH_COMPLETED : BATCH_SYNCED;
}
