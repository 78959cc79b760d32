#include "upload/prove_parts.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/claims.h"
#include "upload/permission.h"
#include "upload/token.h"

#include <inttypes.h>

#define PAGE 64
#define MOST_LISTED 1024 /* of a folder that should be ours */
#define FOLDERS 5        /* names that are tried when somebody else's mail is in one */
#define APPEAR_MS 15000  /* lists of a service may lag */

static const char *folder_name(int i, char out[32])
{
	snprintf(out, 32, i ? "nightferry probe %d" : "nightferry probe", i + 1);
	return out;
}

/* --- what is in the folder --- */

/* Ids of the folder's messages that are ours, and how many are not. */
static int list_ours(struct prove *p, char (**ids)[200], size_t *n, size_t *others, struct err *err)
{
	struct remote_mail *page = calloc(PAGE, sizeof(*page));
	char cursor[200] = "";
	size_t got = PAGE, listed = 0;
	int rc = 0;
	*ids = calloc(MOST_LISTED, sizeof(**ids));
	*n = *others = 0;
	if (!page || !*ids)
		rc = err_set(err, ERR_MEMORY, "no memory for a list");
	while (rc == 0 && got > 0 && listed + PAGE <= MOST_LISTED) {
		rc = p->conf->ops->list(p->target, &p->folder, cursor, page, PAGE, &got, err);
		for (size_t i = 0; rc == 0 && i < got; i++) {
			if (probe_mail_is_ours(&page[i].print))
				snprintf((*ids)[(*n)++], sizeof(**ids), "%s", page[i].id);
			else
				++*others;
			snprintf(cursor, sizeof(cursor), "%s", page[i].id);
			fingerprint_done(&page[i].print);
		}
		listed += got;
	}
	free(page);
	return rc;
}

