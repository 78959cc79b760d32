/* nightferry batch create, list, show, set, delete. The verbs that move mail are in command_run.c, reports in command_report.c. */
#include "engine/command/cli.h"

#include "engine/base/clock.h"
#include "engine/command/csv.h"
#include "engine/command/outcome.h"
#include "engine/command/progress.h"
#include "engine/command/window.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPTIONS \
	{.name = "max-mailboxes", \
		.arg = "N", \
		.help = "mailboxes at once (default 2, until a pilot is clean)", \
		.group = "How"}, \
		{.name = "max-concurrent", .arg = "N", .help = "the same"}, \
		{.name = "auto-ramp", \
			.arg = "on|off", \
			.help = "more mailboxes at once by itself, step by step from max-mailboxes, and fewer where " \
				"the source " \
				"slows down or refuses (default off: only advice is given)"}, \
		{.name = "uploads", \
			.arg = "N", \
			.help = "connections that write into one mailbox, 1 to 4 (default 1)"}, \
		{.name = "rate", \
			.arg = "BYTES/s", \
			.help = "most octets a second for the batch as a whole; 0: no limit"}, \
		{.name = "existing", \
			.arg = "adopt|copy|refuse", \
			.help = "mail that is at the destination already: take over what is the same " \
				"(default), copy all the same, or refuse the folder"}, \
		{.name = "include", \
			.arg = "PATTERNS", \
			.help = "only these folders, such as \"INBOX,Projects/*\"; also what its name alone keeps " \
				"back (Notes, Tasks)"}, \
		{.name = "exclude", .arg = "PATTERNS", .help = "not these folders"}, \
		{.name = "copy-deleted", .help = "take messages marked \\Deleted too"}, \
	{ \
		.name = "date-from-header", .help = "received date from the Date field, where the host lost it" \
	}

static const struct option_spec create_specs[] = {
	{.name = "endpoint", .arg = "NAME", .help = "the source", .group = "What"},
	{.name = "target", .arg = "NAME", .help = "the destination"},
	{.name = "csv", .arg = "FILE", .help = "migration users: EmailAddress,UserName,Password[,UserRoot]"},
	{.name = "pilot", .help = "a pilot: few known-good mailboxes, to be clean before others start"}, OPTIONS,
	WINDOW_OPTIONS, {0}};
static const struct option_spec set_specs[] = {OPTIONS, WINDOW_OPTIONS,
	{.name = "csv",
		.arg = "FILE",
		.group = "What",
		.help = "new passwords, from a CSV with rows of users that the batch has"},
	{.name = "endpoint", .arg = "NAME", .help = "another endpoint"},
	{.name = "acknowledge-skips", .help = "the skipped and refused items were looked at (a pilot needs it)"}, {0}};
static const struct option_spec no_specs[] = {{0}};

static int read_options(struct cli *c, struct batch *b, struct err *err)
{
	const char *existing = option_get(&c->opt, "existing");
	if (existing && !strcmp(existing, "adopt"))
		b->existing = EXISTING_ADOPT;
	else if (existing && !strcmp(existing, "copy"))
		b->existing = EXISTING_COPY;
	else if (existing && !strcmp(existing, "refuse"))
		b->existing = EXISTING_REFUSE;
	else if (existing)
		return err_set(err, ERR_USAGE, "--existing is adopt, copy or refuse");
	b->copy_deleted |= option_is_given(&c->opt, "copy-deleted");
	b->date_from_header |= option_is_given(&c->opt, "date-from-header");
	return cli_uint_option(c, "max-concurrent", 1, 1000, &b->max_mailboxes, err) ||
			       cli_uint_option(c, "max-mailboxes", 1, 1000, &b->max_mailboxes, err) ||
			       cli_uint_option(c, "uploads", 1, 4, &b->uploads, err) ||
			       cli_rate_option(c, "rate", &b->bytes_per_s, err) ||
			       cli_copy_option(c, "include", b->include, sizeof b->include, err) ||
			       cli_copy_option(c, "exclude", b->exclude, sizeof b->exclude, err)
		       ? -1
		       : 0;
}

static int read_night(struct cli *c, const struct batch *b, const struct endpoint *e, const struct target_row *t,
	struct night *n, bool *given, struct err *err)
{
	const char *ramp = option_get(&c->opt, "auto-ramp");
	if (ramp && strcmp(ramp, "on") != 0 && strcmp(ramp, "off") != 0)
		return err_set(err, ERR_USAGE, "--auto-ramp is on or off");
	if (window_read(c, n, given, err) || window_check_share(n, b, e, t, err))
		return -1;
	*given |= ramp != NULL;
	if (ramp)
		n->auto_ramp = !strcmp(ramp, "on");
	return 0;
}

