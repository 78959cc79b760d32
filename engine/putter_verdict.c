/* What the destination's answers mean for each message of a run: placed, in doubt, to be put again, for another route, or set aside. */
#include "engine/putter_parts.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <string.h>

#define CULPRITS 3 /* more in a row, and nothing placed between: it is the destination and not the messages */
/* What the destination's refusal of one item means: 2: it is left for the next round, 1: set the item aside, 0: put it again, -1: the mailbox ends. Only a message that was put by itself
   can be to blame for a lost connection or a busy server: those beside it were not even looked at. */
static int judge(struct putter *p, struct parcel *q, const struct put_item *it, bool alone)
{
	if (err_asks_to_wait(&it->err))
		return 0;
	switch (err_action(it->err.kind)) {
	case ACT_SKIP_MESSAGE:
		return 1;
	case ACT_SKIP_FOLDER:
		return atomic_load(&q->folder->dead) || ++q->remakes >= 2 ? 1 : 0; /* the folder is made again once */
	case ACT_WAIT:
		return 0;
	case ACT_RETRY:
		if (!alone || strstr(it->err.server, SAYS_FULL) || ++q->tries < JOB_ITEM_TRIES ||
			p->culprits >= CULPRITS)
			return 0;
		p->culprits++;
		p->tries = (struct tries){0};
		return job_spares(p->j, q->folder, LIVE_TARGET, &it->err) ? 2 : 1;
	case ACT_DRAIN:
	case ACT_STOP_MAILBOX:
	case ACT_PAUSE_ENDPOINT:
	case ACT_STOP_RUN:
		return -1;
	}
	return -1;
}

/* It is not carried by this route. 0: another one may; 1: it is set aside, with every reason. */
static int refuse(struct putter *p, struct parcel *q, const struct put_item *it, struct item *aside)
{
	struct job *j = p->j;
	struct err why = ERR_INIT, ignored = ERR_INIT;
	const struct target_row *t = &j->target_login.row;
	bool first = !q->reasons;
	putter_add_reason(p, q, &it->err);
	q->refused_by |= 1u << p->route;
	if (it->err.kind == ERR_TOO_BIG && store_proof_suspect(j->work->store, t->id, p->ops->name,
						   q->reasons ? q->reasons : "", clock_wall_s(), &ignored))
		log_err(LOG_WARN, &ignored, "target %s", t->name);
	if (!atomic_load(&q->folder->dead) && route_choose(j, q->folder, q->mail, q->refused_by, &why) != ROUTE_NONE)
		return 0;
	if (why.kind != ERR_NONE) {
		putter_add_reason(p, q, &why);
		first = false;
	}
	intent_fill(q->folder, q->mail, ITEM_REFUSED, q->key, aside);
	aside->error_kind = it->err.kind;
	if (first || !q->reasons)
		err_line(&it->err, aside->error, sizeof aside->error);
	else
		snprintf(aside->error, sizeof aside->error, "%s", q->reasons);
	return 1;
}

void putter_judge(struct putter *p, struct parcel *run, size_t n, enum fate *fates, struct verdicts *o)
{
	struct item *placed = p->records, *aside = p->records + n; /* the two meet: together they are n at most */
	size_t i = 0;
	for (struct parcel *q = run; q; q = q->next, i++) {
		struct put_item *it = &p->items[i];
		struct item rec;
		fates[i] = FATE_AGAIN;
		/* Accepted, but nobody knows as what: without an id it could be taken for another one that is in doubt, or be doubled by it. It is
		   looked up with those. */
		bool nameless = it->result == PUT_PLACED && !it->receipt.id[0];
		switch (nameless ? PUT_IN_DOUBT : it->result) {
		case PUT_PLACED:
			/* With an error: it is there, but its \\Flagged is not; another walk over the folder finishes it. */
			intent_fill(
				q->folder, q->mail, it->err.kind == ERR_NONE ? ITEM_DONE : ITEM_PLACED, q->key, &rec);
			if (it->err.kind != ERR_NONE)
				atomic_store(&q->folder->unfinished, true);
			rec.receipt = it->receipt;
			rec.epoch = p->j->user.lease_epoch;
			rec.flags_written = q->mail->flags & p->ops->flags_kept;
			placed[o->placed++] = rec;
			fates[i] = FATE_SETTLED;
			break;
		case PUT_IN_DOUBT:
			atomic_store(&q->folder->doubt_at_ms, clock_mono_ms());
			atomic_fetch_add(&q->folder->doubts, 1);
			fates[i] = FATE_SETTLED; /* as far as this putter goes */
			break;
		case PUT_NOT_SENT:
		case PUT_REFUSED: {
			int verdict = it->err.kind == ERR_NONE ? 0 : judge(p, q, it, n == 1);
			if (verdict < 0 && o->fatal.kind == ERR_NONE)
				o->fatal = it->err;
			if (verdict == 2) {
				fates[i] = FATE_NEXT_ROUND;
			} else if (verdict > 0) {
				fates[i] = refuse(p, q, it, &rec) ? FATE_SETTLED : FATE_NEXT_ROUTE;
				if (fates[i] == FATE_SETTLED) {
					*--aside = rec;
					o->aside++;
				}
			} else {
				o->remake_folder |= err_action(it->err.kind) == ACT_SKIP_FOLDER;
				if (o->busy.kind == ERR_NONE &&
					(err_action(it->err.kind) == ACT_RETRY || it->err.kind == ERR_THROTTLED))
					o->busy = it->err;
			}
			break;
		}
		}
	}
}
