/* Graph's ids of folders and messages: opaque, stable over restarts, in no order. They hold what the backend knows the thing by, masked
   with the mailbox's name, so that no table is needed. Pure. */
#ifndef NF_EXOSIM_GRAPH_ID_H
#define NF_EXOSIM_GRAPH_ID_H

#include <stdbool.h>
#include <stdint.h>

struct graph_id {
	unsigned char guid[16]; /* the folder's, as Dovecot has it; all zero: the root of the mailbox */
	bool is_message;
	bool is_immutable; /* of messages: asked for with Prefer: IdType="ImmutableId" */
	uint32_t uidvalidity, uid;
};

#define GRAPH_ID_TEXT 160 /* room for one in text */
void graph_id_format(char out[GRAPH_ID_TEXT], const char *mailbox, const struct graph_id *id);
/* false: no id of this mailbox. */
bool graph_id_parse(struct graph_id *id, const char *mailbox, const char *text);

/* A directory object's id (a GUID) from an address, the same at all times. */
void graph_id_of_user(char out[40], const char *address);

#endif