static int need_option(const struct cli *c, const char *name, struct err *err)
{
	return option_get(&c->opt, name) ? 0 : err_set(err, ERR_USAGE, "--%s is missing", name);
}

static void warn_readable(const char *path)
{
	struct stat st;
	if (!stat(path, &st) && st.st_mode & 044)
		fprintf(stderr,
			"nightferry: warning: %s holds passwords and others may read it: chmod 600 it, or remove it "
			"now\n",
			path);
}

static int run_create(struct cli *c, struct err *err)
{
	struct batch b = {.max_mailboxes = 2, .uploads = 1, .created_at = clock_wall_s()};
	struct endpoint e;
	struct target_row t;
	struct csv_users users = {0};
	const char *name = cli_operand(c, 0);
	if (cli_check_name(name, err) || need_option(c, "endpoint", err) || need_option(c, "target", err) ||
		need_option(c, "csv", err) || read_options(c, &b, err) ||
		store_endpoint_get(c->store, option_get(&c->opt, "endpoint"), &e, err) ||
		store_target_get(c->store, option_get(&c->opt, "target"), &t, err))
		return -1;
	snprintf(b.name, sizeof b.name, "%s", name);
	b.pilot = option_is_given(&c->opt, "pilot");
	b.endpoint_id = e.id;
	b.target_id = t.id;
	struct night night = {0};
	bool has_night;
	if (read_night(c, &b, &e, &t, &night, &has_night, err))
		return -1;
	bool administrator = e.admin_user[0] || e.login_template[0];
	if (csv_load(option_get(&c->opt, "csv"), !administrator, &users, err))
		return -1;
	union {
		struct secret **in;
		const struct secret *const *out;
	} pw = {.in = users.passwords};
	int rc = store_batch_create(c->store, &b, users.users, pw.out, users.n, err);
	if (!rc && has_night)
		rc = store_night_save(c->store, b.id, &night, err);
	if (!rc) {
		char detail[160];
		snprintf(detail, sizeof detail, "%zu users, endpoint %s, target %s", users.n, e.name, t.name);
		rc = store_audit(c->store, "batch create", b.name, detail, err);
	}
	char word[MODEL_NAME + 2];
	if (!rc && !c->json)
		printf("Batch %s is created: %zu %s from %s into %s (CSV: %s, separator \"%c\").\nNext: nightferry "
		       "batch start %s --wait\n",
			b.name, users.n, users.n == 1 ? "mailbox" : "mailboxes", e.name, t.name, users.encoding,
			users.separator, cli_word(b.name, word, sizeof word));
	if (!rc && !c->json)
		window_say(&night);
	else if (!rc)
		c->out = json_pack("{s:s,s:i,s:b}", "batch", b.name, "users", (int)users.n, "pilot", (int)b.pilot);
	bool has_password = false;
	for (size_t i = 0; i < users.n; i++)
		has_password |= users.passwords[i] != NULL;
	csv_done(&users);
	if (!rc && has_password)
		warn_readable(option_get(&c->opt, "csv"));
	return rc ? -1 : EXIT_DONE;
}

static json_t *batch_json(struct cli *c, const struct batch *b)
{
	struct endpoint e = {0};
	struct target_row t = {0};
	struct err ignored = ERR_INIT;
	static const char *const existing[] = {"adopt", "copy", "refuse"};
	store_endpoint_by_id(c->store, b->endpoint_id, &e, &ignored);
	store_target_by_id(c->store, b->target_id, &t, &ignored);
	struct night n;
	store_night_get(c->store, b->id, &n, &ignored);
	json_t *out = json_pack("{s:s,s:s,s:s,s:s,s:b,s:i,s:i,s:I,s:s,s:s,s:s,s:b,s:b,s:b,s:s,s:I,s:I,s:I}", "name",
		b->name, "endpoint", e.name, "target", t.name, "state", batch_state_name(b->state), "pilot",
		(int)b->pilot, "max_mailboxes", (int)b->max_mailboxes, "uploads", (int)b->uploads, "bytes_per_s",
		(json_int_t)b->bytes_per_s, "existing", existing[b->existing], "include", b->include, "exclude",
		b->exclude, "copy_deleted", (int)b->copy_deleted, "date_from_header", (int)b->date_from_header,
		"skips_acknowledged", (int)b->skips_acknowledged, "verdict", b->verdict, "created_at",
		(json_int_t)b->created_at, "started_at", (json_int_t)b->started_at, "ended_at",
		(json_int_t)b->ended_at);
	json_object_set_new(out, "night", window_json(&n, clock_wall_s()));
	return out;
}

