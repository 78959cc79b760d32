/* A signed-in IMAP connection over our own stream driver. Belongs to one thread. No type of libetpan shows here. */
#ifndef NF_IMAP_CONN_H
#define NF_IMAP_CONN_H

#include "engine/base/err.h"
#include "engine/base/secret.h"
#include "engine/base/stop.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct gate;

enum tls_mode { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE };
/* AUTH_ANY: the best the server offers of SCRAM-SHA-256, PLAIN, LOGIN (in this order; no clear-text mechanism without TLS
   unless tls is TLS_NONE by the person's explicit consent). */
enum auth_method { AUTH_ANY, AUTH_SCRAM_SHA_256, AUTH_PLAIN, AUTH_LOGIN, AUTH_XOAUTH2 };

/* Differences of servers, as named flags; found from greeting, ID and capabilities, or set on the endpoint. */
enum quirk {
	QUIRK_NO_LITERAL_PLUS = 1u << 0,
	QUIRK_NO_PIPELINE = 1u << 1, /* one command at a time */
	QUIRK_EXCHANGE = 1u << 2,    /* Exchange Online's IMAP: texts and rules of spec/exchange-online.md section 2 */
	QUIRK_COURIER = 1u << 3,     /* INBOX. prefix, no UIDNEXT in EXAMINE, ALERTs in mid session */
	QUIRK_GMAIL = 1u << 4,       /* labels, X-GM-EXT-1 */
	QUIRK_SMALL_SETS = 1u << 5   /* short UID sets only */
};

struct conn_conf { /* all borrowed; must outlive the conn */
	const char *host;
	unsigned port;
	enum tls_mode tls;
	const char *ca_file;         /* PEM; NULL: the system's */
	bool accept_any_certificate; /* the person said so for this endpoint, by name */
	enum auth_method auth;
	const char *user;            /* the mailbox's sign-in name (authcid when authzid is NULL) */
	const char *authzid;         /* administrator login: act as this mailbox; NULL: none */
	const struct secret *secret; /* password, or the access token for AUTH_XOAUTH2 */
	unsigned quirks;             /* enum quirk, forced on */
	bool reads_only;   /* a source: what speaks of a quota there means what is read, not a mailbox that is full */
	int connect_ms;    /* name, TCP and TLS together; 0: 30,000 */
	int silence_ms;    /* most time without a byte; 0: 90,000 */
	struct gate *gate; /* its line paces all that comes and goes; NULL: nothing does */
};

/* What was learnt on the way; plain values, valid while the conn is. */
struct conn_facts {
	char address[64];     /* the address that answered */
	char tls_version[16]; /* "TLSv1.3"; "" without TLS */
	char cipher[64];
	char cert_subject[256], cert_issuer[256];
	int64_t cert_expires_at; /* UTC seconds; 0 unknown */
	char greeting[256];
	char server_id[256];     /* from ID, "name version"; "" if none */
	char capabilities[1024]; /* after sign-in, separated by blanks */
	char mechanism[32];      /* that signed in */
	unsigned quirks;
};

/* Steps, so that a test can report one line each. conn_open does all of them. On failure *out is NULL and err->kind tells
   DNS, FIREWALL, TLS, CERTIFICATE, CREDENTIALS, RIGHTS, BANNED, BUSY, THROTTLED, LOST or PROTOCOL, with a hint. */
enum conn_step { CONN_RESOLVE, CONN_TCP, CONN_TLS, CONN_GREETING, CONN_CAPABILITY, CONN_SIGN_IN, CONN_READY };
const char *conn_step_name(enum conn_step step);
/* reached (may be NULL): the last step that was completed or, on failure, the one that failed. facts (may be NULL): filled as
   far as it got, also on failure. */
int conn_open(struct conn **out, const struct conn_conf *conf, struct stop *stop, enum conn_step *reached,
	struct conn_facts *facts, struct err *err);
const struct conn_facts *conn_facts(const struct conn *c);
bool conn_has_capability(const struct conn *c, const char *name); /* without case */
/* Once true the connection is only good for conn_close. */
bool conn_is_dead(const struct conn *c);
int conn_noop(struct conn *c, struct err *err);                             /* keep-alive */
void conn_counts(const struct conn *c, uint64_t *received, uint64_t *sent); /* octets on the wire */
/* LOGOUT if the connection is healthy (waits 2 s at most), then frees. */
void conn_close(struct conn **c);
/* Call once before any thread starts (libetpan's extension list has no lock). */
void conn_init(void);

#endif
