#define _GNU_SOURCE
#include "engine/command/cli.h"

#include "engine/base/log.h"
#include "engine/base/similar.h"
#include "imap/conn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const tables[] = {commands_endpoint, commands_target, commands_batch, commands_assess,
	commands_run, commands_progress, commands_report, commands_user, commands_copy, commands_doctor};
#define TABLES (sizeof tables / sizeof tables[0])
static const char *const nouns[] = {
	"endpoint", "target", "batch", "user", "copy", "run", "doctor"}; /* as the list of commands shows them */
#define NOUNS (sizeof nouns / sizeof nouns[0])
#define VERSION "0.1.0"

static const struct option_spec common[] = {
	{.name = "state",
		.arg = "FILE",
		.help = "the state file (else NIGHTFERRY_STATE, /var/lib/nightferry/state.db, or below "
			"XDG_STATE_HOME)",
		.group = "Common options"},
	{.name = "key-file",
		.arg = "FILE",
		.help = "the vault's key (else NIGHTFERRY_KEY_FILE, /etc/nightferry/vault.key, or below "
			"XDG_CONFIG_HOME)"},
	{.name = "json", .help = "print one JSON document for machines"},
	{.name = "verbose", .letter = 'v', .help = "tell more of what is done, on standard error"},
	{.name = "help", .letter = 'h', .help = "this text"}, {0}};

int cli_exit_code(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return EXIT_DONE;
	case ERR_USAGE:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
		return EXIT_USAGE;
	case ERR_DNS:
	case ERR_FIREWALL:
	case ERR_TLS:
	case ERR_CERTIFICATE:
	case ERR_LOST:
	case ERR_BUSY:
	case ERR_PROTOCOL:
		return EXIT_NETWORK;
	case ERR_CREDENTIALS:
	case ERR_BANNED:
	case ERR_RIGHTS:
		return EXIT_SIGN_IN;
	case ERR_THROTTLED:
	case ERR_DEFERRED:
		return EXIT_DEFERRED;
	case ERR_CHANGED:
		return EXIT_CHANGED;
	case ERR_STOPPED:
		return EXIT_STOPPED;
	case ERR_DISK:
	case ERR_STORE:
	case ERR_VAULT:
		return EXIT_STORE;
	case ERR_MEMORY:
	case ERR_INTERNAL:
	case ERR_KINDS_END:
		return EXIT_INTERNAL;
	case ERR_MESSAGE:
	case ERR_TOO_BIG:
	case ERR_GONE:
	case ERR_FOLDER:
	case ERR_QUOTA:
	case ERR_MAILBOX:
		return EXIT_FAILED;
	}
	return EXIT_INTERNAL;
}

void cli_print_error(const struct cli *c, const struct err *err)
{
	if (c->json) {
		json_t *e = json_pack("{s:{s:s,s:s,s:s,s:s}}", "error", "kind", err_kind_name(err->kind), "text",
			err->text, "server", err->server, "hint", err->hint);
		if (e) {
			json_dumpf(e, stdout, JSON_INDENT(2));
			putchar('\n');
		}
		json_decref(e);
		return;
	}
	fputs("nightferry: ", stderr);
	const char *at = err->text, *next;
	for (; (next = strstr(at, "; line ")); at = next + 2) /* the faults of a CSV, one below the other */
		fprintf(stderr, "%.*s;\n  ", (int)(next - at), at);
	fprintf(stderr, "%s\n", at);
	if (err->server[0])
		fprintf(stderr, "  the server said: %s\n", err->server);
	if (err->hint[0])
		fprintf(stderr, "  what to do: %s\n", err->hint);
}

/* --- helpers ------------------------------------------------------------------------------------ */

const char *cli_operand(const struct cli *c, size_t i)
{
	return i < c->opt.n_operands ? c->opt.operands[i] : NULL;
}

int cli_no_setting(const struct cli *c, struct err *err)
{
	for (size_t i = 0; i < c->opt.n_given; i++) {
		const char *name = c->opt.specs[c->opt.given[i].spec].name;
		bool is_common = false;
		for (const struct option_spec *s = common; s->name && !is_common; s++)
			is_common = !strcmp(s->name, name);
		if (!is_common)
			return 0;
	}
	err_set(err, ERR_USAGE, "nothing is given that could be changed");
	err_hint(err, "--help lists what can be");
	return -1;
}