static void print_night(const json_t *night)
{
	static const char *const lists[] = {"windows", "blackouts"};
	for (size_t i = 0; i < 2; i++) {
		size_t k;
		json_t *v;
		json_array_foreach(json_object_get(night, lists[i]), k, v)
			printf("%-20s %s\n", i ? "Blackout" : "Window", json_string_value(v));
	}
	static const char *const texts[] = {"time_zone", "text"};
	for (size_t i = 0; i < 2; i++) {
		const char *v = json_string_value(json_object_get(night, texts[i]));
		if (v && v[0])
			printf("%-20s %s\n", i ? "Now" : "Time zone", v);
	}
	printf("%-20s %s\n", "Auto-ramp", json_is_true(json_object_get(night, "auto_ramp")) ? "on" : "off");
}

static int run_list(struct cli *c, struct err *err)
{
	struct batch *v = NULL;
	size_t n = 0;
	if (store_batch_list(c->store, &v, &n, err))
		return -1;
	c->out = json_array();
	if (!c->json && n)
		printf("%-24s %-18s %-6s %-10s %-13s %s\n", "NAME", "STATE", "PILOT", "MAILBOXES", "VERIFICATION",
			"WINDOW");
	for (size_t i = 0; i < n; i++) {
		struct batch_summary s = {0};
		struct user *active = NULL;
		size_t n_active = 0;
		char name[24 * 5];
		if (store_batch_summary(c->store, v[i].id, &s, &active, &n_active, err)) {
			free(v);
			return -1;
		}
		free(active);
		json_t *j = batch_json(c, &v[i]);
		json_object_set_new(j, "users", json_integer((json_int_t)s.users));
		json_array_append_new(c->out, j);
		if (!c->json)
			printf("%s %-18s %-6s %-10u %-13s %s\n", cli_pad(v[i].name, 24, name, sizeof name),
				batch_state_name(v[i].state), v[i].pilot ? "yes" : "no", s.users,
				v[i].verdict[0] ? v[i].verdict : "-",
				json_string_value(json_object_get(json_object_get(j, "night"), "text")));
	}
	if (!c->json && !n)
		puts("No batch yet: nightferry batch create NAME --pilot --endpoint E --target T --csv FILE");
	free(v);
	return EXIT_DONE;
}

static void print_settings(const json_t *batch)
{
	static const char *const labels[][2] = {{"name", "Batch"}, {"endpoint", "Endpoint"}, {"target", "Target"},
		{"state", "State"}, {"verdict", "Verification"}, {"pilot", "Pilot"},
		{"max_mailboxes", "Mailboxes at once"}, {"uploads", "Uploads at once"}, {"bytes_per_s", "Rate"},
		{"existing", "Mail there before"}, {"include", "Only folders"}, {"exclude", "Without folders"},
		{"copy_deleted", "Copies \\Deleted"}, {"date_from_header", "Dates by headers"},
		{"skips_acknowledged", "Skips acknowledged"}, {"created_at", "Created"}, {"started_at", "Started"},
		{"ended_at", "Ended"}};
	for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
		const char *key = labels[i][0], *label = labels[i][1];
		const json_t *v = json_object_get(batch, key);
		long long n = json_integer_value(v);
		char text[CLOCK_TEXT > 32 ? CLOCK_TEXT : 32];
		if (json_is_string(v) && json_string_length(v))
			printf("%-20s %s\n", label, json_string_value(v));
		else if (json_is_boolean(v))
			printf("%-20s %s\n", label, json_is_true(v) ? "yes" : "no");
		else if (json_is_integer(v) && strstr(key, "_at"))
			printf("%-20s %s\n", label, cli_time(n, text, sizeof text));
		else if (json_is_integer(v) && !strcmp(key, "bytes_per_s"))
			printf("%-20s %s%s\n", label,
				n ? cli_bytes((uint64_t)n, text, sizeof text) : "no limit of its own", n ? "/s" : "");
		else if (json_is_integer(v))
			printf("%-20s %lld\n", label, n);
	}
}

