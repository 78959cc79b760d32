/* nightferry batch report and verify. */
#include "engine/command/bind.h"
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/command/carried.h"
#include "engine/command/csv_file.h"
#include "engine/command/fence_watch.h"
#include "engine/command/left_behind.h"
#include "engine/command/outcome.h"
#include "engine/command/progress.h"
#include "engine/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 200

static const struct option_spec report_specs[] = {
	{.name = "output-dir",
		.arg = "DIR",
		.help = "write users.csv, items.csv and notes.csv there, safe to open in a spreadsheet"},
	{0}};
static const struct option_spec verify_specs[] = {{.name = "user", .arg = "USER", .help = "only this mailbox"},
	{.name = "quick",
		.help = "compare presence and header values only; nothing is read back, and the verdict is not kept"},
	{0}};

/* --- report ------------------------------------------------------------------------------------- */

struct report {
	struct cli *c;
	FILE *users, *items, *notes;
	json_t *out_users;
	size_t shown;
	struct outcomes outcomes;
};

static FILE *open_csv(const char *dir, const char *name, const char *head, struct err *err)
{
	char path[MODEL_PATH + 32];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return csv_file_open(path, head, err);
}

static int report_item(struct report *r, const struct user *u, const struct folder_row *f, const struct item *it,
	json_t *list, struct err *err)
{
	char at[CLOCK_TEXT] = "", uid[16], size[24], from[MODEL_TEXT], subject[MODEL_TEXT], message_id[MODEL_TEXT];
	print_show(it->print.from, from, sizeof from);
	print_show(it->print.subject, subject, sizeof subject);
	print_show(it->print.message_id, message_id, sizeof message_id);
	if (it->received.known)
		clock_format(it->received.at, at, sizeof at);
	snprintf(uid, sizeof uid, "%u", it->uid);
	snprintf(size, sizeof size, "%llu", (unsigned long long)it->size);
	const char *fields[] = {u->source_user, u->address, f ? f->name : "", uid, item_state_name(it->state), at, from,
		subject, message_id, size, err_kind_name(it->error_kind), it->error};
	if (r->items && csv_file_row(r->items, fields, sizeof fields / sizeof fields[0], err))
		return -1;
	json_array_append_new(
		list, json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:s}", "folder", f ? f->name : "", "uid",
			      (json_int_t)it->uid, "state", item_state_name(it->state), "received", at, "from", from,
			      "subject", subject, "message_id", message_id, "size", (json_int_t)it->size, "kind",
			      err_kind_name(it->error_kind), "reason", it->error));
	if (!r->c->json && r->shown++ < 100)
		printf("    %s: folder %s, UID %s, %s, %s octets%s%.60s%s%.60s%s\n        %s\n",
			item_state_name(it->state), f ? f->name : "?", uid, at, size, from[0] ? ", from " : "", from,
			subject[0] ? ", \"" : "", subject, subject[0] ? "\"" : "", it->error);
	return 0;
}

static int report_items(struct report *r, const struct user *u, json_t *list, struct err *err)
{
	struct folder_row *folders = NULL;
	size_t n_folders = 0, n = 0;
	struct item *page = calloc(PAGE, sizeof *page);
	int64_t generation = 0;
	uint32_t uid = 0;
	int rc = page ? store_folders(r->c->store, u->id, &folders, &n_folders, err)
		      : err_set(err, ERR_MEMORY, "no memory");
	while (!rc && !(rc = store_set_aside_list(r->c->store, u->id, generation, uid, page, PAGE, &n, err)) && n) {
		generation = page[n - 1].generation_id;
		uid = page[n - 1].uid;
		for (size_t i = 0; i < n; i++) {
			const struct folder_row *f = NULL;
			for (size_t k = 0; k < n_folders && !f; k++)
				f = folders[k].generation_id == page[i].generation_id ? &folders[k] : NULL;
			if (!rc)
				rc = report_item(r, u, f, &page[i], list, err);
			item_done(&page[i]);
		}
	}
	store_folders_free(&folders, n_folders);
	free(page);
	return rc;
}

