/* What this route does not carry goes back into the queue for another, with an intent of its own. */
#include "engine/putter_parts.h"

#include <stdlib.h>
#include <string.h>

void putter_add_reason(struct putter *p, struct parcel *q, const struct err *why)
{
	char line[MODEL_ERROR], all[MODEL_ERROR];
	err_line(why, line, sizeof line);
	snprintf(all, sizeof all, "%.500s%sroute %s: %.450s", q->reasons ? q->reasons : "", q->reasons ? "; " : "",
		p->ops->name, line);
	free(q->reasons);
	q->reasons = strdup(all);
}

void putter_give_back(struct putter *p, struct parcel **list)
{
	size_t n = 0;
	for (struct parcel *q = *list; q; q = q->next) {
		atomic_store(&q->folder->unfinished, true);
		n++;
	}
	intent_withdraw(p->j, list);
	parcel_queue_done_with(p->j->queue, n);
}

int putter_pass_on(struct putter *p, struct parcel **list, struct parcel **left, struct err *err)
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
				putter_add_reason(p, q, &why);
			*left_end = q;
			left_end = &q->next;
			continue;
		}
		struct item *rec = &p->records[n++]; /* a run is RUN_ITEMS at most */
		intent_fill(q->folder, q->mail, ITEM_INTENDED, q->key, rec);
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

int putter_leave_route(struct putter *p, struct parcel **run, const struct err *why, struct err *err)
{
	struct parcel *left = NULL;
	if (!route_is_to_blame(why->kind) || !route_lose(p->j, p->route, why)) {
		*err = *why;
		return -1;
	}
	for (struct parcel *q = *run; q; q = q->next)
		putter_add_reason(p, q, why);
	if (putter_pass_on(p, run, &left, err))
		return -1;
	if (!left)
		return 0;
	putter_give_back(p, &left); /* too big for what is left, say: the next walk over the folder decides */
	return 0;
}
