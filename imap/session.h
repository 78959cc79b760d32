/* Inside imap/ only: commands in flight on a conn, over libetpan's parser (spec/imap.md, section 2). */
#ifndef NF_IMAP_SESSION_H
#define NF_IMAP_SESSION_H

#include "imap/conn.h"

#include <libetpan/libetpan.h>

enum reply { REPLY_OK, REPLY_NO, REPLY_BAD };

mailimap *session_imap(struct conn *c);
/* Writes "TAG <formatted>\r\n" without waiting; *tag is for session_receive. Nothing is flushed. */
int session_send(struct conn *c, int *tag, struct err *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for a text of n octets. */
int session_send_text(struct conn *c, int *tag, const char *text, size_t n, struct err *err);
/* Raw octets after or between commands (literals); not flushed. */
int session_write(struct conn *c, const void *data, size_t n, struct err *err);
int session_flush(struct conn *c, struct err *err);
/* Waits for the tagged answer of the oldest command in flight. 0: *reply tells; the text of NO and BAD is in
   session_words(). -1: the connection is dead (typed err: LOST, PROTOCOL, STOPPED, THROTTLED after a BYE that says so, ...).
   Flushes what is still buffered. After a write that failed it may still be called for the commands sent before: answers that had
   arrived are returned, then -1. */
int session_receive(struct conn *c, int tag, enum reply *reply, struct err *err);
/* Who reads the lines of an answer that are plain enough to need no parser. */
enum session_take { SESSION_PASS, SESSION_TAKEN };
struct session_lines {
	/* An untagged line, n octets without its end. SESSION_PASS: libetpan is to read it, and all that follows. *literal is 0 and may be set with
	   SESSION_TAKEN: so many octets follow, to be given to octets; the next line is what comes behind them. */
	enum session_take (*line)(void *ctx, const char *line, size_t n, uint64_t *literal);
	bool (*octets)(void *ctx, const char *data, size_t n); /* false gives up: the connection is dead then */
	/* The line that a literal stood in has not ended. When libetpan is to go on with it, taken is put in front: what was there before the literal. */
	bool (*is_open)(void *ctx);
	size_t (*taken)(void *ctx, char *out, size_t size);
	void *ctx;
};
/* session_receive for commands whose untagged answers are for lines alone (NULL: nobody wants them): what is plain never reaches libetpan, and
   its response info may be that of an earlier command. */
int session_receive_plain(
	struct conn *c, int tag, const struct session_lines *lines, enum reply *reply, struct err *err);
/* Waits for a "+" line (a synchronising literal). 0: granted. 1: the tagged answer came instead, *reply tells. */
int session_continuation(struct conn *c, int tag, enum reply *reply, struct err *err);
/* The last answer's text, and its response code's atom ("OVERQUOTA"; "" if none). Borrowed until the next answer. */
const char *session_words(const struct conn *c);
/* Its octets in the clear, with its line end. */
size_t session_answer_octets(const struct conn *c);
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
/* net_expect. */
void session_expect(struct conn *c, uint64_t octets);
/* gate_gives_up: a stop is asked, and so many octets more would take too long at the pace that is set. */
bool session_gives_up(const struct conn *c, uint64_t octets);
/* Marks the connection unusable. */
void session_kill(struct conn *c);

#endif