static int report_notes(struct report *r, const struct user *u, json_t *list, struct err *err)
{
	struct note *v = NULL;
	size_t n = 0;
	if (store_notes(r->c->store, u->id, &v, &n, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++) {
		const char *fields[] = {u->source_user, v[i].kind, v[i].text};
		json_array_append_new(list, json_pack("{s:s,s:s}", "kind", v[i].kind, "text", v[i].text));
		if (!r->c->json)
			printf("    note: %s\n", v[i].text);
		if (r->notes)
			rc = csv_file_row(r->notes, fields, 3, err);
	}
	free(v);
	return rc;
}

/* How often it was made to wait. */
static int report_throttling(struct report *r, const struct user *u, json_t *out, struct err *err)
{
	struct live_row row;
	char text[160];
	if (store_live_get(r->c->store, u->id, &row, err))
		return -1;
	json_object_set_new(out, "throttling",
		json_pack("{s:i,s:I,s:i}", "refused_requests", (int)row.refused, "fenced_ms", (json_int_t)row.fenced_ms,
			"deferrals", (int)row.deferrals));
	if (!bind_history(&row, text, sizeof text)[0])
		return 0;
	const char *fields[] = {u->source_user, "throttling", text};
	if (!r->c->json)
		printf("    note: %s\n", text);
	return r->notes ? csv_file_row(r->notes, fields, 3, err) : 0;
}

/* What a mailbox's row begins with, then forecast and fact. */
static int write_user(struct report *r, const char *const *fields, size_t n, const struct outcome *o, struct err *err)
{
	const char *all[32];
	struct outcome_row row;
	outcome_row(o, &row);
	memcpy(all, fields, n * sizeof *fields);
	memcpy(all + n, row.fields, sizeof row.fields);
	return csv_file_row(r->users, all, n + OUTCOME_COLUMNS, err);
}

static int report_user(struct report *r, const struct user *u, const struct outcome *o, struct err *err)
{
	char n[8][24];
	const struct user_counts *k = &u->counts;
	const uint64_t v[8] = {
		k->found, k->copied, k->adopted, k->skipped, k->refused, k->gone, k->in_doubt, k->copied_bytes};
	for (int i = 0; i < 8; i++)
		snprintf(n[i], sizeof n[i], "%llu", (unsigned long long)v[i]);
	const char *fields[] = {u->source_user, u->address, user_state_name(u->state), n[0], n[1], n[2], n[3], n[4],
		n[5], n[6], n[7], u->error_kind == ERR_NONE ? "" : err_kind_name(u->error_kind), u->error};
	if (r->users && write_user(r, fields, sizeof fields / sizeof fields[0], o, err))
		return -1;
	json_t *routes = NULL;
	char by[128];
	if (carried_look(r->c->store, u->batch_id, u->id, &routes, by, sizeof by, err))
		return -1;
	if (!r->c->json) {
		progress_print_user(u);
		if (by[0])
			printf("    copied %s\n", by);
		outcome_print_user(o);
	}
	json_t *j = progress_user_json(u), *items = json_array(), *notes = json_array();
	json_object_set_new(j, "routes", routes);
	json_object_set_new(j, "forecast_and_fact", outcome_json(o));
	json_object_set_new(j, "items", items);
	json_object_set_new(j, "notes", notes);
	json_array_append_new(r->out_users, j);
	return report_items(r, u, items, err) || report_notes(r, u, notes, err) || report_throttling(r, u, j, err) ? -1
														   : 0;
}

static int open_report(struct report *r, const char *dir, struct err *err)
{
	if (!dir)
		return 0;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(err, ERR_DISK, "%s cannot be made: %s", dir, strerror(errno));
	r->users = open_csv(dir, "users.csv",
		"UserName,EmailAddress,State,Found,Copied,ThereBefore,Skipped,Refused,Gone,InDoubt,CopiedBytes,"
		"ErrorKind,Error," OUTCOME_HEAD,
		err);
	r->items = r->users
			   ? open_csv(dir, "items.csv",
				     "UserName,EmailAddress,Folder,UID,State,Received,From,Subject,MessageId,Size,Kind,"
				     "Reason",
				     err)
			   : NULL;
	r->notes = r->items ? open_csv(dir, "notes.csv", "UserName,Kind,Text", err) : NULL;
	return r->notes ? 0 : -1;
}

static int run_report(struct cli *c, struct err *err)
{
	struct batch b;
	struct user *v = NULL;
	size_t n = 0;
	struct report r = {.c = c, .out_users = json_array()};
	const char *dir = option_get(&c->opt, "output-dir");
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) || store_user_list(c->store, b.id, &v, &n, err) ||
		outcome_load(&r.outcomes, c->store, b.id, err)) {
		json_decref(r.out_users);
		free(v);
		return -1;
	}
	c->out = json_pack("{s:s,s:s,s:s,s:o}", "batch", b.name, "state", batch_state_name(b.state), "verdict",
		b.verdict, "users", r.out_users);
	json_t *routes = NULL;
	char by[128];
	int rc = carried_look(c->store, b.id, 0, &routes, by, sizeof by, err);
	json_object_set_new(c->out, "routes", routes);
	if (!rc)
		rc = open_report(&r, dir, err);
	if (!rc && !c->json)
		printf("Batch %s: %s, verification %s\n", b.name, batch_state_name(b.state),
			b.verdict[0] ? b.verdict : "not done");
	if (!rc && !c->json && by[0])
		printf("Copied %s\n", by);
	if (!rc && !c->json)
		outcome_print_batch(&r.outcomes);
	json_object_set_new(c->out, "forecast_and_fact", outcome_batch_json(&r.outcomes));
	for (size_t i = 0; i < n && i < r.outcomes.n && !rc; i++)
		rc = report_user(&r, &v[i], &r.outcomes.v[i], err);
	outcome_done(&r.outcomes);
	free(v);
	int closed = csv_file_close(&r.users, err) | csv_file_close(&r.items, err) | csv_file_close(&r.notes, err);
	if (rc || closed)
		return -1;
	if (!c->json && r.shown > 100)
		printf("(%zu more items: --output-dir or --json has all)\n", r.shown - 100);
	if (!c->json && dir)
		printf("Written: %s/users.csv, items.csv, notes.csv\n", dir);
	return EXIT_DONE;
}

