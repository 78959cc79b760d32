#include "upload/exosim/config.h"

#include "upload/exosim/graph_trace.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>

enum {
	OPT_HTTPS = 256,
	OPT_IMAPS,
	OPT_ADMIN,
	OPT_CERT,
	OPT_KEY,
	OPT_BACKEND,
	OPT_MASTER,
	OPT_MASTER_FILE,
	OPT_CONFIG,
	OPT_SCENARIO,
	OPT_TENANT,
	OPT_CLIENT,
	OPT_CLIENT_SECRET,
	OPT_CLIENT_CERT,
	OPT_MAILBOX,
	OPT_OPEN,
	OPT_PROFILE,
	OPT_SET,
	OPT_TOKEN_LIFE,
	OPT_SEED,
	OPT_LANGUAGE,
	OPT_SPOOL,
	OPT_TRACE,
	OPT_VERBOSE,
	OPT_HELP
};

static const struct option options[] = {{"https-port", required_argument, NULL, OPT_HTTPS},
	{"imaps-port", required_argument, NULL, OPT_IMAPS}, {"admin-port", required_argument, NULL, OPT_ADMIN},
	{"cert", required_argument, NULL, OPT_CERT}, {"key", required_argument, NULL, OPT_KEY},
	{"backend", required_argument, NULL, OPT_BACKEND}, {"backend-master", required_argument, NULL, OPT_MASTER},
	{"backend-master-password-file", required_argument, NULL, OPT_MASTER_FILE},
	{"config", required_argument, NULL, OPT_CONFIG}, {"scenario", required_argument, NULL, OPT_SCENARIO},
	{"tenant", required_argument, NULL, OPT_TENANT}, {"client-id", required_argument, NULL, OPT_CLIENT},
	{"client-secret-file", required_argument, NULL, OPT_CLIENT_SECRET},
	{"client-cert", required_argument, NULL, OPT_CLIENT_CERT}, {"mailbox", required_argument, NULL, OPT_MAILBOX},
	{"open", no_argument, NULL, OPT_OPEN}, {"profile", required_argument, NULL, OPT_PROFILE},
	{"set", required_argument, NULL, OPT_SET}, {"token-life", required_argument, NULL, OPT_TOKEN_LIFE},
	{"seed", required_argument, NULL, OPT_SEED}, {"language", required_argument, NULL, OPT_LANGUAGE},
	{"spool-dir", required_argument, NULL, OPT_SPOOL}, {"trace-graph", required_argument, NULL, OPT_TRACE},
	{"verbose", no_argument, NULL, OPT_VERBOSE}, {"help", no_argument, NULL, OPT_HELP}, {NULL, 0, NULL, 0}};

void config_help(FILE *to)
{
	fputs("exosim: a local Exchange Online for tests, demos and rehearsals: tokens and Graph over HTTPS, IMAP "
	      "before a real Dovecot.\n"
	      "Listens on 127.0.0.1 only. When all is up it prints: exosim ready https=PORT imaps=PORT "
	      "admin=PORT\n"
	      "\n"
	      "usage: exosim --cert F --key F --backend HOST:PORT --backend-master USER "
	      "--backend-master-password-file F …\n"
	      "  --https-port N, --imaps-port N, --admin-port N   0 (default): any free port\n"
	      "  --cert F --key F           the servers' certificate chain and key, PEM\n"
	      "  --backend HOST:PORT        Dovecot without TLS, numeric address; separator \"/\" in its "
	      "namespace\n"
	      "  --backend-master USER      its master user: signs in there as MAILBOX*USER\n"
	      "  --backend-master-password-file F\n"
	      "  --tenant NAME              may be repeated\n"
	      "  --client-id ID with --client-secret-file F and/or --client-cert F (PEM)\n"
	      "  --mailbox ADDRESS          one that the application has permission for; may be repeated\n"
	      "  --open                     any address is a mailbox with permission\n"
	      "  --config F                 JSON: tenants, apps, mailboxes, open, profile, switches, faults, "
	      "seed, language\n"
	      "  --scenario F               JSON: an array of faults\n"
	      "  --profile kind|unkind      --set SWITCH=VALUE (may be repeated; after --profile)   "
	      "--token-life SECONDS\n"
	      "  --seed N                   of the faults' probabilities (default 1)\n"
	      "  --language en|de           names of the well-known folders\n"
	      "  --spool-dir D              unlinked files of large messages (default: TMPDIR or /tmp)\n"
	      "  --trace-graph F            appends every Graph request and answer as a line of JSON (no tokens, no "
	      "messages)\n"
	      "  --verbose                  a line for every refusal on stderr\n"
	      "\n"
	      "admin: GET /state, POST /fault, DELETE /fault {\"id\":n}, POST /profile {\"switch\":n}, POST "
	      "/mailbox, POST /app {\"id\",\"roles\"}, POST /revoke\n"
	      "\nswitches (kind/unkind, grade):\n",
		to);
	for (int i = 0; i < SWITCHES_END; i++) {
		const struct switch_row *r = rule_row((enum rule_switch)i);

		fprintf(to, "  %-24s %lld/%lld  %s  %s\n", r->name, (long long)r->kind, (long long)r->unkind, r->grade,
			r->text);
	}
	fputs("\nfaults ({\"kind\":…, \"mailbox\":…, \"folder\":…, \"command\":…, \"nth\":1, \"count\":1, "
	      "\"probability\":1.0, \"ms\":0, "
	      "\"bytes\":0, \"text\":…}; count 0: for ever):\n",
		to);
#define X(k, n, hook, text) fputs("  " n ": " text "\n", to);
	FAULTS(X)
#undef X
}

