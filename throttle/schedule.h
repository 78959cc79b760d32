/* When work may go on, and at which share of the rate. Pure: a moment (UTC seconds) in, a share out; whatever the clock does, the
   answer depends on that moment alone. Immutable once made, so any thread.

   A window: "[DAYS] [HH:MM-HH:MM] [N%]"    "Mon-Fri 20:00-06:00"  "Sat,Sun"  "daily 08:00-18:00 25%"
   DAYS: Mon..Sun, commas, ranges (Fri-Mon goes over Sunday), daily; without DAYS: daily. Without hours: the whole day.
   An end that is not after the start is on the next day. A window belongs to the day that it starts on.
   A blackout: "2026-12-25" or "2026-12-24..2026-12-26": no window starts on these days; what started on the evening before still
   ends when it would. Where windows overlap the larger share counts. Without any window everything but the blackouts is open. */
#ifndef NF_THROTTLE_SCHEDULE_H
#define NF_THROTTLE_SCHEDULE_H

#include "engine/base/err.h"
#include "throttle/zone.h"

#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX
#define SCHEDULE_WINDOWS 64 /* most windows */
#define SCHEDULE_BLACKOUTS 256

struct schedule;

struct schedule_text { /* borrowed for the call */
	const char *const *windows;
	size_t n_windows;
	const char *const *blackouts;
	size_t n_blackouts;
	const char *zone;    /* needed with a window or a blackout; else NULL: UTC */
	int64_t start_after; /* closed before; INT64_MIN: no such bound */
	int64_t until;       /* closed for ever from then on; SCHEDULE_NEVER: no such bound */
};
#define SCHEDULE_TEXT_INIT ((struct schedule_text){.start_after = INT64_MIN, .until = SCHEDULE_NEVER})

/* ERR_USAGE names the word that is wrong. */
int schedule_parse(struct schedule **out, const struct schedule_text *text, struct err *err);
void schedule_free(struct schedule **s);
/* 0: closed; 1: all of the rate. */
double schedule_is_open(const struct schedule *s, int64_t at);
/* The first moment after `at` with another share; SCHEDULE_NEVER: none within two years. */
int64_t schedule_next_change(const struct schedule *s, int64_t at);
/* `at` itself when it is open then, else the next opening, or SCHEDULE_NEVER. */
int64_t schedule_next_opening(const struct schedule *s, int64_t at);
/* Borrowed; for showing times there. */
const struct zone *schedule_zone(const struct schedule *s);
/* A moment given by a person: "2026-11-23T20:00[:00]Z", or in the zone "2026-11-23 20:00", "2026-11-23". zone NULL: only with Z. */
int schedule_parse_moment(const char *text, const struct zone *zone, int64_t *at, struct err *err);

#endif
