/* Which route carried how many messages, for people and for machines. */
#ifndef NF_ENGINE_COMMAND_CARRIED_H
#define NF_ENGINE_COMMAND_CARRIED_H

#include "engine/store/store.h"

#include <jansson.h>

/* Of a user, or with user_id 0 of a batch. *out: [{"route", "copied", "copied_bytes"}], yours. text: "by imap 2, by mime 4"; "" where nothing is to be told
   (all by the route imap, or nothing yet). */
int carried_look(
	struct store *s, int64_t batch_id, int64_t user_id, json_t **out, char *text, size_t size, struct err *err);

#endif
