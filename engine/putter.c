/* A putter owns one open target of one route. It takes runs of messages of one folder that are to go by it, puts them, and records what became of each
   before it takes more. A message whose answer was lost stays intended in the store: doubt.c settles it. One that its route refuses goes back into
   the queue for the next route, with an intent of its own; and so does all that is left for a route that turns out dead. */
#include "engine/job.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

#define RUN_ITEMS 256
#define RUN_BYTES ((uint64_t)2 * 1024 * 1024)
#define SAYS_FULL "Server Unavailable. 15"
#define FULL_ANSWERS 4                 /* in a row, while the session itself is well: the mailbox is full */
#define FULL_RETRY_MS (15 * 60 * 1000) /* it is a guess: looked at again by itself */
#define CULPRITS 3 /* more in a row, and nothing placed between: it is the destination and not the messages */
_Static_assert(sizeof((struct parcel *)0)->key == PRINT_KEY_BYTES, "a parcel carries the key");

struct putter {
	struct job *j;
	unsigned route;
	const struct target_ops *ops;
	struct gate *gate;      /* owned */
	struct target *target;  /* owned; NULL between connections */
	struct put_item *items; /* owned; RUN_ITEMS */
	struct item *records;   /* owned; RUN_ITEMS */
	unsigned failures;      /* connections lost and requests to come again, in a row */
	unsigned full;          /* answers in a row that may mean a full mailbox */
	unsigned culprits;      /* messages set aside in a row because the destination fails with them */
};

void putter_fill_item(
	const struct route_folder *f, const struct mail *m, enum item_state state, const uint8_t *key, struct item *out)
{
	memset(out, 0, sizeof *out);
	out->generation_id = f->generation.id;
	out->uid = m->uid;
	out->state = state;
	out->how = HOW_COPIED;
	out->dest_folder_id = f->dest.id;
	out->size = m->body ? m->print.size : m->announced;
	out->flags_source = m->flags;
	out->received = m->received;
	out->print = m->print;
	out->at = clock_wall_s();
	if (key)
		memcpy(out->key, key, sizeof out->key);
	else if (m->print.message_id) /* else nothing of the header is known */
		print_key(&m->print, out->key);
}

void putter_release(struct job *j, struct parcel **p)
{
	pull_release(j->work->memory, &(*p)->mail);
	free((*p)->reasons);
	free(*p);
	*p = NULL;
}

enum fate { FATE_AGAIN, FATE_SETTLED, FATE_NEXT_ROUTE };

/* Takes out of the run what is settled, and what another route is to carry (into *next_route); what remains is to be put again. */
static struct parcel *keep_unsettled(
	struct putter *p, struct parcel *run, const enum fate *fates, struct parcel **next_route)
{
	struct parcel *rest = NULL, **end = &rest;
	size_t i = 0, done = 0;
	while (run) {
		struct parcel *next = run->next;
		enum fate fate = fates[i++];
		run->next = NULL;
		if (fate == FATE_SETTLED) {
			putter_release(p->j, &run);
			done++;
		} else if (fate == FATE_NEXT_ROUTE) {
			*next_route = run;
			next_route = &run->next;
		} else {
			*end = run;
			end = &run->next;
		}
		run = next;
	}
	parcel_queue_done_with(p->j->queue, done); /* once: it wakes the others */
	return rest;
}

void putter_withdraw(struct job *j, struct parcel **list)
{
	uint32_t uids[RUN_ITEMS];
	while (*list) {
		/* Not sent: the intents are void. A failure to say so only costs a look at the next start. */
		struct route_folder *f = (*list)->folder;
		size_t n = 0;
		while (*list && (*list)->folder == f && n < RUN_ITEMS) {
			struct parcel *p = *list;
			uids[n++] = p->mail->uid;
			*list = p->next;
			putter_release(j, &p);
		}
		struct err err = ERR_INIT;
		if (store_withdraw(j->work->store, j->user.id, j->user.lease_epoch, f->generation.id, uids, n, &err))
			log_err(LOG_WARN, &err, "mailbox %s", j->user.source_user);
	}
}

static void give_up(struct putter *p, struct parcel **run, const struct err *why)
{
	if (why)
		job_fail(p->j, why);
	size_t n = 0;
	for (struct parcel *q = *run; q; q = q->next)
		n++;
	putter_withdraw(p->j, run);
	parcel_queue_done_with(p->j->queue, n);
}

/* Not sent: the intents are void, and the next walk over the folder finds the messages again. */
static void give_back(struct putter *p, struct parcel **list)
{
	size_t n = 0;
	for (struct parcel *q = *list; q; q = q->next) {
		atomic_store(&q->folder->unfinished, true);
		n++;
	}
	putter_withdraw(p->j, list);
	parcel_queue_done_with(p->j->queue, n);
}

