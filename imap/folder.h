/* The folders of a mailbox, as the server lists them and as people read them. */
#ifndef NF_IMAP_FOLDER_H
#define NF_IMAP_FOLDER_H

#include "imap/conn.h"

/* Roles by RFC 6154 special-use, or by the names hosts use (imap/map). */
enum folder_role {
	ROLE_NONE,
	ROLE_INBOX,
	ROLE_SENT,
	ROLE_DRAFTS,
	ROLE_TRASH,
	ROLE_JUNK,
	ROLE_ARCHIVE,
	ROLE_ALL,
	ROLE_FLAGGED
};

struct folder {
	char *raw;    /* owned: the name as the server wrote it, octet for octet: the key, what EXAMINE gets */
	char *name;   /* owned: decoded to UTF-8, hierarchy as the server's separator; invalid octets shown as U+FFFD */
	char **parts; /* owned: decoded, split at the separator, personal prefix ("INBOX.") dropped where the host puts
	                     everything below it */
	size_t n_parts;
	char separator;        /* 0: flat */
	enum folder_role role; /* from special-use or by name */
	bool role_by_attribute;
	bool can_select; /* no \Noselect, no \NonExistent */
	bool is_mail;    /* false: calendar, contacts, tasks, notes, journal by name or attribute */
	bool is_shared;  /* not in the personal namespace: not moved, reported */
};

struct folder_list {
	struct folder *v;
	size_t n;
};

/* NAMESPACE, LIST with special-use where offered. root (may be NULL): UserRoot, only what is below it. Sorted: INBOX first,
   parents before children. Duplicate and empty names are dropped and counted in *odd (may be NULL). At most 50,000 folders
   (ERR_MEMORY beyond: a hostile server). */
int folder_list(struct conn *c, const char *root, struct folder_list *out, unsigned *odd, struct err *err);
void folder_list_done(struct folder_list *l);
/* What a new folder's encoded name must begin with ("INBOX." at Courier, "" at most), and what separates its parts (0: flat). */
int folder_personal(struct conn *c, char *prefix, size_t size, char *separator, struct err *err);

#endif
