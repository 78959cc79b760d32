/* The mapping: any list gives unique, non-empty, valid paths. Input: an octet of rules, then one folder a
   line: an octet of its role and kind, then parts separated by '|'. */
#include "imap/map.h"

#include "engine/base/utf8.h"
#include "imap/fold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 60 };

static void read_folder(struct folder *f, const char *line, size_t n)
{
	unsigned kind = (unsigned char)line[0];
	*f = (struct folder){.raw = strndup(line + 1, n - 1),
		.role = (enum folder_role)(kind % (ROLE_FLAGGED + 1)),
		.role_by_attribute = kind & 16,
		.can_select = kind & 32,
		.is_mail = kind & 64,
		.is_shared = kind & 128};
	f->name = strdup(f->raw);
	f->parts = calloc(n + 1, sizeof(*f->parts));
	for (char *p = f->raw;; p++) {
		size_t part = strcspn(p, "|");
		f->parts[f->n_parts++] = strndup(p, part);
		p += part;
		if (!*p)
			break;
	}
}

static void check(const struct folder_list *l, const struct map_rules *rules)
{
	struct err err = ERR_INIT;
	struct mapping *m;
	char *keys[MOST];
	int rc = map_folders(l, rules, &m, &err);
	assert(rc == 0);
	for (size_t i = 0; i < l->n; i++) {
		size_t n = strlen(m[i].path);
		assert(n > 0 && m[i].path[0] != '/' && m[i].path[n - 1] != '/' && !strstr(m[i].path, "//"));
		assert(utf8_is_valid(m[i].path, n));
		keys[i] = rules->exchange ? fold_name(m[i].path) : strdup(m[i].path);
		for (size_t k = 0; k < i && !rules->merge; k++)
			assert(strcmp(keys[i], keys[k]) != 0);
	}
	for (size_t i = 0; i < l->n; i++)
		free(keys[i]);
	map_done(&m, l->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct folder_list l = {.v = calloc(MOST, sizeof(*l.v))};
	const struct map_rules rules = {
		.exchange = data[0] & 1, .merge = data[0] & 2, .separator = data[0] & 4 ? '.' : '/'};
	char *text = strndup((const char *)data + 1, size - 1);
	for (const char *p = text; *p && l.n < MOST;) {
		size_t n = strcspn(p, "\n");
		if (n > 0)
			read_folder(&l.v[l.n++], p, n);
		p += n + (p[n] == '\n');
	}
	check(&l, &rules);
	for (size_t i = 0; i < l.n; i++) {
		for (size_t k = 0; k < l.v[i].n_parts; k++)
			free(l.v[i].parts[k]);
		free(l.v[i].parts);
		free(l.v[i].raw);
		free(l.v[i].name);
	}
	free(l.v);
	free(text);
	return 0;
}
