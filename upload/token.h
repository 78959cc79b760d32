/* Access tokens by client credentials: renewed at 80 % of their life and once on refusal, one renewal at a time. Any thread. */
#ifndef NF_UPLOAD_TOKEN_H
#define NF_UPLOAD_TOKEN_H

#include "engine/base/secret.h"
#include "engine/base/stop.h"

struct token; /* one source of tokens: tenant, client, scope */

struct token_conf {            /* borrowed for the call */
	const char *login_url; /* "https://login.microsoftonline.com"; NULL: that */
	const char *tenant, *client_id;
	const char *scope;                  /* "https://outlook.office365.com/.default" */
	const struct secret *client_secret; /* or: */
	const struct secret *certificate_pem;
	const struct secret *private_key_pem; /* PS256 assertion */
	const char *ca_file;                  /* NULL: the system's */
};

int token_new(struct token **out, const struct token_conf *conf, struct err *err);
/* A token good for at least two minutes; yours to free. refused: the one the server just refused (renews unless another thread has
   already); NULL else. ERR_CREDENTIALS carries AADSTS code and a hint. */
int token_get(struct token *t, const struct secret *refused, struct stop *stop, struct secret **out, struct err *err);
int64_t token_expires_at(struct token *t); /* wall clock; 0: none held */
void token_free(struct token **t);

#endif
