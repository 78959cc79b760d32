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

#endif
