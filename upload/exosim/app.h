/* An application of the tenant: how it proves itself, and what an administrator consented to. Fixed once servers run, but for atomics. */
#ifndef NF_EXOSIM_APP_H
#define NF_EXOSIM_APP_H

#include "engine/base/err.h"
#include "engine/base/secret.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

/* X(KEY, "role"): the application permissions an administrator can consent to here */
#define ROLES(X) \
	X(IMAP, "IMAP.AccessAsApp") \
	X(MAIL_READ, "Mail.Read") \
	X(MAIL, "Mail.ReadWrite") \
	X(ADVANCED, "Mail-Advanced.ReadWrite.All") \
	X(USERS, "User.Read.All") \
	X(DIRECTORY, "Directory.Read.All") \
	X(SETTINGS, "MailboxSettings.Read") \
	X(FOLDERS, "MailboxFolder.ReadWrite.All") \
	X(ITEMS, "MailboxItem.ImportExport.All")
enum role {
#define X(k, n) ROLE_##k,
	ROLES(X)
#undef X
		ROLES_END
};
const char *role_name(enum role r);
#define ROLE_BIT(k) (1u << ROLE_##k)

struct app {
	char *id;              /* owned: client id */
	struct secret *secret; /* owned; NULL: none registered */
	bool secret_expired;
	char *certificate;      /* owned: PEM; NULL: none registered */
	char *thumbprint;       /* owned: its x5t#S256 */
	atomic_uint generation; /* tokens of an older one are revoked */
	atomic_uint roles;      /* set of enum role; what tokens hold that are issued from now on */
	unsigned index;
};

/* {"id", "secret"|"secret_file", "certificate" (file), "secret_expired", "roles"}. NULL and *err. */
struct app *app_new(const json_t *spec, unsigned index, struct err *err);
void app_free(struct app **a);
/* {"roles"}: what it is consented to from now on. Any time. */
int app_set(struct app *a, const json_t *spec, struct err *err);

#endif
