/* What happened within the last so many milliseconds: a sliding window with slots of 10 ms. Pure: time is an argument. */
#ifndef NF_EXOSIM_WINDOW_H
#define NF_EXOSIM_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct window_slot {
	int64_t at_ms;
	uint64_t count, bytes;
};

struct window {
	struct window_slot *slots; /* owned: a ring */
	size_t head, used, room;
	uint64_t count, bytes;           /* in the window now */
	uint64_t peak_count, peak_bytes; /* the most that ever was in it */
	int64_t span_ms;
};

void window_init(struct window *w, int64_t span_ms);
void window_done(struct window *w);
/* Another length: what was counted is kept as far as it lies within. */
void window_set_span(struct window *w, int64_t span_ms);
/* Forgets what has left the window. */
void window_advance(struct window *w, int64_t now_ms);
void window_add(struct window *w, int64_t now_ms, uint64_t bytes);
/* Milliseconds until at most `count` events and `bytes` octets are in the window; 0: now. Advance first. */
int64_t window_wait(const struct window *w, int64_t now_ms, uint64_t count, uint64_t bytes);

#endif
