/* Inside upload/canon only: is a message fit for a MIME parser? Reads it once, in flat memory. Pure but for the spool. */
#ifndef NF_UPLOAD_CANON_SCAN_H
#define NF_UPLOAD_CANON_SCAN_H

#include "engine/base/spool.h"

#include <stdbool.h>

/* *tame false: more boundaries, delimiter lines or header octets than any honest message has: GMime would need minutes or more memory
   than we give. sha256 (may be NULL): of all octets. */
int canon_scan(const struct spool *body, bool *tame, uint8_t sha256[32], struct err *err);

#endif
