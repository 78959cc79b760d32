#include "upload/exosim/prepare.h"

#include "imap/name.h"
#include "upload/exosim/args.h"
#include "upload/exosim/backend.h"

#include <assert.h>
#include <strings.h>

void names_collect(void *ctx, const char *line, size_t len)
{
	struct names *names = ctx;
	const char *close = memchr(line, ')', len);
	struct args a = {close ? close + 1 : line, line + len};
	struct span raw;
	char *name = NULL;

	if (len < 7 || strncasecmp(line, "* LIST ", 7) != 0 || !close || !args_take_char(&a, ' ') ||
		!args_take_astring(&a, &raw, NULL) || !args_take_char(&a, ' ') || !args_take_astring(&a, &raw, &name))
		return;
	if (names->n == names->room) {
		names->room = names->room ? names->room * 2 : 64;
		names->v = realloc(names->v, names->room * sizeof(*names->v));
		assert(names->v);
	}
	names->v[names->n++] = name;
}

void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static int make_folders(struct exosim *x, struct mailbox *m, struct wire *backend, struct err *err)
{
	struct names names = {0};
	const struct known_folder *k;
	char command[400], quoted[300];
	bool mail_only = !profile_get(&x->profile, SW_NONMAIL_FOLDERS);

	if (backend_command(backend, "LIST \"\" \"*\"", names_collect, &names, err) < 0)
		return -1;
	folders_replace(m->folders, names.v, names.n);
	names_done(&names);
	for (size_t i = 0; (k = rule_known_folder(i)) != NULL; i++) {
		char *raw, *key, *found;

		if (k->kind == FOLDER_OTHER && mail_only)
			continue;
		if (name_encode(x->german ? k->german : k->english, &raw, err) < 0)
			return -1;
		key = folder_key(raw, false);
		found = folders_find(m->folders, key);
		args_quote(quoted, raw);
		free(raw);
		free(key);
		if (found) {
			free(found);
			continue;
		}
		snprintf(command, sizeof(command), "CREATE %s", quoted);
		if (backend_command(backend, command, NULL, NULL, err) < 0)
			return -1;
		snprintf(command, sizeof(command), "SUBSCRIBE %s", quoted);
		if (backend_command(backend, command, NULL, NULL, err) < 0)
			return -1;
		folders_forget(m->folders);
	}
	return 0;
}

int prepare_once(struct exosim *x, struct mailbox *m, struct wire *backend, struct err *err)
{
	int r = 0;

	pthread_mutex_lock(&m->preparing);
	if (!m->prepared)
		r = make_folders(x, m, backend, err);
	m->prepared = m->prepared || r == 0;
	pthread_mutex_unlock(&m->preparing);
	return r;
}
