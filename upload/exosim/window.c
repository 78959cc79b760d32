#include "upload/exosim/window.h"

#include <assert.h>

#define SLOT_MS 10

void window_init(struct window *w, int64_t span_ms)
{
	*w = (struct window){.span_ms = span_ms};
}

void window_done(struct window *w)
{
	free(w->slots);
	w->slots = NULL;
}

void window_set_span(struct window *w, int64_t span_ms)
{
	w->span_ms = span_ms;
}

static const struct window_slot *slot_at(const struct window *w, size_t i)
{
	return &w->slots[(w->head + i) % w->room];
}

void window_advance(struct window *w, int64_t now_ms)
{
	while (w->used && slot_at(w, 0)->at_ms + w->span_ms <= now_ms) {
		w->count -= slot_at(w, 0)->count;
		w->bytes -= slot_at(w, 0)->bytes;
		w->head = (w->head + 1) % w->room;
		w->used--;
	}
}

/* The ring grows with the slots in use: span/10 ms at most. */
static void grow(struct window *w)
{
	size_t room = w->room ? w->room * 2 : 64;
	struct window_slot *slots = malloc(room * sizeof(*slots));

	assert(slots);
	for (size_t i = 0; i < w->used; i++)
		slots[i] = *slot_at(w, i);
	free(w->slots);
	w->slots = slots;
	w->room = room;
	w->head = 0;
}

void window_add(struct window *w, int64_t now_ms, uint64_t bytes)
{
	struct window_slot *last;

	window_advance(w, now_ms);
	last = w->used ? &w->slots[(w->head + w->used - 1) % w->room] : NULL;
	if (!last || now_ms - last->at_ms >= SLOT_MS) {
		if (w->used == w->room)
			grow(w);
		last = &w->slots[(w->head + w->used++) % w->room];
		*last = (struct window_slot){.at_ms = now_ms};
	}
	last->count++;
	last->bytes += bytes;
	w->count++;
	w->bytes += bytes;
	if (w->count > w->peak_count)
		w->peak_count = w->count;
	if (w->bytes > w->peak_bytes)
		w->peak_bytes = w->bytes;
}

int64_t window_wait(const struct window *w, int64_t now_ms, uint64_t count, uint64_t bytes)
{
	uint64_t c = w->count, b = w->bytes;
	int64_t wait = 0;

	for (size_t i = 0; i < w->used && (c > count || b > bytes); i++) {
		c -= slot_at(w, i)->count;
		b -= slot_at(w, i)->bytes;
		wait = slot_at(w, i)->at_ms + w->span_ms - now_ms;
	}
	return wait > 0 ? wait : 0;
}
