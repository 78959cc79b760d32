/* The token endpoint without its HTTP: client credentials are checked, access tokens issued and recognised. Any thread. */
#ifndef NF_EXOSIM_GRANT_H
#define NF_EXOSIM_GRANT_H

#include "upload/exosim/world.h"

#define RESOURCE_EXCHANGE "https://outlook.office365.com"
#define RESOURCE_GRAPH "https://graph.microsoft.com"

struct grants;

struct grants *grants_new(struct world *world, struct profile *profile);
void grants_free(struct grants **g);

struct grant_answer {
	unsigned status; /* of HTTP */
	char *json;      /* yours to free */
};
/* tenant: from the path. url: what a client assertion's aud must be. */
void grants_answer(struct grants *g, const char *tenant, const char *url, const char *body, size_t len, int64_t now_s,
	struct grant_answer *out);
/* The same error as the endpoint would give, for a fault. */
void grants_refuse(struct grants *g, enum token_error e, const char *detail, int64_t now_s, struct grant_answer *out);
/* What is wrong with a token, if anything. */
enum token_fault { TOKEN_GOOD, TOKEN_BAD, TOKEN_OLD, TOKEN_AUDIENCE, TOKEN_REVOKED };
struct bearer {
	struct app *app; /* borrowed */
	unsigned roles;  /* set of enum role, as it was issued */
};
enum token_fault grants_examine(
	struct grants *g, const char *token, const char *resource, int64_t now_s, struct bearer *out);
/* The application of a token that is valid now for that resource (of Exchange: with IMAP.AccessAsApp); NULL else. */
struct app *grants_check(struct grants *g, const char *token, const char *resource, int64_t now_s);
json_t *grants_state(struct grants *g); /* {"issued","refused"}; yours */

#endif
