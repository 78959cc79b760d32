/* A time zone of the system's database, read by ourselves: no TZ variable, no global state, any number at once.
   Pure once loaded; immutable, so any thread. TZif and its footer: RFC 8536. */
#ifndef NF_THROTTLE_ZONE_H
#define NF_THROTTLE_ZONE_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define ZONE_FOLDER "/usr/share/zoneinfo"

struct zone;

/* name as "Asia/Karachi" or "UTC". ERR_USAGE: no such zone, or its file is damaged. */
int zone_load(struct zone **out, const char *name, struct err *err);
/* From the octets of a TZif file. */
int zone_parse(struct zone **out, const void *data, size_t n, struct err *err);
void zone_free(struct zone **z);
/* Seconds east of UTC at that moment. */
int zone_offset(const struct zone *z, int64_t at);
/* Seconds since 1970 as a wall clock there shows them, and back. A wall clock time that comes twice is the first of the two; one
   that is skipped is the moment of the skip. */
int64_t zone_to_local(const struct zone *z, int64_t at);
int64_t zone_to_utc(const struct zone *z, int64_t local);

#endif
