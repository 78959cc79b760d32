/* nightferry target setup, teardown, inventory: scripts for an administrator of the tenant. They are printed, never run from here. */
#include "engine/command/powershell.h"
#include "engine/command/target.h"
#include "engine/command/target_steps.h"
#include "upload/cloud.h"
#include "upload/permission.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_CAP ((size_t)64 * 1024 * 1024)
#define EXCHANGE_APP \
	"00000002-0000-0ff1-ce00-000000000000" /* Office 365 Exchange Online; Microsoft's first-party application ids (D) */
#define GRAPH_APP "00000003-0000-0000-c000-000000000000" /* Microsoft Graph (D) */

const struct option_spec target_setup_specs[] = {
	{.name = "batch", .arg = "B", .help = "the users of this batch (default: of all batches into the target)"},
	{0}};
const struct option_spec target_inventory_specs[] = {
	{.name = "batch", .arg = "B", .help = "the users of this batch (default: of all batches into the target)"},
	{.name = "all", .help = "every mailbox of the tenant"}, {0}};

struct script {
	struct cli *c;
	struct target_row t;
	struct buf text;
	char **addresses; /* owned, each once, in order */
	size_t n, room;
	bool all;              /* every mailbox of the tenant */
	char busy[MODEL_NAME]; /* teardown: another batch that still moves; "" none */
};

static void script_done(struct script *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->addresses[i]);
	free(s->addresses);
	buf_done(&s->text);
}

static int add(struct script *s, const char *text, struct err *err)
{
	return buf_add_str(&s->text, text, err);
}

/* --- whose mailboxes --- */

static int add_address(struct script *s, const char *address, struct err *err)
{
	if (!address[0])
		return 0;
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 256;
		char **v = realloc(s->addresses, room * sizeof *v);
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory for the users of a batch");
		s->addresses = v;
		s->room = room;
	}
	char *copy = strdup(address);
	if (!copy)
		return err_set(err, ERR_MEMORY, "no memory for the users of a batch");
	s->addresses[s->n++] = copy;
	return 0;
}

static int add_users(struct script *s, int64_t batch_id, struct err *err)
{
	struct user *v = NULL;
	size_t n = 0;
	int rc = store_user_list(s->c->store, batch_id, &v, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_address(s, v[i].address, err);
	free(v);
	return rc;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_doubles(struct script *s)
{
	size_t kept = 0;
	if (s->n)
		qsort(s->addresses, s->n, sizeof *s->addresses, compare);
	for (size_t i = 0; i < s->n; i++) {
		if (kept && !strcmp(s->addresses[kept - 1], s->addresses[i]))
			free(s->addresses[i]);
		else
			s->addresses[kept++] = s->addresses[i];
	}
	s->n = kept;
}

/* The pilot, and the users of --batch or of every batch into this target. */
static int collect(struct script *s, struct err *err)
{
	const char *only = option_get(&s->c->opt, "batch");
	struct batch *v = NULL;
	size_t n = 0, used = 0;
	int rc = store_batch_list(s->c->store, &v, &n, err);
	if (rc == 0)
		rc = add_address(s, s->t.test_user, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (v[i].target_id != s->t.id)
			continue;
		if (only && strcmp(v[i].name, only) != 0) {
			if (v[i].state != BATCH_COMPLETED)
				snprintf(s->busy, sizeof s->busy, "%s", v[i].name);
			continue;
		}
		used++;
		rc = add_users(s, v[i].id, err);
	}
	if (rc == 0 && only && !used) {
		struct batch b;
		rc = store_batch_get(s->c->store, only, &b, err)
			     ? -1
			     : err_set(err, ERR_USAGE, "batch %s does not go into target %s", b.name, s->t.name);
	}
	free(v);
	drop_doubles(s);
	return rc;
}

/* --- the head of each script --- */

static bool is_guid(const char *s)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return false;
	return s[36] == 0;
}

/* Names of the national clouds as Connect-MgGraph and Connect-ExchangeOnline take them (D). */
static const struct {
	const char *cloud, *graph, *exchange;
} environments[] = {
	{"global", "Global", "O365Default"},
	{"usgov", "USGov", "O365USGovGCCHigh"},
	{"dod", "USGovDoD", "O365USGovDoD"},
	{"china", "China", "O365China"},
};

static int add_variable(struct script *s, const char *name, const char *value, struct err *err)
{
	return buf_printf(&s->text, err, "$%s = ", name) || powershell_add_string(&s->text, name, value, err) ||
			       add(s, "\n", err)
		       ? -1
		       : 0;
}

static int add_mailboxes(struct script *s, struct err *err)
{
	if (add(s, "$Mailboxes = @(\n", err))
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		if (add(s, "    ", err) || powershell_add_string(&s->text, "an address", s->addresses[i], err) ||
			add(s, i + 1 < s->n ? ",\n" : "\n", err))
			return -1;
	}
	return add(s, ")\n", err);
}

