/* Faults: what goes wrong, where, how often. Deterministic: each has its own generator from the run's seed. Any thread. */
#ifndef NF_EXOSIM_FAULT_H
#define NF_EXOSIM_FAULT_H

#include "engine/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum fault_hook {
	HOOK_CONNECT, /* a connection was accepted */
	HOOK_TOKEN,   /* a request at the token endpoint */
	HOOK_SIGNIN,  /* a sign-in whose token was good */
	HOOK_COMMAND, /* a command was read (of APPEND: up to its literal) */
	HOOK_LITERAL, /* APPEND's message is about to be read */
	HOOK_COMMIT,  /* APPEND's message was read and is good */
	HOOK_GRAPH    /* a Graph request was read in full; its token, its path and its limits are good */
};

/* X(KEY, "kind", hook, "what it does") */
#define FAULTS(X) \
	X(REFUSE_CONNECTION, "refuse_connection", HOOK_CONNECT, "the connection is closed before the greeting") \
	X(TOKEN_ERROR, "token_error", HOOK_TOKEN, "the token endpoint answers 503") \
	X(TOKEN_SLOW, "token_slow", HOOK_TOKEN, "it answers after `ms`") \
	X(REFUSE_SIGNIN, "refuse_signin", HOOK_SIGNIN, "NO AUTHENTICATE failed.") \
	X(NOT_CONNECTED, "not_connected", HOOK_SIGNIN, \
		"signs in; every command: BAD User is authenticated but not connected.") \
	X(THROTTLE, "throttle", HOOK_COMMAND, \
		"the throttle text with `ms` (or `text`), a fence of `ms`, and the connection is closed") \
	X(REFUSE, "refuse", HOOK_COMMAND, "the command is answered `text` (NO … or BAD …) and not done") \
	X(BYE, "bye", HOOK_COMMAND, "* BYE `text`, and the connection is closed") \
	X(DROP, "drop", HOOK_COMMAND, "the connection is dropped before the command is done") \
	X(DROP_AFTER, "drop_after", HOOK_COMMAND, "the command (not APPEND) is done, its answer is lost") \
	X(HANG, "hang", HOOK_COMMAND, \
		"nothing is answered any more (for `ms`, then dropped; 0: until the client goes)") \
	X(SLOW, "slow", HOOK_COMMAND, "the command is done after `ms`") \
	X(SLOW_WIRE, "slow_wire", HOOK_COMMAND, "from here on this connection passes `bytes` octets per second") \
	X(FOLDER_GONE, "folder_gone", HOOK_COMMAND, \
		"the command's folder is deleted with its messages before the command is done") \
	X(DROP_MID_LITERAL, "drop_mid_literal", HOOK_LITERAL, "dropped after `bytes` octets of the message (0: half)") \
	X(REFUSE_MESSAGE, "refuse_message", HOOK_COMMIT, "the message was read in full and is answered `text`") \
	X(QUOTA_FULL, "quota_full", HOOK_COMMIT, "NO Server Unavailable. 15") \
	X(DROP_BEFORE_COMMIT, "drop_before_commit", HOOK_COMMIT, \
		"the message was read in full, is not stored, the connection drops") \
	X(DROP_AFTER_COMMIT, "drop_after_commit", HOOK_COMMIT, \
		"the message is stored, the answer is lost, the connection drops") \
	X(COMMIT_LATE, "commit_late", HOOK_COMMIT, "the connection drops now, the message is stored `ms` later") \
	X(HANG_AFTER_COMMIT, "hang_after_commit", HOOK_COMMIT, "the message is stored, nothing is answered any more") \
	X(HIDDEN, "hidden", HOOK_COMMIT, "the message is stored and answered, but no query shows it for `ms`") \
	X(GRAPH_DROP, "graph_drop", HOOK_GRAPH, "the request is not done, the connection drops") \
	X(GRAPH_DROP_AFTER, "graph_drop_after", HOOK_GRAPH, "it is done, the answer is lost, the connection drops") \
	X(GRAPH_LATE, "graph_late", HOOK_GRAPH, \
		"import and create: the connection drops now, the message is stored `ms` later") \
	X(GRAPH_HIDDEN, "graph_hidden", HOOK_GRAPH, \
		"import and create: stored and answered, but no list shows it for `ms`") \
	X(GRAPH_SLOW, "graph_slow", HOOK_GRAPH, "it is done after `ms`") \
	X(GRAPH_HANG, "graph_hang", HOOK_GRAPH, \
		"it is not done; nothing is answered for `ms` (0: a minute), then a drop") \
	X(GRAPH_SLOW_BODY, "graph_slow_body", HOOK_GRAPH, "it is done; the answer's body comes at `bytes` per second") \
	X(GRAPH_CUT, "graph_cut", HOOK_GRAPH, "it is done; the answer's body breaks off after `bytes`") \
	X(GRAPH_GARBAGE, "graph_garbage", HOOK_GRAPH, "it is done; the answer's body is no JSON (or `text`)") \
	X(GRAPH_HUGE, "graph_huge", HOOK_GRAPH, "it is done; the answer has `bytes` (0: 256 MB) blanks behind it") \
	X(GRAPH_NOTHING, "graph_nothing", HOOK_GRAPH, "it is not done, and answered 200 without a body") \
	X(GRAPH_REVOKED, "graph_revoked", HOOK_GRAPH, \
		"the application's tokens issued so far are revoked; this request is answered 401") \
	X(GRAPH_FOLDER_GONE, "graph_folder_gone", HOOK_GRAPH, \
		"the path's folder is deleted with its messages before the request is done") \
	X(GRAPH_QUOTA, "graph_quota", HOOK_GRAPH, "ErrorQuotaExceeded") \
	X(GRAPH_THROTTLE, "graph_throttle", HOOK_GRAPH, \
		"429 of `text` (MailboxConcurrency, RequestRate, IncomingBytes) with a Retry-After of `ms` (0: none)") \
	X(GRAPH_ERROR, "graph_error", HOOK_GRAPH, \
		"not done; `text` is \"STATUS CODE message\" (STATUS alone: no body), Retry-After of `ms` (0: none)")