/* --- verify ------------------------------------------------------------------------------------- */

static void print_folder(const struct verify_folder *f, const char *name)
{
	char column[34 * 5];
	printf("  %s %9llu %11llu %8llu %9llu %7llu", cli_column(name, 34, column, sizeof column),
		(unsigned long long)f->source, (unsigned long long)f->destination, (unsigned long long)f->missing,
		(unsigned long long)f->duplicate, (unsigned long long)f->altered);
	if (f->refused)
		printf("  %llu refused", (unsigned long long)f->refused);
	if (f->skipped)
		printf("  %llu left out", (unsigned long long)f->skipped);
	if (f->gone)
		printf("  %llu deleted there since", (unsigned long long)f->gone);
	if (f->moved)
		printf("  %llu moved there since", (unsigned long long)f->moved);
	if (f->rewritten)
		printf("  %llu re-encoded by the destination", (unsigned long long)f->rewritten);
	puts("");
}

static json_t *folder_json(const struct verify_folder *f)
{
	json_t *routes = json_object();
	for (size_t i = 0; i < VERIFY_ROUTES && f->routes[i].name[0]; i++)
		json_object_set_new(routes, f->routes[i].name, json_integer((json_int_t)f->routes[i].n));
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "source_folder", f->name,
		"destination_folder", f->path, "source", (json_int_t)f->source, "destination",
		(json_int_t)f->destination, "same", (json_int_t)f->same, "rewritten", (json_int_t)f->rewritten,
		"not_read_back", (json_int_t)f->unread, "missing", (json_int_t)f->missing, "waiting",
		(json_int_t)f->waiting, "refused", (json_int_t)f->refused, "skipped", (json_int_t)f->skipped, "gone",
		(json_int_t)f->gone, "moved", (json_int_t)f->moved, "duplicate", (json_int_t)f->duplicate, "altered",
		(json_int_t)f->altered, "routes", routes);
}

struct verification {
	struct cli *c;
	struct batch *b;
	struct work *work;
	bool quick;
	json_t *users;
	struct verify_folder total;
	struct left_behind left;
	unsigned failed, deferred; /* users that could not be compared; of them: whose day's budget is spent */
};

static int verify_one(struct verification *x, const struct user *u, struct err *err)
{
	struct verify_result r = {0};
	if (verify_user(x->work, x->b, u, x->quick, &r, err)) {
		verify_done(&r);
		if (err->kind == ERR_STORE || err->kind == ERR_VAULT || err->kind == ERR_DISK)
			return -1;
		x->failed++;
		x->deferred += err->kind == ERR_DEFERRED;
		cli_print_error(&(struct cli){0}, err);
		json_array_append_new(
			x->users, json_pack("{s:s,s:s,s:s,s:s}", "source_user", u->source_user, "address", u->address,
					  "error_kind", err_kind_name(err->kind), "error", err->text));
		err_clear(err);
		return 0;
	}
	json_t *folders = json_array();
	if (!x->c->json)
		printf("%s -> %s\n  %-34s %9s %11s %8s %9s %7s\n", u->source_user, u->address, "FOLDER", "AT SOURCE",
			"DESTINATION", "MISSING", "DUPLICATE", "ALTERED");
	for (size_t i = 0; i < r.n; i++) {
		json_array_append_new(folders, folder_json(&r.folders[i]));
		if (!x->c->json)
			print_folder(&r.folders[i], r.folders[i].name);
	}
	if (!x->c->json && r.n > 1)
		print_folder(&r.total, "= together");
	char left[256];
	if (!x->c->json && left_behind_any(&r.left))
		printf("  %s; nightferry user show tells which\n", left_behind_text(&r.left, left, sizeof left));
	if (!x->c->json && r.first_trouble[0])
		printf("  first trouble: %s\n", r.first_trouble);
	json_array_append_new(
		x->users, json_pack("{s:s,s:s,s:s,s:o,s:I,s:I,s:s}", "source_user", u->source_user, "address",
				  u->address, "verdict", verify_verdict(&r.total, &r.left, x->b->skips_acknowledged),
				  "folders", folders, "folders_left", (json_int_t)r.left.folders, "patterns_unmatched",
				  (json_int_t)r.left.patterns, "first_trouble", r.first_trouble));
	x->total.source += r.total.source;
	x->total.same += r.total.same;
	x->total.missing += r.total.missing;
	x->total.waiting += r.total.waiting;
	x->total.refused += r.total.refused;
	x->total.skipped += r.total.skipped;
	x->total.gone += r.total.gone;
	x->total.moved += r.total.moved;
	x->total.duplicate += r.total.duplicate;
	x->total.altered += r.total.altered;
	x->total.unread += r.total.unread;
	x->left.folders += r.left.folders;
	x->left.patterns += r.left.patterns;
	verify_done(&r);
	return 0;
}

