/* A batch has one endpoint and a mailbox one batch, so the batch's own rate is a scope between the two, and one tree does for all. */
#include "engine/limit.h"

#include "engine/job.h"

#include <string.h>

/* Exchange counts its APIs apart: what Graph is asked for does not weigh on IMAP. */
enum api { API_IMAP, API_GRAPH };
_Static_assert(API_GRAPH + 1 == LIMIT_APIS, "one scope each");
static const char *const api_names[LIMIT_APIS] = {"imap", "graph"};

static enum api api_of(const char *route)
{
	return strcmp(route, "imap") == 0 ? API_IMAP : API_GRAPH;
}

const char *limit_target_scope(const char *target_name, char *out, size_t size)
{
	snprintf(out, size, "target %s", target_name);
	return out;
}

static struct scope *open_scope(
	struct job *j, struct scope *parent, const char *what, const char *of, double bytes_per_s)
{
	char name[MODEL_TEXT + 32];
	struct scope_limits limits = {.bytes_per_s = bytes_per_s};
	snprintf(name, sizeof name, "%s %s", what, of);
	return scope_open(j->work->throttle, parent, name, &limits);
}

static bool open_source(struct job *j, struct limits *l)
{
	const struct endpoint *e = &j->source_login.endpoint;
	if (!(l->source = open_scope(j, NULL, "source", e->name, (double)e->bytes_per_s)) ||
		!(l->batch = open_scope(j, l->source, "batch", j->batch.name, (double)j->batch.bytes_per_s)) ||
		!(l->source_mailbox = open_scope(j, l->batch, "mailbox", j->user.source_user, 0)))
		return false;
	return (l->source_gate = gate_new(l->source_mailbox, j->stop)) != NULL;
}

static bool open_target(struct job *j, struct limits *l)
{
	const struct target_row *t = &j->target_login.row;
	char name[LIMIT_SCOPE];
	struct scope_limits limits = {.bytes_per_s = (double)t->bytes_per_s}, none = {0};
	l->target = scope_open(j->work->throttle, NULL, limit_target_scope(t->name, name, sizeof name), &limits);
	if (!l->target || !(l->target_mailbox = open_scope(j, l->target, "mailbox", j->user.address, 0)))
		return false;
	for (enum api a = 0; a < LIMIT_APIS; a++)
		if (!(l->api[a] = scope_open(j->work->throttle, l->target_mailbox, api_names[a], &none)))
			return false;
	return true;
}

int limit_open(struct job *j, struct err *err)
{
	struct limits *l = &j->limits;
	if (!open_source(j, l) || !open_target(j, l))
		return err_set(err, ERR_MEMORY, "no memory for the throttle");
	return 0;
}

void limit_close(struct job *j)
{
	struct limits *l = &j->limits;
	gate_free(&l->source_gate);
	scope_close(&l->source_mailbox);
	scope_close(&l->batch);
	scope_close(&l->source);
	for (enum api a = 0; a < LIMIT_APIS; a++)
		scope_close(&l->api[a]);
	scope_close(&l->target_mailbox);
	scope_close(&l->target);
}

struct gate *limit_gate(struct job *j, const char *route)
{
	return gate_new(j->limits.api[api_of(route)], j->stop);
}