enum fault_kind {
#define X(k, n, hook, text) FAULT_##k,
	FAULTS(X)
#undef X
		FAULTS_END
};

struct fault_hit {
	enum fault_kind kind;
	int64_t ms;
	uint64_t bytes;
	char text[512]; /* "" if none was given */
};

struct faults;

struct faults *faults_new(void);
/* Before anything is checked. */
void faults_seed(struct faults *f, uint64_t seed);
void faults_free(struct faults **f);
/* {"kind":…, "mailbox":…, "folder":…, "command":…, "nth":N, "count":C, "probability":P, "ms":…, "bytes":…, "text":…}.
   It fires from the nth matching event on (default 1), `count` times (default 1; 0: for ever), each with probability P (default 1).
   mailbox and folder are compared without case; command is a verb or "*", and APPEND where nothing is said. Of graph_…: command is
   a kind of request (user, folder, list, get, value, import, create, patch, delete; folder_list, folder_create, folder_delete narrow folder),
   and import where nothing is said; folder is the name that IMAP shows. ERR_USAGE. */
int faults_add(struct faults *f, const json_t *spec, unsigned *id, struct err *err);
/* id 0: all. false: no such fault. */
bool faults_remove(struct faults *f, unsigned id);
/* Is there any that may fire? */
bool faults_exist(struct faults *f);
/* Does something go wrong here? NULL matches only faults that name none. */
bool faults_check(struct faults *f, enum fault_hook hook, const char *mailbox, const char *folder, const char *command,
	struct fault_hit *hit);
/* [{"id","kind","seen","fired",…}]; yours. */
json_t *faults_list(struct faults *f);
const char *fault_name(enum fault_kind kind);

#endif
