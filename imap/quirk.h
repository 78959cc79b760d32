/* Inside imap/ only: what is known of servers, by what they say of themselves. One table. Pure. */
#ifndef NF_IMAP_QUIRK_H
#define NF_IMAP_QUIRK_H

#include "imap/conn.h"

/* The texts may be "". Returns a set of enum quirk. */
unsigned quirk_find(const char *greeting, const char *server_id, const char *capabilities);

#endif
