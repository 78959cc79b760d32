/* From a host's name to a TCP connection: both can be stopped, both end at their deadline. */
#ifndef NF_IMAP_DIAL_H
#define NF_IMAP_DIAL_H

#include "engine/base/err.h"
#include "engine/base/stop.h"

#include <stdint.h>

struct lookup;

/* deadlines by clock_mono_ms. ERR_DNS, ERR_STOPPED. Resolving blocks, so a helper thread does it and is left behind when nobody
   waits any longer. */
int dial_resolve(
	struct lookup **out, const char *host, unsigned port, struct stop *stop, int64_t deadline, struct err *err);
/* Tries all addresses, the next one when one is silent for a while; the first that answers wins. *fd is non-blocking. */
int dial_connect(const struct lookup *l, struct stop *stop, int64_t deadline, int *fd, char *address, size_t size,
	struct err *err);
void dial_free(struct lookup **l);
/* Waits for events on fd, the stop token (NOW) or the deadline. 0: events. -1: ERR_STOPPED, or ERR_LOST with text "time". */
int dial_wait(int fd, short events, short *happened, struct stop *stop, int64_t deadline, struct err *err);

#endif
