#include "upload/permission.h"

#include <string.h>

/* Names as Microsoft documents them (spec/exchange-online.md, sections 1 to 3; D). */
static const struct permission permissions[] = {
	{"imap", "IMAP.AccessAsApp", PERMISSION_EXCHANGE, true, "to sign in by IMAP"},
	{"mime", "Mail-Advanced.ReadWrite.All", PERMISSION_GRAPH, true,
		"importMime, and changes to messages that are no drafts (asked for from 31 Dec 2026 on)"},
	{"mime", "Mail.ReadWrite", PERMISSION_GRAPH, true, "folders, reading back, read state, flags and categories"},
	{"mime", "User.Read.All", PERMISSION_GRAPH, false, "the mailbox's own id, which outlives a change of address"},
};

const struct permission *permission_table(size_t *n)
{
	*n = sizeof(permissions) / sizeof(permissions[0]);
	return permissions;
}

static bool is_among(const char *roles, const char *role)
{
	size_t n = strlen(role);
	for (const char *p = roles; *p; p += p[strcspn(p, " ")] ? strcspn(p, " ") + 1 : strlen(p))
		if (strcspn(p, " ") == n && !strncmp(p, role, n))
			return true;
	return false;
}

const struct permission *permission_missing(const char *route, const char *roles)
{
	for (size_t i = 0; i < sizeof(permissions) / sizeof(permissions[0]); i++)
		if (permissions[i].is_needed && !strcmp(permissions[i].route, route) &&
			!is_among(roles, permissions[i].role))
			return &permissions[i];
	return NULL;
}
