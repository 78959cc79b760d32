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
	HOOK_COMMIT   /* APPEND's message was read and is good */
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
	X(HIDDEN, "hidden", HOOK_COMMIT, "the message is stored and answered, but no query shows it for `ms`")

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
   mailbox and folder are compared without case; command is a verb or "*", and APPEND where nothing is said. ERR_USAGE. */
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
