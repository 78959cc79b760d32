/* May I do this now, and if not, when? Every request to a server needs a permit from here. Any thread.
   Scopes nest (tenant and app -> target mailbox -> route; source host -> source mailbox); entering a leaf enters all above it.
   A server's limit is a sliding window: its ceiling is a ledger of what was sent in that window and cannot be exceeded; a token
   bucket paces below it; a cap bounds what is in flight; a fence closes the scope for the time the server stated. */
#ifndef NF_THROTTLE_GATE_H
#define NF_THROTTLE_GATE_H

#include "engine/base/err.h"
#include "engine/base/stop.h"

#include <stdbool.h>
#include <stdint.h>

struct throttle; /* all scopes of a process and their lock */
struct scope;    /* one node; owned by the throttle, counted by its users */
struct permit;

/* What a limit is about. */
enum dimension { DIM_REQUESTS, DIM_BYTES, DIM_IN_FLIGHT, DIM_NONE };

struct scope_limits {                          /* 0 = no such limit */
	uint64_t requests, requests_window_ms; /* ledger: at most so many requests started in any window */
	uint64_t bytes, bytes_window_ms;       /* ledger: at most so many bytes in any window */
	double requests_per_s, bytes_per_s;    /* pace, below the ledgers */
	unsigned in_flight;                    /* permits held at once */
};

struct throttle *throttle_new(void);
void throttle_free(struct throttle **t); /* no scope may be in use */

/* Finds or makes the scope of that name below parent (NULL: a root). Limits apply when it is made. NULL: memory is out. */
struct scope *scope_open(struct throttle *t, struct scope *parent, const char *name, const struct scope_limits *limits);
void scope_close(struct scope **s);
/* Takes effect at once, also for those who wait. */
void scope_set_limits(struct scope *s, const struct scope_limits *limits);
/* The share of the rates that a time window leaves (1: all). 0 closes: those who wait go on waiting until it is opened or they stop. */
void scope_set_share(struct scope *s, double share);

/* A thread's way in: a leaf scope and what wakes it. A gate belongs to one thread; a permit may be left by any. */
struct gate;
/* Keeps the scope open until gate_free, which comes before throttle_free. */
struct gate *gate_new(struct scope *leaf, struct stop *stop);
void gate_free(struct gate **g);

struct demand {
	uint64_t
		bytes; /* that will be sent (or fetched); an estimate is corrected at gate_leave; 0: does not wait for bytes */
	unsigned requests; /* usually 1; 0: does not wait for requests (a budget of bytes alone) */
};

/* Blocks without using CPU until all scopes let it in; first come, first served within a leaf, fair between leaves.
   0: *permit is held. -1: ERR_STOPPED (stop at DRAIN), or ERR_DEFERRED when the fence ends later than gate_set_patience allows
   (err->retry_after_ms says how long). */
int gate_enter(struct gate *g, const struct demand *d, struct permit **permit, struct err *err);
/* Never blocks: true and the permit, or false and *wait_ms (INT64_MAX: until something in flight is left). For a thread that holds
   a permit already and would otherwise wait for itself: it reads an answer first, or sends later. */
bool gate_try(struct gate *g, const struct demand *d, struct permit **permit, int64_t *wait_ms);
void gate_set_patience(struct gate *g, int64_t longest_fence_ms); /* default: wait for ever */

/* The line that its requests go over: a leaf of scopes whose bytes_per_s a person set. A permit says that a request may begin; on the line its octets
   flow at that rate, piece by piece, and take turns with those of others. The gate keeps the leaf open. -1: out of descriptors or memory. All that
   follows is for gates without a line, and for NULL, too: nothing is paced then. */
int gate_set_line(struct gate *g, struct scope *leaf);
/* The narrowest rate on the line at this moment, octets a second; 0: none. */
double gate_line_rate(struct gate *g);
/* So many octets are to pass at a time: a tenth of a second's worth, within reason. */
size_t gate_piece(struct gate *g);
/* These octets are to be sent next, or have come: waits for their turn (a few are only counted, and wait with those that follow). After a stop is
   asked it does not wait any more: */
void gate_pace(struct gate *g, uint64_t octets);
/* a stop is asked, and so many octets would take so long at the rate that they are not worth waiting for. */
bool gate_gives_up(struct gate *g, uint64_t octets);
/* How long gate_pace has waited, ever: no part of a server's latency. */
int64_t gate_paced_ms(const struct gate *g);

enum verdict {
	VERDICT_OK,      /* the server took it */
	VERDICT_REFUSED, /* throttled: the hint says which dimension and for how long */
	VERDICT_FAILED,  /* another refusal: says nothing about limits */
	VERDICT_LOST,    /* no answer; three in a row fence the leaf for a second, then longer */
	VERDICT_UNUSED   /* nothing was sent: what was booked is given back */
};

struct throttle_hint {
	enum dimension dimension; /* that was refused; DIM_NONE when the server did not say */
	/* -1: not stated. The scope is fenced for it, an hour at most; but with a dimension not longer than its window (no limit on a
	   window can mean more) until it is refused again after that. */
	int64_t retry_after_ms;
	const char *scope_name; /* which ancestor it is about; NULL: the leaf */
	const char *words;      /* the server's, for the reason shown to people; borrowed */
};

/* Consumes the permit. hint may be NULL. bytes_sent is what really went out and is what is booked. */
void gate_leave(struct permit **permit, enum verdict v, const struct throttle_hint *hint, uint64_t bytes_sent,
	unsigned latency_ms);

/* Closes a scope until now + ms (only ever later). For fences learnt outside a permit. */
void scope_fence(struct scope *s, int64_t ms, const char *reason);

/* What people see. */
struct scope_view {
	bool fenced;
	int64_t fenced_ms; /* still to wait */
	char reason[160];  /* the server's words */
	unsigned in_flight, waiting;
	double bytes_per_s, requests_per_s;                 /* over the last ten seconds */
	double allowed_bytes_per_s, allowed_requests_per_s; /* 0 = unlimited */
	enum dimension binding; /* what the first waiter waits for; DIM_NONE: nothing, or the fence */
	char binding_scope[64]; /* and in which scope; "": nothing waits */
	/* About the first waiter, for telling why it is slow: */
	int64_t binding_wait_ms; /* until it is looked at again; -1: until something in flight ends or a window opens */
	int64_t binding_fenced_ms;  /* > 0: that scope, which may be one above, is fenced so much longer, */
	char binding_reason[160];   /* for this reason, in the server's words */
	bool binding_closed;        /* a time window is closed (share 0) */
	bool binding_own_rate;      /* the rate that the person set, not a limit of the server's */
	bool binding_learned;       /* a limit that was learned from refusals or latency, not the published one */
	bool learned;               /* a limit below the published one was found */
	unsigned allowed_in_flight; /* 0 = unlimited */
	uint64_t refused;           /* requests in it and below that were throttled, ever */
};
void scope_look(struct scope *s, struct scope_view *out);

/* What was learned about a server, as plain values for the store. 0: nothing was learned about that. */
struct scope_learned {
	double requests, bytes; /* in a window */
	unsigned in_flight;
};
void scope_get_learned(struct scope *s, struct scope_learned *out);
/* Takes it as a start; the older it is the less it counts, and after a week it does not. */
void scope_set_learned(struct scope *s, const struct scope_learned *l, int64_t age_s);

#endif
