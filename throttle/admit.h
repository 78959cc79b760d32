/* Who may go next: the tree of scopes and the queues at its leaves. Pure: time is an argument, nobody is woken here. gate.c puts
   a lock and sleeping threads around it, the simulation drives it with a clock of its own.
   First come, first served within a leaf. Between leaves the one that had least goes first (start-time fair queueing, Goyal 1996).
   Whoever is blocked at a shared scope keeps those behind it from overtaking there, so that a large demand is not starved by small
   ones; who is blocked by its own mailbox keeps nobody. */
#ifndef NF_THROTTLE_ADMIT_H
#define NF_THROTTLE_ADMIT_H

#include "throttle/meter.h"

#define ADMIT_DEPTH 8 /* most scopes on a path */

struct scope {
	struct admit *home;   /* borrowed: the owner */
	struct scope *parent; /* counted; NULL: a root */
	char *name;           /* owned */
	unsigned users;       /* opens and children */
	unsigned depth;       /* 1: a root */
	struct scope *next;   /* all scopes */
	struct meter meter;
	unsigned waiting;  /* waiters in it and below */
	unsigned blocked;  /* leaves whose first waiter is blocked here */
	uint64_t changes;  /* grows when something may have become free */
	uint64_t reserved; /* the pass in which somebody before was blocked here */
	/* as a leaf */
	struct waiter *head, *tail;
	struct scope *queue_prev, *queue_next; /* leaves that wait, by turn */
	double turn;                           /* what it had; of the first waiter while it is queued */
	struct scope *blocked_on;
	uint64_t blocked_seen;
	int64_t retry_ms;
	enum dimension why;
};

struct permit {
	struct scope *leaf; /* borrowed: open while the permit is held */
	struct demand demand;
	int64_t started_ms;
	struct meter_booking at[ADMIT_DEPTH]; /* by depth, the leaf first */
};

struct waiter { /* the owner's, while it is queued */
	struct demand demand;
	struct permit *permit; /* in: where to; filled when granted */
	bool granted;
	int64_t armed_ms;    /* when its thread wakes by itself; the owner's to set */
	bool to_wake;        /* in the wake list */
	struct waiter *next; /* in its leaf's queue */
	struct waiter *next_wake;
};

struct admit {
	struct scope *scopes;
	struct scope *first, *last;      /* leaves that wait */
	struct waiter *wake, *wake_last; /* granted, or to be armed anew: admit_take_wake */
	double turn;
	uint64_t pass;
	int64_t now_ms; /* the latest that was given: time never goes back here */
};

void admit_init(struct admit *a);
void admit_done(struct admit *a); /* frees all scopes */
/* NULL: memory is out, or the tree is too deep. */
struct scope *admit_open(
	struct admit *a, int64_t now_ms, struct scope *parent, const char *name, const struct scope_limits *limits);
void admit_hold(struct scope *s); /* one more user: admit_close ends it */
void admit_close(struct admit *a, int64_t now_ms, struct scope **s);
/* Enters at once or queues w (granted says which). permit stays where it is until admit_leave. */
void admit_enter(struct admit *a, int64_t now_ms, struct scope *leaf, struct waiter *w, struct permit *p);
/* Enters at once or not at all; *until_ms then says when to ask again (LEDGER_NEVER: after something was left). */
bool admit_try(struct admit *a, int64_t now_ms, struct scope *leaf, const struct demand *d, struct permit *p,
	int64_t *until_ms);
/* Takes w out of its queue; the others are looked at anew. */
void admit_cancel(struct admit *a, int64_t now_ms, struct scope *leaf, struct waiter *w);
void admit_leave(struct admit *a, int64_t now_ms, struct permit *p, enum verdict v, const struct throttle_hint *hint,
	uint64_t bytes_sent, unsigned latency_ms);
/* Grants what can be granted now. To be called when a waiter's time has come; the other calls do it themselves. */
void admit_run(struct admit *a, int64_t now_ms);
/* Something of the scope was changed from outside. */
void admit_touch(struct admit *a, int64_t now_ms, struct scope *s);
/* Those whose threads must be woken: granted, or first in their queue with an earlier time than they are armed for. */
struct waiter *admit_take_wake(struct admit *a);
/* When admit_run should be called for this leaf; LEDGER_NEVER: nothing to wait for but others. */
int64_t admit_retry_at(const struct scope *leaf);
/* The end of the latest fence on the way; 0: none. */
int64_t admit_fence_end(const struct scope *leaf, int64_t now_ms);
/* The first waiter in or below s; NULL: none waits. */
const struct scope *admit_first_waiting(const struct admit *a, const struct scope *s);

#endif
