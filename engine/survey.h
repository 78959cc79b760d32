/* One source mailbox looked at before it is moved: folders by LIST and EXAMINE, messages by their metadata, range by range. No body is
   fetched and nothing is changed. It survives a lost connection: what was counted is not counted again. One thread. */
#ifndef NF_ENGINE_SURVEY_H
#define NF_ENGINE_SURVEY_H

#include "engine/destination.h"
#include "imap/map.h"

struct survey;

struct survey_conf { /* all borrowed; outlives the survey */
	struct work *work;
	struct stop *stop;
	const struct batch *batch;
	const struct endpoint *endpoint;
	const struct destination *destination;
	struct map_rules rules; /* how the destination wants names */
};

/* NULL: no memory. */
struct survey *survey_new(const struct survey_conf *conf, const struct user *u);
void survey_free(struct survey **s);
/* Goes on with what is not counted yet. 0: all is. -1: this connection is of no use any more, the mailbox is none, or its daily budget is spent
   (ERR_DEFERRED): what is read is booked. */
int survey_go_on(struct survey *s, struct conn *source, struct err *err);
/* Counts and findings; out's user_id, at and what was found before stay. */
void survey_finish(struct survey *s, struct assessment *out);

#endif
