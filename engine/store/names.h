/* Names that people give: which are allowed, who has one, and what they may have meant. Private to the store. */
#ifndef NF_ENGINE_STORE_NAMES_H
#define NF_ENGINE_STORE_NAMES_H

#include "engine/store/parts.h"

/* ERR_USAGE for a name that cannot be used. noun: "an endpoint". */
int names_check(const char *noun, const char *name, struct err *err);
/* Always -1: ERR_NOT_FOUND, the hint lists similar names of those that sql gives. */
int names_fail(struct db *db, const char *noun, const char *sql, const char *name, struct err *err);
/* ERR_CONFLICT that names the batches that sql gives for the id; 0 when there are none. */
int names_in_use(struct db *db, const char *noun, const char *sql, int64_t id, struct err *err);

#endif
