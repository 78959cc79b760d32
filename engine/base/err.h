/* An error: what happened, where, what the server said, what to do. A plain value on the caller's stack. */
#ifndef NF_BASE_ERR_H
#define NF_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(kind, name, action). The kind alone decides what happens next: this is the one table. */
#define ERR_KINDS(X) \
	X(NONE, "none", DRAIN) \
	X(USAGE, "usage", STOP_RUN)                   /* the command line or a given file is wrong */ \
	X(NOT_FOUND, "not-found", STOP_RUN)           /* a named object is not in the state */ \
	X(CONFLICT, "conflict", STOP_RUN)             /* exists already, is in use, a second engine */ \
	X(DNS, "dns", RETRY)                          /* the name does not resolve */ \
	X(FIREWALL, "firewall", RETRY)                /* no TCP connection: refused, timed out */ \
	X(TLS, "tls", RETRY)                          /* the handshake failed */ \
	X(CERTIFICATE, "certificate", STOP_MAILBOX)   /* chain, host name or date rejected */ \
	X(CREDENTIALS, "credentials", PAUSE_ENDPOINT) /* sign-in refused; never retried by itself */ \
	X(BANNED, "banned", PAUSE_ENDPOINT)           /* refused after failed sign-ins: have us allowed */ \
	X(RIGHTS, "rights", STOP_MAILBOX)             /* signed in, but not allowed */ \
	X(LOST, "lost", RETRY)                        /* the connection broke or went silent */ \
	X(BUSY, "busy", RETRY)                        /* the server asks to come again */ \
	X(THROTTLED, "throttled", WAIT)               /* a fence; never an item's failure */ \
	X(PROTOCOL, "protocol", RETRY)                /* the server's answer makes no sense */ \
	X(MESSAGE, "message", SKIP_MESSAGE)           /* this message cannot be read or taken */ \
	X(TOO_BIG, "too-big", SKIP_MESSAGE)           /* larger than the destination takes */ \
	X(GONE, "gone", SKIP_MESSAGE)                 /* expunged at the source since it was listed */ \
	X(FOLDER, "folder", SKIP_FOLDER)              /* the folder cannot be opened, read or made */ \
	X(CHANGED, "changed", SKIP_FOLDER)            /* UIDVALIDITY is another: a new generation */ \
	X(QUOTA, "quota", STOP_MAILBOX)               /* the destination mailbox is full */ \
	X(MAILBOX, "mailbox", STOP_MAILBOX)           /* the mailbox does not exist or is disabled */ \
	X(DISK, "disk", STOP_RUN)                     /* no room or no right on the local disk */ \
	X(STORE, "store", STOP_RUN)                   /* the state file cannot be used */ \
	X(VAULT, "vault", STOP_RUN)                   /* the vault's key is missing or wrong */ \
	X(STOPPED, "stopped", DRAIN)                  /* somebody asked us to stop */ \
	X(DEFERRED, "deferred", DRAIN)                /* a window or a budget: later */ \
	X(MEMORY, "memory", STOP_MAILBOX)             /* a cap on memory was reached */ \
	X(INTERNAL, "internal", STOP_MAILBOX)         /* a bug of ours */

enum err_kind {
#define X(k, n, a) ERR_##k,
	ERR_KINDS(X)
#undef X
		ERR_KINDS_END
};

enum err_action {
	ACT_DRAIN, /* end in good order */
	ACT_RETRY, /* again, with backoff; after some tries the mailbox fails with a retry time */
	ACT_WAIT,  /* wait out the fence; not counted as a try */
	ACT_SKIP_MESSAGE,
	ACT_SKIP_FOLDER,
	ACT_STOP_MAILBOX,
	ACT_PAUSE_ENDPOINT, /* stop the mailbox and count towards the sign-in breaker */
	ACT_STOP_RUN
};

struct err {
	enum err_kind kind;
	int64_t retry_after_ms; /* the server's own statement; -1: none */
	char text[896];         /* what happened and where, outermost context first */
	char server[320];       /* the server's words, control characters replaced; "" if none */
	char hint[384];         /* what to do; "" if nothing is known */
};

#define ERR_INIT ((struct err){.retry_after_ms = -1})

/* Overwrites *err. Always returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "<formatted>: " in front of the text (who and where; once a layer). Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for "<what> <name>", where a long name keeps its beginning and its end, so that the reason behind it has room; nothing is done where the
   text begins with these words already. */
int err_wrap_name(struct err *err, const char *what, const char *name);
/* Keeps what the server said: n bytes from a peer, cut and made printable. */
void err_server(struct err *err, const char *words, size_t n);
void err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Empties *err (kind NONE). */
void err_clear(struct err *err);

enum err_action err_action(enum err_kind kind);
/* A throttle, or a busy server that says for how long: waiting for it is no try. */
bool err_asks_to_wait(const struct err *err);
const char *err_kind_name(enum err_kind kind);
/* Returns the kind of that name, ERR_INTERNAL for an unknown one. */
enum err_kind err_kind_parse(const char *name);
/* "text: the server said “…”; hint" in one line, cut to size; returns out. */
const char *err_line(const struct err *err, char *out, size_t size);

#endif