static int run_show(struct cli *c, struct err *err)
{
	struct batch b;
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err))
		return -1;
	c->out = batch_json(c, &b);
	if (c->json)
		return outcome_tell_forecast(c, &b, err) ? -1 : EXIT_DONE;
	print_settings(c->out);
	print_night(json_object_get(c->out, "night"));
	return outcome_tell_forecast(c, &b, err) ? -1 : EXIT_DONE;
}

static const struct user *find_user(const struct user *v, size_t n, const char *source_user)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].source_user, source_user))
			return &v[i];
	return NULL;
}

/* All rows are looked up before the first password is changed. */
static int change_passwords(struct cli *c, const struct batch *b, const char *path, struct err *err)
{
	struct csv_users csv = {0};
	struct user *v = NULL;
	size_t n = 0;
	if (csv_load(path, true, &csv, err))
		return -1;
	int rc = store_user_list(c->store, b->id, &v, &n, err);
	for (size_t i = 0; i < csv.n && !rc; i++)
		if (!find_user(v, n, csv.users[i].source_user))
			rc = err_set(err, ERR_USAGE, "%s: batch %s has no user \"%s\"; nothing was changed", path,
				b->name, csv.users[i].source_user);
	for (size_t i = 0; i < csv.n && !rc; i++)
		rc = store_secret_put(c->store, "user", find_user(v, n, csv.users[i].source_user)->id, "password",
			csv.passwords[i], err);
	if (!rc && !c->json)
		printf("%zu %s changed; nightferry batch start tries those again that failed.\n", csv.n,
			csv.n == 1 ? "password is" : "passwords are");
	free(v);
	csv_done(&csv);
	warn_readable(path);
	return rc;
}

static int run_set(struct cli *c, struct err *err)
{
	struct batch b;
	struct endpoint e;
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) || cli_no_setting(c, err) || read_options(c, &b, err))
		return -1;
	if (option_get(&c->opt, "csv") && change_passwords(c, &b, option_get(&c->opt, "csv"), err))
		return -1;
	const char *endpoint = option_get(&c->opt, "endpoint");
	if (endpoint) {
		if (store_endpoint_get(c->store, endpoint, &e, err))
			return -1;
		b.endpoint_id = e.id;
	}
	struct night night;
	struct target_row t;
	bool has_night;
	if ((!endpoint && store_endpoint_by_id(c->store, b.endpoint_id, &e, err)) ||
		store_target_by_id(c->store, b.target_id, &t, err) || store_night_get(c->store, b.id, &night, err) ||
		read_night(c, &b, &e, &t, &night, &has_night, err) ||
		(has_night && store_night_save(c->store, b.id, &night, err)))
		return -1;
	b.skips_acknowledged |= option_is_given(&c->opt, "acknowledge-skips");
	if (store_batch_save(c->store, &b, err) ||
		store_audit(c->store, "batch set", b.name,
			option_is_given(&c->opt, "acknowledge-skips") ? "skips acknowledged" : "options", err))
		return -1;
	if (!c->json) {
		printf("Batch %s is changed.\n", b.name);
		window_say(&night);
	} else {
		c->out = json_pack("{s:s}", "batch", b.name);
	}
	return EXIT_DONE;
}

static int run_delete(struct cli *c, struct err *err)
{
	struct batch b;
	if (store_batch_get(c->store, cli_operand(c, 0), &b, err) || store_batch_delete(c->store, b.id, err) ||
		store_audit(c->store, "batch delete", b.name, "", err))
		return -1;
	if (!c->json)
		printf("Batch %s, its users' passwords and its checkpoint are deleted. Nothing was changed at either "
		       "side.\n",
			b.name);
	else
		c->out = json_pack("{s:s}", "deleted", b.name);
	return EXIT_DONE;
}

const struct command commands_batch[] = {
	{"batch", "create", "NAME", 1, 1, "a set of mailboxes to move, from a CSV",
		"Reads Microsoft's CSV format (EmailAddress,UserName,Password[,UserRoot]; commas or semicolons). "
		"Passwords go into the vault. "
		"Begin with --pilot and one or two known-good mailboxes.",
		create_specs, CLI_STORE, run_create},
	{"batch", "list", "", 0, 0, "all batches", NULL, no_specs, CLI_STORE, run_list},
	{"batch", "show", "NAME", 1, 1, "a batch's settings", NULL, no_specs, CLI_STORE, run_show},
	{"batch", "set", "NAME", 1, 1, "change options; a running engine follows", NULL, set_specs, CLI_STORE, run_set},
	{"batch", "delete", "NAME", 1, 1, "forget a batch that does not run", NULL, no_specs, CLI_STORE, run_delete},
	{0}};
