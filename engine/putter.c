/* A putter owns one open target of one route. It takes runs of messages of one folder that are to go by it, puts them, and records what became of each
   before it takes more. A message whose answer was lost stays intended in the store: doubt.c settles it. One that its route refuses goes back into
   the queue for the next route, with an intent of its own; and so does all that is left for a route that turns out dead. */
#include "engine/putter_parts.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"

#include <stdlib.h>
#include <string.h>

#define THROTTLED_MS 1000              /* a session is not kept for longer */
#define FULL_ANSWERS 4                 /* in a row, while the session itself is well: the mailbox is full */
#define FULL_RETRY_MS (15 * 60 * 1000) /* it is a guess: looked at again by itself */

/* Takes out of the run what is settled, what another route is to carry (into *next_route) and what has time (into *next_round); what remains is to
   be put again. */
static struct parcel *keep_unsettled(struct putter *p, struct parcel *run, const enum fate *fates,
	struct parcel **next_route, struct parcel **next_round)
{
	struct parcel *rest = NULL, **end = &rest;
	size_t i = 0, done = 0;
	while (run) {
		struct parcel *next = run->next;
		enum fate fate = fates[i++];
		run->next = NULL;
		if (fate == FATE_SETTLED) {
			parcel_release(p->j->memory, &run);
			done++;
		} else if (fate == FATE_NEXT_ROUTE) {
			*next_route = run;
			next_route = &run->next;
		} else if (fate == FATE_NEXT_ROUND) {
			*next_round = run;
			next_round = &run->next;
		} else {
			*end = run;
			end = &run->next;
		}
		run = next;
	}
	parcel_queue_done_with(p->j->queue, done); /* once: it wakes the others */
	return rest;
}

static void give_up(struct putter *p, struct parcel **run, const struct err *why)
{
	if (why)
		job_fail(p->j, why);
	size_t n = 0;
	for (struct parcel *q = *run; q; q = q->next)
		n++;
	intent_withdraw(p->j, run);
	parcel_queue_done_with(p->j->queue, n);
}

/* Opens the target if need be. 0: ready; 1: try again; -1: the mailbox ends (err). */
static int ensure_target(struct putter *p, struct err *err)
{
	if (p->target)
		return 0;
	if (!route_open(p->j, p->route, p->gate, &p->target, err))
		return 0;
	if (!tries_go_on(&p->tries, err, JOB_TRIES))
		return -1;
	log_err(LOG_INFO, err, "mailbox %s: the destination will be tried again", p->j->user.address);
	return job_back_off(p->j, LIVE_TARGET, &p->tries, err) ? -1 : 1;
}

/* 0: *ref is filled, or the folder cannot be made (its path is NULL); -1: the mailbox ends. */
static int make_again(struct putter *p, struct route_folder *f, struct folder_ref *ref, struct err *err)
{
	struct tries tries = {0};
	for (;;) {
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
		if (!tries_go_on(&tries, err, JOB_TRIES))
			return -1;
		p->target->ops->close(&p->target);
		if (job_back_off(p->j, LIVE_TARGET, &tries, err))
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
		return err_wrap_name(err, "destination folder", f->mapping->path);
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
	struct parcel *next_route = NULL, *next_round = NULL, *left = NULL;
	struct verdicts o = {.fatal = ERR_INIT, .busy = ERR_INIT};
	if (job_copy_ref(j, f, p->route, &ref, err))
		return -1;
	/* After a lost connection one at a time: a message that kills the session is found and takes no other with it. */
	bool careful = p->tries.failures || p->culprits || (*run)->alone;
	size_t most = careful || p->ops->max_batch < 1 ? 1
		      : p->ops->max_batch < RUN_ITEMS  ? p->ops->max_batch
						       : RUN_ITEMS;
	size_t n = load_items(p, *run, most);
	struct parcel *rest = split(*run, n);
	struct err why = ERR_INIT;
	int rc = p->target->ops->put(p->target, &ref, p->items, n, &why);
	atomic_store(&f->put_at_ms, clock_mono_ms());
	putter_judge(p, *run, n, fates, &o);
	folder_ref_done(&ref);
	int saved = 0;
	if (o.placed)
		saved = store_placed(j->work->store, j->user.id, j->user.lease_epoch, p->records, o.placed, err);
	if (!saved && o.aside)
		saved = store_set_aside(
			j->work->store, j->user.id, j->user.lease_epoch, p->records + n - o.aside, o.aside, err);
	*run = keep_unsettled(p, *run, fates, &next_route, &next_round);
	if (next_round)
		putter_give_back(p, &next_round);
	if (!saved && next_route)
		saved = putter_pass_on(p, &next_route, &left, err);
	if (left) /* the route that would have taken it was lost this moment */
		putter_give_back(p, &left);
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
	if (o.placed) {
		p->tries = (struct tries){0};
		p->culprits = p->full = 0;
	}
	if (saved)
		return -1;
	if (o.fatal.kind != ERR_NONE) {
		*err = o.fatal;
		return err_wrap_name(err, "folder", f->source->name);
	}
	/* Who shuts us out for long hangs up as well: found when the time is over, that would read as a connection lost. */
	bool throttled = !rc && o.busy.kind != ERR_NONE && o.busy.retry_after_ms >= THROTTLED_MS;
	/* The session is well, the server asks to come again. Short throttles, and those without a time, are waited for at the gate. */
	bool busy = throttled || (!rc && !o.placed && o.busy.kind != ERR_NONE && o.busy.kind != ERR_THROTTLED);
	if (busy)
		why = o.busy;
	if (rc || throttled)
		p->target->ops->close(&p->target);
	if (busy && strstr(why.server, SAYS_FULL) && ++p->full >= FULL_ANSWERS)
		return say_full(&why, err);
	if (rc || busy) {
		enum err_action act = err_action(why.kind);
		*err = why;
		if (act != ACT_RETRY && act != ACT_WAIT && act != ACT_SKIP_FOLDER && act != ACT_SKIP_MESSAGE)
			return -1;
		tries_note(&p->tries, err);
		if (p->tries.failures >= JOB_TRIES)
			return err_wrap(err, "target %s", j->target_login.row.name);
		log_err(LOG_INFO, err, "mailbox %s: the destination will be tried again", j->user.address);
		if (job_back_off(j, LIVE_TARGET, &p->tries, err))
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
		if (rc < 0 && putter_leave_route(p, &run, &why, &err)) {
			give_up(p, &run, &err);
			return;
		}
	}
}

/* What is put at once is saved at once, and a stop waits for it: where the rate is low it is less. */
static uint64_t run_bytes(struct putter *p)
{
	double most = gate_line_rate(p->gate) * RUN_SECONDS;
	return most > 0 && most < (double)RUN_BYTES ? (uint64_t)most : RUN_BYTES;
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
		while ((run = parcel_queue_take(j->queue, p.route, &busy, most ? most : 1, run_bytes(&p))))
			put_run(&p, run);
	}
	if (p.target)
		p.target->ops->close(&p.target);
	gate_free(&p.gate);
	free(p.items);
	free(p.records);
	return NULL;
}
