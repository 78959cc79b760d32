/* The folders of a mailbox. The name as the server writes it is the key; everything people see is made from it: split at the separator
   first and decoded afterwards, so that a separator that was encoded inside a name stays part of the name. */
#include "imap/folder.h"

#include "imap/folder_parts.h"
#include "imap/map.h"
#include "imap/name.h"
#include "imap/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FOLDERS_MOST = 50000, PARTS_MOST = 1000 };

static const struct {
	const char *flag;
	enum folder_role role;
} special_use[] = {
	/* RFC 6154; XLIST of Gmail and Cyrus */
	{"Sent", ROLE_SENT},
	{"Drafts", ROLE_DRAFTS},
	{"Trash", ROLE_TRASH},
	{"Junk", ROLE_JUNK},
	{"Spam", ROLE_JUNK},
	{"Archive", ROLE_ARCHIVE},
	{"All", ROLE_ALL},
	{"AllMail", ROLE_ALL},
	{"Flagged", ROLE_FLAGGED},
	{"Starred", ROLE_FLAGGED},
	{"Inbox", ROLE_INBOX},
};

static void free_folder(struct folder *f)
{
	free(f->raw);
	free(f->name);
	for (size_t i = 0; i < f->n_parts; i++)
		free(f->parts[i]);
	free(f->parts);
	*f = (struct folder){0};
}

void folder_list_done(struct folder_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_folder(&l->v[i]);
	free(l->v);
	*l = (struct folder_list){0};
}

static void read_attribute(struct folder *f, const char *flag)
{
	if (*flag == '\\')
		flag++;
	if (strcasecmp(flag, "Noselect") == 0 || strcasecmp(flag, "NonExistent") == 0)
		f->can_select = false;
	for (size_t i = 0; i < sizeof(special_use) / sizeof(special_use[0]); i++) {
		if (strcasecmp(flag, special_use[i].flag) == 0 && f->role == ROLE_NONE) {
			f->role = special_use[i].role;
			f->role_by_attribute = true;
		}
	}
}

static void read_attributes(struct folder *f, const struct mailimap_mbx_list_flags *flags)
{
	f->can_select = true;
	if (!flags)
		return;
	if (flags->mbf_type == MAILIMAP_MBX_LIST_FLAGS_SFLAG && flags->mbf_sflag == MAILIMAP_MBX_LIST_SFLAG_NOSELECT)
		f->can_select = false;
	if (!flags->mbf_oflags)
		return;
	for (clistiter *i = clist_begin(flags->mbf_oflags); i; i = clist_next(i)) {
		const struct mailimap_mbx_list_oflag *o = clist_content(i);
		if (o->of_type == MAILIMAP_MBX_LIST_OFLAG_FLAG_EXT && o->of_flag_ext)
			read_attribute(f, o->of_flag_ext);
	}
}

/* Splits text, n octets, at the separator and decodes each part; empty parts are left out. */
static int split(struct folder *f, const char *text, struct err *err)
{
	bool exact;
	size_t most = 1;
	for (const char *s = text; f->separator && *s; s++)
		most += *s == f->separator;
	if (most > PARTS_MOST)
		return err_set(err, ERR_FOLDER, "a folder is nested %zu deep", most);
	f->parts = calloc(most, sizeof(*f->parts));
	if (!f->parts)
		return err_set(err, ERR_MEMORY, "out of memory for the folders");
	while (*text) {
		const char *end = f->separator ? strchr(text, f->separator) : NULL;
		size_t n = end ? (size_t)(end - text) : strlen(text);
		if (n > 0) {
			char *raw = strndup(text, n);
			char *part = raw ? name_decode(raw, &exact) : NULL;
			free(raw);
			if (!part)
				return err_set(err, ERR_MEMORY, "out of memory for the folders");
			f->parts[f->n_parts++] = part;
		}
		text += n + (end != NULL);
	}
	return 0;
}

/* What remains of a raw name when the part that all folders share is taken away. */
static const char *without_root(const char *raw, const char *root, char separator)
{
	size_t n = root ? strlen(root) : 0;
	if (n == 0)
		return raw;
	if (strncmp(raw, root, n) != 0)
		return NULL;
	return raw[n] == '\0' ? "" : separator && raw[n] == separator ? raw + n + 1 : NULL;
}

