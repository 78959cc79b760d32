/* What was sent in the last window, so that no window of that length ever holds more than its limit, wherever one lays it.
   A ring of slots: what was booked in a slot counts until the whole slot has left the window (up to 1/254 of the window too
   long, never too short). What is in flight is held: the server may count it at any moment between its start and its answer,
   so it counts from its start until a window after its end. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_WINDOW_LEDGER_H
#define NF_THROTTLE_WINDOW_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_SLOTS 1024
#define LEDGER_NEVER INT64_MAX

struct window_ledger {
	int64_t window_ms, slot_ms;
	int64_t oldest, newest; /* numbers of the slots that are kept; slot k covers [k*slot_ms, (k+1)*slot_ms) */
	int64_t next_ms;        /* before it nothing changes by itself */
	uint64_t sum;           /* of the slots */
	uint64_t held;          /* in flight */
	uint64_t slot[LEDGER_SLOTS];
};

/* l is zero at first, and then not touched as long as nothing is booked: there are many, and few are used. */
void ledger_init(struct window_ledger *l, int64_t now_ms, int64_t window_ms);
/* Another window length. What is known counts as sent just now: late rather than early. */
void ledger_set_window(struct window_ledger *l, int64_t now_ms, int64_t window_ms);
/* Sent in the last window, and in flight. */
uint64_t ledger_used(struct window_ledger *l, int64_t now_ms);
/* What of it will be in use then. */
uint64_t ledger_left_at(struct window_ledger *l, int64_t now_ms, int64_t at_ms);
/* A demand larger than the limit fits when nothing else is there. */
bool ledger_fits(struct window_ledger *l, int64_t now_ms, uint64_t n, uint64_t limit);
/* When it will fit if nothing else comes; LEDGER_NEVER: only after something in flight was settled. */
int64_t ledger_fits_at(struct window_ledger *l, int64_t now_ms, uint64_t n, uint64_t limit);
/* What was sent at a time that is past already. */
void ledger_add(struct window_ledger *l, int64_t at_ms, uint64_t n);
void ledger_hold(struct window_ledger *l, uint64_t n);
/* Ends a hold; real (0: nothing was sent) is booked at now. */
void ledger_settle(struct window_ledger *l, int64_t now_ms, uint64_t held, uint64_t real);

#endif
