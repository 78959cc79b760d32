/* The scopes of one job in the throttle's tree, and its ways in:
     target -> target mailbox -> one for each API a route uses
     source -> batch -> source mailbox
   A route that learns of a limit of the whole target names its scope in the hint: limit_target_scope. Job thread, but limit_gate: any. */
#ifndef NF_ENGINE_LIMIT_H
#define NF_ENGINE_LIMIT_H

#include "engine/store/model.h"
#include "throttle/gate.h"

struct job;

#define LIMIT_APIS 2    /* IMAP and Graph: what servers count apart */
#define LIMIT_SCOPE 128 /* octets of a scope's name */

struct limits {                                        /* a part of struct job */
	struct scope *source, *batch, *source_mailbox; /* owned */
	struct scope *target, *target_mailbox;         /* owned */
	struct scope *api[LIMIT_APIS];                 /* owned */
	struct gate *source_gate;                      /* owned; the job thread's */
};

/* Needs the job's rows: batch, endpoint, target, user. */
int limit_open(struct job *j, struct err *err);
void limit_close(struct job *j); /* all gates are freed before */
/* Into the target mailbox by that route; the caller's, for one thread. NULL: memory is out. */
struct gate *limit_gate(struct job *j, const char *route);
/* The name of the target's own scope, for hints about the tenant and application as a whole. */
const char *limit_target_scope(const char *target_name, char *out, size_t size);

#endif
