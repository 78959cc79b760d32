/* One message put by Graph while something goes wrong, then looked for: what the route said, what settling says, how many copies there are.
   tests/contract/test_doubt.py sets the fault before and judges what is printed. */
#include "upload/settle.h"
#include "upload/target.h"
#include "upload/token.h"

#include "engine/base/clock.h"
#include "imap/scan.h"

#include <signal.h>

static const char *env(const char *name)
{
	return getenv(name) ? getenv(name) : "";
}

static int fail(const struct err *err, const char *doing)
{
	char line[2000];
	printf("FAILED %s: %s\n", doing, err_line(err, line, sizeof(line)));
	return 1;
}

static struct mail *make(struct err *err)
{
	char text[400];
	struct mail *m = mail_new(1);
	struct scan *scan = scan_new();
	struct mail_defects defects;
	/* every other run without what is easy to look for */
	int n = snprintf(text, sizeof(text),
		"Date: Mon, 1 Jul 2002 10:00:00 +0200\r\nFrom: a@b.example\r\n%sSubject: %s\r\n\r\nx\r\n",
		*env("NF_WITH_ID") ? "Message-ID: <one@doubt.test>\r\n" : "", env("NF_FOLDER"));
	m->flags = MAIL_SEEN |
		   MAIL_FLAGGED; /* so that there is a state to write, whatever the service makes of new mail */
	if (spool_new(&m->body, env("NF_SPOOL_DIR"), (uint64_t)n, err) || spool_write(m->body, text, (size_t)n, err))
		exit(1);
	scan_feed(scan, text, (size_t)n);
	if (scan_finish(scan, &m->print, &defects, err))
		exit(1);
	scan_free(&scan);
	return m;
}

/* As the engine does: what cannot be told by octets comes again with its digest. */
static int settle(
	struct target *t, const struct folder_ref *f, const struct mail *m, struct pending *p, struct err *err)
{
	uint8_t canon[CANON_BYTES];
	*p = (struct pending){.print = &m->print};
	int rc = settle_pending(t, f, f->mark, NULL, 0, p, 1, err);
	if (rc == 0 && p->outcome == SETTLE_NEEDS_CANON) {
		rc = canon_digest(m->body, canon, err);
		p->canon = canon;
		if (rc == 0)
			rc = settle_pending(t, f, f->mark, NULL, 0, p, 1, err);
	}
	p->canon = NULL;
	return rc;
}

static int count(struct target *t, const struct folder_ref *f, size_t *copies, struct err *err)
{
	struct remote_mail page[16];
	char cursor[200] = "";
	size_t n;
	int rc;
	for (*copies = 0; (rc = t->ops->list(t, f, cursor, page, 16, &n, err)) == 0 && n > 0; *copies += n) {
		snprintf(cursor, sizeof(cursor), "%s", page[n - 1].id);
		for (size_t i = 0; i < n; i++)
			fingerprint_done(&page[i].print);
	}
	return rc;
}

static int put_and_look(struct target *t, struct err *err)
{
	static const char *const results[] = {"placed", "refused", "not-sent", "in-doubt"};
	static const char *const outcomes[] = {"absent", "found", "needs-canon"};
	struct folder_ref f;
	struct mail *m = make(err);
	struct put_item item = {.mail = m};
	struct pending p;
	size_t copies = 0;
	if (t->ops->folder(t, env("NF_FOLDER"), &f, err))
		return fail(err, "folder");
	printf("READY\n");
	fflush(stdout);
	if (getchar() == EOF) /* the fault is set now */
		return 1;
	t->ops->put(t, &f, &item, 1, err);
	printf("PUT %s %s %s\n", results[item.result], err_kind_name(item.err.kind), item.err.text);
	fflush(stdout);
	if (getchar() == EOF) /* whatever comes late has come */
		return 1;
	err_clear(err);
	if (*env("NF_SAME_FOLDER") && t->ops->folder(t, env("NF_FOLDER"), &f, err))
		return fail(err, "folder");
	if (settle(t, &f, m, &p, err) || count(t, &f, &copies, err))
		return fail(err, "settle");
	printf("SETTLE %s, copies %zu%s\n", outcomes[p.outcome], copies,
		item.result == PUT_PLACED && strcmp(item.receipt.id, p.receipt.id) != 0 ? ", another id" : "");
	folder_ref_done(&f);
	mail_free(&m);
	return 0;
}

int main(void)
{
	struct err e = ERR_INIT;
	signal(SIGPIPE, SIG_IGN);
	upload_init();
	struct secret *secret = secret_new(env("NF_CLIENT_SECRET"), strlen(env("NF_CLIENT_SECRET")));
	struct token_conf tc = {.login_url = env("NF_LOGIN_URL"),
		.tenant = env("NF_TENANT"),
		.client_id = env("NF_CLIENT_ID"),
		.scope = "https://graph.microsoft.com/.default",
		.client_secret = secret,
		.ca_file = env("NF_CA")};
	struct target_conf conf = {.kind = TARGET_EXCHANGE,
		.name = "doubt",
		.ca_file = env("NF_CA"),
		.mailbox = env("NF_MAILBOX"),
		.graph_url = env("NF_GRAPH_URL"),
		.spool_dir = env("NF_SPOOL_DIR")};
	struct target *t = NULL;
	if (token_new(&conf.graph_token, &tc, &e) || target_graph_mime_ops.open(&t, &conf, NULL, NULL, &e))
		return fail(&e, "open");
	int rc = put_and_look(t, &e);
	target_graph_mime_ops.close(&t);
	token_free(&conf.graph_token);
	secret_free(&secret);
	return rc;
}
