/* The command line: one table of commands, options common to all, exit codes, errors as people and machines read them. */
#ifndef NF_ENGINE_COMMAND_CLI_H
#define NF_ENGINE_COMMAND_CLI_H

#include "engine/base/option.h"
#include "engine/store/store.h"

#include <jansson.h>

/* Documented in nightferry(1); scripts rely on them. 64 and above follow sysexits. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,   /* at least one mailbox failed */
	EXIT_SKIPPED = 2,  /* done, but items were skipped or refused: see the report */
	EXIT_CHANGED = 3,  /* the source changed meanwhile: run again */
	EXIT_NOT_GOOD = 4, /* verification or a test found something wrong */
	EXIT_STOPPED = 5,  /* stopped before it was done: start again to go on */
	EXIT_USAGE = 64,   /* the command line, a file given, or a name that does not exist */
	EXIT_NETWORK = 69, /* DNS, firewall, TLS, certificate, a server that cannot be used */
	EXIT_INTERNAL = 70,
	EXIT_STORE = 74,    /* the state file, the vault's key or the disk */
	EXIT_DEFERRED = 75, /* by a window, a budget or a fence: later */
	EXIT_SIGN_IN = 77   /* credentials or rights */
};

struct cli {
	struct options opt; /* the command's and the common ones */
	bool json;
	struct store *store;    /* owned; opened for commands with CLI_STORE */
	char state[MODEL_PATH]; /* where the state is */
	const char *key_file;   /* NULL: as vault.h says */
	json_t *out;            /* what --json prints at the end; a command sets it */
};

enum cli_needs { CLI_NO_STORE = 0, CLI_STORE = 1, CLI_STORE_CREATE = 3 };

struct command {
	const char *noun, *verb; /* "endpoint" "create"; verb NULL: the noun alone ("run") */
	const char *operands;    /* "NAME", "NAME [WHO]"; "" none */
	size_t min_operands, max_operands;
	const char *summary;     /* one line for the list */
	const char *description; /* for its --help */
	const struct option_spec *specs;
	enum cli_needs needs;
	/* Exit code, or -1 with *err. */
	int (*run)(struct cli *c, struct err *err);
};

/* Tables of the command files, each ended by an entry without a noun. */
extern const struct command commands_endpoint[], commands_target[], commands_batch[], commands_assess[],
	commands_progress[], commands_report[], commands_user[], commands_copy[], commands_run[], commands_doctor[];

int cli_main(int argc, char **argv);
int cli_exit_code(enum err_kind kind);
/* Prints "nightferry: ..." to stderr, or {"error": ...} to stdout with --json. */
void cli_print_error(const struct cli *c, const struct err *err);

/* Help for commands. */
const char *cli_operand(const struct cli *c, size_t i); /* NULL beyond */
/* Bounded copies out of options; ERR_USAGE when too long or with control characters. */
int cli_copy(char *out, size_t size, const char *what, const char *value, struct err *err);
int cli_copy_option(
	struct cli *c, const char *option, char *out, size_t size, struct err *err); /* unchanged when not given */
int cli_uint_option(struct cli *c, const char *option, uint64_t min, uint64_t max, unsigned *out, struct err *err);
int cli_ms_option(struct cli *c, const char *option, unsigned *out, struct err *err);   /* at most an hour */
int cli_size_option(struct cli *c, const char *option, uint64_t *out, struct err *err); /* "2MB/s" is fine too */
/* The same of octets a second: a number whose unit was forgotten is refused. */
int cli_rate_option(struct cli *c, const char *option, uint64_t *out, struct err *err);
/* For "set": ERR_USAGE when nothing but common options was given. */
int cli_no_setting(const struct cli *c, struct err *err);
/* A name people give to things: letters of any script, digits, "-_. ", at most MODEL_NAME - 1 octets. */
int cli_check_name(const char *name, struct err *err);
/* A file named by an option into the vault. Nothing when the option is not given. */
int cli_store_secret(
	struct cli *c, const char *option, const char *owner, int64_t id, const char *name, struct err *err);
/* Absolute path of a file that must be readable ("--ca-file"). */
int cli_path_option(struct cli *c, const char *option, char *out, size_t size, struct err *err);
const char *cli_time(int64_t wall_s, char *out, size_t size); /* "never" for 0 */
/* text cut or padded with blanks to so many columns of a terminal, whatever its script; returns out */
const char *cli_column(const char *text, int columns, char *out, size_t size);
/* The same, never cut: text itself where it is wider. */
const char *cli_pad(const char *text, int columns, char *out, size_t size);
/* name as it is typed in a command: in quotes where it holds a blank; size at least MODEL_NAME + 2 */
const char *cli_word(const char *name, char *out, size_t size);
const char *cli_bytes(uint64_t n, char *out, size_t size); /* "12.4 MB" */

#endif
