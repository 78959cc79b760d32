/* Which folders of a mailbox a batch moves: those that are mail and that its patterns let in; one that is no mail by its name alone, where a
   pattern of --include names it. Pure. */
#ifndef NF_ENGINE_WANTED_H
#define NF_ENGINE_WANTED_H

#include "engine/store/model.h"
#include "imap/map.h"

bool wanted_folder(const struct batch *b, const struct folder *f, const struct mapping *m);
/* The same of one that is mail: the patterns alone. */
bool wanted_by_patterns(const struct batch *b, const struct folder *f, const struct mapping *m);

/* A pattern of --include or --exclude that matches no folder which could hold messages: a slip of the pen, or this mailbox has none such. */
struct unmatched {
	bool excludes;
	char text[MODEL_ERROR]; /* for people; with the folders whose names look like it */
	size_t at;              /* where to go on; 0 at first */
};
/* The next one; false: there is none. m: a mapping for each folder of l. */
bool wanted_unmatched(
	const struct batch *b, const struct folder_list *l, const struct mapping *m, struct unmatched *next);

#endif
