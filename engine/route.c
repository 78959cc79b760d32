#include "engine/route.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/job.h"
#include "upload/cloud.h"

#include <inttypes.h>
#include <string.h>

static bool has_settings(const struct job *j, const struct target_ops *ops)
{
	return ops == &target_imap_ops || j->target_login.conf.graph_url;
}

/* May it carry mail? What `target test` saw decides. */
static int is_proved(struct job *j, const struct target_ops *ops, bool *proved, struct err *err)
{
	const struct target_row *t = &j->target_login.row;
	uint64_t most = 0;
	if (store_proof_usable(j->work->store, t->id, ops->name, proved, &most, err))
		return -1;
	uint64_t *cap = &j->target_login.conf.max_message_bytes;
	if (ops == &target_imap_ops && most && (!*cap || most < *cap))
		*cap = most;
	return 0;
}

static int add(struct job *j, const struct target_ops *ops, bool listed, struct err *err)
{
	for (unsigned r = 0; r < j->n_routes; r++)
		if (j->routes[r].ops == ops)
			return 0;
	if (j->n_routes == JOB_ROUTES || !has_settings(j, ops))
		return 0;
	struct job_route *route = &j->routes[j->n_routes];
	route->ops = ops;
	route->listed = listed;
	route->why = ERR_INIT;
	if (!(route->gate = limit_gate(j, ops->name)))
		return err_set(err, ERR_MEMORY, "no memory for the throttle");
	j->n_routes++;
	return 0;
}

int route_plan(struct job *j, struct err *err)
{
	const struct target_row *t = &j->target_login.row;
	char name[16], unproved[64] = "";
	for (size_t i = 0; routes_at(t->routes, i, name, sizeof name); i++) {
		const struct target_ops *ops = target_route(name);
		bool proved;
		if (!ops)
			continue;
		if (is_proved(j, ops, &proved, err))
			return -1;
		if (!proved)
			snprintf(unproved + strlen(unproved), sizeof unproved - strlen(unproved), "%s%s",
				unproved[0] ? ", " : "", name);
		else if (add(j, ops, true, err))
			return -1;
	}
	bool any = j->n_routes > 0;
	/* What an earlier run sent by a route that is no longer allowed is still looked up and finished by it, where that can be. */
	for (const struct target_ops *const *ops = target_routes(); *ops; ops++)
		if (add(j, *ops, false, err))
			return -1;
	if (any)
		return 0;
	err_set(err, ERR_RIGHTS, "target %s: no route may carry mail yet (%s)", t->name,
		unproved[0]    ? unproved
		: t->routes[0] ? t->routes
			       : "none is listed");
	err_hint(err, "nightferry target test %s proves its routes on a pilot mailbox", t->name);
	return -1;
}

unsigned route_named(const struct job *j, const char *name)
{
	for (unsigned r = 0; r < j->n_routes; r++)
		if (!strcmp(j->routes[r].ops->name, name))
			return r;
	return ROUTE_NONE;
}

bool route_carries(struct job *j, unsigned r)
{
	return j->routes[r].listed && !atomic_load(&j->routes[r].lost);
}

unsigned route_lead(struct job *j)
{
	for (unsigned r = 0; r < j->n_routes; r++)
		if (route_carries(j, r))
			return r;
	return ROUTE_NONE;
}

int route_open(struct job *j, unsigned r, struct gate *gate, struct target **out, struct err *err)
{
	if (j->routes[r].ops->open(out, &j->target_login.conf, gate, j->stop, err))
		return err_wrap(err, "target %s", j->target_login.row.name);
	return 0;
}

int route_target(struct job *j, unsigned r, struct err *err)
{
	struct job_route *route = &j->routes[r];
	struct tries tries = {0};
	while (!route->target) {
		if (job_is_over(j))
			return err_set(err, ERR_STOPPED, "stopped");
		if (atomic_load(&route->lost)) {
			pthread_mutex_lock(&j->lock);
			*err = route->why;
			pthread_mutex_unlock(&j->lock);
			return -1;
		}
		*err = ERR_INIT;
		if (!route_open(j, r, route->gate, &route->target, err)) {
			route->reached = true;
			return 0;
		}
		if (!tries_go_on(&tries, err, route->reached ? JOB_TRIES : JOB_FIRST_TRIES) ||
			job_back_off(j, LIVE_TARGET, &tries, err))
			return -1;
	}
	return 0;
}

void route_drop(struct job *j, unsigned r)
{
	if (j->routes[r].target)
		j->routes[r].target->ops->close(&j->routes[r].target);
}

int route_again(struct job *j, unsigned r, struct tries *t, struct err *err)
{
	if (!tries_go_on(t, err, JOB_TRIES))
		return -1;
	route_drop(j, r);
	return job_back_off(j, LIVE_TARGET, t, err);
}

int route_open_all(struct job *j, struct err *err)
{
	for (unsigned r = 0; r < j->n_routes; r++) {
		if (route_carries(j, r) && route_target(j, r, err) && route_leave(j, r, err))
			return -1;
	}
	return 0;
}

void route_close_all(struct job *j)
{
	for (unsigned r = 0; r < j->n_routes; r++) {
		route_drop(j, r);
		gate_free(&j->routes[r].gate);
	}
}

/* --- losing one --- */

