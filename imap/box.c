/* EXAMINE and SELECT are sent by ourselves: libetpan's own take the name unchecked and mask what was not told. */
#include "imap/box.h"

#include <stdio.h>

#define EXISTS_MOST 200000000 /* a larger count is a fault of the server (or a negative one, as libetpan reads it) */

int box_refusal(struct conn *c, enum reply reply, struct err *err, const char *doing)
{
	session_refusal(c, reply, err, doing);
	switch (err->kind) {
	case ERR_CREDENTIALS:
	case ERR_BANNED:
	case ERR_LOST:
	case ERR_BUSY:
	case ERR_THROTTLED:
	case ERR_QUOTA:
	case ERR_MAILBOX:
	case ERR_STOPPED:
	case ERR_MEMORY:
	case ERR_INTERNAL:
		return -1;
	case ERR_NONE:
	case ERR_USAGE:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
	case ERR_DNS:
	case ERR_FIREWALL:
	case ERR_TLS:
	case ERR_CERTIFICATE:
	case ERR_RIGHTS:
	case ERR_PROTOCOL:
	case ERR_MESSAGE:
	case ERR_TOO_BIG:
	case ERR_GONE:
	case ERR_FOLDER:
	case ERR_CHANGED:
	case ERR_DISK:
	case ERR_STORE:
	case ERR_VAULT:
	case ERR_DEFERRED:
	case ERR_KINDS_END:
		break;
	}
	/* "Command Argument Error. 11" and the like: told of messages and of arguments alike, and here there is no message */
	if (err->kind == ERR_MESSAGE)
		err_hint(err,
			"Exchange says this of a folder's name that it does not take (too long, nested too deep, odd "
			"characters) and of a full mailbox: rename the folder at the source, or leave it out with "
			"--exclude");
	err->kind = ERR_FOLDER;
	return -1;
}

int box_open(struct conn *c, enum box_mode mode, const char *raw_name, struct box_state *out, struct err *err)
{
	char quoted[4096];
	const char *verb = mode == BOX_SELECT ? "SELECT" : "EXAMINE";
	enum reply reply;
	int tag;
	if (session_quote(raw_name, quoted, sizeof(quoted), err) < 0)
		return -1;
	mailimap *imap = session_imap(c);
	struct mailimap_selection_info *fresh = mailimap_selection_info_new();
	if (!fresh)
		return err_set(err, ERR_MEMORY, "out of memory for a folder");
	if (session_send(c, &tag, err, "%s %s", verb, quoted) < 0 || session_flush(c, err) < 0) {
		mailimap_selection_info_free(fresh);
		return -1;
	}
	if (imap->imap_selection_info)
		mailimap_selection_info_free(imap->imap_selection_info);
	imap->imap_selection_info = fresh;
	if (session_receive(c, tag, &reply, err) < 0)
		return -1;
	if (reply != REPLY_OK)
		return box_refusal(c, reply, err, "the folder cannot be opened");
	imap->imap_state = MAILIMAP_STATE_SELECTED;
	const struct mailimap_selection_info *info = imap->imap_selection_info;
	if (!info->sel_has_exists || info->sel_uidvalidity == 0) {
		err_set(err, ERR_FOLDER, "the server opened the folder without telling %s",
			info->sel_has_exists ? "its UIDVALIDITY" : "how many messages it holds");
		err_hint(err, "RFC 3501 requires it; without it no message can be told from another: "
			      "have the server repaired, or move this folder with another tool");
		return -1;
	}
	if (info->sel_exists > EXISTS_MOST)
		return err_set(err, ERR_FOLDER, "the server says the folder holds %lu messages, which cannot be",
			(unsigned long)info->sel_exists);
	*out = (struct box_state){
		.uidvalidity = info->sel_uidvalidity, .uidnext = info->sel_uidnext, .exists = box_exists(c)};
	return 0;
}

uint32_t box_exists(struct conn *c)
{
	const struct mailimap_selection_info *info = session_imap(c)->imap_selection_info;
	if (!info || !info->sel_has_exists)
		return 0;
	/* libetpan counts down at each EXPUNGE, below zero if a server sends too many */
	return info->sel_exists > UINT32_MAX - 1000000 ? 0 : info->sel_exists;
}
