/* Inside imap/ only: the folder that is open on a connection. */
#ifndef NF_IMAP_BOX_H
#define NF_IMAP_BOX_H

#include "imap/session.h"

struct box_state {
	uint32_t uidvalidity, uidnext, exists; /* 0: not told */
};

enum box_mode { BOX_EXAMINE, BOX_SELECT };

/* Opens raw_name (as the server writes it). ERR_FOLDER when the server refuses it, or does not tell UIDVALIDITY or how many
   messages there are: without them no message could be told from another. */
int box_open(struct conn *c, enum box_mode mode, const char *raw_name, struct box_state *out, struct err *err);
/* How many messages there are by the latest news. */
uint32_t box_exists(struct conn *c);
/* A refusal that is about this folder and not about the connection or its load becomes ERR_FOLDER. Returns -1. */
int box_refusal(struct conn *c, enum reply reply, struct err *err, const char *doing);

#endif
