/* Inside engine/store only: what the first pass of a mailbox takes, told by its leases. */
#ifndef NF_ENGINE_STORE_EFFORT_H
#define NF_ENGINE_STORE_EFFORT_H

#include "engine/store/parts.h"

/* A lease begins, ends (with that error; synced: the pass was ended well), or was left by an engine that died. After the first pass nothing
   is counted any more. Steps of a transaction. */
int effort_begin(struct db *db, int64_t user_id, int64_t now, struct err *err);
int effort_end(struct db *db, int64_t user_id, int64_t now, enum err_kind why, bool synced, struct err *err);
/* The engine died while the lease was held, nobody knows when: what was being done since it began counts as trouble. */
int effort_lost(struct db *db, int64_t user_id, struct err *err);

#endif
