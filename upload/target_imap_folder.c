/* Folders of the destination: listed once a session, found without regard to case where Exchange is, made with their parents. */
#include "upload/target_imap.h"

#include "engine/base/buf.h"
#include "engine/base/failpoint.h"
#include "imap/fold.h"
#include "imap/map_exchange.h"
#include "imap/name.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

static bool is_inbox(const char *part, size_t n)
{
	return n == 5 && strncasecmp(part, "INBOX", 5) == 0;
}

/* How a path compares: Exchange ignores case (here: of ASCII; beyond it CREATE says "already exists", and find_widely looks). */
static char *key_make(const struct target_imap *t, const char *path)
{
	char *key = strdup(path);
	size_t first = strcspn(path, "/");
	for (char *p = key; p && *p; p++) {
		if (t->conf->kind == TARGET_EXCHANGE || (is_inbox(path, first) && (size_t)(p - key) < first))
			*p = (char)tolower((unsigned char)*p);
	}
	return key;
}

/* Where key is, or would be inserted. */
static size_t known_place(const struct target_imap *t, const char *key, bool *found)
{
	size_t low = 0, high = t->n_known;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(t->known[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < t->n_known && !strcmp(t->known[low].key, key);
	return low;
}

static const char *known_get(const struct target_imap *t, const char *path)
{
	bool found = false;
	char *key = key_make(t, path);
	size_t i = key ? known_place(t, key, &found) : 0;
	free(key);
	return found ? t->known[i].raw : NULL;
}

static int known_add(struct target_imap *t, const char *path, const char *raw, struct err *err)
{
	bool found = false;
	char *key = key_make(t, path), *copy = strdup(raw);
	if (!key || !copy)
		goto fail;
	size_t i = known_place(t, key, &found);
	if (found) {
		free(key);
		free(copy);
		return 0;
	}
	if (t->n_known == t->room_known) {
		size_t room = t->room_known ? t->room_known * 2 : 64;
		struct known_folder *v = realloc(t->known, room * sizeof(*v));
		if (!v)
			goto fail;
		t->known = v;
		t->room_known = room;
	}
	memmove(&t->known[i + 1], &t->known[i], (t->n_known - i) * sizeof(*t->known));
	t->known[i] = (struct known_folder){key, copy};
	t->n_known++;
	return 0;
fail:
	free(key);
	free(copy);
	return err_set(err, ERR_MEMORY, "no memory for a folder's name");
}

void target_imap_forget(struct target_imap *t, const char *path)
{
	bool found = false;
	char *key = key_make(t, path);
	size_t i = key ? known_place(t, key, &found) : 0;
	free(key);
	if (!found)
		return;
	free(t->known[i].key);
	free(t->known[i].raw);
	t->n_known--;
	memmove(&t->known[i], &t->known[i + 1], (t->n_known - i) * sizeof(*t->known));
}

void target_imap_forget_all(struct target_imap *t)
{
	for (size_t i = 0; i < t->n_known; i++) {
		free(t->known[i].key);
		free(t->known[i].raw);
	}
	free(t->known);
	t->known = NULL;
	t->n_known = t->room_known = 0;
	t->listed = false;
}

/* "INBOX." if that is what imap/folder dropped from the name of a folder. */
static void learn_prefix(struct target_imap *t, const struct folder *f)
{
	char start[8] = {'I', 'N', 'B', 'O', 'X', t->separator, '\0'};
	if (!t->separator || f->n_parts == 0 || is_inbox(f->parts[0], strlen(f->parts[0])))
		return;
	t->prefix_known = true;
	if (f->raw && !strncasecmp(f->raw, start, 6))
		snprintf(t->prefix, sizeof(t->prefix), "%.6s", f->raw);
}

/* '/'-separated; empty for a name that holds the path's own separator: no path can mean it. */
static int path_of(const struct folder *f, struct buf *path, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < f->n_parts && rc == 0; i++) {
		if (strchr(f->parts[i], '/')) {
			buf_clear(path);
			return 0;
		}
		rc = (i > 0 && buf_add_char(path, '/', err)) || buf_add_str(path, f->parts[i], err) ? -1 : 0;
	}
	return rc;
}

static int known_add_folder(struct target_imap *t, const struct folder *f, struct err *err)
{
	struct buf path;
	buf_init(&path, 64 * 1024);
	int rc = path_of(f, &path, err);
	if (rc == 0 && path.len > 0)
		rc = known_add(t, buf_str(&path), f->raw, err);
	buf_done(&path);
	return rc;
}

/* The folder is the mailbox's own of that role. */
static int learn_name(struct target_imap *t, const struct folder *f, size_t role, struct err *err)
{
	struct buf path;
	if (t->names[role])
		return 0;
	buf_init(&path, 64 * 1024);
	int rc = path_of(f, &path, err);
	if (rc == 0 && path.len > 0 && !(t->names[role] = buf_take(&path)))
		rc = err_set(err, ERR_MEMORY, "no memory for a folder's name");
	t->well_known[role] = t->names[role];
	buf_done(&path);
	return rc;
}

/* Once a session: by the list that came first. Exchange shows no special-use, and its names are guessed; of any other host special-use alone counts
   (RFC 6154), as a name there may be a person's. */
static int learn_names(struct target_imap *t, const struct folder_list *list, struct err *err)
{
	long at[ROLE_ARCHIVE + 1];
	if (t->names_known)
		return 0;
	if (t->conf->kind == TARGET_EXCHANGE)
		map_exchange_find(list, at);
	for (size_t r = ROLE_SENT; t->conf->kind == TARGET_EXCHANGE && r <= ROLE_ARCHIVE; r++)
		if (at[r] >= 0 && learn_name(t, &list->v[at[r]], r, err))
			return -1;
	for (size_t i = 0; t->conf->kind == TARGET_IMAP && i < list->n; i++) {
		const struct folder *f = &list->v[i];
		bool is_own = f->role_by_attribute && f->can_select && !f->is_shared;
		if (is_own && f->role >= ROLE_SENT && f->role <= ROLE_ARCHIVE && learn_name(t, f, f->role, err))
			return -1;
	}
	t->names_known = true;
	return 0;
}

static int list_once(struct target_imap *t, struct err *err)
{
	struct folder_list list = {0};
	int rc = 0;
	if (t->listed)
		return 0;
	if (folder_list(t->conn, NULL, &list, NULL, err))
		return -1;
	t->separator = t->conf->kind == TARGET_EXCHANGE ? '/' : 0;
	for (size_t i = 0; i < list.n && !t->separator; i++)
		t->separator = list.v[i].separator;
	for (size_t i = 0; i < list.n && rc == 0; i++) {
		if (list.v[i].is_shared)
			continue;
		learn_prefix(t, &list.v[i]);
		rc = known_add_folder(t, &list.v[i], err);
	}
	if (rc == 0)
		rc = learn_names(t, &list, err);
	folder_list_done(&list);
	t->listed = rc == 0;
	return rc;
}

/* What concerns this folder alone becomes FOLDER, so that the others go on. */
static int refused_folder(struct err *err)
{
	enum err_action a = err_action(err->kind);
	if (a == ACT_SKIP_MESSAGE || err->kind == ERR_RIGHTS || err->kind == ERR_NOT_FOUND || err->kind == ERR_CONFLICT)
		err->kind = ERR_FOLDER;
	return -1;
}

static int create(struct target_imap *t, const char *raw, struct err *err)
{
	failpoint_hit(FP_FOLDER_BEFORE_CREATE);
	if (mailbox_create(t->conn, raw, err))
		return refused_folder(err);
	failpoint_hit(FP_FOLDER_AFTER_CREATE);
	return 0;
}

/* Another folder whose name Exchange holds for the same, near enough; NULL: none. */
static const char *find_widely(const struct target_imap *t, const char *path)
{
	const char *found = NULL;
	char *wanted = fold_name(path);
	for (size_t i = 0; wanted && i < t->n_known && !found; i++) {
		char *key = fold_name(t->known[i].key);
		found = key && !strcmp(key, wanted) ? t->known[i].raw : NULL;
		free(key);
	}
	free(wanted);
	return found;
}

/* The server refused a name, which may be taken: by which folder? Where it says so ("Mailbox already exists") and we know of none, our list may be
   older than what others made, and is taken anew. NULL: it does not tell, and *err stays what it said. */
static const char *find_taken(struct target_imap *t, const char *path, struct err *err)
{
	struct err ignored = ERR_INIT;
	const char *same = find_widely(t, path);
	if (same || !strstr(err->server, "exists"))
		return same;
	target_imap_forget_all(t);
	same = list_once(t, &ignored) == 0 ? find_widely(t, path) : NULL;
	if (!same)
		err_hint(err, "the destination holds this name for the same as another folder's there, or for one of "
			      "its own: rename "
			      "the folder at the source, or leave it out with --exclude");
	return same;
}

/* Makes the folder of one part below parent ("" at the top); path is its own as far as here, *raw its name at the server. */
static int make_part(
	struct target_imap *t, const char *parent, const char *path, const char *part, struct buf *raw, struct err *err)
{
	char *encoded = NULL;
	char sep[2] = {t->separator, '\0'};
	int rc = -1;
	if (t->separator != '/' && t->separator && strchr(part, t->separator))
		return err_set(err, ERR_FOLDER, "the name \"%s\" holds \"%c\", which separates folders there", part,
			t->separator);
	if (*parent && !t->separator) {
		err_set(err, ERR_FOLDER, "the destination has no folders within folders");
		return -1;
	}
	if (name_encode(part, &encoded, err))
		return -1;
	if (!*parent && is_inbox(part, strlen(part))) { /* always there, in whatever case */
		rc = buf_add_str(raw, "INBOX", err);
		goto out;
	}
	if (buf_add_str(raw, *parent ? parent : t->prefix, err) || (*parent && buf_add_str(raw, sep, err)) ||
		buf_add_str(raw, encoded, err))
		goto out;
	rc = create(t, buf_str(raw), err);
	const char *same = rc && err->kind == ERR_FOLDER && t->conf->kind == TARGET_EXCHANGE && !conn_is_dead(t->conn)
				   ? find_taken(t, path, err)
				   : NULL;
	if (same) {
		err_clear(err);
		buf_clear(raw);
		rc = buf_add_str(raw, same, err);
		goto out;
	}
	/* Courier and Cyrus of old take folders only below INBOX; in a fresh mailbox nothing in the list says so. */
	if (rc && err->kind == ERR_FOLDER && !*parent && !t->prefix_known && t->separator &&
		t->conf->kind == TARGET_IMAP && !conn_is_dead(t->conn)) {
		struct err second = ERR_INIT;
		buf_clear(raw);
		if (buf_printf(raw, &second, "INBOX%c%s", t->separator, encoded) == 0 &&
			create(t, buf_str(raw), &second) == 0) {
			snprintf(t->prefix, sizeof(t->prefix), "INBOX%c", t->separator);
			t->prefix_known = true;
			err_clear(err);
			rc = 0;
		}
	}
out:
	free(encoded);
	return rc;
}

/* Walks the path from the top and makes what is not there. */
static int find_or_make(struct target_imap *t, const char *path, struct buf *raw, struct err *err)
{
	struct buf parent;
	int rc = 0;
	buf_init(&parent, raw->cap);
	char *upto = strdup(path), *part = strdup(path);
	if (!upto || !part)
		rc = err_set(err, ERR_MEMORY, "no memory for a folder's name");
	for (const char *p = path; rc == 0 && *p;) {
		size_t n = strcspn(p, "/"), end = (size_t)(p - path) + n;
		snprintf(part, n + 1, "%s", p);
		snprintf(upto, end + 1, "%s", path);
		buf_clear(raw);
		const char *known = known_get(t, upto);
		if (n == 0)
			rc = err_set(err, ERR_FOLDER, "an empty part in the folder's name");
		else if (known)
			rc = buf_add_str(raw, known, err);
		else if ((rc = make_part(t, buf_str(&parent), upto, part, raw, err)) == 0)
			rc = known_add(t, upto, buf_str(raw), err);
		buf_clear(&parent);
		if (rc == 0)
			rc = buf_add(&parent, buf_str(raw), raw->len, err);
		p += n;
		p += *p == '/' && p[1];
	}
	free(upto);
	free(part);
	buf_done(&parent);
	return rc == 0 && raw->len == 0 ? err_set(err, ERR_FOLDER, "an empty folder name") : rc;
}

static int ref_fill(struct target_imap *t, const char *path, const char *raw, struct folder_ref *out, struct err *err)
{
	char number[16];
	*out = (struct folder_ref){.path = strdup(path), .id = strdup(raw)};
	if (!out->path || !out->id)
		goto fail;
	if (target_imap_select(t, out, true, err)) {
		folder_ref_done(out);
		return refused_folder(err);
	}
	snprintf(number, sizeof(number), "%" PRIu32, t->uidvalidity);
	out->generation = strdup(number);
	snprintf(number, sizeof(number), "%" PRIu32, t->uidnext);
	out->mark = strdup(number);
	out->existing = t->exists;
	if (out->generation && out->mark)
		return 0;
fail:
	folder_ref_done(out);
	return err_set(err, ERR_MEMORY, "no memory for a folder's name");
}

int target_imap_rules(struct target *base, struct map_rules *rules, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	if (!t->listed) {
		if (target_imap_begin(t, 0, 1, &w, err) || target_imap_end(t, &w, list_once(t, err), 1, err))
			return -1;
	}
	rules->exchange = t->conf->kind == TARGET_EXCHANGE;
	rules->separator = t->separator;
	/* The names are a guess by the list: of Graph, which is told them, the word stands. */
	if (t->names_known && !rules->well_known)
		rules->well_known = t->well_known;
	return 0;
}

int target_imap_folder(struct target *base, const char *path, struct folder_ref *out, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	struct buf raw;
	*out = (struct folder_ref){0};
	if (target_imap_begin(t, 0, 2, &w, err))
		return -1;
	buf_init(&raw, 64 * 1024);
	int rc = list_once(t, err);
	if (rc == 0) {
		rc = find_or_make(t, path, &raw, err);
		/* listed, but only as a name that has folders below it (\Noselect), or removed meanwhile: made now */
		if (rc == 0 && ref_fill(t, path, buf_str(&raw), out, err)) {
			rc = -1;
			if (err->kind == ERR_FOLDER && !conn_is_dead(t->conn) && create(t, buf_str(&raw), err) == 0)
				rc = ref_fill(t, path, buf_str(&raw), out, err);
		}
		if (rc)
			err_wrap_name(err, "folder", path);
	}
	buf_done(&raw);
	return target_imap_end(t, &w, rc, 2, err);
}

/* By a list that is fresh where the one of this session does not know the name: other sessions make folders too. */
int target_imap_find(struct target *base, const char *path, struct folder_ref *out, bool *found, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	*out = (struct folder_ref){0};
	*found = false;
	if (target_imap_begin(t, 0, 2, &w, err))
		return -1;
	bool fresh = !t->listed;
	int rc = list_once(t, err);
	if (rc == 0 && !known_get(t, path) && !fresh) {
		target_imap_forget_all(t);
		rc = list_once(t, err);
	}
	const char *raw = rc == 0 ? known_get(t, path) : NULL;
	if (rc == 0 && !raw && t->conf->kind == TARGET_EXCHANGE) /* as target_imap_folder ended up with it */
		raw = find_widely(t, path);
	if (raw) {
		rc = ref_fill(t, path, raw, out, err);
		*found = rc == 0;
		if (rc && err->kind == ERR_FOLDER &&
			!conn_is_dead(t->conn)) { /* a name that only holds folders, or removed since */
			target_imap_forget(t, path);
			err_clear(err);
			rc = 0;
		}
	}
	if (rc)
		err_wrap_name(err, "folder", path);
	return target_imap_end(t, &w, rc, 2, err);
}

/* As they compare: find() takes them whatever their case was. */
int target_imap_folders(struct target *base, char ***paths, size_t *n, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	*paths = NULL;
	*n = 0;
	if (target_imap_begin(t, 0, 1, &w, err) || target_imap_end(t, &w, list_once(t, err), 1, err))
		return -1;
	*paths = calloc(t->n_known ? t->n_known : 1, sizeof(**paths));
	for (size_t i = 0; *paths && i < t->n_known; i++) {
		if (((*paths)[*n] = strdup(t->known[i].key)))
			++*n;
	}
	return *n == t->n_known ? 0 : err_set(err, ERR_MEMORY, "no memory for the names of folders");
}