/* --- dispatch ----------------------------------------------------------------------------------- */

static void print_noun(FILE *f, const char *noun)
{
	for (size_t t = 0; t < TABLES; t++)
		for (const struct command *c = tables[t]; c->noun; c++) {
			char name[40];
			if (!c->summary || strcmp(noun, c->noun) != 0)
				continue;
			snprintf(name, sizeof name, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
			fprintf(f, "  %-18s %s\n", name, c->summary);
		}
}

static void print_usage(FILE *f, const char *noun)
{
	if (!noun)
		fprintf(f, "Usage: nightferry COMMAND [OPTION]... [ARGUMENT]...\n"
			   "Moves mailboxes from any IMAP host into Exchange Online; picks up exactly where it "
			   "stopped.\n\n");
	else
		fprintf(f, "Usage: nightferry %s COMMAND [OPTION]... [ARGUMENT]...\n\n", noun);
	for (size_t i = 0; i < NOUNS; i++)
		if (!noun || !strcmp(noun, nouns[i]))
			print_noun(f, nouns[i]);
	fprintf(f, "\n'nightferry %s%sCOMMAND --help' explains each.", noun ? noun : "", noun ? " " : "");
	if (!noun)
		fprintf(f, " In this order: endpoint create, target create, batch create --pilot,\nbatch start --wait, "
			   "batch verify, batch report; "
			   "then the others with more mailboxes at once. See nightferry(1).");
	fputs("\n", f);
}

/* "did you mean ...? ", or "". */
static const char *did_you_mean(const char *noun, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < NOUNS && !out[0]; i++)
		if (similar_words(noun, nouns[i]))
			snprintf(out, size, "did you mean %s? ", nouns[i]);
	return out;
}

static int no_command(const char *noun, const char *verb, int argc, char **argv)
{
	struct cli c = {0};
	char meant[64];
	struct err err = ERR_INIT;
	for (int i = 1; i < argc && !c.json; i++)
		c.json = strcmp(argv[i], "--json") == 0;
	bool is_noun = false;
	for (size_t i = 0; i < NOUNS; i++)
		is_noun |= !strcmp(nouns[i], noun);
	if (is_noun && verb && verb[0] != '-')
		err_set(&err, ERR_USAGE, "there is no command \"%s %s\"", noun, verb);
	else if (is_noun)
		err_set(&err, ERR_USAGE, "%s what?", noun);
	else
		err_set(&err, ERR_USAGE, "there is no command \"%s\"", noun);
	if (noun[0] == '-')
		err_hint(&err, "the command comes first, its options behind it: nightferry endpoint list %s", noun);
	else if (!is_noun)
		err_hint(&err, "%s'nightferry --help' lists them", did_you_mean(noun, meant, sizeof meant));
	cli_print_error(&c, &err);
	if (is_noun && !c.json)
		print_usage(stderr, noun);
	return EXIT_USAGE;
}

static const struct command *find_command(const char *noun, const char *verb, bool *takes_verb)
{
	for (size_t t = 0; t < TABLES; t++)
		for (const struct command *c = tables[t]; c->noun; c++) {
			if (strcmp(c->noun, noun) != 0)
				continue;
			*takes_verb = c->verb;
			if (!c->verb || (verb && strcmp(c->verb, verb) == 0))
				return c;
		}
	return NULL;
}

static struct option_spec *merge_specs(const struct option_spec *own)
{
	size_t n = 0, k = sizeof common / sizeof common[0];
	while (own && own[n].name)
		n++;
	struct option_spec *all = calloc(n + k, sizeof *all);
	if (all && n)
		memcpy(all, own, n * sizeof *all);
	if (all)
		memcpy(all + n, common, sizeof common);
	return all;
}

