/* Where a source folder goes in Exchange: well-known folders by role, names made acceptable predictably and reversibly. Pure. */
#ifndef NF_IMAP_MAP_H
#define NF_IMAP_MAP_H

#include "imap/folder.h"

/* What was done to a name, for the report (a set). */
enum map_change {
	MAP_ROLE = 1u << 0,     /* taken into a well-known folder */
	MAP_SLASH = 1u << 1,    /* "/" in a name became "_" or what map_rules says */
	MAP_TRIM = 1u << 2,     /* blanks at an end */
	MAP_RESERVED = 1u << 3, /* "Files" and the like */
	MAP_LENGTH = 1u << 4,   /* over-long: cut, hash added */
	MAP_CASE = 1u << 5,     /* collides without case with another: a suffix was added */
	MAP_CONTROL = 1u << 6,  /* control characters, invalid octets */
	MAP_DEPTH = 1u << 7
};

struct map_rules {
	bool exchange; /* Exchange's rules (case-insensitive, "/" separates, reserved names, 255 octets a name);
	                             else those of a generic IMAP host with this separator: */
	char separator;
	const char *const *
		well_known; /* display names of the destination's well-known folders by enum folder_role; an entry may be
	                             NULL: by the English default for Exchange, the source's own name for a generic host. "/" in
	                             one separates parts ("[Gmail]/Sent Mail"). INBOX is always "INBOX". */
	bool merge;         /* several folders of one role go into the one well-known folder */
	const char *const *
		before; /* one for each folder of the list: the path that it had, which it keeps; NULL: it is new. NULL: all are new */
};

struct mapping {
	char *path;            /* owned: UTF-8, '/'-separated whatever the destination uses; parts never hold '/' */
	unsigned changes;      /* enum map_change, of the whole path: 0 when it is the source's, part for part */
	enum folder_role role; /* of the well-known folder that it goes into */
	bool skip;             /* not moved: not selectable, not mail, shared, ROLE_ALL / ROLE_FLAGGED views */
	bool by_name;    /* skipped for nothing but its name, which may be a person's word for mail all the same */
	char reason[96]; /* why skipped or changed, for people */
};

/* One mapping for each folder, in order; a pure function of the whole list, so the same list gives the same result; and a folder that
   comes to the list later takes the path of none that has one (rules.before). Two source folders that are new never share a path, except that several folders of one role (Sent, Sent Items) go into the one well-known folder only
   if merge is true; else it takes the surest (by attribute, else by its very name there, else by another name), and the others keep their own names. */
int map_folders(const struct folder_list *list, const struct map_rules *rules, struct mapping **out, struct err *err);
void map_done(struct mapping **m, size_t n);
/* The role a decoded name suggests in the large languages (only for a top-level folder), ROLE_NONE else. */
enum folder_role map_role_by_name(const char *utf8);
bool map_is_not_mail(const char *utf8);           /* Calendar, Contacts, Tasks, Notes, Journal in those languages */
const char *map_role_name(enum folder_role role); /* "Sent Items" */

#endif
