/* Which folders of a mailbox a batch moves: those that are mail and that its patterns let in; one that is no mail by its name alone, where a
   pattern of --include names it. Pure. */
#ifndef NF_ENGINE_WANTED_H
#define NF_ENGINE_WANTED_H

#include "engine/store/model.h"
#include "imap/map.h"

bool wanted_folder(const struct batch *b, const struct folder *f, const struct mapping *m);
/* The same of one that is mail: the patterns alone. */
bool wanted_by_patterns(const struct batch *b, const struct folder *f, const struct mapping *m);

#endif