/* --- another route ------------------------------------------------------------------------------ */

/* Remembers why this route does not carry the message. */
static void add_reason(struct putter *p, struct parcel *q, const struct err *why)
{
	char line[MODEL_ERROR], all[MODEL_ERROR];
	err_line(why, line, sizeof line);
	snprintf(all, sizeof all, "%.500s%sroute %s: %.450s", q->reasons ? q->reasons : "", q->reasons ? "; " : "",
		p->ops->name, line);
	free(q->reasons);
	q->reasons = strdup(all);
}

/* Gives messages to other routes: intended anew, then queued. None of them lies at the destination: refused, or never sent. *left: those that no
   other route takes. */
static int pass_on(struct putter *p, struct parcel **list, struct parcel **left, struct err *err)
{
	struct job *j = p->j;
	struct parcel *moved = NULL, **end = &moved, **left_end = left;
	size_t n = 0;
	while (*list) {
		struct parcel *q = *list;
		struct err why;
		unsigned r = route_choose(j, q->folder, q->mail, q->refused_by | 1u << p->route, &why);
		*list = q->next;
		q->next = NULL;
		if (r == ROUTE_NONE) {
			if (why.kind != ERR_NONE)
				add_reason(p, q, &why);
			*left_end = q;
			left_end = &q->next;
			continue;
		}
		struct item *rec = &p->records[n++]; /* a run is RUN_ITEMS at most */
		putter_fill_item(q->folder, q->mail, ITEM_INTENDED, q->key, rec);
		snprintf(rec->receipt.route, sizeof rec->receipt.route, "%s", j->routes[r].ops->name);
		q->route = r;
		q->tries = 0;
		*end = q;
		end = &q->next;
	}
	if (n && store_intend(j->work->store, j->user.id, j->user.lease_epoch, p->records, n, err)) {
		*end = *left;
		*left = NULL;
		*list = moved; /* the caller gives all of them up */
		return -1;
	}
	parcel_queue_return(j->queue, &moved);
	return 0;
}

/* The route is dead: what was to go by it goes by the next. 0; -1: it cannot, and the mailbox ends. */
static int leave_route(struct putter *p, struct parcel **run, const struct err *why, struct err *err)
{
	struct parcel *left = NULL;
	if (!route_is_to_blame(why->kind) || !route_lose(p->j, p->route, why)) {
		*err = *why;
		return -1;
	}
	for (struct parcel *q = *run; q; q = q->next)
		add_reason(p, q, why);
	if (pass_on(p, run, &left, err))
		return -1;
	if (!left)
		return 0;
	give_back(p, &left); /* too big for what is left, say: the next walk over the folder decides */
	return 0;
}

/* What the destination's refusal of one item means: 1: set the item aside, 0: put it again, -1: the mailbox ends. Only a message that was put by itself
   can be to blame for a lost connection or a busy server: those beside it were not even looked at. */
static int judge(struct putter *p, struct parcel *q, const struct put_item *it, bool alone)
{
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
		p->failures = 0;
		return 1;
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
	add_reason(p, q, &it->err);
	q->refused_by |= 1u << p->route;
	if (it->err.kind == ERR_TOO_BIG && store_proof_suspect(j->work->store, t->id, p->ops->name,
						   q->reasons ? q->reasons : "", clock_wall_s(), &ignored))
		log_err(LOG_WARN, &ignored, "target %s", t->name);
	if (!atomic_load(&q->folder->dead) && route_choose(j, q->folder, q->mail, q->refused_by, &why) != ROUTE_NONE)
		return 0;
	if (why.kind != ERR_NONE) {
		add_reason(p, q, &why);
		first = false;
	}
	putter_fill_item(q->folder, q->mail, ITEM_REFUSED, q->key, aside);
	aside->error_kind = it->err.kind;
	if (first || !q->reasons)
		err_line(&it->err, aside->error, sizeof aside->error);
	else
		snprintf(aside->error, sizeof aside->error, "%s", q->reasons);
	return 1;
}

struct outcome {
	size_t placed, aside;
	bool remake_folder;
	struct err fatal, busy;
};

static void record(struct putter *p, struct parcel *run, size_t n, enum fate *fates, struct outcome *o)
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
			putter_fill_item(
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
			if (verdict > 0) {
				fates[i] = refuse(p, q, it, &rec) ? FATE_SETTLED : FATE_NEXT_ROUTE;
				if (fates[i] == FATE_SETTLED) {
					*--aside = rec;
					o->aside++;
				}
			} else {
				o->remake_folder |= err_action(it->err.kind) == ACT_SKIP_FOLDER;
				if (o->busy.kind == ERR_NONE && err_action(it->err.kind) == ACT_RETRY)
					o->busy = it->err;
			}
			break;
		}
		}
	}
}

