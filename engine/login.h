/* Who signs in where: an endpoint or target row and a migration user become connection settings, with secrets out of the vault. */
#ifndef NF_ENGINE_LOGIN_H
#define NF_ENGINE_LOGIN_H

#include "engine/work.h"

struct source_login { /* owns what conf borrows; not to be copied */
	struct conn_conf conf;
	struct endpoint endpoint;
	char user[MODEL_TEXT * 2], authzid[MODEL_TEXT];
	struct secret *secret;
};
/* user_id 0: the endpoint's own (test) password for source_user. */
int source_login_init(struct source_login *l, struct store *s, const struct endpoint *e, const char *source_user,
	int64_t user_id, struct err *err);
/* With a password that is not stored (yet). */
int source_login_with(struct source_login *l, const struct endpoint *e, const char *source_user,
	const struct secret *password, struct err *err);
void source_login_done(struct source_login *l);

/* TARGET_IMAP by password: the user's own ("target_password") if there is one, else the target's. */
struct target_login { /* owns what conf borrows; not to be copied */
	struct target_conf conf;
	struct target_row row;
	char mailbox[MODEL_TEXT], user[MODEL_TEXT * 2], host[MODEL_TEXT], graph_url[MODEL_TEXT], user_id[MODEL_TEXT];
	struct secret *password;
};
/* Fills what the routes of the row need: a token source for each audience, Graph's address, the mailbox's own id (of user_id, once it
   was resolved) and what the proof of the route mime allows. */
int target_login_init(struct target_login *l, struct work *w, const struct target_row *t, const char *address,
	int64_t user_id, struct err *err);
void target_login_done(struct target_login *l);
/* "%u*admin" with the user in place of %u; a template without %u is refused when it is saved. */
void login_fill_template(const char *template, const char *user, char *out, size_t size);

#endif
