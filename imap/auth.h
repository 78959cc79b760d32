/* Inside imap/ only: signing in. */
#ifndef NF_IMAP_AUTH_H
#define NF_IMAP_AUTH_H

#include "imap/conn.h"

/* What the server offers and what the connection is. */
struct auth_offer {
	bool scram_sha_256, plain, login, xoauth2; /* AUTH=... */
	bool login_disabled;                       /* LOGINDISABLED: no LOGIN command */
	bool initial_response;                     /* SASL-IR */
	bool may_send_clear;                       /* encrypted, or clear text by explicit consent */
	bool is_encrypted;
};

/* What the user's name and password ask of the way. */
struct auth_need {
	bool is_simple;   /* printable ASCII, which the LOGIN command needs */
	bool has_authzid; /* only SASL can carry one */
	bool is_prepared; /* SASLprep would change nothing: SCRAM and the server mean the same text (saslprep.h) */
};

enum auth_way { AUTH_WAY_SCRAM_SHA_256, AUTH_WAY_PLAIN, AUTH_WAY_SASL_LOGIN, AUTH_WAY_LOGIN_COMMAND, AUTH_WAY_XOAUTH2 };

/* Pure. */
int auth_choose(enum auth_method wanted, const struct auth_offer *offer, const struct auth_need *need,
	enum auth_way *out, struct err *err);
const char *auth_way_name(enum auth_way way);

/* Signs in by conf; *way tells how. On failure err is typed, with a hint; whether the connection is usable then: conn_is_dead. */
int auth_sign_in(struct conn *c, const struct auth_offer *offer, enum auth_way *way, struct err *err);

#endif