static int fill_folder(struct folder *f, const struct mailimap_mailbox_list *m, const char *root,
	const struct namespaces *spaces, struct err *err)
{
	bool exact;
	f->separator = m->mb_delimiter;
	f->raw = strdup(m->mb_name);
	f->name = name_decode(m->mb_name, &exact);
	if (!f->raw || !f->name)
		return err_set(err, ERR_MEMORY, "out of memory for the folders");
	read_attributes(f, m->mb_flag);
	const struct namespace *space = folder_find_namespace(spaces, f->raw);
	f->is_shared = !root && space && space->is_shared;
	const char *rest = root ? without_root(f->raw, root, f->separator) : f->raw;
	if (!rest)
		return 0; /* not below the root: without parts it is dropped */
	if (!root && space && !space->is_shared && strcasecmp(f->raw, "INBOX") != 0)
		rest = folder_after_prefix(space, f->raw);
	if (!root && !*rest && f->can_select)
		rest = f->raw; /* the bare prefix may hold mail (Dovecot lists such a one) */
	/* a root that holds mail itself is the inbox of what lies below it */
	if (root && !*rest && f->can_select)
		rest = "INBOX";
	if (split(f, rest, err) < 0)
		return -1;
	if (f->n_parts == 0)
		return 0;
	if (strcasecmp(root ? f->parts[0] : f->raw, "INBOX") == 0 && f->n_parts == 1) {
		f->role = ROLE_INBOX;
		f->role_by_attribute = false;
	} else if (f->role == ROLE_INBOX) {
		f->role = ROLE_NONE;
		f->role_by_attribute = false;
	}
	if (f->role == ROLE_NONE && f->n_parts == 1 && !f->is_shared)
		f->role = map_role_by_name(f->parts[0]);
	f->is_mail = f->role != ROLE_NONE || !map_is_not_mail(f->parts[0]);
	return 0;
}

static int compare_parts(const struct folder *a, const struct folder *b)
{
	for (size_t i = 0; i < a->n_parts && i < b->n_parts; i++) {
		int order = strcmp(a->parts[i], b->parts[i]);
		if (order != 0)
			return order;
	}
	return a->n_parts < b->n_parts ? -1 : a->n_parts > b->n_parts;
}

static int compare_folders(const void *x, const void *y)
{
	const struct folder *a = x, *b = y;
	if ((a->role == ROLE_INBOX) != (b->role == ROLE_INBOX))
		return a->role == ROLE_INBOX ? -1 : 1;
	int order = compare_parts(a, b);
	return order != 0 ? order : strcmp(a->raw, b->raw);
}

static int compare_raw(const void *x, const void *y)
{
	const struct folder *a = x, *b = y;
	return strcmp(a->raw, b->raw);
}

static bool is_same_folder(const struct folder *a, const struct folder *b)
{
	return strcmp(a->raw, b->raw) == 0;
}

/* Each once. A server that lists a folder twice may say \Noselect only one of the times: then it is tried. */
static void drop_repeated(struct folder_list *l, unsigned *odd)
{
	size_t kept = 0;
	bool has_inbox = false;
	if (l->n == 0)
		return;
	qsort(l->v, l->n, sizeof(*l->v), compare_raw);
	for (size_t i = 0; i < l->n; i++) {
		bool is_inbox = strcasecmp(l->v[i].raw, "INBOX") == 0; /* the one name without case */
		if ((kept > 0 && is_same_folder(&l->v[i], &l->v[kept - 1])) || (is_inbox && has_inbox)) {
			if (!is_inbox)
				l->v[kept - 1].can_select |= l->v[i].can_select;
			free_folder(&l->v[i]);
			(*odd)++;
			continue;
		}
		has_inbox |= is_inbox;
		if (kept != i) {
			l->v[kept] = l->v[i];
			l->v[i] = (struct folder){0};
		}
		kept++;
	}
	l->n = kept;
	qsort(l->v, l->n, sizeof(*l->v), compare_folders);
}

static bool is_acceptable(const char *name)
{
	return name && *name && !strpbrk(name, "\r\n");
}

int folder_build(const clist *lines, const char *root, const struct namespaces *spaces, struct folder_list *out,
	unsigned *odd, struct err *err)
{
	int n = clist_count(lines);
	*out = (struct folder_list){0};
	if (n > FOLDERS_MOST)
		return err_set(err, ERR_MEMORY, "the server lists %d folders; %d is the most that is believed", n,
			FOLDERS_MOST);
	out->v = calloc(n > 0 ? (size_t)n : 1, sizeof(*out->v));
	if (!out->v)
		return err_set(err, ERR_MEMORY, "out of memory for the folders");
	for (clistiter *i = clist_begin(lines); i; i = clist_next(i)) {
		const struct mailimap_mailbox_list *m = clist_content(i);
		struct folder *f = &out->v[out->n];
		if (!is_acceptable(m->mb_name)) {
			(*odd)++;
			continue;
		}
		if (fill_folder(f, m, root, spaces, err) < 0) {
			free_folder(f);
			if (err->kind == ERR_MEMORY) {
				folder_list_done(out);
				return -1;
			}
			err_clear(err);
			(*odd)++;
			continue;
		}
		if (f->n_parts == 0) { /* the bare root or prefix */
			*odd += f->can_select;
			free_folder(f);
			continue;
		}
		out->n++;
	}
	drop_repeated(out, odd);
	return 0;
}