static int run_verify(struct cli *c, struct err *err)
{
	struct batch b;
	struct user *v = NULL, one;
	size_t n = 0;
	struct work work;
	struct stop *stop = stop_new(NULL);
	const char *who = option_get(&c->opt, "user");
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) ||
		(who && store_user_get(c->store, b.id, who, &one, err)) ||
		(!who && store_user_list(c->store, b.id, &v, &n, err)) || work_init(&work, c->store, stop, err))
		return -1;
	bool any = who;
	for (size_t i = 0; i < n; i++)
		any |= v[i].started_at > 0;
	struct verification x = {
		.c = c, .b = &b, .work = &work, .quick = option_is_given(&c->opt, "quick"), .users = json_array()};
	char word[MODEL_NAME + 2];
	int rc = any ? 0
		     : err_set(err, ERR_CONFLICT, "batch %s was not started yet: there is nothing to compare", b.name);
	struct scope *scope = verify_scope(&work);
	struct fence_watch *watch = scope ? fence_watch_new(scope, "the verification") : NULL;
	if (who && !rc)
		rc = verify_one(&x, &one, err);
	for (size_t i = 0; i < n && !rc; i++)
		if (v[i].started_at)
			rc = verify_one(&x, &v[i], err);
	fence_watch_free(&watch);
	scope_close(&scope);
	free(v);
	work_done(&work);
	stop_free(&stop);
	const char *verdict = x.failed ? "Investigate" : verify_verdict(&x.total, &x.left, b.skips_acknowledged);
	c->out = json_pack("{s:s,s:s,s:i,s:o}", "batch", b.name, "verdict", verdict, "not_verified", (int)x.failed,
		"users", x.users);
	if (rc || (!who && !x.quick && store_verdict(c->store, b.id, verdict, err)))
		return -1;
	if (!c->json)
		printf("Verification of %s: %s. %llu at the source, %llu the same at the destination, %llu missing, "
		       "%llu duplicate, %llu altered.\n",
			b.name, verdict, (unsigned long long)x.total.source, (unsigned long long)x.total.same,
			(unsigned long long)x.total.missing, (unsigned long long)x.total.duplicate,
			(unsigned long long)x.total.altered);
	if (!c->json && x.failed)
		printf("%u mailbox%s could not be compared: mend what is told above, then verify again.\n", x.failed,
			x.failed == 1 ? "" : "es");
	if (!c->json && !b.skips_acknowledged && x.total.refused && !strcmp(verdict, "Investigate"))
		printf("%llu were left out and nobody acknowledged that: nightferry batch report %s, nightferry batch "
		       "set %s --acknowledge-skips, "
		       "then verify again.\n",
			(unsigned long long)(x.total.refused + x.total.skipped), cli_word(b.name, word, sizeof word),
			word);
	const char *of_looked =
		x.failed == x.deferred ? verify_verdict(&x.total, &x.left, b.skips_acknowledged) : verdict;
	if (strcmp(of_looked, "Perfect") && strcmp(of_looked, "Good"))
		return EXIT_NOT_GOOD;
	return x.deferred ? EXIT_DEFERRED : EXIT_DONE;
}

const struct command commands_report[] = {
	{"batch", "report", "NAME", 1, 1, "what was moved, what was left out, and why", NULL, report_specs, CLI_STORE,
		run_report},
	{"batch", "verify", "NAME", 1, 1, "compare both sides message by message",
		"Lists both sides and reads every message back from the destination: never arrived, moved or deleted "
		"there since, altered, twice. "
		"Changes nothing. Exit code 4 when the verdict is worse than Good, 75 when a daily budget left "
		"mailboxes for "
		"later.",
		verify_specs, CLI_STORE, run_verify},
	{0}};
