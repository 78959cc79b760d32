/* The messages of a folder by the time of their receipt, as an unfiltered list shows them. A link keeps that of the folder that it listed
   last, so that the pages of a list do not read all of the folder each. The link's thread. */
#ifndef NF_EXOSIM_GRAPH_ORDER_H
#define NF_EXOSIM_GRAPH_ORDER_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct order_row {
	int64_t received_s;
	uint32_t uid;
};
struct order {
	char *folder; /* owned: the backend's name; NULL: of none */
	uint32_t uidvalidity, uid_max;
	struct order_row *v; /* owned: oldest first, then by UID */
	size_t n, room;
};
struct link;

void order_done(struct order *o);
/* Brings the link's order up to date with the folder that is open; a folder that did not change costs two short commands. */
int order_refresh(struct link *l, struct err *err);

#endif