static int ask(struct conn *c, enum reply *reply, struct err *err, const char *text)
{
	int tag;
	if (session_send(c, &tag, err, "%s", text) < 0 || session_flush(c, err) < 0)
		return -1;
	return session_receive(c, tag, reply, err);
}

/* LIST of everything, or of what begins with root (raw). The lines are then in the session's response. */
static int list(struct conn *c, const char *root, struct err *err)
{
	char pattern[4096], quoted[4200], text[4300];
	enum reply reply = REPLY_NO;
	if (snprintf(pattern, sizeof(pattern), "%s*", root ? root : "") >= (int)sizeof(pattern))
		return err_set(err, ERR_USAGE, "the root folder's name is too long");
	if (session_quote(pattern, quoted, sizeof(quoted), err) < 0)
		return -1;
	if (conn_has_capability(c, "SPECIAL-USE") && conn_has_capability(c, "LIST-EXTENDED")) {
		snprintf(text, sizeof(text), "LIST \"\" %s RETURN (SPECIAL-USE)", quoted);
		if (ask(c, &reply, err, text) < 0)
			return -1;
	}
	if (reply != REPLY_OK) {
		snprintf(text, sizeof(text), "LIST \"\" %s", quoted);
		if (ask(c, &reply, err, text) < 0)
			return -1;
	}
	return reply == REPLY_OK ? 0 : session_refusal(c, reply, err, "the folders cannot be listed");
}

static int get_namespaces(struct conn *c, struct namespaces *out, struct err *err)
{
	enum reply reply;
	*out = (struct namespaces){0};
	if (!conn_has_capability(c, "NAMESPACE"))
		return 0;
	if (ask(c, &reply, err, "NAMESPACE") < 0)
		return -1;
	return reply == REPLY_OK ? folder_read_namespaces(session_imap(c)->imap_response_info, out, err) : 0;
}

/* What a person gives as root, without separators at its ends, as the server writes names. */
static int encode_root(const char *root, char **out, struct err *err)
{
	*out = NULL;
	if (!root || !*root)
		return 0;
	if (name_encode(root, out, err) < 0)
		return -1;
	size_t n = strlen(*out);
	while (n > 1 && ((*out)[n - 1] == '/' || (*out)[n - 1] == '.'))
		(*out)[--n] = '\0';
	return 0;
}

int folder_list(struct conn *c, const char *root, struct folder_list *out, unsigned *odd, struct err *err)
{
	struct namespaces spaces = {0};
	char *raw_root = NULL;
	unsigned ignored = 0;
	*out = (struct folder_list){0};
	int rc = encode_root(root, &raw_root, err);
	if (rc == 0)
		rc = get_namespaces(c, &spaces, err);
	if (rc == 0)
		rc = list(c, raw_root, err);
	const struct mailimap_response_info *info = session_imap(c)->imap_response_info;
	if (rc == 0 && (!info || !info->rsp_mailbox_list))
		rc = err_set(err, ERR_PROTOCOL, "the server lists no folders");
	if (rc == 0 && spaces.n == 0)
		rc = folder_guess_prefix(info->rsp_mailbox_list, &spaces, err);
	if (rc == 0)
		rc = folder_build(info->rsp_mailbox_list, raw_root, &spaces, out, odd ? odd : &ignored, err);
	folder_namespaces_done(&spaces);
	free(raw_root);
	return rc;
}

int folder_personal(struct conn *c, char *prefix, size_t size, char *separator, struct err *err)
{
	struct namespaces spaces;
	enum reply reply;
	int rc = get_namespaces(c, &spaces, err);
	if (rc < 0)
		return -1;
	*separator = 0;
	snprintf(prefix, size, "%s", "");
	for (size_t i = 0; i < spaces.n; i++) {
		if (spaces.v[i].is_shared)
			continue;
		*separator = spaces.v[i].separator;
		if (snprintf(prefix, size, "%s", spaces.v[i].prefix) >= (int)size)
			rc = err_set(err, ERR_PROTOCOL, "the server's prefix for folders is too long");
		folder_namespaces_done(&spaces);
		return rc;
	}
	folder_namespaces_done(&spaces);
	if (ask(c, &reply, err, "LIST \"\" \"\"") < 0)
		return -1;
	const struct mailimap_response_info *info = session_imap(c)->imap_response_info;
	if (reply == REPLY_OK && info && info->rsp_mailbox_list && clist_begin(info->rsp_mailbox_list)) {
		const struct mailimap_mailbox_list *m = clist_content(clist_begin(info->rsp_mailbox_list));
		*separator = m->mb_delimiter;
	}
	return 0;
}
