/* Proof that this destination keeps what matters: the received date, the content, the read state; and that it does not make a draft. */
#include "upload/target_imap.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "imap/scan.h"
#include "upload/http.h"
#include "upload/settle.h"

#include <inttypes.h>

#define PROBE_FOLDER "nightferry probe"
#define TEN_YEARS_S ((int64_t)3652 * 24 * 3600)

static int probe_make(struct target_imap *t, struct mail **out, struct err *err)
{
	char guid[HTTP_GUID], text[1024];
	struct clock_fields d;
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct mail *m = mail_new(1);
	struct scan *scan = scan_new();
	int rc = -1;
	http_guid(guid);
	if (!m || !scan) {
		err_set(err, ERR_MEMORY, "no memory for a probe message");
		goto out;
	}
	m->received = (struct mail_date){.at = clock_wall_s() - TEN_YEARS_S, .zone_min = 0, .known = true};
	m->flags = MAIL_SEEN;
	clock_split(m->received.at, &d);
	int n = snprintf(text, sizeof(text),
		"Date: %d %s %" PRId64 " %02d:%02d:%02d +0000\r\nFrom: nightferry probe <probe@nightferry.invalid>\r\n"
		"To: nightferry probe <probe@nightferry.invalid>\r\nSubject: nightferry probe %.8s\r\n"
		"Message-ID: <%s@nightferry.invalid>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
		"charset=utf-8\r\n\r\n"
		"nightferry made this message to see that its date and content are kept.\r\nIt removes it at "
		"once.\r\n",
		d.day, months[d.month - 1], d.year, d.hour, d.minute, d.second, guid, guid);
	if (spool_new(&m->body, t->conf->spool_dir, (uint64_t)n, err) || spool_write(m->body, text, (size_t)n, err))
		goto out;
	m->announced = (uint64_t)n;
	scan_feed(scan, text, (size_t)n);
	rc = scan_finish(scan, &m->print, &m->defects, err);
out:
	scan_free(&scan);
	if (rc)
		mail_free(&m);
	*out = m;
	return rc;
}

/* A folder of our own with nothing in it: what is there belongs to somebody. */
static int probe_folder(struct target_imap *t, struct folder_ref *out, struct err *err)
{
	char name[64], guid[HTTP_GUID];
	if (target_imap_folder(&t->base, PROBE_FOLDER, out, err))
		return -1;
	if (out->existing == 0)
		return 0;
	folder_ref_done(out);
	http_guid(guid);
	snprintf(name, sizeof(name), PROBE_FOLDER " %.8s", guid);
	return target_imap_folder(&t->base, name, out, err);
}

static bool same_content(
	const struct spool *a, const struct fingerprint *pa, const struct spool *b, const struct fingerprint *pb)
{
	uint8_t ca[CANON_BYTES], cb[CANON_BYTES];
	struct err ignored = ERR_INIT;
	if (!memcmp(pa->sha256, pb->sha256, sizeof(pa->sha256)))
		return true;
	return canon_digest(a, ca, &ignored) == 0 && canon_digest(b, cb, &ignored) == 0 && !memcmp(ca, cb, sizeof(ca));
}

/* Reads the probe back and compares. */
static int compare(
	struct target_imap *t, const struct folder_ref *f, const char *id, const struct mail *m, struct err *err)
{
	const struct target_ops *ops = t->base.ops;
	struct remote_mail *page = calloc(16, sizeof(*page));
	struct spool *body = NULL;
	struct fingerprint print = {0};
	size_t n = 0, at;
	int rc = -1;
	char want[CLOCK_TEXT], have[CLOCK_TEXT];
	if (!page) {
		err_set(err, ERR_MEMORY, "no memory for a list");
		goto out;
	}
	if (ops->list(&t->base, f, f->mark, page, 16, &n, err))
		goto out;
	for (at = 0; at < n && strcmp(page[at].id, id) != 0; at++)
		;
	if (at == n)
		err_set(err, ERR_PROTOCOL, "the probe message was accepted and is not in its folder");
	else if (page[at].flags & MAIL_DRAFT)
		err_set(err, ERR_PROTOCOL, "the probe message became a draft");
	else if (!(page[at].flags & MAIL_SEEN))
		err_set(err, ERR_PROTOCOL, "the probe message is not marked as read");
	else if (!page[at].received.known || page[at].received.at != m->received.at)
		err_set(err, ERR_PROTOCOL, "the received date is not kept: wrote %s, found %s",
			clock_format(m->received.at, want, sizeof(want)),
			clock_format(page[at].received.at, have, sizeof(have)));
	else if (ops->read(&t->base, f, id, &body, &print, err) == 0) {
		if (same_content(m->body, &m->print, body, &print))
			rc = 0;
		else
			err_set(err, ERR_PROTOCOL, "the probe message's content is not kept");
	}
out:
	for (size_t i = 0; i < n; i++)
		fingerprint_done(&page[i].print);
	free(page);
	spool_free(&body);
	fingerprint_done(&print);
	return rc;
}

int target_imap_remove_probe(struct target *base, const struct folder_ref *f, const char *id, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid = 0;
	if (id[0] && target_imap_parse_id(f, id, &uid, err))
		return -1;
	if (target_imap_begin(t, 0, 3, &w, err))
		return -1;
	int rc = mailbox_remove_probe(t->conn, f->id, uid, err);
	target_imap_unselect(t);
	target_imap_forget(t, f->path);
	return target_imap_end(t, &w, rc, 3, err);
}

int target_imap_prove(struct target *base, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct folder_ref f = {0};
	struct mail *m = NULL;
	struct err cleanup = ERR_INIT;
	int rc = -1;
	if (probe_make(t, &m, err) || probe_folder(t, &f, err))
		goto out;
	struct put_item item = {.mail = m};
	if (target_imap_put(base, &f, &item, 1, err))
		goto out;
	if (item.result != PUT_PLACED)
		*err = item.err;
	else if (!item.receipt.id[0])
		err_set(err, ERR_PROTOCOL, "the probe message was accepted and cannot be found");
	else
		rc = compare(t, &f, item.receipt.id, m, err);
	if (target_imap_remove_probe(base, &f, item.receipt.id, &cleanup))
		log_err(LOG_WARN, &cleanup, "the folder \"%s\" could not be removed", f.path);
out:
	folder_ref_done(&f);
	mail_free(&m);
	return rc;
}
