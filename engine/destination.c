#include "engine/destination.h"

#include "engine/login.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int add_route(
	struct destination *d, struct store *s, const struct target_ops *ops, bool unproven_too, struct err *err)
{
	bool proven = false;
	uint64_t most = 0;
	if (d->n == DESTINATION_ROUTES)
		return 0;
	if (store_proof_usable(s, d->row->id, ops->name, &proven, &most, err))
		return -1;
	if (!proven && !unproven_too)
		return 0;
	d->ops[d->n++] = ops;
	uint64_t *cap = ops == &target_imap_ops ? &d->conf.max_message_bytes : &d->conf.max_mime_bytes;
	if (most && (!*cap || most < *cap))
		*cap = most;
	return 0;
}

int destination_plan(struct destination *out, struct store *s, const struct target_row *t, struct err *err)
{
	*out = (struct destination){
		.row = t, .conf = {.kind = t->kind, .name = t->name, .max_message_bytes = t->max_message_bytes}};
	char name[16];
	for (int unproven_too = 0; unproven_too < 2 && !out->n; unproven_too++) {
		for (size_t i = 0; routes_at(t->routes, i, name, sizeof name); i++) {
			const struct target_ops *ops = target_route(name);
			if (ops && add_route(out, s, ops, unproven_too, err))
				return -1;
		}
	}
	if (!out->n)
		out->ops[out->n++] = &target_imap_ops;
	return 0;
}

bool destination_refuses(const struct destination *d, uint32_t uid, uint64_t size, struct err *why)
{
	struct mail mail = {.uid = uid, .announced = size, .print = {.size = size}};
	for (size_t i = 0; i < d->n; i++)
		if (!target_check(d->ops[i], &d->conf, &mail, why))
			return false;
	return true;
}

void destination_names_init(struct destination_names *n, const struct destination *d)
{
	*n = (struct destination_names){.rules = {.exchange = d->conf.kind == TARGET_EXCHANGE, .separator = '/'}};
}

void destination_names_done(struct destination_names *n)
{
	for (size_t i = 0; i <= ROLE_ARCHIVE; i++)
		free(n->own[i]);
	*n = (struct destination_names){0};
}

/* Asks an open target, and keeps what else would end with it. */
static int ask_names(struct target *t, struct destination_names *n, struct err *err)
{
	struct map_rules theirs = n->rules;
	if (t->ops->rules(t, &theirs, err))
		return -1;
	const char *const *well_known = theirs.well_known;
	theirs.well_known = n->rules.well_known;
	n->rules = theirs;
	if (!well_known || well_known == n->rules.well_known)
		return 0;
	for (size_t i = 0; i <= ROLE_ARCHIVE; i++) {
		free(n->own[i]);
		n->own[i] = well_known[i] ? strdup(well_known[i]) : NULL;
		if (well_known[i] && !n->own[i])
			return err_set(err, ERR_MEMORY, "no memory for a folder's name");
	}
	n->rules.well_known = (const char *const *)n->own;
	return 0;
}

/* Another name than the mailbox's own is well, but should be known. */
static void look_at_name(struct target *t, const struct user *u, struct assessment *out)
{
	char id[MODEL_TEXT], own[MODEL_TEXT];
	struct err ignored = ERR_INIT; /* it could be opened: nothing more is needed */
	if (t->ops->identify && !t->ops->identify(t, id, sizeof id, own, sizeof own, &ignored) && own[0] &&
		strcasecmp(own, u->address) != 0)
		assessment_add(
			out, FINDING_NOTE, "alias", "", "%s is another address of the mailbox %s", u->address, own);
}

static int look_by(const struct destination *d, const struct target_ops *ops, struct target_login *login,
	struct work *w, struct stop *stop, const struct user *u, struct destination_names *names,
	struct assessment *out, struct err *err)
{
	struct scope_limits none = {0};
	struct target *target = NULL;
	struct scope *scope = scope_open(w->throttle, NULL, "assess", &none);
	struct gate *gate = scope ? gate_new(scope, stop) : NULL;
	int rc = gate ? ops->open(&target, &login->conf, gate, stop, err)
		      : err_set(err, ERR_MEMORY, "no memory for the throttle");
	if (!rc)
		rc = ask_names(target, names, err);
	if (!rc)
		look_at_name(target, u, out);
	if (target)
		target->ops->close(&target);
	gate_free(&gate);
	scope_close(&scope);
	return rc ? err_wrap(err, "target %s, route %s", d->row->name, ops->name) : 0;
}

static void tell(const struct err *why, enum finding_weight weight, struct assessment *out)
{
	char line[MODEL_ERROR];
	struct err plain = *why;
	plain.hint[0] = 0;
	assessment_add(out, weight, "destination", why->hint, "the destination cannot be used: %s",
		err_line(&plain, line, sizeof line));
}

int destination_look(const struct destination *d, struct work *w, struct stop *stop, const struct user *u,
	struct destination_names *names, struct assessment *out, struct err *err)
{
	struct target_login login;
	struct err failed[DESTINATION_ROUTES];
	size_t n_failed = 0;
	bool reached = false;
	int rc = target_login_init(&login, w, d->row, u->address, u->id, err);
	/* As the run asks its routes (engine/plan.c): the first has the last word. */
	for (size_t i = d->n; i-- > 0 && !rc && !stop_is_asked(stop);) {
		struct err why = ERR_INIT;
		if (look_by(d, d->ops[i], &login, w, stop, u, names, out, &why))
			failed[n_failed++] = why;
		else
			reached = true;
	}
	target_login_done(&login);
	if (rc)
		tell(err, FINDING_PROBLEM, out);
	/* One that works is enough; what goes by the others only, is told by their size. */
	for (size_t i = n_failed; i-- > 0;)
		if (failed[i].kind != ERR_STOPPED)
			tell(&failed[i], reached ? FINDING_NOTE : FINDING_PROBLEM, out);
	if (!rc && !reached) {
		if (n_failed)
			*err = failed[n_failed - 1];
		else
			err_set(err, ERR_STOPPED, "stopped");
		return -1;
	}
	return rc;
}
