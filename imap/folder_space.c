#include "imap/folder_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMESPACES_MOST = 100 };

void folder_namespaces_done(struct namespaces *spaces)
{
	for (size_t i = 0; i < spaces->n; i++)
		free(spaces->v[i].prefix);
	free(spaces->v);
	*spaces = (struct namespaces){0};
}

static int add(struct namespaces *out, const char *prefix, char separator, bool is_shared, struct err *err)
{
	if (out->n >= NAMESPACES_MOST)
		return 0;
	struct namespace *v = realloc(out->v, (out->n + 1) * sizeof(*v));
	char *copy = strdup(prefix);
	if (v)
		out->v = v;
	if (!v || !copy) {
		free(copy);
		return err_set(err, ERR_MEMORY, "out of memory for the folders");
	}
	out->v[out->n++] = (struct namespace){.prefix = copy, .separator = separator, .is_shared = is_shared};
	return 0;
}

static int add_item(struct namespaces *out, const struct mailimap_namespace_item *item, bool is_shared, struct err *err)
{
	if (!item || !item->ns_data_list)
		return 0;
	for (clistiter *i = clist_begin(item->ns_data_list); i; i = clist_next(i)) {
		const struct mailimap_namespace_info *info = clist_content(i);
		if (info->ns_prefix && add(out, info->ns_prefix, info->ns_delimiter, is_shared, err) < 0)
			return -1;
	}
	return 0;
}

int folder_read_namespaces(const struct mailimap_response_info *info, struct namespaces *out, struct err *err)
{
	*out = (struct namespaces){0};
	if (!info || !info->rsp_extension_list)
		return 0;
	for (clistiter *i = clist_begin(info->rsp_extension_list); i; i = clist_next(i)) {
		const struct mailimap_extension_data *e = clist_content(i);
		if (e->ext_extension->ext_id != MAILIMAP_EXTENSION_NAMESPACE || !e->ext_data)
			continue;
		const struct mailimap_namespace_data *d = e->ext_data;
		if (add_item(out, d->ns_personal, false, err) < 0 || add_item(out, d->ns_other, true, err) < 0 ||
			add_item(out, d->ns_shared, true, err) < 0) {
			folder_namespaces_done(out);
			return -1;
		}
		return 0;
	}
	return 0;
}

int folder_guess_prefix(const clist *lines, struct namespaces *out, struct err *err)
{
	char separator = 0;
	bool any = false;
	for (clistiter *i = clist_begin(lines); i; i = clist_next(i)) {
		const struct mailimap_mailbox_list *m = clist_content(i);
		if (!m->mb_name || strcasecmp(m->mb_name, "INBOX") == 0)
			continue;
		if (!m->mb_delimiter || strncasecmp(m->mb_name, "INBOX", 5) != 0 || m->mb_name[5] != m->mb_delimiter)
			return 0;
		any = true;
		separator = m->mb_delimiter;
	}
	if (!any)
		return 0;
	const char prefix[] = {'I', 'N', 'B', 'O', 'X', separator, '\0'};
	return add(out, prefix, separator, false, err);
}

/* Octets of the prefix that raw begins with, its separator or the name's end included; -1: another. INBOX has no case. */
static long fit(const struct namespace *s, const char *raw)
{
	size_t n = strlen(s->prefix), bare = n;
	if (bare > 0 && s->separator && s->prefix[bare - 1] == s->separator)
		bare--;
	bool is_inbox =
		bare >= 5 && strncasecmp(s->prefix, "INBOX", 5) == 0 && (bare == 5 || s->prefix[5] == s->separator);
	size_t exact_from = is_inbox ? 5 : 0;
	if (is_inbox && strncasecmp(raw, "INBOX", 5) != 0)
		return -1;
	size_t have = strlen(raw);
	if (have < bare || strncmp(raw + exact_from, s->prefix + exact_from, bare - exact_from) != 0)
		return -1;
	if (have == bare)
		return (long)bare;
	return strncmp(raw + bare, s->prefix + bare, n - bare) == 0 ? (long)n : -1;
}

const struct namespace *folder_find_namespace(const struct namespaces *spaces, const char *raw)
{
	const struct namespace *best = NULL;
	long longest = -1;
	bool is_inbox = strcasecmp(raw, "INBOX") == 0;
	for (size_t i = 0; i < spaces->n; i++) {
		long n = fit(&spaces->v[i], raw);
		if (n < 0 || (is_inbox && spaces->v[i].is_shared))
			continue;
		if (n > longest || (n == longest && best->is_shared && !spaces->v[i].is_shared)) {
			longest = n;
			best = &spaces->v[i];
		}
	}
	return best;
}

const char *folder_after_prefix(const struct namespace *space, const char *raw)
{
	long n = fit(space, raw);
	return n > 0 ? raw + n : raw;
}
