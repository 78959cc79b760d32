/* The scopes of one job in the throttle's tree, and its ways in:
     target -> target mailbox -> one for each API a route uses
     source -> source mailbox
   A route that learns of a limit of the whole target names its scope in the hint: limit_target_scope. These are about what servers take; the rates
   that people set are about octets on the line (engine/line). Job thread, but what says otherwise. */
#ifndef NF_ENGINE_LIMIT_H
#define NF_ENGINE_LIMIT_H

#include "engine/line.h"
#include "engine/store/model.h"

struct job;
struct store;

#define LIMIT_APIS 2    /* IMAP and Graph: what servers count apart */
#define LIMIT_SCOPE 128 /* octets of a scope's name */
#define LIMIT_SCOPES (4 + LIMIT_APIS)
#define LIMIT_PATH (MODEL_TEXT * 3)

/* What a person set, and what a window leaves of it. */
struct limit_rates {
	double endpoint, batch, target; /* octets a second; 0: no limit */
	double share;
	double ceiling; /* times the limits that are published */
};

struct limits {                                /* a part of struct job */
	struct scope *source, *source_mailbox; /* owned, as those below */
	struct scope *target, *target_mailbox, *api[LIMIT_APIS];
	struct lines lines;
	struct gate *source_gate; /* owned; the job thread's */
	struct limit_rates rates;
	/* of each scope, the roots first: its path, and what was known of it when that was last saved */
	char path[LIMIT_SCOPES][LIMIT_PATH];
	struct scope_learned known[LIMIT_SCOPES];
};

/* Needs the job's rows: batch, endpoint, target, user. What was learned on earlier nights is taken up. */
int limit_open(struct job *j, struct err *err);
void limit_close(struct job *j); /* all gates are freed before */
/* Into the target mailbox by that route; the caller's, for one thread. NULL: memory is out. Any thread. */
struct gate *limit_gate(struct job *j, const char *route);
/* The name of the target's own scope, for hints about the tenant and application as a whole. */
const char *limit_target_scope(const char *target_name, char *out, size_t size);
/* The source was not as it should be: a refusal to come again closes the host for all its mailboxes; every one counts for the ramp. */
void limit_source_refused(struct job *j, const struct err *why);

/* --- any thread, while nobody closes them --- */
/* How far the person lets it go, as times what is published. */
double limit_ceiling(const struct target_row *t);
void limit_set(struct limits *l, const struct limit_rates *rates);
/* What is new since it was last saved, into the store. */
struct limit_lesson {
	char path[LIMIT_PATH];
	struct scope_learned learned;
};
size_t limit_lessons(struct limits *l, struct limit_lesson out[LIMIT_SCOPES]);

struct limit_view {
	bool source_waiting, target_waiting;
	char source_scope[64], target_scope[64]; /* where its first waiter waits */
	enum dimension target_wait;
	bool target_learned;
	struct line_view line;
	unsigned source_in_flight;
	int64_t fenced_ms; /* 0: not fenced */
	bool fence_is_own; /* it is about this mailbox, not a whole host or tenant */
	char fence_scope[64], fence_words[160];
	double bytes_per_s, limit_per_s; /* what goes into the mailbox; what the narrowest scope allows, 0: no limit */
	double requests_per_s, requests_limit_per_s;
	unsigned in_flight, in_flight_limit; /* of one API */
	unsigned target_in_flight;           /* of all */
	uint64_t refused;                    /* requests that were throttled */
};
void limit_look(struct limits *l, struct limit_view *out);

#endif