/* How this target's cloud is named; target set checks it. */
static size_t environment_of(const struct target_row *t)
{
	size_t i = sizeof environments / sizeof environments[0];
	while (--i > 0 && strcmp(environments[i].cloud, t->cloud) != 0)
		;
	return i;
}

static int add_title(struct script *s, const char *verb, const char *what, struct err *err)
{
	char text[2 * MODEL_NAME + 600];
	snprintf(text, sizeof text,
		"nightferry target %s %s: %s\nRead it before you run it. It was checked against Microsoft's "
		"documentation and has never "
		"been run against a live tenant.\nRun it in PowerShell 7 as an Exchange and Application Administrator; "
		"once before: "
		"Install-Module Microsoft.Graph.Applications, ExchangeOnlineManagement -Scope CurrentUser",
		verb, s->t.name, what);
	return powershell_add_comment(&s->text, text, err) || add(s, "$ErrorActionPreference = 'Stop'\n", err) ? -1 : 0;
}

/* The name of a file that belongs to the target: what is no letter or digit of ASCII becomes a hyphen. */
static void file_name(const struct target_row *t, const char *suffix, char *out, size_t size)
{
	char name[MODEL_NAME];
	snprintf(name, sizeof name, "%s", t->name);
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '-';
	snprintf(out, size, "nightferry-%s-%s.csv", name, suffix);
}

static int add_preamble(struct script *s, struct err *err)
{
	char before[MODEL_NAME + 64];
	size_t e = environment_of(&s->t);
	file_name(&s->t, "before", before, sizeof before);
	return add_variable(s, "Target", s->t.name, err) || add_variable(s, "TenantId", s->t.tenant, err) ||
			       add_variable(s, "AppId", s->t.client_id, err) ||
			       add_variable(s, "Before", before, err) || add(s, "# whose mailboxes\n", err) ||
			       add_mailboxes(s, err) ||
			       buf_printf(&s->text, err,
				       "\nConnect-MgGraph -TenantId $TenantId -Environment %s -NoWelcome -Scopes "
				       "'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All'\n"
				       "Connect-ExchangeOnline -ExchangeEnvironmentName %s -ShowBanner:$false\n\n",
				       environments[e].graph, environments[e].exchange) ||
			       add(s, setup_functions, err)
		       ? -1
		       : 0;
}

/* --- the steps --- */

static bool is_done_for(const struct script *s, const struct setup_step *step, bool certificate)
{
	return (!step->route || routes_have(s->t.routes, step->route)) && (!step->needs_certificate || certificate);
}

