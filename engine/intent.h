/* What the store is told of a message before it is sent: its item, and that it was not sent after all. Any thread of the job. */
#ifndef NF_ENGINE_INTENT_H
#define NF_ENGINE_INTENT_H

#include "engine/job.h"

/* How an item is put before the store: filled from a mail. The mail's strings are borrowed. key: of the mail; NULL: computed here. */
void intent_fill(const struct route_folder *f, const struct mail *m, enum item_state state, const uint8_t *key,
	struct item *out);
/* Takes the intents of parcels that were never sent back, and frees them. */
void intent_withdraw(struct job *j, struct parcel **list);

#endif
