/* Inside folder*.c and its tests only: namespaces (RFC 2342), and the list made from a server's lines. */
#ifndef NF_IMAP_FOLDER_PARTS_H
#define NF_IMAP_FOLDER_PARTS_H

#include "imap/folder.h"

#include <libetpan/libetpan.h>

struct namespace
{
	char *prefix; /* owned: raw, with its separator ("INBOX."); "" is possible */
	char separator;
	bool is_shared; /* other users' or shared */
};

struct namespaces {
	struct namespace *v;
	size_t n;
};

/* From the answer to NAMESPACE; none when the server told nothing that could be understood. */
int folder_read_namespaces(const struct mailimap_response_info *info, struct namespaces *out, struct err *err);
/* Without NAMESPACE: when all folders but INBOX lie below "INBOX", that is the personal prefix. */
int folder_guess_prefix(const clist *lines, struct namespaces *out, struct err *err);
/* The one with the longest prefix that fits; INBOX is always personal. NULL: none fits. */
const struct namespace *folder_find_namespace(const struct namespaces *spaces, const char *raw);
/* The name behind the prefix; "" for the bare prefix. */
const char *folder_after_prefix(const struct namespace *space, const char *raw);
void folder_namespaces_done(struct namespaces *spaces);

/* lines: struct mailimap_mailbox_list. Pure. */
int folder_build(const clist *lines, const char *root, const struct namespaces *spaces, struct folder_list *out,
	unsigned *odd, struct err *err);

#endif