static int read_number(const char *text, uint64_t max, uint64_t *to, struct err *err)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 10);
	if (errno || end == text || *end || *to > max || *text == '-')
		return err_set(err, ERR_USAGE, "'%s' is not a number up to %llu", text, (unsigned long long)max);
	return 0;
}

static int read_port(const char *text, unsigned *to, struct err *err)
{
	uint64_t n;

	if (read_number(text, 65535, &n, err) < 0)
		return -1;
	*to = (unsigned)n;
	return 0;
}

static int read_backend(struct exosim *x, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');

	if (!colon)
		return err_set(err, ERR_USAGE, "--backend %s: HOST:PORT", text);
	free(x->backend_host);
	x->backend_host = strndup(text, (size_t)(colon - text));
	return read_port(colon + 1, &x->backend_port, err);
}

static int read_profile(struct exosim *x, const char *name, struct err *err)
{
	if (strcmp(name, "kind") != 0 && strcmp(name, "unkind") != 0)
		return err_set(err, ERR_USAGE, "no such profile '%s'", name);
	profile_init(&x->profile, strcmp(name, "unkind") == 0);
	return 0;
}

static int read_language(struct exosim *x, const char *name, struct err *err)
{
	x->german = strcmp(name, "de") == 0;
	return x->german || strcmp(name, "en") == 0 ? 0 : err_set(err, ERR_USAGE, "no such language '%s'", name);
}

static int load_json(const char *path, json_t **out, struct err *err)
{
	json_error_t je;

	*out = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	return *out ? 0 : err_set(err, ERR_USAGE, "%s: line %d: %s", path, je.line, je.text);
}

static int add_faults(struct exosim *x, const json_t *list, struct err *err)
{
	size_t i;
	json_t *v;

	if (!json_is_array(list))
		return err_set(err, ERR_USAGE, "faults are an array");
	json_array_foreach(list, i, v) if (faults_add(x->faults, v, NULL, err) < 0) return -1;
	return 0;
}

static int read_scenario(struct exosim *x, const char *path, struct err *err)
{
	json_t *j;
	int r;

	if (load_json(path, &j, err) < 0)
		return -1;
	r = add_faults(x, j, err);
	json_decref(j);
	return r;
}

static int apply_config(struct exosim *x, const json_t *j, struct err *err)
{
	json_t *tenants = NULL, *apps = NULL, *mailboxes = NULL, *switches = NULL, *faults = NULL, *v;
	const char *profile = NULL, *language = NULL, *key;
	json_int_t seed = -1;
	json_error_t je;
	size_t i;
	int open = 0;

	if (json_unpack_ex((json_t *)(uintptr_t)j, &je, JSON_STRICT, "{s?o, s?o, s?o, s?o, s?o, s?s, s?s, s?I, s?b}",
		    "tenants", &tenants, "apps", &apps, "mailboxes", &mailboxes, "switches", &switches, "faults",
		    &faults, "profile", &profile, "language", &language, "seed", &seed, "open", &open) < 0)
		return err_set(err, ERR_USAGE, "config: %s", je.text);
	if (seed >= 0)
		x->seed = (uint64_t)seed;
	if ((profile && read_profile(x, profile, err) < 0) || (language && read_language(x, language, err) < 0))
		return -1;
	json_object_foreach(switches, key,
		v) if (profile_set(&x->profile, key, json_is_boolean(v) ? json_is_true(v) : json_integer_value(v),
			       err) < 0) return -1;
	json_array_foreach(tenants, i, v) if (!json_is_string(v) || world_add_tenant(x->world, json_string_value(v),
									    err) < 0) return err_set(err, ERR_USAGE,
		"config: tenants are texts, 8 at most");
	json_array_foreach(apps, i, v) if (world_add_app(x->world, v, err) < 0) return -1;
	json_array_foreach(mailboxes, i, v) if (world_set_mailbox(x->world, v, err) < 0) return -1;
	if (open)
		world_set_open(x->world, true);
	return faults ? add_faults(x, faults, err) : 0;
}

