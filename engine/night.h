/* When a batch may run: its windows as a schedule, and the words about the next opening, in the batch's own time and in UTC. Pure, but for
   reading the zone. Any thread. */
#ifndef NF_ENGINE_NIGHT_H
#define NF_ENGINE_NIGHT_H

#include "engine/store/model.h"
#include "throttle/schedule.h"

/* *out NULL: always open. ERR_USAGE names what is wrong. */
int night_schedule(const struct night *n, struct schedule **out, struct err *err);

struct night_now {
	double share;    /* of the rate; 0: closed */
	int64_t open_at; /* 0: it is open; else the next opening; INT64_MAX: it does not open again */
	bool over;       /* the deadline has passed */
};
void night_look(const struct night *n, const struct schedule *s, int64_t at, struct night_now *out);
/* When one that is open closes; INT64_MAX: it does not. */
int64_t night_closes_at(const struct schedule *s, int64_t at);

#define NIGHT_MOMENT 96
/* "2026-11-29 20:00 Asia/Karachi (15:00Z)", with the UTC date where it is another; with no zone "2026-11-29T15:00:00Z". */
const char *night_moment(const struct schedule *s, const char *zone, int64_t at, char *out, size_t size);
/* Why a closed batch waits, and for what: "deferred until …: outside of its windows". */
void night_reason(const struct night *n, const struct schedule *s, const struct night_now *now, struct err *out);

#endif