/* Permissions of the routes, granted or, from the last to the first, revoked. */
static int add_roles(struct script *s, bool grant, struct err *err)
{
	size_t n;
	const struct permission *v = permission_table(&n);
	if (add(s, "\n# ---- The permissions of the routes, with the administrator's consent\n", err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct permission *p = &v[grant ? i : n - 1 - i];
		if (!routes_have(s->t.routes, p->route))
			continue;
		if (buf_printf(&s->text, err, "%s '%s' '%s' # %s\n", grant ? "Grant-Role" : "Revoke-Role",
			    p->resource == PERMISSION_GRAPH ? GRAPH_APP : EXCHANGE_APP, p->role, p->why))
			return -1;
	}
	return 0;
}

/* $Certificate, out of the PEM that the vault holds (it is public). *there false: the target signs in by a secret. */
static int add_certificate(struct script *s, bool *there, struct err *err)
{
	struct secret *pem = NULL;
	*there = false;
	if (store_secret_get(s->c->store, "target", s->t.id, "certificate", &pem, err))
		return -1;
	const char *begin = pem ? strstr(secret_bytes(pem), "-----BEGIN CERTIFICATE-----") : NULL;
	const char *end = begin ? strstr(begin, "-----END CERTIFICATE-----") : NULL;
	int rc = 0;
	if (end) {
		*there = true;
		rc = add(s,
			"$Certificate = [Security.Cryptography.X509Certificates.X509Certificate2]::new("
			"[Convert]::FromBase64String('",
			err);
		for (const char *p = begin + 27; rc == 0 && p < end; p++)
			if (isalnum((unsigned char)*p) || *p == '+' || *p == '/' || *p == '=')
				rc = buf_add_char(&s->text, *p, err);
		rc = rc || add(s, "'))\n", err) ? -1 : 0;
	}
	secret_free(&pem);
	return rc;
}

static int add_step(struct script *s, const struct setup_step *step, bool setup, struct err *err)
{
	return buf_printf(&s->text, err, "\n# ---- %s\n", step->title) ||
			       add(s, setup ? step->setup : step->teardown, err)
		       ? -1
		       : 0;
}

static int add_setup(struct script *s, struct err *err)
{
	size_t n;
	bool certificate;
	const struct setup_step *steps = setup_steps(&n);
	if (add_title(s, "setup", "rights and limits for the time of the migration", err) || add_preamble(s, err) ||
		add_certificate(s, &certificate, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (is_done_for(s, &steps[i], certificate) && add_step(s, &steps[i], true, err))
			return -1;
		if (i == 0 && add_roles(s, true, err))
			return -1;
	}
	return add(s, "\n", err) || add(s, setup_closing, err) ? -1 : 0;
}

static int add_teardown(struct script *s, struct err *err)
{
	size_t n;
	bool certificate;
	const struct setup_step *steps = setup_steps(&n);
	if (add_title(s, "teardown", "the inverse of setup, from its last step to its first", err) ||
		add_preamble(s, err) || add_certificate(s, &certificate, err) ||
		add(s, "if ($Old.Count -eq 0) { throw \"$Before, which setup wrote, is not in this folder\" }\n",
			err) ||
		add(s,
			"$Enterprise = Get-MgServicePrincipal -Filter \"appId eq '$AppId'\"\n$Group = \"nightferry "
			"$AppId\"\n",
			err))
		return -1;
	if (s->busy[0]) {
		char text[MODEL_NAME + 160];
		snprintf(text, sizeof text,
			"Batch %s still uses this target: rights of the application stay. Run teardown without --batch "
			"when all are "
			"completed.",
			s->busy);
		if (powershell_add_comment(&s->text, text, err))
			return -1;
	}
	for (size_t i = n; i-- > 0;) {
		if (i == 0 && !s->busy[0] && add_roles(s, false, err))
			return -1;
		if (is_done_for(s, &steps[i], certificate) && (steps[i].of_mailboxes || !s->busy[0]) &&
			add_step(s, &steps[i], false, err))
			return -1;
	}
	return add(s,
		"\n# The application itself and its secret: remove the app registration if nothing else uses it.\n",
		err);
}

static int add_inventory(struct script *s, struct err *err)
{
	char out[MODEL_NAME + 64];
	size_t e = environment_of(&s->t);
	file_name(&s->t, "inventory", out, sizeof out);
	if (add_title(s, "inventory",
		    "what only an administrator can see of the mailboxes, as a CSV; it changes nothing", err) ||
		add_variable(s, "Out", out, err) ||
		buf_printf(&s->text, err, "Connect-ExchangeOnline -ExchangeEnvironmentName %s -ShowBanner:$false\n",
			environments[e].exchange))
		return -1;
	s->all = option_is_given(&s->c->opt, "all");
	if (s->all) {
		if (add(s,
			    "$Mailboxes = @(Get-Mailbox -ResultSize Unlimited | ForEach-Object { "
			    "\"$($_.PrimarySmtpAddress)\" })\n",
			    err))
			return -1;
	} else if (add_mailboxes(s, err)) {
		return -1;
	}
	return add(s, inventory_body, err);
}

/* --- the commands --- */

static int print_script(struct cli *c, int (*make)(struct script *, struct err *), struct err *err)
{
	struct script s = {.c = c};
	buf_init(&s.text, SCRIPT_CAP);
	int rc = store_target_get(c->store, cli_operand(c, 0), &s.t, err);
	if (rc == 0 && s.t.kind != TARGET_EXCHANGE)
		rc = err_set(
			err, ERR_USAGE, "target %s is not Exchange Online: there is nothing to print for it", s.t.name);
	if (rc == 0 && !is_guid(s.t.client_id)) {
		rc = err_set(err, ERR_USAGE, "the client id of target %s is not the id of an application", s.t.name);
		err_hint(err,
			"nightferry target set %s --client-id with the Application (client) ID of the app registration",
			s.t.name);
	}
	if (rc == 0)
		rc = collect(&s, err) || make(&s, err) ? -1 : 0;
	if (rc == 0 && c->json)
		c->out = json_pack(
			"{s:s,s:I,s:s}", "target", s.t.name, "mailboxes", (json_int_t)s.n, "script", buf_str(&s.text));
	else if (rc == 0)
		fputs(buf_str(&s.text), stdout);
	if (rc == 0 && s.n == 0 && !s.all)
		fprintf(stderr, "nightferry: note: no batch goes into target %s yet: the script names no mailbox\n",
			s.t.name);
	script_done(&s);
	return rc ? -1 : EXIT_DONE;
}

int target_setup(struct cli *c, struct err *err)
{
	return print_script(c, add_setup, err);
}

int target_teardown(struct cli *c, struct err *err)
{
	return print_script(c, add_teardown, err);
}

int target_inventory(struct cli *c, struct err *err)
{
	return print_script(c, add_inventory, err);
}