static void print_command_help(const struct command *cmd, const struct option_spec *specs)
{
	char usage[256], description[4096];
	snprintf(usage, sizeof usage, "nightferry %s%s%s [OPTION]... %s", cmd->noun, cmd->verb ? " " : "",
		cmd->verb ? cmd->verb : "", cmd->operands);
	snprintf(description, sizeof description, "%s\n", cmd->description ? cmd->description : cmd->summary);
	option_help(stdout, usage, description, specs);
}

static int open_state(struct cli *c, const struct command *cmd, struct err *err)
{
	if (cmd->needs == CLI_NO_STORE)
		return 0;
	bool create = cmd->needs == CLI_STORE_CREATE;
	if (store_find(option_get(&c->opt, "state"), !create, c->state, sizeof c->state, err))
		return -1;
	struct store_conf conf = {.path = c->state, .key_file = c->key_file, .create = create};
	return store_open(&c->store, &conf, err);
}

static int run_command(struct cli *c, const struct command *cmd, struct err *err)
{
	c->json = option_is_given(&c->opt, "json");
	c->key_file = option_get(&c->opt, "key-file");
	if (c->opt.n_operands < cmd->min_operands || c->opt.n_operands > cmd->max_operands) {
		err_set(err, ERR_USAGE, "%s%s%s takes %s", cmd->noun, cmd->verb ? " " : "", cmd->verb ? cmd->verb : "",
			cmd->max_operands ? cmd->operands : "no argument");
		err_hint(err, "%snightferry %s%s%s --help",
			c->opt.n_operands > cmd->max_operands && cmd->max_operands
				? "a name with blanks goes into quotes; "
				: "",
			cmd->noun, cmd->verb ? " " : "", cmd->verb ? cmd->verb : "");
		return -1;
	}
	if (log_init(NULL, option_is_given(&c->opt, "verbose") ? LOG_INFO : LOG_WARN, false, err) ||
		open_state(c, cmd, err))
		return -1;
	return cmd->run(c, err);
}

static int run_and_report(const struct command *cmd, int argc, char **argv)
{
	struct cli c = {0};
	struct err err = ERR_INIT;
	struct option_spec *specs = merge_specs(cmd->specs);
	int code;
	if (!specs)
		return EXIT_INTERNAL;
	for (int i = 1; i < argc && !c.json; i++) /* also for errors of the command line itself */
		c.json = strcmp(argv[i], "--json") == 0;
	if (!c.json)
		setvbuf(stdout, NULL, _IOLBF, 0); /* so that lines and errors come in their order, in a pipe too */
	if (option_parse(&c.opt, specs, argc, argv, &err)) {
		code = -1;
	} else if (option_is_given(&c.opt, "help")) {
		print_command_help(cmd, specs);
		code = 0;
	} else {
		code = run_command(&c, cmd, &err);
	}
	store_close(&c.store);
	if (code < 0) {
		cli_print_error(&c, &err);
		code = cli_exit_code(err.kind);
	} else if (c.json && c.out) {
		json_dumpf(c.out, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(c.out);
	option_done(&c.opt);
	free(specs);
	if (fflush(stdout) && code == EXIT_DONE) {
		fprintf(stderr, "nightferry: standard output: %s\n", strerror(errno));
		code = EXIT_STORE;
	}
	return code;
}

int cli_main(int argc, char **argv)
{
	secret_no_core();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write, as a full disk is */
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(argc < 2 ? stderr : stdout, argc > 2 ? argv[2] : NULL);
		return argc < 2 ? EXIT_USAGE : EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("nightferry " VERSION);
		return EXIT_DONE;
	}
	bool takes_verb = false;
	const char *verb = argc > 2 ? argv[2] : NULL;
	const struct command *cmd = find_command(argv[1], verb, &takes_verb);
	if (!cmd) {
		if (takes_verb && verb && (!strcmp(verb, "--help") || !strcmp(verb, "-h"))) {
			print_usage(stdout, argv[1]);
			return EXIT_DONE;
		}
		return no_command(argv[1], verb, argc, argv);
	}
	conn_init();
	upload_init();
	int skip = cmd->verb ? 2 : 1;
	return run_and_report(cmd, argc - skip, argv + skip);
}
