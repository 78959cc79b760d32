/* One part of a folder's path made acceptable to a destination. Pure. */
#ifndef NF_IMAP_MAP_PART_H
#define NF_IMAP_MAP_PART_H

#include "imap/map.h"

/* Most octets of a part, in UTF-8 at Exchange (upload/exosim/README.md, name_max), as modified UTF-7 at any other host. */
#define MAP_PART_LONGEST 255

/* part is UTF-8 (invalid octets are replaced), raw what an over-long name's hash is made of, is_top
   whether it stands at the top of the mailbox. *out is yours to free; *changes gets what was done (enum
   map_change). */
int map_part_fix(const char *part, const char *raw, const struct map_rules *rules, bool is_top, char **out,
	unsigned *changes, struct err *err);
/* "name (2)", name cut where the two are too long together. */
int map_part_number(const char *name, unsigned number, const struct map_rules *rules, char **out, struct err *err);

#endif
