/* What holds a mailbox back at this moment, and what to do about it. Pure. */
#ifndef NF_ENGINE_BINDING_H
#define NF_ENGINE_BINDING_H

#include "engine/limit.h"
#include "engine/parcel.h"
#include "engine/store/model.h"

#define BINDING_QUIET_MS 20000 /* beside the ten seconds over which rates are measured */

struct finding {
	enum binding binding;
	char detail[sizeof((struct live_row *)0)->detail];
};

enum binding binding_say(struct finding *f, enum binding b, const char *text);
/* share: of the rate, as the window leaves it. uploads: as they are set. quiet_ms: how long the destination gave nothing although something waits for it. */
void binding_find(const struct limit_view *v, const struct parcel_view *q, double share, unsigned uploads,
	int64_t quiet_ms, struct finding *f);

#endif
