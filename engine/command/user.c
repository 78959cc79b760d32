/* nightferry user ...: single migration users of a batch. */
#include "engine/command/cli.h"

#include "engine/command/assess_view.h"
#include "engine/command/progress.h"

#include <stdlib.h>
#include <string.h>

static const struct option_spec no_specs[] = {{0}};

static int find(struct cli *c, struct batch *b, struct user *u, struct err *err)
{
	return store_batch_get(c->store, cli_operand(c, 0), b, err) ||
			       store_user_get(c->store, b->id, cli_operand(c, 1), u, err)
		       ? -1
		       : 0;
}

static int run_list(struct cli *c, struct err *err)
{
	struct batch b;
	struct user *v = NULL;
	size_t n = 0;
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) || store_user_list(c->store, b.id, &v, &n, err))
		return -1;
	c->out = json_array();
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(c->out, progress_user_json(&v[i]));
		if (!c->json)
			progress_print_user(&v[i]);
	}
	free(v);
	return EXIT_DONE;
}

static int run_show(struct cli *c, struct err *err)
{
	struct batch b;
	struct user u;
	struct folder_row *f = NULL;
	struct note *notes = NULL;
	size_t n = 0, n_notes = 0;
	char from[36 * 5], to[36 * 5];
	if (find(c, &b, &u, err) || store_folders(c->store, u.id, &f, &n, err))
		return -1;
	if (store_notes(c->store, u.id, &notes, &n_notes, err)) {
		store_folders_free(&f, n);
		return -1;
	}
	c->out = progress_user_json(&u);
	json_t *folders = json_array(), *list = json_array();
	if (!c->json) {
		printf("%s -> %s%s%s\n", u.source_user, u.address,
			u.dest_id[0] && strcmp(u.dest_id, u.address) ? ", id " : "",
			u.dest_id[0] && strcmp(u.dest_id, u.address) ? u.dest_id : "");
		progress_print_user(&u);
		if (n)
			printf("\n%-36s %-36s %9s %9s %8s\n", "SOURCE FOLDER", "DESTINATION FOLDER", "FOUND", "COPIED",
				"REFUSED");
	}
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(
			folders, json_pack("{s:s,s:s,s:I,s:b,s:o}", "source", f[i].name, "destination", f[i].path,
					 "uidvalidity", (json_int_t)f[i].uidvalidity, "current", (int)f[i].current,
					 "counts", progress_counts_json(&f[i].counts)));
		if (!c->json)
			printf("%s %s %9llu %9llu %8llu%s\n", cli_column(f[i].name, 36, from, sizeof from),
				cli_column(f[i].path, 36, to, sizeof to), (unsigned long long)f[i].counts.found,
				(unsigned long long)(f[i].counts.copied + f[i].counts.adopted),
				(unsigned long long)f[i].counts.refused, f[i].current ? "" : "  (older UIDVALIDITY)");
	}
	for (size_t i = 0; i < n_notes; i++) {
		json_array_append_new(list, json_pack("{s:s,s:s}", "kind", notes[i].kind, "text", notes[i].text));
		if (!c->json)
			printf("note: %s\n", notes[i].text);
	}
	json_object_set_new(c->out, "folders", folders);
	json_object_set_new(c->out, "notes", list);
	store_folders_free(&f, n);
	free(notes);
	return assess_view_findings(c, &u, err) ? -1 : EXIT_DONE;
}

static int want(struct cli *c, enum user_want what, const char *verb, const char *past, struct err *err)
{
	struct batch b;
	struct user u;
	unsigned changed = 0;
	if (find(c, &b, &u, err))
		return -1;
	if (what == WANT_SYNC && !b.started_at) {
		err_set(err, ERR_CONFLICT, "batch %s was not started yet", b.name);
		err_hint(err, "nightferry batch start %s %s", b.name, u.source_user);
		return -1;
	}
	if (store_batch_want(c->store, b.id, u.id, what, verb, &changed, err))
		return -1;
	if (!c->json)
		printf("%s: %s.\n", u.source_user, changed ? past : "nothing to change");
	else
		c->out = json_pack("{s:s,s:s,s:i}", "user", u.source_user, "verb", verb, "users", (int)changed);
	return EXIT_DONE;
}

static int run_start(struct cli *c, struct err *err)
{
	return want(c, WANT_SYNC, "start", "to move", err);
}

static int run_stop(struct cli *c, struct err *err)
{
	return want(c, WANT_NOTHING, "stop", "asked to stop", err);
}

static int run_delete(struct cli *c, struct err *err)
{
	struct batch b;
	struct user u;
	char object[MODEL_NAME + MODEL_TEXT + 2];
	if (find(c, &b, &u, err))
		return -1;
	snprintf(object, sizeof object, "%s/%s", b.name, u.source_user);
	if (store_user_delete(c->store, u.id, err) || store_audit(c->store, "user delete", object, "", err))
		return -1;
	if (!c->json)
		printf("%s is taken out of batch %s; its password and checkpoint are deleted.\n", u.source_user,
			b.name);
	else
		c->out = json_pack("{s:s}", "deleted", u.source_user);
	return EXIT_DONE;
}

const struct command commands_user[] = {
	{"user", "list", "BATCH", 1, 1, "all migration users of a batch", NULL, no_specs, CLI_STORE, run_list},
	{"user", "show", "BATCH USER", 2, 2, "one mailbox with its folders and notes", NULL, no_specs, CLI_STORE,
		run_show},
	{"user", "start", "BATCH USER", 2, 2, "move this one again after a stop or a failure", NULL, no_specs,
		CLI_STORE, run_start},
	{"user", "stop", "BATCH USER", 2, 2, "finish what is in flight, then pause this one", NULL, no_specs, CLI_STORE,
		run_stop},
	{"user", "delete", "BATCH USER", 2, 2, "take a mailbox out of its batch", NULL, no_specs, CLI_STORE,
		run_delete},
	{0}};