bool route_is_to_blame(enum err_kind kind)
{
	switch (kind) {
	case ERR_DNS:
	case ERR_FIREWALL:
	case ERR_TLS:
	case ERR_CERTIFICATE:
	case ERR_CREDENTIALS:
	case ERR_RIGHTS:
	case ERR_LOST:
	case ERR_BUSY:
	case ERR_PROTOCOL:
	case ERR_MAILBOX:
		return true;
	case ERR_NONE:
	case ERR_USAGE:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
	case ERR_BANNED:
	case ERR_THROTTLED:
	case ERR_MESSAGE:
	case ERR_TOO_BIG:
	case ERR_GONE:
	case ERR_FOLDER:
	case ERR_CHANGED:
	case ERR_QUOTA:
	case ERR_DISK:
	case ERR_STORE:
	case ERR_VAULT:
	case ERR_STOPPED:
	case ERR_DEFERRED:
	case ERR_MEMORY:
	case ERR_INTERNAL:
	case ERR_KINDS_END:
		break;
	}
	return false;
}

static void note_loss(struct job *j, unsigned r, const struct err *why)
{
	char line[MODEL_ERROR], text[MODEL_ERROR];
	struct err err = ERR_INIT, suspect = ERR_INIT;
	const char *name = j->routes[r].ops->name;
	err_line(why, line, sizeof line);
	log_err(LOG_WARN, why, "batch %s, mailbox %s: route %s is left for this run", j->batch.name,
		j->user.source_user, name);
	snprintf(text, sizeof text, "the route %s could not be used to the end of a run; another went on: %s", name,
		line);
	if (store_note(j->work->store, j->user.id, "route-lost", text, &err) ||
		store_proof_suspect(j->work->store, j->target_login.row.id, name, line, clock_wall_s(), &suspect))
		log_err(LOG_WARN, err.kind == ERR_NONE ? &suspect : &err, "mailbox %s", j->user.source_user);
}

bool route_lose(struct job *j, unsigned r, const struct err *why)
{
	bool another = false;
	pthread_mutex_lock(&j->lock);
	for (unsigned other = 0; other < j->n_routes; other++)
		another |= other != r && route_carries(j, other);
	bool first = another && !atomic_exchange(&j->routes[r].lost, true);
	if (first)
		j->routes[r].why = *why;
	pthread_mutex_unlock(&j->lock);
	if (first)
		note_loss(j, r, why);
	return another;
}

int route_leave(struct job *j, unsigned r, struct err *err)
{
	struct err why = *err;
	if (!route_is_to_blame(why.kind) || !route_lose(j, r, &why))
		return -1;
	err_clear(err);
	return 0;
}

int route_reach(
	struct job *j, struct route_folder *f, unsigned r, struct folder_ref *ref, enum reach *how, struct err *err)
{
	*how = REACH_NO_ROUTE;
	*ref = (struct folder_ref){0};
	if (r == ROUTE_NONE || atomic_load(&j->routes[r].lost))
		return 0;
	if (route_target(j, r, err))
		return route_leave(j, r, err);
	if (!f->refs[r].path) {
		struct folder_ref found = {0};
		bool there = false;
		if (j->routes[r].ops->find(j->routes[r].target, f->mapping->path, &found, &there, err))
			return -1;
		if (there)
			job_set_ref(j, f, r, &found);
		*how = REACH_NO_FOLDER;
	}
	if (!f->refs[r].path)
		return 0;
	*how = REACH_OK;
	return job_copy_ref(j, f, r, ref, err);
}

/* --- choosing one --- */

/* "imap: a; mime: b" */
static void add_reason(struct err *all, const char *name, const struct err *why)
{
	if (all->kind == ERR_NONE) {
		*all = *why;
		return;
	}
	char before[sizeof all->text];
	snprintf(before, sizeof before, "%s", all->text);
	snprintf(all->text, sizeof all->text, "%.400s; route %s: %.400s", before, name, why->text);
}

unsigned route_choose(struct job *j, struct route_folder *f, const struct mail *m, unsigned tried, struct err *why)
{
	*why = ERR_INIT;
	for (unsigned r = 0; r < j->n_routes; r++) {
		struct err no = ERR_INIT;
		if (!route_carries(j, r) || (tried & 1u << r) || !(atomic_load(&f->marked) & 1u << r))
			continue;
		if (!target_check(j->routes[r].ops, &j->target_login.conf, m, &no))
			return r;
		add_reason(why, j->routes[r].ops->name, &no);
	}
	for (unsigned r = 0; r < j->n_routes && why->kind != ERR_NONE; r++)
		if (j->routes[r].listed && !(tried & 1u << r) && atomic_load(&j->routes[r].lost)) {
			struct err no = ERR_INIT;
			err_set(&no, ERR_RIGHTS, "not usable in this run");
			add_reason(why, j->routes[r].ops->name, &no);
		}
	return ROUTE_NONE;
}

int64_t route_settle_after_ms(const struct job *j, unsigned r)
{
	int64_t own = j->target_login.row.settle_after_ms;
	return own < 0 ? j->routes[r].ops->settle_after_ms : own;
}

/* A route that takes one message a request has as many requests in flight as it has putters. */
unsigned route_putters(const struct job *j, unsigned r)
{
	return j->routes[r].ops->max_batch == 1 ? JOB_UPLOADS : 0;
}

void route_generation(const struct folder_ref *ref, char *out, size_t size)
{
	uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
	if (ref->generation && ref->generation[0]) {
		snprintf(out, size, "%s", ref->generation);
		return;
	}
	for (const char *p = ref->id; p && *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
	snprintf(out, size, "=%016" PRIx64, h);
}
