/* What hosts and programs call the well-known folders, in the large languages. Pure tables. */
#ifndef NF_IMAP_MAP_NAMES_H
#define NF_IMAP_MAP_NAMES_H

#include "imap/folder.h"

/* Whether a name (UTF-8) is one of these, without case and with "-" and "_" as blanks. map_role_by_name
   and map_is_not_mail of imap/map.h are made of these tables. */
/* A name of Exchange's own at the top of a mailbox that holds no mail of ours: Calendar, Outbox, ... */
bool map_names_is_reserved(const char *utf8);
/* A folder whose children may be well-known folders as if they were at the top: INBOX, [Gmail]. */
bool map_names_is_container(const char *utf8);
/* To compare many names with one in that way: what it is compared by. False: it is longer than any name of ours, or empty. */
enum { MAP_NAMES_KEY = 128 };
bool map_names_key(const char *utf8, char key[MAP_NAMES_KEY]);
bool map_names_has_key(const char *utf8, const char *key);

#endif