/* Opens the target if need be. 0: ready; 1: try again; -1: the mailbox ends (err). */
static int ensure_target(struct putter *p, struct err *err)
{
	if (p->target)
		return 0;
	if (!route_open(p->j, p->route, p->gate, &p->target, err))
		return 0;
	enum err_action act = err_action(err->kind);
	if ((act != ACT_RETRY && act != ACT_WAIT) || (act == ACT_RETRY && ++p->failures >= JOB_TRIES))
		return -1;
	log_err(LOG_INFO, err, "mailbox %s: the destination will be tried again", p->j->user.address);
	struct err why = *err;
	return job_back_off(p->j, p->failures, &why, err) ? -1 : 1;
}

/* 0: *ref is filled, or the folder cannot be made (its path is NULL); -1: the mailbox ends. */
static int make_again(struct putter *p, struct route_folder *f, struct folder_ref *ref, struct err *err)
{
	for (unsigned tries = 1;; tries++) {
		int rc;
		while ((rc = ensure_target(p, err)) > 0)
			;
		if (rc < 0)
			return -1;
		if (!p->target->ops->folder(p->target, f->mapping->path, ref, err))
			return 0;
		enum err_action act = err_action(err->kind);
		if (act == ACT_SKIP_FOLDER || act == ACT_SKIP_MESSAGE)
			return 0;
		if ((act != ACT_RETRY && act != ACT_WAIT) || tries >= JOB_TRIES)
			return -1;
		p->target->ops->close(&p->target);
		struct err why = *err;
		if (job_back_off(p->j, tries, &why, err))
			return -1;
	}
}

/* What is in it now came in this run: it needs no index. */
static int save_made(struct job *j, struct putter *p, const struct folder_ref *ref, struct err *err)
{
	char generation[sizeof(((struct dest_mark *)0)->generation)];
	struct folder_ref row = *ref;
	struct dest_folder dest = {0};
	bool changed;
	route_generation(ref, generation, sizeof generation);
	row.generation = generation;
	row.existing = 0;
	int rc = store_dest_folder(
		j->work->store, j->user.id, j->user.lease_epoch, p->ops->name, &row, &dest, &changed, err);
	dest_folder_done(&dest);
	return rc;
}

/* The folder went away under us: made again, once; a folder that cannot be made is dead and its messages are set aside. */
static int remake_folder(struct putter *p, struct route_folder *f, struct err *err)
{
	struct folder_ref ref = {0};
	struct job *j = p->j;
	if (make_again(p, f, &ref, err))
		return err_wrap(err, "destination folder %s", f->mapping->path);
	bool made = ref.path != NULL;
	if (made && save_made(j, p, &ref, err)) {
		folder_ref_done(&ref);
		return -1;
	}
	if (made)
		job_set_ref(j, f, p->route, &ref);
	else
		atomic_store(&f->dead, true);
	if (made)
		log_line(LOG_WARN, "mailbox %s: destination folder %s was made again", j->user.address,
			f->mapping->path);
	else
		log_err(LOG_WARN, err, "mailbox %s: destination folder %s is gone and cannot be made", j->user.address,
			f->mapping->path);
	return 0;
}

static size_t load_items(struct putter *p, struct parcel *run, size_t most)
{
	size_t n = 0;
	for (struct parcel *q = run; q && n < most; q = q->next) {
		memset(&p->items[n], 0, sizeof p->items[n]);
		p->items[n].mail = q->mail;
		p->items[n].result = PUT_NOT_SENT;
		p->items[n++].err = ERR_INIT;
	}
	return n;
}

/* Cuts the run after its first n parcels; returns the rest. */
static struct parcel *split(struct parcel *run, size_t n)
{
	while (run && --n)
		run = run->next;
	struct parcel *rest = run ? run->next : NULL;
	if (run)
		run->next = NULL;
	return rest;
}

/* Exchange says the same for a full mailbox and for trouble of its own (spec/exchange-online.md, 2). */
static int say_full(const struct err *why, struct err *err)
{
	err_set(err, ERR_QUOTA,
		"the destination refuses every message while the session itself is well: the mailbox is most probably "
		"full");
	err_server(err, why->server, strlen(why->server));
	err_hint(err,
		"look at its quota; it is tried again in a quarter of an hour, or at once by starting the user again");
	err->retry_after_ms = FULL_RETRY_MS;
	return -1;
}

