#include "imap/saslprep.h"

#include <stringprep.h>

#define ROOM 4096 /* a longer text is no password that a person types */

/* Nothing of ASCII is changed, so libidn, which does not wipe what it copies, sees only the few that need it. */
static bool is_ascii(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] > 126)
			return false;
	}
	return true;
}

struct secret *saslprep(const char *text, size_t n)
{
	char room[ROOM];
	if (is_ascii(text, n) || n >= sizeof(room) || memchr(text, 0, n))
		return secret_new(text, n);
	memcpy(room, text, n);
	room[n] = '\0';
	/* unassigned code points are allowed: this is a query (RFC 3454 section 7) */
	bool fine = stringprep(room, sizeof(room), 0, stringprep_saslprep) == STRINGPREP_OK && room[0];
	struct secret *s = fine ? secret_new(room, strlen(room)) : secret_new(text, n);
	secret_wipe(room, sizeof(room));
	return s;
}

bool saslprep_changes(const char *text, size_t n)
{
	struct secret *s = is_ascii(text, n) ? NULL : saslprep(text, n);
	bool changes = s && (secret_len(s) != n || memcmp(secret_bytes(s), text, n));
	secret_free(&s);
	return changes;
}
