/* A tree of stop tokens (run, batch, mailbox): an atomic level and eventfds, so that poll, gate, queue and curl wake at once.
   DRAIN: start nothing new, finish what is in flight. NOW: drop everything. A request reaches all children. Any thread;
   stop_request is safe from a thread that waits for signals, not from a signal handler. */
#ifndef NF_BASE_STOP_H
#define NF_BASE_STOP_H

#include <stdbool.h>

enum stop_level { STOP_NONE, STOP_DRAIN, STOP_NOW };

struct stop;

/* parent may be NULL. A parent outlives its children. NULL only when descriptors are out. */
struct stop *stop_new(struct stop *parent);
void stop_request(struct stop *s, enum stop_level level); /* only ever raises the level */
enum stop_level stop_level(const struct stop *s);
static inline bool stop_is_asked(const struct stop *s)
{
	return s && stop_level(s) != STOP_NONE;
}
static inline bool stop_is_now(const struct stop *s)
{
	return s && stop_level(s) == STOP_NOW;
}
/* Readable from that level on (STOP_DRAIN or STOP_NOW); for poll. -1 for a NULL token. */
int stop_fd(const struct stop *s, enum stop_level level);
void stop_free(struct stop **s);

#endif
