/* How long is the server's window really? Published lengths may be wrong, and a limit that is learned for a window of the wrong length is
   wrong as soon as what is sent is uneven. So it is remembered for some windows' lengths what was sent, and at each refusal each of some
   likely lengths is asked whether it explains it: in a window of the true length nothing was ever taken that is more than what was
   refused then and now. The length that explains most is the one, the published one in doubt. Pure; its owner's thread or lock. */
#ifndef NF_THROTTLE_WINDOW_GUESS_H
#define NF_THROTTLE_WINDOW_GUESS_H

#include "throttle/window_ledger.h"

#define GUESSES 9

struct window_guess {
	struct window_ledger history; /* of the longest */
	int64_t published_ms;
	unsigned best; /* number of the length that is believed */
	int64_t best_ms;
	int64_t open_ms;         /* since when something may be taken again */
	double refused[GUESSES]; /* in use at the last refusal, itself included; 0: none yet */
	double taken[GUESSES];   /* most that was taken before and does not contradict it */
	double wrong[GUESSES];   /* how much it did not explain, of late */
};

/* g is zero at first. */
void guess_init(struct window_guess *g, int64_t now_ms, int64_t published_ms);
/* What was really sent, from started_ms on. */
void guess_book(struct window_guess *g, int64_t now_ms, int64_t started_ms, uint64_t n);
/* What was begun in the last window of the length that is believed, at least, without what is in flight. */
double guess_since(struct window_guess *g, int64_t now_ms);
/* A request of n was refused, and was booked; the next may go at fence_end_ms; held is in flight. True: another length is believed than
   before. */
bool guess_refused(
	struct window_guess *g, int64_t now_ms, int64_t started_ms, int64_t fence_end_ms, double held, double n);
/* Makes l the ledger of the length that is believed; held is in flight. */
void guess_fill(const struct window_guess *g, int64_t now_ms, uint64_t held, struct window_ledger *l);

#endif
