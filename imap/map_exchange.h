/* What an Exchange mailbox calls its own folders, as far as a LIST can tell: its language is found by the names that are there. Pure. */
#ifndef NF_IMAP_MAP_EXCHANGE_H
#define NF_IMAP_MAP_EXCHANGE_H

#include "imap/folder.h"

/* For each of ROLE_SENT to ROLE_ARCHIVE the index in the list of the mailbox's own folder, -1: not known. Folders that were made beside them
   ("Sent Items" in a German mailbox) do not change the answer. */
void map_exchange_find(const struct folder_list *list, long out[ROLE_ARCHIVE + 1]);

#endif
