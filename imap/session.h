/* Inside imap/ only: commands in flight on a conn, over libetpan's parser (spec/imap.md, section 2). */
#ifndef NF_IMAP_SESSION_H
#define NF_IMAP_SESSION_H

#include "imap/conn.h"

#include <libetpan/libetpan.h>

enum reply { REPLY_OK, REPLY_NO, REPLY_BAD };

mailimap *session_imap(struct conn *c);
/* Writes "TAG <formatted>\r\n" without waiting; *tag is for session_receive. Nothing is flushed. */
int session_send(struct conn *c, int *tag, struct err *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Raw octets after or between commands (literals); not flushed. */
int session_write(struct conn *c, const void *data, size_t n, struct err *err);
int session_flush(struct conn *c, struct err *err);
/* Waits for the tagged answer of the oldest command in flight. 0: *reply tells; the text of NO and BAD is in
   session_words(). -1: the connection is dead (typed err: LOST, PROTOCOL, STOPPED, THROTTLED after a BYE that says so, ...).
   Flushes what is still buffered. After a write that failed it may still be called for the commands sent before: answers that had
   arrived are returned, then -1. */
int session_receive(struct conn *c, int tag, enum reply *reply, struct err *err);
/* Waits for a "+" line (a synchronising literal). 0: granted. 1: the tagged answer came instead, *reply tells. */
int session_continuation(struct conn *c, int tag, enum reply *reply, struct err *err);
/* The last answer's text, and its response code's atom ("OVERQUOTA"; "" if none). Borrowed until the next answer. */
const char *session_words(const struct conn *c);
const char *session_code(const struct conn *c);
/* Turns NO or BAD into a typed err by code and text (one table in session_reply.c): always returns -1. What is not recognised is
   ERR_PROTOCOL; the caller narrows it to what it was doing (a folder, a message). */
int session_refusal(struct conn *c, enum reply reply, struct err *err, const char *doing);
/* UIDPLUS: true if the last OK carried [APPENDUID v u]. */
bool session_appenduid(const struct conn *c, uint32_t *uidvalidity, uint32_t *uid);
/* mailbox as an IMAP quoted string or literal-safe form; ERR_FOLDER for CR, LF, NUL. */
int session_quote(const char *raw_name, char *out, size_t size, struct err *err);
/* Drops the counts that a server tells for each APPEND into the selected folder (filter_mute_counts). */
void session_mute_counts(struct conn *c, bool on);
/* Marks the connection unusable. */
void session_kill(struct conn *c);

#endif
