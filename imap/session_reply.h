/* Inside imap/ only: what a server means by its NO, BAD or BYE. One table. Pure. */
#ifndef NF_IMAP_SESSION_REPLY_H
#define NF_IMAP_SESSION_REPLY_H

#include "imap/repair.h"

/* Sets err's kind, hint, retry_after_ms and the server's words; text is "doing: the server refuses" or the like.
   signing_in: what is not recognised is about credentials. Else what is not recognised is ERR_PROTOCOL, which the caller narrows to
   what it was doing (a folder, a message). reads_only: as in struct conn_conf. Returns -1. */
int session_reply_explain(
	const struct repair_status *said, bool signing_in, bool reads_only, const char *doing, struct err *err);
/* The wait that a text states ("Suggested Backoff Time: 299961 milliseconds", "try again in 30 seconds"); -1: none. */
int64_t session_reply_wait_ms(const char *words);

#endif