static int read_config(struct exosim *x, const char *path, struct err *err)
{
	json_t *j;
	int r;

	if (load_json(path, &j, err) < 0)
		return -1;
	r = apply_config(x, j, err);
	json_decref(j);
	return r;
}

static int add_mailbox(struct exosim *x, const char *address, struct err *err)
{
	json_t *spec = json_pack("{s:s}", "address", address);
	int r = spec ? world_set_mailbox(x->world, spec, err) : err_set(err, ERR_USAGE, "--mailbox: not UTF-8");

	json_decref(spec);
	return r;
}

static int set_value(struct exosim *x, const char *name, const char *value, struct err *err)
{
	uint64_t n;

	return read_number(value, INT64_MAX, &n, err) < 0 ? -1 : profile_set(&x->profile, name, (int64_t)n, err);
}

/* Options whose text is kept as it is. NULL: another option. */
static const char **text_option(struct config *c, int opt)
{
	switch (opt) {
	case OPT_CERT:
		return &c->cert;
	case OPT_KEY:
		return &c->key;
	case OPT_CLIENT:
		return &c->client_id;
	case OPT_CLIENT_SECRET:
		return &c->client_secret_file;
	case OPT_CLIENT_CERT:
		return &c->client_cert;
	default:
		return NULL;
	}
}

static int keep(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return 0;
}

static int apply_option(struct config *c, struct exosim *x, int opt, struct err *err)
{
	switch (opt) {
	case OPT_HTTPS:
		return read_port(optarg, &c->https_port, err);
	case OPT_IMAPS:
		return read_port(optarg, &c->imaps_port, err);
	case OPT_ADMIN:
		return read_port(optarg, &c->admin_port, err);
	case OPT_BACKEND:
		return read_backend(x, optarg, err);
	case OPT_MASTER:
		return keep(&x->backend_master, optarg);
	case OPT_MASTER_FILE:
		secret_free(&x->backend_password);
		return secret_read_file(&x->backend_password, optarg, err);
	case OPT_CONFIG:
		return read_config(x, optarg, err);
	case OPT_SCENARIO:
		return read_scenario(x, optarg, err);
	case OPT_TENANT:
		return world_add_tenant(x->world, optarg, err);
	case OPT_MAILBOX:
		return add_mailbox(x, optarg, err);
	case OPT_OPEN:
		world_set_open(x->world, true);
		return 0;
	case OPT_PROFILE:
		return read_profile(x, optarg, err);
	case OPT_SET:
		return profile_set_text(&x->profile, optarg, err);
	case OPT_TOKEN_LIFE:
		return set_value(x, "token_life", optarg, err);
	case OPT_SEED:
		return read_number(optarg, UINT64_MAX, &x->seed, err);
	case OPT_LANGUAGE:
		return read_language(x, optarg, err);
	case OPT_SPOOL:
		return keep(&x->spool_dir, optarg);
	case OPT_TRACE:
		graph_trace_close(&x->trace);
		return graph_trace_open(&x->trace, optarg, err);
	case OPT_VERBOSE:
		c->verbose = true;
		return 0;
	case OPT_HELP:
		c->help = true;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "see exosim --help");
	}
}

static int add_client(struct config *c, struct exosim *x, struct err *err)
{
	json_t *spec = json_pack("{s:s, s:s*, s:s*}", "id", c->client_id, "secret_file", c->client_secret_file,
		"certificate", c->client_cert);
	int r = spec ? world_add_app(x->world, spec, err) : err_set(err, ERR_USAGE, "--client-id: not UTF-8");

	json_decref(spec);
	return r;
}

int config_read(struct config *c, struct exosim *x, int argc, char **argv, struct err *err)
{
	int opt;

	*c = (struct config){0};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const char **text = text_option(c, opt);

		if (text)
			*text = optarg;
		else if (apply_option(c, x, opt, err) < 0)
			return -1;
	}
	faults_seed(x->faults, x->seed);
	if (c->help)
		return 0;
	if (optind < argc)
		return err_set(err, ERR_USAGE, "'%s' is no option; see exosim --help", argv[optind]);
	if (c->client_id && add_client(c, x, err) < 0)
		return -1;
	if (!c->cert || !c->key || !x->backend_host || !x->backend_master || !x->backend_password)
		return err_set(err, ERR_USAGE,
			"--cert, --key, --backend, --backend-master and its password file are needed; "
			"see exosim --help");
	if (secret_len(x->backend_password) > 500 || strlen(x->backend_master) > 200)
		return err_set(err, ERR_USAGE, "the master user's name or password is too long");
	return 0;
}