/* Removes our messages and, if nothing else is there, the folder. */
static int sweep(struct prove *p, size_t *removed, size_t *others, struct err *err)
{
	char(*ids)[200] = NULL;
	size_t n = 0;
	int rc = list_ours(p, &ids, &n, others, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = p->conf->ops->remove_probe(p->target, &p->folder, ids[i], err);
	if (rc == 0 && *others == 0)
		rc = p->conf->ops->remove_probe(p->target, &p->folder, "", err);
	*removed = n;
	free(ids);
	return rc;
}

/* The message by its id, waiting until it shows. */
static int find(struct prove *p, const char *id, struct remote_mail *out, struct err *err)
{
	struct remote_mail *page = calloc(PAGE, sizeof(*page));
	int64_t until = clock_mono_ms() + APPEAR_MS;
	bool found = false;
	int rc = page ? 0 : err_set(err, ERR_MEMORY, "no memory for a list");
	while (rc == 0 && !found) {
		char cursor[200] = "";
		size_t got = PAGE;
		for (size_t listed = 0; rc == 0 && !found && got > 0 && listed < MOST_LISTED; listed += got) {
			got = 0;
			rc = p->conf->ops->list(p->target, &p->folder, cursor, page, PAGE, &got, err);
			for (size_t i = 0; i < got; i++) {
				snprintf(cursor, sizeof(cursor), "%s", page[i].id);
				if (!found && !strcmp(page[i].id, id)) {
					*out = page[i];
					found = true;
				} else {
					fingerprint_done(&page[i].print);
				}
			}
		}
		if (rc == 0 && !found) {
			if (stop_is_asked(p->conf->stop))
				rc = err_set(err, ERR_STOPPED, "the test was stopped");
			else if (clock_mono_ms() >= until)
				rc = err_set(err, ERR_GONE, "the probe message was accepted and is not in its folder");
			else
				clock_sleep_ms(250, stop_fd(p->conf->stop, STOP_DRAIN));
		}
	}
	free(page);
	return rc;
}

int prove_read_back(struct prove *p, const char *id, struct remote_mail *found, struct spool **body,
	struct fingerprint *print, struct err *err)
{
	if (!id[0])
		return err_set(err, ERR_GONE, "the probe message was accepted and cannot be found");
	return find(p, id, found, err) || p->conf->ops->read(p->target, &p->folder, id, body, print, err) ? -1 : 0;
}

/* --- the steps --- */

static bool is_imap(const struct prove *p)
{
	return !strcmp(p->conf->ops->name, "imap");
}

static enum prove_outcome fail(struct prove *p, struct prove_line *line, const struct err *why)
{
	line->err = *why;
	p->dead = true;
	return PROVE_FAILED;
}

static enum prove_outcome step_token(struct prove *p, struct prove_line *line)
{
	struct token *source = is_imap(p) ? p->conf->conf->token : p->conf->conf->graph_token;
	struct secret *token = NULL;
	struct err err = ERR_INIT;
	char roles[384];
	if (!source)
		return PROVE_SILENT;
	if (token_get(source, NULL, p->conf->stop, &token, &err))
		return fail(p, line, &err);
	bool readable = claims_roles(token, roles, sizeof(roles));
	secret_free(&token);
	if (readable)
		p->lacks = permission_missing(p->conf->ops->name, roles);
	if (p->lacks) {
		snprintf(line->text, sizeof(line->text),
			"issued, but it does not name the permission %s (%s); it names: %s", p->lacks->role,
			p->lacks->why, roles[0] ? roles : "none");
		return PROVE_NOTE;
	}
	snprintf(line->text, sizeof(line->text), "issued for this application%s%s", readable ? ", with " : "",
		readable ? roles : "");
	return PROVE_OK;
}

static enum prove_outcome step_sign_in(struct prove *p, struct prove_line *line)
{
	const struct target_conf *c = p->conf->conf;
	struct err err = ERR_INIT;
	if (p->conf->ops->open(&p->target, c, p->conf->gate, p->conf->stop, &err))
		return fail(p, line, &err);
	if (is_imap(p))
		snprintf(line->text, sizeof(line->text), "%s at %s:%u", c->mailbox, c->imap_host, c->imap_port);
	else
		snprintf(line->text, sizeof(line->text), "%s at %s", c->mailbox, c->graph_url ? c->graph_url : "");
	return PROVE_OK;
}

static enum prove_outcome step_mailbox(struct prove *p, struct prove_line *line)
{
	const struct target_ops *ops = p->conf->ops;
	char id[200], address[320];
	struct err err = ERR_INIT;
	if (!ops->identify)
		return PROVE_SILENT;
	if (ops->identify(p->target, id, sizeof(id), address, sizeof(address), &err))
		return fail(p, line, &err);
	if (!id[0] && !address[0])
		return PROVE_SILENT;
	bool alias = address[0] && strcmp(address, p->conf->conf->mailbox) != 0;
	snprintf(line->text, sizeof(line->text), "%s%s%s%s%s", alias ? "an alias of " : "", address,
		id[0] && address[0] ? ", " : "", id[0] ? "id " : "", id);
	return PROVE_OK;
}

/* A folder of our own with nothing of others in it. */
static int folder_ready(struct prove *p, size_t *swept, struct err *err)
{
	char name[32];
	size_t removed, others;
	*swept = 0;
	for (int i = 0; i < FOLDERS; i++) {
		folder_ref_done(&p->folder);
		if (p->conf->ops->folder(p->target, folder_name(i, name), &p->folder, err))
			return -1;
		if (p->folder.existing == 0)
			return 0;
		if (sweep(p, &removed, &others, err))
			return -1;
		*swept += removed;
		if (others > 0)
			continue;
		folder_ref_done(&p->folder);
		return p->conf->ops->folder(p->target, name, &p->folder, err);
	}
	folder_ref_done(&p->folder);
	return err_set(err, ERR_FOLDER, "mail of somebody's is in each of the folders \"nightferry probe\" to \"%s\"",
		folder_name(FOLDERS - 1, name));
}

static enum prove_outcome step_folder(struct prove *p, struct prove_line *line)
{
	size_t swept;
	struct err err = ERR_INIT;
	if (folder_ready(p, &swept, &err))
		return fail(p, line, &err);
	int n = snprintf(line->text, sizeof(line->text), "\"%s\" is made", p->folder.path);
	if (swept)
		snprintf(line->text + n, sizeof(line->text) - (size_t)n,
			"; %zu messages that an interrupted test had left there are removed", swept);
	return PROVE_OK;
}

static enum prove_outcome step_put(struct prove *p, struct prove_line *line)
{
	const struct target_ops *ops = p->conf->ops;
	struct err err = ERR_INIT;
	for (size_t i = 0; i < PROBES; i++) {
		if (probe_mail_make((enum probe_kind)i, p->conf->conf->spool_dir, p->now, &p->mails[i], &err))
			return fail(p, line, &err);
		p->items[i] = (struct put_item){.mail = p->mails[i]};
		if (ops->put(p->target, &p->folder, &p->items[i], 1, &err))
			return fail(p, line, &err);
		if (p->items[i].result != PUT_PLACED)
			return fail(p, line, &p->items[i].err);
	}
	for (size_t i = 0; i < PROBES; i++) {
		if (prove_read_back(p, p->items[i].receipt.id, &p->found[i], &p->bodies[i], &p->prints[i], &err))
			return fail(p, line, &err);
		if (p->mails[i]->print.size > p->good)
			p->good = p->mails[i]->print.size;
	}
	snprintf(line->text, sizeof(line->text), "%d probe messages were put and read back", PROBES);
	return PROVE_OK;
}

static enum prove_outcome step_clean(struct prove *p, struct prove_line *line)
{
	const struct prove_conf *c = p->conf;
	size_t removed = 0, others = 0;
	struct err err = ERR_INIT;
	if (!p->folder.path)
		return PROVE_SILENT;
	p->cleaned = true;
	int rc = sweep(p, &removed, &others, &err);
	if (rc) { /* perhaps the session broke: once more with another */
		err_clear(&err);
		c->ops->close(&p->target);
		rc = c->ops->open(&p->target, c->conf, c->gate, c->stop, &err) || sweep(p, &removed, &others, &err) ? -1
														    : 0;
	}
	if (rc == 0 && others == 0) {
		snprintf(line->text, sizeof(line->text), "the probe messages and their folder are removed");
		return PROVE_OK;
	}
	if (rc == 0)
		snprintf(line->text, sizeof(line->text),
			"the probe messages are removed; the folder \"%s\" holds %zu others and was left",
			p->folder.path, others);
	else
		snprintf(line->text, sizeof(line->text),
			"the folder \"%s\" could not be removed (%.200s): the next test does it", p->folder.path,
			err.text);
	return PROVE_NOTE;
}

static const struct step {
	const char *name;
	enum prove_outcome (*run)(struct prove *, struct prove_line *);
} steps[] = {
	{"token", step_token},
	{"sign-in", step_sign_in},
	{"mailbox", step_mailbox},
	{"folder", step_folder},
	{"messages", step_put},
	{"draft", prove_draft},
	{"date", prove_date},
	{"flags", prove_flags},
	{"sender", prove_sender},
	{"content", prove_content},
	{"headers", prove_headers},
	{"attachment", prove_attachment},
	{"signature", prove_signature},
	{"categories", prove_categories},
	{"size", prove_size},
	{"clean-up", step_clean},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* --- whose fault it is --- */

static const char *blame_of(const struct prove *p, const struct err *err, const char *step)
{
	switch (err_action(err->kind)) {
	case ACT_PAUSE_ENDPOINT:
		if (!strcmp(step, "token"))
			return "token";
		if (p->lacks)
			return "consent";
		return p->conf->conf->kind == TARGET_EXCHANGE ? "rights, IMAP disabled or mailbox" : "credentials";
	case ACT_RETRY:
		if (err->kind == ERR_BUSY && strstr(err->server, "not connected")) /* spec, section 2 */
			return p->lacks ? "consent" : "rights, IMAP disabled or mailbox";
		if (err->kind == ERR_BUSY &&
			strstr(err->server, "Server Unavailable. 15")) /* often its quota (spec, section 2) */
			return "mailbox is full, or the service is busy";
		return err->kind == ERR_PROTOCOL ? "route" : err->kind == ERR_BUSY ? "the service is busy" : "network";
	case ACT_WAIT:
		return "throttling";
	case ACT_STOP_RUN:
		return "this machine";
	case ACT_STOP_MAILBOX:
	case ACT_DRAIN:
	case ACT_SKIP_MESSAGE:
	case ACT_SKIP_FOLDER:
		break;
	}
	if (err->kind == ERR_RIGHTS)
		return p->lacks ? "consent" : "rights";
	if (err->kind == ERR_QUOTA)
		return "mailbox is full";
	return err->kind == ERR_MAILBOX ? "mailbox" : err->kind == ERR_CERTIFICATE ? "certificate" : "route";
}

/* A permission that the token does not name explains most refusals that come after it. */
static void explain(const struct prove *p, struct prove_line *line)
{
	struct err *e = &line->err;
	line->blame = blame_of(p, e, line->step);
	if (!strcmp(line->blame, "consent"))
		err_hint(e,
			"the application lacks the application permission %s: app registration, API permissions, add "
			"it, "
			"then Grant admin consent; a new token may take some minutes to name it. nightferry target "
			"setup %s "
			"prints the commands",
			p->lacks->role, p->conf->conf->name);
	else if (!strncmp(line->blame, "mailbox is full", 15))
		err_hint(e, "make room in the pilot mailbox, or name another with --user");
}

/* --- taking them --- */

int prove_new(struct prove **out, const struct prove_conf *conf, struct err *err)
{
	struct prove *p = *out = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_MEMORY, "no memory for a test");
	p->conf = conf;
	p->now = clock_wall_s();
	p->facts.passed = true;
	return 0;
}

/* Sizes say nothing of use about a route that cannot carry mail. */
static bool is_skipped(const struct prove *p, const struct step *s)
{
	return s->run != step_clean && (p->dead || (s->run == prove_size && !p->facts.passed));
}

static void sum_up(struct prove *p)
{
	struct prove_facts *f = &p->facts;
	if (f->passed)
		snprintf(f->text, sizeof(f->text), "received date %s, flags %s, content %s, categories %s",
			f->date_kept ? "kept" : "NOT kept", f->flags_kept ? "kept" : "not all kept",
			f->content_kept ? "kept octet for octet" : "kept in meaning",
			f->categories_kept           ? "kept"
			: p->conf->ops->get_keywords ? "not kept"
						     : "not looked at");
}

bool prove_next(struct prove *p, struct prove_line *out)
{
	while (p->step < STEPS) {
		const struct step *s = &steps[p->step];
		*out = (struct prove_line){.step = s->name, .err = ERR_INIT};
		bool skipped = is_skipped(p, s);
		out->outcome = skipped ? PROVE_SKIPPED : s->run(p, out);
		if (skipped || s->run != prove_size || p->sizes_done)
			p->step++;
		if (out->outcome == PROVE_SILENT)
			continue;
		if (skipped) /* one line for all of them */
			snprintf(out->text, sizeof(out->text), "not reached%s",
				p->dead ? ", nor what comes after it" : "");
		if (skipped && p->dead)
			p->step = STEPS - 1;
		if (out->outcome == PROVE_FAILED) {
			explain(p, out);
			if (p->facts.passed)
				snprintf(p->facts.text, sizeof(p->facts.text), "%s: %s: %.400s", s->name, out->blame,
					out->err.text);
			p->facts.passed = false;
		}
		return true;
	}
	sum_up(p);
	return false;
}

const struct prove_facts *prove_facts(const struct prove *p)
{
	return &p->facts;
}

void prove_free(struct prove **pp)
{
	struct prove *p = *pp;
	struct prove_line unseen = {.err = ERR_INIT};
	if (!p)
		return;
	if (!p->cleaned && step_clean(p, &unseen) == PROVE_NOTE)
		log_line(LOG_WARN, "%s", unseen.text);
	if (p->target)
		p->conf->ops->close(&p->target);
	folder_ref_done(&p->folder);
	for (size_t i = 0; i < PROBES; i++) {
		mail_free(&p->mails[i]);
		fingerprint_done(&p->found[i].print);
		fingerprint_done(&p->prints[i]);
		spool_free(&p->bodies[i]);
	}
	free(p);
	*pp = NULL;
}