/* One put of the first items of the run and what follows from it. 0: go on with what *run holds now; -1: over. */
static int put_once(struct putter *p, struct parcel **run, struct err *err)
{
	struct job *j = p->j;
	struct folder_ref ref;
	struct route_folder *f = (*run)->folder;
	enum fate fates[RUN_ITEMS];
	struct parcel *next_route = NULL, *left = NULL;
	struct outcome o = {.fatal = ERR_INIT, .busy = ERR_INIT};
	if (job_copy_ref(j, f, p->route, &ref, err))
		return -1;
	/* After a lost connection one at a time: a message that kills the session is found and takes no other with it. */
	bool careful = p->failures || p->culprits || (*run)->alone;
	size_t most = careful || p->ops->max_batch < 1 ? 1
		      : p->ops->max_batch < RUN_ITEMS  ? p->ops->max_batch
						       : RUN_ITEMS;
	size_t n = load_items(p, *run, most);
	struct parcel *rest = split(*run, n);
	struct err why = ERR_INIT;
	int rc = p->target->ops->put(p->target, &ref, p->items, n, &why);
	atomic_store(&f->put_at_ms, clock_mono_ms());
	record(p, *run, n, fates, &o);
	folder_ref_done(&ref);
	int saved = 0;
	if (o.placed)
		saved = store_placed(j->work->store, j->user.id, j->user.lease_epoch, p->records, o.placed, err);
	if (!saved && o.aside)
		saved = store_set_aside(
			j->work->store, j->user.id, j->user.lease_epoch, p->records + n - o.aside, o.aside, err);
	*run = keep_unsettled(p, *run, fates, &next_route);
	if (!saved && next_route)
		saved = pass_on(p, &next_route, &left, err);
	if (left) /* the route that would have taken it was lost this moment */
		give_back(p, &left);
	if (next_route) { /* given up with the rest */
		struct parcel *last = next_route;
		while (last->next)
			last = last->next;
		last->next = *run;
		*run = next_route;
	}
	struct parcel **end = run;
	while (*end)
		end = &(*end)->next;
	*end = rest;
	if (o.placed)
		p->failures = p->culprits = p->full = 0;
	if (saved)
		return -1;
	if (o.fatal.kind != ERR_NONE) {
		*err = o.fatal;
		return err_wrap(err, "folder %s", f->source->name);
	}
	bool busy =
		!rc && !o.placed && o.busy.kind != ERR_NONE; /* the session is well, the server asks to come again */
	if (rc)
		p->target->ops->close(&p->target);
	if (busy)
		why = o.busy;
	if (busy && strstr(why.server, SAYS_FULL) && ++p->full >= FULL_ANSWERS)
		return say_full(&why, err);
	if (rc || busy) {
		enum err_action act = err_action(why.kind);
		*err = why;
		if (act != ACT_RETRY && act != ACT_WAIT && act != ACT_SKIP_FOLDER && act != ACT_SKIP_MESSAGE)
			return -1;
		if (act != ACT_WAIT && ++p->failures >= JOB_TRIES)
			return err_wrap(err, "target %s", j->target_login.row.name);
		log_err(LOG_INFO, &why, "mailbox %s: the destination will be tried again", j->user.address);
		if (job_back_off(j, p->failures, &why, err))
			return -1;
	}
	return o.remake_folder ? remake_folder(p, f, err) : 0;
}

static void put_run(struct putter *p, struct parcel *run)
{
	struct job *j = p->j;
	struct job_route *route = &j->routes[p->route];
	while (run) {
		struct err err = ERR_INIT;
		if (stop_is_asked(j->stop)) {
			give_up(p, &run, NULL);
			return;
		}
		int rc = -1;
		if (!atomic_load(&route->lost)) {
			rc = ensure_target(p, &err);
			if (rc == 0)
				rc = put_once(p, &run, &err);
		} else {
			pthread_mutex_lock(&j->lock);
			err = route->why;
			pthread_mutex_unlock(&j->lock);
		}
		struct err why = err;
		if (rc < 0 && leave_route(p, &run, &why, &err)) {
			give_up(p, &run, &err);
			return;
		}
	}
}

void *putter_main(void *arg)
{
	const struct putter_thread *t = arg;
	struct job *j = t->job;
	const struct target_ops *ops = j->routes[t->route].ops;
	size_t most = ops->max_batch < RUN_ITEMS ? ops->max_batch : RUN_ITEMS;
	struct putter p = {.j = j,
		.route = t->route,
		.ops = ops,
		.gate = limit_gate(j, ops->name),
		.items = calloc(RUN_ITEMS, sizeof *p.items),
		.records = calloc(RUN_ITEMS, sizeof *p.records)};
	struct err err = ERR_INIT;
	if (!p.gate || !p.items || !p.records) {
		err_set(&err, ERR_MEMORY, "no memory for the upload");
		job_fail(j, &err);
	} else {
		struct parcel *run;
		bool busy = false;
		while ((run = parcel_queue_take(j->queue, p.route, &busy, most ? most : 1, RUN_BYTES)))
			put_run(&p, run);
	}
	if (p.target)
		p.target->ops->close(&p.target);
	gate_free(&p.gate);
	free(p.items);
	free(p.records);
	return NULL;
}
